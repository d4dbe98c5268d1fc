"""Runs as a page sees them: each a process of its own, followed by its events and its lock, so that any page finds it again.

Nothing here is remembered between pages. What a run is doing is read from `logs/<film>.events.jsonl`, whether it is alive from its lock.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from animeset_lib.dashboard.estimates import Rates
from animeset_lib.pipeline import Folders
from animeset_lib.run.lock import holder, request_cancel
from animeset_lib.system import own_session

__all__ = ["Options", "Phase", "RunFollower", "Runs", "known_runs", "visible_folders"]

Phase = Literal["idle", "starting", "running", "cancelling", "paused", "finished", "failed", "cancelled", "stopped"]
"""`stopped`: the process ended without a last word: killed, out of memory, switched off."""

EVENTS = ".events.jsonl"
_LOG_LINES = 200
_LAST_BYTES = 65_536
"""Of an events file, in which its last event is looked for: the longest ones, with a message or many characters, are a few kilobytes."""
_LAST_WORDS: Mapping[str, Phase] = {
    "run_finished": "finished",
    "paused": "paused",
    "failed": "failed",
    "cancelled": "cancelled",
}


@dataclass(frozen=True)
class Options:
    """What a run is started with beside its settings."""

    keep_work: bool = False
    pause: bool = False
    """Stop after sorting, so that the cast can be looked at before the slow half of the work."""
    device: str = "auto"
    cast: str = ""
    """`cast.json` of an earlier film, as seen from the project folder: names its characters again. Empty: none."""


@dataclass
class Runs:
    """Starts and stops runs, all with the same folders. `references` and `settings_dir` are read when a run starts."""

    folders: Folders
    references: Path
    root: Path
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, films: Sequence[Path], settings_toml: str, options: Options) -> Launch:
        """Begin a run in a process that outlives this one; several films are a series. Returns at once."""
        logs = self.folders.logs
        logs.mkdir(parents=True, exist_ok=True)
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{len(self._started)}"
        settings = logs / f"start-{stamp}.toml"
        settings.write_text(settings_toml, encoding="utf-8", newline="\n")
        console = logs / f"start-{stamp}.log"
        words: list[str] = [sys.executable, "-m", "animeset_lib", "run", "--settings", str(settings)]
        words += ["--output", str(self.folders.output), "--work", str(self.folders.work), "--logs", str(logs)]
        words += ["--device", options.device]
        if visible_folders(self.references):
            # as the command line itself does where it finds a folder of this name
            words += ["--references", str(self.references)]
        if options.cast:
            words += ["--cast", options.cast]
        if options.keep_work:
            words.append("--keep-work")
        if options.pause:
            words += ["--until", "cast"]
        began = time.time()
        with console.open("wb") as sink:
            process = subprocess.Popen(
                [*words, "--", *map(str, films)],
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=_environment(),
                **own_session(),  # closing the page ends its kernel and all that belongs to it; the run shall go on
            )
        self._started.append(process)
        return Launch(process, console, began)

    def cancel(self, folder: str) -> bool:
        """Ask the run on this film to stop at its next safe point. False when none is alive."""
        return request_cancel(self.folders.work, folder)


@dataclass
class Launch:
    """A run that was started from here."""

    process: subprocess.Popen[bytes]
    console: Path
    began: float
    _stopped: bool = False

    @property
    def failed_early(self) -> str:
        """The last complaint of a process that has ended with one, else an empty text; also empty for one that `stop` ended."""
        code = self.process.poll()
        if self._stopped or code is None or code in (0, 130):
            return ""
        lines = self.console.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
        if said:
            return said[-1]
        if code < 0:  # its last line was about its work then
            return f"the process was ended from outside (signal {-code}{', often for want of memory' if code == -9 else ''})"
        return lines[-1] if lines else f"the process ended with code {code}"

    def stop(self) -> None:
        """For the moment before the run holds its lock and can be asked in the ordinary way."""
        if self.process.poll() is None:
            self._stopped = True
            self.process.terminate()


def known_runs(folders: Folders) -> list[dict[str, Any]]:
    """The last run of every film, those alive first, then newest first: `film`, `folder`, `path`, `started`, `running`, `phase`.

    Files in `logs` that no run wrote are left out.
    """
    runs = []
    for path in folders.logs.glob(f"*{EVENTS}") if folders.logs.is_dir() else []:
        ends = _first_and_last(path)
        if ends is None:
            continue
        (first, last), folder = ends, path.name.removesuffix(EVENTS)
        alive = holder(folders.work, folder) is not None
        runs.append(
            {
                "film": first["film"],
                "folder": folder,
                "path": first.get("path", ""),
                "started": first["time"],
                "running": alive,
                "phase": "running" if alive else _LAST_WORDS.get(last["kind"], "stopped"),
            }
        )
    return sorted(runs, key=lambda run: (-run["running"], -run["started"]))


class RunFollower:
    """One film's run, followed. `snapshot()` is called again and again and reads only what is new."""

    def __init__(self, folders: Folders, folder: str) -> None:
        self.folder = folder
        self._folders = folders
        self._path = folders.logs / f"{folder}{EVENTS}"
        self._offset = 0
        self._head = b""
        self.events: list[dict[str, Any]] = []
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
        for line in whole.splitlines():
            if (event := _event(line)) is not None:
                self.events.append(event)

    def ask_cancel(self) -> None:
        self._cancel_asked = True

    @property
    def started(self) -> dict[str, Any]:
        """The `run_started` event, empty before it."""
        return self.events[0] if self.events and self.events[0]["kind"] == "run_started" else {}

    def phase(self) -> Phase:
        if not self.events:
            return "idle"
        last: Phase | None = _LAST_WORDS.get(self.events[-1]["kind"])
        if last is not None:
            return last
        if holder(self._folders.work, self.folder) is not None:
            return "cancelling" if self._cancel_asked else "running"
        self.refresh()  # it may have said its last word and let go of the lock in this very moment
        return _LAST_WORDS.get(self.events[-1]["kind"], "stopped") if self.events else "idle"

    def snapshot(self, rates: Rates) -> dict[str, Any]:
        """All a page shows of the run, as plain JSON. Times in seconds, stages in order."""
        self.refresh()
        phase = self.phase()
        stages = self._stages(phase, rates)
        done_s = sum(stage["seconds"] for stage in stages)
        left_s = sum(stage["left_s"] for stage in stages)
        last = self.events[-1] if self.events else {}
        published = next((e for e in reversed(self.events) if e["kind"] == "published"), None)
        return {
            "phase": phase,
            "film": self.started.get("film", ""),
            "folder": self.folder,
            "path": self.started.get("path", ""),
            "until": self.started.get("until"),
            "keep_work": self.started.get("keep_work", False),
            "series": self.started.get("series"),
            "stages": stages,
            "percent": 100
            if phase == "finished"
            else round(100 * done_s / (done_s + left_s), 1)
            if done_s + left_s
            else 0,
            "elapsed_s": round(last["time"] - self.events[0]["time"], 1) if self.events else 0,
            "left_s": round(left_s) if phase in ("running", "cancelling") else 0,
            "models": [
                {"task": e["task"], "name": e["name"], "rung": e["rung"], "better": e["better"]}
                for e in self.events
                if e["kind"] == "model"
            ],
            "warnings": list(dict.fromkeys(e["message"] for e in self.events if e["kind"] == "warning")),
            "error": last.get("message", "") if phase == "failed" else "",
            "characters": published["characters"] if published else {},
            "zip": published["zip"] if published else "",
            "output": published["output"] if published else "",
        }

    def _stages(self, phase: Phase, rates: Rates) -> list[dict[str, Any]]:
        names = self.started.get("stages", [])
        settings = self.started.get("settings", {})
        minutes = (self.started.get("duration_ms") or 0) / 60_000
        rows: dict[str, dict[str, Any]] = {
            name: {
                "name": name,
                "state": "waiting",
                "done": 0,
                "total": 0,
                "percent": 0,
                "seconds": 0.0,
                "left_s": rates.seconds(name, settings, minutes),
                "rows": 0,
                "kept": 0,
                "dropped": [],
            }
            for name in names
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
                row.update(done=event["done"], total=event["total"], seconds=event["seconds"])
            elif event["kind"] == "stage_finished":
                row.update(
                    state="reused" if event["reused"] else "done",
                    seconds=event["seconds"],
                    left_s=0,
                    percent=100,
                    rows=event["rows"],
                    kept=event["kept"],
                    dropped=[{"reason": reason, "count": count} for reason, count in event["dropped"].items()],
                )
        for row in rows.values():
            if row["state"] == "waiting" and phase == "finished":
                row.update(
                    state="reused", left_s=0, percent=100
                )  # the datasets were up to date, so no stage was looked at
            elif row["state"] == "running":
                _time_left(row, began[row["name"]], phase)
        return list(rows.values())

    def log_tail(self, lines: int = _LOG_LINES) -> list[str]:
        """The last lines of the run's own log, without the date and the film's name that stand on each."""
        return [_short(line, self.folder) for line in tail(self._folders.logs / f"{self.folder}.log", lines)]


def tail(path: Path, lines: int) -> list[str]:
    """The last `lines` lines of a text file, however long it is, fewer where they are longer than 400 bytes; none when it is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 400 * lines))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    pieces = text.removesuffix("\n").split("\n") if text else []
    return pieces[-lines:] if size <= 400 * lines else pieces[1:][-lines:]


def _time_left(row: dict[str, Any], began: tuple[float, float], phase: Phase) -> None:
    started, before = began
    if phase not in ("running", "cancelling"):
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


def _short(line: str, folder: str) -> str:
    """`2026-11-25 15:16:09,123 INFO [film-id] text` → `15:16:09 text`, with the level where it is not INFO."""
    head, mark, text = line.partition(f" [{folder}] ")
    match = re.fullmatch(r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d{3} (\w+)", head)
    if not mark or match is None:
        return line
    return f"{match[1]} {'' if match[2] == 'INFO' else f'{match[2]} '}{text}"


def _event(line: bytes) -> dict[str, Any] | None:
    """None for what is no event."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("kind"), str) else None


def _starts(event: dict[str, Any] | None) -> bool:
    return event is not None and event["kind"] == "run_started" and "film" in event and "time" in event


def _first_and_last(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """First and last whole event of a run's file, without parsing all between; None when it is no such file."""
    try:
        with path.open("rb") as file:
            first = _event(file.readline())
            before = max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES)
            file.seek(before)
            lines = file.read().split(b"\n")[1 if before else 0 : -1]
    except OSError:
        return None
    if first is None or not _starts(first):
        return None
    return first, next((event for line in reversed(lines) if (event := _event(line)) is not None), first)


def _environment() -> dict[str, str]:
    """For a run whose output goes to a file. A notebook's kernel asks for colours (FORCE_COLOR), which make bars and escape codes of it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "TTY_COMPATIBLE")}
    return {**environment, "COLUMNS": "1000", "PYTHONIOENCODING": "utf-8"}


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def visible_folders(folder: Path) -> list[Path]:
    """The folders in `folder` that are not hidden, sorted; none where it is not there."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in entries if path.is_dir() and not path.name.startswith("."))


def finished_events(logs: Path) -> list[list[dict[str, Any]]]:
    """The events of every film's last run, oldest first; unreadable files are left out."""
    runs = []
    for path in sorted(logs.glob(f"*{EVENTS}"), key=_changed) if logs.is_dir() else []:
        try:
            lines = path.read_bytes().split(b"\n")[:-1]
        except OSError:
            continue
        events = [event for line in lines if (event := _event(line)) is not None]
        if events and _starts(events[0]):
            runs.append(events)
    return runs
