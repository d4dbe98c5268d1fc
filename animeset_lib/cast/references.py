"""Reference pictures: `references/<name>/*.png` name the characters that look like them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from animeset_lib.cast.head_box import head_crop
from animeset_lib.cast.names import character_name
from animeset_lib.errors import InputError
from animeset_lib.media import kinds_of, picture_folders, pictures_in, read_image, unread_pictures
from animeset_lib.models.api import Detector, Embedder, Picture

__all__ = ["embed_references", "find_references", "overlooked_references", "reference_pictures", "references_digest"]


def find_references(folder: Path) -> dict[str, list[Path]]:
    """Character name → its pictures, sorted by name; folders without pictures are left out, hidden files ignored.

    Raises `InputError` when `folder` is not a folder or two sub-folders come to the same name.
    """
    if not folder.is_dir():
        raise InputError(
            f"the reference folder {folder} is not there; expected a folder with one sub-folder of pictures per character"
        )
    found: dict[str, list[Path]] = {}
    origin: dict[str, str] = {}
    for place in _characters_in(folder):
        pictures = reference_pictures(place)
        if not pictures:
            continue
        name = character_name(place.name)
        if name in found:
            raise InputError(
                f"the reference folders '{origin[name]}' and '{place.name}' both come to the name '{name}'; rename one of them or put "
                "their pictures together"
            )
        found[name], origin[name] = pictures, place.name
    return found


def reference_pictures(place: Path) -> list[Path]:
    """The pictures of the character whose folder is `place`: those in it and, where there are any, those of its sub-folders.

    A folder with pictures in sub-folders alone may as well be that of a show with a folder for each character, so it gives none;
    `overlooked_references` says so.
    """
    own = sorted(pictures_in(place))
    return own + [picture for inner in picture_folders(place) for picture in pictures_in(inner)] if own else []


def overlooked_references(folder: Path) -> list[str]:
    """Notes for a person on what lies in the reference folder and names nobody, with what to do about it."""
    notes = []
    if loose := [*pictures_in(folder), *unread_pictures(folder)]:
        notes.append(
            f"{len(loose)} pictures directly in {folder} name nobody; put them into a folder with the character's name there"
        )
    for place in _characters_in(folder):
        if unread := unread_pictures(place):
            notes.append(f"{place}: {kinds_of(unread)} ignored, such pictures are not read; save them as PNG or JPEG")
        if pictures_in(place):
            continue
        if inner := picture_folders(place):
            names = ", ".join(one.name for one in inner)
            notes.append(
                f"{place} names nobody: its pictures lie in sub-folders ({names}); if these are characters, give {place} as the reference "
                f"folder, else put their pictures directly into {place.name}"
            )
        elif not unread:
            others = [path for path in place.iterdir() if path.is_file() and not path.name.startswith(".")]
            got = f"only {kinds_of(others)}" if others else "nothing"
            notes.append(f"{place} names nobody: expected pictures, got {got}; put some in, or remove the folder")
    return notes


def _characters_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def references_digest(references: Mapping[str, Sequence[Path]]) -> str:
    """SHA-256 over names and contents of the pictures; where they lie and what they are called does not matter."""
    total = hashlib.sha256()
    for name, pictures in references.items():
        contents = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures)
        total.update(f"{name}:{','.join(contents)};".encode())
    return total.hexdigest()


def embed_references(
    references: Mapping[str, Sequence[Path]], detector: Detector, embedder: Embedder, log: logging.Logger
) -> dict[str, npt.NDArray[np.float32]]:
    """Character name → `(K, D)` vectors, one per readable picture: of its largest face, or of the whole picture where no face is found.

    An unreadable picture is left out with a warning; so is a character that has no other.
    """
    result: dict[str, npt.NDArray[np.float32]] = {}
    for name, paths in references.items():
        heads = []
        for path in paths:
            try:
                heads.append(_head(read_image(path), detector))
            except InputError as error:
                log.warning("3d_cast: a reference picture of %s is left out: %s", name, error)
        if heads:
            result[name] = embedder.embed(heads)
        else:
            log.warning("3d_cast: %s has no usable reference picture and names nobody", name)
    return result


def _head(picture: Picture, detector: Detector) -> Picture:
    faces = [found for found in detector.detect([picture])[0] if found.kind == "face"]
    if not faces:
        return picture
    return head_crop(picture, max(faces, key=lambda face: (face.box.area, face.score)).box)
