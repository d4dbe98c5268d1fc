"""`animeset captions`: the captions of a published film listed, edited with a preview, undone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from animeset_lib.cli.common import FileOption, JsonOption, OutputOption, SetOption, console, options, say
from animeset_lib.errors import InputError, SettingsError
from animeset_lib.wording import counted, shortened

if TYPE_CHECKING:
    from animeset_lib.published.captions import CaptionSet
    from animeset_lib.published.edits import Change, Edit, Selection
    from animeset_lib.settings import CaptionSettings

__all__ = ["captions_app"]

captions_app = typer.Typer(name="captions", no_args_is_help=True)

_SHOWN = 5
"""Changes that are written out where they were made; a preview shows all."""
_WORDS = 80
"""Longest words of an edit in the history, in characters."""

NoZipOption = Annotated[bool, typer.Option("--no-zip", help="Leave the zip beside the folder as it is.")]
TagsArgument = Annotated[str, typer.Argument(metavar="TAGS", help="A tag, or several separated by commas.")]


@dataclass(frozen=True)
class _Which:
    """Which captions a command is about."""

    character: Annotated[str | None, typer.Option("--character", help="Only this character's pictures.")] = None
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", metavar="IMAGE", help="Only this picture: hana_0001, its file, or its path. May be repeated."
        ),
    ] = None
    tag: Annotated[
        str,
        typer.Option("--tag", metavar="TAGS", help="Only pictures whose caption has these tags (several by commas)."),
    ] = ""
    missing: Annotated[
        str, typer.Option("--missing", metavar="TAGS", help="Only pictures whose caption has none of these tags.")
    ] = ""

    def of(self, captions: CaptionSet) -> Selection:
        from animeset_lib.published.edits import Selection

        images = tuple(_image(captions, image) for image in self.image or ()) or None
        return Selection(images, self.character, self.tag, self.missing)


@dataclass(frozen=True)
class _Making:
    """How an edit is made."""

    context: typer.Context
    preview: Annotated[bool, typer.Option("--preview", help="Show before and after; write nothing.")] = False
    no_zip: NoZipOption = False
    output: OutputOption = Path("output")
    as_json: JsonOption = False


def _command(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return lambda function: captions_app.command(name)(options(function))


@captions_app.callback()
def _captions(
    context: typer.Context,
    film: Annotated[
        str,
        typer.Argument(metavar="FILM", help="A published folder, or part of its name, of the film's file name or id."),
    ],
) -> None:
    """List and edit the captions of a published film.

    Many at once, with a preview and undo. Later runs keep what you wrote.

    For example:

    animeset captions demo add outdoors --character hana --preview
    """
    context.obj = film


@_command("list")
def list_captions(
    context: typer.Context,
    which: _Which,
    edited: Annotated[bool, typer.Option("--edited", help="Only captions that somebody edited.")] = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Captions as they are now; * marks those that somebody edited."""
    captions = _open(context, output, reading=True)
    pictures = [picture for picture in captions.select(which.of(captions)) if picture.edited or not edited]
    if as_json:
        print(json.dumps([picture.as_json() for picture in pictures], ensure_ascii=False))
        return
    for picture in pictures:
        say(f"{'*' if picture.edited else ' '} {PurePosixPath(picture.image).stem}  {picture.caption}")
        if picture.problem:
            say(f"    {picture.problem}")
    say(f"{counted(len(pictures), 'caption')}, {sum(picture.edited for picture in pictures)} edited")


@_command("tags")
def count_tags(
    context: typer.Context, which: _Which, output: OutputOption = Path("output"), as_json: JsonOption = False
) -> None:
    """How many captions have each tag, the most frequent first."""
    from animeset_lib.published.edits import tag_counts

    captions = _open(context, output, reading=True)
    pictures = captions.select(which.of(captions))
    counts = tag_counts(picture.caption for picture in pictures)
    if as_json:
        print(json.dumps(dict(counts), ensure_ascii=False))
        return
    for tag, count in counts:
        say(f"{count:>6}  {tag}")
    say(f"{len(counts)} tags on {counted(len(pictures), 'caption')}")


@_command("add")
def add_tags(
    *,
    tags: TagsArgument,
    end: Annotated[
        bool, typer.Option("--end", help="At the end; without it behind the first tag, the trigger word.")
    ] = False,
    which: _Which,
    making: _Making,
) -> None:
    """Add tags to captions that lack them."""
    from animeset_lib.published.edits import AddTags

    _make(making, which, lambda where: AddTags(tags, "end" if end else "after_trigger", where), f"+ {tags}")


@_command("remove")
def remove_tags(tags: TagsArgument, which: _Which, making: _Making) -> None:
    """Remove tags; never the first one, the trigger word."""
    from animeset_lib.published.edits import RemoveTags

    _make(making, which, lambda where: RemoveTags(tags, where), f"− {tags}")


