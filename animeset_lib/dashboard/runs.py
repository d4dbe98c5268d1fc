"""Runs as a page starts and finds them: each a process of its own, known by its events and its lock, so that any page finds it again.

Nothing here is remembered between pages. What a run is doing is read from `logs/<film>.events.jsonl`, whether it is alive from its lock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from animeset_lib.pipeline import Folders
from animeset_lib.run.lock import holder
from animeset_lib.system import own_session

__all__ = ["Launch", "Options", "Runs", "finished_events", "known_runs", "visible_folders"]

EVENTS = ".events.jsonl"
_LAST_BYTES = 65_536
"""Of an events file, in which its last event is looked for: the longest ones, with a message or many characters, are a few kilobytes."""
LAST_WORDS: Mapping[str, Literal["finished", "paused", "failed", "cancelled"]] = {
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
                "phase": "running" if alive else LAST_WORDS.get(last["kind"], "stopped"),
            }
        )
    return sorted(runs, key=lambda run: (-run["running"], -run["started"]))


def last_pieces(path: Path, most_bytes: int) -> list[bytes]:
    """The lines in the last so many bytes of a text file; the first is a whole one, the last is what stands behind the last line break."""
    with path.open("rb") as file:
        before = max(0, file.seek(0, os.SEEK_END) - most_bytes)
        file.seek(before)
        return file.read().split(b"\n")[1 if before else 0 :]


def event_of(line: bytes) -> dict[str, Any] | None:
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
            first = event_of(file.readline())
        lines = last_pieces(path, _LAST_BYTES)[:-1]
    except OSError:
        return None
    if first is None or not _starts(first):
        return None
    return first, next((event for line in reversed(lines) if (event := event_of(line)) is not None), first)


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
        events = [event for line in lines if (event := event_of(line)) is not None]
        if events and _starts(events[0]):
            runs.append(events)
    return runs
