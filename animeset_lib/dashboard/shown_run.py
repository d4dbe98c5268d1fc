"""The run that a page shows: followed by its events and its lock, and by its process where this page began it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from animeset_lib.dashboard.estimates import Rates
from animeset_lib.dashboard.runs import EVENTS, LAST_WORDS, Launch, event_of, known_runs, last_pieces
from animeset_lib.pipeline import Folders
from animeset_lib.run.lock import holder, request_cancel

__all__ = ["BUSY", "NOTHING", "Phase", "ShownRun", "tail"]

Phase = Literal["idle", "starting", "running", "cancelling", "paused", "finished", "failed", "cancelled", "stopped"]
"""`stopped`: the process ended without a last word: killed, out of memory, switched off."""

BUSY = ("starting", "running", "cancelling")
_LOG_LINES = 200
NOTHING: Mapping[str, Any] = {
    **{
        "film": "",
        "path": "",
        "series": None,
        "error": "",
        "characters": {},
        "stages": [],
        "models": [],
        "warnings": [],
    },
    **{"percent": 0, "elapsed_s": 0, "left_s": 0},
}
"""The snapshot of a run that has not begun."""


class ShownRun:
    """One film's run, followed. `snapshot()` is called again and again and reads only what is new.

    `launch` is the process that this page started, if it did; `in_series` is True once the page has seen it at work as a film of a series.
    """

    def __init__(self, folders: Folders, folder: str, launch: Launch | None = None) -> None:
        self.folder = folder
        self.launch = launch
        self.in_series = False
        self.events: list[dict[str, Any]] = []
        self._folders = folders
        self._path = folders.logs / f"{folder}{EVENTS}"
        self._offset = 0
        self._head = b""
        self._cancel_asked = False

    def refresh(self) -> None:
        """Take in new events; a run that was started again begins a new file."""
        try:
            with self._path.open("rb") as file:
                head = file.readline()
                if head != self._head or self._path.stat().st_size < self._offset:
                    self._head, self._offset, self.events = head, 0, []
                    self._cancel_asked = False
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            self._head, self._offset, self.events = b"", 0, []
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        self.events += [event for line in whole.splitlines() if (event := event_of(line)) is not None]

    @property
    def started(self) -> dict[str, Any]:
        """The `run_started` event, empty before it."""
        return self.events[0] if self.events and self.events[0]["kind"] == "run_started" else {}

    @property
    def published(self) -> dict[str, Any]:
        """The last `published` event, empty before it."""
        return next((event for event in reversed(self.events) if event["kind"] == "published"), {})

    def phase(self) -> Phase:
        """As the events and the lock have it, whoever began the run."""
        if self.events and self.events[-1]["kind"] not in LAST_WORDS:
            if holder(self._folders.work, self.folder) is not None:
                return "cancelling" if self._cancel_asked else "running"
            self.refresh()  # it may have said its last word and let go of the lock in this very moment
        return LAST_WORDS.get(self.events[-1]["kind"], "stopped") if self.events else "idle"

    def phase_and_problem(self) -> tuple[Phase, str]:
        """Phase, as the process that this page started has it, and, where it went wrong, the sentence that says so."""
        launch = self.launch
        if launch is not None and self.started.get("time", 0.0) < launch.began:
            self.refresh()
            if self.started.get("time", 0.0) < launch.began:
                if launch.process.poll() is None:
                    return "starting", ""
                return ("failed", launch.failed_early) if launch.failed_early else ("cancelled", "")
        phase = self.phase()
        alive = launch is not None and launch.process.poll() is None
        series = self.started.get("series")
        more_to_come = series is not None and series[1] + 1 < len(series[0])
        if alive and (phase == "stopped" or (phase in ("finished", "failed") and more_to_come)):
            return "running", ""  # on its last lines, or about to begin the next film
        if phase == "failed":
            return phase, str(self.events[-1].get("message", ""))
        return phase, launch.failed_early if phase == "stopped" and launch is not None else ""

    def cancel(self) -> None:
        """Ask the run to stop at its next safe point."""
        if not request_cancel(self._folders.work, self.folder) and self.launch is not None:
            self.launch.stop()
        self._cancel_asked = True

    def logs(self, phase: str) -> list[Path]:
        """Log files to download: after every end, good or bad."""
        if phase in ("idle", *BUSY):
            return []
        own = self.launch.console if self.launch is not None and self.launch.failed_early else None
        paths = [self._folders.logs / "process.log", own or self._folders.logs / f"{self.folder}.log"]
        return [path for path in paths if path.is_file()]

    def log_tail(self, lines: int = _LOG_LINES) -> list[str]:
        """The last lines of the run's own log, without the date and the film's name that stand on each."""
        return [_short(line, self.folder) for line in tail(self._folders.logs / f"{self.folder}.log", lines)]

    def next_of_series(self) -> str | None:
        """When this film of a series is finished and the next one has begun: the next one's folder."""
        if not self.started.get("series") or self.phase_and_problem()[0] == "starting":
            return None
        if self.phase() in BUSY:  # its own phase, not the series'
            self.in_series = True
            return None
        if not self.in_series:  # a film that somebody chose to look at after its series had ended
            return None
        paths, place = self.started["series"]
        began = self.started["time"]
        later = (run for run in known_runs(self._folders) if run["started"] > began)
        return next((run["folder"] for run in later if run["path"] in paths[place + 1 :]), None)

    def snapshot(self, rates: Rates) -> dict[str, Any]:
        """All a page shows of the run beside its phase, as plain JSON. Times in seconds, stages in order."""
        self.refresh()
        phase = self.phase()
        if not self.events:
            return dict(NOTHING)
        stages = self._stages(phase, rates)
        done_s = sum(stage["seconds"] for stage in stages)
        left_s = sum(stage["left_s"] for stage in stages)
        share = done_s / (done_s + left_s) if done_s + left_s else 0
        last = self.events[-1]
        models = [event for event in self.events if event["kind"] == "model"]
        return {
            "film": self.started.get("film", ""),
            "path": self.started.get("path", ""),
            "series": self.started.get("series"),
            "stages": stages,
            "percent": 100 if phase == "finished" else round(100 * share, 1),
            "elapsed_s": round(last["time"] - self.events[0]["time"], 1),
            "left_s": round(left_s) if phase in BUSY else 0,
            "models": [{key: model[key] for key in ("task", "name", "rung", "better")} for model in models],
            "warnings": list(dict.fromkeys(e["message"] for e in self.events if e["kind"] == "warning")),
            "error": last.get("message", "") if phase == "failed" else "",
            "characters": self.published.get("characters", {}),
        }

    def _stages(self, phase: Phase, rates: Rates) -> list[dict[str, Any]]:
        settings = self.started.get("settings", {})
        minutes = (self.started.get("duration_ms") or 0) / 60_000
        empty = {"done": 0, "total": 0, "percent": 0, "seconds": 0.0, "rows": 0, "kept": 0, "dropped": []}
        rows: dict[str, dict[str, Any]] = {
            name: {"name": name, "state": "waiting", **empty, "left_s": rates.seconds(name, settings, minutes)}
            for name in self.started.get("stages", [])
        }
        began: dict[str, tuple[float, float]] = {}
        for event in self.events:
            row = rows.get(event.get("stage", ""))
            if row is None:
                continue
            if event["kind"] == "stage_started":
                done = event["items"] - event["todo"]
                began[row["name"]] = (event["time"], done)
                row.update(state="running", done=done, total=event["items"])
            elif event["kind"] == "progress":
                row.update({key: event[key] for key in ("done", "total", "seconds")})
            elif event["kind"] == "stage_finished":
                row.update({key: event[key] for key in ("seconds", "rows", "kept")}, left_s=0, percent=100)
                row["state"] = "reused" if event["reused"] else "done"
                row["dropped"] = [{"reason": reason, "count": count} for reason, count in event["dropped"].items()]
        for row in rows.values():
            if row["state"] == "waiting" and phase == "finished":
                # the datasets were up to date, so no stage was looked at
                row.update(state="reused", left_s=0, percent=100)
            elif row["state"] == "running":
                _time_left(row, began[row["name"]], phase)
        return list(rows.values())


