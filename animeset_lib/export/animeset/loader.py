"""A published film, `output/<film>`, or one character's folder in it, as this program writes it and people edit it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import caption_from, ignored_pictures
from animeset_lib.export.loaded import (
    MOST,
    Kind,
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    lines_of,
    parsed,
    sorted_files,
    sorted_folders,
    tag_key,
    tags_of,
)
from animeset_lib.words.line import trigger_in
from animeset_lib.words.traits import leaks_of

__all__ = ["REGULARISATION", "is_character", "is_film", "load_canonical"]

REGULARISATION = "regularisation"
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_READS = ".png, .jpg, .jpeg and .webp"


def is_character(path: Path) -> bool:
    """Whether `path` is one character's folder."""
    return (path / "dataset" / "images").is_dir()


def is_film(path: Path) -> bool:
    """Whether `path` is a published film."""
    return (path / "animeset.json").is_file() or any(is_character(child) for child in sorted_folders(path))


def load_canonical(path: Path, root: Path) -> Loaded:
    """All characters of a film (or the one character that `path` is), and its regularisation pictures."""
    notes = Notes(root)
    characters = [path] if is_character(path) else [child for child in sorted_folders(path) if is_character(child)]
    film = path.parent if is_character(path) else path
    manifest = _object(notes, film / "animeset.json")
    sets = [
        _set(notes, folder, folder / "dataset" / "images", folder / "dataset" / "captions", manifest, "train")
        for folder in characters
        if not is_hidden(folder)
    ]
    scenery = path / REGULARISATION
    if (scenery / "images").is_dir():
        sets.append(_set(notes, scenery, scenery / "images", scenery / "captions", manifest, "regularisation"))
    if not sets:
        notes.error(
            "no_pictures",
            path,
            "expected folders with dataset/images, one per character, got none: README.md beside it says why no character was found",
        )
    return Loaded("animeset", path, tuple(sets), tuple(notes.findings), _training_px(manifest), has_repeats=False)


def _object(notes: Notes, path: Path, name: str = "") -> dict[str, Any]:
    """The JSON object in `path`, empty where there is none."""
    if not path.is_file():
        return {}
    try:
        tree = parsed(notes.text(path, name) or "", "json")
    except ValueError as problem:
        notes.error(
            "not_parsed", path, f"expected JSON, got text that is none ({problem}); publish the film again", name
        )
        return {}
    return tree if isinstance(tree, dict) else {}


def _training_px(manifest: Mapping[str, Any]) -> float | None:
    settings = manifest.get("settings")
    for stage in ("crop", "upscale"):
        values = settings.get(stage) if isinstance(settings, dict) else None
        side = values.get("training_px") if isinstance(values, dict) else None
        if isinstance(side, int) and 0 < side < MOST:
            return float(side)
    return None


def _set(
    notes: Notes, folder: Path, images: Path, captions: Path, manifest: Mapping[str, Any], kind: Kind
) -> LoadedSet:
    name = folder.name
    files = sorted_files(images)
    pictures = [path for path in files if path.suffix.lower() in _SUFFIXES and not is_hidden(path)]
    ignored_pictures(notes, files, set(pictures).__contains__, _READS, name)
    if not pictures:
        notes.error("no_pictures", images, f"expected pictures ({_READS}), got none", name)
    rows = _rows(notes, folder / "metadata.jsonl", name)
    loaded = tuple(_picture(notes, folder, picture, captions, rows, manifest, name) for picture in pictures)
    present = {path.relative_to(folder).as_posix() for path in pictures}
    for file_name in rows:
        if file_name not in present:
            notes.error(
                "missing_picture",
                folder / file_name,
                "stands in metadata.jsonl, but is not there; put it back or publish the film again",
                name,
            )
    stems = {picture.stem for picture in pictures}
    for caption in sorted_files(captions):
        if caption.suffix.lower() == ".txt" and not is_hidden(caption) and caption.stem not in stems:
            notes.warning("caption_without_picture", caption, "belongs to no picture of its name in images/", name)
    traits = _object(notes, folder / "traits.json", name)
    for picture in loaded:
        _check_leaks(notes, picture, traits, name)
    characters = {row["character"] for row in rows.values() if isinstance(row.get("character"), str)}
    trigger = characters.pop() if len(characters) == 1 else name
    if isinstance(traits.get("trigger"), str):
        trigger = traits["trigger"]
        now = trigger_in((tags_of(picture.captions[0]) for picture in loaded), traits)
        if tag_key(name) in tag_key(now):  # captions may have been written anew with another one
            trigger = now
    return LoadedSet(
        name,
        loaded,
        kind=kind,
        trigger=None if kind == "regularisation" else trigger,
        trigger_is_sure=kind == "train" and isinstance(traits.get("trigger"), str),
    )


