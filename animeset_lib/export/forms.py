"""The forms of data sets: what each is called, what writes it, and what loads it as its trainer would.

The one table of them. Command line, page, notebooks, exports and linter all read it. Modules are named and imported when they are needed, because a
command line that lists names must not wait for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from animeset_lib.export.loaded import Loaded
    from animeset_lib.export.plan import ExportFiles, ExportPlan

__all__ = ["FORMS", "LOADERS", "WRITERS", "Form", "Loader"]


@dataclass(frozen=True)
class Loader:
    """How data sets are loaded that their trainer is given in one way, and by what they are known.

    name    as `animeset lint --format` has it
    module  below this package. Its `load(path, root)` takes `path` as the trainer would, and names what is wrong relative to `root`. Its
            `recognises(path, tree)` says whether `path` is such a data set; `tree` is what a file holds (of JSON lines the first), `None` for a
            folder and for a file that cannot be parsed, which counts where its name says what it should be.
    of      what the trainer is given: a `folder` or a config `file`; a published `film`, in which nothing else is looked for; `rest`: any folder
            in which nothing else is found
    """

    name: str
    module: str
    of: Literal["folder", "file", "film", "rest"] = "folder"

    def load(self, path: Path, root: Path) -> Loaded:
        found: Loaded = import_module(f"animeset_lib.export.{self.module}").load(path, root)
        return found

    def recognises(self, path: Path, tree: Any = None) -> bool:
        return bool(import_module(f"animeset_lib.export.{self.module}").recognises(path, tree))


@dataclass(frozen=True)
class Form:
    """One trainer's form. `name` is also the folder's of an export, and stands for all its loaders in `animeset lint --format`.

    title   the trainer's own name, which no language changes
    writer  module below this package. Its `export_files(plan)` makes the files of an export; empty for a form that is only loaded
    """

    name: str
    loaders: tuple[Loader, ...]
    title: str = ""
    writer: str = ""

    def export_files(self, plan: ExportPlan) -> ExportFiles:
        files: ExportFiles = import_module(f"animeset_lib.export.{self.writer}").export_files(plan)
        return files


FORMS = (
    Form("animeset", (Loader("animeset", "animeset.loader", "film"),)),
    Form(
        "kohya",
        (
            Loader("kohya-folders", "kohya.load_folders"),
            Loader("kohya-config", "kohya.load_config", "file"),
            Loader("kohya-metadata", "kohya.load_metadata", "file"),
        ),
        "kohya sd-scripts",
        "kohya.writer",
    ),
    Form("onetrainer", (Loader("onetrainer", "onetrainer.loader", "file"),), "OneTrainer", "onetrainer.writer"),
    Form("ai-toolkit", (Loader("ai-toolkit", "ai_toolkit.loader", "file"),), "ai-toolkit", "ai_toolkit.writer"),
    Form("huggingface", (Loader("huggingface", "imagefolder.loader"),), "Hugging Face", "imagefolder.writer"),
    Form("folder", (Loader("folder", "plain.loader", "rest"),)),
)

LOADERS: Mapping[str, Loader] = {loader.name: loader for form in FORMS for loader in form.loaders}
WRITERS: Mapping[str, Form] = {form.name: form for form in FORMS if form.writer}
"""What can be exported, in the order in which it is offered."""
