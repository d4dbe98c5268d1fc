"""What the page shows and what it can be asked to do, without widgets or threads: state as plain JSON, actions as methods.

One object is one page. Nothing that matters lives only here: films, runs, decisions and captions are files, so a reload, a second tab or a
restarted server finds everything again. Methods marked *slow* read films or many files; the view calls them off its main thread, one at a time.
What cannot be done raises an `AnimesetError` with a sentence for the person.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from animeset_lib import media
from animeset_lib.cast.cast import CAST_FILE
from animeset_lib.cast.names import character_name
from animeset_lib.cast.references import reference_pictures
from animeset_lib.dashboard.cast_board import CastBoard
from animeset_lib.dashboard.estimates import Rates
from animeset_lib.dashboard.gallery import Gallery, published_folders
from animeset_lib.dashboard.pictures import Thumbnails
from animeset_lib.dashboard.previews import newest_pictures
from animeset_lib.dashboard.receiving import Inbox, film_inbox, picture_inbox
from animeset_lib.dashboard.results import Results
from animeset_lib.dashboard.runs import Launch, Options, Runs, finished_events, known_runs, visible_folders
from animeset_lib.dashboard.settings_form import SettingsForm
from animeset_lib.dashboard.shown_run import BUSY, ShownRun
from animeset_lib.dashboard.thresholds import EXPLORABLE, explore
from animeset_lib.errors import AnimesetError, BusyError, InputError, SettingsError
from animeset_lib.export.plan import By
from animeset_lib.pipeline import FilmFiles, Folders, plan_film
from animeset_lib.pipeline.cast_pack import newest_pack
from animeset_lib.pipeline.stages_on_disk import stages_with
from animeset_lib.records import Film
from animeset_lib.run.lock import holder

__all__ = ["MAX_UPLOAD", "ViewModel"]

MAX_UPLOAD = "ANIMESET_MAX_UPLOAD_GB"
_MAX_PICTURE_BYTES = 100_000_000


class ViewModel:
    """One page over one project folder `root` with `input/ work/ output/ logs/ references/`."""

    def __init__(self, root: Path, *, max_upload_bytes: int | None = None) -> None:
        """`max_upload_bytes` unset: what the variable `ANIMESET_MAX_UPLOAD_GB` says, else 50 GB."""
        self.root = root
        self.folders = Folders(root / "output", root / "work", root / "logs")
        self.references = root / "references"
        self.max_upload_bytes = max_upload_bytes or _max_upload_bytes()
        self.form = SettingsForm()
        self.options = Options()
        self.chosen: list[str] = []
        self.errors: dict[str, str] = {}
        self.log_open = False
        self._inbox = film_inbox(root / "input", self.max_upload_bytes)
        self._runs = Runs(self.folders, self.references, root)
        self._films: dict[tuple[str, int, int], Film] = {}
        self._shown: ShownRun | None = None
        self._thumbs = Thumbnails()
        self._rates = Rates()
        self._plan: list[dict[str, Any]] | None = None
        self._explored: dict[str, Any] | None = None
        self._board: CastBoard | None = None
        self._results = Results(root, self.folders.output, self._thumbs)
        self._touched = False

    # ---- films -------------------------------------------------------------------------------------------------------------------

    @property
    def films(self) -> Inbox:
        """Where films arrive."""
        return self._inbox

    def reference_inbox(self, character: str) -> Inbox:
        """Where reference pictures of a character arrive. Raises `InputError` for a name without letters or digits."""
        return picture_inbox(self.references / character_name(character), _MAX_PICTURE_BYTES)

    def film_state(self) -> dict[str, Any]:
        running = {run["path"] for run in known_runs(self.folders) if run["running"]}
        rows = []
        for path in self._inbox.files():
            known = self._films.get(_version(path))
            rows.append(
                {
                    "name": path.name,
                    "folder": path.is_dir(),
                    "size": path.stat().st_size if path.is_file() else 0,
                    "running": any(Path(r).name == path.name for r in running),
                    "details": None
                    if known is None
                    else {"seconds": (known.duration_ms or 0) / 1000, "width": known.width, "height": known.height},
                }
            )
        present = {row["name"] for row in rows}
        self.chosen = [name for name in self.chosen if name in present]
        return {
            "films": rows,
            "chosen": list(self.chosen),
            "pending": [
                {"id": part.id, "name": part.name, "size": part.size, "offset": part.offset}
                for part in self._inbox.pending()
            ],
            "max_bytes": self.max_upload_bytes,
            "error": self.errors.get("film", ""),
        }

    def choose(self, names: Sequence[str]) -> None:
        """The films that Start is about; several are a series. Follows the last run of the first one, if there was one."""
        self.chosen = [path.name for path in self._inbox.files() if path.name in set(names)]
        # a series is worked on in the order of its names, which is the order of its episodes
        self.chosen.sort()
        self._plan = None
        if self.phase in BUSY:
            return
        path = (self.root / "input" / self.chosen[0]).resolve() if self.chosen else None
        # a run begun in a notebook or on the command line may name its film by another path to the same place
        run = next((run for run in known_runs(self.folders) if (self.root / run["path"]).resolve() == path), None)
        self._follow(run["folder"] if run else None)

    def forget_upload(self, identity: str) -> None:
        """Remove what has arrived of an upload that shall not go on. Raises `InputError` for one that is not there."""
        if identity not in {part.id for part in self._inbox.pending()}:
            raise InputError("this upload is not there any more; look again")
        self._inbox.forget(identity)

    def look_at_chosen(self) -> None:
        """*Slow*: read the chosen films, for their length and identity. Raises `InputError` for one that is no film."""
        for name in self.chosen:
            self._film(self.root / "input" / name)

    def _film(self, path: Path) -> Film:
        key = _version(path)
        if key not in self._films:
            self._films[key] = media.probe(path)
        return self._films[key]

    # ---- runs --------------------------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> str | None:
        """The film folder whose run is shown; a page remembers it and hands it to `opened` after a reload."""
        return self._shown.folder if self._shown else None

    @property
    def phase(self) -> str:
        return self._shown.phase_and_problem()[0] if self._shown else "idle"

    def opened(self, folder: str | None) -> None:
        """*Slow*: find the run that this page showed before, else one that is alive; learn how long stages take here."""
        self._rates = Rates.learned(finished_events(self.folders.logs))
        runs = known_runs(self.folders)
        again = next((run for run in runs if run["folder"] == folder), None)
        alive = next((run for run in runs if run["running"]), None)
        shown = again or alive or next(iter(runs), None)
        if shown is not None:
            self._follow(shown["folder"])
            name = Path(shown["path"]).name
            if any(path.name == name for path in self._inbox.files()):
                self.chosen = [name]
        self._results.open(self._shown)

    def follow(self, folder: str) -> None:
        """Show another film's run."""
        if any(run["folder"] == folder for run in known_runs(self.folders)):
            self._follow(folder)

    def _follow(self, folder: str | None, launch: Launch | None = None) -> None:
        self._shown = ShownRun(self.folders, folder, launch) if folder else None
        self._board = self._plan = self._explored = None
        if self._shown is not None:
            self._shown.refresh()
            started = self._shown.started
            if started.get("settings") and not self._touched:
                # what a person has set on this page is not thrown away by looking at another film
                self.form.take(started["settings"])
                self.options = Options(
                    keep_work=bool(started.get("keep_work")),
                    pause=started.get("until") is not None,
                    cast=started.get("cast") or "",
                )
        self._results.open(self._shown)

    def option(self, name: Literal["pause", "keep_work"], value: bool) -> None:
        self._touched = True
        self._plan = None
        self.options = Options(**{**self.options.__dict__, name: bool(value)})

    def take_cast_of(self, folder: str) -> None:
        """Which published film's characters the next run should name again; empty: none's. Raises `InputError` for one that has no cast."""
        known = {one["folder"]: one["cast"] for one in self._casts()}
        if folder and folder not in known:
            raise InputError(f"there is no cast of {folder} in the results any more; choose another film, or none")
        self._touched = True
        self._plan = None
        self.options = replace(self.options, cast=known.get(folder, ""))

    def _casts(self) -> list[dict[str, str]]:
        """Published films whose characters can be named again: `folder`, `film`, and the cast file as seen from the project folder."""
        casts = []
        for one in published_folders(self.folders.output):
            path = self.folders.output / one["folder"] / CAST_FILE
            if path.is_file():
                casts.append({**one, "cast": path.relative_to(self.root).as_posix()})
        return casts

    def start(self) -> None:
        """*Slow*: begin a run on the chosen films with the settings of the form, in a process of its own."""
        if not self.chosen:
            raise InputError("no film is chosen; choose one above, or drop one there")
        self._begin([Path("input") / name for name in self.chosen], self.options)

    def resume(self, *, to_the_end: bool = False) -> None:
        """*Slow*: go on with the run that is shown: after a pause, a cancel, a failure or a crash. `to_the_end`: without a pause."""
        started = self._shown.started if self._shown else {}
        if not started:
            raise InputError("there is no run to go on with; choose a film and start one")
        paths = [Path(path) for path in (started["series"][0] if started.get("series") else [started["path"]])]
        pause = self.options.pause and self.phase != "paused" and not to_the_end
        self._begin(paths, replace(self.options, pause=pause))

    def _begin(self, paths: Sequence[Path], options: Options) -> None:
        films = [self._film(self.root / path) for path in paths]
        for film in films:
            if holder(self.folders.work, FilmFiles.of(film).name) is not None:
                raise BusyError(f"{film.source_name} is being worked on already; wait for that run or cancel it")
        if len(paths) > 1:
            options = replace(options, pause=False)
        folder = FilmFiles.of(films[0]).name
        launch = self._runs.start(paths, self.form.to_toml(), options)
        self._shown = ShownRun(self.folders, folder, launch)
        self._board = self._plan = None

    def cancel(self) -> None:
        """Ask the run that is shown to stop at its next safe point."""
        if self._shown is not None:
            self._shown.cancel(self._runs)

    def run_state(self) -> dict[str, Any]:
        """All that the run's section shows; cheap enough for every second."""
        if self._shown is not None and (later := self._shown.next_of_series()) is not None:
            self._follow(later, self._shown.launch)
            self._shown.in_series = True
        runs = known_runs(self.folders)
        phase, problem = self._shown.phase_and_problem() if self._shown else ("idle", "")
        snapshot = self._shown.snapshot(self._rates) if self._shown else {}
        stale = phase == "starting" or (phase == "failed" and not snapshot.get("error"))
        stages = [] if stale else snapshot.get("stages", [])
        working = next((stage["name"] for stage in stages if stage["state"] == "running"), "")
        shown = self._shown is not None and not stale
        return {
            "phase": phase,
            "problem": problem or self.errors.get("run", ""),
            "film": snapshot.get("film", "") if shown else "",
            "folder": self.folder or "",
            "path": snapshot.get("path", ""),
            "series": snapshot.get("series") if shown else None,
            "stages": stages,
            "percent": 0 if stale else snapshot.get("percent", 0),
            "elapsed_s": 0 if stale else snapshot.get("elapsed_s", 0),
            "left_s": 0 if stale else snapshot.get("left_s", 0),
            "models": [] if stale else snapshot.get("models", []),
            "warnings": [] if stale else snapshot.get("warnings", []),
            "characters": snapshot.get("characters", {}) if shown else {},
            "previews": self._previews(working) if phase in BUSY and working else [],
            "log": self._shown.log_tail() if self._shown and self.log_open and shown else [],
            "logs": [path.relative_to(self.root).as_posix() for path in self._shown.logs(phase)] if self._shown else [],
            "plan": self._plan,
            "others": [run for run in runs if run["folder"]][:20] if len(runs) > 1 else [],
            "options": {"pause": self.options.pause, "keep_work": self.options.keep_work, "cast": self._cast_folder()},
            "casts": [] if phase in BUSY else [{"folder": one["folder"], "film": one["film"]} for one in self._casts()],
            "chosen": len(self.chosen),
            "can_start": bool(self.chosen),
            "other_film": bool(self.chosen) and Path(snapshot.get("path", "")).name not in self.chosen,
        }

    def _cast_folder(self) -> str:
        """The film whose cast is chosen; a cast file from elsewhere (the command line's) is shown by its path."""
        known = {one["cast"]: one["folder"] for one in self._casts()}
        return known.get(self.options.cast, self.options.cast)

    def _previews(self, stage: str) -> list[str]:
        assert self._shown is not None
        work = self.folders.work / self._shown.folder
        return newest_pictures(self._shown.events, work, stage, self._thumbs)

    def plan(self) -> None:
        """*Slow*: which stages a run would repeat, and about how long each takes."""
        self._plan = None
        if not self.chosen:
            return
        path = Path("input") / self.chosen[0]
        film = self._film(self.root / path)
        references = self.references if visible_folders(self.references) else None
        cast = self.root / self.options.cast if self.options.cast else None
        rows = plan_film(
            self.root / path,
            self.form.settings,
            self.folders,
            references=references,
            cast=cast,
            keep_work=self.options.keep_work,
        )
        minutes = (film.duration_ms or 0) / 60_000
        settings = self.form.settings.model_dump(mode="json")
        self._plan = [
            {
                "stage": row["stage"],
                "reused": row["reused"],
                "begun": row["begun"],
                "seconds": self._rates.seconds(row["stage"], settings, minutes),
            }
            for row in rows
        ]

    # ---- settings ----------------------------------------------------------------------------------------------------------------

    def settings_state(self) -> dict[str, Any]:
        errors = {key: text for key, text in self.errors.items() if "." in key or key in ("file", "settings")}
        return {
            **self.form.state(),
            "errors": errors,
            "explorable": list(EXPLORABLE),
            "explored": self._explored,
        }

    def set_setting(self, name: str, value: Any) -> None:
        """Set one; a value that is refused is said beside the field and changes nothing."""
        self.errors = {key: text for key, text in self.errors.items() if key != name}
        self._plan = None
        self._touched = True
        try:
            self.form.set(name, value)
        except SettingsError as error:
            self.errors[name] = str(error)

    def reset_setting(self, name: str | None) -> None:
        self.errors = {key: text for key, text in self.errors.items() if name is not None and key != name}
        self._plan = None
        self._touched = True
        self.form.reset(name)

    def choose_preset(self, name: str) -> None:
        self._plan = None
        self._touched = True
        self.form.choose_preset(name)

    def read_settings(self, text: str) -> None:
        """Take a TOML text; a fault in it is said and changes nothing."""
        self.errors.pop("file", None)
        self._plan = None
        self._touched = True
        try:
            self.form.read_toml(text)
            self.errors = {key: text for key, text in self.errors.items() if "." not in key}
        except SettingsError as error:
            self.errors["file"] = str(error)

    def explore(self, name: str, value: float) -> None:
        """*Slow*: what a threshold would do to the film that is shown."""
        self._explored = {"name": name, "missing": True}
        limit = EXPLORABLE.get(name)
        if limit is None or self._shown is None:
            return
        outputs = stages_with(self.folders.work / self._shown.folder, limit.stage)
        explored = explore(name, value, self.form.settings, outputs, self._thumbs) if outputs else None
        if explored is not None:
            self._explored = {**explored.__dict__, "missing": False}

    # ---- cast --------------------------------------------------------------------------------------------------------------------

    @property
    def _files(self) -> FilmFiles | None:
        """Everything about the film that is shown."""
        return FilmFiles(self.folders, self._shown.folder) if self._shown else None

    @property
    def pack(self) -> Path | None:
        """Where the cast pack of the film that is shown lies."""
        return self._files.cast_pack if self._files is not None else None

    @property
    def sorting(self) -> Path | None:
        """The newest sorting of the film that is shown; another one as soon as a run has sorted anew."""
        return newest_pack(self.pack) if self.pack is not None else None

    def open_board(self) -> None:
        """*Slow*: read the newest sorting of the film that is shown."""
        newest, files, pack = self.sorting, self._files, self.pack
        if newest is None or files is None or pack is None:
            self._board = None
        elif self._board is None or self._board.folder != newest:
            self._board = CastBoard.open(pack, files.work, files.decisions, self._thumbs)

    @property
    def decided(self) -> tuple[int, int] | None:
        """Changes whenever something was decided about the film that is shown, here or by another page or program."""
        if self._files is None:
            return None
        try:
            status = self._files.decisions.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size

    @property
    def board(self) -> CastBoard:
        """Raises `InputError` when there is no sorting."""
        if self._board is None:
            raise InputError("there is no sorting of this film; run it, with a pause after sorting if you like")
        return self._board

    def cast_state(self) -> dict[str, Any]:
        phase = self.phase
        board, error = None, self.errors.get("cast", "")
        try:
            board = self._board.state() if self._board is not None else None
        except AnimesetError as problem:  # a damaged file of decisions
            error = str(problem)
        why = ""
        if board is None:
            why = "removed" if phase == "finished" else "running" if phase in BUSY else "no_run"
        return {
            "available": board is not None,
            "why": why,
            "busy": phase in BUSY,
            "changed": board is not None and self.board.changed,
            "error": error,
            "board": board,
            "references": self._reference_counts(),
        }

    def apply_decisions(self) -> None:
        """*Slow*: run on with what was decided."""
        self.resume(to_the_end=True)

    def _reference_counts(self) -> list[dict[str, Any]]:
        counts = {folder.name: len(reference_pictures(folder)) for folder in visible_folders(self.references)}
        return [{"name": name, "count": count} for name, count in counts.items() if count]

    # ---- result ------------------------------------------------------------------------------------------------------------------

    def refresh_result(self) -> None:
        """*Slow*: after a run has ended."""
        self._rates = Rates.learned(finished_events(self.folders.logs))
        self._results.open(self._shown)

    def show_result(self, folder: str) -> None:
        """*Slow*: look at the datasets of another film."""
        self._results.open(self._shown, folder)

    @property
    def gallery(self) -> Gallery:
        """Raises `InputError` when there is none."""
        return self._results.gallery

    def result_state(self) -> dict[str, Any]:
        return self._results.state(busy=self.phase in BUSY, error=self.errors.get("result", ""))

    def prepare_download(self, what: str, by: By = "character") -> str:
        """*Slow*: see `Results.prepare_download`."""
        return self._results.prepare_download(what, by)

    # ---- errors ------------------------------------------------------------------------------------------------------------------

    def fault(self, section: str, error: Exception | None) -> None:
        """Keep the sentence of what went wrong in a section of the page (`film`, `run`, `cast`, `result`), or forget it."""
        if error is None:
            self.errors.pop(section, None)
        elif isinstance(error, AnimesetError):
            self.errors[section] = str(error)
        else:
            self.errors[section] = (
                f"something went wrong inside animeset ({type(error).__name__}: {error}); nothing finished is lost"
            )


def _max_upload_bytes() -> int:
    """From the environment, for the server and the page's kernel are two processes. Raises `SettingsError` for what is no number."""
    text = os.environ.get(MAX_UPLOAD, "50")
    try:
        return max(1, round(float(text) * 1e9))
    except ValueError:
        raise SettingsError(f"{MAX_UPLOAD} is {text!r}; expected a number of gigabytes, such as 50") from None


def _version(path: Path) -> tuple[str, int, int]:
    """Tells a file from what it was before."""
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns
