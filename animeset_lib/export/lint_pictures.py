"""Pictures of a data set: can each be decoded, is it large enough, well named, and not there twice."""

from __future__ import annotations

import hashlib
import io
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.dataset.selection import THUMB_PX, thumb_difference
from animeset_lib.errors import InputError
from animeset_lib.export.files import is_hidden
from animeset_lib.export.loaded import Loaded, LoadedPicture, LoadedSet
from animeset_lib.export.notes import Notes
from animeset_lib.frames.hashing import neighbours, perceptual_hash
from animeset_lib.media import read_image

__all__ = ["Measured", "check_collisions", "check_duplicates", "check_name", "check_picture", "measure_all"]

TINY_PX = 256
"""Side of a square as large as the smallest picture worth training: at the smallest usual size, 512, it would be enlarged twofold."""
_TOLERANCE = 1.25
"""A picture smaller than the training size by less than this is not worth a word; the pipeline itself enlarges from 1.2 on."""
_HASH_RADIUS = 12
"""Bits of 64 in which the perceptual hashes of two pictures may differ to be compared more closely."""
_FAR_APART = 0.15
_NEAR, _SAME = 0.04, 0.02
"""Largest difference of any part of two aligned thumbnails. 0.04 is the default of the setting dataset.same_picture, by the same measure, so pictures
that the selection let stand beside each other pass; slight lip movement begins at 0.02, nothing a person sees is below."""
_WINDOWS = re.compile(r'[<>:"|?*\\]|[ .]$|^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)', re.IGNORECASE)
_FORMATS: Mapping[str, tuple[str, ...]] = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif", ".avifs"),
}
"""What Pillow calls a format → the suffixes it may have."""


@dataclass(frozen=True)
class Measured:
    """What is in a picture file. `thumb` is `(THUMB_PX, THUMB_PX, 3)` uint8, squeezed; `why_not` says why it cannot be decoded."""

    digest: str = ""
    why_not: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    phash: int = 0
    thumb: npt.NDArray[np.uint8] | None = None

    @property
    def side(self) -> float:
        """Of a square as large as the picture: trainers sort pictures into buckets of equal area."""
        return float((self.width * self.height) ** 0.5)


def measure_all(loads: Sequence[Loaded], progress: Callable[[int, int], None]) -> dict[Path, Measured]:
    """Every picture decoded once, however many data sets have it (exports are hard links of the published pictures)."""
    paths = sorted({picture.path for loaded in loads for one in loaded.sets for picture in one.pictures})
    first: dict[tuple[int, int, str], Path] = {}
    identity = {}
    for path in paths:
        state = path.stat()
        identity[path] = (state.st_dev, state.st_ino, path.suffix.lower())
        first.setdefault(identity[path], path)
    found = {}
    with ThreadPoolExecutor() as pool:
        for done, (key, value) in enumerate(zip(first, pool.map(_measure, first.values()), strict=True), start=1):
            found[key] = value
            progress(done, len(first))
    return {path: found[identity[path]] for path in paths}


