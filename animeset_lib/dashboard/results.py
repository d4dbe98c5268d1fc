"""The finished datasets that a page shows, and the zips it hands out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from animeset_lib.dashboard.gallery import Gallery, published_folders
from animeset_lib.dashboard.shown_run import ShownRun
from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.export.forms import WRITERS
from animeset_lib.export.plan import By, ExportOptions
from animeset_lib.export.write import export_films
from animeset_lib.published.publish import refresh_zip, zip_all, zip_folder

__all__ = ["ALL_ZIP", "Results"]

ALL_ZIP = "animeset-all.zip"


class Results:
    """What lies in `output` of the project folder `root`, one film at a time."""

    def __init__(self, root: Path, output: Path) -> None:
        self._root = root
        self._output = output
        self._gallery: Gallery | None = None

    def open(self, run: ShownRun | None, folder: str | None = None) -> None:
        """Show the datasets named `folder` (a browser may have sent it), else those of `run`, else the first film's where no run is shown, else
        none."""
        there = [film["folder"] for film in published_folders(self._output)]
        wanted = folder
        if wanted is None and run is not None:
            run.refresh()
            wanted = Path(run.published.get("output", "")).name
        elif wanted is None:
            wanted = next(iter(there), None)
        self._gallery = Gallery(self._output / wanted) if wanted and wanted in there else None

    @property
    def gallery(self) -> Gallery:
        """Raises `InputError` when there is none."""
        if self._gallery is None:
            raise InputError("there is no dataset to look at yet; start a run first")
        return self._gallery

    def state(self, *, busy: bool, error: str) -> dict[str, Any]:
        gallery = None
        try:
            gallery = self._gallery.state() if self._gallery is not None else None
        except AnimesetError as problem:  # moved away or removed while it is looked at
            error = str(problem)
        archive = self._root / gallery["zip"] if gallery is not None else None
        there = archive is not None and archive.is_file()
        return {
            "available": gallery is not None,
            "error": error,
            "films": published_folders(self._output),
            "gallery": gallery,
            "zip": {"path": self._relative(archive), "bytes": archive.stat().st_size} if archive and there else None,
            "trainers": {form.name: form.title for form in WRITERS.values()},
            "busy": busy,
            "no_characters": gallery is not None and not gallery["characters"],
        }

    def prepare_download(self, what: str, by: By = "character") -> str:
        """Bring the zip up to date with edited captions, put all films into one, or write the film for a trainer; the zip's path relative to the
        project.

        what   `film`, `all`, or a format of `animeset export`, which is written to `output/<film>.exports/`
        by     for a format: one set per character, or one per outfit or emotion of each
        """
        if what in WRITERS:
            folder = self.gallery.folder
            target = folder.with_name(f"{folder.name}.exports")
            _, written = export_films([folder], target, [what], ExportOptions(by=by))
            return self._relative(zip_folder(written[0].folder, folder.with_name(f"{folder.name}.{what}.zip")))
        if what == "all":
            return self._relative(zip_all(self._output, self._output / ALL_ZIP))
        return self._relative(refresh_zip(self.gallery.folder))

    def _relative(self, path: Path) -> str:
        return path.resolve().relative_to(self._root.resolve()).as_posix()
