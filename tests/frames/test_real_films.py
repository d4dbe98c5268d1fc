"""Films as people bring them: interlaced, HDR, joined, with bars that come and go. Each is made here from a film that is none of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import cv2
import ffmpeg
import numpy as np
import numpy.typing as npt
import pytest
from av.packet import Packet
from PIL import Image

from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractNotes, ExtractStage
from animeset_lib.media import FilmReader, combing, ffmpeg_exe, probe, read_image
from animeset_lib.media.fields import COMBED
from animeset_lib.records import Frame
from animeset_lib.run.stage import Context, Given, Output
from animeset_lib.settings import ExtractSettings
from tests.film_maker import drawing, remux, write_film

Picture = npt.NDArray[np.uint8]
Extract = Callable[..., Output[Frame, ExtractNotes]]
SIZE = (320, 180)
SHOTS, SHOT_FRAMES, FPS = 4, 24, 24


@pytest.fixture
def extract(
    make_context: Callable[..., Context], run_stage: Callable[..., Output[Any, Any]], tmp_path: Path
) -> Callable[..., Output[Frame, ExtractNotes]]:
    numbers = count()

    def run(path: Path, **settings: Any) -> Output[Frame, ExtractNotes]:
        stage = ExtractStage(ExtractSettings(**{"min_gap_ms": 200, **settings}), probe(path), path)
        output = run_stage(stage, Given([]), make_context())
        folder = tmp_path / f"out-{next(numbers)}"
        output.path.rename(folder)
        return Output(folder, ExtractStage, output.key)

    return run


def _moving(shot: int, step: int) -> Picture:
    """A drawing that is pushed through the picture, four pixels a frame: combs cannot hide in it."""
    wide = drawing(shot + 3, SIZE[0] + 4 * SHOT_FRAMES, SIZE[1])
    return np.ascontiguousarray(wide[:, 4 * step : 4 * step + SIZE[0]])


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [_moving(shot, step) for shot in range(SHOTS) for step in range(SHOT_FRAMES)]


@pytest.fixture(scope="module")
def plain(pictures: Sequence[Picture], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "plain.mkv"
    return write_film(path, pictures, fps=FPS, options={"crf": "8", "preset": "ultrafast"})


def _filtered(source: Path, target: Path, chain: Sequence[tuple[str, dict[str, Any]]], **output: Any) -> Path:
    stream = ffmpeg.input(str(source))
    for name, options in chain:
        stream = stream.filter(name, **options)
    settings = {"c:v": "libx264", "crf": 12, "preset": "veryfast", **output}
    ffmpeg.output(stream, str(target), **settings).overwrite_output().run(cmd=ffmpeg_exe(), quiet=True)
    return target


def _stills(output: Output[Frame, Any]) -> list[Picture]:
    return [read_image(output.path / row.file) for row in output.rows]


def _combed(pictures: Sequence[Picture]) -> list[int]:
    gray = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8) for picture in pictures]
    return [i for i, picture in enumerate(gray) if combing(picture) >= COMBED]


INTERLACED = {
    "telecine": ([("telecine", {"pattern": "23"})], {"flags": "+ilme+ildct"}),
    "telecine, flagged progressive": ([("telecine", {"pattern": "23"})], {}),
    "video": (
        [("framerate", {"fps": 48}), ("tinterlace", {"mode": "interleave_top"})],
        {"flags": "+ilme+ildct", "x264-params": "tff=1"},
    ),
    "video, wrong order": (
        [("framerate", {"fps": 48}), ("tinterlace", {"mode": "interleave_bottom"})],
        {"flags": "+ilme+ildct", "x264-params": "tff=1"},
    ),
    "fields shifted": ([("phase", {"mode": "t"})], {"flags": "+ilme+ildct", "x264-params": "bff=1"}),
}


@pytest.mark.parametrize("kind", INTERLACED)
def test_no_still_of_an_interlaced_film_is_combed(kind: str, plain: Path, extract: Extract, tmp_path: Path) -> None:
    chain, options = INTERLACED[kind]
    film = _filtered(plain, tmp_path / "film.mkv", chain, **options)
    with FilmReader(film) as reader:
        frames = [frame.rgb() for frame in reader.frames()]
    assert len(_combed(frames)) > len(frames) // 10, "the film made here shows no combs"
    output = extract(film, mode="fps", fps=8)
    stills = _stills(output)
    assert len(stills) >= 7 * SHOTS
    assert _combed(stills) == []
    (note,) = (note for note in output.notes.film.notes if "interlaced" in note)
    assert "stills were combed" in note


def test_stills_of_a_telecined_film_are_the_film(plain: Path, extract: Extract, tmp_path: Path) -> None:
    """Not only without combs: each is one of the pictures that the film was made of, in its whole height."""
    with FilmReader(plain) as reader:
        originals = np.stack([frame.rgb() for frame in reader.frames()]).astype(np.int16)
    film = _filtered(plain, tmp_path / "film.mkv", *[[("telecine", {"pattern": "23"})]], **{"crf": 1})
    for still in _stills(extract(film, mode="fps", fps=8)):
        differences = np.abs(originals - still).mean(axis=(1, 2, 3))
        assert differences.min() < 3.0


def test_a_progressive_film_is_left_as_it_is(plain: Path, extract: Extract) -> None:
    assert extract(plain).notes.film.notes == ("colour matrix not given: BT.601 assumed, as usual below 720 lines",)


HDR = {
    "PQ": ("smpte2084", "libx265", "yuv420p10le"),
    "HLG": ("arib-std-b67", "libx265", "yuv420p10le"),
    "PQ, VP9": ("smpte2084", "libvpx-vp9", "yuv420p10le"),
}


@pytest.mark.parametrize("kind", HDR)
def test_hdr_looks_like_the_film_it_was_made_of(
    kind: str, pictures: Sequence[Picture], extract: Extract, tmp_path: Path
) -> None:
    transfer, codec, pix_fmt = HDR[kind]
    plain = write_film(tmp_path / "plain.mkv", pictures, fps=FPS, options={"crf": "4", "preset": "ultrafast"})
    tags = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "smpte170m", "range": "tv"}
    to_hdr = [
        ("setparams", tags),
        ("zscale", {"transfer": "linear", "npl": 203}),
        ("format", {"pix_fmts": "gbrpf32le"}),
        ("zscale", {"primaries": "2020", "transfer": transfer, "matrix": "2020_ncl", "range": "limited", "npl": 203}),
        ("format", {"pix_fmts": pix_fmt}),
    ]
    colours = {"color_primaries": "bt2020", "color_trc": transfer, "colorspace": "bt2020nc", "color_range": "tv"}
    film = _filtered(
        plain, tmp_path / "film.mkv", to_hdr, **{"c:v": codec, "crf": 14, "preset": "ultrafast"}, **colours
    )
    output = extract(film)
    reference = extract(plain)
    assert len(output.notes.shots) == len(reference.notes.shots) == SHOTS
    originals = {row.pts_ms: still for row, still in zip(reference.rows, _stills(reference), strict=True)}
    errors = [
        np.linalg.norm(_lab(originals[row.pts_ms]) - _lab(still), axis=-1).mean()
        for row, still in zip(output.rows, _stills(output), strict=True)
        if row.pts_ms in originals
    ]
    assert len(errors) >= SHOTS
    assert max(errors) <= 3.0
    assert any("HDR" in note for note in output.notes.film.notes)


def _lab(picture: Picture) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)


def test_dolby_vision_without_another_layer_is_refused(plain: Path, tmp_path: Path) -> None:
    film = _filtered(plain, tmp_path / "film.mp4", [], **{"c:v": "libx265", "preset": "ultrafast", "tag:v": "dvh1"})
    with pytest.raises(InputError, match=r"Dolby Vision .*profile 5.* convert it first"):
        probe(film)


def test_dolby_vision_with_a_layer_for_other_displays_is_used(plain: Path, tmp_path: Path) -> None:
    """Its pictures are HDR like others, whatever the tag of the codec promises beside them."""
    colours = {"color_primaries": "bt2020", "color_trc": "smpte2084", "colorspace": "bt2020nc"}
    options = {"c:v": "libx265", "preset": "ultrafast", "pix_fmt": "yuv420p10le", "tag:v": "dvh1"}
    params = [("setparams", colours)]
    film = _filtered(plain, tmp_path / "film.mp4", params, **options)
    assert any("HDR (PQ)" in note for note in probe(film).notes)


def _joined(parts: Sequence[Path], target: Path) -> Path:
    """One file after the other, as `cat` and `copy /b` join recordings."""
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


@pytest.mark.parametrize("suffix", ["ts", "vob"])
def test_joined_recordings_are_one_film(suffix: str, plain: Path, extract: Extract, tmp_path: Path) -> None:
    codec = {"ts": "libx264", "vob": "mpeg2video"}[suffix]
    part = _filtered(plain, tmp_path / f"part.{suffix}", [], **{"c:v": codec, "qscale:v": 3, "g": 12, "bf": 2})
    film = _joined([part, part, part], tmp_path / f"film.{suffix}")
    frames = 3 * SHOTS * SHOT_FRAMES
    with FilmReader(film) as reader:
        times = [frame.pts_ms for frame in reader.frames()]
        assert len(times) >= frames - 3  # a frame at a joint may need one that is not there
        assert np.diff(times).max() < 2.5 * 1000 / FPS
        assert reader.duration_ms == pytest.approx(1000 * frames / FPS, rel=0.02)
        for start in (5_000, 9_000):
            again = [frame.pts_ms for frame in reader.frames(start)]
            assert again == [time for time in times if time >= start]
    output = extract(film)
    assert len(output.notes.shots) >= 3 * SHOTS - 1
    assert output.notes.counts.damaged == 0
    assert any("starts 3 times" in note for note in output.notes.film.notes)


def test_segments_of_a_joined_film_are_found_wherever_its_clock_stands(
    plain: Path, extract: Extract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = _filtered(plain, tmp_path / "part.ts", [], g=12)
    film = _joined([part, part], tmp_path / "film.ts")
    whole = [row.pts_ms for row in extract(film, mode="fps", fps=4).rows]
    monkeypatch.setattr("animeset_lib.frames.extract.SEGMENT_MS", 1500)
    stage = ExtractStage(ExtractSettings(mode="fps", fps=4), probe(film), film)
    assert len(stage.plan(Given([]))) >= 4
    assert [row.pts_ms for row in extract(film, mode="fps", fps=4).rows] == whole


def test_each_still_has_the_shape_of_its_scene(plain: Path, extract: Extract, tmp_path: Path) -> None:
    small = _filtered(plain, tmp_path / "small.ts", [("scale", {"w": 240, "h": 180}), ("setsar", {"sar": 1})])
    large = _filtered(plain, tmp_path / "large.ts", [("scale", {"w": 480, "h": 270}), ("setsar", {"sar": 1})])
    output = extract(_joined([small, large], tmp_path / "film.ts"))
    sizes = {(row.width, row.height) for row in output.rows}
    assert sizes == {(240, 180), (480, 270)}
    assert {still.shape[1::-1] for still in _stills(output)} == sizes
    assert any("size changes: 240x180, 480x270" in note for note in output.notes.film.notes)


def test_pixels_that_change_their_shape_are_made_square_each_time(
    plain: Path, extract: Extract, tmp_path: Path
) -> None:
    parts = []
    for name, aspect in (("narrow", "1/1"), ("wide", "4/3")):
        chain = [("scale", {"w": 240, "h": 180}), ("setsar", {"sar": aspect})]
        parts.append(_filtered(plain, tmp_path / f"{name}.ts", chain, **{"c:v": "mpeg2video", "qscale:v": 3}))
    output = extract(_joined(parts, tmp_path / "film.ts"))
    assert {(row.width, row.height) for row in output.rows} == {(240, 180), (320, 180)}


@pytest.mark.parametrize("shape", [(240, 180), (320, 136)])
def test_bars_of_a_scene_are_cut_off(
    shape: tuple[int, int], pictures: Sequence[Picture], extract: Extract, tmp_path: Path
) -> None:
    width, height = shape
    x, y = (SIZE[0] - width) // 2, (SIZE[1] - height) // 2
    barred = []
    for number, picture in enumerate(pictures):
        inside = np.zeros_like(picture)
        inside[y : y + height, x : x + width] = picture[y : y + height, x : x + width]
        barred.append(inside if number // SHOT_FRAMES == 1 else picture)
    output = extract(write_film(tmp_path / "film.mkv", barred, fps=FPS))
    for row, still in zip(output.rows, _stills(output), strict=True):
        whole = shape if row.shot == 1 else SIZE
        assert np.abs(np.subtract(still.shape[1::-1], whole)).max() <= 4, row
    assert all(not row.dropped for row in output.rows)
    kept = extract(tmp_path / "film.mkv", crop_black_bars=False)
    assert {(row.width, row.height) for row in kept.rows} == {SIZE}


def test_of_several_tracks_the_one_that_moves_is_the_film(plain: Path, tmp_path: Path) -> None:
    poster = write_film(tmp_path / "poster.mkv", [drawing(1, 800, 1200)], fps=1)
    film = remux(plain, tmp_path / "film.mkv", extra_inputs=[ffmpeg.input(str(poster))])
    found = probe(film)
    assert (found.width, found.height) == SIZE
    assert any("of 2 video tracks, track 1" in note and "one picture" in note for note in found.notes)


def test_of_two_films_the_default_one_is_used(plain: Path, tmp_path: Path) -> None:
    other = _filtered(plain, tmp_path / "other.mkv", [("scale", {"w": 640, "h": 360})])
    options = {"disposition:v:0": "default", "disposition:v:1": 0}
    film = remux(plain, tmp_path / "film.mkv", extra_inputs=[ffmpeg.input(str(other))], **options)
    assert (probe(film).width, probe(film).height) == SIZE


def test_empty_packets_say_that_the_picture_stays(
    plain: Path, extract: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Theora writes them, which no encoder here does."""
    whole = [row.pts_ms for row in extract(plain).rows]
    packets = FilmReader._packets

    def with_empty_ones(reader: FilmReader) -> Iterator[Packet]:
        for number, packet in enumerate(packets(reader)):
            yield packet
            if number % 3 == 0 and packet.dts is not None:
                stays = Packet(0)
                stays.dts = stays.pts = packet.dts
                yield stays

    monkeypatch.setattr(FilmReader, "_packets", with_empty_ones)
    output = extract(plain)
    assert output.notes.counts.damaged == 0
    assert [row.pts_ms for row in output.rows] == whole


