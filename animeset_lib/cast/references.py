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
from animeset_lib.media import read_image
from animeset_lib.models.api import Detector, Embedder, Picture

__all__ = ["embed_references", "find_references", "references_digest"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


def find_references(folder: Path) -> dict[str, list[Path]]:
    """Character name → its pictures, both sorted; folders without pictures are left out, hidden files ignored.

    Raises `InputError` when `folder` is not a folder or two sub-folders come to the same name.
    """
    if not folder.is_dir():
        raise InputError(
            f"the reference folder {folder} is not there; expected a folder with one sub-folder of pictures per character"
        )
    found: dict[str, list[Path]] = {}
    origin: dict[str, str] = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        pictures = sorted(
            path
            for path in place.iterdir()
            if path.suffix.lower() in _SUFFIXES and path.is_file() and not path.name.startswith(".")
        )
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
