"""Shot boundaries from small pictures: where one drawing or camera set-up ends and another begins.

Drawn animation breaks the usual detectors in three ways: frames are held for two or three exposures and then jump; fast pans over one large
drawing replace the whole picture; flashes and impact frames interrupt a shot for a moment. So a boundary must hold three tests:
the colours change, the picture cannot be put together from moved blocks of the one before, and nothing like the old picture returns.
Dissolves and fades are found apart, by how well the frames between are explained as a mixture of both ends.

The idea of judging a frame against its surroundings, not a fixed difference, is PySceneDetect's adaptive detector; the tests here are our own.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["ShotDetector", "small_color"]

Small = npt.NDArray[np.uint8]
"""`(h, w, 3)` uint8, luma and both chroma planes at chroma size, about 80x45."""

FLASH_MS = 300
"""A picture that comes back within this time makes what lay between a flash, not a shot."""
_MIN_DIFFERENCE = 2.0  # mean difference of 0..255 below which nothing can be a boundary; coding noise stays below 1
# In pixels of the picture at half the small size, about 40x22:
_BLOCK = 5  # an eighth of its width: large enough to be found again, small enough for a head
_REACH_Y, _REACH_X = 7, 14  # how far a block may have moved between two frames: a third of the picture
_UNEXPLAINED = 7.0  # root mean square difference, of 0..255, from which a block counts as new
_RETURNED = 0.7  # share of the least boundary score below which a later picture counts as the old one coming back
_SAME = 0.5  # share of places that agree from which two pictures are one drawing; chance gives about 0.2
_PLACE, _TEXTURE, _AGREEMENT = 9, 2.0, 0.6  # window in pixels, least standard deviation of 0..255, least correlation
_BACK_COLORS = 0.2  # a picture that comes back has its old colours, but for this share of pixels
_BLEND_WINDOWS_MS = (500, 1000, 1500)
_MIN_BLEND_FRAMES = 4
_BLEND_ERROR = 0.4  # share of the change that a mixture of both ends may leave unexplained
_EMPTY = 2.5  # standard deviation of 0..255 below which a picture shows nothing: black between fades, a white flash
_JUMP = 12.0  # mean difference of 0..255 between neighbours that no fade makes


def small_color(luma: Small, cb: Small, cr: Small) -> Small:
    """A thumbnail's planes as one `(h, w, 3)` picture at chroma size."""
    return np.dstack([cv2.resize(luma, (cb.shape[1], cb.shape[0]), interpolation=cv2.INTER_AREA), cb, cr])


