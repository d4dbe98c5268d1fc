"""`animeset probe`: what a film is, and what a run will do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from animeset_lib.cli.common import (
    FileOption,
    JsonOption,
    OnlyOption,
    SetOption,
    SkipOption,
    say,
    say_columns,
    with_ranges,
)
from animeset_lib.errors import InputError

__all__ = ["probe"]


def probe(
    film: Annotated[Path, typer.Argument(metavar="FILM", help="A video file, or a folder of pictures.")],
    only: OnlyOption = None,
    skip: SkipOption = None,
    settings: FileOption = None,
    assign: SetOption = None,
    strip: Annotated[
        Path | None, typer.Option(help="Write ten stills from all over the film to this picture, with their times.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a film is and what will be done about it.

    Fields, colours, bars, tracks, chapters, parts; it takes seconds. What it gets wrong can be set: `animeset settings` lists section `film`.
    """
    from animeset_lib.dashboard.texts import texts
    from animeset_lib.dataset.sheet import Tile, grid_sheet
    from animeset_lib.media import Phrase, examine, write_image
    from animeset_lib.settings import load_settings
    from animeset_lib.settings.ranges import clock

    if strip is not None and strip.suffix not in (".png", ".webp"):
        raise InputError(f"{strip}: expected a name that ends in .png or .webp for the strip of stills")
    found = examine(film, load_settings(settings, with_ranges(assign, only, skip)))
    words = texts("en")

    def sentence(part: str, phrase: Phrase | None) -> str:
        return words[f"{part}.{phrase.key}"].format(**phrase.values) if phrase else ""

    rows = [(fact.name, sentence("found", fact.found), sentence("done", fact.done)) for fact in found.facts]
    if strip is not None:
        tiles = [Tile(picture, (clock(ms),)) for ms, picture in found.stills]
        write_image(strip, grid_sheet(film.name, "", tiles))
    if as_json:
        facts = [{"name": name, "found": what, "done": done} for name, what, done in rows]
        print(json.dumps({"facts": facts, "duration_ms": found.duration_ms, "used_ms": found.used}, ensure_ascii=False))
        return
    say_columns([(words[f"fact.{name}"], f"{what}{f' - {done}' if done else ''}") for name, what, done in rows])
    if strip is not None:
        say(f"Stills: {strip}")
