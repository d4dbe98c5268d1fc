"""What a character's set has and what it lacks: candidates and the chosen ones → numbers per aspect, and the gaps in words. Pure data.

`film` counts candidates, the pictures that could have been chosen: what the quality check took out, or no step could cut, is not among them.
So "never shown" means that no usable picture of the film shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from animeset_lib.dataset.selection import PictureCandidate
from animeset_lib.pictures.framing import FRAMINGS
from animeset_lib.records import Framing
from animeset_lib.wording import counted
from animeset_lib.words.vocabulary import UNKNOWN, emotion_of

__all__ = [
    "NEVER_THIN",
    "PARTS",
    "THIN",
    "Aspect",
    "Cell",
    "Coverage",
    "Gap",
    "Value",
    "aspect_words",
    "coverage",
    "value_words",
]

THIN = 3
"""A kind of picture with fewer than this in the set is hardly learned."""
PARTS = 5
"""Equal parts of the film whose pictures are counted."""
_ENOUGH_KNOWN = 0.25
"""What an aspect never shows is said only where it is known for at least this share of the candidates."""

# The values a trainer would like to see, in the order in which they are shown, each with the values that do as well.
_USUAL: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "framing": dict.fromkeys(FRAMINGS, ()),
    "view": {"front": (), "side": (), "behind": ()},
    "emotion": {"smile": ("grin", "laughing"), "angry": (), "sad": ("crying",), "surprised": (), "crying": ()},
    "surroundings": {"indoors": (), "outdoors": ()},
    "time_of_day": {"day": (), "night": ()},
}
NEVER_THIN = ("background", "part", "shot")
"""Aspects of which every value may be rare: no set shows every place or every shot three times."""

# fmt: off
_INDOORS = frozenset({
    "classroom", "hallway", "library", "bedroom", "kitchen", "bathroom", "living_room", "office", "restaurant", "cafe", "shop",
    "train_interior", "car_interior", "stage", "gym",
})
_OUTDOORS = frozenset({
    "rooftop", "street", "alley", "city", "cityscape", "town", "village", "bridge", "park", "garden", "forest", "mountain", "field", "grass",
    "desert", "beach", "ocean", "river", "lake", "snow", "rain", "shrine", "ruins",
})
# fmt: on
_TIMES: Mapping[str, frozenset[str]] = {
    "night": frozenset({"night", "night_sky", "starry_sky"}),
    "evening": frozenset({"evening", "sunset", "dusk", "twilight"}),
    "morning": frozenset({"morning", "sunrise", "dawn"}),
    "day": frozenset({"day", "blue_sky"}),
}
# Aspects whose values have an order of their own; the others begin with the commonest.
_ORDER: Mapping[str, tuple[str, ...]] = {
    "framing": FRAMINGS,
    "view": ("front", "side", "behind", "above", "below"),
    "surroundings": ("indoors", "outdoors"),
    "time_of_day": ("morning", "day", "evening", "night"),
    "part": tuple(str(number) for number in range(1, PARTS + 1)),
}
_ASPECT_WORDS = {"surroundings": "place", "time_of_day": "time of day", "part": "part of the film"}
_VALUE_WORDS = {
    ("framing", "full"): "full figure",
    ("framing", "frame"): "whole frame",
    ("view", "front"): "from the front",
    ("view", "side"): "from the side",
    ("view", "behind"): "from behind",
    ("view", "above"): "from above",
    ("view", "below"): "from below",
    **{("part", str(number)): f"{number} of {PARTS}" for number in range(1, PARTS + 1)},
}


@dataclass(frozen=True)
class Value:
    """One value of an aspect: how many candidates have it, and how many of the chosen pictures. `name` is the machine's key."""

    name: str
    film: int
    set: int


@dataclass(frozen=True)
class Aspect:
    """One way to look at the pictures. `values` are those that are there, the usual order or the commonest first, `unknown` last."""

    name: str
    values: tuple[Value, ...]

    @property
    def known(self) -> int:
        """Candidates of which this is known."""
        return sum(value.film for value in self.values if value.name != UNKNOWN)


@dataclass(frozen=True)
class Cell:
    """One outfit in one framing. `example` is the id of its best picture: the first one chosen, else the best candidate; None where there is none."""

    outfit: str
    framing: Framing
    film: int
    set: int
    example: str | None


@dataclass(frozen=True)
class Gap:
    """Something the set lacks, or has little of. `value` is empty where the whole aspect is meant."""

    aspect: str
    value: str
    film: int
    set: int
    words: str


