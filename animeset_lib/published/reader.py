"""A published film folder as it is on the disk now → characters with pictures and captions, for exporters and the linter.

The manifest (`metadata.jsonl`) says what a picture shows; the `.txt` beside it says the caption, for people edit that. A picture that somebody added
without a row counts too, its attributes are `unknown`. What cannot be used is left out with a sentence in `notes`, never silently.
The folder may come from somebody else: links that lead out of it are not followed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from animeset_lib.cast.names import is_automatic
from animeset_lib.errors import InputError
from animeset_lib.published.publish import read_manifest
from animeset_lib.run.store import parse_json
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = [
    "REGULARISATION",
    "CharacterSet",
    "ExportPicture",
    "PublishedFilm",
    "RegularisationSet",
    "caption_tags",
    "join_films",
    "read_film",
]

REGULARISATION = "regularisation"
"""Folder of a published film with pictures that show nobody."""

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
"""What every trainer here reads."""

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

    `trigger` is the word that `traits.json` calls so where at least half of the captions begin with it (hold it, where the template puts other
    words first), else the most frequent first tag of the captions. `traits` and `subsets` are what `traits.json` and `subsets.json` hold, or None.
    """

    name: str
    trigger: str
    pictures: tuple[ExportPicture, ...]
    traits: Any = None
    subsets: Any = None


@dataclass(frozen=True)
class RegularisationSet:
    """Pictures that show none of the characters; may be empty."""

    pictures: tuple[ExportPicture, ...] = ()


@dataclass(frozen=True)
class PublishedFilm:
    """What a published folder holds. `settings` are those of the run that made it; `notes` say what was left out, and why."""

    folder: Path
    name: str
    film_ids: tuple[str, ...]
    sources: tuple[str, ...]
    settings: Mapping[str, Any]
    characters: tuple[CharacterSet, ...]
    regularisation: RegularisationSet
    notes: tuple[str, ...]
    counted: frozenset[str] = frozenset()
    """Characters whose name is only the program's count in this film (`character_01`): nothing ties them to those of another film."""

    @property
    def training_px(self) -> int | None:
        """The side of the square that the pictures were made for; None when the manifest does not say."""
        found = self.settings.get("upscale", {})
        side = found.get("training_px") if isinstance(found, Mapping) else None
        return side if isinstance(side, int) and side > 0 else None


def caption_tags(caption: str) -> tuple[str, ...]:
    """The parts of a caption between commas, without surrounding white space and without empty ones."""
    return tuple(tag for tag in (part.strip() for part in caption.split(",")) if tag)


def read_film(folder: Path) -> PublishedFilm:
    """Read `output/<film>` as it is now. Raises `InputError` when it is no published film or holds no picture that can be used."""
    manifest = read_manifest(folder)
    if "film" not in manifest:
        raise InputError(
            f"{folder} is no published film: expected a folder with animeset.json as `animeset run` leaves it below output/, got "
            f"{'a folder without one' if folder.is_dir() else 'no folder'}; give such a folder, or a film's name"
        )
    notes: list[str] = []
    characters = []
    for place in sorted(path for path in folder.iterdir() if path.name[0] != "." and _has_images(path / "dataset")):
        pictures = _pictures(place, place / "dataset", folder, notes)
        if pictures:
            traits = _json(place / "traits.json", folder, notes)
            characters.append(
                CharacterSet(
                    name=place.name,
                    trigger=_trigger(pictures, traits),
                    pictures=pictures,
                    traits=traits,
                    subsets=_json(place / "subsets.json", folder, notes),
                )
            )
    apart = folder / REGULARISATION
    regularisation = _pictures(apart, apart, folder, notes) if _has_images(apart) else ()
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
        regularisation=RegularisationSet(regularisation),
        notes=tuple(notes),
        counted=_counted(_json(folder / "cast.json", folder, notes)),
    )


def _counted(cast: Any) -> frozenset[str]:
    """Automatic names that no cast file, reference picture or person gave; all automatic ones where the cast does not say."""
    known = cast.get("characters") if isinstance(cast, Mapping) else None
    rows = [row for row in known if isinstance(row, Mapping)] if isinstance(known, list) else []
    return frozenset(
        str(row.get("name")) for row in rows if is_automatic(str(row.get("name"))) and row.get("source") == "cluster"
    )


