"""A head-and-shoulders drawing at film size whose expression alone can be changed, and what a film does to a held drawing."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from tests.film_maker import drawing

Picture = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 1280, 720
_INK = (40, 25, 35)


def head(
    mouth: Literal["shut", "open", "smile", "half"] = "shut",
    eyes: Literal["open", "shut", "aside"] = "open",
    *,
    size: int = 380,
    scene: int = 3,
) -> Picture:
    """A 1280x720 drawing of one figure before a scene; `size` is the height of its face in pixels (380: close, 60: far away)."""
    picture = cv2.GaussianBlur(drawing(scene, WIDTH, HEIGHT), (0, 0), 3).astype(np.uint8)
    u = size / 100
    x, y = 620, max(int(60 * u), 330)

    def at(dx: float, dy: float) -> tuple[int, int]:
        return int(x + dx * u), int(y + dy * u)

    def oval(dx: float, dy: float, rx: float, ry: float, color: tuple[int, int, int]) -> None:
        cv2.ellipse(picture, at(dx, dy), (max(1, int(rx * u)), max(1, int(ry * u))), 0, 0, 360, color, -1, cv2.LINE_AA)

    line = max(1, round(u))
    oval(0, -8, 56, 60, (90, 50, 120))  # hair
    cv2.rectangle(picture, at(-60, 52), at(60, 300), (60, 70, 140), -1)  # shoulders
    oval(0, 0, 42, 50, _INK)
    oval(0, 0, 41, 49, (250, 222, 205))  # face
    for dx in range(-40, 41, 16):  # fringe
        cv2.fillPoly(picture, [np.array([at(dx - 10, -52), at(dx + 10, -52), at(dx, -22)])], (90, 50, 120), cv2.LINE_AA)
    for side in (-19, 19):
        if eyes == "shut":
            cv2.ellipse(picture, at(side, 0), (int(10 * u), int(4 * u)), 0, 0, 180, _INK, 2 * line, cv2.LINE_AA)
        else:
            oval(side, 0, 10, 13, _INK)
            oval(side, 1, 9, 11, (255, 255, 255))
            oval(side + (5 if eyes == "aside" else 0), 2, 5, 9, (50, 110, 190))
    if mouth == "open":
        oval(0, 30, 8, 7, (150, 40, 50))
    elif mouth == "half":
        oval(0, 30, 6, 2, (150, 40, 50))
    elif mouth == "smile":
        cv2.ellipse(picture, at(0, 24), (int(13 * u), int(9 * u)), 0, 10, 170, _INK, 2 * line, cv2.LINE_AA)
    else:
        cv2.line(picture, at(-6, 30), at(6, 30), _INK, line, cv2.LINE_AA)
    return picture


def noisy(picture: Picture, sigma: float, seed: int = 0) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def compressed(picture: Picture, quality: int) -> Picture:
    """As a JPEG of this quality gives it back: blocks, ringing and coarse colour, like a film's weaker frames."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def brighter(picture: Picture, gain: float) -> Picture:
    return np.clip(picture * gain, 0, 255).round().astype(np.uint8)


def camera(picture: Picture, *, right: float = 0, down: float = 0, zoom: float = 1) -> Picture:
    """The picture as a camera sees it that moved by these pixels and magnifies by `zoom` about the middle."""
    height, width = picture.shape[:2]
    matrix = np.array([[zoom, 0, (1 - zoom) * width / 2 - right], [0, zoom, (1 - zoom) * height / 2 - down]])
    seen = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return seen.astype(np.uint8)


def subtitle(picture: Picture, text: str) -> Picture:
    titled = picture.copy()
    for thickness, color in ((10, (0, 0, 0)), (4, (255, 255, 255))):
        cv2.putText(titled, text, (240, 690), cv2.FONT_HERSHEY_SIMPLEX, 1.8, color, thickness, cv2.LINE_AA)
    return titled
