"""Anime faces through nvxs, the C library inside the `animeface` wheel (about 3 MB of networks, no download).

nvxs: a sliding window of Haar-like differences before small perceptrons, by ultraist (2009), packaged by S. Takahashi,
https://github.com/nya3jp/python-animeface, Apache-2.0. The wheel's own `animeface.detect` reads the memory of a Pillow 4 picture and silently
finds nothing beside a newer Pillow; and its colour analysis draws random samples, also from outside the picture. So nvxs's detection is
called here directly: no Pillow, nothing random, and other threads may run meanwhile.

A weak detector, good for a start: frontal faces in the style of the 2000s; no profiles, few closed eyes, few chibis. Measured on 225 television
frames of at most 448 px with 400 human boxes, many of them profiles and Western or 3-D drawings, some faces unlabelled: recall 0.18 at
IoU 0.3 and 0.14 at 0.5, precision 0.66 and 0.51; from a score of 0.7 up recall 0.16 and 0.14, precision 0.72 and 0.61. One search at the
picture's own size, as the wheel does, has recall 0.12 and 0.10 and precision 0.79 and 0.69.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Detection, Picture
from animeset_lib.models.spec import Parts
from animeset_lib.records import Box

__all__ = ["VERSION", "AnimeFace", "weights"]

VERSION = "1"


@dataclass(frozen=True)
class _View:
    """The picture at `long_side` px, searched in steps of `step` 32nds of the window."""

    long_side: int
    step: float


# Windows start at 43 px and line art looks different at each size, so the same picture is searched small and large. So a frame of any size costs
# the same, and faces lower than a seventeenth of the long side are not found.
_VIEWS = (_View(720, 3.0), _View(400, 3.0))
_MAX_ENLARGED = 2.0  # enlarging a small picture further only costs time
_SCALE_FACTOR, _MIN_WINDOW = 1.095, 42.592  # the wheel's values
_MAX_FACES = 1024
_SHARED = 0.3  # two boxes that share this much of the smaller one are one face

# nvxs's square reaches from above the brows to below the chin. These fractions of its side, cut off, bring it closest to human boxes: on the
# frames above the share of them met at IoU 0.5 rises from 0.085 to 0.100, the median IoU from 0.64 to 0.67.
_CUT_LEFT, _CUT_TOP, _CUT_RIGHT, _CUT_BOTTOM = 0.06, 0.015, 0.07, 0.07


class _Matrix(ctypes.Structure):
    """`nv_matrix_t`: `rows` x `cols` points of `n` float32."""

    _fields_ = (
        ("list", ctypes.c_int),
        ("list_step", ctypes.c_uint),
        *((name, ctypes.c_int) for name in ("n", "m", "rows", "cols", "step", "alias")),
        ("v", ctypes.c_void_p),
    )


class _Rect(ctypes.Structure):
    """`nv_rect_t`."""

    _fields_ = tuple((name, ctypes.c_int) for name in ("x", "y", "width", "height"))


class _Face(ctypes.Structure):
    """`nv_face_position_t`."""

    _fields_ = (
        ("likelihood", ctypes.c_float),
        *((name, _Rect) for name in ("face", "left_eye", "right_eye", "nose", "mouth", "chin")),
    )


def weights() -> tuple[Path, ...]:
    """The compiled files that hold the networks. Raises `ModelError` when the wheel or its C part is missing."""
    spec = importlib.util.find_spec("animeface")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the package animeface is not installed")
    package = Path(spec.submodule_search_locations[0])
    found = sorted(package.glob("_nvxs.*.so")) + sorted(package.glob("_nvxs*.pyd"))
    if not found:
        raise ModelError("animeface is installed without its C part: there is no wheel for this Python or system")
    return (*found, *sorted((package.parent / "animeface.libs").glob("libnvxs*")))


class AnimeFace:
    """A `Detector` of faces. The score is the networks' own likelihood, 0.5..1."""

    score_min = 0.5

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        self._nvxs = _Nvxs()

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Faces per picture, brow to chin and clipped, best score first; pictures whose short side is below 22 px have none."""
        jobs = [(picture, view) for picture in pictures for view in _VIEWS]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            found = list(pool.map(lambda job: self._search(*job), jobs))
        views = len(_VIEWS)
        return [_merged(list(itertools.chain(*found[i : i + views]))) for i in range(0, len(found), views)]

    def _search(self, picture: Picture, view: _View) -> list[Detection]:
        height, width = picture.shape[:2]
        factor = min(view.long_side / max(height, width), _MAX_ENLARGED)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        if min(size) <= _MIN_WINDOW:
            return []
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        seen = cv2.resize(np.ascontiguousarray(picture), size, interpolation=method).astype(np.uint8, copy=False)
        detections = []
        for score, (x, y, w, h) in self._nvxs.detect(seen, view.step):
            box = Box(x0=x, y0=y, x1=x + w, y1=y + h).grown(-_CUT_LEFT, -_CUT_TOP, -_CUT_RIGHT, -_CUT_BOTTOM)
            inside = box.scaled(width / size[0], height / size[1]).clip(width, height)
            if inside is not None:
                detections.append(Detection("face", inside, min(1.0, max(0.0, score))))
        return detections


def _merged(detections: list[Detection]) -> list[Detection]:
    """One detection per face, the best; sorted by score, then from the upper left."""
    kept: list[Detection] = []
    for new in sorted(detections, key=lambda d: (-d.score, d.box.y0, d.box.x0, d.box.x1)):
        if all(new.box.intersection(old.box) < _SHARED * min(new.box.area, old.box.area) for old in kept):
            kept.append(new)
    return kept


class _Nvxs:
    """The library's functions, checked once: a build with another memory layout fails here and not by finding nothing."""

    def __init__(self) -> None:
        weights()
        try:
            extension = importlib.import_module("animeface._nvxs")
            library = ctypes.CDLL(str(extension.__file__))
            pointer, number = ctypes.c_void_p, ctypes.c_float
            self._gray = _function(library, "nv_gray", pointer, pointer)
            self._smooth = _function(library, "nv_gaussian5x5", pointer, ctypes.c_int, pointer, ctypes.c_int)
            self._edges = _function(library, "nv_laplacian1", pointer, pointer, number)
            self._integral = _function(library, "nv_integral", pointer, pointer, ctypes.c_int)
            self._detect = _function(
                library, "nv_face_detect", pointer, ctypes.c_int, *[pointer] * 6, ctypes.c_int, pointer, *[number] * 3
            )
            networks = {
                name: ctypes.addressof((ctypes.c_int * 3).in_dll(library, f"nv_face_mlp_{name}"))
                for name in ("dir", "face_00", "face_01", "face_02", "parts")
            }
        except (ImportError, OSError, AttributeError, ValueError) as error:
            raise ModelError(f"animeface's C part cannot be used ({error}): pip install animeface==2.0.3") from error
        self._library, self._networks = library, networks
        self._bagging = (ctypes.c_void_p * 3)(networks["face_01"], networks["face_02"], None)
        self._check()

    def detect(self, picture: Picture, step: float) -> list[tuple[float, tuple[int, int, int, int]]]:
        """(likelihood, (x, y, width, height)) per face, in any order."""
        height, width = picture.shape[:2]
        gray = self._planes(picture)
        smooth, edges = np.zeros_like(gray), np.zeros_like(gray)
        gray_sum, edge_sum = (np.zeros((height + 1, width + 1, 1), np.float32) for _ in range(2))
        self._smooth(_matrix(smooth), 0, _matrix(gray), 0)
        self._edges(_matrix(edges), _matrix(smooth), 4.0)
        self._integral(_matrix(gray_sum), _matrix(gray), 0)
        self._integral(_matrix(edge_sum), _matrix(edges), 0)
        faces = (_Face * _MAX_FACES)()
        size, nets = _Rect(0, 0, width, height), self._networks
        sums = _matrix(gray_sum), _matrix(edge_sum)
        trees = nets["dir"], nets["face_00"], self._bagging, 2, nets["parts"]
        count = self._detect(faces, _MAX_FACES, *sums, ctypes.byref(size), *trees, step, _SCALE_FACTOR, _MIN_WINDOW)
        return [(f.likelihood, (f.face.x, f.face.y, f.face.width, f.face.height)) for f in faces[:count]]

    def _planes(self, picture: Picture) -> npt.NDArray[np.float32]:
        """`(H, W, 1)` float32 grey, 0..255."""
        bgr = np.ascontiguousarray(picture[..., ::-1], np.float32)
        gray = np.zeros((*picture.shape[:2], 1), np.float32)
        self._gray(_matrix(gray), _matrix(bgr))
        return gray

    def _check(self) -> None:
        shapes = {name: tuple((ctypes.c_int * 3).from_address(at)) for name, at in self._networks.items()}
        expected = {"dir": (1152, 10, 6), "parts": (1152, 64, 16), "face_00": (1152, 16, 1)}
        picture = np.full((7, 5, 3), (200, 100, 50), np.uint8)
        gray = self._planes(picture)
        total = np.zeros((8, 6, 1), np.float32)
        self._integral(_matrix(total), _matrix(gray), 0)
        level = float(gray[3, 2, 0])
        # nvxs counts each row's first pixel twice: 7 rows of 5 + 1.
        sums_right = abs(float(total[7, 5, 0]) - 42 * level) < 0.1
        if any(shapes[name] != value for name, value in expected.items()) or not 100 < level < 140 or not sums_right:
            raise ModelError(
                f"animeface's library does not answer as version 2.0.3 does (networks {shapes}, grey {level:.1f}): pip install animeface==2.0.3"
            )


def _function(library: ctypes.CDLL, name: str, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.argtypes = arguments
    return function


def _matrix(values: npt.NDArray[np.float32]) -> Any:
    """A reference to an `nv_matrix_t` over the memory of a `(H, W, N)` C-contiguous array, which must outlive the call."""
    rows, cols, n = values.shape
    return ctypes.byref(_Matrix(1, values.size, n, rows * cols, rows, cols, n, 0, values.ctypes.data))