@_command("replace")
def replace(
    *,
    old: Annotated[str, typer.Argument(metavar="OLD", help="A tag; with --regex a pattern.")],
    new: Annotated[
        str,
        typer.Argument(metavar="NEW", help=r"A tag or several; with --regex what takes the place, with \1 for groups."),
    ],
    regex: Annotated[
        bool, typer.Option("--regex", help="OLD is a regular expression (Python's), looked for in whole captions.")
    ] = False,
    which: _Which,
    making: _Making,
) -> None:
    """Put another tag where OLD stands, or replace what a pattern matches."""
    from animeset_lib.published.edits import ReplacePattern, ReplaceTag

    words = f"/{old}/ → {new or '∅'}" if regex else f"{old} → {new}"
    _make(making, which, lambda where: (ReplacePattern if regex else ReplaceTag)(old, new, where), words)


@_command("set")
def set_caption(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="hana_0001, its file, or its path in the folder.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The whole caption.")],
    making: _Making,
) -> None:
    """Write one picture's caption anew."""
    from animeset_lib.published.edits import SetCaption

    path = _image(_open(making.context, making.output, reading=making.preview), image)
    _make(making, _Which(image=[path]), lambda where: SetCaption(path, text), f"{PurePosixPath(path).stem}: {text}")


@_command("tidy")
def tidy(which: _Which, making: _Making) -> None:
    """Make captions one line without empty tags and tags that are there twice; for captions that were written elsewhere."""
    from animeset_lib.published.edits import TidyCaptions

    _make(making, which, TidyCaptions, "tidy")


@_command("restore")
def restore(which: _Which, making: _Making) -> None:
    """The program's own captions again, in place of those that were edited."""
    from animeset_lib.published.edits import RestoreCaptions

    _make(making, which, RestoreCaptions, "restore")


@_command("recaption")
def recaption(
    *,
    assign: SetOption = None,
    settings: FileOption = None,
    include_edited: Annotated[
        bool, typer.Option("--include-edited", help="Also captions that somebody edited; without it those stay.")
    ] = False,
    which: _Which,
    making: _Making,
) -> None:
    """Write captions anew from the pictures' tags, without running the film again.

    With the settings of the run but for --set (such as --set caption.underscores=false), and with what `animeset traits` says.
    """
    from animeset_lib.pipeline import FilmFiles, Folders
    from animeset_lib.published.edits import Recaption
    from animeset_lib.published.publish import production_of
    from animeset_lib.words.trait_choices import load_choices

    captions = _open(making.context, making.output, reading=making.preview)
    chosen = _caption_settings(captions.folder, assign or (), settings)
    choices = load_choices(FilmFiles(Folders(output=captions.folder.parent), production_of(captions.folder)).traits)
    left = 0 if include_edited else len(captions.written_by_hand(which.of(captions)))
    stays, it = ("stays", "it") if left == 1 else ("stay", "them")
    notes = []
    if left:
        notes += [f"somebody edited {counted(left, 'caption')} that {stays} so; --include-edited takes {it}, too"]
    if assign and not making.preview:
        notes += ["Later runs keep these captions; give them the same --set, so that new pictures are captioned alike"]

    def edit_of(where: Selection) -> Edit:
        return Recaption(chosen, captions.core_traits(), choices, include_edited, where)

    _make(making, which, edit_of, " ".join(["recaption", *(assign or ())]), notes)


def _turning(kind: Literal["undo", "redo"]) -> Callable[..., None]:
    def turn(
        context: typer.Context,
        no_zip: NoZipOption = False,
        output: OutputOption = Path("output"),
        as_json: JsonOption = False,
    ) -> None:
        captions = _open(context, output)
        entry = captions.undo() if kind == "undo" else captions.redo()
        archive = _zip(captions.folder, no_zip)
        back, again = captions.can_undo, captions.can_redo
        if as_json:
            answer = {"folder": str(captions.folder), kind: entry.words, "changed": len(entry.changes)}
            print(json.dumps({**answer, "can_undo": back, "can_redo": again, "zip": archive}, ensure_ascii=False))
            return
        say(f"{kind}: {entry.words}: {counted(len(entry.changes), 'caption')} changed")
        say(f"Undo takes back next: {back or 'nothing'}; redo makes again: {again or 'nothing'}")
        _say_zip(archive)

    return turn


captions_app.command("undo", help="Take the last edit back, byte for byte. Again: the one before.")(_turning("undo"))
captions_app.command("redo", help="Make the edit again that was undone last.")(_turning("redo"))


@captions_app.command("history")
def history(context: typer.Context, output: OutputOption = Path("output"), as_json: JsonOption = False) -> None:
    """All edits that were made, oldest first, also those that were undone."""
    captions = _open(context, output)
    entries = captions.history()
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries], ensure_ascii=False))
        return
    for entry in entries:
        words = f"{entry.words}  (undone)" if entry.undone else entry.words
        say(f"{entry.number:>5}. {entry.time[:16].replace('T', ' ')}  {words}")
    say(f"Undo takes back: {captions.can_undo or 'nothing'}")


