"""Progress in a notebook: redrawn in place, one line at the end."""

from __future__ import annotations

from typing import Any

import pytest

from animeset_lib.console import RunDisplay
from animeset_lib.notebook import bars


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the page's one block held, one after the other."""
    texts: list[str] = []

    def show(text: str) -> Any:
        texts.append(text)
        return texts.append

    monkeypatch.setattr(bars, "in_notebook", lambda: True)
    monkeypatch.setattr(bars, "show_html", show)
    return texts


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "time": 0.0, **fields}


def test_a_run_ends_as_one_line_with_the_details_folded(shown: list[str]) -> None:
    with bars.watching() as show:
        show(_event("run_started", stages=["1_extract", "2_dedupe"]))
        show(_event("model", task="tagger", name="<attributes>"))
        show(_event("stage_finished", stage="1_extract", seconds=0, rows=4, kept=4, dropped={}, reused=True))
        show(_event("stage_started", stage="2_dedupe", items=4, todo=2))
        assert "1 of 2 stages" in shown[-1]
        assert "2_dedupe: 2 of 4" in shown[-1]
        assert "width:75%" in shown[-1]
        show(_event("warning", message="few pictures"))
        show(
            _event(
                "stage_finished", stage="2_dedupe", seconds=2, rows=4, kept=3, dropped={"duplicate": 1}, reused=False
            )
        )
    assert shown[-1].startswith("<details><summary>done in ")
    assert "1 stages worked, 1 reused" in shown[-1]
    assert "1 duplicate" in shown[-1]
    assert "note: few pictures" in shown[-1]
    assert "&lt;attributes&gt;" in shown[-1]


def test_what_stopped_is_not_called_done(shown: list[str]) -> None:
    show = bars.watching().__enter__()
    show(_event("run_started", stages=["1_extract"]))
    show(_event("stage_started", stage="1_extract", items=4, todo=4))
    show.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert shown[-1].startswith("<details><summary>stopped in ")


def test_a_published_film_is_up_to_date(shown: list[str]) -> None:
    with bars.watching() as show:
        show(_event("run_started", stages=["1_extract"]))
        show(_event("published", output="", zip="", characters={}))
    assert shown[-1].startswith("up to date")


def test_counting(shown: list[str]) -> None:
    with bars.counting("drawing <film>") as progress:
        progress(1, 4)
    assert "width:25%" in shown[1]
    assert shown[-1].startswith("drawing &lt;film&gt;: done in ")


def test_in_plain_python_it_is_the_command_lines_display() -> None:
    assert not bars.in_notebook()
    assert isinstance(bars.watching(), RunDisplay)
    with bars.counting("drawing") as progress:
        progress(1, 2)
