"""Progress for people in Jupyter, Colab, VS Code and plain Python alike.

In a notebook it is one block of HTML that is redrawn in place: no widget, so it is seen on Colab without ado, stays in a saved notebook and
ends as one line. Elsewhere it is the command line's own display.
"""

from __future__ import annotations

import html
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

__all__ = ["counting", "in_notebook", "show_html", "watching"]

_REDRAW_S = 0.3
_BAR = (
    "<div style='background:#8883;border-radius:3px;height:8px;width:320px;display:inline-block;vertical-align:middle'>"
    "<div style='background:#3b82c4;border-radius:3px;height:8px;width:{:.0f}%'></div></div>"
)


def in_notebook() -> bool:
    """Whether what is displayed goes to a notebook's page. IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def show_html(text: str) -> Callable[[str], None]:
    """Show `text` (HTML) in the notebook; call what comes back with other text to replace it in place."""
    from IPython.display import HTML, display

    handle = display(HTML(text), display_id=True)
    return lambda new: handle.update(HTML(new)) if handle is not None else None


def watching() -> AbstractContextManager[Callable[[dict[str, Any]], None]]:
    """The display of a run for where this is called: a listener that is also told when the run begins and ends."""
    if in_notebook():
        return _Page()
    from rich.console import Console

    from animeset_lib.console import RunDisplay

    return RunDisplay(Console(stderr=True, highlight=False))


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for something that counts: `with counting("drawing") as progress: progress(done, total)`."""
    if not in_notebook():
        from rich.progress import Progress

        with Progress(transient=True, disable=not sys.stderr.isatty()) as bars:
            task = bars.add_task(what, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
        return
    began, last = time.monotonic(), 0.0
    redraw = show_html(html.escape(what))

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _REDRAW_S:
            last = time.monotonic()
            redraw(f"{_BAR.format(100 * done / max(total, 1))} {html.escape(what)}")

    yield progress
    redraw(f"{html.escape(what)}: done in {time.monotonic() - began:.0f} s")


class _Page:
    """A run in a notebook: the stages so far and a bar while it goes on, one line with the details folded behind it afterwards."""

    def __init__(self) -> None:
        self._told: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._running: tuple[str, float, float] | None = None
        self._drawn = 0.0

    def __enter__(self) -> _Page:
        self._began = time.monotonic()
        self._redraw = show_html("starting ...")
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        stages = self._told["stage_finished"]
        if kind is None and not stages:
            self._redraw("up to date: this film is published with exactly these settings")
            return
        end = "stopped" if kind is not None else "done"
        reused = sum(event["reused"] for event in stages)
        took = time.monotonic() - self._began
        words = f"{end} in {took:.1f} s: {len(stages) - reused} stages worked, {reused} reused"
        self._redraw(f"<details><summary>{words}</summary>{self._details()}</details>")

    def __call__(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "stage_started":
                self._running = (event["stage"], event["items"] - event["todo"], event["items"])
            case "progress":
                self._running = (event["stage"], event["done"], event["total"])
                if time.monotonic() - self._drawn < _REDRAW_S:
                    return
            case kind:
                self._told[kind].append(event)
                self._running = None if kind == "stage_finished" else self._running
        self._drawn = time.monotonic()
        stage, done, total = self._running or ("", 0, 0)
        finished, count = (
            len(self._told["stage_finished"]),
            sum(len(run["stages"]) for run in self._told["run_started"]),
        )
        share = 100 * (finished + (done / total if total else 0)) / max(count, 1)
        place = f"{stage}: {done:.0f} of {total}" if stage else ""
        self._redraw(f"{_BAR.format(share)} {finished} of {count} stages &nbsp; {place}")

    def _details(self) -> str:
        rows = "".join(
            f"<tr><td>{event['stage']}</td><td>{'reused' if event['reused'] else format(event['seconds'], '.1f') + ' s'}</td>"
            f"<td>{event['kept']} of {event['rows']} kept</td>"
            f"<td>{', '.join(f'{count} {reason}' for reason, count in event['dropped'].items())}</td></tr>"
            for event in self._told["stage_finished"]
        )
        models = "".join(f"<li>{m['task']}: {html.escape(m['name'])}</li>" for m in self._told["model"])
        warnings = dict.fromkeys(event["message"] for event in self._told["warning"])
        notes = "".join(f"<li>note: {html.escape(text)}</li>" for text in warnings)
        return f"<table>{rows}</table><ul>{models}{notes}</ul>"