@dataclass(frozen=True)
class Coverage:
    """One character's coverage.

    `cells` are all outfits, the commonest first and `unknown` last, each in all framings that were wished or are there; `moments` when each
    candidate is seen and whether it was chosen, in order of time; `shots_ms` first and last moment of each of the film's shots in which there is
    a candidate.
    """

    character: str
    pictures: int
    candidates: int
    span_ms: tuple[int, int]
    aspects: tuple[Aspect, ...]
    cells: tuple[Cell, ...]
    moments: tuple[tuple[int, bool], ...]
    shots_ms: tuple[tuple[int, int], ...]
    film_shots: int
    never_shown: tuple[Gap, ...]
    not_in_set: tuple[Gap, ...]
    thin: tuple[Gap, ...]
    not_measurable: tuple[Gap, ...]

    def aspect(self, name: str) -> Aspect:
        return next(aspect for aspect in self.aspects if aspect.name == name)

    def as_json(self) -> dict[str, Any]:
        """For a file: keys always in the same order, numbers and words only."""
        table: dict[str, dict[str, dict[str, int]]] = {}
        for cell in self.cells:
            table.setdefault(cell.outfit, {})[cell.framing] = {"film": cell.film, "set": cell.set}
        return {
            "character": self.character,
            "pictures": self.pictures,
            "candidates": self.candidates,
            "span_ms": list(self.span_ms),
            "aspects": {
                aspect.name: {value.name: {"film": value.film, "set": value.set} for value in aspect.values}
                for aspect in self.aspects
            },
            "outfit_by_framing": table,
            **{
                name: [asdict(gap) for gap in getattr(self, name)]
                for name in ("never_shown", "not_in_set", "thin", "not_measurable")
            },
        }


def coverage(
    character: str,
    candidates: Sequence[PictureCandidate],
    chosen: Sequence[str],
    span_ms: tuple[int, int],
    shots_ms: Sequence[tuple[int, int]],
    wished_framings: Sequence[Framing] = FRAMINGS,
) -> Coverage:
    """What the `chosen` of all `candidates` of one character cover; the same for any order of `candidates`.

    chosen           their ids, best first.
    span_ms          the part of the film that was looked at; moments outside count to its first or last part.
    shots_ms         first and last moment of every shot of the film, by shot number.
    wished_framings  only these can be missing: a framing nobody wanted was never cut.
    """
    pool = sorted(candidates, key=lambda c: c.id)
    rank = {crop_id: number for number, crop_id in enumerate(chosen)}
    readings: Mapping[str, Callable[[PictureCandidate], str]] = {
        "framing": lambda c: c.framing,
        "view": lambda c: c.view,
        "emotion": lambda c: c.emotion,
        "outfit": lambda c: c.outfit,
        "background": lambda c: c.background,
        "surroundings": _surroundings,
        "time_of_day": _time_of_day,
        "part": lambda c: str(_part(c.pts_ms, span_ms)),
        "shot": lambda c: str(c.shot),
    }
    taken = [c.id in rank for c in pool]
    aspects = tuple(_aspect(name, [read(c) for c in pool], taken) for name, read in readings.items())
    measured = [aspect for aspect in aspects if aspect.known >= _ENOUGH_KNOWN * len(pool)]
    lacking = [gap for aspect in aspects if aspect.name != "shot" for gap in _lacking(aspect)]
    shown = sorted({c.shot for c in pool if c.shot < len(shots_ms)})
    return Coverage(
        character=character,
        pictures=len(rank),
        candidates=len(pool),
        span_ms=span_ms,
        aspects=aspects,
        cells=_cells(pool, rank, [f for f in FRAMINGS if f in wished_framings or any(c.framing == f for c in pool)]),
        moments=tuple((c.pts_ms, c.id in rank) for c in sorted(pool, key=lambda c: (c.pts_ms, c.id))),
        shots_ms=tuple(shots_ms[shot] for shot in shown),
        film_shots=len(shots_ms),
        never_shown=tuple(gap for aspect in measured for gap in _never(aspect, pool, wished_framings)),
        not_in_set=tuple(gap for gap in lacking if not gap.set),
        thin=tuple(gap for gap in lacking if gap.set),
        not_measurable=tuple(_not_measured(aspect, len(pool)) for aspect in aspects if aspect not in measured),
    )


