"""A published film folder as it is on the disk now → characters with pictures and captions, for exporters and the linter.

The manifest (`metadata.jsonl`) says what a picture shows; the `.txt` beside it says the caption, for people edit that. A picture that somebody added
without a row counts too, its attributes are `unknown`. What cannot be used is left out with a sentence in `notes`, never silently.
The folder may come from somebody else: links that lead out of it are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from animeset_lib.cast.cast_file import CastFile, load_cast
from animeset_lib.errors import InputError
from animeset_lib.published.layout import (
    METADATA,
    PICTURES,
    character_folders,
    is_inside,
    real_path,
    visible_files,
)
from animeset_lib.published.publish import manifest_of
from animeset_lib.run.store import parse_json
from animeset_lib.system import sha256_of
from animeset_lib.words.line import trigger_in
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = [
    "REGULARISATION",
    "CharacterSet",
    "ExportPicture",
    "PublishedFilm",
    "caption_tags",
    "read_film",
]

REGULARISATION = "regularisation"
"""Folder of a published film with pictures that show nobody."""

_OUTSIDE = "it is a link that leads out of the film's folder; put a copy in its place"

_ATTRIBUTES = ("outfit", "emotion", "background", "framing", "view")


@dataclass(frozen=True)
class ExportPicture:
    """One picture with its caption, one line that is not empty. Paths are as the film folder was given; `stem` is unique inside its character.

    Attributes are `unknown` and numbers None where no row says them; `row` is the whole row of `metadata.jsonl`, empty for a picture without one.
    `sha256` is of the file as it is now. `mask` is a picture of the same size, white where the trainer shall learn.
    """

    path: Path
    stem: str
    caption: str
    film: str
    sha256: str
    width: int
    height: int
    outfit: str = UNKNOWN
    emotion: str = UNKNOWN
    background: str = UNKNOWN
    framing: str = UNKNOWN
    view: str = UNKNOWN
    time_ms: int | None = None
    shot: int | None = None
    rank: int | None = None
    mask: Path | None = None
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tags(self) -> tuple[str, ...]:
        """The caption's tags in order."""
        return caption_tags(self.caption)


@dataclass(frozen=True)
class CharacterSet:
    """All pictures of one character, in the order of the manifest, those without a row last.

    `trigger` is as `words.line.trigger_in` finds it. `traits` and `subsets` are what `traits.json` and `subsets.json` hold, or None.
    """

    name: str
    trigger: str
    pictures: tuple[ExportPicture, ...]
    traits: Any = None
    subsets: Any = None


@dataclass(frozen=True)
class PublishedFilm:
    """What a published folder holds. `settings` are those of the run that made it; `notes` say what was left out, and why."""

    folder: Path
    name: str
    film_ids: tuple[str, ...]
    sources: tuple[str, ...]
    settings: Mapping[str, Any]
    characters: tuple[CharacterSet, ...]
    regularisation: tuple[ExportPicture, ...]
    """Pictures that show none of the characters."""
    notes: tuple[str, ...]
    cast: CastFile | None = None
    """Whom the film knows by which vectors; None where it does not say."""

    @property
    def training_px(self) -> int | None:
        """The side of the square that the pictures were made for; None when the manifest does not say."""
        found = self.settings.get("upscale", {})
        side = found.get("training_px") if isinstance(found, Mapping) else None
        return side if isinstance(side, int) and side > 0 else None


def caption_tags(caption: str) -> tuple[str, ...]:
    """The parts of a caption between commas, without surrounding white space and without empty ones.

    >>> caption_tags("hana, 1girl, , smile\\n")
    ('hana', '1girl', 'smile')
    """
    return tuple(tag for tag in (part.strip() for part in caption.split(",")) if tag)


def read_film(folder: Path) -> PublishedFilm:
    """Read `output/<film>` as it is now. Raises `InputError` when it is no published film or holds no picture that can be used."""
    manifest = manifest_of(folder)
    reader = _Reader(folder)
    notes = reader.notes
    characters = []
    for place in character_folders(folder):
        pictures = reader.pictures(place, place / "dataset")
        if pictures:
            traits, subsets = reader.json(place / "traits.json"), reader.json(place / "subsets.json")
            trigger = trigger_in([picture.tags for picture in pictures], traits)
            characters.append(CharacterSet(place.name, trigger, pictures, traits, subsets))
    apart = folder / REGULARISATION
    regularisation = reader.pictures(apart, apart) if (apart / "images").is_dir() else ()
    if not characters:
        raise InputError(
            f"{folder} holds no picture with a caption ({'; '.join(notes[:3]) or 'no character has any'}); "
            "run the film again, or choose another folder"
        )
    return PublishedFilm(
        folder=folder,
        name=folder.name,
        film_ids=(str(manifest["film"]),),
        sources=(str(manifest.get("source", folder.name)),),
        settings=settings if isinstance(settings := manifest.get("settings"), Mapping) else {},
        characters=tuple(characters),
        regularisation=regularisation,
        cast=reader.cast(folder / "cast.json"),
        notes=tuple(notes),
    )


class _Unusable(Exception):
    """Why a picture is left out."""


