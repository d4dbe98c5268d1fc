"""The face network in the `animeface` wheel, fed plain memory, so that any Pillow will do: RGB picture in, boxes out."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray


class _PillowImage(ctypes.Structure):
    """The head of Pillow's ImagingMemoryInstance as animeface 2.0.3 was built against (`nvxs.c`, Pillow < 12)."""

    _fields_ = (
        ("mode", ctypes.c_char * 7),
        ("type", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("bands", ctypes.c_int),
        ("xsize", ctypes.c_int),
        ("ysize", ctypes.c_int),
        ("palette", ctypes.c_void_p),
        ("image8", ctypes.c_void_p),
        ("image32", ctypes.c_void_p),
        ("image", ctypes.c_void_p),
        ("block", ctypes.c_void_p),
        ("pixelsize", ctypes.c_int),
        ("linesize", ctypes.c_int),
        ("destroy", ctypes.c_void_p),
    )


def find_faces(rgb: NDArray[np.uint8], least_likelihood: float = 0.5) -> list[tuple[int, int, int, int]]:
    """Faces in a (H, W, 3) uint8 RGB picture as xyxy boxes in pixels."""
    from animeface import _nvxs

    height, width = rgb.shape[:2]
    memory = np.zeros((height, width, 4), np.uint8)
    memory[..., :3] = rgb
    rows = (ctypes.c_void_p * height)(*[memory.ctypes.data + y * memory.strides[0] for y in range(height)])
    image = _PillowImage(mode=b"RGB", bands=3, xsize=width, ysize=height, pixelsize=4, linesize=width * 4)
    image.image = image.image32 = ctypes.addressof(rows)
    found = [d["face_box"] for d in _nvxs.detect(image) if d["likelihood"] >= least_likelihood]
    return [(x, y, x + w, y + h) for x, y, w, h in found]