def _time_left(row: dict[str, Any], began: tuple[float, float], phase: Phase) -> None:
    started, before = began
    if phase not in BUSY:
        row.update(state="interrupted", left_s=0)
    elif not row["seconds"]:
        row["seconds"] = max(0.0, time.time() - started)
    total = row["total"] or 1
    row["percent"] = round(100 * row["done"] / total, 1)
    fresh = row["done"] - before
    if row["left_s"] and fresh > 0:
        row["left_s"] = round(row["seconds"] * (total - row["done"]) / fresh, 1)
    elif row["left_s"]:
        row["left_s"] = max(1.0, row["left_s"] - row["seconds"])


def tail(path: Path, lines: int) -> list[str]:
    """The last `lines` lines of a text file, however long it is, fewer where they are longer than 400 bytes; none when it is not there."""
    try:
        pieces = last_pieces(path, 400 * lines)
    except FileNotFoundError:
        return []
    whole = pieces if pieces[-1] else pieces[:-1]
    return [piece.decode("utf-8", errors="replace") for piece in whole[-lines:]]


def _short(line: str, folder: str) -> str:
    """`2026-11-25 15:16:09,123 INFO [film-id] text` → `15:16:09 text`, with the level where it is not INFO."""
    head, mark, text = line.partition(f" [{folder}] ")
    match = re.fullmatch(r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d{3} (\w+)", head)
    if not mark or match is None:
        return line
    return f"{match[1]} {'' if match[2] == 'INFO' else f'{match[2]} '}{text}"
