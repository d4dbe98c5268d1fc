"""What comes with animeset beside its code: the page's notebook with Voila's settings, and the notebooks that show each step.

In the repository they lie at its top; in an installed animeset in `animeset_lib/page`, where `setup.py` puts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from animeset_lib.errors import InputError

__all__ = ["INSTALLED", "LaidOut", "extra_command", "lay_out_notebooks", "shipped"]

INSTALLED = Path(__file__).parent / "page"


def shipped() -> Path:
    """The folder with `dashboard.ipynb`, `voila.json` and `notebooks/`."""
    return INSTALLED if INSTALLED.is_dir() else INSTALLED.parents[1]


def extra_command(extra: str) -> str:
    """What installs an extra of this package: with the pins of the clone where this is one, else by name."""
    if INSTALLED.is_dir():
        return f'pip install "animeset[{extra}]"'  # what is installed already is what pip adds to
    return f"pip install -c constraints.txt -e '.[{extra}]'"


@dataclass(frozen=True)
class LaidOut:
    """Names of notebooks: `written` now, `left` because a file of that name has another content. The others were there already."""

    written: tuple[str, ...]
    left: tuple[str, ...]


def lay_out_notebooks(folder: Path) -> LaidOut:
    """Copy the notebooks into `folder`, which is made where it is missing. What is there is never written over.

    Raises `InputError` when that is no folder or cannot be written.
    """
    written, left = [], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted((shipped() / "notebooks").glob("*.ipynb")):
            content = source.read_bytes()
            try:
                with (folder / source.name).open("xb") as file:
                    file.write(content)
                written.append(source.name)
            except FileExistsError:
                if (folder / source.name).read_bytes() != content:
                    left.append(source.name)
    except OSError as error:
        raise InputError(
            f"{folder}: expected a folder that can be written, got: {error.strerror or error}; name another"
        ) from error
    return LaidOut(tuple(written), tuple(left))