class _Reader:
    """Reads what lies in a film's folder; what leads out of it is not there. `notes` say what was left out."""

    def __init__(self, film: Path) -> None:
        self.film = film
        self.notes: list[str] = []

    def cast(self, path: Path) -> CastFile | None:
        try:
            return load_cast(path) if self._is_here(path) else None
        except InputError as error:
            self.notes.append(f"{error}; nobody is known by it")
            return None

    def json(self, path: Path) -> Any:
        """What a JSON file holds; None when there is none or it cannot be read."""
        try:
            return parse_json(path.read_text(encoding="utf-8")) if self._is_here(path) else None
        except (OSError, ValueError) as error:
            self.notes.append(f"{path.parent.name}: {path.name} cannot be read ({error}) and is not used")
            return None

    def pictures(self, place: Path, base: Path) -> tuple[ExportPicture, ...]:
        """The usable pictures of one set. `place` holds `metadata.jsonl`, to whose paths it is the root; `base` holds `images/` and `captions/`."""
        rows = self._rows(place / METADATA)
        here = visible_files(base / "images")
        known = {real_path(place / name): row for name, row in rows.items()}
        present = {real_path(path) for path in here}
        for name in rows:
            if real_path(place / name) not in present:
                self.notes.append(f"{place.name}: {name} is in the manifest but gone from the disk; it is left out")
        order = {path: number for number, path in enumerate(known)}
        found: dict[str, ExportPicture] = {}
        for path in sorted(here, key=lambda one: (order.get(real_path(one), len(order)), one.name)):
            try:
                picture = self._picture(path, base, known.get(real_path(path), {}))
                # file systems that take Hana_1 and hana_1 for one name would lose a caption
                if (other := found.setdefault(path.stem.casefold(), picture)) is not picture:
                    raise _Unusable(f"its caption file would be that of {other.path.name}; rename one of them")
            except _Unusable as why:
                self.notes.append(f"{place.name}: {path.name} is left out: {why}")
        return tuple(found.values())

    def _rows(self, path: Path) -> dict[str, Mapping[str, Any]]:
        """`file_name` → row, in the file's order. A line that is no row is noted and left out."""
        rows: dict[str, Mapping[str, Any]] = {}
        try:
            lines = path.read_text(encoding="utf-8").split("\n") if is_inside(path, self.film) else []
        except (OSError, UnicodeDecodeError):
            unknown = "so outfits, shots and times are unknown"
            self.notes.append(f"{path.parent.name}: metadata.jsonl cannot be read, {unknown}")
            return {}
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
                if not isinstance(name := row["file_name"], str) or "\0" in name:
                    raise ValueError(name)
                rows[name] = row
            except (ValueError, KeyError, TypeError):
                self.notes.append(f"{path.parent.name}: line {number} of metadata.jsonl is no row and is left out")
        return rows

    def _picture(self, path: Path, base: Path, row: Mapping[str, Any]) -> ExportPicture:
        """Raises `_Unusable`."""
        if path.suffix.lower() not in PICTURES:
            ending = path.suffix or "a file without ending"
            raise _Unusable(f"{ending} is nothing that every trainer reads; make it a .png")
        if not is_inside(path, self.film):
            raise _Unusable(_OUTSIDE)
        caption = self._caption(base / "captions" / f"{path.stem}.txt")
        size = _size(path)
        if size is None:
            raise _Unusable("it cannot be read as a picture; make it again or remove it")
        mask = base / "masks" / f"{path.stem}.png"
        if fault := self._fault_of_mask(mask, size):
            self.notes.append(f"{base.parent.name}: the mask of {path.name} is not used: {fault}")
        said: dict[str, Any] = {name: str(row.get(name) or UNKNOWN) for name in _ATTRIBUTES}
        said |= {name: _whole(row.get(name)) for name in ("time_ms", "shot", "rank")}
        return ExportPicture(
            path=path,
            stem=path.stem,
            caption=caption,
            film=self.film.name,
            sha256=sha256_of(path),
            width=size[0],
            height=size[1],
            mask=mask if mask.is_file() and not fault else None,
            row=row,
            **said,
        )

    def _fault_of_mask(self, mask: Path, size: tuple[int, int]) -> str:
        """Why a mask cannot be that of a picture of this size; empty when it can, or there is none."""
        if not mask.is_file():
            return ""
        if not is_inside(mask, self.film):
            return _OUTSIDE
        found = _size(mask)
        shown = "unreadable" if found is None else f"{found[0]}x{found[1]}"
        return "" if found == size else f"expected {size[0]}x{size[1]}, got {shown}"

    def _caption(self, path: Path) -> str:
        """The file's tags on one line, each once, whatever lines and commas somebody left in it. Raises `_Unusable`."""
        name = f"captions/{path.name}"
        if not is_inside(path, self.film):
            raise _Unusable(f"{name}: {_OUTSIDE}")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise _Unusable(f"it has no caption; write {name}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise _Unusable(f"its caption {name} cannot be read as UTF-8 ({error}); save it as UTF-8") from None
        tags = caption_tags(re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", ",", text))
        # `\t` and the like inside a tag would be blanks to some trainers and letters to others
        line = ", ".join(dict.fromkeys(re.sub(r"\s+", " ", tag) for tag in tags))
        if not line:
            raise _Unusable(f"its caption {name} is empty; write at least the trigger word")
        return line

    def _is_here(self, path: Path) -> bool:
        return path.is_file() and is_inside(path, self.film)


def _whole(value: Any) -> int | None:
    """A whole number of at most 64 bits, as tables hold them; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height from the file's head; None when it is no picture."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
