"""`animeset export`: from published films to folders that trainers load as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from animeset_lib.cli.common import JsonOption, OutputOption, errors, say
from animeset_lib.errors import SettingsError
from animeset_lib.export.forms import WRITERS

if TYPE_CHECKING:
    from animeset_lib.export.plan import By, ExportPlan
    from animeset_lib.export.write import Exported

__all__ = ["export"]

_FORMATS = ", ".join(WRITERS)

Films = Annotated[
    list[str],
    typer.Argument(
        metavar="FILM...",
        help="A published film: its folder, or part of the film's name or id. Several are exported as one series.",
    ),
]
Formats = Annotated[str, typer.Option("--format", help=f"Some of {_FORMATS}, by commas; or all.")]
Characters = Annotated[str, typer.Option(help="Only these characters, by commas. [default: all]")]
Grouping = Annotated[
    str, typer.Option("--by", help="One sub-set per character, or per outfit or emotion of each character.")
]
Target = Annotated[
    Path | None, typer.Option("--to", help="Folder in which each format gets one. [default: OUTPUT/FILM.exports]")
]
Resolution = Annotated[int | None, typer.Option(help="Training size in px. [default: what the pictures were made for]")]
Validation = Annotated[
    float, typer.Option(help="Share of pictures kept back for validation, in whole shots, 0 to 0.5.")
]
Repeats = Annotated[int | None, typer.Option(help="Repeats of every sub-set. [default: balanced]")]
PerEpoch = Annotated[
    int | None,
    typer.Option(help="Pictures of each character an epoch shall show, repeats included. [default: balanced]"),
]
KeepTokens = Annotated[
    int | None,
    typer.Option(
        help="Leading tags that shuffling leaves in place. [default: the trigger and `1girl, solo` behind it]"
    ),
]
PathPrefix = Annotated[
    str,
    typer.Option(
        help="Written before every path in the configurations, where the trainer cannot be started in the export's folder; "
        "{format} in it is the format's name."
    ),
]
Copy = Annotated[
    bool,
    typer.Option(
        "--copy",
        help="Copy pictures. By default they are hard-linked: no space needed, but editing one edits the published picture.",
    ),
]


def export(
    films: Films,
    format: Formats = "all",
    characters: Characters = "",
    by: Grouping = "character",
    to: Target = None,
    resolution: Resolution = None,
    validation: Validation = 0.0,
    repeats: Repeats = None,
    per_epoch: PerEpoch = None,
    keep_tokens: KeepTokens = None,
    path_prefix: PathPrefix = "",
    copy: Copy = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Write a published film in the forms that trainers load.

    With configurations, balanced repeats and sample prompts.
    """
    from animeset_lib.export.plan import ExportOptions
    from animeset_lib.export.write import export_films
    from animeset_lib.pipeline import find_dataset

    names = list(WRITERS) if format == "all" else _listed(format)
    if unknown := [name for name in names if name not in WRITERS]:
        raise SettingsError(f"--format {', '.join(unknown)} is not known; expected some of {_FORMATS}, or all")
    folders = [find_dataset(film, output) for film in films]
    if to is None and len(folders) > 1:
        raise SettingsError("a series has no place of its own below the output; name one with --to")
    target = to if to is not None else folders[0].with_name(f"{folders[0].name}.exports")
    options = ExportOptions(
        characters=tuple(_listed(characters)),
        by=_grouping(by),
        resolution=resolution,
        validation=validation,
        repeats=repeats,
        per_epoch=per_epoch,
        keep_tokens=keep_tokens,
        prefix=path_prefix,
    )
    plan, done = export_films(folders, target, names, options, copy=copy)
    if as_json:
        print(json.dumps(_as_json(plan, done), ensure_ascii=False))
    else:
        _say(plan, done)


def _grouping(by: str) -> By:
    """`--by`. Raises `SettingsError` for one that there is not."""
    from animeset_lib.export.plan import By

    grouping: By | None = next((one for one in get_args(By) if one == by), None)
    if grouping is None:
        raise SettingsError(f"--by {by} is not known; expected one of {', '.join(get_args(By))}")
    return grouping


def _as_json(plan: ExportPlan, done: Sequence[Exported]) -> dict[str, Any]:
    return {
        "formats": [
            {
                "format": one.format,
                "folder": str(one.folder),
                "pictures": one.pictures,
                "set_aside": None if one.set_aside is None else str(one.set_aside),
            }
            for one in done
        ],
        "characters": [
            {
                "name": character.name,
                "trigger": character.trigger,
                "sets": [
                    {"name": one.name, "pictures": len(one.pictures), "repeats": one.repeats} for one in character.sets
                ],
                "per_epoch": character.views,
                "validation": len(character.validation),
            }
            for character in plan.characters
        ],
        "regularisation": len(plan.regularisation),
        "resolution": plan.resolution,
        "notes": list(plan.notes),
    }


def _say(plan: ExportPlan, done: Sequence[Exported]) -> None:
    for note in plan.notes:
        errors.print(note, markup=False, soft_wrap=True)
    for character in plan.characters:
        sets = ", ".join(
            f"{one.name + ' ' if one.name else ''}{len(one.pictures)} x {one.repeats}" for one in character.sets
        )
        kept_back = f", {len(character.validation)} for validation" if character.validation else ""
        say(f"{character.name} ({character.trigger}): {sets} = {character.views} pictures per epoch{kept_back}")
    for one in done:
        say(f"{one.format}: {one.folder}")
        if one.set_aside is not None:
            say(f"  the earlier export had been changed by hand; it was moved to {one.set_aside}")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
