"""What a trainer takes from a folder: sets of pictures with the captions it would feed, and what went wrong on the way."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from animeset_lib.errors import InputError
from animeset_lib.media import PICTURE_SUFFIXES
from animeset_lib.run.store import parse_json
from animeset_lib.words.spelling import same_word

__all__ = [
    "ANY_PICTURE",
    "MOST",
    "Finding",
    "Kind",
    "Level",
    "Loaded",
    "LoadedPicture",
    "LoadedSet",
    "Notes",
    "is_hidden",
    "lines_of",
    "merged",
    "parsed",
    "printable",
    "sorted_files",
    "sorted_folders",
    "stem_path",
    "tag_key",
    "tags_of",
    "trigger_of_export",
    "walked",
]

Level = Literal["error", "warning"]
Kind = Literal["train", "regularisation", "validation"]

ANY_PICTURE = PICTURE_SUFFIXES | {".heic", ".heif", ".jxl", ".jp2", ".jpe", ".tga", ".psd"}
"""Lower-case suffixes of files that someone surely meant as pictures, whether or not a trainer reads them."""

MOST = 2**31
"""Numbers of pixels or repeats in a config are below it; what is not is nobody's wish, and more than a `float` may hold."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `error` is what a trainer stops at or silently learns wrong, `warning` what is worth a look.

    `path` is relative to what was linted, with `/`; `.` is the folder itself. `set` is the set's name, empty where it concerns them all.
    """

    level: Level
    code: str
    path: str
    words: str
    set: str = ""


@dataclass(frozen=True)
class LoadedPicture:
    """A picture as the trainer takes it.

    `captions` are the prompts it would be trained with, one of them at a time where there are several; an empty one is `""`. `size` is the
    width and height that a config states, `facts` what else is known about the picture (columns of a metadata file).
    """

    path: Path
    captions: tuple[str, ...]
    caption_file: Path | None = None
    mask: Path | None = None
    size: tuple[int, int] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedSet:
    """Pictures that are trained alike. `repeats` is how often each is seen per epoch.

    `trigger` is the word that the config or folder names; `trigger_is_sure` that it is meant to be in every caption (kohya's class tokens
    are only a stand-in for missing captions).
    """

    name: str
    pictures: tuple[LoadedPicture, ...]
    repeats: float = 1.0
    kind: Kind = "train"
    trigger: str | None = None
    trigger_is_sure: bool = False


@dataclass(frozen=True)
class Loaded:
    """All that one trainer would take from `path`. `training_px` is the side it trains at where a config says so.

    `has_repeats`: the format says how often a picture is seen, so balance can be judged. `note` is what to know when it is started.
    """

    format: str
    path: Path
    sets: tuple[LoadedSet, ...]
    findings: tuple[Finding, ...]
    training_px: float | None = None
    has_repeats: bool = True
    note: str = ""


class Notes:
    """Collects findings about files below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.findings: list[Finding] = []

    def error(self, code: str, path: Path, words: str, set: str = "") -> None:
        self.findings.append(Finding("error", code, self.shown(path), printable(words), set))

    def warning(self, code: str, path: Path, words: str, set: str = "") -> None:
        self.findings.append(Finding("warning", code, self.shown(path), printable(words), set))

    def shown(self, path: Path) -> str:
        """`path` relative to the root, with `/`, in characters that can be printed."""
        return printable(Path(os.path.relpath(path, self.root)).as_posix())

    def text(self, path: Path, set: str = "") -> str | None:
        """The text of `path`, without its byte order mark; `None` when it cannot be read at all. Says what is wrong with the bytes."""
        try:
            data = path.read_bytes()
        except OSError as problem:
            self.error("unreadable_file", path, f"cannot be read ({problem.strerror}); check its permissions", set)
            return None
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as problem:
            self.error(
                "not_utf8",
                path,
                f"expected UTF-8, got byte 0x{data[problem.start]:02x} at {problem.start}; kohya and OneTrainer stop here: save it as UTF-8",
                set,
            )
            text = data.decode("latin-1")
        if text.startswith("\ufeff"):
            self.error(
                "byte_order_mark",
                path,
                "begins with a byte order mark, which becomes a part of the first word, the trigger; save it as UTF-8 without BOM",
                set,
            )
            text = text[1:]
        return text

    def place(self, written: Any, base: Path, config: Path, key: str, set: str = "") -> Path | None:
        """The path that `config` gives under `key`, relative ones from `base`; `None` when it is no path. Says what will not travel."""
        if not isinstance(written, str) or not written:
            self.error("wrong_type", config, f"{key}: expected a path, got {written!r}", set)
            return None
        prefix = self._prefix(config)
        if prefix and written.startswith(prefix):
            self.warning(
                "absolute_path",
                config,
                f"paths begin with {prefix!r}, as was asked for: the configuration works where that is, and nowhere else",
                set,
            )
        elif re.match(r"^([A-Za-z]:[\\/]|\\\\|/|~)", written):
            self.error(
                "absolute_path",
                config,
                f"{key} = {written!r} is an absolute path, which no other machine or folder has; write it relative to this file",
                set,
            )
        elif "\\" in written:
            self.error("backslash", config, f"{key} = {written!r}: backslashes work on Windows alone; write /", set)
        elif ".." in Path(os.path.normpath(written)).parts:
            self.warning(
                "outside_path",
                config,
                f"{key} = {written!r} leaves the folder of this file; what lies there must be carried along",
                set,
            )
        place = Path(os.path.normpath(base / written.replace("\\", "/")))
        try:
            place.exists()
        except OSError as problem:
            self.error("wrong_type", config, f"{key} = {written[:80]!r} cannot be a path ({problem.strerror})", set)
            return None
        return place

    def _prefix(self, config: Path) -> str:
        """What `animeset export --path-prefix` wrote before every path of this file; empty for other files and other exports."""
        found = _told_of_export(config.parent)[1].get("prefix")
        return found if isinstance(found, str) else ""


