"""Progress for people in Jupyter, Colab, VS Code and plain Python alike.

In a notebook it is one block of HTML that is redrawn in place: no widget, so it is seen on Colab without ado, stays in a saved notebook and
ends as one line. Elsewhere it is the command line's own display.
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

__all__ = ["Show", "counting", "in_notebook", "show_html", "watching"]

_REDRAW_S = 0.3
_BAR = (
    "<div style='background:#8883;border-radius:3px;height:8px;width:320px;display:inline-block;vertical-align:middle'>"
    "<div style='background:#3b82c4;border-radius:3px;height:8px;width:{:.0f}%'></div></div>"
)


class Show(AbstractContextManager["Show"], Protocol):
    """A run's listener that is also told when the run begins and ends."""

    def __call__(self, event: dict[str, Any]) -> None: ...


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


def watching() -> Show:
    """The display of a run for where this is called."""
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
        self._stages: list[dict[str, Any]] = []
        self._models: list[dict[str, Any]] = []
        self._warnings: list[str] = []
        self._running: tuple[str, float, float] | None = None
        self._count, self._drawn = 0, 0.0
        self._redraw: Callable[[str], None] = lambda text: None

    def __enter__(self) -> _Page:
        self._began = time.monotonic()
        self._redraw = show_html("starting ...")
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._running = None
        self._draw(kind)

    def __call__(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "run_started":
                self._count = len(event["stages"])
            case "model":
                self._models.append(event)
            case "warning":
                self._warnings.append(event["message"])
            case "stage_started":
                self._running = (event["stage"], event["items"] - event["todo"], event["items"])
            case "progress":
                self._running = (event["stage"], event["done"], event["total"])
                if time.monotonic() - self._drawn < _REDRAW_S:
                    return
            case "stage_finished":
                self._stages.append(event)
                self._running = None
        self._draw(None, working=True)

    def _draw(self, kind: type[BaseException] | None, working: bool = False) -> None:
        self._drawn = time.monotonic()
        if working:
            stage, done, total = self._running or ("", 0, 0)
            share = 100 * (len(self._stages) + (done / total if total else 0)) / max(self._count, 1)
            place = f"{stage}: {done:.0f} of {total}" if stage else ""
            self._redraw(f"{_BAR.format(share)} {len(self._stages)} of {self._count} stages &nbsp; {place}")
            return
        fresh = [event for event in self._stages if not event["reused"]]
        end = "stopped" if kind is not None else "done"
        if kind is None and not self._stages:
            self._redraw("up to date: this film is published with exactly these settings")
            return
        words = f"{end} in {time.monotonic() - self._began:.1f} s: {len(fresh)} stages worked, {len(self._stages) - len(fresh)} reused"
        self._redraw(f"<details><summary>{words}</summary>{self._details()}</details>")

    def _details(self) -> str:
        rows = "".join(
            f"<tr><td>{event['stage']}</td><td>{'reused' if event['reused'] else format(event['seconds'], '.1f') + ' s'}</td>"
            f"<td>{event['kept']} of {event['rows']} kept</td>"
            f"<td>{', '.join(f'{count} {reason}' for reason, count in event['dropped'].items())}</td></tr>"
            for event in self._stages
        )
        models = "".join(f"<li>{m['task']}: {html.escape(m['name'])}</li>" for m in self._models)
        notes = "".join(f"<li>note: {html.escape(text)}</li>" for text in dict.fromkeys(self._warnings))
        return f"<table>{rows}</table><ul>{models}{notes}</ul>"
