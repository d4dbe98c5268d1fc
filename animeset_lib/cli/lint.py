"""`animeset lint`: data sets loaded as their trainers would, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from animeset_lib.cli.common import JsonOption, say, say_columns
from animeset_lib.errors import InputError
from animeset_lib.export.forms import FORMS, LOADERS
from animeset_lib.wording import counted

if TYPE_CHECKING:
    from animeset_lib.export.lint import Report

__all__ = ["lint"]

_FORMATS = ", ".join(dict.fromkeys((*(form.name for form in FORMS), *LOADERS)))


def lint(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...",
            help="A published film (its folder, or part of its name), an exports folder, "
            "a trainer's folder or config file, or any folder of pictures with captions.",
        ),
    ],
    format: Annotated[str | None, typer.Option(help=f"Not recognised but said: {_FORMATS}.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Every data set and every finding, not one example of each kind.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Load data sets the way their trainers do; say what is wrong.

    What would stop a trainer, be left out or be learned wrong. Ends with 1 where there are errors.
    """
    from animeset_lib.export.lint import lint as run

    reports = [run(_place(path), format) for path in paths]
    failed = sum(report.errors for report in reports)
    warned = sum(report.warnings for report in reports)
    count = f"{counted(failed, 'error')}, {counted(warned, 'warning')}"
    if as_json:
        print(json.dumps([report.as_json() for report in reports], ensure_ascii=False))
    else:
        if show_all:
            _print_all(reports)
        else:
            _print_kinds(reports)
        # one line at the end, for whoever looks only there
        loaded = sum(len(report.linted) for report in reports)
        more = "" if show_all or (loaded == 1 and failed + warned < 2) else "; --all writes each out"
        say(f"{counted(loaded, 'data set')} looked at: {count}{more}")
    if failed or (strict and warned):
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


def _print_kinds(reports: Sequence[Report]) -> None:
    """A line for each kind of finding, errors first, with their number and the first of them."""
    sets = [one for report in reports for one in report.linted]
    if len(sets) == 1:
        say(sets[0].summary)
    examples: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for finding in report.findings:
            place = finding.path if len(reports) == 1 else str(report.path / finding.path)
            examples.setdefault((finding.level, finding.code), []).append(f"{place}: {finding.words}")
    if examples:
        say_columns([(level, code, str(len(found)), found[0]) for (level, code), found in sorted(examples.items())])


def _print_all(reports: Sequence[Report]) -> None:
    for report in reports:
        if len(reports) > 1:
            say(f"{report.path}:")
        for one in report.linted:
            say(one.summary)
            for name, findings in groupby(one.findings, key=lambda finding: finding.set):
                if name:
                    say(f"  {name}")
                for finding in findings:
                    say(f"    {finding.level:<7} {finding.code}: {finding.path}: {finding.words}")
