"""`lint(path)`: a data set loaded as its trainer would, and what is wrong with what comes out.

The loaders say what a trainer stops at, leaves out or silently replaces. Here are the questions that are the same for all: can every picture be
decoded and is it large enough, is any there twice, does each caption say whose picture it is, is one character seen far more often than another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from animeset_lib.export.lint_captions import Triggers, check_caption
from animeset_lib.export.lint_pictures import (
    Measured,
    check_collisions,
    check_duplicates,
    check_name,
    check_picture,
    measure_all,
)
from animeset_lib.export.loaded import Loaded, LoadedSet
from animeset_lib.export.notes import Finding, Notes
from animeset_lib.export.recognise import load, recognise
from animeset_lib.wording import counted

__all__ = ["LintedSet", "Report", "lint"]

DEFAULT_TRAINING_PX = 512
"""Where no config says the size: the smallest usual one (SD 1.5)."""
FEW_PICTURES = 10
_CHARACTERS_APART, _SETS_APART = 2.0, 3.0
"""Times as often that one character, or one sub-set of a character, may be seen as another."""


@dataclass(frozen=True)
class LintedSet:
    """One data set as its trainer loads it. `path` is relative to what was linted; `summary` is one line."""

    format: str
    path: str
    summary: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    """What was found in `path`. A finding that several data sets share stands with the first of them only."""

    path: Path
    linted: tuple[LintedSet, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for one in self.linted for finding in one.findings)

    @property
    def errors(self) -> int:
        return sum(finding.level == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        return len(self.findings) - self.errors

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path.name,
            "errors": self.errors,
            "warnings": self.warnings,
            "linted": [asdict(one) for one in self.linted],
        }


def lint(
    path: Path, only: str | None = None, progress: Callable[[int, int], None] = lambda done, total: None
) -> Report:
    """Everything that is wrong with the data sets in `path` (folder or config file), each loaded as its trainer would.

    `only`: the format, where it shall not be recognised. `progress(done, total)` counts pictures. Nothing is changed. The same files give the same
    report. Raises `InputError` when there is nothing to lint.
    """
    path = Path(path)
    root = path if path.is_dir() else path.parent
    sources = recognise(path, only)
    loads = [load(source, root) for source in sources]
    measured = measure_all(loads, progress)
    triggers = [Triggers(one) for one in loads]
    known = {word for one in triggers for word in one.words}
    for one in triggers:
        one.learn(known)
    everyone = {word: Triggers.spelled(triggers, word) for one in triggers for word in one.words}
    linted = []
    told: set[tuple[str, Hashable, str]] = set()
    for source, loaded, trigger in zip(sources, loads, triggers, strict=True):
        notes = Notes(root)
        _check(notes, source.path, loaded, trigger, everyone, measured)
        everything = dict.fromkeys((*loaded.findings, *notes.findings))
        keys = {finding: (finding.code, _file(root, finding.path), finding.words) for finding in everything}
        found = [finding for finding, key in keys.items() if key not in told]
        told.update(keys.values())
        found.sort(key=lambda f: (f.set, f.level, f.path, f.code, f.words))
        place = notes.shown(source.path)
        summary = f"{source.format} {place}: {_summary(loaded, trigger, everything, len(everything) - len(found))}"
        linted.append(LintedSet(source.format, place, summary, tuple(found)))
    return Report(path, tuple(linted))


def _file(root: Path, shown: str) -> Hashable:
    """The file behind a path: one picture that is linked into several exports is one file, of which one finding is enough."""
    try:
        status = (root / shown).stat()
    except OSError:
        return shown
    return (status.st_dev, status.st_ino) if status.st_nlink > 1 else shown


def _check(
    notes: Notes,
    path: Path,
    loaded: Loaded,
    triggers: Triggers,
    everyone: Mapping[str, str],
    measured: Mapping[Path, Measured],
) -> None:
    for one in loaded.sets:
        own = notes.of(one.name)
        for picture in one.pictures:
            check_name(own, picture)
            check_picture(own, picture, measured[picture.path], loaded.training_px or DEFAULT_TRAINING_PX)
            check_caption(own, picture)
        check_collisions(own, one)
        triggers.check(own, one, everyone)
        check_duplicates(own, one, measured)
    _check_across(notes, loaded, triggers, measured)
    _check_numbers(notes, path, loaded, triggers)


def _summary(loaded: Loaded, triggers: Triggers, findings: Collection[Finding], told: int) -> str:
    """`1 character (hana), 29 pictures (10 x 29), loads (with --caption_extension .txt)`. Of `findings` `told` stand with an earlier data set."""
    trained = [one for one in loaded.sets if one.kind == "train"]
    names = list(dict.fromkeys(triggers.group(one) for one in trained))
    parts = [counted(sum(len(one.pictures) for one in trained), "picture")]
    if loaded.has_repeats and trained:
        terms = [f"{one.repeats:g} x {len(one.pictures)}" for one in trained]
        parts[0] += f" ({' + '.join(terms[:6])}{' + ...' if len(terms) > 6 else ''} = {_views(trained):g} views)"
    if names:
        shown = f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        parts.insert(0, f"{counted(len(names), 'character')} ({shown})")
    for kind, word in (("regularisation", "for regularisation"), ("validation", "for validation")):
        if count := sum(len(one.pictures) for one in loaded.sets if one.kind == kind):
            parts.append(f"{count} {word}")
    errors = sum(finding.level == "error" for finding in findings)
    warnings = len(findings) - errors
    verdict = [counted(errors, "error")] if errors else ["loads"]
    if warnings:
        verdict.append(counted(warnings, "warning"))
    if told:
        verdict.append("said above" if told == len(findings) else f"{told} of them said above")
    note = f" ({loaded.note})" if loaded.note else ""
    return f"{', '.join(parts + verdict)}{note}"


def _views(sets: Iterable[LoadedSet]) -> float:
    return sum(one.repeats * len(one.pictures) for one in sets)


def _check_across(notes: Notes, loaded: Loaded, triggers: Triggers, measured: Mapping[Path, Measured]) -> None:
    """Pictures that are in more than one set."""
    places: dict[str, list[tuple[LoadedSet, Path]]] = defaultdict(list)
    for one in loaded.sets:
        for picture in one.pictures:
            if not measured[picture.path].why_not:
                places[measured[picture.path].digest].append((one, picture.path))
    for found in places.values():
        for (one, path), (other, twin) in combinations(found, 2):
            if one is other:
                continue
            if (one.kind == "validation") != (other.kind == "validation"):
                held, where, trained = (one, path, twin) if one.kind == "validation" else (other, twin, path)
                words = f"is trained too ({notes.shown(trained)}), so validation says nothing about it; take one out"
                notes.of(held.name).error("trained_and_validated", where, words)
            elif path != twin or triggers.group(one) != triggers.group(other):
                words = f"is also in {one.name} ({notes.shown(path)}), so it is seen more often than the others"
                notes.of(other.name).warning("in_two_sets", twin, words)


def _check_numbers(notes: Notes, path: Path, loaded: Loaded, triggers: Triggers) -> None:
    """Too few pictures of a character, or one seen far more often than another."""
    groups: dict[str, list[LoadedSet]] = defaultdict(list)
    for one in loaded.sets:
        if one.kind == "train":
            groups[triggers.group(one)].append(one)
    for name, sets in groups.items():
        count = len({picture.path for one in sets for picture in one.pictures})
        if 0 < count < FEW_PICTURES:
            wanted = f"at least {FEW_PICTURES} make a set that does not learn single pictures by heart"
            notes.of(sets[0].name).warning("few_pictures", path, f"{counted(count, 'picture')} of {name}; {wanted}")
    if not loaded.has_repeats:
        return
    _check_balance(notes, path, {name: _views(sets) for name, sets in groups.items()}, _CHARACTERS_APART, "")
    for name, sets in groups.items():
        _check_balance(notes, path, {one.name: _views([one]) for one in sets}, _SETS_APART, f" of {name}")


def _check_balance(notes: Notes, path: Path, views: Mapping[str, float], most: float, whose: str) -> None:
    views = {name: value for name, value in views.items() if value > 0}
    if len(views) < 2:
        return
    often, rare = max(views, key=lambda n: views[n]), min(views, key=lambda n: views[n])
    if views[often] > most * views[rare]:
        got = f"per epoch {often}{whose} is seen {views[often]:g} times, {rare} {views[rare]:g} times"
        words = f"{got}; expected at most {most:g} times as often: give the smaller more repeats"
        notes.warning("unbalanced", path, words)