class ShotDetector:
    """Collects small pictures in order and says which begin a shot.

    `cut` is the least score of a boundary, 0..1. `step_ms` is the usual time between frames. `is_cut(i)` may be asked once
    `lookahead` more frames were added, or after the last; ask in order. Answers depend on the added pictures only.
    """

    def __init__(self, cut: float, step_ms: float) -> None:
        self._cut = cut
        self.lookahead = int(np.clip(round(FLASH_MS / max(step_ms, 1.0)), 0, 16))
        lengths = {round(ms / max(step_ms, 1.0)) for ms in _BLEND_WINDOWS_MS}
        self._blend_lengths = sorted(n for n in lengths if n >= _MIN_BLEND_FRAMES)
        self._pictures: list[Small] = []
        self._colors: list[npt.NDArray[np.float32] | None] = []
        self._step_scores: dict[int, float] = {}
        self._cuts: list[int] = []

    def __len__(self) -> int:
        return len(self._pictures)

    def add(self, picture: Small) -> None:
        self._pictures.append(picture)
        self._colors.append(None)

    def is_cut(self, index: int) -> bool:
        """Whether frame `index` begins a shot by a hard cut."""
        score = self._step_score(index)
        if score < self._cut:
            return False
        end = min(len(self) - 1, index + self.lookahead)
        # of several boundaries within a moment (a blink, a wipe) the strongest is the one
        if any(self._step_score(other) > score for other in range(index + 1, end + 1)):
            return False
        if self._cuts and index - self._cuts[-1] <= self.lookahead:
            return False
        start = max(0, index - 1 - self.lookahead)
        if any(self._is_back(index - 1, later) for later in range(index + 1, end + 1)):
            return False
        if any(self._is_back(earlier, index) for earlier in range(start, index - 1)):
            return False
        self._cuts.append(index)
        return True

    def may_be_cut(self, index: int) -> bool:
        """Whether frame `index` could still turn out to begin a shot; needs no lookahead."""
        too_soon = bool(self._cuts) and index - self._cuts[-1] <= self.lookahead
        return not too_soon and self._step_score(index) >= self._cut

    def _is_back(self, a: int, b: int) -> bool:
        """Whether the later of two frames shows the earlier one's picture again."""
        one, other = self._pictures[a], self._pictures[b]
        if (
            color_change(self._color(a), self._color(b)) > _BACK_COLORS
        ):  # the search for moved blocks is only worth it for like colours
            return same_drawing(one, other) > _SAME
        return self.score(a, b) < self._cut * _RETURNED

    def _step_score(self, index: int) -> float:
        """Score of frame `index` against the one before it; kept, because neighbours ask again."""
        if index not in self._step_scores:
            self._step_scores[index] = self.score(index - 1, index) if index > 0 else 0.0
        return self._step_scores[index]

    def score(self, a: int, b: int) -> float:
        """How strongly two frames look like different shots, 0..1: new colours and new content together, either alone is nothing.

        Scores too small to matter for any decision are given as 0, which spares most of the work.
        """
        one, other = self._pictures[a], self._pictures[b]
        if cv2.norm(one, other, cv2.NORM_L1) < _MIN_DIFFERENCE * one.size:
            return 0.0
        colors = color_change(self._color(a), self._color(b))
        least = (self._cut * _RETURNED) ** 2
        if colors < least or same_drawing(one, other) > _SAME:
            return 0.0
        return float(np.sqrt(colors * new_content(one, other, least / colors)))

    def all_cuts(self) -> list[int]:
        """All frames that begin a shot, 0 not among them, in order: hard cuts so far, and the middles of dissolves and fades.

        To be asked once, after the last `is_cut`. A moment of black (or white) is no shot of its own: where it lies between two shots there
        is one boundary, at the film's beginning and end none.
        """
        soft = {c for c in self._gradual_cuts() if all(abs(c - hard) > self.lookahead for hard in self._cuts)}
        cuts = soft.union(self._cuts)
        reach = max(self._blend_lengths, default=0) // 2 + 1
        for begin, end in self._empty_runs():
            near = {c for c in cuts if begin <= c <= end or (c in soft and begin - reach <= c <= end + reach)}
            cuts -= near
            if near and begin > 0 and end < len(self):
                cuts.add(self._border_in(begin, end))
        return sorted(cuts)

    def _empty_runs(self) -> list[tuple[int, int]]:
        """First and behind-last frame of each moment without anything to see, none longer than the longest fade."""
        empty = [False, *(float(cv2.meanStdDev(p)[1].max()) < _EMPTY for p in self._pictures), False]
        edges = [i for i, (before, after) in enumerate(pairwise(empty)) if before != after]
        longest = max(self._blend_lengths, default=0)
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a <= longest]

    def _border_in(self, begin: int, end: int) -> int:
        """The boundary in an empty moment between two shots: black that a shot fades into belongs to it, and so does black it fades in from."""
        jumps_in, jumps_out = (
            cv2.norm(self._pictures[i - 1], self._pictures[i], cv2.NORM_L1) > _JUMP * self._pictures[i].size
            for i in (begin, end)
        )
        if jumps_in == jumps_out:
            return (begin + end) // 2
        return begin if jumps_in else end

    def _gradual_cuts(self) -> list[int]:
        """A window without a hard cut whose ends look like different shots is a dissolve or fade when the frames between are mixtures of
        both ends. A pan is not: what it shows halfway lies in neither end. Of windows one after the other the one that changes most counts.
        """
        found: list[int] = []
        for length in self._blend_lengths:
            best: tuple[float, int] | None = None
            for start in range(0, len(self) - length, max(1, length // 4)):
                end = start + length
                free = not any(start < c <= end + self.lookahead for c in self._cuts) and all(
                    abs(c - end) > length for c in found
                )
                if free and self.score(start, end) >= self._cut and self._is_blend(start, end):
                    change = cv2.norm(self._pictures[start], self._pictures[end])
                    best = max(best or (0.0, 0), (change, start))
                elif best is not None:
                    found.append(self._middle(best[1], best[1] + length))
                    best = None
            if best is not None:
                found.append(self._middle(best[1], best[1] + length))
        return found

    def _is_blend(self, start: int, end: int) -> bool:
        first, last = (self._pictures[i].astype(np.float32) for i in (start, end))
        way = last - first
        energy = float(np.vdot(way, way))
        shares, errors = [], []
        for index in np.linspace(start, end, 5).round().astype(int)[1:-1]:
            gone = self._pictures[index].astype(np.float32) - first
            share = float(np.vdot(gone, way)) / energy
            shares.append(share)
            errors.append(float(np.linalg.norm(gone - share * way)) / energy**0.5)
        between = any(0.1 < share < 0.9 for share in shares)  # else it is a jump at one end of the window
        return between and max(errors) < _BLEND_ERROR and not self._comes_back(start, end)

    def _comes_back(self, start: int, end: int) -> bool:
        """Whether the picture before the window returns soon after it, or the one after it was there before: a glow, not another shot."""
        length = end - start
        after = range(end + 2, min(len(self), end + length + self.lookahead), 3)
        before = range(max(0, start - length - self.lookahead), start - 1, 3)
        return any(self._is_back(start, i) for i in after) or any(self._is_back(i, end) for i in before)

    def _middle(self, start: int, end: int) -> int:
        """The first frame of the window that is nearer to its end than to its start."""
        first, last = self._pictures[start], self._pictures[end]
        nearer = (
            i for i in range(start + 1, end) if cv2.norm(self._pictures[i], last) < cv2.norm(self._pictures[i], first)
        )
        return next(nearer, end)

    def _color(self, index: int) -> npt.NDArray[np.float32]:
        color = self._colors[index]
        if color is None:
            color = self._colors[index] = color_histogram(self._pictures[index])
        return color


def color_histogram(picture: Small) -> npt.NDArray[np.float32]:
    """Shares of 32 luma values, then of 32x32 chroma pairs; each of the two sums to 1."""
    luma = cv2.calcHist([picture], [0], None, [32], [0, 256]).ravel()
    chroma = cv2.calcHist([picture], [1, 2], None, [32, 32], [0, 256, 0, 256]).ravel()
    pixels = picture.shape[0] * picture.shape[1]
    return np.concatenate([luma, chroma]).astype(np.float32) / np.float32(pixels)


def color_change(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """The larger of the luma and the chroma histogram's difference, 0..1."""
    difference = np.abs(a - b)
    return float(max(difference[:32].sum(), difference[32:].sum())) / 2


def same_drawing(a: Small, b: Small) -> float:
    """Share 0..1 of the textured places whose fine luma structure agrees: one drawing under another light, haze or colour, not moved.

    Judged place by place, so that the edges of black bars or a logo, equal in all pictures, cannot outvote the rest.
    """
    x, y = (_fine_structure(p) for p in (a, b))
    var_x, var_y, both = (cv2.blur(v, (_PLACE, _PLACE)) for v in (x * x, y * y, x * y))
    textured = np.maximum(var_x, var_y) > _TEXTURE**2
    agrees = both > _AGREEMENT * np.sqrt(var_x * var_y)
    return float(np.mean(agrees[textured])) if textured.any() else 0.0


def _fine_structure(picture: Small) -> npt.NDArray[np.float32]:
    luma = picture[:, :, 0].astype(np.float32)
    return luma - cv2.blur(luma, (_PLACE, _PLACE))


def new_content(a: Small, b: Small, least: float = 0.0) -> float:
    """Share of blocks of one picture that are nowhere near in the other, 0..1; the smaller of both directions. 0 when below `least`.

    The smaller, because something large that enters (or leaves) is new (or gone) in one direction only.
    """
    # half the size finds the same blocks (measured: scores within 0.03) in a fifth of the time
    size = max(1, a.shape[1] // 2), max(1, a.shape[0] // 2)
    x: Small = cv2.resize(a, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    y: Small = cv2.resize(b, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    forward = _unexplained(x, y, least)
    return min(forward, _unexplained(y, x, least)) if forward > 0 else 0.0


def _unexplained(new: Small, old: Small, least: float) -> float:
    height, width = new.shape[:2]
    block_h, block_w = min(_BLOCK, height), min(_BLOCK, width)
    corners = [(y, x) for y in range(0, height - block_h + 1, block_h) for x in range(0, width - block_w + 1, block_w)]
    limit = _UNEXPLAINED**2 * block_h * block_w * 3
    found = 0
    moved = []
    for y, x in corners:
        block = new[y : y + block_h, x : x + block_w]
        if cv2.norm(block, old[y : y + block_h, x : x + block_w], cv2.NORM_L2SQR) <= limit:
            found += 1
        else:
            moved.append((y, x, block))
    for y, x, block in moved:
        if len(corners) - found < least * len(corners):
            return 0.0
        y0, y1 = max(0, y - _REACH_Y), min(height, y + block_h + _REACH_Y)
        x0, x1 = max(0, x - _REACH_X), min(width, x + block_w + _REACH_X)
        match = cv2.matchTemplate(old[y0:y1, x0:x1], block, cv2.TM_SQDIFF)
        found += bool(cv2.minMaxLoc(match)[0] <= limit)
    return (len(corners) - found) / len(corners)