def _aspect(name: str, values: Sequence[str], chosen: Sequence[bool]) -> Aspect:
    """`values` and `chosen` are aligned with the candidates."""
    film = Counter(values)
    in_set = Counter(value for value, taken in zip(values, chosen, strict=True) if taken)
    if name == "part":  # a part in which nobody is seen is worth a line, too
        film.update(dict.fromkeys(_ORDER[name], 0))
    order = _ORDER.get(name, ())

    def place(value: str) -> tuple[bool, int, int, str]:
        in_order = order.index(value) if value in order else len(order)
        # shots by number
        return value == UNKNOWN, in_order, len(value) if name == "shot" else -film[value], value

    return Aspect(name, tuple(Value(value, film[value], in_set[value]) for value in sorted(film, key=place)))


def aspect_words(aspect: str) -> str:
    """What people call an aspect."""
    return _ASPECT_WORDS.get(aspect, aspect)


def value_words(aspect: str, value: str) -> str:
    """What people call a value of an aspect."""
    return "not known" if value == UNKNOWN else _VALUE_WORDS.get((aspect, value), value.replace("_", " "))


def _never(aspect: Aspect, pool: Sequence[PictureCandidate], wished_framings: Sequence[Framing]) -> Iterator[Gap]:
    """The usual values of an aspect that no candidate has."""
    seen = {value.name for value in aspect.values if value.film}
    if aspect.name == "emotion":  # a rare one may have joined its neighbour's sub-set
        seen |= {emotion_of(c.tags) for c in pool}
    of = counted(aspect.known, "usable picture") + (" of which it is known" if aspect.known < len(pool) else "")
    for usual, as_good in _USUAL.get(aspect.name, {}).items() if pool else ():
        if seen.isdisjoint((usual, *as_good)) and (aspect.name != "framing" or usual in wished_framings):
            words = f"{aspect_words(aspect.name)} {value_words(aspect.name, usual)}: on none of the {of}"
            yield Gap(aspect.name, usual, 0, 0, words)


def _lacking(aspect: Aspect) -> Iterator[Gap]:
    """The values of which the set has none, or few, though the film has some."""
    for value in aspect.values:
        what = f"{aspect_words(aspect.name)} {value_words(aspect.name, value.name)}"
        in_film = f"{counted(value.film, 'usable picture')} in the film"
        if value.name == UNKNOWN or not value.film:
            continue
        if not value.set:
            yield Gap(aspect.name, value.name, value.film, 0, f"{what}: {in_film}, none in the set")
        elif value.set < THIN and aspect.name not in NEVER_THIN:
            yield Gap(aspect.name, value.name, value.film, value.set, f"{what}: {value.set} in the set, {in_film}")


def _not_measured(aspect: Aspect, candidates: int) -> Gap:
    words = "not measurable with this tagger"
    if aspect.known:
        words = f"known of only {aspect.known} of {candidates} pictures, too few to say what the film never shows"
    return Gap(aspect.name, "", aspect.known, 0, f"{aspect_words(aspect.name)}: {words}")


def _surroundings(candidate: PictureCandidate) -> str:
    """`indoors` or `outdoors`: as tagged, else as the place has it."""
    tagged = [side for side in ("indoors", "outdoors") if side in candidate.tags]
    if tagged:
        return max(tagged, key=lambda side: candidate.tags[side])
    return (
        "indoors" if candidate.background in _INDOORS else "outdoors" if candidate.background in _OUTDOORS else UNKNOWN
    )


def _time_of_day(candidate: PictureCandidate) -> str:
    scores = {
        time: max(candidate.tags[tag] for tag in tags if tag in candidate.tags)
        for time, tags in _TIMES.items()
        if tags & candidate.tags.keys()
    }
    return max(scores, key=lambda time: scores[time]) if scores else UNKNOWN


def _part(pts_ms: int, span_ms: tuple[int, int]) -> int:
    """Which of `PARTS` equal parts of the span, from 1."""
    first, last = span_ms
    return min(PARTS, max(1, 1 + (pts_ms - first) * PARTS // max(1, last - first)))


def _cells(pool: Sequence[PictureCandidate], rank: Mapping[str, int], framings: Sequence[Framing]) -> tuple[Cell, ...]:
    outfits = Counter(c.outfit for c in pool)
    found = []
    for outfit in sorted(outfits, key=lambda name: (name == UNKNOWN, -outfits[name], name)):
        for framing in framings:
            inside = [c for c in pool if (c.outfit, c.framing) == (outfit, framing)]
            best = min(inside, key=lambda c: (rank.get(c.id, len(rank)), -c.quality, c.id), default=None)
            in_set = sum(c.id in rank for c in inside)
            found.append(Cell(outfit, framing, len(inside), in_set, best.id if best else None))
    return tuple(found)
