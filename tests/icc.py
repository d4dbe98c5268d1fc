"""ICC profiles made by hand (ICC.1:2001-04), for pictures in colours that are not sRGB."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["ADOBE_RGB", "adobe_rgb_of", "cmyk_profile", "gray_profile", "rgb_profile"]

_TO_D50 = np.array(
    [[1.0479, 0.0229, -0.0502], [0.0296, 0.9904, -0.0171], [-0.0092, 0.0151, 0.7519]]
)  # Bradford, from D65
_D50 = np.array([0.9642, 1.0, 0.8249])
_ADOBE = np.array(
    [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
)  # to XYZ at D65
_SRGB = np.array([[0.41239, 0.35758, 0.18048], [0.21264, 0.71517, 0.07219], [0.01933, 0.11919, 0.95053]])
_ADOBE_GAMMA = 563 / 256


def _profile(kind: bytes, space: bytes, pcs: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x02400000, kind, space, pcs)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _numbers(_D50)
    return head + bytes(128 - len(head)) + table + body


def _numbers(values: npt.ArrayLike) -> bytes:
    return b"".join(struct.pack(">i", round(v * 65536)) for v in np.ravel(values))


def _xyz(values: npt.ArrayLike) -> bytes:
    return b"XYZ " + bytes(4) + _numbers(values)


def _gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


def _texts() -> dict[bytes, bytes]:
    name = b"made for a test\0"
    desc = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    return {b"desc": desc, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(_D50)}


def rgb_profile(to_xyz: npt.NDArray[np.float64], gamma: float) -> bytes:
    """A monitor's profile: red, green and blue as columns of XYZ at D65, and one gamma."""
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, (_TO_D50 @ to_xyz).T), strict=True))
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma))
    return _profile(b"mntr", b"RGB ", b"XYZ ", _texts() | columns | curves)


def gray_profile(gamma: float) -> bytes:
    return _profile(b"mntr", b"GRAY", b"XYZ ", _texts() | {b"kTRC": _gamma(gamma)})


def cmyk_profile(corners: npt.NDArray[np.uint8]) -> bytes:
    """A press by the colours of its 16 overprints: `(2, 2, 2, 2, 3)` CIE Lab in 8 bits (L * 2.55, a + 128, b + 128) by C, M, Y and K."""
    straight = bytes(range(256))
    head = b"mft1" + bytes(4) + struct.pack(">BBBB", 4, 3, 2, 0) + _numbers(np.eye(3))
    lut = head + straight * 4 + corners.tobytes() + straight * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", _texts() | {b"A2B0": lut})


ADOBE_RGB = rgb_profile(_ADOBE, _ADOBE_GAMMA)


def adobe_rgb_of(srgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The same colours in Adobe RGB (1998), by the book."""
    value = srgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    adobe = linear @ (np.linalg.inv(_ADOBE) @ _SRGB).T
    return np.rint(255 * np.clip(adobe, 0, 1) ** (1 / _ADOBE_GAMMA)).astype(np.uint8)
