"""What the command line shows while a run is going on: bars with ETA in a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["RunDisplay"]


class RunDisplay:
    """A listener for a run's events; use as a context manager around the run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<11}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._stages: list[str] = []

    def __enter__(self) -> RunDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if kind == "run_started":
            self._stages = event["stages"]
            self._console.print(f"{event['film']}: {len(self._stages)} stages", markup=False)
        elif kind == "model":
            # the best one is what to fetch; the rest of the ladder is in the log
            better = f" Better, but not here: {event['better'][0]} (animeset models fetch)." if event["better"] else ""
            self._console.print(
                f"{event['task']:<9} {event['name']}: {event['rung']}{better}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        elif kind == "stage_started":
            self._task = self._progress.add_task(
                event["stage"], total=event["items"], completed=event["items"] - event["todo"]
            )
        elif kind == "progress" and self._task is not None:
            self._progress.update(self._task, completed=event["done"])
        elif kind == "stage_finished":
            if self._task is not None:
                self._progress.remove_task(self._task)
                self._task = None
            self._console.print(self._summary(event), markup=False, highlight=False)
        elif kind == "warning":
            self._console.print(f"note: {event['message']}", markup=False, highlight=False, soft_wrap=True)

    def _summary(self, event: dict[str, Any]) -> str:
        place = self._stages.index(event["stage"]) + 1 if event["stage"] in self._stages else 0
        dropped = ", ".join(f"{count} {reason}" for reason, count in event["dropped"].items())
        time = "reused" if event["reused"] else f"{event['seconds']:.1f} s"
        return f"[{place:>2}/{len(self._stages)}] {event['stage']:<11} {time:>8}  {event['kept']} kept" + (
            f" of {event['rows']} ({dropped})" if dropped else ""
        )
