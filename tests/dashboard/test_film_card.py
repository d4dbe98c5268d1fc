"""The card of the chosen film: what it is, and which parts of it are used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.dashboard.view_model import ViewModel
from animeset_lib.errors import SettingsError
from tests.dashboard.browser import accessibility, browser, make_project, opened, served
from tests.film_maker import drawing, write_film
from tests.media.chapters import with_chapters

CHAPTERS = [("Opening", 0, 1000), ("Part A, first", 1000, 3000), ("Opening", 3000, 4000)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    return with_chapters(write_film(folder / "a.mkv", [drawing(i // 12) for i in range(96)]), CHAPTERS)


@pytest.fixture
def project(tmp_path: Path, film: Path) -> Path:
    project = make_project(tmp_path / "project")
    for name in ("a.mkv", "b.mkv"):
        (project / "input" / name).hardlink_to(film)
    return project


@pytest.fixture
def model(project: Path) -> ViewModel:
    model = ViewModel(project)
    model.choose(["a.mkv"])
    return model


def _card(model: ViewModel) -> Any:
    state = model.film_state()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    return state["card"]


def test_the_card_says_what_the_film_is(model: ViewModel) -> None:
    assert _card(model) is None
    model.examine_chosen()
    card = _card(model)
    assert {"file", "length", "picture", "rate", "fields", "colour", "bars", "video", "chapters"} == {
        fact["name"] for fact in card["facts"]
    }
    assert len(card["stills"]) == 10
    assert all(still["picture"].startswith("data:image/jpeg") for still in card["stills"])
    names = [(one["name"], one["start_ms"], one["skipped"]) for one in card["timeline"]["chapters"]]
    assert names == [("Opening", 0, False), ("Part A, first", 1000, False)]
    length = card["timeline"]["length_ms"]
    assert length == pytest.approx(4000, abs=2)
    assert card["timeline"]["used"] == [[0, length]]


def test_parts_are_left_out_and_used_again(model: ViewModel) -> None:
    model.examine_chosen()
    model.use_range("skip", "opening")
    model.use_range("skip", "Part A, first")
    assert _card(model)["timeline"]["used"] == []
    assert model.form.settings.extract.skip == 'opening, "Part A, first"'
    model.forget_range("skip", "Part A, first")
    assert _card(model)["timeline"]["used"] == [[1000, 3000]]
    model.use_range("only", "0:02-")
    model.use_range("only", "0:02-")
    assert _card(model)["timeline"]["used"] == [[2000, 3000]]
    assert (_card(model)["timeline"]["only"], _card(model)["timeline"]["skip"]) == (["0:02-"], ["opening"])
    assert all(one["skipped"] == (one["name"] == "Opening") for one in _card(model)["timeline"]["chapters"])
    with pytest.raises(SettingsError, match="ranges that end after they begin"):
        model.use_range("skip", "0:03-0:02")
    assert _card(model)["timeline"]["used"] == [[2000, 3000]]
    model.use_range("skip", "Ending")
    assert "'Ending' is neither a time" in _card(model)["timeline"]["error"]


def test_a_card_is_for_one_film_and_follows_how_it_is_read(model: ViewModel) -> None:
    model.examine_chosen()
    model.set_setting("film.turn", "90")
    assert _card(model) is None
    model.examine_chosen()
    assert next(fact for fact in _card(model)["facts"] if fact["name"] == "picture")["done"]["key"] == "turn"
    model.choose(["a.mkv", "b.mkv"])
    model.examine_chosen()
    assert _card(model) is None


@pytest.fixture(scope="module")
def one() -> Iterator[Any]:
    with browser() as opened_browser:
        yield opened_browser


def test_ranges_are_drawn_on_the_timeline(one: Any, project: Path) -> None:
    with served(project) as server, opened(one, server, locale="de-DE") as page:
        tab = page.tab
        page.choose("a.mkv")
        tab.wait_for_selector("#film-card")
        box = tab.locator("#timeline").bounding_box()
        for action, place in (
            (tab.mouse.move, 0.25),
            (tab.mouse.down, None),
            (tab.mouse.move, 0.5),
            (tab.mouse.up, None),
        ):
            action(box["x"] + box["width"] * place, box["y"] + 10) if place else action()
        assert (tab.input_value("#range-from"), tab.input_value("#range-to")) == ("0:01", "0:02")
        tab.click("#range-only")
        tab.wait_for_selector(".chips :text('nur 0:01-0:02')")
        assert "0:01 von 0:04 werden benutzt" in page.text("#film-card")
        tab.fill("#range-from", "0:05")
        tab.fill("#range-to", "0:04")
        tab.click("#range-skip")
        tab.wait_for_selector("#film-error")
        tab.click(".chips button")
        tab.locator(".chapters input").first.uncheck()
        tab.wait_for_selector(".chips :text('ohne Opening')")
        tab.click("#film-facts summary")
        assert "Kapitel" in page.text("#film-facts")
        assert "{" not in page.text("#film-facts")
        assert accessibility(page) == []
