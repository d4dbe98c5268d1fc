"""What commands share: consoles, options, sentences and bars."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.text import Text

__all__ = [
    "DeviceOption",
    "DownloadBars",
    "FileOption",
    "FilmArgument",
    "JsonOption",
    "LogsOption",
    "OnlyOption",
    "OutputOption",
    "PresetOption",
    "SetOption",
    "SkipOption",
    "WorkOption",
    "console",
    "errors",
    "options",
    "say",
    "say_columns",
    "with_ranges",
]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

OutputOption = Annotated[Path, typer.Option("--output", help="Where datasets and zips go.")]
WorkOption = Annotated[Path, typer.Option("--work", help="Where intermediate stages go.")]
LogsOption = Annotated[Path, typer.Option("--logs", help="Where process.log and each run's own log go.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.KEY=VALUE", help="One setting; may be repeated.")
]
FileOption = Annotated[Path | None, typer.Option("--settings", help="TOML file as `animeset settings` prints it.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where networks run: auto (a CUDA card, else Apple's or Intel's graphics, else the processor), cpu, cuda, cuda:1, apple, intel.",
    ),
]
PresetOption = Annotated[str, typer.Option("--preset", help="full, or draft for a quick look.")]
FilmArgument = Annotated[str, typer.Argument(metavar="FILM", help="The film's file, or part of its name or id.")]


OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="RANGE", help="Use only this part of the film: 2:00-21:40, or a chapter; may be repeated."
    ),
]
SkipOption = Annotated[
    list[str] | None,
    typer.Option(
        "--skip",
        metavar="RANGE",
        help="Leave this part of the film out: 0:00-1:30, 21:40-, or a chapter; may be repeated.",
    ),
]


def with_ranges(assign: Sequence[str] | None, only: Sequence[str] | None, skip: Sequence[str] | None) -> list[str]:
    """The assignments of `--set`, and those that `--only` and `--skip` stand for."""
    more = [
        f"extract.{name}={json.dumps(', '.join(ranges), ensure_ascii=False)}"
        for name, ranges in (("only", only), ("skip", skip))
        if ranges
    ]
    return [*(assign or ()), *more]


def options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` for typer, which knows no parameters that are dataclasses: each of their fields becomes an argument or option of its own."""
    given = signature(command, eval_str=True).parameters
    bundles: dict[str, Any] = {name: one.annotation for name, one in given.items() if is_dataclass(one.annotation)}
    fields = {name: signature(bundle, eval_str=True).parameters for name, bundle in bundles.items()}
    parameters = [own for name, one in given.items() for own in fields.get(name, {name: one}).values()]

    @wraps(command)
    def run(**values: Any) -> None:
        for name, bundle in bundles.items():
            values[name] = bundle(**{field: values.pop(field) for field in fields[name]})
        command(**values)

    # keyword-only, so that one with a default may stand before one without
    alike = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in parameters]
    run.__signature__ = Signature(alike)  # type: ignore[attr-defined]
    return run


def say(text: str) -> None:
    """Print as it is: file names may hold what rich would take for markup."""
    console.print(text, markup=False, soft_wrap=True)


def say_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` as columns; what is too long is folded inside the last one in a terminal, and stays one line elsewhere."""
    widths = [max(map(cell_len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    room = console.width - sum(widths) - 2 * len(widths)
    for *first, last in rows:
        start = "".join(f"{set_cell_size(text, width)}  " for text, width in zip(first, widths, strict=True))
        fold = console.is_terminal and room > 20
        for line in Text(last).wrap(console, room) if fold else [last]:
            say(f"{start}{line}")
            start = " " * cell_len(start)


class DownloadBars:
    """A bar per file in a terminal; elsewhere one line when a file is complete. Call it with (name, bytes, bytes in all or None)."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=errors,
            transient=True,
            disable=not errors.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> DownloadBars:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(escape(name), total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)
        if total is not None and done >= total and not errors.is_terminal:
            errors.print(f"{name}: {total / 1e6:.1f} MB", markup=False, highlight=False)
