"""Pictures on disk"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from animeset_lib.errors import InputError
from animeset_lib.system import replace_path

__all__ = ["PICTURE_SUFFIXES", "Picture", "Progress", "list_pictures", "read_image", "write_image"]


Picture = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8 RGB."""

Progress = Callable[[float, float], None]
"""`progress(done, total)` in bytes."""

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})


def read_image(path: Path) -> Picture:
    """The picture in `path` as `(H, W, 3)` uint8 RGB, turned as its EXIF orientation says; transparent parts become white.

    Reads what Pillow reads (PNG, JPEG, WebP, BMP, TIFF, GIF, AVIF from Pillow 11.3 on); of an animation the first picture. More than 8
    bits are scaled down. Raises `InputError` when the file is missing, not a picture, truncated or unreasonably large.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            return _to_rgb(upright)
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
    # filter "up" with the lightest compression: on drawings as small as the adaptive choice of filters, in half the time
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} cannot be written as PNG")
    return data.tobytes()


def _to_rgb(image: Image.Image) -> Picture:
    """Any Pillow mode to RGB. Integer pictures of more than 8 bits are taken to span 0..65535, float ones 0..1."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        gray = ((np.clip(wide, 0, 65535) * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode == "F":
        gray = np.rint(np.clip(np.nan_to_num(np.asarray(image)), 0, 1) * 255).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    return np.array(image.convert("RGB"))


def list_pictures(folder: Path) -> list[Path]:
    """The picture files directly in `folder`, hidden ones excluded, in natural order: `2.png` before `10.png`."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in PICTURE_SUFFIXES and f.name[0] != "." and f.is_file()]
    return sorted(files, key=lambda f: (_natural(f.name), f.name))


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]
