"""What a film or a folder of pictures is"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from animeset_lib.errors import InputError
from animeset_lib.media.animation import check_no_still
from animeset_lib.media.parts import missing_parts, other_parts
from animeset_lib.media.pictures import (
    PICTURE_SUFFIXES,
    UNREAD_SUFFIXES,
    Progress,
    kinds_of,
    list_pictures,
    picture_folders,
    unread_pictures,
)
from animeset_lib.media.reader import FilmReader
from animeset_lib.records import Film, safe_name
from animeset_lib.settings import ExtractSettings, FilmSettings
from animeset_lib.settings.ranges import Chapter, Interval, cut_out, parse_ranges, resolve

__all__ = ["EARLY_END", "clean_name", "early_end", "identify", "open_film", "probe", "used_of_film"]

EARLY_END = "ends too early"
"""How notes begin that say so."""


def identify(path: Path, progress: Progress | None = None) -> str:
    """The film's id: the first 12 hex digits of the SHA-256 of the file, or of the sorted names and content hashes of a folder's pictures.

    Renaming or moving a video does not change it. Raises `InputError` when there is nothing to read.
    """
    files = _input_files(path)
    total, done = sum(f.stat().st_size for f in files), 0
    names: list[tuple[str, str]] = []
    for file in files:
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
        names.append((file.name, digest.hexdigest()))
    if path.is_file():
        return names[0][1][:12]
    text = "".join(f"{name}\0{content}\n" for name, content in sorted(names))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _input_files(path: Path) -> list[Path]:
    """The video, or the pictures of the folder. Raises `InputError` in words for a person when there are none."""
    if path.is_dir():
        files = list_pictures(path)
        if not files:
            raise InputError(f"{path}: expected a film or a folder of pictures, got a folder {_without_pictures(path)}")
        return files
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path (quote it when it has spaces)")
    if not path.is_file():
        raise InputError(f"{path}: expected a film, got something that is not a regular file; copy it to a file first")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: expected a film, got an empty file; copy or download it again")
    if path.suffix.lower() in UNREAD_SUFFIXES:
        raise InputError(
            f"{path}: expected a film, got a picture of a kind that is not read; save it as PNG or JPEG into a folder and give that"
        )
    check_no_still(path)
    return [path]


def _without_pictures(folder: Path) -> str:
    """Why there are none, and what to do."""
    if inner := picture_folders(folder):
        names = ", ".join(place.name for place in inner)
        return f"whose pictures lie in several sub-folders ({names}); give these one by one, or put the pictures of one film together"
    if unread := unread_pictures(folder):
        return f"with pictures of kinds that are not read ({kinds_of(unread)}); save them as PNG or JPEG"
    return f"without any ({', '.join(sorted(s[1:] for s in PICTURE_SUFFIXES))}); give the film's file"


def probe(path: Path, progress: Progress | None = None, settings: FilmSettings | None = None) -> Film:
    """What kind of film `path` is: its id, display size, rate, length and what a person should know about it.

    `path` is a video in any container that FFmpeg reads, or a folder of pictures. The content is read once for the id, and the first
    frame is decoded. `content_box` stays unset: the extract stage measures it. Raises `InputError` with what to do.
    """
    files = _input_files(path)
    film_id = identify(path, progress)
    resolved = path.resolve()
    if path.is_dir():
        return _probe_pictures(files, film_id, resolved)
    with open_film(path, settings) as reader:
        return Film(
            id=film_id,
            name=safe_name(path.stem),
            source_name=clean_name(path.name),
            kind="video",
            width=reader.width,
            height=reader.height,
            duration_ms=reader.duration_ms,
            fps=reader.fps,
            codec=reader.codec,
            pix_fmt=reader.pix_fmt,
            notes=(*reader.notes, *missing_parts(path), *_early_notes(reader)),
        )


def _early_notes(reader: FilmReader) -> list[str]:
    if (early := early_end(reader)) is None:
        return []
    last, length = (ms / 1000 for ms in early)
    return [f"{EARLY_END}: there are pictures up to {last:.1f} s of {length:.1f} s, the rest is missing or damaged"]


def early_end(reader: FilmReader) -> tuple[int, int] | None:
    """Where the last picture begins and where the film should end, in ms, when they are far apart."""
    last, length = reader.last_ms(), reader.duration_ms
    if last is None or length is None or length - last <= max(1_000, length // 50):
        return None
    return last, length


def used_of_film(
    settings: ExtractSettings, chapters: Sequence[Chapter], duration_ms: int | None, name: str
) -> list[Interval]:
    """The parts of the film that are used, perhaps none. Raises `InputError` for a chapter that the film, called `name`, does not have."""
    try:
        only, skip = (resolve(parse_ranges(text), chapters) for text in (settings.only, settings.skip))
    except ValueError as problem:
        raise InputError(f"{name}: {problem}; mend extract.only or extract.skip") from None
    return cut_out(only, skip, duration_ms)


def open_film(path: Path, settings: FilmSettings | None = None) -> FilmReader:
    """The film's reader. Raises `InputError` with what to do, also for a file that is only a list of others."""
    try:
        return FilmReader(path, settings=settings)
    except InputError:
        if parts := other_parts(path):
            raise InputError(
                f"{path}: expected a film, got a list of films that lie in other files; give those: {parts}"
            ) from None
        raise


def _probe_pictures(files: Sequence[Path], film_id: str, folder: Path) -> Film:
    name = folder.name
    sizes: Counter[tuple[int, int]] = Counter()
    formats: Counter[str] = Counter()
    for file in files:
        with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), Image.open(file) as image:
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientation 5..8: width and height change places
            sizes[image.size[::-1] if turned else image.size] += 1
            formats[(image.format or "").lower()] += 1
    if not sizes:
        raise InputError(
            f"{name}: expected pictures, got {len(files)} files that no reader knows; save them again as PNG"
        )
    (width, height), _ = sizes.most_common(1)[0]
    notes = [f"{len(sizes)} different picture sizes, {width}x{height} is the most common"] if len(sizes) > 1 else []
    if unread := unread_pictures(files[0].parent):
        notes.append(
            f"not used, for pictures of their kinds are not read: {kinds_of(unread)}; save them as PNG or JPEG"
        )
    if inner := [place.name for place in picture_folders(folder) if place != files[0].parent.resolve()]:
        notes.append(f"not used: the pictures in the sub-folders {', '.join(inner)}; give those as films of their own")
    return Film(
        id=film_id,
        name=safe_name(name),
        source_name=clean_name(name),
        kind="pictures",
        width=width,
        height=height,
        codec=formats.most_common(1)[0][0],
        notes=tuple(notes),
    )


def clean_name(name: str) -> str:
    """Names with bytes that are not UTF-8 cannot travel in JSON, nor line breaks in a card; such bytes become a replacement mark, such
    characters a space."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
