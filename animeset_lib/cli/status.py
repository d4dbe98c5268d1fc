"""`animeset status` and `animeset cancel`: what is in work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from animeset_lib.cli.common import JsonOption, LogsOption, WorkOption, say, say_columns

__all__ = ["cancel", "status"]


def status(
    work: WorkOption = Path("work"),
    logs: LogsOption = Path("logs"),
    show_all: Annotated[bool, typer.Option("--all", help="Every stage of every film.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Which films are in work, how far each is, what is running."""
    from animeset_lib.pipeline import film_states

    states = film_states(work, logs)
    if as_json:
        print(json.dumps(states, ensure_ascii=False))
        return
    if not states:
        say(f"No film is in {work}.")
    if not show_all:
        say_columns([(state["source"], _state_words(state, work)) for state in states])
        return
    for state in states:
        say(f"{state['source']}: {_state_words(state, work)}")
        say_columns([(f"  {stage['stage']}", _stage_words(stage)) for stage in state["stages"]])


def _state_words(state: dict[str, Any], work: Path) -> str:
    """How far a film is, in a line."""
    if state["running"]:
        at = state["progress"]
        done = f"{at['stage']} {100 * at['done'] / max(at['total'], 1):.0f} %" if at else "just begun"
        return f"running: {done} (process {state['running'].get('pid', '?')})"
    current = [stage for stage in state["stages"] if stage["current"]]
    finished = [stage["stage"] for stage in current if stage["finished"]]
    words = f"finished up to {finished[-1]}" if finished else "no stage is finished"
    words += "".join(f", {stage['stage']} begun" for stage in current if not stage["finished"])
    words += f", {state['bytes'] / 1e6:.0f} MB in {work}{os.sep}"
    unused = len(state["stages"]) - len(current)
    return f"{words}; no run needs {unused} of its stages (animeset clean)" if unused else words


def _stage_words(stage: dict[str, Any]) -> str:
    how = "finished" if stage["finished"] else f"in work, {stage['parts']} batches done"
    return how if stage["current"] else f"{how}, no current run uses it"


def cancel(
    film: Annotated[
        str | None, typer.Argument(help="Part of the film's name or id; without it: every live run.")
    ] = None,
    work: WorkOption = Path("work"),
) -> None:
    """Ask live runs to stop at their next safe point.

    Finished batches are kept.
    """
    from animeset_lib.pipeline import live_runs
    from animeset_lib.run.lock import request_cancel

    asked = [folder for folder in live_runs(work) if (film is None or film in folder) and request_cancel(work, folder)]
    for folder in asked:
        say(f"asked to stop: {folder}")
    if not asked:
        say("No live run matches; see `animeset status`.")