def test_a_moving_webp_is_a_film(pictures: Sequence[Picture], extract: Extract, tmp_path: Path) -> None:
    first, *rest = (Image.fromarray(picture) for picture in pictures)
    first.save(tmp_path / "film.webp", save_all=True, append_images=rest, duration=40, quality=90)
    with FilmReader(tmp_path / "film.webp") as reader:
        assert [frame.pts_ms for frame in reader.frames()] == [40 * number for number in range(len(pictures))]
        assert next(reader.frames(1000)).pts_ms == 1000
        assert reader.fps == 25
    output = extract(tmp_path / "film.webp")
    assert len(output.notes.shots) == SHOTS


def test_a_moving_avif_is_a_film(pictures: Sequence[Picture], extract: Extract, tmp_path: Path) -> None:
    """Its first track is a still for those who cannot play it."""
    first, *rest = (Image.fromarray(picture) for picture in pictures)
    first.save(tmp_path / "film.avif", save_all=True, append_images=rest, duration=40, quality=80, speed=10)
    assert len(extract(tmp_path / "film.avif").notes.shots) == SHOTS


def test_repeat_flags_are_times_and_no_combs(extract: Extract, pictures: Sequence[Picture], tmp_path: Path) -> None:
    """Soft telecine: whole pictures at 24 a second in a stream of 30, with flags that say which field is shown once more."""
    options = {"bf": "0", "q": "3"}
    data = bytearray(write_film(tmp_path / "a.m2v", pictures, codec="mpeg2video", options=options).read_bytes())
    at, number = data.find(b"\0\0\1"), 0
    while at >= 0:
        if data[at + 3] == 0xB3:  # sequence header: its rate becomes 30000/1001
            data[at + 7] = data[at + 7] & 0xF0 | 4
        elif (
            data[at + 3 : at + 5].startswith(b"\xb5") and data[at + 4] >> 4 == 1
        ):  # sequence extension: not progressive
            data[at + 5] &= ~0x08
        elif (
            data[at + 3 : at + 5].startswith(b"\xb5") and data[at + 4] >> 4 == 8
        ):  # picture coding extension: the flags
            top_first, repeat = ((1, 1), (1, 0), (0, 1), (0, 0))[number % 4]
            data[at + 7] = data[at + 7] & 0x7D | top_first << 7 | repeat << 1
            number += 1
        at = data.find(b"\0\0\1", at + 3)
    (tmp_path / "soft.m2v").write_bytes(data)
    film = remux(tmp_path / "soft.m2v", tmp_path / "soft.ts", source_options={"fflags": "+genpts"})
    with FilmReader(film) as reader:
        times = [frame.pts_ms for frame in reader.frames()]
    steps = {b - a for a, b in pairwise(times)}
    assert len(times) == len(pictures)
    assert steps <= {33, 34, 50, 51}
    assert {33, 50} <= steps
    output = extract(film)
    assert output.notes.counts.considered == len(pictures)
    assert len(output.notes.shots) == SHOTS
    assert not any("interlaced" in note for note in output.notes.film.notes)
