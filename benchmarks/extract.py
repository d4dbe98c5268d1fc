"""What extract and dedupe cost beside decoding the film and nothing else, and how memory grows with the film's length.

    python benchmarks/extract.py FILM [--rounds 3] [--threads N]

Every measurement is a process of its own with the same number of threads; of several rounds, taken in turns, the fastest counts. Printed:
wall and processor seconds, and both as ratios to the bare decode by the ffmpeg program.

    decode, ffmpeg   ffmpeg -i FILM -map 0:v:0 -f null -
    decode, PyAV     the same through the reader that the stage uses
    extract          1_extract with its defaults: identify, plan, process, finish
    extract+dedupe   the same and 2_dedupe
    naive chain      ffmpeg -vf fps=1 to PNG files, then ImageHash's phash on each and a loop over all pairs

Peak memory is that of extract+dedupe on the film once and on the film four times over.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import ffmpeg

from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractNotes, ExtractStage
from animeset_lib.media import FilmReader, ffmpeg_exe, probe
from animeset_lib.models.provider import Zoo
from animeset_lib.records import Frame, Record
from animeset_lib.run.stage import Context, Given, Notes, Output, Stage, StageInfo
from animeset_lib.settings import Settings

R = TypeVar("R", bound=Record)
N = TypeVar("N", bound=Notes)


def decode_by_ffmpeg(film: Path, work: Path, threads: int) -> None:
    bare = ffmpeg.input(str(film), threads=threads).output("-", map="0:v:0", f="null")
    subprocess.run(bare.compile(cmd=ffmpeg_exe()), check=True, capture_output=True)


def decode_by_pyav(film: Path, work: Path, threads: int) -> None:
    with FilmReader(film, threads=threads) as reader:
        for _ in reader.frames():
            pass


def extract(film: Path, work: Path, threads: int) -> Output[Frame, ExtractNotes]:
    return run_stage(ExtractStage(Settings().extract, probe(film), film), Given(), work, threads)


def extract_and_dedupe(film: Path, work: Path, threads: int) -> None:
    stills = extract(film, work, threads)
    run_stage(DedupeStage(Settings().dedupe), Given([stills]), work, threads)


def naive_chain(film: Path, work: Path, threads: int) -> None:
    import imagehash
    from PIL import Image

    command = ffmpeg.input(str(film), threads=threads).output(str(work / "%06d.png"), vf="fps=1")
    subprocess.run(command.compile(cmd=ffmpeg_exe()), check=True, capture_output=True)
    hashes = [imagehash.phash(Image.open(file)) for file in sorted(work.glob("*.png"))]
    for i, one in enumerate(hashes):
        for other in hashes[:i]:
            _ = one - other <= 10


def run_stage(stage: Stage[Any, R, N], given: Given, work: Path, threads: int) -> Output[R, N]:
    """A stage without the engine around it: no journal, no lock, no events."""
    out = work / stage.name
    out.mkdir()
    ctx = Context(
        models=Zoo(),
        threads=threads,
        log=logging.getLogger("benchmark"),
        progress=lambda done, total: None,
        check_cancel=lambda: None,
    )
    items = stage.plan(given)
    rows = [
        row for i in range(0, len(items), stage.batch) for row in stage.process(items[i : i + stage.batch], out, ctx)
    ]
    final, notes = stage.finish(rows, items, given, out, ctx)
    (out / "rows.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in final), encoding="utf-8")
    info = StageInfo(stage=stage.name, notes=notes.model_dump(mode="json"))
    (out / "stage.json").write_text(info.model_dump_json(), encoding="utf-8")
    return Output(out, type(stage))


JOBS: dict[str, Callable[[Path, Path, int], object]] = {
    "decode, ffmpeg": decode_by_ffmpeg,
    "decode, PyAV": decode_by_pyav,
    "extract": extract,
    "extract+dedupe": extract_and_dedupe,
    "naive chain": naive_chain,
}


def work_one(job: str, film: Path, threads: int) -> None:
    """The child process: runs one job and prints what it took."""
    with tempfile.TemporaryDirectory() as work:
        start = time.perf_counter()
        JOBS[job](film, Path(work), threads)
        wall = time.perf_counter() - start
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(u.ru_utime + u.ru_stime for u in (own, children))
    print(json.dumps({"wall": wall, "cpu": cpu, "peak_mb": max(own.ru_maxrss, children.ru_maxrss) / 1024}))


def measure(job: str, film: Path, threads: int) -> dict[str, float]:
    command = [sys.executable, __file__, str(film), "--job", job, "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(film: Path, rounds: int, threads: int) -> None:
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for job in JOBS:
            found = measure(job, film, threads)
            kept = best.setdefault(job, found)
            best[job] = {key: min(kept[key], found[key]) for key in found}
    seconds = (probe(film).duration_ms or 0) / 1000
    print(f"{seconds:.0f} s of film, {threads} threads, best of {rounds}")
    print(f"{'':<16}{'wall s':>9}{'ratio':>8}{'cpu s':>9}{'ratio':>8}")
    bare = best["decode, ffmpeg"]
    for job, found in best.items():
        ratios = {key: found[key] / bare[key] for key in ("wall", "cpu")}
        print(f"{job:<16}{found['wall']:>9.2f}{ratios['wall']:>8.2f}{found['cpu']:>9.2f}{ratios['cpu']:>8.2f}")
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "four_times.mkv"
        looped = ffmpeg.input(str(film), stream_loop=3).output(str(long), c="copy", map="0:v:0")
        subprocess.run(looped.compile(cmd=ffmpeg_exe()), check=True, capture_output=True)
        once, four = best["extract+dedupe"]["peak_mb"], measure("extract+dedupe", long, threads)["peak_mb"]
    print(f"peak memory: {once:.0f} MB for the film, {four:.0f} MB for four times its length, ratio {four / once:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--job", choices=sorted(JOBS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        work_one(given.job, given.film, given.threads)
    else:
        main(given.film, given.rounds, given.threads)
