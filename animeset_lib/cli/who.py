"""`animeset decide` and `animeset lens`: who is who."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from animeset_lib.cli.common import FilmArgument, JsonOption, OutputOption, WorkOption, errors, say
from animeset_lib.errors import InputError

__all__ = ["decide", "lens"]


def decide(
    film: FilmArgument,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="list · name GROUP|FACE... NAME · merge GROUP... GROUP · not-a-character GROUP|FACE... · drop FACE... · restore FACE...|STILL... · "
            "duplicate STILL... · keep STILL... · undo · redo",
        ),
    ] = "list",
    things: Annotated[list[str] | None, typer.Argument(metavar="[...]", help="Groups, faces, stills, a name.")] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="STILL", help="With duplicate: which still it shows again.")
    ] = None,
    output: OutputOption = Path("output"),
    work: WorkOption = Path("work"),
    as_json: JsonOption = False,
) -> None:
    """List what was decided about a film, or decide.

    Names, merges, who is nobody, which stills are duplicates. The next run honours it.
    """
    from animeset_lib.pipeline import Folders, find_film
    from animeset_lib.pipeline.deciding import Deciding

    files = find_film(film, Folders(output, work))
    deciding = Deciding(files.cast_pack, files.decisions)
    words = "" if what == "list" else deciding.decide(what, things or (), duplicate_of=of)
    state = deciding.state()
    if as_json:
        print(json.dumps({"decided": words, **state}, ensure_ascii=False))
        return
    if what != "list":
        say(words or f"There is nothing to {what}.")
        return
    for group, members in state["groups"].items():
        say(f"{len(members):>5} faces  {group}")
    for decision in state["decisions"]:
        say(f"{decision['number']:>5}. {decision['time'][:16].replace('T', ' ')}  {decision['words']}")
    for sentence in state["told"]:
        say(f"note: {sentence}")
    say(f"{len(state['decisions'])} decisions stand in {state['file']}; `list --json` names all faces.")


def lens(
    film: FilmArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the App.")] = 5151,
    output: OutputOption = Path("output"),
    work: WorkOption = Path("work"),
) -> None:
    """Open FiftyOne on a film.

    Faces and dataset; after --keep-work stills with duplicate groups and crops, too. Ctrl-C saves your tags as decisions.
    """
    from animeset_lib.notebook.fiftyone_lens import Lens
    from animeset_lib.pipeline import Folders, find_film

    files = find_film(film, Folders(output, work))
    opened = Lens(files.work, files.cast_pack, files.decisions, files.published)
    if not opened.available:
        raise InputError(f"{files.name} was not sorted yet; run the film, --until cast is enough, then open it again")
    datasets = {kind: opened.open(kind) for kind in opened.available}
    for kind, dataset in datasets.items():
        say(f"{kind}: {len(dataset)} pictures, views: {', '.join(dataset.list_saved_views())}")
    if opened.missing:
        say(opened.missing)
    session = opened.launch(datasets.get("faces") or next(iter(datasets.values())), port)
    say(f"FiftyOne: {session.url}  (stop with Ctrl-C, which saves your tags)")
    with suppress(KeyboardInterrupt):
        session.wait(-1)
    outcome = opened.save_decisions()
    for words in outcome.saved:
        say(f"saved: {words}")
    for sentence in outcome.refused:
        errors.print(f"not saved: {escape(sentence)}", soft_wrap=True)
    say(f"{len(outcome.saved)} decisions saved; the next run honours them.")