def _rows(notes: Notes, path: Path, name: str) -> dict[str, dict[str, Any]]:
    """Rows of metadata.jsonl by file name."""
    if not path.is_file():
        notes.warning(
            "no_metadata", path, "is not there, so what the pictures show is unknown; publish the film again", name
        )
        return {}
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines_of(notes.text(path, name) or ""), start=1):
        try:
            row = parsed(line, "json")
            if not isinstance(name_of := row["file_name"], str):
                raise ValueError(name_of)
            rows[name_of] = row
        except (ValueError, TypeError, KeyError):
            notes.error(
                "not_parsed", path, f"line {number} is no object with a file_name; publish the film again", name
            )
    return rows


def _picture(
    notes: Notes,
    folder: Path,
    picture: Path,
    captions: Path,
    rows: Mapping[str, Mapping[str, Any]],
    manifest: Mapping[str, Any],
    name: str,
) -> LoadedPicture:
    file_name = picture.relative_to(folder).as_posix()
    row = rows.get(file_name, {})
    if rows and not row:
        notes.warning("not_listed", picture, "stands in no row of metadata.jsonl; what it shows is unknown", name)
    caption = captions / f"{picture.stem}.txt"
    fed: tuple[str, ...] = ("",)
    if caption.is_file():
        fed = caption_from(notes, caption, "first_line", name)
    else:
        notes.error(
            "missing_caption", picture, f"has no caption {notes.shown(caption)}; write it or take the picture out", name
        )
    _check_hash(notes, folder, picture, row, manifest, name)
    mask = folder / "dataset" / "masks" / f"{picture.stem}.png"
    return LoadedPicture(picture, fed, caption, mask if mask.is_file() else None, _size(row), row)


def _check_hash(
    notes: Notes, folder: Path, picture: Path, row: Mapping[str, Any], manifest: Mapping[str, Any], name: str
) -> None:
    files = manifest.get("files")
    published = (
        files.get(f"{folder.name}/{picture.relative_to(folder).as_posix()}") if isinstance(files, dict) else None
    )
    expected = row.get("sha256", published)
    if not isinstance(expected, str):
        return
    try:
        got = hashlib.sha256(picture.read_bytes()).hexdigest()
    except OSError:
        return  # told when it is decoded
    if got != expected:
        notes.warning(
            "picture_changed",
            picture,
            "is not the one that was published (SHA-256 differs); its caption may not fit any more",
            name,
        )


def _check_leaks(notes: Notes, picture: LoadedPicture, traits: Mapping[str, Any], name: str) -> None:
    """Says which words of a caption tell what the character's trigger shall learn, by the choices in its traits.json."""
    tags = [tag for tag in tags_of(picture.captions[0]) if tag]
    if not tags or not isinstance(traits.get("trigger"), str):
        return
    # Whether the trigger is there and where is asked of every format in the same way, so here it counts as there.
    trigger = next((tag for tag in tags if tag_key(tag) == tag_key(traits["trigger"])), tags[0])
    try:
        found = leaks_of({**traits, "trigger": trigger, "trigger_first": False}, tags)
    except (KeyError, TypeError):
        return
    for sentence in found:
        notes.warning(
            "identity_leak", picture.caption_file or picture.path, f"{sentence}; take it out or keep it in traits", name
        )


def _size(row: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None
