"""Parts of a film as people write them: `0:00-1:30, 21:40-, Opening`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "Chapter",
    "Interval",
    "clock",
    "cut_out",
    "interval_words",
    "join_ranges",
    "parse_ranges",
    "resolve",
    "split_ranges",
]

Interval = tuple[int, int | None]
"""From ms (included) to ms (excluded); to the end when None."""

_TIME = r"(?:(?:(\d+):)?(\d+):)?(\d+(?:[.]\d+)?)"
_RANGE = re.compile(rf"(?:{_TIME})?\s*[-–]\s*(?:{_TIME})?")  # an en dash is what word processors make of a hyphen


@dataclass(frozen=True)
class Chapter:
    """A chapter as the file has it; `end_ms` is None for a last one without an end."""

    name: str
    start_ms: int
    end_ms: int | None


def parse_ranges(text: str) -> list[Interval | str]:
    """What stands between the commas: times, `[[h:]m:]s[.ms]` on either side of a dash, or else the name of a chapter.

    A name with a comma stands in double quotes. Raises `ValueError` with a sentence for a range that is none.

    >>> parse_ranges('0:00-1:30, 21:40-, Opening')
    [(0, 90000), (1300000, None), 'Opening']
    >>> parse_ranges("2:00-1:00")
    Traceback (most recent call last):
    ValueError: ranges that end after they begin, unlike '2:00-1:00'
    """
    return [_parse_one(part) for part in split_ranges(text)]


def split_ranges(text: str) -> list[str]:
    """What stands between the commas, without quotes."""
    parts = next(csv.reader([text], skipinitialspace=True), [])
    return [part.strip() for part in parts if part.strip()]


def join_ranges(parts: Iterable[str]) -> str:
    """The opposite.

    >>> join_ranges(["0:00-1:30", "Part A, first"])
    '0:00-1:30, "Part A, first"'
    """
    return ", ".join(f'"{part.replace(chr(34), 2 * chr(34))}"' if set(part) & set(',"') else part for part in parts)


def _parse_one(part: str) -> Interval | str:
    found = _RANGE.fullmatch(part)
    if found is None or part in ("-", "–"):
        return part
    numbers = found.groups()
    start, end = (_ms(part, numbers[i : i + 3]) for i in (0, 3))
    if end is not None and end <= (start or 0):
        raise ValueError(f"ranges that end after they begin, unlike '{part}'")
    return start or 0, end


def _ms(part: str, numbers: Sequence[str | None]) -> int | None:
    hours, minutes, seconds = numbers
    if seconds is None:
        return None
    if (minutes is not None and float(seconds) >= 60) or (hours is not None and int(minutes or 0) >= 60):
        raise ValueError(f"times of hours:minutes:seconds with less than 60 of the latter two, unlike '{part}'")
    return round((int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)) * 1000)


def resolve(ranges: Iterable[Interval | str], chapters: Sequence[Chapter]) -> list[Interval]:
    """Names of chapters as their times, upper and lower case alike; a name that several have means all of them.

    Raises `ValueError` with the names there are.
    """
    found: list[Interval] = []
    for one in ranges:
        if not isinstance(one, str):
            found.append(one)
            continue
        named = [chapter for chapter in chapters if chapter.name.casefold() == one.casefold()]
        if not named:
            names = ", ".join(dict.fromkeys(chapter.name for chapter in chapters)) or "the film has none"
            raise ValueError(f"'{one}' is neither a time such as 0:00-1:30 nor a chapter of the film ({names})")
        found += [(chapter.start_ms, chapter.end_ms) for chapter in named]
    return found


def cut_out(only: Sequence[Interval], skip: Sequence[Interval], length_ms: int | None) -> list[Interval]:
    """What is used of the film, in order and without overlap: `only` (all of it when empty) without `skip`. The last ends with None where it
    reaches the end of the film.

    >>> cut_out([], [(0, 90_000), (60_000, 100_000)], 1_000_000)
    [(100000, None)]
    >>> cut_out([(0, 10), (5, 20)], [(7, 8)], None)
    [(0, 7), (8, 20)]
    """
    last = float("inf") if length_ms is None else float(length_ms)
    wanted = _joined(only or [(0, None)], last)
    for start, end in _joined(skip, last):
        wanted = [piece for a, b in wanted for piece in ((a, min(b, start)), (max(a, end), b)) if piece[0] < piece[1]]
    return [(int(a), None if b >= last else int(b)) for a, b in wanted if a < last]


def interval_words(interval: Interval) -> str:
    """As `parse_ranges` reads it.

    >>> interval_words((90_000, 3_725_500)), interval_words((1_000, None))
    ('1:30-1:02:05.5', '0:01-')
    """
    start, end = interval
    return f"{clock(start)}-{'' if end is None else clock(end)}"


def clock(ms: int) -> str:
    """`1:02:05.5`; without hours where there are none."""
    hours, minutes, seconds = ms // 3_600_000, ms // 60_000 % 60, f"{ms % 60_000 / 1000:06.3f}".rstrip("0").rstrip(".")
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def _joined(intervals: Iterable[Interval], last: float) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in sorted((float(a), last if b is None else float(b)) for a, b in intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined
