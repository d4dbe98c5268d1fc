"""The cast board in a real browser: after whatever a person does, its rows are those of the model, and nothing has gone wrong unseen."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animeset_lib.cast.sorting import NOISE, REJECTED
from animeset_lib.dashboard.cast_board import CastBoard
from tests.dashboard.browser import Page, Server, browser, make_project, opened, served
from tests.dashboard.test_cast_board import Face, Film

# Five rows as the demo film's first minute gives them. The faces of the last row are surer than those of the first, so they lie at the same
# places in both when the two are merged.
SIZES = (20, 16, 13, 13, 12)
SUREST = (0.97, 0.97, 0.96, 0.96, 0.98)
FACES: tuple[Face, ...] = tuple(
    (still, cluster, SUREST[cluster] - place / 100)
    for still, (cluster, place) in enumerate((c, p) for c, size in enumerate(SIZES) for p in range(size))
)
ROWS = """() => [...document.querySelectorAll('.cast-rows > [data-group]')].map(row => ({
    key: row.dataset.group,
    name: row.querySelector('[data-name]') ? row.querySelector('[data-name]').value : null,
    count: parseInt(row.querySelector('[data-count]').textContent),
    faces: [...row.querySelectorAll('.cast-face')].map(face =>
        face.querySelector('[data-face]').dataset.face + (face.classList.contains('dropped') ? ' dropped' : '')),
}))"""


@pytest.fixture(scope="module")
def one() -> Iterator[Any]:
    with browser() as opened_browser:
        yield opened_browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(make_project(tmp_path_factory.mktemp("page") / "project")) as running:
        yield running


@pytest.fixture
def board(one: Any, server: Server, tmp_path: Path) -> Iterator[Board]:
    """The page of a film that was sorted, and a second film that is the same, on which the test does what it does on the page."""
    project = server.project
    Film(project, FACES, np.full((200, 400, 3), 90, np.uint8))
    events = (
        {"kind": "run_started", "film": "film.mkv", "path": "input/film.mkv", "time": 1.0, "stages": []},
        {"kind": "paused", "after": "3d_cast", "time": 2.0},
    )
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (project / "logs" / "film-abc.events.jsonl").write_text(lines, encoding="utf-8")
    # so high that every row is near enough to the screen to have all its faces
    with opened(one, server, viewport={"width": 1280, "height": 3000}) as page:
        yield Board(page, Film(tmp_path / "model", FACES).board)
    server.forget()


class Board:
    """What a person does on the board, by clicks; each is done on the model, too, and then the page must show what the model says."""

    def __init__(self, page: Page, model: CastBoard) -> None:
        self.page, self.tab, self.model = page, page.tab, model
        self.agrees()

    @property
    def characters(self) -> list[str]:
        return [key for key in self.model.groups if key not in (NOISE, REJECTED)]

    def agrees(self) -> None:
        state = self.model.state()
        dropped = set(state["dropped"])
        expected = [
            {
                "key": group["key"],
                "name": group["key"] if group["kind"] == "character" else None,
                "count": len(group["members"]),
                "faces": [state["ids"][place] + (" dropped" if place in dropped else "") for place in group["members"]],
            }
            for group in state["groups"]
        ]
        # rows show their first faces, until all are asked for
        shown = f"""([rows, undo, redo]) => {{
            document.querySelectorAll('[data-more][aria-expanded=false]').forEach(more => more.click());
            return document.querySelector('#undo').title === undo && document.querySelector('#redo').title === redo
                && JSON.stringify(({ROWS})()) === JSON.stringify(rows); }}"""
        self.tab.wait_for_selector(".cast-rows", timeout=240_000)
        try:
            self.tab.wait_for_function(shown, arg=[expected, state["can_undo"], state["can_redo"]], timeout=60_000)
        except Exception as error:
            assert self.tab.evaluate(ROWS) == expected, self.page.faults
            raise AssertionError(self.page.faults) from error
        assert self.page.faults == []

    def select(self, faces: list[str]) -> None:
        for face in faces:
            self.tab.click(f'[data-face="{face}"]')
        self.tab.wait_for_selector("#selection-bar")

    def merge(self, groups: list[str], into: str) -> None:
        for group in groups:
            self.tab.check(f'[data-group="{group}"] [data-choose]')
        self.tab.select_option("#merge-into", into)
        self.tab.click("#merge")
        self.model.merge(groups, into)
        self.agrees()

    def split(self, faces: list[str]) -> None:
        self.select(faces)
        self.tab.click("#split")
        self.model.move(faces, "")
        self.agrees()

    def move(self, faces: list[str], to: str) -> None:
        self.select(faces)
        if to in self.characters:
            self.tab.select_option("#move-to", to)
        else:
            self.tab.select_option("#move-to", "?new")
            self.tab.fill("#move-name", to)
        self.tab.click("#move")
        self.model.move(faces, to)
        self.agrees()

    def rename(self, group: str, name: str) -> None:
        box = self.tab.locator(f'[data-group="{group}"] [data-name]')
        box.fill(name)
        box.press("Enter")
        self.model.rename(group, name)
        self.agrees()

    def reject_group(self, group: str) -> None:
        self.tab.click(f'[data-group="{group}"] [data-reject]')
        self.model.reject([], group)
        self.agrees()

    def about(self, what: str, faces: list[str]) -> None:
        """reject, drop or restore"""
        self.select(faces)
        self.tab.click(f"#{what}")
        getattr(self.model, what)(faces)
        self.agrees()

    def undo(self) -> None:
        self.tab.click("#undo")
        self.model.undo()
        self.agrees()

    def redo(self) -> None:
        self.tab.click("#redo")
        self.model.redo()
        self.agrees()

    def lasso(self) -> list[str]:
        """Faces in the left half of the map, selected by a line around them."""
        box = self.tab.locator("#map").bounding_box()
        left, top, right, bottom = box["x"] + 2, box["y"] + 2, box["x"] + box["width"] / 2, box["y"] + box["height"] - 2
        self.tab.mouse.move(left, top)
        self.tab.mouse.down()
        for x, y in ((right, top), (right, bottom), (left, bottom)):
            self.tab.mouse.move(x, y)
        self.tab.mouse.up()
        self.tab.wait_for_selector("#selection-bar")
        chosen = self.tab.locator('[data-face][aria-pressed="true"]')
        return [str(face.get_attribute("data-face")) for face in chosen.all()]


def test_the_last_row_merged_into_the_first_and_taken_apart_again(board: Board) -> None:
    first, *_, last = board.characters
    before = board.model.groups
    board.merge([first, last], first)
    board.split(board.model.groups[first][:3])
    board.undo()
    board.undo()
    assert board.model.groups == before
    chosen = board.lasso()
    assert 1 < len(chosen) < len(FACES)
    board.tab.click("#split")
    board.model.move(chosen, "")
    board.agrees()
    board.undo()
    board.redo()


def do_something(board: Board, chance: random.Random, step: int) -> None:
    groups, characters = board.model.groups, board.characters
    some = groups[chance.choice(list(groups))]
    faces, group = chance.sample(some, min(len(some), chance.randint(1, 3))), chance.choice(characters)
    pair = chance.sample(characters, min(len(characters), 2))
    deeds = {
        "merge": lambda: board.merge(pair, chance.choice(pair)),
        "split": lambda: board.split(faces),
        "move": lambda: board.move(faces, group),
        "move to a new name": lambda: board.move(faces, f"new_{step}"),
        "rename": lambda: board.rename(group, f"name_{step}"),
        "reject": lambda: board.about("reject", faces),
        "reject a group": lambda: board.reject_group(group),
        "drop": lambda: board.about("drop", faces),
        "restore": lambda: board.about("restore", faces),
        "undo": board.undo,
        "redo": board.redo,
    }
    state = board.model.state()
    possible = {
        "merge": len(pair) > 1,
        "reject a group": len(characters) > 3,
        "undo": bool(state["can_undo"]),
        "redo": bool(state["can_redo"]),
    }
    deeds[chance.choice([name for name in deeds if possible.get(name, True)])]()


def test_things_done_at_random_leave_the_rows_of_the_model(board: Board, exhaustive: bool) -> None:
    chance = random.Random(1)  # its eleventh deed lays faces of the last row at the same places in the first
    for step in range(60 if exhaustive else 20):
        do_something(board, chance, step)
    board.tab.reload()
    board.agrees()
