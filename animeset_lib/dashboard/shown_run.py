"""The run that a page shows: its events, and the process where this page began it."""

from __future__ import annotations

from pathlib import Path

from animeset_lib.dashboard.runs import Launch, RunFollower, Runs, known_runs
from animeset_lib.pipeline import Folders

__all__ = ["BUSY", "ShownRun"]

BUSY = ("starting", "running", "cancelling")


class ShownRun(RunFollower):
    """`launch` is the process that this page started, if it did; `in_series` is True once the page has seen it at work as a film of a series."""

    def __init__(self, folders: Folders, folder: str, launch: Launch | None = None) -> None:
        super().__init__(folders, folder)
        self.launch = launch
        self.in_series = False

    def phase_and_problem(self) -> tuple[str, str]:
        """Phase and, where it went wrong, the sentence that says so."""
        launch = self.launch
        if launch is not None and self.started.get("time", 0.0) < launch.began:
            self.refresh()
            if self.started.get("time", 0.0) < launch.began:
                if launch.process.poll() is None:
                    return "starting", ""
                return ("failed", launch.failed_early) if launch.failed_early else ("cancelled", "")
        phase = self.phase()
        if phase in ("finished", "failed") and self._more_to_come():
            return "running", ""
        if phase == "failed":
            return phase, str(self.events[-1].get("message", ""))
        if phase == "stopped" and launch is not None:
            if launch.process.poll() is None:  # on its last lines
                return "running", ""
            return phase, launch.failed_early
        return phase, ""

    def _more_to_come(self) -> bool:
        """Whether the process that this page started has another film of the series before it."""
        series = self.started.get("series")
        alive = self.launch is not None and self.launch.process.poll() is None
        return alive and series is not None and series[1] + 1 < len(series[0])

    def cancel(self, runs: Runs) -> None:
        """Ask the run to stop at its next safe point."""
        if not runs.cancel(self.folder) and self.launch is not None:
            self.launch.stop()
        self.ask_cancel()

    def logs(self, phase: str) -> list[Path]:
        """Log files to download: after every end, good or bad."""
        if phase in ("idle", *BUSY):
            return []
        own = self.launch.console if self.launch is not None and self.launch.failed_early else None
        paths = [self._folders.logs / "process.log", own or self._folders.logs / f"{self.folder}.log"]
        return [path for path in paths if path.is_file()]

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