def _open(context: typer.Context, output: Path, *, reading: bool = False) -> CaptionSet:
    from animeset_lib.pipeline import find_dataset
    from animeset_lib.published.captions import CaptionSet

    return CaptionSet(find_dataset(context.obj, output), reading=reading)


def _image(captions: CaptionSet, name: str) -> str:
    """The picture that is meant by a path in the film folder, a file name or a stem."""
    images = [picture.image for picture in captions.pictures()]
    found = [image for image in images if name in (image, PurePosixPath(image).name, PurePosixPath(image).stem)]
    if len(found) != 1:
        raise InputError(
            f"{'several pictures are' if found else 'no picture is'} called {name} in {captions.folder.name}; expected one such as "
            f"{', '.join(found) or next(iter(images), 'hana_0001')}"
        )
    return found[0]


def _make(
    making: _Making, which: _Which, edit_of: Callable[[Selection], Edit], words: str, notes: Sequence[str] = ()
) -> None:
    """Plan an edit, show it, and unless it is a preview make it and bring the zip up to date."""
    captions = _open(making.context, making.output, reading=making.preview)
    where = which.of(captions)
    looked_at = len(captions.select(where))
    changes = captions.plan(edit_of(where))
    owner = {picture.image: picture.character for picture in captions.pictures()}
    counts = dict(Counter(owner[change.image] for change in changes))
    written = bool(changes) and not making.preview
    archive = None
    if written:
        captions.apply(changes, f"{shortened(words, _WORDS)} ({len(changes)})")
        archive = _zip(captions.folder, making.no_zip)
    if making.as_json:
        answer = {
            "folder": str(captions.folder),
            "words": words,
            "written": written,
            "looked_at": looked_at,
            "changed": counts,
            "changes": [{"image": c.image, "before": c.before, "after": c.after} for c in changes],
            "zip": archive,
        }
        print(json.dumps(answer, ensure_ascii=False))
        return
    shown = changes if making.preview else changes[:_SHOWN]
    for change in shown:
        _print_change(change)
    if len(shown) < len(changes):
        say(f"  and {len(changes) - len(shown)} more")
    for note in notes:
        say(note)
    if not changes:
        say(f"No caption becomes another; {counted(looked_at, 'caption')} looked at.")
        return
    who = ", ".join(f"{name} {count}" for name, count in counts.items())
    share = f"{len(changes)} of {counted(looked_at, 'caption')}"
    if making.preview:
        say(f"{share} would change: {who}")
        say("Nothing was written; the same without --preview does it.")
        return
    say(f"{share} changed: {who}")
    say(f"Undo: animeset captions {making.context.obj} undo")
    if captions.folder.with_name(f"{captions.folder.name}.exports").is_dir():
        say(f"The exports have the captions of before; write them again: animeset export {making.context.obj}")
    _say_zip(archive)


def _zip(folder: Path, no_zip: bool) -> str | None:
    from animeset_lib.published.publish import refresh_zip

    return None if no_zip else str(refresh_zip(folder))


def _say_zip(archive: str | None) -> None:
    say("The zip is as it was (--no-zip)." if archive is None else f"Zip:  {archive}")


def _print_change(change: Change) -> None:
    """One line: tags that went as `[-tag-]`, those that came as `{+tag+}`, in a terminal red and green as well."""
    from animeset_lib.published.edits import difference

    marks = {"same": ("{}", ""), "gone": ("[-{}-]", "red"), "new": ("{{+{}+}}", "green")}
    parts = difference(change.before, change.after)
    tags = [Text(marks[kind][0].format(tag), marks[kind][1]) for kind, tag in parts]
    line = Text(f"  {PurePosixPath(change.image).stem}  ") + Text(", ").join(tags)
    if all(kind == "same" for kind, _ in parts):
        line.append(f"  (was {json.dumps(change.before, ensure_ascii=False)})")
    console.print(line, soft_wrap=True)


def _caption_settings(folder: Path, assignments: Sequence[str], file: Path | None) -> CaptionSettings:
    """The caption settings of the run that published the folder, with what is assigned here."""
    from pydantic import ValidationError

    from animeset_lib.published.publish import read_manifest
    from animeset_lib.settings import CaptionSettings, load_settings

    for assignment in assignments:
        if not assignment.strip().startswith("caption."):
            raise SettingsError(f"recaption takes settings such as caption.underscores=false; got {assignment}")
    given = load_settings(file, assignments).caption
    said = read_manifest(folder).get("settings")
    before = said.get("caption") if isinstance(said, Mapping) else None
    try:
        run = CaptionSettings.model_validate(before or {})
        return CaptionSettings.model_validate({**run.model_dump(), **given.model_dump(exclude_unset=True)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(["caption", *(str(part) for part in first["loc"])])
        raise SettingsError(
            f"{place}: {first['msg'].removeprefix('Value error, ')} (the settings of the run, with those given here)"
        ) from error
