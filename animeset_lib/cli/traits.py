"""`animeset traits`: what is constant about each character, and what its captions say of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from animeset_lib.cli.common import FilmArgument, JsonOption, OutputOption, WorkOption, say
from animeset_lib.errors import InputError, SettingsError

if TYPE_CHECKING:
    from animeset_lib.pipeline import FilmFiles
    from animeset_lib.words.traits import TraitChoice

__all__ = ["traits"]

_SHOWN = 25


def traits(
    film: FilmArgument,
    character: Annotated[
        str | None, typer.Argument(metavar="[CHARACTER]", help="One character; without it all are listed.")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="keep|drop|drop_all",
            help="Tell every trait in captions, leave the core ones to the trigger word, or leave all of hair, eyes and body to it.",
        ),
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Never tell this tag; may be repeated.")] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Always tell this tag; may be repeated.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="First forget what was wanted for this character.")] = False,
    output: OutputOption = Path("output"),
    work: WorkOption = Path("work"),
    as_json: JsonOption = False,
) -> None:
    """What is constant about characters, and what captions say of it.

    Show how often each trait is on a character's pictures and how telling that is; say which of them its captions leave to the trigger word.
    """
    from animeset_lib.pipeline import Folders, find_film
    from animeset_lib.words.cleaning import normalise
    from animeset_lib.words.trait_choices import changed, load_choices, save_choice
    from animeset_lib.words.traits import TraitChoice

    files = find_film(film, Folders(output, work))
    path, folder = files.traits, files.name
    known = _known(files)
    stale = reset and character in load_choices(path).of
    if character is not None and character not in known and not stale:
        raise SettingsError(f"there is no character '{character}' in {folder}; there are {', '.join(known) or 'none'}")
    edits = bool(policy or drop or keep or reset)
    if edits:
        if character is None:
            raise SettingsError("name the character, e.g. `animeset traits FILM hana --policy drop`")
        before = TraitChoice() if reset else load_choices(path).get(character)
        save_choice(path, character, changed(before, policy=policy, drop=drop or (), keep=keep or ()))
    choices = load_choices(path)
    rows = [_row(one, choices.get(name)) for name, one in known.items() if character in (None, name)]
    if as_json:
        print(json.dumps({"film": folder, "file": str(path), "characters": rows}, ensure_ascii=False))
        return
    for row in rows:
        _print(row)
    for sentence in choices.unknown(known):
        say(f"note: {path}: {sentence}")
    if edits and character in known:
        seen = {trait["tag"] for trait in known[character]["traits"]}
        for tag in [normalise(tag) for tag in (*(drop or ()), *(keep or ()))]:
            if tag not in seen:
                say(f"note: no picture of {character} alone has the tag {tag}; it is written down all the same")
    if edits:
        say(
            f"Written to {path}. The next run honours it; for the published set at once: animeset captions {film} recaption"
        )


def _known(files: FilmFiles) -> dict[str, dict[str, Any]]:
    """Character → what its traits.json says: of the last run that kept its stages, else as it was published."""
    from animeset_lib.pipeline.stages_on_disk import stages_with
    from animeset_lib.run.store import parse_json
    from animeset_lib.words.caption import CaptionStage
    from animeset_lib.words.traits import TraitChoice

    outputs = stages_with(files.work, CaptionStage)
    if outputs is not None and (traits_in_work := outputs[CaptionStage].notes.traits):
        return traits_in_work
    place = files.published
    written = sorted(place.glob("*/traits.json")) if place is not None else []
    if not written:
        raise InputError(
            f"nothing is known of the traits of {files.name}: no stages are kept in {files.folders.work}, and "
            f"{place or files.folders.output} holds no traits.json; "
            "run the film again"
        )
    try:
        tables = {one["character"]: one for one in (parse_json(file.read_text(encoding="utf-8")) for file in written)}
        for one in tables.values():
            _row(one, TraitChoice())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"a traits.json below {place} cannot be read ({error}); run the film again") from error
    return tables


def _row(traits: dict[str, Any], choice: TraitChoice) -> dict[str, Any]:
    """What traits.json will say with this choice."""
    from animeset_lib.words.traits import table_of, traits_json

    return traits_json(
        traits["character"],
        traits["trigger"],
        traits["settings_policy"],
        table_of(traits),
        pictures=traits["pictures"],
        tracks=traits["tracks"],
        choice=choice,
        trigger_first=traits["trigger_first"],
    )


def _print(row: dict[str, Any]) -> None:
    own = "" if row["policy"] == row["settings_policy"] else f", the settings say {row['settings_policy']}"
    say(
        f"{row['character']}: policy {row['policy']}{own}; trigger word {row['trigger']}; "
        f"alone on {row['pictures']} pictures of {row['tracks']} tracks"
    )
    dropped = set(row["dropped"])
    if row["traits"]:
        say(f"  {'trait':<28} {'share':>6} {'rest':>6} {'lift':>6} {'on':>9}  in captions")
    for trait in row["traits"][:_SHOWN]:
        rest, lift = (_number(trait[key]) for key in ("rest_share", "lift"))
        words = ("left out" if trait["tag"] in dropped else "told") + (" (core)" if trait["core"] else "")
        on = f"{trait['count']}/{trait['pictures']}"
        say(f"  {trait['tag']:<28} {trait['share']:>6.2f} {rest:>6} {lift:>6} {on:>9}  {words}")
    if len(row["traits"]) > _SHOWN:
        say(f"  and {len(row['traits']) - _SHOWN} rarer ones, which --json names")
    others = [tag for tag in row["dropped"] if tag not in {trait["tag"] for trait in row["traits"]}]
    for title, tags in (("also left out", others), ("always told", row["kept"])):
        if tags:
            say(f"  {title}: {', '.join(tags)}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