def join_films(films: Sequence[PublishedFilm]) -> PublishedFilm:
    """The films of a series as one: characters of equal names are one character, in the order of the films.

    Stems get the film's name in front (its id too where two films bear one name), so nothing collides. One film is given back as it is.
    Raises `InputError` when a film is given twice, or none, or when two films counted a `character_01` of their own: that may be two people.
    """
    if not films:
        raise InputError("no film was given; name at least one published film")
    if len(films) == 1:
        return films[0]
    ids = [film_id for film in films for film_id in film.film_ids]
    twice = sorted(film_id for film_id, count in Counter(ids).items() if count > 1)
    if twice:
        names = ", ".join(str(film.folder) for film in films if set(film.film_ids) & set(twice))
        raise InputError(f"the film {twice[0]} was given more than once ({names}); name each film once")
    strangers = sorted(
        name for name, count in Counter(name for film in films for name in film.counted).items() if count > 1
    )
    if strangers:
        raise InputError(
            f"{', '.join(strangers)}: that is what each of these films calls somebody by itself, so it may be different people, who must not come "
            f"into one set; name them (`animeset decide FILM name {strangers[0]} hana`, or the cast board), or run the later film with the cast of "
            f"the earlier one (--cast {films[0].folder / 'cast.json'})"
        )
    same_name = Counter(film.name for film in films)
    notes = [f"{film.name}: {note}" for film in films for note in film.notes]
    merged: dict[str, list[CharacterSet]] = {}
    apart: list[ExportPicture] = []
    for film in films:
        prefix = film.name if same_name[film.name] == 1 else f"{film.name}_{film.film_ids[0]}"
        apart += _prefixed(film.regularisation.pictures, prefix)
        for character in film.characters:
            pictures = _prefixed(character.pictures, prefix)
            merged.setdefault(character.name, []).append(replace(character, pictures=pictures))
    characters = []
    for name, parts in sorted(merged.items()):
        pictures = tuple(picture for part in parts for picture in part.pictures)
        triggers: Counter[str] = Counter()
        for part in parts:
            triggers[part.trigger] += len(part.pictures)
        if len(triggers) > 1:
            named = ", ".join(sorted(triggers))
            notes.append(f"{name}: the films use different triggers ({named}); the most frequent is used")
        characters.append(CharacterSet(name=name, trigger=_most_frequent(triggers), pictures=pictures))
    return PublishedFilm(
        folder=films[0].folder.parent,
        name="series",
        film_ids=tuple(ids),
        sources=tuple(source for film in films for source in film.sources),
        settings=films[0].settings,
        characters=tuple(characters),
        regularisation=RegularisationSet(tuple(apart)),
        notes=tuple(notes),
    )


def _prefixed(pictures: Iterable[ExportPicture], prefix: str) -> tuple[ExportPicture, ...]:
    return tuple(replace(picture, stem=f"{prefix}_{picture.stem}") for picture in pictures)


def _trigger(pictures: Sequence[ExportPicture], traits: Any) -> str:
    """See `CharacterSet`."""
    told = traits if isinstance(traits, Mapping) else {}
    said, first = told.get("trigger"), told.get("trigger_first")
    # captions may have been written anew with another trigger since, in which the character's name still stands further back
    holding = sum(said in (picture.tags[:1] if first else picture.tags) for picture in pictures)
    if isinstance(said, str) and 2 * holding >= len(pictures):
        return said
    return _most_frequent(Counter(picture.tags[0] for picture in pictures))


def _most_frequent(counts: Mapping[str, int]) -> str:
    """Of equally frequent ones the first by name."""
    return min(counts, key=lambda tag: (-counts[tag], tag))


def _pictures(place: Path, base: Path, film: Path, notes: list[str]) -> tuple[ExportPicture, ...]:
    """The usable pictures of one set. `place` holds `metadata.jsonl`, to whose paths it is the root; `base` holds `images/` and `captions/`;
    `film` is the folder that no link may lead out of.
    """
    rows = _rows(place / "metadata.jsonl", film, notes)
    here = sorted(path for path in (base / "images").iterdir() if path.is_file() and path.name[0] != ".")
    known = {_real(place / name): row for name, row in rows.items()}
    present = {_real(path) for path in here}
    for name in rows:
        if _real(place / name) not in present:
            notes.append(f"{place.name}: {name} is in the manifest but gone from the disk; it is left out")
    order = {path: number for number, path in enumerate(known)}
    found: dict[str, ExportPicture] = {}
    for path in sorted(here, key=lambda one: (order.get(_real(one), len(order)), one.name)):
        picture, fault = _picture(path, base, film, known.get(_real(path), {}), notes)
        if picture is None:
            notes.append(f"{place.name}: {path.name} is left out: {fault}")
        # file systems that take Hana_1 and hana_1 for one name would lose a caption
        elif (other := found.get(path.stem.casefold())) is not None:
            notes.append(
                f"{place.name}: {path.name} is left out: its caption file would be that of {other.path.name}; rename one of them"
            )
        else:
            found[path.stem.casefold()] = picture
    return tuple(found.values())


