"""A film, decoded frame by frame."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from animeset_lib.errors import InputError
from animeset_lib.media.animation import Animation, open_animation
from animeset_lib.media.clock import KeyPoint, Timeline, may_restart, read_timeline, restarts
from animeset_lib.media.colour import has_dolby_data, hdr_kind, matrix_of, retagged
from animeset_lib.media.movie_frame import CLOCKWISE, Display, MovieFrame, odd_pixels, orientation_of, sensible_pixels
from animeset_lib.media.tracks import Contents, choose_track, contents_of
from animeset_lib.settings import FilmSettings

__all__ = ["FilmReader"]


_MAX_FAILED_READS = 16
_BEFORE_JOINT = 2
"""Packets that wait for the next keyframe to be judged."""
_DOLBY_TAGS = frozenset({"dvh1", "dvhe", "dvav", "dva1"})
_REPAIR_S = 10  # streams without keyframes renew the picture bit by bit, within the longest usual distance of keyframes


class FilmReader:
    """An open video: its display size and times, and its frames from any point on. Use it in a `with`; not for several threads at once.

    width, height   of the display picture: rotated as the file says, pixels made square by enlarging the shorter side. Where they change
                    inside the film, those of its first frame.
    duration_ms     as the container claims, or as its clocks add up to where they start anew; None when unknown
    fps             average rate, None when unknown
    notes           what a person should know
    damaged         how many packets and frames could not be decoded so far
    timed           False when the file gives no times at all, so that they are counted from the frame rate and seeking is impossible

    Raises `InputError` when there is no film in the file. Of several video tracks the default one with moving pictures is the film; cover art
    is not.
    """

    def __init__(self, path: Path, threads: int = 1, settings: FilmSettings | None = None) -> None:
        self._path = path
        self._threads = threads
        self._settings = settings or FilmSettings()
        self.notes: list[str] = []
        self.damaged = 0
        self._index: int | None = None
        self._animation: Animation | None = None
        self._display = Display(combed=self._settings.fields)
        self._aspect: Fraction | None
        self._fixed_aspect: Fraction | None
        self._open()
        try:
            self._measure()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    # ---- opening

    def _open(self) -> None:
        with suppress(OSError):  # what cannot be opened is said by FFmpeg
            self._animation = open_animation(self._path)
        # an absolute `file:` address: a name may hold colons, dashes and per cent signs, and playlists must not reach the network
        address = "file:" + os.path.abspath(self._path)
        try:
            self._container: InputContainer = av.open(
                address, mode="r", metadata_errors="replace", container_options={"protocol_whitelist": "file"}
            )
        except (av.error.FFmpegError, OSError, ValueError) as problem:
            raise InputError(
                f"{self._path}: expected a film, got a file FFmpeg cannot read ({_reason(problem)}); {self._hint()}"
            ) from problem
        try:
            if self._index is None:
                chosen, note = choose_track(self._container, self._path, self._settings.track)
                self._index = chosen.index
                self.notes += [note] if note else []
        except InputError:
            self._container.close()
            raise
        self._stream = next(s for s in self._container.streams.video if s.index == self._index)
        context = self._stream.codec_context
        context.thread_type = "AUTO"
        context.thread_count = self._threads
        for other in self._container.streams:
            if other.index != self._stream.index:
                other.discard = Discard.all
        self._base = Fraction(1, 1000) if self._animation or not self._stream.time_base else self._stream.time_base
        start = self._container.start_time
        # rounded to the stream's clock as the ffmpeg program does, so that its frame-rate filter can be followed exactly
        self._start = 0 if start is None else _rounded(Fraction(start, 1_000_000) / self._base)
        self._restarts = 0

    def _hint(self) -> str:
        with suppress(OSError), self._path.open("rb") as file:
            head = file.read(4096)
            if head[4:8] == b"ftyp":
                return "its index (moov) is missing or broken, which a complete copy or download would have"
            if head and not head.translate(None, bytes(range(32, 127)) + b"\t\r\n\f\b\x1b"):
                return "it holds plain text; give the film itself"
        return "check that it plays in a video player, or copy it again"

    def _measure(self) -> None:
        """Reads the first frame and, from it, everything that the header may not tell."""
        stream = self._stream
        rate = stream.average_rate or stream.guessed_rate
        if self._animation is not None:
            rate = Fraction(1000 * len(self._animation.times_ms), self._animation.duration_ms)
        self._step = 1 / Fraction(rate) if rate else Fraction(1, 25)
        self.fps = round(float(rate), 6) if rate else None
        self.codec = stream.codec_context.name
        self._aspect = self._fixed_aspect = None
        self.timed = True
        first = next(self._decoded(), None)
        if first is None:
            raise InputError(
                f"{self._path}: expected a film, got a {self.codec} stream in which no frame can be decoded; {self._hint()}"
            )
        # what is made for other displays, too, says HDR of itself (profiles 7 and 8)
        if not hdr_kind(first) and (stream.codec_context.codec_tag in _DOLBY_TAGS or has_dolby_data(first)):
            raise InputError(
                f"{self._path}: expected colours that can be read, got Dolby Vision without a layer for other displays (profile 5); "
                "convert it first, for example with an ffmpeg that has libplacebo: -vf "
                "libplacebo=colorspace=bt709:color_primaries=bt709:color_trc=bt709:format=yuv420p"
            )
        # an animation is decoded from its beginning: it cannot be sought in
        self.timed = self._animation is None and (first.pts is not None or first.dts is not None)
        self._display.coded_size = first.width, first.height
        turned = self._settings.turn
        self._display.orientation = orientation_of(first) if turned == "auto" else CLOCKWISE[turned]
        self.pix_fmt = first.format.name
        # the container's word counts for the whole film, the codec's may change within it
        given = self._settings.pixel_aspect or stream.sample_aspect_ratio
        self._fixed_aspect = given if given != stream.codec_context.sample_aspect_ratio else None
        self._aspect = self._shape = given
        self.width, self.height = self._display.size(first, given)
        self._note_shape(given)
        if note := matrix_of(first)[1]:
            self.notes.append(note)
        if hdr := hdr_kind(first):
            self.notes.append(f"HDR ({hdr}) brought to the standard range")
        if self.without_times:
            self.notes.append("the file gives no times; they are counted from the frame rate")
        self.damaged = 0
        self._reopen()

    @cached_property
    def _timeline(self) -> Timeline | None:
        """The file's clocks, where they start anew; found by looking through all packets."""
        if not self.timed or not may_restart(self._container.format.flags):
            return None
        timeline = read_timeline(self._packets(), self._start, self._base, self._step)
        self._reopen()
        return timeline

    @property
    def contents(self) -> Contents:
        """What the file holds beside the film's frames."""
        return contents_of(self._container, None if self._animation else self._stream)

    @property
    def pixel_shape(self) -> Fraction | None:
        """Width to height of one pixel at the film's beginning, as coded; None when unknown."""
        return self._shape

    @property
    def without_times(self) -> bool:
        """Whether the file gives no times at all."""
        return not self.timed and self._animation is None

    @property
    def turned(self) -> bool:
        return self._display.orientation != (1, 0, 0, 1)

    @property
    def joined(self) -> int:
        """Of how many parts with a clock of their own the file consists; 0 when there is one clock."""
        return len(self._timeline.shifts) if self._timeline is not None else 0

    @cached_property
    def duration_ms(self) -> int | None:
        if self._timeline is not None:
            self.notes.append(
                f"the clock of the file starts {len(self._timeline.shifts)} times; its parts follow one another"
            )
            return round(self._timeline.end * self._base * 1000)
        stream, container = self._stream, self._container
        if self._animation is not None:
            return self._animation.duration_ms
        if container.duration:
            return round(container.duration / 1000)
        return round(stream.duration * self._base * 1000) if stream.duration else None

    def _note_shape(self, aspect: Fraction | None) -> None:
        if odd_pixels(aspect):
            self.notes.append(
                f"pixels {aspect.numerator}:{aspect.denominator} made square"
                if sensible_pixels(aspect)
                else f"pixel shape {aspect.numerator}:{aspect.denominator} makes no sense and is ignored"
            )
        if self.turned:
            self.notes.append(
                "turned upright as the file says"
                if self._settings.turn == "auto"
                else f"turned by {self._settings.turn} degrees"
            )

    def _reopen(self) -> None:
        self._container.close()
        self._open()

    # ---- reading

    def key_point(self, ms: int) -> KeyPoint:
        """Where `frames` begins to decode for frames from `ms` on."""
        return KeyPoint(ms) if self._timeline is None else replace(self._timeline.at(ms), ms=ms)

    def frames(self, start: int | KeyPoint = 0, *, keyframes: bool = False) -> Iterator[MovieFrame]:
        """Frames from `start` on (ms, or a key point) in order of time, each later than the one before; with `keyframes`, only those (cheap).

        Damaged packets are passed over and counted in `damaged`; a file that ends too early just ends. Times come from the file; where
        they are missing they go on by the frame rate, and where they jump back the rest is moved behind what came before.
        """
        point = start if isinstance(start, KeyPoint) else self.key_point(start)
        if point.byte is not None:
            self._container.seek(point.byte, unsupported_byte_offset=True)
            yield from (f for f in self._timed(keyframes, point.shifts) if f.pts_ms >= point.ms)
            return
        # Some containers seek past the wanted frame: then try from further back, at last from the beginning.
        for margin_ms in (0, 3_000, 15_000):
            if not self.timed or point.ms - margin_ms <= 0 or not self._seek(point.ms - margin_ms):
                continue
            found = self._timed(keyframes)
            first = next(found, None)
            if first is not None and first.pts_ms <= point.ms:
                yield from (f for f in _chain(first, found) if f.pts_ms >= point.ms)
                return
        self._reopen()
        yield from (f for f in self._timed(keyframes) if f.pts_ms >= point.ms)

    def key_points(self, every_ms: int, start_ms: int = 0, end_ms: int | None = None) -> list[KeyPoint]:
        """Keyframes between both times, at least `every_ms` apart, the first not before `start_ms + every_ms`; found by seeking, so cheap in any
        length.

        Empty when the file cannot be sought in.
        """
        points: list[KeyPoint] = []
        target = start_ms + every_ms
        last = min(self.duration_ms or 0, self.duration_ms or 0 if end_ms is None else end_ms)
        while self.timed and target < last:
            packet = self._key_packet(target)
            if packet is None:
                break
            point = KeyPoint(self._packet_ms(packet)) if self._timeline is None else self._timeline.at(target)
            if (points[-1].ms if points else start_ms) + every_ms // 2 <= point.ms < last:
                points.append(point)
            target = max(target, point.ms) + every_ms
        return points

    def samples(self, times_ms: Iterable[int]) -> Iterator[MovieFrame]:
        """The keyframe at or before each time, each at most once; what cannot be read is left out."""
        for packet in self._key_packets(times_ms):
            frames: list[VideoFrame] = []
            with suppress(av.error.FFmpegError):
                frames += packet.decode()
                frames += self._stream.decode(None)
            whole = (f for f in self._described(frames[:1]) if not f.is_corrupt)
            yield from (self._shown(f, self._time_of(f) or Fraction(0)) for f in whole)

    def spread(self, count: int) -> Iterator[MovieFrame]:
        """About `count` frames from everywhere in the film, in order of time: keyframes, for they are cheap. A film with hardly any keyframes is
        read through, at most its first minute.

        Each lies in the middle of an equal part: first and last frames are often black or a logo.
        """
        length = self.duration_ms or 0
        times = [length * (2 * i + 1) // (2 * count) for i in range(count)]
        if sum(1 for _ in self._key_packets(times)) >= count // 2:
            yield from self.samples(times)
            return
        step = max(1, round(min(length or 60_000, 60_000) / count))
        due, left = step // 2 if length else 0, count
        for frame in self.frames():
            if frame.pts_ms >= due:
                yield frame
                due, left = frame.pts_ms + step, left - 1
            if not left:
                return

    def last_ms(self) -> int | None:
        """When the last picture of the file begins, found by seeking; None where that cannot be told cheaply."""
        if not self.timed or not self.duration_ms or self._timeline is not None:
            return None
        for margin_ms in (2_000, 20_000, 200_000, self.duration_ms):
            if self._seek(max(0, self.duration_ms - margin_ms)):
                times = [
                    self._packet_ms(p) for p in self._packets() if p.size and (p.pts is not None or p.dts is not None)
                ]
                if times:
                    return max(times)
        return None

    def _seek(self, time_ms: int) -> bool:
        try:
            self._container.seek(self._start + _rounded(Fraction(time_ms, 1000) / self._base), stream=self._stream)
        except (av.error.FFmpegError, OSError):
            return False
        return True

    def _key_packet(self, time_ms: int) -> Packet[VideoStream] | None:
        if self._timeline is not None and (byte := self._timeline.at(time_ms).byte) is not None:
            self._container.seek(byte, unsupported_byte_offset=True)
        elif not self._seek(time_ms):
            return None
        return next(
            (p for p in self._packets() if p.is_keyframe and p.size and (p.pts is not None or p.dts is not None)), None
        )

    def _key_packets(self, times_ms: Iterable[int]) -> Iterator[Packet[VideoStream]]:
        """Those of the keyframes at or before each time, each once."""
        seen: set[tuple[int | None, int | None, int | None]] = set()
        for time_ms in times_ms:
            packet = self._key_packet(time_ms) if self.timed else None
            if packet is not None and (place := (packet.pos, packet.pts, packet.dts)) not in seen:
                seen.add(place)
                yield packet

    def _packet_ms(self, packet: Packet[VideoStream]) -> int:
        ticks = packet.pts if packet.pts is not None else packet.dts
        assert ticks is not None
        return max(0, round((ticks - self._start) * self._base * 1000))

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        failures = 0
        while failures < _MAX_FAILED_READS:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    yield packet
                return
            except (av.error.FFmpegError, OSError):
                failures += 1
                self.damaged += 1

    def _judged(self) -> Iterator[tuple[Packet[VideoStream], bool]]:
        """Packets, and whether they are damaged. Where recordings were joined, the last ones before a keyframe are called corrupt but are whole."""
        waiting: deque[tuple[Packet[VideoStream], bool]] = deque()
        for packet in self._packets():
            joined = packet.is_keyframe and may_restart(self._container.format.flags)
            while waiting and (joined or len(waiting) > _BEFORE_JOINT):
                one, broken = waiting.popleft()
                yield one, broken and not joined
            waiting.append((packet, bool(packet.is_corrupt)))
        yield from waiting

    def _decoded(self) -> Iterator[VideoFrame]:
        if self._animation is not None:
            yield from self._animated(self._animation)
            return
        flushed, last = False, None
        for packet, broken in self._judged():
            if packet.size == 0 and packet.dts is not None:
                continue  # says that the picture stays (Theora)
            flushed = flushed or packet.size == 0
            self.damaged += broken
            if packet.dts is not None:
                self._restarts += last is not None and restarts(last, packet.dts, self._base)
                last = packet.dts
            try:
                yield from self._described(packet.decode())
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError):
                self.damaged += 1
        if not flushed:  # reading failed before the end: what the decoder still holds is good
            with suppress(av.error.FFmpegError, OSError):
                yield from self._described(self._stream.decode(None))

    def _animated(self, animation: Animation) -> Iterator[VideoFrame]:
        """A moving WebP, of which FFmpeg decodes nothing."""
        try:
            for rgb, time_ms in animation.frames():
                frame = VideoFrame.from_ndarray(rgb, "rgb24")
                frame.pts, frame.time_base = self._start + time_ms, self._base
                yield frame
        except InputError:
            self.damaged += 1

    def _described(self, frames: Sequence[VideoFrame]) -> Iterator[VideoFrame]:
        """With the shape of their pixels, and the colours that the settings say."""
        for frame in frames:
            self._aspect = self._fixed_aspect or self._stream.codec_context.sample_aspect_ratio
            retagged(frame, self._settings)
            yield frame

    def _time_of(self, frame: VideoFrame) -> Fraction | None:
        ticks = frame.pts if frame.pts is not None else frame.dts
        return None if ticks is None else (ticks - self._start) * self._base

    def _shown(self, frame: VideoFrame, time: Fraction, **told: Any) -> MovieFrame:
        duration = frame.duration * self._base if frame.duration else None
        return MovieFrame(frame, self._display, self._aspect, time, duration, **told)

    def _timed(self, keyframes: bool, shifts: Sequence[int] = (0,)) -> Iterator[MovieFrame]:
        """All frames with their times, each with its neighbours, for which it has to wait for the next one."""
        held: MovieFrame | None = None
        for seen in self._one_by_one(keyframes, shifts):
            if held is not None:
                if not keyframes:
                    held.after, seen.before = seen.frame, held.frame
                yield held
            held = seen
        if held is not None:
            yield held

    def _one_by_one(self, keyframes: bool, shifts: Sequence[int]) -> Iterator[MovieFrame]:
        self._stream.codec_context.skip_frame = "NONKEY" if keyframes else "DEFAULT"
        last = last_given = None
        last_ms = -1
        part, self._restarts = 0, 0
        shift = shifts[0] * self._base
        errors = self.damaged
        broken_until: Fraction | None = None
        for frame in self._decoded():
            given = self._time_of(frame)
            if given is None:
                time = Fraction(0) if last is None else last + self._step
            else:
                # a large step is a clock that was set anew, as in joined recordings; the packets said so before the frame came
                if (
                    last is not None
                    and last_given is not None
                    and abs(given - last_given) > 1
                    and self._restarts > part
                ):
                    part += 1
                    shift = shifts[part] * self._base if part < len(shifts) else last + self._step - given
                last_given, time = given, given + shift
                if last is not None and time <= last:
                    # a small step back is a flaw of one frame
                    if last - time > 1:
                        shift += last + self._step - time
                    time = last + (self._step if last - time > 1 else Fraction(1, 1000))
            last = time
            self.damaged += bool(frame.is_corrupt)
            if self.damaged > errors:
                errors = self.damaged
                broken_until = time + _REPAIR_S
            elif frame.key_frame or (broken_until is not None and time > broken_until):
                broken_until = None
            seen = self._shown(frame, time, after_ms=last_ms, damaged=broken_until is not None)
            last_ms = seen.pts_ms
            yield seen


def _chain(first: MovieFrame, rest: Iterator[MovieFrame]) -> Iterator[MovieFrame]:
    yield first
    yield from rest


def _rounded(value: Fraction) -> int:
    """To the nearest whole number, halves away from zero (FFmpeg's AV_ROUND_NEAR_INF)."""
    return int(value + Fraction(1, 2)) if value >= 0 else -int(-value + Fraction(1, 2))


def _reason(problem: Exception) -> str:
    return str(getattr(problem, "strerror", "") or problem)
