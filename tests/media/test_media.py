"""media: pictures in and out, what a film is, and what it looks like, on media made here."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
import pytest
from PIL import Image

from animeset_lib.errors import InputError
from animeset_lib.media import FilmReader, ffmpeg_exe, identify, list_pictures, probe, read_image, write_image
from animeset_lib.records import Box
from tests.film_maker import LOSSLESS, drawing, remux, write_film

# ---------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_written_pictures_come_back_equal_and_leave_nothing_else(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (37, 51, 3), np.uint8)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"an older picture")
    write_image(path, noise)
    assert (read_image(path) == noise).all()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_keeps_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    old = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="space"):
        write_image(tmp_path / "a.png", np.ones((4, 4, 3), np.uint8))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == old


def _gray16() -> Image.Image:
    return Image.fromarray(np.full((2, 3), 0x8080, np.uint16))


def _palette() -> Image.Image:
    image = Image.new("P", (3, 2), 1)
    image.putpalette([255, 0, 0, 10, 20, 30])
    return image


def _palette_clear() -> Image.Image:
    image = _palette()
    image.info["transparency"] = 1
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGB", (3, 2), (10, 20, 30)), (10, 20, 30)),
        (Image.new("RGBA", (3, 2), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (3, 2), (0, 0, 0, 128)), (127, 127, 127)),
        (Image.new("LA", (3, 2), (40, 255)), (40, 40, 40)),
        (Image.new("L", (3, 2), 77), (77, 77, 77)),
        (Image.new("1", (3, 2), 1), (255, 255, 255)),
        (_gray16(), (128, 128, 128)),
        (_palette(), (10, 20, 30)),
        (_palette_clear(), (255, 255, 255)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_every_kind_of_png_becomes_rgb(tmp_path: Path, image: Image.Image, expected: tuple[int, int, int]) -> None:
    image.save(
        tmp_path / "a.png", **({"transparency": image.info["transparency"]} if "transparency" in image.info else {})
    )
    rgb = read_image(tmp_path / "a.png")
    assert rgb.shape == (2, 3, 3)
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - expected).max() <= 1


def test_cmyk_and_exif_turned_jpegs(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    assert np.abs(read_image(tmp_path / "cmyk.jpg").mean((0, 1)) - (255, 0, 0)).max() < 40
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise to view
    left_red = np.zeros((16, 32, 3), np.uint8)
    left_red[:, :16, 0] = 255
    Image.fromarray(left_red).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    turned = read_image(tmp_path / "turned.jpg")
    assert turned.shape == (32, 16, 3)
    assert turned[2, 8, 0] > 200 > 50 > turned[29, 8, 0]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5])
def test_damaged_pictures_are_input_errors(tmp_path: Path, suffix: str, keep: float) -> None:
    buffer = io.BytesIO()
    Image.fromarray(drawing(1)).save(buffer, {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[suffix])
    data = buffer.getvalue()
    (tmp_path / f"a{suffix}").write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match="expected a readable picture"):
        read_image(tmp_path / f"a{suffix}")


def test_a_missing_picture_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such picture"):
        read_image(tmp_path / "none.png")


# ---------------------------------------------------------------------------------------------------------- identity


def test_the_id_follows_the_content_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b.mkv").write_bytes(b"x" * 3_000_000)
    (tmp_path / "c.mkv").write_bytes(b"x" * 2_999_999 + b"y")
    seen: list[tuple[float, float]] = []
    first = identify(tmp_path / "a.mkv", lambda done, total: seen.append((done, total)))
    assert first == identify(tmp_path / "b.mkv") != identify(tmp_path / "c.mkv")
    assert len(first) == 12
    assert seen[-1] == (3_000_000, 3_000_000)
    assert seen == sorted(seen)


def test_a_folders_id_follows_names_and_contents_of_its_pictures(tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "1.png", drawing(1))
        write_image(tmp_path / folder / "2.png", drawing(2))
    (tmp_path / "b" / "notes.txt").write_text("not a picture")
    (tmp_path / "c" / "2.png").rename(tmp_path / "c" / "3.png")
    ids = [identify(tmp_path / folder) for folder in ("a", "b", "c")]
    assert ids[0] == ids[1] != ids[2]


def test_pictures_are_in_natural_order(tmp_path: Path) -> None:
    names = ["10.png", "2.png", "1.JPG", ".hidden.png", "b2.webp", "b10.webp", "x.txt"]
    for name in names:
        (tmp_path / name).touch()
    assert [p.name for p in list_pictures(tmp_path)] == ["1.JPG", "2.png", "10.png", "b2.webp", "b10.webp"]


# --------------------------------------------------------------------------------------------------------- bad input


def _tone(path: Path) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\1" * 8000)
    return path


def _with_cover(folder: Path, suffix: str) -> Path:
    write_image(folder / "cover.png", drawing(3))
    return remux(
        _tone(folder / "tone.wav"),
        folder / f"song{suffix}",
        extra_inputs=[ffmpeg.input(str(folder / "cover.png"))],
        **{"c:a": "libmp3lame" if suffix == ".mp3" else "aac", "c:v": "png", "disposition:v": "attached_pic"},
    )


def _cut_mp4(folder: Path) -> Path:
    film = write_film(folder / "whole.mp4", [drawing(i) for i in range(8)])
    (folder / "cut.mp4").write_bytes(film.read_bytes()[:-2000])
    return folder / "cut.mp4"


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    (path / "readme.txt").touch()
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: f / "none.mkv", "no such file"),
        (lambda f: _folder(f / "empty"), "folder without any"),
        (lambda f: _written(f / "a.mp4", b""), "empty file"),
        (lambda f: _written(f / "a.mp4", b"this is not a film\n" * 100), "plain text"),
        (lambda f: _written(f / "a.txt", b"this is not a film\n" * 100), "plain text"),
        (lambda f: _written(f / "a.mkv", bytes(range(256)) * 40), "cannot read"),
        (lambda f: _written(f / "a.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"), "expected a film"),
        (lambda f: _tone(f / "a.wav"), "only audio"),
        (lambda f: _with_cover(f, ".mp3"), "only a cover picture"),
        (lambda f: _with_cover(f, ".m4a"), "only a cover picture"),
        (_cut_mp4, "moov"),
    ],
)
def test_what_is_no_film_is_an_input_error_in_one_line(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(InputError) as error:
        probe(make(tmp_path))
    message = str(error.value)
    assert words in message
    assert "expected" in message or "check the path" in message
    assert "\n" not in message


def test_unreadable_pictures_only_are_an_input_error(tmp_path: Path) -> None:
    _written(tmp_path / "a.png", b"no picture")
    with pytest.raises(InputError, match="1 files that no reader knows"):
        probe(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "two words.mkv",
        "Über den Wölken ß.mkv",
        "🐉🎬.mkv",
        "-y -i.mkv",
        "http:a%03d.mkv",
        "x" * 240 + ".mkv",
        "'q\"$(ls).mkv",
    ],
)
def test_any_name_works(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_film(tmp_path / "plain.mkv", [drawing(1)])
    shutil.move(tmp_path / "plain.mkv", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    film = probe(Path(name))
    assert film.source_name == name
    assert film.name
    assert len(film.name.encode()) <= 80
    assert (film.width, film.height) == (320, 180)


# ------------------------------------------------------------------------------------------------------------- films


def _times(path: Path, start_ms: int = 0) -> list[int]:
    with FilmReader(path) as reader:
        return [frame.pts_ms for frame in reader.frames(start_ms)]


def _first(path: Path) -> np.ndarray[Any, Any]:
    with FilmReader(path) as reader:
        return next(reader.frames()).rgb()


def test_probe_tells_what_the_film_is(tmp_path: Path) -> None:
    path = write_film(tmp_path / "Mein Film.mkv", [drawing(i) for i in range(48)])
    film = probe(path)
    assert (film.name, film.source_name, film.kind) == ("Mein_Film", "Mein Film.mkv", "video")
    assert (film.width, film.height, film.codec, film.pix_fmt) == (320, 180, "h264", "yuv420p")
    assert film.duration_ms == pytest.approx(2000, abs=50)
    assert film.fps == pytest.approx(24)
    assert film.id == identify(path)
    assert any("BT.601 assumed" in note for note in film.notes)


def test_probe_a_folder_of_pictures(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number}.png", drawing(number))
    write_image(tmp_path / "9.png", drawing(9, 100, 80))
    film = probe(tmp_path)
    assert (film.kind, film.width, film.height, film.codec) == ("pictures", 320, 180, "png")
    assert "2 different picture sizes" in film.notes[0]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize("size", [(320, 180), (98, 62)])
def test_planar_formats_look_alike(tmp_path: Path, pix_fmt: str, size: tuple[int, int]) -> None:
    picture = drawing(4, *size)
    path = write_film(tmp_path / "a.mkv", [picture] * 2, pix_fmt=pix_fmt, tags={"colorspace": 6, "color_range": 1})
    assert np.abs(_first(path).astype(int) - picture).mean() < 6
    with FilmReader(path) as reader:
        luma, cb, cr = next(reader.frames()).thumbnail()
        assert luma.dtype == cb.dtype == cr.dtype == np.uint8
        assert cb.shape == cr.shape == (luma.shape[0] // 2, luma.shape[1] // 2)
        gray = picture @ np.array([0.299, 0.587, 0.114])
        assert luma.mean() == pytest.approx(16 + gray.mean() * 219 / 255, abs=3)


@pytest.mark.parametrize("size", [(101, 75), (1, 1), (17, 300)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    path = write_film(tmp_path / "a.mkv", [picture], codec="ffv1", pix_fmt="bgr0", source_format="rgb24", options={})
    assert (_first(path) == picture).all()
    with FilmReader(path) as reader:
        assert len(next(reader.frames()).thumbnail()) == 3


# Matrix coefficients of ITU-T H.273 by AVColorSpace number: (Kr, Kb).
_MATRIX = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
_PATCHES = np.array(
    [
        (255, 255, 255),
        (0, 0, 0),
        (128, 128, 128),
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (250, 200, 180),
        (20, 90, 160),
    ],
    float,
)


def _patches_yuv(matrix: int, full: bool, bits: int) -> np.ndarray[Any, Any]:
    """The patches side by side as YUV 4:4:4 planes, by the book."""
    kr, kb = _MATRIX[matrix]
    r, g, b = (_PATCHES / 255).T
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    one = 1 << (bits - 8)
    if full:
        top = (256 * one) - 1
        planes = [y * top, cb * top + 128 * one, cr * top + 128 * one]
    else:
        planes = [(16 + 219 * y) * one, (128 + 224 * cb) * one, (128 + 224 * cr) * one]
    values = np.clip(np.rint(planes), 0, 256 * one - 1)
    return np.repeat(np.repeat(values[:, None, :], 16, 1), 16, 2).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("matrix", [1, 6, 5, 9])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("bits", [8, 10])
def test_colours_follow_matrix_and_range(tmp_path: Path, matrix: int, full: bool, bits: int) -> None:
    pix_fmt = "yuv444p" if bits == 8 else "yuv444p10le"
    yuv = _patches_yuv(matrix, full, bits)
    data = yuv.tobytes()
    raw = tmp_path / "a.yuv"
    raw.write_bytes(data)
    path = tmp_path / "a.mkv"
    tag = {1: "bt709", 6: "smpte170m", 5: "bt470bg", 9: "bt2020nc"}[matrix]
    (
        ffmpeg.input(
            str(raw),
            f="rawvideo",
            pix_fmt=pix_fmt,
            s=f"{yuv.shape[2]}x{yuv.shape[1]}",
            color_range="pc" if full else "tv",
            colorspace=tag,
        )
        .output(
            str(path), vcodec="libx264", qp=0, preset="ultrafast", color_range="pc" if full else "tv", colorspace=tag
        )
        .run(cmd=ffmpeg_exe(), quiet=True)
    )
    seen = _first(path)[8, 8::16].astype(int)
    assert np.abs(seen - _PATCHES).max() <= 3
    with FilmReader(path) as reader:
        assert not reader.notes


@pytest.mark.parametrize(("height", "name", "matrix"), [(64, "BT.601", 6), (720, "BT.709", 1)])
def test_an_unknown_matrix_is_guessed_by_size_and_said(tmp_path: Path, height: int, name: str, matrix: int) -> None:
    rows = _patches_yuv(matrix, False, 8)
    yuv = np.tile(rows, (1, height // 16, height // 16 + 1)) if height > 64 else np.tile(rows, (1, 4, 1))
    path = write_film(tmp_path / "a.mkv", [yuv], pix_fmt="yuv444p", source_format="yuv444p", options=LOSSLESS)
    assert np.abs(_first(path)[8, 8 : 8 + 128 : 16].astype(int) - _PATCHES).max() <= 3
    assert any(f"{name} assumed" in note for note in probe(path).notes)


@pytest.mark.parametrize(("curve", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_gives_a_usable_picture_and_is_said(tmp_path: Path, curve: str, name: str) -> None:
    # gray steps from black to 58 % PQ or 75 % HLG, the usual level of paper white
    top = 0.58 if name == "PQ" else 0.75
    steps = np.rint(64 + 876 * np.linspace(0, top, 8)).astype(np.uint16)
    plane = np.repeat(np.repeat(steps[None, :], 64, 0), 16, 1)
    gray = np.stack([plane, np.full_like(plane, 512), np.full_like(plane, 512)])
    (tmp_path / "a.yuv").write_bytes(gray.tobytes())
    path = tmp_path / "a.mkv"
    (
        ffmpeg.input(str(tmp_path / "a.yuv"), f="rawvideo", pix_fmt="yuv444p10le", s="128x64")
        .output(
            str(path),
            vcodec="libx264",
            qp=0,
            vf=f"setparams=color_trc={curve}:color_primaries=bt2020:colorspace=bt2020nc:range=tv",
        )
        .run(cmd=ffmpeg_exe(), quiet=True)
    )
    seen = _first(path)[8, 8::16].astype(int)
    assert (np.diff(seen.mean(axis=1)) > 4).all()  # every step is brighter than the one before
    assert seen[0].max() < 12
    assert seen[-1].min() > 150
    assert np.ptp(seen, axis=1).max() <= 6  # gray stays gray
    assert any(f"HDR ({name})" in note for note in probe(path).notes)


def _turned(folder: Path, **options: Any) -> Path:
    source = write_film(folder / "upright.mp4", [drawing(6)] * 2, options=LOSSLESS)
    return remux(source, folder / "turned.mp4", source_options=options)


@pytest.mark.parametrize(
    ("options", "turn"),
    [
        ({"display_rotation": 90}, lambda p: np.rot90(p, 1)),
        ({"display_rotation": 180}, lambda p: np.rot90(p, 2)),
        ({"display_rotation": 270}, lambda p: np.rot90(p, 3)),
        ({"display_hflip": None}, np.fliplr),
        ({"display_vflip": None}, np.flipud),
        ({"display_rotation": 90, "display_hflip": None}, None),
    ],
)
def test_rotation_is_applied_as_ffmpeg_does(tmp_path: Path, options: dict[str, Any], turn: Any) -> None:
    path = _turned(tmp_path, **options)
    film = probe(path)
    seen = _first(path)
    assert seen.shape == (film.height, film.width, 3)
    data, _ = (
        ffmpeg.input(str(path))
        .output("-", f="rawvideo", pix_fmt="rgb24", vframes=1)
        .run(cmd=ffmpeg_exe(), capture_stdout=True, quiet=True)
    )
    theirs = np.frombuffer(data, np.uint8).reshape(seen.shape)
    assert np.abs(seen.astype(int) - theirs).mean() < 4
    if turn is not None:
        assert np.abs(seen.astype(int) - turn(drawing(6))).mean() < 6
    assert "turned upright as the file says" in film.notes
    box = Box(x0=20, y0=10, x1=61, y1=41)
    with FilmReader(path) as reader:
        frame = next(reader.frames())
        assert (frame.rgb(box) == seen[10:41, 20:61]).all()
        assert frame.luma(box).shape == (31, 41)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(4, 3), (427, 180)),
        (Fraction(8, 9), (320, 202)),
        (Fraction(1, 1), (320, 180)),
        (Fraction(50, 1), (320, 180)),
    ],
)
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = write_film(tmp_path / "a.mkv", [drawing(6)] * 2, aspect=aspect)
    film = probe(path)
    assert (film.width, film.height) == size
    assert _first(path).shape == (size[1], size[0], 3)
    assert any("pixel" in note for note in film.notes) == (aspect != 1)


VARIABLE = [0, 41, 83, 500, 541, 1200, 1201, 3000]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_variable_frame_rates_keep_true_times(tmp_path: Path, suffix: str) -> None:
    path = write_film(tmp_path / f"a{suffix}", [drawing(i) for i in range(8)], times_ms=VARIABLE)
    assert _times(path) == pytest.approx(VARIABLE, abs=1)


@pytest.mark.parametrize(("suffix", "offset"), [(".mkv", 7.0), (".ts", 4000.0), (".ts", -3.0)])
def test_times_count_from_the_start_whatever_the_clock_says(tmp_path: Path, suffix: str, offset: float) -> None:
    source = write_film(tmp_path / "a.mkv", [drawing(i) for i in range(8)], times_ms=VARIABLE)
    moved = remux(source, tmp_path / f"b{suffix}", output_ts_offset=offset, avoid_negative_ts="disabled")
    assert _times(moved) == pytest.approx(VARIABLE, abs=1)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts", ".avi", ".webm"])
def test_reading_from_a_time_gives_the_rest_of_the_film(tmp_path: Path, suffix: str) -> None:
    codec, options = (
        ("libvpx", {"deadline": "realtime"}) if suffix == ".webm" else ("libx264", {"preset": "veryfast", "bf": "3"})
    )
    path = write_film(
        tmp_path / f"a{suffix}", [drawing(i // 10) for i in range(120)], codec=codec, options=options, gop=25
    )
    everything = _times(path)
    assert len(everything) == 120
    for start in (1, 40, 1000, 2090, 4500):
        assert _times(path, start) == [t for t in everything if t >= start]
    assert _times(path, 60_000) == []


def test_keyframes_are_found_by_seeking(tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "a.mkv",
        [drawing(i // 10) for i in range(240)],
        gop=24,
        options={"preset": "veryfast", "sc_threshold": "0"},
    )
    with FilmReader(path) as reader:
        assert [f.pts_ms for f in reader.frames(keyframes=True)] == list(range(0, 10_000, 1000))
        assert [point.ms for point in reader.key_points(3000)] == [3000, 6000, 9000]
        assert [f.pts_ms for f in reader.samples([0, 500, 2500, 9999])] == [0, 2000, 9000]


def test_a_raw_stream_without_times_is_counted(tmp_path: Path) -> None:
    source = write_film(
        tmp_path / "a.mkv", [drawing(i) for i in range(25)], fps=25, options={"preset": "ultrafast", "bf": "0"}
    )
    raw = remux(source, tmp_path / "a.h264")
    assert _times(raw) == list(range(0, 1000, 40))
    assert _times(raw, 480) == list(range(480, 1000, 40))
    with FilmReader(raw) as reader:
        assert reader.key_points(200) == []


def test_the_default_video_stream_is_the_film_and_no_cover(tmp_path: Path) -> None:
    small = write_film(tmp_path / "small.mkv", [drawing(1, 160, 90)] * 24)
    large = write_film(tmp_path / "large.mkv", [drawing(2)] * 24)
    write_image(tmp_path / "cover.png", drawing(3, 640, 640))
    inputs = [ffmpeg.input(str(p)) for p in (large, _tone(tmp_path / "t.wav"), tmp_path / "cover.png")]
    path = remux(
        small,
        tmp_path / "all.mp4",
        extra_inputs=inputs,
        **{"c:a": "aac", "disposition:v:0": 0, "disposition:v:1": "default", "disposition:v:2": "attached_pic"},
    )
    assert (probe(path).width, probe(path).codec) == (320, "h264")
    assert np.abs(_first(path).astype(int) - drawing(2)).mean() < 12
    assert len(_times(path)) == 24


def test_a_film_of_one_frame(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", [drawing(1)])
    assert probe(path).duration_ms == pytest.approx(42, abs=2)
    assert _times(path) == [0]


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_truncated_film_gives_what_is_there(tmp_path: Path, suffix: str) -> None:
    path = write_film(tmp_path / f"a{suffix}", [drawing(i) for i in range(48)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    assert probe(path).width == 320
    assert 15 < len(_times(path)) < 40


def test_damage_in_the_middle_costs_only_what_it_hits(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.ts", [drawing(i) for i in range(96)], gop=8)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 10] = b"\xff" * (len(data) // 10)
    path.write_bytes(data)
    with FilmReader(path) as reader:
        frames = [frame for frame in reader.frames() if not frame.damaged]
        assert reader.damaged > 0
    times = [frame.pts_ms for frame in frames]
    assert 50 < len(times) < 96
    assert times == sorted(set(times))
    assert times[-1] > 3500


# ------------------------------------------------------------------------------------------------- the ffmpeg program


def test_the_ffmpeg_program_is_the_pinned_one_whatever_comes_first_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, animeset: Callable[..., tuple[int, str, str]]
) -> None:
    fake = tmp_path / "ffmpeg"
    fake.write_text('#!/bin/sh\necho "the system\'s $0 was run" >&2\nexit 66\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert subprocess.run(["/bin/sh", "-c", "ffmpeg -version"], capture_output=True).returncode == 66

    said = subprocess.run([ffmpeg_exe(), "-version"], capture_output=True, text=True, check=True).stdout
    assert re.match(r"\S+ version n?9\.", said)
    assert animeset("demo-film", "demo.mp4", "--length", 2, "--width", 320, "--height", 180)[0] == 0
    remux(tmp_path / "demo.mp4", tmp_path / "turned.mp4", source_options={"display_rotation": 90})
    code, _, errors = animeset("run", "turned.mp4", "--until", "extract", "--set", "extract.crop_black_bars=false")
    assert code == 0, errors
    stills = list((tmp_path / "work").rglob("*.png"))
    assert {read_image(still).shape for still in stills} == {(320, 180, 3)}
    code, out, _ = animeset("doctor", "--json")
    assert code == 0
    assert json.loads(out)["system"]["ffmpeg"] == ffmpeg_exe()


def test_without_the_pinned_ffmpeg_no_other_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # what imageio-ffmpeg answers where its package carries no program and the system has one
    monkeypatch.setattr("imageio_ffmpeg._utils._get_ffmpeg_exe", lambda: "ffmpeg")
    with pytest.raises(InputError, match=r"got none for this system.*set IMAGEIO_FFMPEG_EXE"):
        ffmpeg_exe()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/opt/mine")
    assert ffmpeg_exe() == "/opt/mine"
