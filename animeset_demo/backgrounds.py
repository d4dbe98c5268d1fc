"""The places of the demo film as painted backdrops: a name and a size in, an RGB picture out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np

from animeset_demo.canvas import Canvas, Colour, Picture, Points, ellipse, mix, smooth

Place = Literal["classroom", "street", "park", "bedroom", "night_street", "sunset", "library"]

# light that falls on the characters in each place (gain per RGB channel)
LIGHT: dict[Place, tuple[float, float, float]] = {
    "classroom": (1.0, 1.0, 0.99),
    "street": (1.0, 1.0, 1.0),
    "park": (1.0, 1.01, 0.98),
    "bedroom": (1.0, 0.97, 0.92),
    "night_street": (0.66, 0.70, 0.88),
    "sunset": (1.02, 0.95, 0.90),
    "library": (0.98, 0.94, 0.86),
}


def paint_backdrop(place: Place, width: int, height: int, seed: int) -> Picture:
    """Paint ``place`` as (height, width, 3) RGB. Coordinates inside are in picture heights, so wide pictures show more."""
    image = np.zeros((height, width, 3), np.uint8)
    canvas = Canvas(image, height, (0.0, 0.0))
    _PAINTERS[place](canvas, width / height, np.random.default_rng([seed, len(place)]))
    return image


def _gradient(canvas: Canvas, top: float, bottom: float, *stops: Colour) -> None:
    """A vertical gradient over the whole width between two heights."""
    height = canvas.image.shape[0]
    y0, y1 = int(top * height), min(int(np.ceil(bottom * height)), height)
    at = np.linspace(0, len(stops) - 1, y1 - y0)
    rows = np.stack([np.interp(at, np.arange(len(stops)), [s[i] for s in stops]) for i in range(3)], axis=1)
    canvas.image[y0:y1] = np.round(rows)[:, None].astype(np.uint8)


def _rect(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _cloud(canvas: Canvas, x: float, y: float, size: float, colour: Colour, shade: Colour) -> None:
    for tone, dy in ((shade, 0.035), (colour, 0.0)):
        for dx, r in ((-0.9, 0.35), (-0.45, 0.55), (0.1, 0.7), (0.6, 0.5), (1.0, 0.3)):
            canvas.fill(ellipse((x + dx * size, y + dy * size * 4 - r * size * 0.28), r * size, r * size * 0.52), tone)


def _tree(canvas: Canvas, x: float, foot: float, size: float, leaf: Colour, rng: np.random.Generator) -> None:
    bark: Colour = (112, 82, 66)
    canvas.fill(
        np.array(
            [
                [x - 0.05 * size, foot],
                [x - 0.03 * size, foot - 0.5 * size],
                [x + 0.03 * size, foot - 0.5 * size],
                [x + 0.055 * size, foot],
            ]
        ),
        bark,
    )
    canvas.fill(
        np.array(
            [
                [x, foot],
                [x + 0.005 * size, foot - 0.5 * size],
                [x + 0.03 * size, foot - 0.5 * size],
                [x + 0.055 * size, foot],
            ]
        ),
        mix(bark, (40, 20, 50), 0.3),
    )
    blobs = [(rng.uniform(-0.26, 0.26), rng.uniform(-0.95, -0.45), rng.uniform(0.14, 0.22)) for _ in range(14)]
    for tone, shift in ((mix(leaf, (20, 50, 80), 0.35), 0.04), (leaf, 0.0), (mix(leaf, (255, 250, 190), 0.30), -0.05)):
        for i, (dx, dy, r) in enumerate(blobs):
            if shift < 0 and i % 2:
                continue
            k = 0.55 if shift < 0 else 1.0
            canvas.fill(
                ellipse((x + (dx + shift) * size, foot + (dy + shift) * size), r * size * k, r * size * 0.85 * k), tone
            )


def _classroom(canvas: Canvas, ratio: float, rng: np.random.Generator) -> None:
    _gradient(canvas, 0, 1, (246, 238, 220), (236, 222, 196))
    canvas.fill(_rect(0, 0.66, ratio, 1.0), (206, 170, 128))
    for i in range(9):
        y = 0.68 + 0.04 * i * (1 + 0.06 * i)
        canvas.line([[0, y], [ratio, y]], (186, 148, 108), 0.004)
    canvas.fill(_rect(0, 0.62, ratio, 0.66), (178, 140, 104))
    x = -0.35
    while x < ratio:
        canvas.fill(_rect(x, 0.08, x + 0.62, 0.50), (246, 246, 240))
        canvas.fill_inside(
            _rect(x + 0.02, 0.10, x + 0.60, 0.48),
            [_rect(x + 0.02, 0.10, x + 0.60, 0.48)],
            (120, 186, 240),
            (190, 226, 250),
            (236, 246, 252),
        )
        _cloud(canvas, x + rng.uniform(0.2, 0.42), rng.uniform(0.2, 0.32), 0.09, (255, 255, 255), (220, 234, 248))
        canvas.fill_inside(
            ellipse((x + 0.15, 0.50), 0.22, 0.09), [_rect(x + 0.02, 0.10, x + 0.60, 0.48)], (126, 186, 122)
        )
        canvas.fill_inside(
            ellipse((x + 0.46, 0.52), 0.24, 0.10), [_rect(x + 0.02, 0.10, x + 0.60, 0.48)], (104, 166, 110)
        )
        for bar in (_rect(x + 0.295, 0.10, x + 0.325, 0.48), _rect(x + 0.02, 0.27, x + 0.60, 0.285)):
            canvas.fill(bar, (232, 232, 226))
        canvas.line(_rect(x, 0.08, x + 0.62, 0.50), (150, 140, 130), 0.005, closed=True)
        canvas.fill(
            np.array([[x - 0.09, 0.04], [x + 0.05, 0.04], [x + 0.02, 0.3], [x + 0.035, 0.55], [x - 0.09, 0.55]]),
            (250, 246, 226),
        )
        for k in range(4):
            canvas.line([[x - 0.07 + k * 0.03, 0.05], [x - 0.075 + k * 0.025, 0.55]], (222, 212, 186), 0.004)
        x += 0.80
    canvas.fill(_rect(0, 0.02, ratio, 0.045), (170, 160, 150))
    for i in range(int(ratio / 0.42) + 1):
        dx = 0.06 + i * 0.42
        canvas.fill(np.array([[dx, 0.74], [dx + 0.28, 0.74], [dx + 0.33, 0.82], [dx - 0.03, 0.82]]), (226, 186, 128))
        canvas.fill(_rect(dx - 0.03, 0.82, dx + 0.33, 0.86), (186, 140, 92))
        for leg in (dx - 0.01, dx + 0.29):
            canvas.fill(_rect(leg, 0.86, leg + 0.018, 1.0), (120, 124, 132))


def _street(canvas: Canvas, ratio: float, rng: np.random.Generator) -> None:
    _gradient(canvas, 0, 0.7, (92, 164, 236), (170, 214, 250), (232, 244, 252))
    for _ in range(int(3 * ratio)):
        _cloud(
            canvas,
            rng.uniform(0, ratio),
            rng.uniform(0.08, 0.26),
            rng.uniform(0.08, 0.16),
            (255, 255, 255),
            (216, 230, 246),
        )
    x = -0.1
    walls: tuple[Colour, ...] = ((238, 220, 196), (214, 224, 232), (232, 204, 190), (226, 232, 214), (244, 236, 220))
    while x < ratio:
        w, top = rng.uniform(0.32, 0.5), rng.uniform(0.18, 0.36)
        wall = walls[int(rng.integers(len(walls)))]
        canvas.fill(_rect(x, top, x + w, 0.74), wall)
        canvas.fill(_rect(x + w * 0.8, top, x + w, 0.74), mix(wall, (90, 90, 140), 0.25))
        roof: Colour = (132, 92, 88) if rng.random() < 0.5 else (92, 108, 138)
        canvas.fill(
            np.array([[x - 0.02, top], [x + 0.03, top - 0.07], [x + w - 0.03, top - 0.07], [x + w + 0.02, top]]), roof
        )
        for row in range(2):
            for col in range(2):
                wx, wy = x + w * (0.12 + 0.36 * col), top + 0.07 + 0.2 * row
                canvas.fill(_rect(wx, wy, wx + w * 0.24, wy + 0.11), (150, 190, 220))
                canvas.fill(
                    np.array([[wx, wy + 0.11], [wx + w * 0.14, wy], [wx + w * 0.24, wy], [wx + w * 0.08, wy + 0.11]]),
                    (196, 222, 240),
                )
                canvas.line(_rect(wx, wy, wx + w * 0.24, wy + 0.11), (120, 104, 100), 0.005, closed=True)
        canvas.line(_rect(x, top, x + w, 0.74), (128, 112, 116), 0.005, closed=True)
        x += w + rng.uniform(0.02, 0.12)
    canvas.fill(_rect(0, 0.62, ratio, 0.75), (202, 196, 190))
    for i in range(int(ratio / 0.16) + 1):
        canvas.line([[i * 0.16, 0.62], [i * 0.16, 0.75]], (176, 168, 164), 0.004)
    for _ in range(int(5 * ratio)):
        gx = rng.uniform(0, ratio)
        canvas.fill(ellipse((gx, 0.625), rng.uniform(0.06, 0.12), rng.uniform(0.03, 0.05)), (110, 168, 96))
    _gradient(canvas, 0.75, 1.0, (176, 174, 182), (150, 148, 160))
    canvas.fill(_rect(0, 0.75, ratio, 0.79), (214, 212, 212))
    for i in range(int(ratio / 0.5) + 1):
        canvas.fill(
            np.array([[i * 0.5, 0.88], [i * 0.5 + 0.26, 0.88], [i * 0.5 + 0.24, 0.91], [i * 0.5 - 0.03, 0.91]]),
            (240, 240, 240),
        )
    for px in np.arange(0.3, ratio, 1.1):
        canvas.fill(_rect(px, 0.0, px + 0.022, 0.78), (122, 118, 120))
        canvas.fill(_rect(px - 0.10, 0.06, px + 0.12, 0.075), (122, 118, 120))
    for k in (0.065, 0.09):
        canvas.line(smooth([[-0.1, k], [ratio * 0.5, k + 0.05], [ratio + 0.1, k]]), (80, 80, 92), 0.003)


def _park(canvas: Canvas, ratio: float, rng: np.random.Generator) -> None:
    _gradient(canvas, 0, 0.72, (76, 158, 238), (150, 208, 250), (226, 244, 252))
    for _ in range(int(3 * ratio) + 1):
        _cloud(
            canvas,
            rng.uniform(0, ratio),
            rng.uniform(0.10, 0.36),
            rng.uniform(0.10, 0.22),
            (255, 255, 255),
            (212, 230, 248),
        )
    x = np.linspace(-0.2, ratio + 0.2, 14)
    hills = np.stack([x, 0.58 - 0.06 * np.sin(x * 2.2 + rng.uniform(0, 6))], axis=1)
    canvas.fill(np.vstack([smooth(hills), [[ratio + 0.2, 1.0], [-0.2, 1.0]]]), (134, 186, 168))
    hedge = np.stack([x, 0.64 - 0.02 * np.sin(x * 7)], axis=1)
    canvas.fill(np.vstack([smooth(hedge), [[ratio + 0.2, 1.0], [-0.2, 1.0]]]), (88, 158, 104))
    _gradient(canvas, 0.70, 1.0, (152, 206, 108), (108, 176, 84))
    path = [[ratio * 0.42, 0.70], [ratio * 0.46, 0.70], [ratio * 0.80, 1.0], [ratio * 0.35, 1.0]]
    canvas.fill(np.asarray(path), (232, 214, 172))
    for tx in np.arange(rng.uniform(0.0, 0.25), ratio + 0.2, 0.52):
        _tree(canvas, float(tx), rng.uniform(0.72, 0.76), rng.uniform(0.55, 0.8), (96, 172, 92), rng)
    for _ in range(int(36 * ratio)):
        fx, fy = rng.uniform(0, ratio), rng.uniform(0.76, 1.0)
        bloom: Colour = ((255, 255, 255), (255, 214, 110), (250, 170, 190))[int(rng.integers(3))]
        canvas.fill(ellipse((fx, fy), 0.006, 0.005, 8), bloom)


def _bedroom(canvas: Canvas, ratio: float, rng: np.random.Generator) -> None:
    _gradient(canvas, 0, 1, (244, 222, 212), (236, 206, 196))
    for x in np.arange(0.0, ratio, 0.12):
        canvas.fill(_rect(float(x), 0, float(x) + 0.05, 0.72), (248, 230, 222))
    canvas.fill(_rect(0, 0.72, ratio, 0.745), (250, 244, 238))
    _gradient(canvas, 0.745, 1.0, (196, 150, 116), (176, 128, 98))
    x = rng.uniform(0.05, 0.3)
    while x < ratio:
        canvas.fill(_rect(x, 0.12, x + 0.42, 0.50), (252, 250, 246))
        canvas.fill_inside(
            _rect(x + 0.02, 0.14, x + 0.40, 0.48),
            [_rect(x + 0.02, 0.14, x + 0.40, 0.48)],
            (250, 196, 150),
            (254, 226, 190),
        )
        canvas.fill(_rect(x + 0.20, 0.14, x + 0.215, 0.48), (246, 240, 236))
        for side in (-1, 1):
            cx = x + 0.21 + side * 0.23
            canvas.fill(
                smooth(
                    [
                        [cx - 0.07, 0.08],
                        [cx + 0.07, 0.08],
                        [cx + 0.07 - 0.03 * side, 0.34],
                        [cx + 0.07, 0.60],
                        [cx - 0.07, 0.60],
                        [cx - 0.06, 0.3],
                    ],
                    closed=True,
                ),
                (230, 150, 164),
            )
            canvas.line([[cx - 0.02, 0.1], [cx - 0.02, 0.58]], (206, 122, 140), 0.005)
        canvas.fill(_rect(x + 0.58, 0.28, x + 1.02, 0.80), (182, 132, 96))
        for row in range(3):
            y = 0.31 + 0.16 * row
            canvas.fill(_rect(x + 0.60, y, x + 1.0, y + 0.13), (138, 94, 70))
            bx = x + 0.61
            while bx < x + 0.96:
                bw, bh = rng.uniform(0.014, 0.03), rng.uniform(0.08, 0.12)
                spine: Colour = ((206, 92, 84), (84, 128, 186), (238, 204, 112), (104, 164, 116), (236, 232, 224))[
                    int(rng.integers(5))
                ]
                canvas.fill(_rect(bx, y + 0.13 - bh, bx + bw, y + 0.13), spine)
                bx += bw + 0.003
        canvas.fill(
            smooth([[x - 0.1, 0.98], [x - 0.1, 0.78], [x + 0.2, 0.74], [x + 0.5, 0.78], [x + 0.5, 0.98]]),
            (246, 238, 242),
        )
        canvas.fill(_rect(x - 0.1, 0.86, x + 0.5, 1.0), (214, 150, 178))
        x += 1.25


def _night_street(canvas: Canvas, ratio: float, rng: np.random.Generator) -> None:
    _gradient(canvas, 0, 0.72, (16, 20, 52), (36, 44, 92), (74, 74, 128))
    for _ in range(int(60 * ratio)):
        sx, sy = rng.uniform(0, ratio), rng.uniform(0, 0.4)
        canvas.fill(ellipse((sx, sy), 0.0022, 0.0022, 6), (214, 220, 250))
    moon = (ratio * 0.78, 0.17)
    canvas.glow(moon, 0.22, 0.22, (170, 180, 230), 0.5)
    canvas.fill(ellipse(moon, 0.06, 0.06), (248, 244, 214))
    x = -0.1
    while x < ratio:
        w, top = rng.uniform(0.22, 0.42), rng.uniform(0.22, 0.46)
        wall = mix((34, 36, 70), (58, 54, 96), rng.random())
        canvas.fill(_rect(x, top, x + w, 0.78), wall)
        for wx in np.arange(x + 0.03, x + w - 0.05, 0.07):
            for wy in np.arange(top + 0.04, 0.68, 0.085):
                lit = rng.random() < 0.36
                canvas.fill(
                    _rect(float(wx), float(wy), float(wx) + 0.04, float(wy) + 0.05),
                    (250, 214, 128) if lit else (50, 54, 94),
                )
        x += w + rng.uniform(0.0, 0.04)
    _gradient(canvas, 0.78, 1.0, (54, 54, 84), (36, 38, 64))
    canvas.fill(_rect(0, 0.78, ratio, 0.80), (84, 84, 116))
    for px in np.arange(0.35, ratio, 0.85):
        lamp = (float(px) + 0.08, 0.22)
        canvas.fill(_rect(float(px), 0.2, float(px) + 0.016, 0.82), (24, 26, 44))
        canvas.fill(_rect(float(px), 0.2, float(px) + 0.11, 0.212), (24, 26, 44))
        canvas.glow(lamp, 0.26, 0.26, (255, 206, 130), 0.45)
        canvas.fill(ellipse(lamp, 0.028, 0.018), (255, 244, 206))
        canvas.glow((lamp[0], 0.86), 0.36, 0.06, (250, 200, 130), 0.35)


def _sunset(canvas: Canvas, ratio: float, rng: np.random.Generator) -> None:
    _gradient(canvas, 0, 0.66, (92, 84, 156), (206, 112, 142), (250, 158, 104), (255, 220, 150))
    sun = (ratio * 0.36, 0.56)
    canvas.glow(sun, 0.5, 0.42, (255, 240, 190), 0.75)
    canvas.fill(ellipse(sun, 0.085, 0.085, 40), (255, 248, 214))
    for _ in range(int(4 * ratio)):
        _cloud(
            canvas,
            rng.uniform(0, ratio),
            rng.uniform(0.08, 0.40),
            rng.uniform(0.07, 0.15),
            (250, 176, 150),
            (186, 108, 146),
        )
    x = -0.1
    while x < ratio:
        w, top = rng.uniform(0.08, 0.22), rng.uniform(0.50, 0.62)
        canvas.fill(_rect(x, top, x + w, 0.68), mix((120, 70, 112), (152, 86, 112), rng.random()))
        x += w
    _gradient(canvas, 0.66, 0.84, (246, 184, 130), (168, 108, 140))
    for _ in range(int(50 * ratio)):
        gx, gy, gw = rng.uniform(0, ratio), rng.uniform(0.67, 0.83), rng.uniform(0.02, 0.10)
        canvas.fill(_rect(gx, gy, gx + gw, gy + 0.003), (255, 226, 170))
    _gradient(canvas, 0.84, 1.0, (116, 76, 104), (84, 56, 88))
    for y in (0.70, 0.77):
        canvas.fill(_rect(0, y, ratio, y + 0.012), (78, 50, 76))
    for px in np.arange(0.1, ratio, 0.28):
        canvas.fill(_rect(float(px), 0.69, float(px) + 0.016, 0.88), (78, 50, 76))


def _library(canvas: Canvas, ratio: float, rng: np.random.Generator) -> None:
    _gradient(canvas, 0, 1, (214, 186, 146), (186, 152, 112))
    _gradient(canvas, 0.84, 1.0, (150, 104, 76), (126, 84, 62))
    colours: tuple[Colour, ...] = (
        (158, 66, 62),
        (72, 98, 136),
        (198, 164, 92),
        (86, 122, 92),
        (206, 194, 172),
        (112, 76, 110),
    )
    x = -0.1
    while x < ratio:
        canvas.fill(_rect(x, 0.04, x + 0.62, 0.88), (122, 80, 54))
        for row in range(5):
            y = 0.07 + row * 0.158
            canvas.fill(_rect(x + 0.02, y, x + 0.60, y + 0.138), (80, 50, 38))
            bx = x + 0.025
            while bx < x + 0.57:
                bw, bh = rng.uniform(0.014, 0.034), rng.uniform(0.09, 0.13)
                spine = colours[int(rng.integers(len(colours)))]
                canvas.fill(_rect(bx, y + 0.138 - bh, bx + bw, y + 0.138), spine)
                canvas.fill(
                    _rect(bx, y + 0.138 - bh * 0.8, bx + bw, y + 0.138 - bh * 0.74), mix(spine, (255, 240, 200), 0.5)
                )
                bx += bw + (0.03 if rng.random() < 0.08 else 0.002)
        x += 0.74
    for wx in np.arange(0.5, ratio, 0.74):
        canvas.glow((float(wx) + 0.06, 0.2), 0.22, 0.4, (255, 236, 190), 0.4)


_PAINTERS: dict[Place, Callable[[Canvas, float, np.random.Generator], None]] = {
    "classroom": _classroom,
    "street": _street,
    "park": _park,
    "bedroom": _bedroom,
    "night_street": _night_street,
    "sunset": _sunset,
    "library": _library,
}


def soften(image: Picture, amount: float) -> Picture:
    """Depth of field: Gaussian blur with a sigma of ``amount`` picture heights; 0 leaves the picture as it is."""
    sigma = amount * image.shape[0]
    if sigma < 0.3:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
