"""The tracks and chapters of a film's file, and which video track is the film."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av.error
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from animeset_lib.errors import InputError
from animeset_lib.settings.ranges import Chapter

__all__ = ["Contents", "choose_track", "contents_of"]

_LOOKED_AT = 64
"""Packets of all video tracks together, to see which of them move."""
_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True)
class Contents:
    """container   kind of file, as FFmpeg calls it
    video_tracks   each in words, without cover art; none in an animation
    used           the one that is the film
    sound, subtitles  language, title and codec of each, as far as known
    chapters       in the file's order; one without a name is called by its number
    """

    container: str
    video_tracks: list[str]
    used: str
    sound: list[str]
    subtitles: list[str]
    chapters: list[Chapter]


def choose_track(container: InputContainer, path: Path, wanted: int | None) -> tuple[VideoStream, str]:
    """The track that is the film, and a note when there were several: number `wanted`, else the default one that moves, else the largest.

    Raises `InputError` where there is none.
    """
    if container.format.name == "tty":
        raise InputError(f"{path}: expected a film, got plain text; give the film itself")
    real = _film_tracks(container)
    if not real:
        kinds = ", ".join(sorted({str(s.type) for s in container.streams})) or "nothing"
        got = "only a cover picture" if container.streams.video else f"only {kinds}"
        raise InputError(f"{path}: expected a film, got a file without moving pictures ({got}); give the video file")
    if wanted is not None:
        chosen = next((s for s in real if s.index == wanted - 1), None)
        if chosen is None:
            raise InputError(
                f"{path}: film.track = {wanted} is no video track; expected one of {', '.join(map(_name, real))}"
            )
        others = [_name(s) for s in real if s != chosen]
    else:
        moving = _moving(container, real) if len(real) > 1 else set()
        chosen = max(
            real, key=lambda s: (s.index in moving, bool(s.disposition & Disposition.default), _area(s), -s.index)
        )
        others = [f"{_name(s)}{'' if s.index in moving else ', one picture'}" for s in real if s != chosen]
    if not others:
        return chosen, ""
    return chosen, f"of {len(real)} video tracks, {_name(chosen)} is used; not used: {', '.join(others)}"


def contents_of(container: InputContainer, film: VideoStream | None) -> Contents:
    """`film` is the track that is used; None for an animation, which FFmpeg takes for something else."""
    sound, subtitles = (
        [_words(stream) for stream in container.streams if stream.type == kind] for kind in ("audio", "subtitle")
    )
    names = [] if film is None else [_name(stream) for stream in _film_tracks(container)]
    used = "" if film is None else _name(film)
    return Contents(container.format.long_name, names, used, sound, subtitles, _chapters(container))


def _words(stream: Stream) -> str:
    codec = stream.codec_context.name if stream.codec_context else ""
    words = (stream.language, stream.metadata.get("title"), codec)
    return " ".join(word for word in words if word and word != "und") or "?"


def _chapters(container: InputContainer) -> list[Chapter]:
    found = []
    start = (container.start_time or 0) / 1000
    entry: Any
    for number, entry in enumerate(container.chapters(), start=1):
        first, end = (round(float(entry[name] * entry["time_base"] * 1000) - start) for name in ("start", "end"))
        name = str(entry["metadata"].get("title") or f"Chapter {number}")
        found.append(Chapter(name, max(0, first), end if end > first else None))
    return found


def _film_tracks(container: InputContainer) -> list[VideoStream]:
    """Video tracks without cover art."""
    return [stream for stream in container.streams.video if not stream.disposition & _NO_FILM]


def _name(stream: VideoStream) -> str:
    return f"track {stream.index + 1} ({stream.codec_context.name} {stream.codec_context.width}x{stream.codec_context.height})"


def _moving(container: InputContainer, streams: Sequence[VideoStream]) -> set[int]:
    """Those with more than one picture at the beginning of the file."""
    seen: Counter[int] = Counter()
    with suppress(av.error.FFmpegError, OSError):
        for packet in container.demux(*streams):
            seen[packet.stream.index] += packet.size > 0
            if seen.total() >= _LOOKED_AT:
                break
    container.seek(0)
    return {index for index, count in seen.items() if count > 1}


def _area(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height
