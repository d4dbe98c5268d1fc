"""The short demo film of the notebooks, drawn where it is missing."""

from __future__ import annotations

from pathlib import Path

from animeset_lib.notebook.bars import counting
from animeset_lib.notebook.folders import project_folder
from animeset_lib.system import replace_path

__all__ = ["DEMO_FILM", "demo_film"]

DEMO_FILM = "input/demo-short.mp4"
"""Not `input/demo.mp4`: that is the long one of `make run`, which measurements are made on."""


def demo_film(
    root: Path | None = None, *, length_s: float = 30.0, width: int = 640, height: int = 360, fps: int = 12
) -> Path:
    """The path of the demo film in the project `root` (unset: `project_folder()`); drawn first, in some ten seconds, when it is missing.

    What is there already is never written over, whatever its length.
    """
    from animeset_demo import render_demo_film

    target = (root or project_folder()) / DEMO_FILM
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.stem}.part{target.suffix}")
        with counting(f"drawing {target.name}") as progress:
            render_demo_film(unfinished, width=width, height=height, fps=fps, length_s=length_s, progress=progress)
        # the truth goes beside the film under the film's own name; the film last, for its presence is what is looked at
        replace_path(unfinished.with_suffix(".truth.json"), target.with_suffix(".truth.json"))
        replace_path(unfinished, target)
    return target
