"""What is said of a film before a run, and what the settings of how it is read do."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
import numpy.typing as npt
import pytest

from animeset_lib.dashboard.texts import texts
from animeset_lib.errors import InputError, SettingsError
from animeset_lib.media import FilmReader, examine, probe, write_image
from animeset_lib.settings import FilmSettings, load_settings
from tests.film_maker import drawing, remux, write_film
from tests.media.chapters import with_chapters

SIZE = (320, 180)


def _said(path: Path, *assignments: str) -> dict[str, tuple[str, str]]:
    """Fact → the keys of what is found and of what is done."""
    found = examine(path, load_settings(assignments=assignments))
    return {fact.name: (fact.found.key, fact.done.key if fact.done else "") for fact in found.facts}


def _moving(step: int, seed: int = 3) -> npt.NDArray[np.uint8]:
    wide = drawing(seed, 2 * SIZE[0], SIZE[1])
    return np.ascontiguousarray(wide[:, 4 * step % SIZE[0] :][:, : SIZE[0]])


def _combed(step: int) -> npt.NDArray[np.uint8]:
    picture = _moving(2 * step).copy()
    picture[1::2] = _moving(2 * step + 1)[1::2]
    return picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examine")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return write_film(folder / "plain.mkv", [_moving(i) for i in range(48)], tags={"colorspace": 1, "color_range": 1})


def test_a_film_without_any_trouble(plain: Path) -> None:
    found = examine(plain, load_settings())
    assert {fact.name: fact.found.key for fact in found.facts} == {
        **{"file": "container", "length": "length", "picture": "picture", "rate": "steady"},
        **{"fields": "whole", "colour": "sdr_limited", "bars": "no_bars", "video": "list"},
    }
    assert all(fact.done is None for fact in found.facts)
    assert (found.duration_ms, found.chapters, found.used) == (2000, [], [(0, None)])
    times = [time for time, _ in found.stills]
    assert len(times) == 10
    assert times == sorted(set(times))
    assert times[0] < 300
    assert times[-1] > 1700
    assert all(picture.shape == (180, 320, 3) for _, picture in found.stills)


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_phrase_has_words_with_its_places(
    language: Any, plain: Path, folder: Path, combed: Path, hdr: Path
) -> None:
    barred = np.zeros((180, 320, 3), np.uint8)
    barred[30:150] = drawing(8, 320, 120)
    write_film(folder / "bars.mkv", [barred] * 48)
    (folder / "pictures").mkdir(exist_ok=True)
    for file in (plain, combed, hdr, folder / "bars.mkv", with_chapters(plain, [("A", 0, 1000), ("B", 1000, 2000)])):
        for settings in ((), ("film.turn=90",), ("extract.skip=0:01-",), ("extract.crop=0:0:100:100",)):
            for fact in examine(file, load_settings(assignments=settings)).facts:
                assert texts(language)[f"fact.{fact.name}"]
                for part, phrase in (("found", fact.found), ("done", fact.done)):
                    if phrase is not None:
                        said = texts(language)[f"{part}.{phrase.key}"].format(**phrase.values)
                        assert said.strip()
                        assert "None" not in said


@pytest.fixture(scope="module")
def combed(folder: Path) -> Path:
    return write_film(
        folder / "combed.mkv", [_combed(i) for i in range(48)], options={"crf": "8", "preset": "ultrafast"}
    )


def test_combs_and_what_is_done_about_them(combed: Path) -> None:
    fact = next(fact for fact in examine(combed, load_settings()).facts if fact.name == "fields")
    assert (fact.found.key, fact.done and fact.done.key) == ("combed", "deinterlace")
    assert fact.found.values["combed"] > 0.9 * fact.found.values["seen"] > 30
    assert _said(combed, "film.fields=never")["fields"] == ("combed", "combed_stay")


def test_combs_that_hardly_show_are_mended_when_told_so(folder: Path) -> None:
    def frame(step: int) -> npt.NDArray[np.uint8]:
        """A small lamp that flickers, two moments in alternate lines."""
        picture = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        for line in range(64, 76):
            picture[line, 100:104] += 60 * ((2 * step + line % 2) % 3 == 0)
        return picture

    film = write_film(folder / "lamp.mkv", [frame(i) for i in range(24)], options={"qp": "0", "preset": "ultrafast"})
    repairs = {}
    for fields in ("auto", "always"):
        with FilmReader(film, settings=FilmSettings(fields=fields)) as reader:
            repairs[fields] = sum(frame.repair() != "" for frame in reader.frames())
    assert repairs["auto"] == 0
    assert repairs["always"] >= 12


@pytest.fixture(scope="module")
def hdr(folder: Path) -> Path:
    tags = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
    pictures = [_moving(i) for i in range(24)]
    return write_film(folder / "hdr.mkv", pictures, pix_fmt="yuv420p10le", codec="libx265", tags=tags)


def test_hdr_can_be_forced_and_forbidden(hdr: Path, plain: Path) -> None:
    assert _said(hdr)["colour"] == ("hdr_limited", "standard_range")
    assert _said(hdr, "film.hdr=never")["colour"] == ("sdr_limited", "")
    assert _said(plain, "film.hdr=pq")["colour"] == ("hdr_limited", "standard_range")
    means = {}
    for settings in (FilmSettings(), FilmSettings(hdr="hlg"), FilmSettings(hdr="never")):
        with FilmReader(hdr, settings=settings) as reader:
            means[settings.hdr] = next(reader.frames()).rgb().mean()
            thumbnail = next(reader.frames()).thumbnail()[0].mean()
            assert abs(thumbnail - means[settings.hdr]) < 40, "shots are judged by the same light"
    assert len({round(mean, 1) for mean in means.values()}) == 3


def test_matrix_and_levels_can_be_set(plain: Path) -> None:
    rgb = {}
    for name, settings in {
        "as it says": FilmSettings(),
        "709": FilmSettings(matrix="bt709"),
        "601": FilmSettings(matrix="bt601"),
        "full": FilmSettings(levels="full"),
    }.items():
        with FilmReader(plain, settings=settings) as reader:
            rgb[name] = next(reader.frames()).rgb().astype(int)
    assert np.array_equal(rgb["as it says"], rgb["709"])
    assert np.abs(rgb["601"] - rgb["709"]).max() > 10
    assert rgb["full"].std() < rgb["709"].std()
    assert _said(plain, "film.levels=full")["colour"] == ("sdr_full", "")


@pytest.mark.parametrize(("degrees", "turns"), [("0", 0), ("90", 3), ("180", 2), ("270", 1)])
def test_it_can_be_turned_whatever_the_file_says(plain: Path, folder: Path, degrees: Any, turns: int) -> None:
    turned = remux(plain, folder / f"turned-{degrees}.mp4", source_options={"display_rotation": 90})
    with FilmReader(plain) as reader:
        upright = next(reader.frames()).rgb()
    with FilmReader(turned, settings=FilmSettings(turn=degrees)) as reader:
        seen = next(reader.frames()).rgb()
        assert (reader.width, reader.height) == seen.shape[1::-1]
    assert np.array_equal(seen, np.rot90(upright, turns))
    assert _said(turned, f"film.turn={degrees}")["picture"][1] == ("turn" if degrees != "0" else "")


def test_the_shape_of_pixels_can_be_set(folder: Path) -> None:
    film = write_film(folder / "dvd.mkv", [drawing(i, 360, 288) for i in range(4)], aspect=Fraction(16, 15))
    assert (probe(film).width, _said(film)["picture"][1]) == (384, "square")
    assert probe(film, settings=FilmSettings(pixel_shape="64:45")).width == 512
    assert probe(film, settings=FilmSettings(pixel_shape="1:1")).width == 360
    assert _said(film, "film.pixel_shape=1:1")["picture"][1] == ""
    for wrong in ("16/15", "0:1", "9:1", "wide"):
        with pytest.raises(SettingsError, match="expected auto, or width:height of one pixel between 1:4 and 4:1"):
            load_settings(assignments=[f"film.pixel_shape={wrong}"])


def test_the_track_can_be_chosen(plain: Path, folder: Path) -> None:
    small = write_film(folder / "small.mkv", [drawing(i, 160, 90) for i in range(24)])
    both = folder / "both.mkv"
    remux(plain, both, extra_inputs=[ffmpeg.input(str(small))])
    assert probe(both).width == 320
    assert probe(both, settings=FilmSettings(track=2)).width == 160
    assert _said(both, "film.track=2")["video"] == ("list", "track_used")
    with pytest.raises(
        InputError, match=r"film.track = 3 is no video track; expected one of track 1 \(h264 320x180\), track 2"
    ):
        probe(both, settings=FilmSettings(track=3))


def test_an_end_that_is_missing_is_said_before_the_run(folder: Path, plain: Path) -> None:
    """The container promises more than there are pictures for."""
    long = folder / "long.mkv"
    sound = folder / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 30))
    remux(plain, long, extra_inputs=[ffmpeg.input(str(sound))])
    assert _said(long)["parts"] == ("early_end", "as_far")
    assert any(
        note.startswith("ends too early: there are pictures up to 2.0 s of 30.0 s") for note in probe(long).notes
    )
    assert "parts" not in _said(plain)


def test_chapters_and_parts_that_are_used(plain: Path) -> None:
    film = with_chapters(plain, [("Opening", 0, 500), ("A", 500, 2000)])
    found = examine(film, load_settings(assignments=["extract.skip=opening"]))
    assert [(one.name, one.start_ms, one.end_ms) for one in found.chapters] == [("Opening", 0, 500), ("A", 500, 2000)]
    assert found.used == [(500, None)]
    said = _said(film, "extract.skip=opening")
    assert (said["length"], said["chapters"]) == (("length", "used"), ("list", "name_them"))


def test_a_folder_of_pictures(folder: Path) -> None:
    (folder / "show").mkdir()
    for number in range(14):
        write_image(folder / "show" / f"{number:02}.png", drawing(number))
    found = examine(folder / "show", load_settings())
    assert [(fact.name, fact.found.key) for fact in found.facts] == [("file", "pictures"), ("picture", "mostly")]
    assert found.facts[0].found.values == {"count": 14}
    assert len(found.stills) == 10
