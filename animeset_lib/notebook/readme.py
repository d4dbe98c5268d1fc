"""A README of a dataset as a notebook shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from animeset_lib.dashboard.pictures import data_uri
from animeset_lib.media import read_image

__all__ = ["Readme"]

_LONGEST_PX = 1600


@dataclass(frozen=True)
class Readme:
    """The Markdown file at `path`, shown formatted when it is the last line of a cell.

    Its pictures are put into the text: their paths are relative to the file, and a page would look for them beside the notebook.
    """

    path: Path

    def _repr_markdown_(self) -> str:
        return re.sub(r"(!\[[^\]]*\])\(([^)]+)\)", self._with_picture, self.path.read_text(encoding="utf-8"))

    def _with_picture(self, link: re.Match[str]) -> str:
        return f"{link[1]}({data_uri(read_image(self.path.parent / unquote(link[2])), _LONGEST_PX)})"