def trigger_of_export(picture: Path) -> str:
    """The trigger that `animeset export` says the pictures of this folder are captioned with; empty for other files and nobody's pictures."""
    folder, told = _told_of_export(picture.parent)
    triggers = told.get("triggers")
    found = triggers.get(picture.parent.relative_to(folder).as_posix()) if isinstance(triggers, dict) else None
    return found if isinstance(found, str) else ""


def _told_of_export(place: Path) -> tuple[Path, dict[str, Any]]:
    """The export that a folder lies in, and what its marker says; empty for one that lies in none."""
    for folder in (place, *place.parents):
        with suppress(OSError, ValueError):
            told = parse_json((folder / ".animeset-export.json").read_text(encoding="utf-8"))
            return folder, told if isinstance(told, dict) else {}
    return place, {}


def printable(text: str) -> str:
    """`text` with escapes for what a terminal would obey or could not show: control characters, bytes that are no UTF-8."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def lines_of(text: str) -> list[str]:
    """The lines as Python reads them from a text file, without what ends them; none for an empty file."""
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines


def tags_of(caption: str) -> list[str]:
    """The parts of a caption in their order, empty ones kept; kohya's `|||` and `;;;` separate too."""
    return [part.strip() for part in re.split(r",|\|\|\||;;;", caption)]


def tag_key(tag: str) -> str:
    """Equal for tags that a reader takes for the same: case, underscores, escaped brackets and white space do not count."""
    return same_word(tag.replace("\\(", "(").replace("\\)", ")"))


def stem_path(path: Path) -> str:
    """`path` without its last suffix, as `os.path.splitext` sees it."""
    return os.path.splitext(path)[0]


def is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def parsed(text: str, kind: str) -> Any:
    """What text of the kind `json`, `toml` or `yaml` holds. Whatever is wrong with it, and it may come from anybody, is a `ValueError`."""
    try:
        if kind == "toml":
            return tomllib.loads(text)
        return parse_json(text) if kind == "json" else yaml.safe_load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, AttributeError, TypeError, OverflowError) as problem:  # PyYAML trips over `!!timestamp x`
        raise ValueError(" ".join(str(problem).split())) from problem


def sorted_files(folder: Path) -> list[Path]:
    return _inside(folder, Path.is_file)


def sorted_folders(folder: Path) -> list[Path]:
    return _inside(folder, Path.is_dir)


def _inside(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """What is directly in `folder`, none where there is no such folder. Raises `InputError` where it may not be looked into."""
    try:
        return sorted(path for path in folder.iterdir() if wanted(path)) if folder.is_dir() else []
    except OSError as problem:
        raise InputError(f"{folder} cannot be looked into ({problem.strerror}); mend its permissions") from problem


def walked(folder: Path) -> list[Path]:
    """`folder` and all folders below it that are not hidden, each before those in it. Links in a circle are not followed twice."""
    found, seen, waiting = [], set(), [folder]
    while waiting:
        one = waiting.pop()
        if (real := os.path.realpath(one)) not in seen:
            seen.add(real)
            found.append(one)
            waiting += [inner for inner in reversed(sorted_folders(one)) if not is_hidden(inner)]
    return found


def merged(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each finding once, in order."""
    yield from dict.fromkeys(findings)
