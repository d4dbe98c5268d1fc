"""Findings about a data set, and the checks that all loaders make of files that may come from anybody."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from animeset_lib.export.files import marker_of
from animeset_lib.export.texts import lines_of, parsed, printable

__all__ = ["MOST", "Finding", "Notes", "Types", "trigger_of_export", "types_by_key"]

Types = tuple[type, ...]

MOST = 2**31
"""Numbers of pixels or repeats in a config are below it; what is not is nobody's wish, and more than a `float` may hold."""
_TYPE_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number with a point",
    str: "text",
    list: "a list",
    dict: "a table",
}
_PLACES: Mapping[str, tuple[Callable[[Path], bool], str]] = {
    "folder": (Path.is_dir, "no_such_folder"),
    "file": (Path.is_file, "no_such_file"),
    "file of prompts": (Path.is_file, "missing_caption"),
    "folder or list": (Path.exists, "no_such_folder"),
    "picture": (Path.is_file, "missing_picture"),
}
"""What a config may name → whether a path is one, and the code of the finding that it is not."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `error` is what a trainer stops at or silently learns wrong, `warning` what is worth a look.

    `path` is relative to what was linted, with `/`; `.` is the folder itself. `set` is the set's name, empty where it concerns them all.
    """

    level: Literal["error", "warning"]
    code: str
    path: str
    words: str
    set: str = ""


