"""What a run tells the world: one JSON line per event for other processes, and the log for people.

Kinds and their fields (all have `time`, seconds since 1970, and `kind`):

run_started      film, folder, path, duration_ms, stages (names in order), keys, settings, until, keep_work, series ([paths], place) or null
model            task, name, rung (which rung of the ladder it is, a sentence), better (names of better rungs that are not here)
stage_started    stage, items, todo
progress         stage, done, total (items), seconds (of this stage so far), made (the last few pictures since the one before, oldest first: path
                 relative to the film's work folder, and box, the part that is meant, or null)
stage_finished   stage, seconds, rows, kept, dropped (reason -> count), reused
warning          message
paused           after (stage), seconds: stopped there because it was asked to
published        output, zip, characters (name -> pictures)
run_finished     seconds
failed           message
cancelled        message
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

__all__ = ["LOGGER", "Events", "Listener", "log_files", "log_refusal", "read_events", "warnings_as_events"]

LOGGER = "animeset"
Listener = Callable[[dict[str, Any]], None]


class Events:
    """Writes events to `path` as they happen and hands each to the listeners. Progress is thinned to two lines a second,
    except for the first of a stage."""

    def __init__(self, path: Path, listeners: tuple[Listener, ...] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._listeners = listeners
        self._last_progress = 0.0

    def emit(self, kind: str, **fields: Any) -> bool:
        """Whether it was told; progress may be left out."""
        now = time.time()
        if kind == "stage_started":
            self._last_progress = 0.0
        if kind == "progress":
            complete = fields["done"] >= fields["total"]
            if now - self._last_progress < 0.5 and not complete:
                return False
            self._last_progress = now
        event = {"time": round(now, 3), "kind": kind, **fields}
        self._file.write(json.dumps(event, ensure_ascii=False) + "\n")
        self._file.flush()
        for listener in self._listeners:
            listener(event)
        return True

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> list[dict[str, Any]]:
    """All whole events of a run's file; a last line that is still being written is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def log_refusal(logs: Path, what: str, message: str) -> None:
    """Put into `logs/process.log` why a run did not begin; it has no log of its own then."""
    with _process_log(logs, what):
        logging.getLogger(LOGGER).error("not started: %s", message)


@contextmanager
def log_files(logs: Path, film_folder: str) -> Iterator[Path]:
    """Send the package's log to `logs/process.log` (all runs, rotated at 10 MB) and to the run's own file, whose path is yielded."""
    own = logs / f"{film_folder}.log"
    with _process_log(logs, film_folder), _handled(logging.FileHandler(own, mode="w", encoding="utf-8"), film_folder):
        yield own


@contextmanager
def _process_log(logs: Path, what: str) -> Iterator[None]:
    logs.mkdir(parents=True, exist_ok=True)
    rotating = RotatingFileHandler(logs / "process.log", maxBytes=10_000_000, backupCount=5, encoding="utf-8")
    with _handled(rotating, what):
        yield


@contextmanager
def _handled(handler: logging.Handler, what: str) -> Iterator[None]:
    """The package's log goes to `handler`, too, each line with `what` in brackets."""
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.setLevel(logging.INFO)
    shown = what.replace("%", "%%")  # a film may be called 100 %
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s [{shown}] %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def warnings_as_events(events: Events) -> Iterator[list[str]]:
    """Every warning that is logged meanwhile becomes an event too, so that what a stage warns of is seen; yields the messages so far."""
    messages: list[str] = []

    class Forward(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno == logging.WARNING:
                messages.append(record.getMessage())
                events.emit("warning", message=messages[-1])

    logger = logging.getLogger(LOGGER)
    handler = Forward()
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
