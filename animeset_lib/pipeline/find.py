"""Films and their data sets by name, id or file."""

from __future__ import annotations

from pathlib import Path

from animeset_lib import media
from animeset_lib.errors import InputError
from animeset_lib.pipeline.folders import FilmFiles, Folders, film_folders
from animeset_lib.published.publish import find_published, published_folders, read_manifest

__all__ = ["find_dataset", "find_film"]


def find_film(film: str, folders: Folders) -> FilmFiles:
    """The files of a film that was run: `film` is its file, or part of its name or id.

    Raises `InputError` when none or several match.
    """
    if Path(film).exists():
        return FilmFiles.of(media.probe(Path(film)), folders)
    known = set(film_folders(folders.work))
    nameless = FilmFiles(folders, "")
    for suffix in (path.name for path in (nameless.decisions, nameless.traits, nameless.cast_pack)):
        known |= {path.name.removesuffix(suffix) for path in folders.output.glob(f"*{suffix}")}
    for path in published_folders(folders.output):
        ending = f"-{read_manifest(path)['film']}"
        if not any(name.endswith(ending) for name in known):
            known.add(path.name.removesuffix(ending) + ending)
    # a whole name or id wins over parts: `demo` is meant where there is a `demo_2` as well
    exact = [name for name in known if film in (name, *name.rsplit("-", 1))]
    found = sorted(exact or [name for name in known if film in name])
    if len(found) != 1:
        there = ", ".join(found or sorted(known)) or "none"
        raise InputError(
            f"{'several films match' if found else 'no film matches'} '{film}' in {folders.work} and {folders.output}; expected a film's file, or "
            f"part of the name or id of one of: {there}"
        )
    return FilmFiles(folders, found[0])


def find_dataset(film: str, output: Path) -> Path:
    """The published folder of a film: `film` is that folder, the film's file, or part of a name or id.

    Raises `InputError` when none or several match.
    """
    path = Path(film)
    if not path.exists() or "film" in read_manifest(path):
        return find_published(film, output)
    if "film" in read_manifest(path.parent):
        raise InputError(f"{path} is one character's folder; name the film's: {path.parent}")
    found = FilmFiles.of(media.probe(path), Folders(output=output)).published
    if found is None:
        raise InputError(f"no dataset of {film} is published in {output}; run it first: animeset run {film}")
    return found
