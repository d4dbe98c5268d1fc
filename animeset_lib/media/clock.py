"""Clocks that start anew inside a file, as in joined recordings and in discs with several titles: the film's own time goes on.

Containers made for broadcasting (`AVFMT_TS_DISCONT` of libavformat) may do that; there the packets are looked through once, without decoding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["KeyPoint", "Timeline", "may_restart", "read_timeline", "restarts"]

_MAY_RESTART = 0x200
_BACK_S, _FORTH_S = 1, 10
"""A step back of more than that, or ahead, is another clock; less is a flaw of the file or a gap in it."""


@dataclass(frozen=True)
class KeyPoint:
    """Where decoding may begin.

    ms      the film's time
    byte    place in the file; None where time itself can be sought
    shifts  what is added to the clock of the file, in its ticks, here and after each later start of the clock
    """

    ms: int
    byte: int | None = None
    shifts: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Timeline:
    """A file whose clock starts several times. `end` in ticks of the film's time; `keys` in order of time."""

    shifts: tuple[int, ...]
    end: int
    keys: tuple[KeyPoint, ...]

    def at(self, ms: int) -> KeyPoint:
        """The last key point that is not later than `ms`, else the first."""
        return next((key for key in reversed(self.keys) if key.ms <= ms), self.keys[0])


def may_restart(flags: int) -> bool:
    """Whether the clock of a container with these `AVInputFormat.flags` may start anew."""
    return bool(flags & _MAY_RESTART)


def restarts(before: int, now: int, base: Fraction) -> bool:
    """Whether the clock starts anew between two packets' decoding times, in ticks of `base` seconds."""
    return not -_BACK_S <= (now - before) * base <= _FORTH_S


def read_timeline(
    packets: Iterable[Packet[VideoStream]], start: int, base: Fraction, step: Fraction
) -> Timeline | None:
    """The clocks of a file, or None when there is only one. `start` in ticks is the film's beginning, `step` seconds are one frame."""
    spans: list[list[int]] = []
    found: list[tuple[int, int, int]] = []
    last = None
    for packet in packets:
        decoded = packet.dts if packet.dts is not None else packet.pts
        if decoded is None or not packet.size:
            continue
        shown = packet.pts if packet.pts is not None else decoded
        if last is None or restarts(last, decoded, base):
            spans.append([shown, shown])
        last = decoded
        spans[-1] = [min(spans[-1][0], shown), max(spans[-1][1], shown)]
        if packet.is_keyframe and packet.pos is not None:
            found.append((len(spans) - 1, shown, packet.pos))
    if len(spans) < 2 or not found:
        return None
    shifts = [0]
    for (_, end), (first, _) in pairwise(spans):
        shifts.append(end + shifts[-1] + round(step / base) - first)
    keys = [
        KeyPoint(max(0, round((shown + shifts[part] - start) * base * 1000)), place, tuple(shifts[part:]))
        for part, shown, place in found
    ]
    keys.sort(key=lambda key: key.ms)
    return Timeline(tuple(shifts), spans[-1][1] + shifts[-1] + round(step / base) - start, tuple(keys))
