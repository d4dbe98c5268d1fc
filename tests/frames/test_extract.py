"""1_extract on small films made here: shots, the three modes, bars, segments, folders of pictures, and films with something missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import ffmpeg
import numpy as np
import pytest

from animeset_lib.frames import extract, stills
from animeset_lib.frames.extract import ExtractStage, FrameCounts, Segment, ShotSpan
from animeset_lib.frames.shots import ShotDetector, small_color
from animeset_lib.media import FilmReader, ffmpeg_exe, probe, read_image, write_image
from animeset_lib.records import Frame
from animeset_lib.run.stage import Context, Given, Output
from animeset_lib.settings import ExtractSettings
from tests.film_maker import Picture, drawing, face, remux, write_film

MakeContext = Callable[..., Context]
RunStage = Callable[..., Output]


@pytest.fixture
def run(make_context: MakeContext, run_stage: RunStage) -> Callable[..., Output]:
    """`run(path, threads=2, **settings)`: the whole stage on a film."""

    def call(path: Path, threads: int = 2, **settings: Any) -> Output:
        stage = ExtractStage(ExtractSettings(**settings), probe(path), path)
        return run_stage(stage, {}, replace(make_context(), threads=threads))

    return call


def _shots(output: Output) -> list[int]:
    return [shot.first_ms for shot in output.notes.shots]


# ------------------------------------------------------------------------------------------------------------- shots


def _hold(picture: Picture, frames: int) -> list[Picture]:
    return [picture] * frames


def _mix(a: Picture, b: Picture, frames: int) -> list[Picture]:
    shares = np.linspace(0, 1, frames + 2)[1:-1]
    return [np.rint(a * (1 - s) + b * s).astype(np.uint8) for s in shares]


def _pan(seed: int, frames: int, step: int) -> list[Picture]:
    wide = drawing(seed, 320 + frames * step)
    return [wide[:, i * step : i * step + 320] for i in range(frames)]


def _white(share: float, picture: Picture) -> Picture:
    return np.rint(picture * (1 - share) + 255 * share).astype(np.uint8)


A, B, C = drawing(11), drawing(22), drawing(33)
BLACK = np.zeros_like(A)

CASES: dict[str, tuple[list[Picture], list[int]]] = {
    "one held drawing": (_hold(A, 60), []),
    "two cuts": (_hold(A, 30) + _hold(B, 30) + _hold(C, 30), [30, 60]),
    "a shot of eight frames": (_hold(A, 30) + _hold(B, 8) + _hold(C, 30), [30, 38]),
    "a fast pan": (_hold(A, 20) + _pan(7, 24, 40), [20]),
    "a pan on threes": ([p for p in _pan(8, 20, 60) for _ in range(3)], []),
    "a white flash": (_hold(A, 30) + _hold(_white(1, A), 2) + _hold(A, 30), []),
    "a glow that swells and fades": (
        _hold(A, 20) + [_white(s, A) for s in (0.2, 0.5, 0.7, 0.5, 0.2)] + _hold(A, 30),
        [],
    ),
    "an impact frame": (_hold(A, 30) + _hold(C, 2) + _hold(A, 30), []),
    "darker light": (_hold(A, 30) + _hold((A * 0.5).astype(np.uint8), 30), []),
    "talking": (_hold(face("shut"), 20) + _hold(face("open"), 20) + _hold(face("smile"), 20), []),
    "a dissolve": (_hold(A, 30) + _mix(A, B, 12) + _hold(B, 30), [36]),
    "a slow dissolve": (_hold(A, 40) + _mix(A, B, 24) + _hold(B, 40), [52]),
    "fade through black": (
        _hold(A, 30) + _mix(A, BLACK, 12) + _hold(BLACK, 6) + _mix(BLACK, B, 12) + _hold(B, 30),
        [45],
    ),
    "a cut to black that fades in": (_hold(A, 30) + _hold(BLACK, 2) + _mix(BLACK, B, 12) + _hold(B, 30), [30]),
    "a fade out, then a cut": (_hold(A, 30) + _mix(A, BLACK, 12) + _hold(BLACK, 4) + _hold(B, 30), [46]),
    "fade in at the beginning": (_hold(BLACK, 4) + _mix(BLACK, A, 12) + _hold(A, 40), []),
    "fade out at the end": (_hold(A, 40) + _mix(A, BLACK, 12) + _hold(BLACK, 10), []),
    "a blink between shots": (_hold(A, 30) + _hold(BLACK, 2) + _hold(B, 30), [32]),
}


@pytest.mark.parametrize("name", CASES)
def test_shot_boundaries(name: str) -> None:
    pictures, expected = CASES[name]
    detector = ShotDetector(ExtractSettings().cut, 1000 / 24)
    for picture in pictures:
        yuv = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
        luma, cr, cb = (
            cv2.resize(yuv[:, :, i], size, interpolation=cv2.INTER_AREA)
            for i, size in enumerate([(160, 90), (80, 45), (80, 45)])
        )
        detector.add(small_color(luma, cb, cr))
    for index in range(len(detector)):
        detector.is_cut(index)
    found = detector.all_cuts()
    assert len(found) == len(expected), (found, expected)
    assert all(
        abs(a - b) <= (2 if "fade" not in name and "dissolve" not in name else 8)
        for a, b in zip(found, expected, strict=True)
    ), found


def test_every_shot_has_a_settled_still(tmp_path: Path, run: Callable[..., Output]) -> None:
    smear = cv2.GaussianBlur(B, (31, 1), 0)
    pictures = _hold(A, 30) + _hold(smear, 2) + _hold(B, 40) + _mix(B, C, 12) + _hold(C, 40)
    output = run(write_film(tmp_path / "a.mkv", pictures))
    assert _shots(output) == pytest.approx([0, 30 * 1000 / 24, 78 * 1000 / 24], abs=250)
    assert output.notes.shots_without_still == ()
    stills = [read_image(output.path / row.file).astype(int) for row in output.kept]
    # every still is one of the three drawings: no smear, no mixture
    for still in stills:
        assert min(np.abs(still - drawn).mean() for drawn in (A, B, C)) < 6
    assert [row.cause for row in output.rows if row.cause == "shot"] == ["shot"] * 3
    assert [row.shot for row in output.rows] == sorted(row.shot for row in output.rows)


def test_a_changed_expression_gives_a_still_and_lip_flap_does_not_flood(
    tmp_path: Path, run: Callable[..., Output]
) -> None:
    talking = [face(m) for m in ("shut", "open") * 12 for _ in range(4)]
    output = run(write_film(tmp_path / "a.mkv", talking + _hold(face("smile"), 40)))
    stills = [read_image(output.path / row.file).astype(int) for row in output.kept]
    seen = {min(("shut", "open", "smile"), key=lambda m: float(np.abs(s - face(m)).mean())) for s in stills}
    assert seen == {"shut", "open", "smile"}
    assert len(stills) <= 6  # 24 mouth movements in six seconds
    assert {row.shot for row in output.rows} == {0}


def test_a_held_drawing_gives_one_still(tmp_path: Path, run: Callable[..., Output]) -> None:
    output = run(write_film(tmp_path / "a.mkv", _hold(A, 240)))
    assert len(output.rows) == 1
    assert output.notes.counts == FrameCounts(decoded=240, considered=240, kept=1, damaged=0)
    assert sum(output.notes.change_since_last_still.frames) > 200


# ------------------------------------------------------------------------------------------------------------- modes


def _by_ffmpeg(path: Path, rate: str, size: tuple[int, int]) -> list[Picture]:
    data, _ = (
        ffmpeg.input(str(path))
        .output(
            "-",
            f="rawvideo",
            pix_fmt="rgb24",
            vf=f"fps={rate}",
            fps_mode="passthrough",
            sws_flags="bilinear+accurate_rnd+full_chroma_int",
        )
        .run(cmd=ffmpeg_exe(), capture_stdout=True, quiet=True)
    )
    return list(np.frombuffer(data, np.uint8).reshape(-1, size[1], size[0], 3))


STEADY = list(range(0, 4000, 40))
UNSTEADY = [0, 40, 90, 100, 480, 520, 1490, 1510, 1530, 3900, 4000, 4100, 4499, 4500, 4501]


@pytest.mark.parametrize("rate", ["1", "2.5", "10", "23.976", "50"])
@pytest.mark.parametrize(
    ("times", "suffix"), [(STEADY, ".mkv"), (UNSTEADY, ".mkv"), (UNSTEADY, ".mp4")], ids=["steady", "unsteady", "mp4"]
)
def test_fps_mode_gives_the_pictures_of_ffmpegs_filter(
    tmp_path: Path, run: Callable[..., Output], rate: str, times: list[int], suffix: str
) -> None:
    path = write_film(
        tmp_path / f"a{suffix}",
        [drawing(i, 96, 64) for i in range(len(times))],
        times_ms=times,
        fps=25,
        pix_fmt="yuv444p",
    )
    theirs = _by_ffmpeg(path, rate, (96, 64))
    output = run(path, mode="fps", fps=float(rate), crop_black_bars=False)
    assert len(output.rows) == len(theirs)
    for row, picture in zip(output.rows, theirs, strict=True):
        assert np.abs(read_image(output.path / row.file).astype(int) - picture).max() <= 1
    assert len({row.id for row in output.rows}) == len(output.rows)
    repeats = [row for row in output.rows if row.dropped]
    assert all(row.dropped == "repeat" and row.file in row.why for row in repeats)
    assert len({row.file for row in output.rows}) == len(output.kept) == len(theirs) - len(repeats)
    assert {row.pts_ms for row in output.kept} <= set(times)


def test_fps_mode_is_the_same_in_segments(
    tmp_path: Path, run: Callable[..., Output], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_film(tmp_path / "a.mkv", [drawing(i // 5, 96, 64) for i in range(250)], fps=25, gop=25)
    whole = run(path, mode="fps", fps=3).rows
    monkeypatch.setattr(extract, "SEGMENT_MS", 2000)
    assert run(path, mode="fps", fps=3).rows == whole


def test_keyframes_mode_gives_exactly_the_keyframes(tmp_path: Path, run: Callable[..., Output]) -> None:
    path = write_film(
        tmp_path / "a.mkv",
        [drawing(i // 30) for i in range(120)],
        gop=20,
        options={"preset": "veryfast", "sc_threshold": "0"},
    )
    output = run(path, mode="keyframes")
    assert [row.pts_ms for row in output.rows] == [round(i * 1000 / 24) for i in range(0, 120, 20)]
    assert {row.cause for row in output.rows} == {"keyframe"}
    assert [row.shot for row in output.rows] == [0, 0, 1, 2, 2, 3]


def test_ids_and_names_come_from_the_time(tmp_path: Path, run: Callable[..., Output]) -> None:
    path = write_film(tmp_path / "a.mkv", _hold(A, 24) + _hold(B, 24))
    output = run(path, image_format="webp")
    film = output.notes.film.id
    for row in output.rows:
        assert row.id == f"{film}-{row.pts_ms:09d}"
        assert row.file == f"{row.id}.webp"
        assert read_image(output.path / row.file).shape == (row.height, row.width, 3) == (180, 320, 3)


# ---------------------------------------------------------------------------------------------------------- segments


def _many_shots() -> list[Picture]:
    pictures: list[Picture] = []
    for seed, length in enumerate((50, 31, 20, 64, 9, 40, 77, 15)):
        pictures += _hold(drawing(seed + 40), length)
    return pictures + _mix(drawing(47), drawing(60), 12) + _hold(drawing(60), 40)


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_segments_give_the_shots_of_the_whole(
    tmp_path: Path, run: Callable[..., Output], monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    options = {"preset": "veryfast", "sc_threshold": "0", "bf": "2"}  # no help from keyframes at the cuts
    path = write_film(tmp_path / f"a{suffix}", _many_shots(), gop=24, options=options)
    whole = run(path)
    monkeypatch.setattr(extract, "SEGMENT_MS", 2500)
    stage = ExtractStage(ExtractSettings(), probe(path), path)
    segments = [item for item in stage.plan(Given()) if isinstance(item, Segment)]
    assert len(segments) >= 4
    assert segments[0].start.ms == 0
    assert segments[-1].end_ms is None
    assert [a.end_ms for a in segments[:-1]] == [b.start.ms for b in segments[1:]]
    parts = run(path)
    assert parts.notes.shots == whole.notes.shots
    assert len(_shots(parts)) == 9
    assert parts.notes.counts.considered == whole.notes.counts.considered
    assert {row.shot for row in parts.rows} == set(range(9))
    assert sum(row.cause == "shot" for row in parts.rows) == 9
    assert len({row.id for row in parts.rows}) == len(parts.rows)


def test_threads_and_order_do_not_change_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_context: MakeContext
) -> None:
    monkeypatch.setattr(extract, "SEGMENT_MS", 2500)
    path = write_film(tmp_path / "a.mkv", _many_shots(), gop=24)
    stage = ExtractStage(ExtractSettings(), probe(path), path)
    found: list[dict[str, bytes]] = []
    for threads, backwards in ((1, False), (4, True)):
        out = tmp_path / f"out{threads}"
        out.mkdir()
        items = list(stage.plan(Given()))
        rows: dict[str, list[Any]] = {}
        for item in reversed(items) if backwards else items:
            rows[item.id] = list(stage.process([item], out, replace(make_context(), threads=threads)))
        made = [row for item in items for row in rows[item.id]]
        final, notes = stage.finish(made, items, Given(), out, make_context())
        files = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
        told = "\n".join(one.model_dump_json() for one in (*final, notes))
        found.append(files | {"rows and notes": told.encode()})
    assert found[0] == found[1]


def test_the_key_depends_on_the_content_not_the_place(tmp_path: Path, make_context: MakeContext) -> None:
    path = write_film(tmp_path / "a.mkv", _hold(A, 5))
    other = tmp_path / "b.mkv"
    other.write_bytes(path.read_bytes())
    models = make_context().models
    keys = [ExtractStage(ExtractSettings(), probe(p), p).fingerprint(models) for p in (path, other)]
    assert keys[0] == keys[1] == {"film": probe(path).id}


def test_cancelling_stops_in_the_middle(tmp_path: Path, make_context: MakeContext) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    path = write_film(tmp_path / "a.mkv", [drawing(i) for i in range(100)])
    stage = ExtractStage(ExtractSettings(), probe(path), path)
    with pytest.raises(Stop):
        list(stage.process(stage.plan(Given()), tmp_path, replace(make_context(), check_cancel=stop)))


def test_a_full_disk_is_an_error_not_a_missing_file(
    tmp_path: Path, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, rgb: Picture) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stills, "write_image", full)
    path = write_film(tmp_path / "a.mkv", _hold(A, 30))
    stage = ExtractStage(ExtractSettings(), probe(path), path)
    with pytest.raises(OSError, match="No space"):
        list(stage.process(stage.plan(Given()), tmp_path, make_context()))


# -------------------------------------------------------------------------------------------------------- black bars


def _letterboxed(picture: Picture, top: int, left: int, subtitle: bool = False) -> Picture:
    framed = np.zeros((picture.shape[0] + 2 * top, picture.shape[1] + 2 * left, 3), np.uint8)
    framed[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    if subtitle:
        cv2.putText(
            framed,
            "A long line of subtitle text, it is",
            (10, framed.shape[0] - 8),
            0,
            0.5,
            (255, 255, 255),
            1,
            cv2.LINE_AA,
        )
    return framed


def _night(seed: int, lamp: int = 30) -> Picture:
    """A dark scene: only a lamp in its middle is lit."""
    picture = (drawing(seed) * 0.04).astype(np.uint8)
    cv2.circle(picture, (160, 90), lamp, (200, 180, 90), -1)
    return picture


BARS: dict[str, tuple[Sequence[Picture], tuple[int, int, int, int] | None]] = {
    "none": ([drawing(i) for i in range(40)], None),
    "letterbox": ([_letterboxed(drawing(i), 30, 0) for i in range(40)], (0, 30, 320, 210)),
    "pillarbox": ([_letterboxed(drawing(i), 0, 44) for i in range(40)], (44, 0, 364, 180)),
    "both": ([_letterboxed(drawing(i), 30, 44) for i in range(40)], (44, 30, 364, 210)),
    "subtitles inside the bar": (
        [_letterboxed(drawing(i), 30, 0, subtitle=i % 2 == 0) for i in range(40)],
        (0, 30, 320, 210),
    ),
    "mostly night": ([_night(i) if i % 4 else drawing(i) for i in range(40)], None),
    "night in a letterbox": (
        [_letterboxed(_night(i) if i % 4 else drawing(i), 30, 0) for i in range(40)],
        (0, 30, 320, 210),
    ),
    "nothing but night": ([_night(i) for i in range(40)], None),
    "night with a window": ([_night(i, 60) for i in range(40)], None),
}


@pytest.mark.parametrize("name", BARS)
def test_black_bars_are_cut_off_and_recorded(tmp_path: Path, run: Callable[..., Output], name: str) -> None:
    pictures, expected = BARS[name]
    path = write_film(tmp_path / "a.mkv", [p for p in pictures for _ in range(6)], gop=6)
    output = run(path)
    film = output.notes.film
    if expected is None:
        assert film.content_box is None
        assert {(row.width, row.height) for row in output.rows} == {(film.width, film.height)}
        return
    assert film.content_box is not None
    assert np.abs(np.subtract(film.content_box.xyxy, expected)).max() <= 2
    x0, y0, x1, y1 = film.content_box.pixels()
    # never outside the picture: a dark line on a training picture is worse than a lost one
    assert x0 >= expected[0]
    assert y0 >= expected[1]
    assert x1 <= expected[2]
    assert y1 <= expected[3]
    for row in output.rows:
        assert (row.width, row.height) == (x1 - x0, y1 - y0)
        assert read_image(output.path / row.file).shape == (y1 - y0, x1 - x0, 3)
    kept = run(path, crop_black_bars=False)
    assert kept.notes.film.content_box is None
    assert {(row.width, row.height) for row in kept.rows} == {(film.width, film.height)}


def test_bars_of_a_turned_film_with_oblong_pixels(tmp_path: Path, run: Callable[..., Output]) -> None:
    path = write_film(
        tmp_path / "a.mp4", [_letterboxed(drawing(i // 6), 30, 0) for i in range(240)], gop=6, aspect=Fraction(4, 3)
    )
    turned = remux(path, tmp_path / "turned.mp4", source_options={"display_rotation": 90})
    output = run(turned)
    film = output.notes.film
    assert film.content_box is not None
    box = film.content_box.xyxy
    # 320x240 with 4:3 pixels is 427x240; turned 240x427, the bars left and right
    assert (film.width, film.height) == (240, 427)
    assert np.abs(np.subtract(box, (30, 0, 210, 427))).max() <= 2
    still = read_image(output.path / output.rows[0].file)
    assert still.shape == (427, round(box[2]) - round(box[0]), 3)
    assert still.mean(axis=(0, 2)).min() > 30


# -------------------------------------------------------------------------------------------- pictures, broken films


def test_a_folder_of_pictures(tmp_path: Path, run: Callable[..., Output], caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "Bilder"
    folder.mkdir()
    for number in (1, 2, 10):
        write_image(folder / f"{number}.png", drawing(number, 320 + number, 180))
    (folder / "3.png").write_bytes((folder / "2.png").read_bytes()[:500])
    with caplog.at_level(logging.WARNING):
        output = run(folder)
    assert [(r.pts_ms, r.shot, r.width, r.dropped) for r in output.rows] == [
        (0, 0, 321, None),
        (1000, 1, 322, None),
        (2000, 2, 321, "unreadable"),
        (3000, 3, 330, None),
    ]
    assert (read_image(output.path / output.rows[3].file) == drawing(10, 330, 180)).all()
    assert "3.png: expected a readable picture" in output.rows[2].why
    assert str(tmp_path) not in output.rows[2].why
    assert "3.png" in caplog.text
    assert {row.cause for row in output.rows} == {"picture"}


def test_a_film_of_one_frame(tmp_path: Path, run: Callable[..., Output]) -> None:
    path = write_film(tmp_path / "a.mp4", [A])
    output = run(path)
    assert [(row.pts_ms, row.shot, row.cause) for row in output.rows] == [(0, 0, "shot")]
    assert output.notes.shots == (ShotSpan(first_ms=0, last_ms=0),)
    assert len(run(path, mode="keyframes").rows) == 1


def test_a_truncated_film_is_used_and_said(
    tmp_path: Path, run: Callable[..., Output], caplog: pytest.LogCaptureFixture
) -> None:
    path = write_film(tmp_path / "a.mkv", [drawing(i // 24) for i in range(240)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        output = run(path)
    assert len(output.rows) >= 3
    (note,) = [n for n in output.notes.film.notes if "of 10.0 s, the rest is missing" in n]
    assert note in caplog.text


def test_damaged_frames_are_left_out_and_counted(tmp_path: Path, run: Callable[..., Output]) -> None:
    path = write_film(tmp_path / "a.ts", [drawing(i // 12) for i in range(240)], gop=12)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(data)
    output = run(path)
    notes = output.notes
    assert notes.counts.damaged > 0
    assert any("damaged" in note for note in notes.film.notes)
    for row in output.rows:
        still = read_image(output.path / row.file).astype(int)
        assert min(np.abs(still - drawing(i)).mean() for i in range(20)) < 12


def test_few_frames_are_held_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_context: MakeContext
) -> None:
    """Memory stays flat because at no time more than a couple of dozen decoded frames live."""
    alive = most = 0

    class Token:
        def __init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    class Reader(FilmReader):
        def frames(self, *args: Any, **kwargs: Any) -> Iterable[Any]:  # type: ignore[override]
            for frame in super().frames(*args, **kwargs):
                yield _Tracked(frame, Token())

    class _Tracked:
        def __init__(self, frame: Any, token: Token) -> None:
            self._frame, self._token = frame, token

        def __getattr__(self, name: str) -> Any:
            return getattr(self._frame, name)

    monkeypatch.setattr(extract, "FilmReader", Reader)
    path = write_film(tmp_path / "a.mkv", [drawing(i) for i in range(200)])
    stage = ExtractStage(ExtractSettings(mode="fps", fps=24, crop_black_bars=False), probe(path), path)
    rows = list(stage.process(stage.plan(Given()), tmp_path, make_context()))
    assert len(rows) == 200
    assert all(isinstance(row, Frame) for row in rows)
    assert most < 30
