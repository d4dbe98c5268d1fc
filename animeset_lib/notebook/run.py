"""A film opened step by step: `open_run`, the run, and a look into each finished stage.

Everything here reads the same stage folders that the command line and the dashboard make; nothing lives only in the notebook. A kernel that was
restarted finds all of it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from animeset_lib import media
from animeset_lib.errors import InputError, SettingsError
from animeset_lib.export.forms import WRITERS
from animeset_lib.export.lint import lint
from animeset_lib.export.plan import By, ExportOptions
from animeset_lib.export.write import export_films
from animeset_lib.models.engines.device import choose
from animeset_lib.models.provider import Zoo
from animeset_lib.notebook.bars import watching
from animeset_lib.notebook.demo import DEMO_FILM, demo_film
from animeset_lib.notebook.folders import find_film, needed, project_folder
from animeset_lib.pipeline import FilmFiles, Folders, RunResult, film_stages, run_film
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.published.captions import CaptionSet
from animeset_lib.records import Film
from animeset_lib.run.engine import keys_of
from animeset_lib.run.stage import Given, Output
from animeset_lib.run.store import FilmStore
from animeset_lib.settings import Settings, load_settings
from animeset_lib.words.trait_choices import changed, load_choices, save_choice
from animeset_lib.words.traits import TraitChoice

if TYPE_CHECKING:
    from animeset_lib.notebook.picture_table import PictureTable

__all__ = ["Run", "StageView", "Which", "open_run"]

Which = Literal["all", "kept", "dropped"]
_SECTIONS = {stage.name: section for section, stage in PIPELINE.items()}


def open_run(
    path: str | Path,
    *,
    preset: str = "draft",
    settings: Iterable[str] = (),
    root: Path | None = None,
    references: Path | None = None,
    cast: Path | None = None,
    device: str = "auto",
    threads: int = 0,
) -> Run:
    """A run of the film (or folder of pictures) at `path`. Reads the film once for its identity; runs nothing yet.

    path        as seen from the working folder, or from the project; `input/demo-short.mp4` is drawn where it is missing
    preset      `draft` for a quick look, `full` for what is trained on
    settings    assignments such as `"dedupe.ssim_min=0.95"`, over the preset
    root        the project, with `work/`, `output/` and `logs/`; unset: `project_folder()`
    references  folder of `<name>/*.png` that name characters
    cast        `cast.json` of an earlier film of the series
    device      where networks run: auto, cpu, cuda, cuda:1, apple, intel
    threads     0: all cores

    Raises `InputError` for a film that is not there or cannot be read, `SettingsError` for a setting that is unknown or out of range.
    """
    project = project_folder() if root is None else Path(root)
    asked = _Asked(preset, _assignments(settings), references, cast, device, threads)
    chosen = asked.settings()
    if Path(path) == Path(DEMO_FILM):
        demo_film(project)
    place = find_film(Path(path), project)
    return Run(place, media.probe(place, settings=chosen.film), chosen, project, asked)


@dataclass(frozen=True)
class _Asked:
    """What a run was opened with; see `open_run`."""

    preset: str
    assignments: tuple[str, ...]
    references: Path | None
    cast: Path | None
    device: str
    threads: int

    def settings(self) -> Settings:
        return load_settings(None, self.assignments, self.preset)


class Run:
    """One film with one set of settings. Made by `open_run` and `change`; holds no results, it finds them on the disk.

    film      what was read of the film
    settings  every setting of every stage
    root      the project folder
    """

    def __init__(self, path: Path, film: Film, settings: Settings, root: Path, asked: _Asked) -> None:
        self.path, self.film, self.settings, self.root = path, film, settings, root
        self.folders = Folders(root / "output", root / "work", root / "logs")
        self._files = FilmFiles.of(film, self.folders)
        self._asked = asked
        self._opened: dict[Path, Output[Any, Any]] = {}

    def __repr__(self) -> str:
        seconds = f", {self.film.duration_ms / 1000:.0f} s" if self.film.duration_ms else ""
        changed = "".join(f", {assignment}" for assignment in self._asked.assignments)
        here = [output.stage.name for output in self.outputs]
        state = f"finished up to {here[-1]}" if here else "nothing run yet"
        return (
            f"<run of {self.film.source_name}, {self.film.width}x{self.film.height}{seconds}; "
            f"preset {self._asked.preset}{changed}; {state}>"
        )

    @property
    def folder(self) -> Path:
        """Where the film's stages lie; inside `work/`, which `animeset clean` empties."""
        return self._files.work

    @property
    def decisions(self) -> Path:
        """The file of what a person decided about the cast; honoured by every run of this film."""
        return self._files.decisions

    @property
    def outputs(self) -> Given:
        """The finished stages of exactly this film with exactly these settings, in order."""
        models = Zoo(device=choose(self._asked.device, self._asked.threads, self.settings.device.precision))
        given = {"references": self._asked.references, "cast": self._asked.cast}
        stages, _ = film_stages(self.settings, self.film, self.path, self._files, models, **given)
        keys = keys_of(stages, models)
        store = FilmStore(self.folders.work, self._files.name)
        outputs = Given()
        for stage in stages:
            output = store.finished(type(stage), keys[stage.name])
            if output is None:
                break
            # the same object again, so that its rows are read once
            outputs = outputs.having(self._opened.setdefault(output.path, output))
        return outputs

    def upto(self, stage: str) -> Run:
        """Run what is missing up to `stage` (`"crop"` or `"5_crop"`), show the progress, and return this run.

        Finished stages are reused and stay for later. Interrupt it when you like: the same call goes on where it was.
        """
        section = _section(stage)
        if PIPELINE[section] not in self.outputs:
            self._run(until=section)
        return self

    def finish(self) -> RunResult:
        """Run everything, publish the datasets to `output/` and return what became of them. The stages stay."""
        return self._run(until=None)

    @property
    def published(self) -> Path:
        """Where the film's datasets are. Raises `InputError` when none are published yet."""
        folder = self._files.published
        if folder is None:
            raise InputError(
                f"no dataset of {self.film.source_name} is published in {self.folders.output}; publish one: run.finish()"
            )
        return folder

    @property
    def captions(self) -> CaptionSet:
        """The published captions, to be edited with a preview and undone; a later run keeps what was edited."""
        return CaptionSet(self.published)

    def tell_traits(
        self, character: str, *, policy: str | None = None, drop: Sequence[str] = (), keep: Sequence[str] = ()
    ) -> Run:
        """What captions say of a character's traits, kept in a file beside the datasets and honoured by every run of this film; returns this run.

        policy  keep, drop (core traits are left to the trigger word) or drop_all (every trait of hair, eyes and body)
        drop    tags that are left out whatever the policy; `keep`: tags that are told. Nothing at all: as the settings say, again

        Raises `SettingsError` for an unknown policy.
        """
        path = self._files.traits
        wanted = policy is not None or drop or keep
        before = load_choices(path).get(character)
        save_choice(path, character, changed(before, policy=policy, drop=drop, keep=keep) if wanted else TraitChoice())
        return self

    def export(self, *formats: str, by: By = "character") -> list[Path]:
        """Write the published datasets as trainers load them; the folder of each format. Without a format: all of them.

        by   one set per character, or one per outfit or emotion of each
        """
        target = self.published.with_name(f"{self.published.name}.exports")
        _, written = export_films([self.published], target, formats or tuple(WRITERS), ExportOptions(by=by))
        return [one.folder for one in written]

    def lint(self) -> PictureTable:
        """The published datasets and their exports, loaded as trainers do: one line per finding; no line, nothing to mend."""
        from animeset_lib.notebook import picture_table

        exports = self.published.with_name(f"{self.published.name}.exports")
        return picture_table.findings([lint(folder) for folder in (self.published, exports) if folder.is_dir()])

    def _run(self, until: str | None) -> RunResult:
        with watching() as show:
            return run_film(
                self.path,
                self.settings,
                self.folders,
                references=self._asked.references,
                cast=self._asked.cast,
                keep_work=True,
                until=until,
                threads=self._asked.threads,
                device=self._asked.device,
                listeners=(show,),
            )

    def change(self, *settings: str) -> Run:
        """Another run of the same film with `settings` (`"dedupe.ssim_min=0.95"`, ...) over those of this one.

        Only the stages that read what changed, and those behind them, will run again. This run stays as it is.
        """
        asked = replace(self._asked, assignments=(*self._asked.assignments, *settings))
        chosen = asked.settings()
        film = self.film if chosen.film == self.settings.film else media.probe(self.path, settings=chosen.film)
        return Run(self.path, film, chosen, self.root, asked)

    def stage(self, name: str) -> StageView:
        """A finished stage. Raises `InputError` when it was not run with these settings yet."""
        section = _section(name)
        kind = PIPELINE[section]
        outputs = self.outputs
        if kind not in outputs:
            finished = [output.stage.name for output in outputs]
            done = f"the last finished one is {finished[-1]}" if finished else "none is finished"
            raise InputError(
                f'{kind.name} was not run with these settings yet ({done}); expected it in {self.folder}. Run it: run.upto("{section}")'
            )
        return StageView(self, section, outputs[kind], outputs)

    def why(self, part: str) -> PictureTable:
        """What every finished stage says of the things whose id holds `part`: where they were kept, where dropped, and why."""
        from animeset_lib.notebook import picture_table

        outputs = self.outputs
        views = [StageView(self, _SECTIONS[output.stage.name], output, outputs) for output in outputs]
        matches = [(view, row) for view in views for row in view.rows if part in row.id]
        if not matches:
            raise InputError(f"no finished stage knows an id with '{part}' in it; ids stand in the tables, as `id`")
        return picture_table.fates(matches)


