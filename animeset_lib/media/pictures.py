"""Pictures on disk"""

from __future__ import annotations

import io
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from PIL import Image, ImageCms, ImageOps

from animeset_lib.errors import InputError
from animeset_lib.system import replace_path

__all__ = [
    "PICTURE_STEP_MS",
    "PICTURE_SUFFIXES",
    "UNREAD_SUFFIXES",
    "Picture",
    "Progress",
    "kinds_of",
    "list_pictures",
    "picture_folders",
    "pictures_in",
    "read_image",
    "rgb_of",
    "unread_pictures",
    "write_image",
]


Picture = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8 RGB."""

Progress = Callable[[float, float], None]
"""`progress(done, total)` in bytes."""

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2"}
)
"""What `read_image` reads, everywhere: as films, as references, by upload."""

UNREAD_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".jxl", ".jxr", ".psd", ".tga"})
"""Pictures that people have and that are not read; they are named where they lie, not passed over."""

PICTURE_STEP_MS = 1_000
"""Pictures of a folder have no times; they are counted one second apart."""

_FILTER_UP = 2
"""Of PNG: each byte less the one above it."""

_SAME = 2
"""Two 8-bit levels, a colour difference of less than 1: the sRGB profiles of different makers differ by that much."""


def read_image(path: Path) -> Picture:
    """The picture in `path` as `(H, W, 3)` uint8 sRGB, turned as its EXIF orientation says; transparent parts become white.

    Reads what Pillow reads (PNG, JPEG, WebP, BMP, TIFF, GIF, JPEG 2000, AVIF from Pillow 11.3 on); of an animation the first picture. More
    than 8 bits are scaled down. Colours are converted from the picture's ICC profile; without one, or with a broken one, they are taken for
    sRGB. Raises `InputError` when the file is missing, not a picture, truncated or unreasonably large.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            return rgb_of(upright)
    except FileNotFoundError:
        raise InputError(f"{path}: no such picture; check the path") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as problem:
        raise InputError(
            f"{path}: expected a readable picture, got one that cannot be decoded ({problem}); save it again"
        ) from problem


def write_image(path: Path, rgb: Picture) -> None:
    """Writes `rgb` losslessly to `path`; the suffix, `.png` or `.webp`, gives the format. Both are tuned for speed.

    The file appears whole or not at all: it is written as `.<name>.tmp` beside its place and renamed. The temporary name is the same
    each time, so that a repeated write after a kill leaves nothing behind. An existing file is replaced. The folder must exist.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected a (H, W, 3) uint8 RGB picture, got {rgb.shape} {rgb.dtype}")
    path = Path(path)
    if path.suffix == ".png":
        data = _encode_png(rgb)
    elif path.suffix == ".webp":
        buffer = io.BytesIO()
        # quality is the effort here; method 0 with a little effort is as fast as PNG and half its size
        Image.fromarray(rgb).save(buffer, "WEBP", lossless=True, quality=20, method=0)
        data = buffer.getvalue()
    else:
        raise ValueError(f"{path.name}: expected a name ending in .png or .webp")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(data)
        replace_path(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _encode_png(rgb: Picture) -> bytes:
    """Filter "up" on all lines with the lightest compression: on drawings as small as the adaptive choice of filters. ISA-L compresses several
    times faster than zlib, which every other writer of PNG uses."""
    height, width = rgb.shape[:2]
    lines = np.empty((height, 1 + 3 * width), np.uint8)
    lines[:, 0] = _FILTER_UP
    flat = rgb.reshape(height, 3 * width)
    lines[:1, 1:] = flat[:1]
    np.subtract(flat[1:], flat[:-1], out=lines[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, not interlaced
    chunks = ((b"IHDR", header), (b"IDAT", isal_zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks))


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, body = chunk
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", isal_zlib.crc32(name + body))


def rgb_of(image: Image.Image) -> Picture:
    """Any Pillow mode to sRGB. Integer pictures of more than 8 bits are taken to span 0..65535, float ones 0..1."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        image = Image.fromarray(((np.clip(wide, 0, 65535) * 255 + 32767) // 65535).astype(np.uint8))
    elif image.mode == "F":
        image = Image.fromarray(np.rint(np.clip(np.nan_to_num(np.asarray(image)), 0, 1) * 255).astype(np.uint8))
    convert = _conversion(profile, image.mode) if profile else None
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        if convert is not None:
            opaque = layer.convert("RGB").convert(convert.input_mode)
            layer = Image.merge("RGBA", (*convert.apply(opaque).split(), layer.getchannel("A")))
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    elif convert is not None:
        image = convert.apply(image.convert(convert.input_mode))
    return np.array(image.convert("RGB"))


def _conversion(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """How a picture of this Pillow mode gets from `profile` to sRGB; None when it is there already or the profile is not for such pictures."""
    found = _to_srgb(profile)
    gray = mode in ("1", "L", "LA", "La")
    space = "CMYK" if mode == "CMYK" else "LAB" if mode == "LAB" else "RGB"
    fits = found is not None and (found.input_mode == space or (found.input_mode == "L" and gray))
    return found if fits else None


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """The transform from `profile` to sRGB; None for one that is sRGB by what it does (names say little), is broken or of another kind."""
    modes = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = modes.get(source.profile.xcolor_space.strip())
        if mode is None:
            return None
        # perceptual, as browsers and picture viewers show it; the black point keeps matrix and grey profiles from losing their darks
        convert = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.PERCEPTUAL,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    asked = levels[None] if mode == "L" else np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    if mode != "CMYK":
        got = np.asarray(convert.apply(Image.fromarray(asked))).astype(int)
        if np.abs(got - asked.reshape(1, got.shape[1], -1)).max() <= _SAME:
            return None
    return convert


def list_pictures(folder: Path) -> list[Path]:
    """The pictures that are meant by giving `folder` as a film, in natural order: those in it, hidden ones excluded.

    Where there are none and exactly one sub-folder has some, as an archive unpacked into a folder of its own leaves it, those.
    """
    inner = [] if (files := pictures_in(folder)) else picture_folders(folder)
    return pictures_in(inner[0]) if len(inner) == 1 else files


def picture_folders(folder: Path) -> list[Path]:
    """The sub-folders of `folder`, hidden ones excluded, that hold pictures themselves, in natural order."""
    return _in_order(place for place in folder.iterdir() if place.name[0] != "." and pictures_in(place))


def unread_pictures(folder: Path) -> list[Path]:
    """The files in `folder` that are pictures by their ending, but of kinds that `read_image` does not read."""
    return _in_order(f for f in folder.iterdir() if f.suffix.lower() in UNREAD_SUFFIXES and f.name[0] != ".")


def kinds_of(files: Iterable[Path]) -> str:
    """How many files of which ending, for a person: `2 .heic, 1 .jxl`."""
    return ", ".join(f"{n} {kind or 'without ending'}" for kind, n in Counter(f.suffix.lower() for f in files).items())


def pictures_in(folder: Path) -> list[Path]:
    """The picture files directly in `folder`, hidden ones excluded, in natural order: `2.png` before `10.png`; none where it cannot be read."""
    entries: list[Path] = []
    with suppress(NotADirectoryError, PermissionError):
        entries += folder.iterdir()
    return _in_order(f for f in entries if f.suffix.lower() in PICTURE_SUFFIXES and f.name[0] != "." and f.is_file())


def _in_order(files: Iterable[Path]) -> list[Path]:
    return sorted(files, key=lambda f: (_natural(f.name), f.name))


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]
