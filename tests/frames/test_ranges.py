"""Parts of a film that are used or left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.errors import InputError, SettingsError
from animeset_lib.frames import extract
from animeset_lib.frames.extract import ExtractNotes, ExtractStage
from animeset_lib.media import probe, write_image
from animeset_lib.records import Frame
from animeset_lib.run.stage import Context, Output
from animeset_lib.settings import ExtractSettings, load_settings
from animeset_lib.settings.ranges import Chapter, cut_out, interval_words, parse_ranges, resolve
from tests.film_maker import drawing, write_film
from tests.media.chapters import with_chapters

Run = Callable[..., Output[Frame, ExtractNotes]]
LENGTH_MS = 5_000


@pytest.fixture
def run(make_context: Callable[..., Context], run_stage: Callable[..., Output[Any, Any]]) -> Run:
    def call(path: Path, **settings: Any) -> Output[Frame, ExtractNotes]:
        stage = ExtractStage(ExtractSettings(**settings), probe(path), path)
        return run_stage(stage, {}, replace(make_context(), threads=2))

    return call


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten shots of half a second each, a keyframe every half second, but not at the shots."""
    shots = [drawing(i // 12) for i in range(6, 126)]
    return write_film(
        tmp_path_factory.mktemp("ranges") / "a.mkv", shots, options={"preset": "ultrafast", "sc_threshold": "0"}
    )


def _times(output: Output[Frame, ExtractNotes]) -> list[int]:
    return [row.pts_ms for row in output.rows]


def test_the_film_is_used_between_two_times(film: Path, run: Run) -> None:
    output = run(film, only="0:01-0:03")
    assert _times(output)
    assert all(1000 <= time < 3000 for time in _times(output))
    assert output.notes.shots[0].first_ms == 1000
    assert "used of the film: 0:01-0:03" in output.notes.film.notes
    assert not any("early" in note for note in output.notes.film.notes)


def test_what_is_left_out_is_not_looked_at_and_ends_a_shot(film: Path, run: Run) -> None:
    whole = run(film)
    output = run(film, skip="0:01-0:02.5, 0:04-")
    assert all(time < 1000 or 2500 <= time < 4000 for time in _times(output))
    shots = [(shot.first_ms, shot.last_ms) for shot in output.notes.shots]
    assert all(last < 1000 or first >= 2500 for first, last in shots)
    assert any(last < 1000 for _, last in shots[:-1]), "a shot of its own before the gap"
    assert [row.shot for row in output.rows] == sorted(row.shot for row in output.rows)
    # what lies farther from the borders than a frame looks around is as it was
    inner = [time for time in _times(whole) if time < 500 or 2750 < time < 3500]
    assert set(inner) <= set(_times(output))
    assert "used of the film: 0:00-0:01, 0:02.5-0:04" in output.notes.film.notes


@pytest.mark.parametrize("skip", ["0:01-0:02.5", "0:01-0:01.2, 0:01.4-0:02, 0:03.1-"])
def test_shorter_segments_give_the_same(film: Path, run: Run, monkeypatch: pytest.MonkeyPatch, skip: str) -> None:
    whole = run(film, skip=skip)
    monkeypatch.setattr(extract, "SEGMENT_MS", 700)
    pieces = run(film, skip=skip)
    assert (_times(pieces), pieces.notes.shots) == (_times(whole), whole.notes.shots)
    assert pieces.notes.film.notes == whole.notes.film.notes


def test_chapters_go_by_their_names(film: Path, run: Run) -> None:
    chapters = [("Prologue", 0, 1000), ("Opening", 1000, 2500), ("Part A, first", 2500, 4000), ("", 4000, 5000)]
    path = with_chapters(film, chapters)
    output = run(path, skip='opening, "part a, first"')
    assert all(time < 1000 or time >= 4000 for time in _times(output))
    assert run(path, only="Chapter 4").notes.shots[0].first_ms == 4000
    with pytest.raises(
        InputError, match=r"'Oppening' is neither a time .* \(Prologue, Opening, Part A, first, Chapter 4\)"
    ):
        run(path, skip="Oppening")


@pytest.mark.parametrize(
    "settings", [{"skip": "0:00-"}, {"only": "0:09-0:10"}, {"only": "0:01-0:02", "skip": "0:00-0:03"}]
)
def test_leaving_nothing_is_refused(film: Path, run: Run, settings: dict[str, str]) -> None:
    with pytest.raises(
        InputError, match=r"leave nothing of a.mkv, which is 5.0 s long; expected parts that lie in the film"
    ):
        run(film, **settings)


def test_pictures_have_no_times(tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    write_image(tmp_path / "a.png", drawing(1))
    assert len(run(tmp_path, skip="0:00-").kept) == 1
    assert "pictures have no times, all are used" in caplog.text


@pytest.mark.parametrize("text", ["2:00-1:00", "1:99-2:00", "1:60:00-", "5-5"])
def test_a_range_that_is_none_is_refused_with_the_setting(text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"extract.skip = .* is not allowed; expected (ranges that end|times of hours)"
    ):
        load_settings(assignments=[f'extract.skip="{text}"'])


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("", []),
        ("90-120.5", [(90_000, 120_500)]),
        ("-1:30", [(0, 90_000)]),
        ("1:02:03 – 1:03:00", [(3_723_000, 3_780_000)]),  # as a word processor writes it
        ('Opening, "Part A, B", 0:05-', ["Opening", "Part A, B", (5_000, None)]),
        ("Part-2, -", ["Part-2", "-"]),
    ],
)
def test_how_ranges_are_written(text: str, ranges: list[Any]) -> None:
    assert parse_ranges(text) == ranges


def test_a_chapter_of_which_there_are_several_means_all() -> None:
    chapters = [Chapter("Eyecatch", 0, 5), Chapter("A", 5, 10), Chapter("Eyecatch", 10, None)]
    assert resolve(["EYECATCH"], chapters) == [(0, 5), (10, None)]


_INTERVALS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 50) | st.none()).map(lambda p: (p[0], p[1] and p[0] + p[1])),
    max_size=5,
)


@given(_INTERVALS, _INTERVALS, st.integers(1, 60) | st.none())
def test_every_moment_is_used_that_is_wanted_and_not_left_out(only: Any, skip: Any, length: int | None) -> None:
    def holds(intervals: Any, time: float) -> bool:
        return any(a <= time and (b is None or time < b) for a, b in intervals)

    used = cut_out(only, skip, length)
    assert all(b is None or a < b for a, b in used)
    assert all(first[1] is not None and first[1] < second[0] for first, second in itertools.pairwise(used))
    for time in range(length or 130):
        wanted = (not only or holds(only, time)) and not holds(skip, time)
        assert holds(used, time) == wanted
    ranges = ", ".join(interval_words(one) for one in used)
    assert parse_ranges(ranges) == used
