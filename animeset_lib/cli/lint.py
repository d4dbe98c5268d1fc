"""`animeset lint`: data sets loaded as their trainers would, and what is wrong with them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from animeset_lib.cli.common import JsonOption, say
from animeset_lib.errors import InputError

if TYPE_CHECKING:
    from animeset_lib.export.lint import LintedSet, Report

__all__ = ["lint"]

_SHOWN = 5
"""Findings of one kind in one set that are written out."""


def lint(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...",
            help="A published film (its folder, or part of its name), an exports folder, "
            "a trainer's folder or config file, or any folder of pictures with captions.",
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            help="Not recognised but said: animeset, kohya (-folders, -config, -metadata), onetrainer, ai-toolkit, huggingface, "
            "everydream or folder."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Write out every finding, not the first few of each kind.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Load data sets the way their trainers do, and say what would stop, be left out or be learned wrong. Ends with 1 where there are errors."""
    from animeset_lib.export.lint import lint as run

    reports = [run(_place(path), format) for path in paths]
    if as_json:
        print(json.dumps([report.as_json() for report in reports], ensure_ascii=False))
    else:
        for report in reports:
            if len(reports) > 1:
                say(f"{report.path}:")
            _print(report, None if show_all else _SHOWN)
        _print_sum(reports)
    failed = sum(report.errors for report in reports)
    warned = sum(report.warnings for report in reports)
    if failed or (strict and warned):
        count = f"{failed} error{'' if failed == 1 else 's'}, {warned} warning{'' if warned == 1 else 's'}"
        raise InputError(
            f"{count} in {', '.join(str(report.path) for report in reports)}; what to do stands beside each"
        )


def _place(path: Path) -> Path:
    """What is there, else the published film of that name below output/."""
    from animeset_lib.published.publish import find_published

    if path.exists():
        return path
    with suppress(InputError):
        return find_published(str(path), Path("output"))
    return path


def _print(report: Report, most: int | None) -> None:
    for one in report.linted:
        say(one.summary)
        _print_findings(one, most)


def _print_sum(reports: Sequence[Report]) -> None:
    """One line at the end, for whoever looks only there."""
    loaded = sum(len(report.linted) for report in reports)
    errors, warnings = (sum(getattr(report, level) for report in reports) for level in ("errors", "warnings"))
    words = ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")))
    say(f"{loaded} data set{'' if loaded == 1 else 's'} looked at: {words}")


def _print_findings(one: LintedSet, most: int | None) -> None:
    kinds: dict[tuple[str, str, str], int] = defaultdict(int)
    name = ""
    for finding in one.findings:
        kind = (finding.set, finding.level, finding.code)
        kinds[kind] += 1
        if finding.set != name:
            name = finding.set
            say(f"  {name}")
        if most is None or kinds[kind] <= most:
            say(f"    {finding.level:<7} {finding.code}: {finding.path}: {finding.words}")
    if most is not None:
        for (name, level, code), count in kinds.items():
            if count > most:
                say(f"  {name or 'all'}: {count - most} more of {level} {code}; --all writes them out")