class Notes:
    """Collects findings about files below `root`, each with the set that it concerns."""

    def __init__(self, root: Path, set: str = "", findings: list[Finding] | None = None) -> None:
        self.root = root
        self.set = set
        self.findings: list[Finding] = [] if findings is None else findings

    def of(self, set: str) -> Notes:
        """The same collection, for what concerns this set."""
        return Notes(self.root, set, self.findings)

    def error(self, code: str, path: Path, words: str) -> None:
        self.findings.append(Finding("error", code, self.shown(path), printable(words), self.set))

    def warning(self, code: str, path: Path, words: str) -> None:
        self.findings.append(Finding("warning", code, self.shown(path), printable(words), self.set))

    def shown(self, path: Path) -> str:
        """`path` relative to the root, with `/`, in characters that can be printed."""
        return printable(Path(os.path.relpath(path, self.root)).as_posix())

    def text(self, path: Path) -> str | None:
        """The text of `path`, without its byte order mark; `None` when it cannot be read at all. Says what is wrong with the bytes."""
        try:
            data = path.read_bytes()
        except OSError as problem:
            self.error("unreadable_file", path, f"cannot be read ({problem.strerror}); check its permissions")
            return None
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as problem:
            got = f"byte 0x{data[problem.start]:02x} at {problem.start}"
            self.error("not_utf8", path, f"expected UTF-8, got {got}; kohya and OneTrainer stop here: save it as UTF-8")
            text = data.decode("latin-1")
        if text.startswith("\ufeff"):
            self.error(
                "byte_order_mark",
                path,
                "begins with a byte order mark, which becomes a part of the first word, the trigger; save it as UTF-8 without BOM",
            )
        return text.removeprefix("\ufeff")

    def tree(self, path: Path, kind: str, shape: Any, expected: str) -> Any:
        """What `path` holds, JSON where its suffix says so, else `kind`; `None`, which is said, where that is not `shape`, `expected` in words."""
        text = self.text(path)
        if text is None:
            return None
        kind = "json" if path.suffix.lower() in (".json", ".jsonc") else kind
        try:
            return TypeAdapter(shape).validate_python(parsed(text, kind), strict=True)
        except ValidationError as problem:
            first = problem.errors()[0]
            why = ": ".join((*map(str, first["loc"]), first["msg"]))
        except ValueError as problem:
            why = f"text that is no {kind.upper()} ({' '.join(str(problem).split())})"
        self.error("not_parsed", path, f"expected {expected}, got {why}")
        return None

    def json_lines(self, path: Path, then: str, key: str | None = None) -> list[dict[str, Any]]:
        """The objects in the lines of `path`; says which line is none, or has no text under `key`, and `then`, what comes of it.

        Without a `key` empty lines are allowed.
        """
        rows = []
        for number, line in enumerate(lines_of(self.text(path) or ""), start=1):
            if key is None and not line.strip():
                continue
            with suppress(ValueError):
                row = parsed(line, "json")
                if isinstance(row, dict) and (key is None or isinstance(row.get(key), str)):
                    rows.append(row)
                    continue
            wanted = f"a JSON object with {key}" if key else "a JSON object"
            self.error("not_parsed", path, f"line {number}: expected {wanted}, got {line[:60]!r}; {then}")
        return rows

    def typed(
        self, config: Path, values: Mapping[str, Any], known: Mapping[str, Types], where: str, then: str
    ) -> dict[str, Any]:
        """`values` without those of another type than `known` says, which is said; `then` is what the trainer does with them.

        A number so large that nobody means it is left out, too. Keys that are not known are kept.
        """
        sound = {}
        for key, value in values.items():
            kinds = known.get(key)
            numbers = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int | float)]
            if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and int in kinds)):
                wanted = " or ".join(_TYPE_WORDS[kind] for kind in kinds)
                self.error("wrong_type", config, f"{where}{key}: expected {wanted}, got {value!r}; {then}")
            elif all(abs(one) < MOST for one in numbers):
                sound[key] = value
        return sound

    def place(
        self, written: Any, config: Path, key: str, kind: str, then: str, base: Path | None = None
    ) -> Path | None:
        """The `kind` of place that `config` names under `key`; `None`, which is said, when there is none. Says what will not travel.

        then   what the trainer does without it
        base   where relative paths begin, if not in the folder of `config`
        """
        if not isinstance(written, str) or not written:
            self.error("wrong_type", config, f"{key}: expected a path, got {written!r}")
            return None
        self._travels(written, config, key)
        is_there, code = _PLACES[kind]
        place = Path(os.path.normpath((base or config.parent) / written.replace("\\", "/")))
        try:
            if is_there(place):
                return place
        except OSError as problem:
            self.error("wrong_type", config, f"{key} = {written[:80]!r} cannot be a path ({problem.strerror})")
            return None
        words = f"there is no {kind} {self.shown(place)}; {then}"
        if kind != "picture":
            words = f"{key}: {words}: mend {key.split()[-1]}, which counts from this file's folder, where the trainer is to be started"
        self.error(code, config, words)
        return None

    def _travels(self, written: str, config: Path, key: str) -> None:
        """Says when a path works on this machine or in this folder alone."""
        # what `animeset export --path-prefix` wrote before every path
        asked = _told_of_export(config.parent)[1].get("prefix")
        if isinstance(asked, str) and asked and written.startswith(asked):
            words = (
                f"paths begin with {asked!r}, as was asked for: the configuration works where that is, and nowhere else"
            )
            self.warning("absolute_path", config, words)
        elif re.match(r"^([A-Za-z]:[\\/]|\\\\|/|~)", written):
            words = "is an absolute path, which no other machine or folder has; write it relative to this file"
            self.error("absolute_path", config, f"{key} = {written!r} {words}")
        elif "\\" in written:
            self.error("backslash", config, f"{key} = {written!r}: backslashes work on Windows alone; write /")
        elif ".." in Path(os.path.normpath(written)).parts:
            words = "leaves the folder of this file; what lies there must be carried along"
            self.warning("outside_path", config, f"{key} = {written!r} {words}")


def types_by_key(table: Mapping[Types, str]) -> dict[str, Types]:
    """Types → keys between blanks, turned round: key → types."""
    return {key: types for types, keys in table.items() for key in keys.split()}


def trigger_of_export(picture: Path) -> str:
    """The trigger that `animeset export` says the pictures of this folder are captioned with; empty for other files and nobody's pictures."""
    folder, told = _told_of_export(picture.parent)
    triggers = told.get("triggers")
    found = triggers.get(picture.parent.relative_to(folder).as_posix()) if isinstance(triggers, dict) else None
    return found if isinstance(found, str) else ""


def _told_of_export(place: Path) -> tuple[Path, dict[str, Any]]:
    """The export that a folder lies in, and what its marker says; empty for one that lies in none."""
    marked = ((folder, marker_of(folder)) for folder in (place, *place.parents))
    return next(((folder, told) for folder, told in marked if told), (place, {}))
