"""What the page shows and what it can be asked to do, without widgets or threads: state as plain JSON, actions as methods.

One object is one page. Nothing that matters lives only here: films, runs, decisions and captions are files, so a reload, a second tab or a
restarted server finds everything again. Methods marked *slow* read films or many files; the view calls them off its main thread, one at a time.
What cannot be done raises an `AnimesetError` with a sentence for the person.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from animeset_lib.cast.cast import CAST_FILE
from animeset_lib.cast.names import character_name
from animeset_lib.cast.references import reference_pictures
from animeset_lib.dashboard import MAX_UPLOAD
from animeset_lib.dashboard.cast_board import CastBoard
from animeset_lib.dashboard.estimates import Rates
from animeset_lib.dashboard.film_card import FilmCards, RangeKind
from animeset_lib.dashboard.gallery import published_folders
from animeset_lib.dashboard.previews import newest_pictures
from animeset_lib.dashboard.receiving import Inbox, film_inbox, picture_inbox
from animeset_lib.dashboard.results import Results
from animeset_lib.dashboard.runs import Launch, Options, Runs, finished_events, known_runs, visible_folders
from animeset_lib.dashboard.settings_form import SettingsForm
from animeset_lib.dashboard.shown_run import BUSY, NOTHING, ShownRun
from animeset_lib.dashboard.thresholds import EXPLORABLE, explore
from animeset_lib.errors import AnimesetError, BusyError, InputError, SettingsError, sentence_of
from animeset_lib.pipeline import FilmFiles, Folders, plan_film
from animeset_lib.pipeline.cast_pack import newest_pack
from animeset_lib.pipeline.stages_on_disk import stages_with
from animeset_lib.records import Film
from animeset_lib.run.lock import holder
from animeset_lib.settings.ranges import join_ranges, split_ranges

__all__ = ["ViewModel"]

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
        self.films = film_inbox(root / "input", self.max_upload_bytes)
        self._runs = Runs(self.folders, self.references, root)
        self._shown: ShownRun | None = None
        self.cards = FilmCards()
        self._rates = Rates()
        self._plan: list[dict[str, Any]] | None = None
        self._explored: dict[str, Any] | None = None
        self._board: CastBoard | None = None
        self.results = Results(root, self.folders.output)
        self._touched = False

    # ---- films -------------------------------------------------------------------------------------------------------------------

    def reference_inbox(self, character: str) -> Inbox:
        """Where reference pictures of a character arrive. Raises `InputError` for a name without letters or digits."""
        return picture_inbox(self.references / character_name(character), _MAX_PICTURE_BYTES)

    def film_state(self) -> dict[str, Any]:
        running = {Path(run["path"]).name for run in known_runs(self.folders) if run["running"]}
        rows: list[dict[str, Any]] = []
        for path in self.films.files():
            film = self.cards.known(path, self.form.settings)
            rows.append(
                {
                    "name": path.name,
                    "folder": path.is_dir(),
                    "size": path.stat().st_size if path.is_file() else 0,
                    "running": path.name in running,
                    "details": film
                    and {"seconds": (film.duration_ms or 0) / 1000, "width": film.width, "height": film.height},
                }
            )
        present = {row["name"] for row in rows}
        self.chosen = [name for name in self.chosen if name in present]
        return {
            "films": rows,
            "chosen": list(self.chosen),
            "pending": [asdict(part) for part in self.films.pending()],
            "max_bytes": self.max_upload_bytes,
            "card": self.cards.state(self.root / "input" / self.chosen[0], self.form.settings)
            if len(self.chosen) == 1
            else None,
            "error": self.errors.get("film", ""),
        }

    def choose(self, names: Sequence[str]) -> None:
        """The films that Start is about; several are a series. Follows the last run of the first one, if there was one."""
        # a series is worked on in the order of its names, which is the order of its episodes
        self.chosen = sorted(path.name for path in self.films.files() if path.name in set(names))
        self._plan = None
        if self.phase in BUSY:
            return
        path = (self.root / "input" / self.chosen[0]).resolve() if self.chosen else None
        # a run begun in a notebook or on the command line may name its film by another path to the same place
        run = next((run for run in known_runs(self.folders) if (self.root / run["path"]).resolve() == path), None)
        self._follow(run["folder"] if run else None)

    def forget_upload(self, identity: str) -> None:
        """Remove what has arrived of an upload that shall not go on. Raises `InputError` for one that is not there."""
        if identity not in {part.id for part in self.films.pending()}:
            raise InputError("this upload is not there any more; look again")
        self.films.forget(identity)

    def look_at_chosen(self) -> None:
        """*Slow*: read the chosen films, for their length and identity. Raises `InputError` for one that is no film."""
        for name in self.chosen:
            self._film(self.root / "input" / name)

    def examine_chosen(self) -> None:
        """*Slow*: look into the chosen film for its card; nothing where several are chosen. Raises `InputError` for one that is no film."""
        if len(self.chosen) == 1:
            self.cards.examine(self.root / "input" / self.chosen[0], self.form.settings)

    def use_range(self, kind: RangeKind, text: str) -> None:
        """Leave a part of the film out, or use it alone: times or the name of a chapter. Raises `SettingsError` for what is neither."""
        self._set_ranges(kind, [*self._ranges(kind), text])

    def forget_range(self, kind: RangeKind, text: str) -> None:
        """The opposite of `use_range`."""
        self._set_ranges(kind, [one for one in self._ranges(kind) if one.casefold() != text.casefold()])

    def _ranges(self, kind: RangeKind) -> list[str]:
        return split_ranges(getattr(self.form.settings.extract, kind))

    def _set_ranges(self, kind: RangeKind, ranges: Sequence[str]) -> None:
        self._touch()
        self.form.set(f"extract.{kind}", join_ranges(dict.fromkeys(ranges)))

    def _film(self, path: Path) -> Film:
        return self.cards.film(path, self.form.settings)

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
        # those alive come first
        shown = next((run for run in runs if run["folder"] == folder), runs[0] if runs else None)
        if shown is not None:
            self._follow(shown["folder"])
            name = Path(shown["path"]).name
            self.chosen = [path.name for path in self.films.files() if path.name == name] or self.chosen
        self.results.open(self._shown)

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
        self.results.open(self._shown)

    def option(self, name: Literal["pause", "keep_work"], value: bool) -> None:
        self._touch()
        self.options = replace(self.options, pause=value) if name == "pause" else replace(self.options, keep_work=value)

    def _touch(self) -> None:
        """A person has set something: a plan that was made holds no longer."""
        self._touched = True
        self._plan = None

    def take_cast_of(self, folder: str) -> None:
        """Which published film's characters the next run should name again; empty: none's. Raises `InputError` for one that has no cast."""
        known = {one["folder"]: one["cast"] for one in self._casts()}
        if folder and folder not in known:
            raise InputError(f"there is no cast of {folder} in the results any more; choose another film, or none")
        self._touch()
        self.options = replace(self.options, cast=known.get(folder, ""))

    def _casts(self) -> list[dict[str, str]]:
        """Published films whose characters can be named again: `folder`, `film`, and the cast file as seen from the project folder."""
        files = [
            (one, self.folders.output / one["folder"] / CAST_FILE) for one in published_folders(self.folders.output)
        ]
        return [{**one, "cast": path.relative_to(self.root).as_posix()} for one, path in files if path.is_file()]

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
            self._shown.cancel()

    def run_state(self) -> dict[str, Any]:
        """All that the run's section shows; cheap enough for every second."""
        if self._shown is not None and (later := self._shown.next_of_series()) is not None:
            self._follow(later, self._shown.launch)
            self._shown.in_series = True
        runs, casts, shown = known_runs(self.folders), self._casts(), self._shown
        phase, problem = shown.phase_and_problem() if shown else ("idle", "")
        snapshot = shown.snapshot(self._rates) if shown else dict(NOTHING)
        path = snapshot["path"]
        stale = phase == "starting" or (phase == "failed" and not snapshot["error"])
        if stale:  # what is known is about an earlier run
            snapshot = {**NOTHING, "path": path}
        return {
            **snapshot,
            "phase": phase,
            "problem": problem or self.errors.get("run", ""),
            "folder": self.folder or "",
            "previews": self._previews(snapshot["stages"]) if phase in BUSY else [],
            "log": shown.log_tail() if shown and self.log_open and not stale else [],
            "logs": [path.relative_to(self.root).as_posix() for path in shown.logs(phase)] if shown else [],
            "plan": self._plan,
            "others": runs[:20] if len(runs) > 1 else [],
            # a cast file from elsewhere (the command line's) is shown by its path
            "options": {
                "pause": self.options.pause,
                "keep_work": self.options.keep_work,
                "cast": next((one["folder"] for one in casts if one["cast"] == self.options.cast), self.options.cast),
            },
            "casts": [] if phase in BUSY else [{"folder": one["folder"], "film": one["film"]} for one in casts],
            "chosen": len(self.chosen),
            "can_start": bool(self.chosen),
            "other_film": bool(self.chosen) and Path(path).name not in self.chosen,
        }

    def _previews(self, stages: list[dict[str, Any]]) -> list[str]:
        working = next((stage["name"] for stage in stages if stage["state"] == "running"), None)
        if self._shown is None or working is None:
            return []
        return newest_pictures(self._shown.events, self.folders.work / self._shown.folder, working)

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
                **{key: row[key] for key in ("stage", "reused", "begun")},
                "seconds": self._rates.seconds(row["stage"], settings, minutes),
            }
            for row in rows
        ]

    # ---- settings ----------------------------------------------------------------------------------------------------------------

    def settings_state(self) -> dict[str, Any]:
        errors = {key: text for key, text in self.errors.items() if "." in key or key in ("file", "settings")}
        return {**self.form.state(), "errors": errors, "explorable": list(EXPLORABLE), "explored": self._explored}

    def set_setting(self, name: str, value: Any) -> None:
        """Set one; a value that is refused is said beside the field and changes nothing."""
        self._touch()
        self.errors.pop(name, None)
        try:
            self.form.set(name, value)
        except SettingsError as error:
            self.errors[name] = str(error)

    def reset_setting(self, name: str | None) -> None:
        self._touch()
        self.errors = {key: text for key, text in self.errors.items() if name is not None and key != name}
        self.form.reset(name)

    def choose_preset(self, name: str) -> None:
        self._touch()
        self.form.choose_preset(name)

    def read_settings(self, text: str) -> None:
        """Take a TOML text; a fault in it is said and changes nothing."""
        self._touch()
        self.errors.pop("file", None)
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
        explored = explore(name, value, self.form.settings, outputs) if outputs else None
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
            self._board = CastBoard.open(pack, files.work, files.decisions)

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
        why = "removed" if phase == "finished" else "running" if phase in BUSY else "no_run"
        return {
            "available": board is not None,
            "why": why if board is None else "",
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
        self.results.open(self._shown)

    def result_state(self) -> dict[str, Any]:
        return self.results.state(busy=self.phase in BUSY, error=self.errors.get("result", ""))

    # ---- errors ------------------------------------------------------------------------------------------------------------------

    def fault(self, section: str, error: Exception | None) -> None:
        """Keep the sentence of what went wrong in a section of the page (`film`, `run`, `cast`, `result`), or forget it."""
        self.errors.pop(section, None)
        if error is not None:
            self.errors[section] = sentence_of(error)


def _max_upload_bytes() -> int:
    """From the environment, for the server and the page's kernel are two processes. Raises `SettingsError` for what is no number."""
    text = os.environ.get(MAX_UPLOAD, "50")
    try:
        return max(1, round(float(text) * 1e9))
    except ValueError:
        raise SettingsError(f"{MAX_UPLOAD} is {text!r}; expected a number of gigabytes, such as 50") from None