def _picture(
    path: Path, base: Path, film: Path, row: Mapping[str, Any], notes: list[str]
) -> tuple[ExportPicture | None, str]:
    """The picture, or None and why it cannot be used."""
    if path.suffix.lower() not in _PICTURES:
        return None, f"{path.suffix or 'a file without ending'} is nothing that every trainer reads; make it a .png"
    if not _is_inside(path, film):
        return None, _OUTSIDE
    caption, fault = _caption(base / "captions" / f"{path.stem}.txt", film)
    if caption is None:
        return None, fault
    size = _size(path)
    if size is None:
        return None, "it cannot be read as a picture; make it again or remove it"
    mask: Path | None = base / "masks" / f"{path.stem}.png"
    if mask is not None and not mask.is_file():
        mask = None
    elif mask is not None and not _is_inside(mask, film):
        notes.append(f"{base.parent.name}: the mask of {path.name} is not used: {_OUTSIDE}")
        mask = None
    elif mask is not None and (mask_size := _size(mask)) != size:
        shown = "unreadable" if mask_size is None else f"{mask_size[0]}x{mask_size[1]}"
        notes.append(
            f"{base.parent.name}: the mask of {path.name} is not used: expected {size[0]}x{size[1]}, got {shown}"
        )
        mask = None
    said: dict[str, Any] = {name: str(row.get(name) or UNKNOWN) for name in _ATTRIBUTES}
    said |= {name: _whole(row.get(name)) for name in ("time_ms", "shot", "rank")}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    picture = ExportPicture(
        path=path,
        stem=path.stem,
        caption=caption,
        film=film.name,
        sha256=digest,
        width=size[0],
        height=size[1],
        mask=mask,
        row=row,
        **said,
    )
    return picture, ""


def _caption(path: Path, film: Path) -> tuple[str | None, str]:
    """The file's tags on one line, each once, whatever lines and commas somebody left in it; or None and why there is none."""
    if not _is_inside(path, film):
        return None, f"captions/{path.name}: {_OUTSIDE}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None, f"it has no caption; write captions/{path.name}"
    except (OSError, UnicodeDecodeError) as error:
        return None, f"its caption captions/{path.name} cannot be read as UTF-8 ({error}); save it as UTF-8"
    tags = caption_tags(re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", ",", text))
    # `\t` and the like inside a tag would be blanks to some trainers and letters to others
    spaced = [re.sub(r"\s+", " ", tag) for tag in tags]
    line = ", ".join(dict.fromkeys(spaced))
    return (line, "") if line else (None, f"its caption captions/{path.name} is empty; write at least the trigger word")


def _has_images(base: Path) -> bool:
    """Whether this is the folder of one set."""
    return (base / "images").is_dir()


def _real(path: Path) -> Path:
    """Where a path leads. `Path.resolve` stops at links that lead to themselves."""
    return Path(os.path.realpath(path))


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path still leads into the folder when all links are followed."""
    return _real(path).is_relative_to(_real(folder))


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


def _rows(path: Path, film: Path, notes: list[str]) -> dict[str, Mapping[str, Any]]:
    """`file_name` → row, in the file's order. A line that is no row is noted and left out."""
    rows: dict[str, Mapping[str, Any]] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n") if _is_inside(path, film) else []
    except (OSError, UnicodeDecodeError):
        notes.append(f"{path.parent.name}: metadata.jsonl cannot be read, so outfits, shots and times are unknown")
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
            notes.append(f"{path.parent.name}: line {number} of metadata.jsonl is no row and is left out")
    return rows


def _json(path: Path, film: Path, notes: list[str]) -> Any:
    """What a JSON file holds; None when there is none or it cannot be read."""
    if not path.is_file() or not _is_inside(path, film):
        return None
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        notes.append(f"{path.parent.name}: {path.name} cannot be read ({error}) and is not used")
        return None
