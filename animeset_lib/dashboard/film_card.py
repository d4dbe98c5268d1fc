"""What the page knows of films that were read: what they are, and which parts of them are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from animeset_lib import media
from animeset_lib.dashboard.pictures import data_uri
from animeset_lib.errors import InputError
from animeset_lib.media import Examination, Phrase
from animeset_lib.media.probe import used_of_film
from animeset_lib.records import Film
from animeset_lib.settings import FilmSettings, Settings
from animeset_lib.settings.ranges import Chapter, clock, split_ranges

__all__ = ["FilmCards", "RangeKind"]

RangeKind = Literal["only", "skip"]
_STILL_PX = 200
_Version = tuple[str, int, int]
"""Path, size and time of a file."""


class FilmCards:
    """Films and what was seen in them, read once for each version of their file and each way of reading it."""

    def __init__(self) -> None:
        self._films: dict[tuple[_Version, FilmSettings], Film] = {}
        self._examined: dict[tuple[_Version, Settings], tuple[Examination, dict[str, Any]]] = {}

    def film(self, path: Path, settings: Settings) -> Film:
        """*Slow* for a film that was not read yet. Raises `InputError` for what is no film."""
        key = _version(path), settings.film
        if key not in self._films:
            self._films[key] = media.probe(path, settings=settings.film)
        return self._films[key]

    def known(self, path: Path, settings: Settings) -> Film | None:
        """The film if it was read already."""
        return self._films.get((_version(path), settings.film))

    def examine(self, path: Path, settings: Settings) -> None:
        """*Slow*: look into the film, so that `state` can say what it is. Raises `InputError` for what is no film."""
        asked = _that_matter(settings)
        key = _version(path), asked
        if key not in self._examined:
            found = media.examine(path, asked)
            stills = [
                {"time": clock(ms // 1000 * 1000), "picture": data_uri(picture, _STILL_PX)}
                for ms, picture in found.stills
            ]
            facts = [
                {"name": fact.name, "found": _words(fact.found), "done": _words(fact.done)} for fact in found.facts
            ]
            self._examined[key] = found, {"facts": facts, "stills": stills}

    def state(self, path: Path, settings: Settings) -> dict[str, Any] | None:
        """For the page: facts, stills, and the timeline with what is used of it; None until the film was looked into."""
        examined = self._examined.get((_version(path), _that_matter(settings)))
        if examined is None:
            return None
        found, card = examined
        return {**card, "timeline": _timeline(found, settings, path.name)}


def _timeline(found: Examination, settings: Settings, name: str) -> dict[str, Any] | None:
    """None where the film has no times."""
    length = found.duration_ms
    if not length:
        return None
    error = ""
    try:
        used = used_of_film(settings.extract, found.chapters, length, name)
    except InputError as problem:  # a chapter of another film
        used, error = [], str(problem)
    skipped = {part.casefold() for part in split_ranges(settings.extract.skip)}
    return {
        "length_ms": length,
        "used": [[start, length if end is None else end] for start, end in used],
        "only": split_ranges(settings.extract.only),
        "skip": split_ranges(settings.extract.skip),
        "chapters": [
            {"name": one.name, "start_ms": one.start_ms, "skipped": one.name.casefold() in skipped}
            for one in _once(found)
        ],
        "error": error,
    }


def _once(found: Examination) -> list[Chapter]:
    """The chapters, of several with one name the first: they are left out together."""
    first = {one.name.casefold(): one for one in reversed(found.chapters)}
    return sorted(first.values(), key=lambda one: one.start_ms)


def _that_matter(settings: Settings) -> Settings:
    """What the look into a film depends on; the rest as it is by default. Ranges are not looked at: they change often, and are drawn."""
    base = Settings(film=settings.film)
    wanted = {name: getattr(settings.extract, name) for name in ("crop", "crop_black_bars")}
    return base.model_copy(update={"extract": base.extract.model_copy(update=wanted)})


def _words(phrase: Phrase | None) -> dict[str, Any] | None:
    return None if phrase is None else {"key": phrase.key, "values": phrase.values}


def _version(path: Path) -> _Version:
    """Tells a file from what it was before."""
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns
