"""Chapters for a film that a test has made."""

from __future__ import annotations

import subprocess
from pathlib import Path

from animeset_lib.media import ffmpeg_exe

__all__ = ["with_chapters"]


def with_chapters(film: Path, chapters: list[tuple[str, int, int]]) -> Path:
    """A copy of `film` beside it, with (name, start in ms, end in ms) each."""
    text = ";FFMETADATA1\n" + "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\n" + (f"title={name}\n" if name else "")
        for name, start, end in chapters
    )
    file = film.with_suffix(".chapters.txt")
    file.write_text(text, encoding="utf-8")
    target = film.with_stem(f"{film.stem}-chapters")
    words = ["-i", str(film), "-i", str(file), "-map", "0", "-map_chapters", "1", "-c", "copy", "-y", str(target)]
    subprocess.run([ffmpeg_exe(), "-v", "error", *words], check=True)
    return target
