"""What comes of films that are interlaced, HDR, joined or changing, beside what `ffmpeg -vf fps=1` makes of them.

    python benchmarks/frontdesk.py FOLDER [--reference SDR_FILM]

A line of Markdown per file: frames that were decoded and those that the file's packets promise, shots, stills, and of the stills those that are
combed, have bars, or are damaged; then the same of plain ffmpeg's pictures. Films of HDR are compared with the reference, the same film in the
standard range: mean CIE76 difference of the stills at the same times, and of the plain pictures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import ffmpeg
import numpy as np
import numpy.typing as npt
from extract import run_stage

from animeset_lib.errors import AnimesetError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import FilmReader, combing, ffmpeg_exe, probe, read_image
from animeset_lib.media.bars import SceneBars
from animeset_lib.media.fields import CERTAIN
from animeset_lib.records import Box
from animeset_lib.run.stage import Given
from animeset_lib.settings import Settings

Picture = npt.NDArray[np.uint8]
HEAD = (
    "file",
    "frames",
    "shots",
    "stills",
    "combed",
    "bars",
    "dE",
    "plain: pictures",
    "combed",
    "bars",
    "dE",
    "what is said",
)


def ours(film: Path, work: Path) -> tuple[dict[float, Picture], list[Any], str]:
    """Stills by time in s, the first columns of the table, and what the user is told."""
    output = run_stage(ExtractStage(Settings().extract, probe(film), film), Given(), work, threads=2)
    stills = {row.pts_ms / 1000: read_image(output.path / row.file) for row in output.kept}
    counts, notes = output.notes.counts, output.notes.film.notes
    return stills, [f"{counts.considered} of {promised(film)}", len(output.notes.shots)], "; ".join(notes)


def promised(film: Path) -> int:
    """Packets that hold a frame, of the track that has most."""
    counts: Counter[int] = Counter()
    with av.open(str(film)) as container:
        counts.update(packet.stream.index for packet in container.demux(*container.streams.video) if packet.size)
    return max(counts.values(), default=0)


def plain(film: Path, work: Path) -> dict[float, Picture]:
    command = ffmpeg.input(str(film)).filter("fps", fps=1).output(str(work / "%04d.png")).compile(cmd=ffmpeg_exe())
    subprocess.run(command, capture_output=True, check=False)
    return {number + 0.5: read_image(file) for number, file in enumerate(sorted(work.glob("*.png")))}


def faults(pictures: Sequence[Picture]) -> list[int]:
    """How many pictures there are, how many are combed, and how many have bars."""
    gray = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8) for picture in pictures]
    whole = [Box(x0=0, y0=0, x1=one.shape[1], y1=one.shape[0]) for one in gray]
    combed = sum(combing(one) >= CERTAIN for one in gray)
    return [len(gray), combed, sum(SceneBars().cut(one, box) != box for one, box in zip(gray, whole, strict=True))]


def difference(pictures: dict[float, Picture], reference: Path | None, hdr: bool) -> str:
    """Mean CIE76 difference to the reference's frames at the same times."""
    if reference is None or not hdr or not pictures:
        return ""
    with FilmReader(reference) as reader:
        frames = {frame.pts_ms / 1000: frame.rgb() for frame in reader.frames()}
    found = []
    for time, picture in pictures.items():
        other = frames[min(frames, key=lambda one: abs(one - time))]
        height, width = picture.shape[:2]
        top = (other.shape[0] - height) // 2
        found.append(float(np.linalg.norm(lab(picture) - lab(other[top : top + height, :width]), axis=-1).mean()))
    return f"{np.mean(found):.1f}"


def lab(picture: Picture) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)


def main(folder: Path, reference: Path | None) -> None:
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for film in sorted(path for path in folder.iterdir() if path.is_file()):
        with tempfile.TemporaryDirectory() as work:
            others = plain(film, Path(work))
            try:
                stills, numbers, said = ours(film, Path(work))
            except AnimesetError as refusal:
                stills, numbers, said = {}, ["", ""], str(refusal).replace(str(folder), "")
            hdr = "HDR" in said
            cells = [
                *(film.name, *numbers, *faults(list(stills.values())), difference(stills, reference, hdr)),
                *(*faults(list(others.values())), difference(others, reference, hdr), said),
            ]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reference", type=Path)
    options = parser.parse_args()
    if not options.folder.is_dir():
        sys.exit(f"{options.folder}: expected a folder of films")
    main(options.folder, options.reference)
