"""A published film, `output/<film>`, or one character's folder in it, as this program writes it and people edit it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from animeset_lib.export.beside import caption_from, lonely_captions, taken_pictures
from animeset_lib.export.files import existing, is_hidden, sorted_files, sorted_folders
from animeset_lib.export.loaded import Kind, Loaded, LoadedPicture, LoadedSet, stated_size
from animeset_lib.export.notes import MOST, Notes
from animeset_lib.export.texts import tag_key, tags_of
from animeset_lib.published.reader import REGULARISATION
from animeset_lib.words.line import trigger_in
from animeset_lib.words.traits import leaks_of

__all__ = ["load", "recognises"]

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_READS = ".png, .jpg, .jpeg and .webp"


def recognises(path: Path, tree: Any) -> bool:
    """Whether `path` is a published film, or one character's folder of one."""
    return (path / "animeset.json").is_file() or any(map(_is_character, (path, *sorted_folders(path))))


def _is_character(path: Path) -> bool:
    return (path / "dataset" / "images").is_dir()


def load(path: Path, root: Path) -> Loaded:
    """All characters of a film (or the one character that `path` is), and its regularisation pictures."""
    notes = Notes(root)
    characters = [path] if _is_character(path) else [child for child in sorted_folders(path) if _is_character(child)]
    film = path.parent if _is_character(path) else path
    manifest = _object(notes, film / "animeset.json")
    found = manifest.get("files")
    hashes = found if isinstance(found, dict) else {}
    sets = [
        _set(notes.of(folder.name), folder, folder / "dataset", hashes, "train")
        for folder in characters
        if not is_hidden(folder)
    ]
    scenery = path / REGULARISATION
    if (scenery / "images").is_dir():
        sets.append(_set(notes.of(scenery.name), scenery, scenery, hashes, "regularisation"))
    if not sets:
        words = "expected folders with dataset/images, one per character, got none: README.md beside it says why no character was found"
        notes.error("no_pictures", path, words)
    return Loaded(tuple(sets), tuple(notes.findings), _training_px(manifest), has_repeats=False)


def _object(notes: Notes, path: Path) -> dict[str, Any]:
    """The JSON object in `path`, empty where there is none."""
    if not path.is_file():
        return {}
    return notes.tree(path, "json", dict[str, Any], "a JSON object; publish the film again") or {}


def _training_px(manifest: Mapping[str, Any]) -> float | None:
    match manifest.get("settings"):
        case {"crop": {"training_px": int(side)}} | {"upscale": {"training_px": int(side)}} if 0 < side < MOST:
            return side
    return None


def _set(notes: Notes, folder: Path, within: Path, hashes: Mapping[str, Any], kind: Kind) -> LoadedSet:
    """The set of `folder`, whose pictures and captions are in `within`. `hashes`: file → SHA-256, as the film's animeset.json has it."""
    images, captions = within / "images", within / "captions"
    files = sorted_files(images)
    pictures = taken_pictures(
        notes, images, files, lambda path: path.suffix.lower() in _SUFFIXES and not is_hidden(path), _READS
    )
    rows = _rows(notes, folder / "metadata.jsonl")
    loaded = tuple(_picture(notes, folder, picture, captions, rows) for picture in pictures)
    present = {path.relative_to(folder).as_posix() for path in pictures}
    for file_name in (name for name in rows if name not in present):
        words = "stands in metadata.jsonl, but is not there; put it back or publish the film again"
        notes.error("missing_picture", folder / file_name, words)
    for picture in loaded:
        _check_hash(notes, picture, hashes.get(f"{folder.name}/{picture.path.relative_to(folder).as_posix()}"))
    lonely_captions(notes, sorted_files(captions), ".txt", [captions / picture.name for picture in pictures])
    traits = _object(notes, folder / "traits.json")
    has_trigger = isinstance(traits.get("trigger"), str)
    if has_trigger:
        for picture in loaded:
            _check_leaks(notes, picture, traits)
    return LoadedSet(
        folder.name,
        loaded,
        kind=kind,
        trigger=None if kind == "regularisation" else _trigger(folder.name, loaded, traits),
        trigger_is_sure=kind == "train" and has_trigger,
    )


def _trigger(name: str, pictures: Sequence[LoadedPicture], traits: Mapping[str, Any]) -> str:
    """What traits.json says, unless captions were written anew with another one; else whom all rows name."""
    if isinstance(trigger := traits.get("trigger"), str):
        now = trigger_in((tags_of(picture.captions[0]) for picture in pictures), traits)
        return now if tag_key(name) in tag_key(now) else trigger
    characters = {said for picture in pictures if isinstance(said := picture.facts.get("character"), str)}
    return characters.pop() if len(characters) == 1 else name


def _rows(notes: Notes, path: Path) -> dict[str, dict[str, Any]]:
    """Rows of metadata.jsonl by file name."""
    if not path.is_file():
        words = "is not there, so what the pictures show is unknown; publish the film again"
        notes.warning("no_metadata", path, words)
        return {}
    return {row["file_name"]: row for row in notes.json_lines(path, "publish the film again", "file_name")}


def _picture(
    notes: Notes, folder: Path, picture: Path, captions: Path, rows: Mapping[str, Mapping[str, Any]]
) -> LoadedPicture:
    row = rows.get(picture.relative_to(folder).as_posix(), {})
    if rows and not row:
        notes.warning("not_listed", picture, "stands in no row of metadata.jsonl; what it shows is unknown")
    caption = captions / f"{picture.stem}.txt"
    fed: tuple[str, ...] = ("",)
    if caption.is_file():
        fed = caption_from(notes, caption, "first_line")
    else:
        words = f"has no caption {notes.shown(caption)}; write it or take the picture out"
        notes.error("missing_caption", picture, words)
    mask = existing(folder / "dataset" / "masks" / f"{picture.stem}.png")
    return LoadedPicture(picture, fed, caption, mask, stated_size(row), row)


def _check_hash(notes: Notes, picture: LoadedPicture, published: Any) -> None:
    expected = picture.facts.get("sha256", published)
    with suppress(OSError):  # told when it is decoded
        if isinstance(expected, str) and hashlib.sha256(picture.path.read_bytes()).hexdigest() != expected:
            words = "is not the one that was published (SHA-256 differs); its caption may not fit any more"
            notes.warning("picture_changed", picture.path, words)


def _check_leaks(notes: Notes, picture: LoadedPicture, traits: Mapping[str, Any]) -> None:
    """Says which words of a caption tell what the character's trigger shall learn, by the choices in its traits.json."""
    tags = [tag for tag in tags_of(picture.captions[0]) if tag]
    if not tags:
        return
    # Whether the trigger is there and where is asked of every format in the same way, so here it counts as there.
    trigger = next((tag for tag in tags if tag_key(tag) == tag_key(traits["trigger"])), tags[0])
    with suppress(KeyError, TypeError):
        for sentence in leaks_of({**traits, "trigger": trigger, "trigger_first": False}, tags):
            words = f"{sentence}; take it out or keep it in traits"
            notes.warning("identity_leak", picture.caption_file or picture.path, words)
