"""`make bench`: every benchmark in one go on one film, then where the time of a whole run goes.

    python benchmarks/all.py FILM

Timings are ratios against something else measured in the same run; machines differ and are noisy.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from animeset_lib.pipeline import Folders, run_film
from animeset_lib.settings import load_settings

HERE = Path(__file__).parent


def main(film: Path) -> None:
    for script in ("extract.py", "dedupe.py", "engines.py", "upscale.py", "quality.py"):
        print(f"\n== {script}", flush=True)
        subprocess.run([sys.executable, HERE / script, *([str(film)] if script == "extract.py" else [])], check=True)
    print("\n== share of each stage in a whole run (preset full)", flush=True)
    with tempfile.TemporaryDirectory() as root:
        folders = Folders(*(Path(root) / name for name in ("output", "work", "logs")))
        run_film(film, load_settings(), folders, keep_work=True)
        infos = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folders.work.glob("*/*/stage.json"))]
    total = sum(info["seconds"] for info in infos)
    for info in sorted(infos, key=lambda info: info["stage"]):
        print(
            f"{info['stage']:<11} {info['seconds']:>8.1f} s  {info['seconds'] / total:>5.0%}  {info['kept']} kept of {info['rows']}"
        )
    print(f"{'sum':<11} {total:>8.1f} s")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/all.py FILM")
    main(Path(sys.argv[1]))