class StageView:
    """One finished stage of a run: its rows, what it noted, and tables of them."""

    def __init__(self, run: Run, section: str, output: Output[Any, Any], outputs: Given) -> None:
        self.run, self.section, self.output, self.outputs = run, section, output, outputs

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.kept)} of {len(self.rows)} kept, {self.output.info.seconds:.1f} s, {self.output.path.name}>"

    @property
    def name(self) -> str:
        """The folder's name, such as `2_dedupe`."""
        return PIPELINE[self.section].name

    @property
    def rows(self) -> list[Any]:
        """Every row in the stage's order, dropped ones included; their types are in `animeset_lib.records`."""
        return self.output.rows

    @property
    def kept(self) -> list[Any]:
        """The rows that are still in use."""
        return self.output.kept

    @property
    def dropped(self) -> list[Any]:
        return [row for row in self.rows if row.dropped is not None]

    def rows_that_are(self, which: str) -> list[Any]:
        """All rows, those that were kept or those that were dropped. Raises `InputError` for another word."""
        rows = {"all": self.rows, "kept": self.kept, "dropped": self.dropped}.get(which)
        if rows is None:
            raise InputError(f"which is {which!r}; expected all, kept or dropped")
        return rows

    @property
    def info(self) -> dict[str, Any]:
        """The stage's `stage.json`: settings, counts, seconds, device, libraries; what it noted is under `notes`."""
        return self.output.info.model_dump(mode="json")

    @property
    def notes(self) -> dict[str, Any]:
        """What the stage noted when it was finished: counts, histograms, models."""
        notes: dict[str, Any] = self.output.notes.model_dump(mode="json")
        return notes

    def table(self, *, pictures: bool = True, limit: int | None = 12, which: Which = "all") -> PictureTable:
        """The rows as a pandas frame, index `id`, with a small picture of each where the stage is about pictures.

        pictures  without them it is quicker, and a plain table
        limit     rows, spread evenly over the film; None: all of them
        which     all, kept or dropped rows
        """
        needed("pandas")
        from animeset_lib.notebook import picture_table

        rows = self.rows_that_are(which)
        return picture_table.stage_table(self, spread(rows, limit), len(rows), pictures=pictures)

    def dropped_table(self) -> PictureTable:
        """One line per reason: how many rows were dropped for it, their share, and one of them as an example."""
        from animeset_lib.notebook import picture_table

        return picture_table.reasons(self, Counter(row.dropped for row in self.dropped))

    def why(self, part: str) -> PictureTable:
        """What this stage says of the rows whose id holds `part`. Raises `InputError` when none does."""
        from animeset_lib.notebook import picture_table

        matches = [(self, row) for row in self.rows if part in row.id]
        if not matches:
            first = self.rows[0].id if self.rows else "there are none"
            raise InputError(
                f"{self.name} has no row with '{part}' in its id; expected a part of one of its {len(self.rows)} ids, such as {first}"
            )
        return picture_table.fates(matches)


def spread(rows: Sequence[Any], limit: int | None) -> list[Any]:
    """At most `limit` rows, evenly spread and in order; all of them for None."""
    if limit is None or len(rows) <= limit:
        return list(rows)
    if limit < 1:
        raise InputError(f"limit is {limit}; expected at least 1, or None for all rows")
    return [rows[round(i * (len(rows) - 1) / max(limit - 1, 1))] for i in range(limit)]


def _section(stage: str) -> str:
    """`crop` for `crop` and `5_crop`."""
    if stage in PIPELINE:
        return stage
    if stage in _SECTIONS:
        return _SECTIONS[stage]
    raise SettingsError(f"unknown stage '{stage}'; expected one of {', '.join(PIPELINE)}")


def _assignments(settings: Iterable[str]) -> tuple[str, ...]:
    # a single one in plain quotes is meant as one, not as its letters
    return (settings,) if isinstance(settings, str) else tuple(settings)