def _measure(path: Path) -> Measured:
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
    except OSError as problem:
        return Measured(why_not=f"cannot be read ({problem.strerror})")
    try:
        pixels = read_image(path)
        with Image.open(io.BytesIO(data)) as image:
            kind = image.format or ""
    except (InputError, OSError) as problem:
        why = str(problem).removeprefix(f"{path}: ")
        return Measured(digest, why)
    small = cv2.resize(pixels, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
    return Measured(
        digest, "", kind, pixels.shape[1], pixels.shape[0], perceptual_hash(pixels), np.asarray(small, np.uint8)
    )


def check_picture(notes: Notes, picture: LoadedPicture, got: Measured, training_px: float) -> None:
    path = picture.path
    if got.why_not:
        notes.error("unreadable_picture", path, got.why_not)
        return
    allowed = _FORMATS.get(got.format)
    if allowed and path.suffix.lower() not in allowed:
        wanted = f"expected {allowed[0]}: rename it (its caption and mask too) or save it anew"
        notes.error("wrong_suffix", path, f"is a {got.format}, not what its name says; {wanted}")
    size = f"{got.width} x {got.height}"
    if got.side < TINY_PX:
        wanted = f"expected at least as much as {TINY_PX} x {TINY_PX}: enlarge it or take it out"
        notes.error("tiny_picture", path, f"{size} is too small; {wanted}")
    elif got.side * _TOLERANCE < training_px:
        wanted = f"the training size {training_px:g} x {training_px:g}"
        notes.warning("small_picture", path, f"{size} is smaller than {wanted}, so it is enlarged and blurred")
    if picture.size is not None and picture.size != (got.width, got.height):
        stated = f"{picture.size[0]} x {picture.size[1]}"
        notes.error("wrong_size", path, f"is {size}, its metadata say {stated}; kohya cuts by those: export again")
    if picture.mask is not None:
        _check_mask(notes, picture.mask, got)


def _check_mask(notes: Notes, mask: Path, picture: Measured) -> None:
    try:
        white = read_image(mask)
    except InputError as problem:
        notes.error("unreadable_picture", mask, str(problem).removeprefix(f"{mask}: "))
        return
    if white.shape[:2] != (picture.height, picture.width):
        got, wanted = f"{white.shape[1]} x {white.shape[0]}", f"{picture.width} x {picture.height}"
        notes.error("mask_size", mask, f"is {got}, its picture {wanted}; make them equal")
    if not white.any():
        words = "is black all over, so nothing of the picture is learned; white means: learn this"
        notes.error("empty_mask", mask, words)


def check_name(notes: Notes, picture: LoadedPicture) -> None:
    for part in Path(os.path.relpath(picture.path, notes.root)).parts:
        if part == "..":
            continue
        if any(unicodedata.category(char)[0] == "C" for char in part):
            notes.error("bad_name", picture.path, f"has control characters in its name ({part!r}); rename it")
        elif _WINDOWS.search(part):
            notes.warning("bad_name", picture.path, f"{part!r} is no file name on Windows; rename it")
    if is_hidden(picture.path):
        notes.warning("hidden_picture", picture.path, "begins with a dot, so most trainers do not see it; rename it")


def check_collisions(notes: Notes, one: LoadedSet) -> None:
    """Names that are one on Windows and macOS, and pictures that share a caption because only their suffixes differ."""
    first: dict[tuple[Path, str], Path] = {}
    for path in (picture.path for picture in one.pictures):
        twin = first.setdefault((path.parent, path.stem.casefold()), path)
        if twin is not path:
            alike = f"has the same name as {twin.name} but for suffix or capitals"
            notes.error("same_name", path, f"{alike}, so they share a caption; rename one")


def check_duplicates(notes: Notes, one: LoadedSet, measured: Mapping[Path, Measured]) -> None:
    """Pictures that are there twice: the same bytes, or the same to the eye."""
    readable = [picture.path for picture in one.pictures if not measured[picture.path].why_not]
    first: dict[str, Path] = {}
    for path in readable:
        twin = first.setdefault(measured[path].digest, path)
        if twin != path:
            notes.error("duplicate_picture", path, f"is the same file as {notes.shown(twin)}; keep one of them")
    for path, other, apart in _alike(list(first.values()), measured):
        say = notes.error if apart < _SAME and one.kind != "regularisation" else notes.warning
        got = f"no part differs by more than {apart:.3f} of 1"
        say("near_duplicate", path, f"looks like {notes.shown(other)} ({got}); keep the better one")


def _alike(paths: Sequence[Path], measured: Mapping[Path, Measured]) -> Iterator[tuple[Path, Path, float]]:
    """Each path that is nearly the same picture as an earlier one, with the nearest such and their difference.

    Perceptual hashes propose, the measure that the selection uses decides.
    """
    hashes = np.array([measured[path].phash for path in paths], np.uint64)
    near = neighbours(hashes, _HASH_RADIUS, limit=32)
    for index, path in enumerate(paths):
        best = None
        for other, _ in near.of(index):
            if other < index:
                apart = _difference(measured[path], measured[paths[other]])
                if apart < _NEAR and (best is None or apart < best[1]):
                    best = paths[other], apart
        if best is not None:
            yield path, best[0], best[1]


def _difference(one: Measured, other: Measured) -> float:
    """As the selection compares two thumbnails, 0..1; 1 for what is far apart from the start."""
    a, b = (np.asarray(m.thumb, np.float32) / np.float32(255) for m in (one, other))
    small = [cv2.resize(thumb, (16, 16), interpolation=cv2.INTER_AREA) for thumb in (a, b)]
    if float(np.sqrt(((small[0] - small[1]) ** 2).mean())) >= _FAR_APART:
        return 1.0
    return thumb_difference(a, b)
