"""A published film of three pictures, and the runs that publish it anew: what tests of captions by hand play with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from animeset_lib.published.captions import CaptionSet
from animeset_lib.published.edit_log import EditLog
from animeset_lib.published.edits import Edit
from animeset_lib.published.kept import KeptCaptions
from animeset_lib.published.publish import Published, publish
from animeset_lib.records import Film
from animeset_lib.settings import CaptionSettings

FILM = Film(id="0123456789ab", name="Film", source_name="Film.mkv", kind="video", width=64, height=36)


@dataclass(frozen=True)
class Pic:
    """One picture of a tree: its crop, whose it is, its number in the set, and the program's caption."""

    crop: str
    character: str
    number: int
    caption: str

    @property
    def image(self) -> str:
        return f"{self.character}/dataset/images/{self.character}_{self.number:04d}.png"

    @property
    def file(self) -> str:
        return f"{self.character}/dataset/captions/{self.character}_{self.number:04d}.txt"


A = Pic("f-000000100-00-face", "hana", 1, "hana, 1girl, long_hair, smile")
B = Pic("f-000000200-00-face", "hana", 2, "hana, 1girl, long_hair, indoors")
C = Pic("f-000000300-00-face", "レム", 1, "レム, 1girl, blue_hair")
FIRST = (A, B, C)


def spaced(pictures: Iterable[Pic]) -> tuple[Pic, ...]:
    """What the program writes with other settings."""
    return tuple(replace(pic, caption=pic.caption.replace("_", " ")) for pic in pictures)


class World:
    """An output folder and the runs that publish into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.output = root / "output"
        self.log = self.output / "Film-0123456789ab.edits.jsonl"
        self.keeping = KeptCaptions(self.log, CaptionSettings())

    def tree(self, pictures: Iterable[Pic]) -> Path:
        tree = self.root / f"tree{len(list(self.root.glob('tree*')))}"
        for pic in pictures:
            for name, content in (
                (pic.image, b"picture " + pic.crop.encode()),
                (pic.file, f"{pic.caption}\n".encode()),
            ):
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_bytes(content)
            row = {
                "file_name": pic.image.removeprefix(f"{pic.character}/"),
                "text": pic.caption,
                "name": "x",
                "crop": pic.crop,
                "tags": pic.caption.split(", ")[1:],
                "quality": 0.2611,
                "source_file": None,
            }
            with (tree / pic.character / "metadata.jsonl").open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        (tree / "README.md").write_text("card\n")
        return tree

    def run(self, pictures: Iterable[Pic], caption: dict[str, Any] | None = None) -> Published:
        """A run whose result are these pictures."""
        settings = CaptionSettings(**caption or {})
        self.keeping = KeptCaptions(self.log, settings)
        said = {"caption": settings.model_dump(mode="json")}
        return publish(self.tree(pictures), self.output, FILM, "key", said, lambda: None, self.keeping)

    @property
    def folder(self) -> Path:
        return self.output / "Film"

    def read(self, pic: Pic) -> bytes:
        return (self.folder / pic.file).read_bytes()

    def write(self, pic: Pic, content: str | bytes) -> None:
        """As any editor does."""
        (self.folder / pic.file).write_bytes(content if isinstance(content, bytes) else content.encode())

    def edit(self, edit: Edit) -> None:
        """As the dashboard and the command line do."""
        captions = CaptionSet(self.folder)
        captions.apply(captions.plan(edit), "an edit")

    def row(self, pic: Pic) -> dict[str, Any]:
        lines = (self.folder / pic.character / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
        (found,) = [row for row in map(json.loads, lines) if row["crop"] == pic.crop]
        return dict(found)

    def kept(self) -> dict[str, str]:
        """Crop → the caption that a person wrote for it."""
        return {crop: words.text for crop, words in EditLog(self.log).history().captions.items()}
