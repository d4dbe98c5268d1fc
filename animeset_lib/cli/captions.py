"""`animeset captions`: the captions of a published film listed, edited with a preview, undone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from animeset_lib.cli.common import FileOption, JsonOption, OutputOption, SetOption, console, say
from animeset_lib.errors import InputError, SettingsError

if TYPE_CHECKING:
    from animeset_lib.published.captions import CaptionSet, EditEntry
    from animeset_lib.published.edits import Change, Edit, Selection
    from animeset_lib.settings import CaptionSettings

__all__ = ["captions_app"]

captions_app = typer.Typer(name="captions", no_args_is_help=True)

_SHOWN = 5
"""Changes that are written out where they were made; a preview shows all."""
_WORDS = 80
"""Longest words of an edit in the history, in characters."""

CharacterOption = Annotated[str | None, typer.Option("--character", help="Only this character's pictures.")]
ImageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--image", metavar="IMAGE", help="Only this picture: hana_0001, its file, or its path. May be repeated."
    ),
]
TagOption = Annotated[
    str, typer.Option("--tag", metavar="TAGS", help="Only pictures whose caption has these tags (several by commas).")
]
MissingOption = Annotated[
    str, typer.Option("--missing", metavar="TAGS", help="Only pictures whose caption has none of these tags.")
]
PreviewOption = Annotated[bool, typer.Option("--preview", help="Show before and after; write nothing.")]
NoZipOption = Annotated[bool, typer.Option("--no-zip", help="Leave the zip beside the folder as it is.")]
TagsArgument = Annotated[str, typer.Argument(metavar="TAGS", help="A tag, or several separated by commas.")]


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


@captions_app.command("list")
def list_captions(
    context: typer.Context,
    character: CharacterOption = None,
    image: ImageOption = None,
    tag: TagOption = "",
    missing: MissingOption = "",
    edited: Annotated[bool, typer.Option("--edited", help="Only captions that somebody edited.")] = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Captions as they are now; * marks those that somebody edited."""
    captions = _open(context, output, reading=True)
    pictures = captions.select(_where(captions, character, image, tag, missing))
    pictures = [picture for picture in pictures if picture.edited or not edited]
    if as_json:
        print(json.dumps([picture.as_json() for picture in pictures], ensure_ascii=False))
        return
    for picture in pictures:
        say(f"{'*' if picture.edited else ' '} {PurePosixPath(picture.image).stem}  {picture.caption}")
        if picture.problem:
            say(f"    {picture.problem}")
    by_hand = sum(picture.edited for picture in pictures)
    say(f"{_count(len(pictures))}, {by_hand} edited")


@captions_app.command("tags")
def count_tags(
    context: typer.Context,
    character: CharacterOption = None,
    image: ImageOption = None,
    tag: TagOption = "",
    missing: MissingOption = "",
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """How many captions have each tag, the most frequent first."""
    from animeset_lib.published.edits import tag_key, tags_of

    captions = _open(context, output, reading=True)
    pictures = captions.select(_where(captions, character, image, tag, missing))
    written: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for picture in pictures:
        own = {tag_key(one): one for one in tags_of(picture.caption)}
        counts.update(own.keys())
        written = {**own, **written}
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    if as_json:
        print(json.dumps({written[key]: count for key, count in ranked}, ensure_ascii=False))
        return
    for key, count in ranked:
        say(f"{count:>6}  {written[key]}")
    say(f"{len(ranked)} tags on {_count(len(pictures))}")


@captions_app.command("add")
def add_tags(
    context: typer.Context,
    tags: TagsArgument,
    end: Annotated[
        bool, typer.Option("--end", help="At the end; without it behind the first tag, the trigger word.")
    ] = False,
    character: CharacterOption = None,
    image: ImageOption = None,
    tag: TagOption = "",
    missing: MissingOption = "",
    preview: PreviewOption = False,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Add tags to captions that lack them."""
    from animeset_lib.published.edits import AddTags

    captions = _open(context, output, reading=preview)
    where = _where(captions, character, image, tag, missing)
    edit = AddTags(tags, "end" if end else "after_trigger", where)
    _make(context, captions, edit, where, f"+ {tags}", preview, no_zip, as_json)


@captions_app.command("remove")
def remove_tags(
    context: typer.Context,
    tags: TagsArgument,
    character: CharacterOption = None,
    image: ImageOption = None,
    tag: TagOption = "",
    missing: MissingOption = "",
    preview: PreviewOption = False,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Remove tags; never the first one, the trigger word."""
    from animeset_lib.published.edits import RemoveTags

    captions = _open(context, output, reading=preview)
    where = _where(captions, character, image, tag, missing)
    _make(context, captions, RemoveTags(tags, where), where, f"− {tags}", preview, no_zip, as_json)


@captions_app.command("replace")
def replace(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="A tag; with --regex a pattern.")],
    new: Annotated[
        str,
        typer.Argument(metavar="NEW", help=r"A tag or several; with --regex what takes the place, with \1 for groups."),
    ],
    regex: Annotated[
        bool, typer.Option("--regex", help="OLD is a regular expression (Python's), looked for in whole captions.")
    ] = False,
    character: CharacterOption = None,
    image: ImageOption = None,
    tag: TagOption = "",
    missing: MissingOption = "",
    preview: PreviewOption = False,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Put another tag where OLD stands, or replace what a pattern matches."""
    from animeset_lib.published.edits import ReplacePattern, ReplaceTag

    captions = _open(context, output, reading=preview)
    where = _where(captions, character, image, tag, missing)
    edit: Edit = ReplacePattern(old, new, where) if regex else ReplaceTag(old, new, where)
    words = f"/{old}/ → {new or '∅'}" if regex else f"{old} → {new}"
    _make(context, captions, edit, where, words, preview, no_zip, as_json)


@captions_app.command("set")
def set_caption(
    context: typer.Context,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="hana_0001, its file, or its path in the folder.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The whole caption.")],
    preview: PreviewOption = False,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Write one picture's caption anew."""
    from animeset_lib.published.edits import SetCaption

    captions = _open(context, output, reading=preview)
    where = _where(captions, None, [image], "", "")
    (path,) = where.images or ()
    words = f"{PurePosixPath(path).stem}: {text}"
    _make(context, captions, SetCaption(path, text), where, words, preview, no_zip, as_json)


@captions_app.command("tidy")
def tidy(
    context: typer.Context,
    character: CharacterOption = None,
    image: ImageOption = None,
    tag: TagOption = "",
    missing: MissingOption = "",
    preview: PreviewOption = False,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Make captions one line without empty tags and tags that are there twice; for captions that were written elsewhere."""
    from animeset_lib.published.edits import TidyCaptions

    captions = _open(context, output, reading=preview)
    where = _where(captions, character, image, tag, missing)
    _make(context, captions, TidyCaptions(where), where, "tidy", preview, no_zip, as_json)


@captions_app.command("restore")
def restore(
    context: typer.Context,
    character: CharacterOption = None,
    image: ImageOption = None,
    tag: TagOption = "",
    missing: MissingOption = "",
    preview: PreviewOption = False,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """The program's own captions again, in place of those that were edited."""
    from animeset_lib.published.edits import RestoreCaptions

    captions = _open(context, output, reading=preview)
    where = _where(captions, character, image, tag, missing)
    _make(context, captions, RestoreCaptions(where), where, "restore", preview, no_zip, as_json)


@captions_app.command("recaption")
def recaption(
    context: typer.Context,
    assign: SetOption = None,
    settings: FileOption = None,
    include_edited: Annotated[
        bool, typer.Option("--include-edited", help="Also captions that somebody edited; without it those stay.")
    ] = False,
    character: CharacterOption = None,
    image: ImageOption = None,
    tag: TagOption = "",
    missing: MissingOption = "",
    preview: PreviewOption = False,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Write captions anew from the pictures' tags, without running the film again.

    With the settings of the run but for --set (such as --set caption.underscores=false), and with what `animeset traits` says.
    """
    from animeset_lib.pipeline import FilmFiles, Folders
    from animeset_lib.published.edits import Recaption
    from animeset_lib.published.publish import production_of
    from animeset_lib.words.trait_choices import load_choices

    captions = _open(context, output, reading=preview)
    where = _where(captions, character, image, tag, missing)
    chosen = _caption_settings(captions.folder, assign or (), settings)
    choices = load_choices(FilmFiles(Folders(output=captions.folder.parent), production_of(captions.folder)).traits)
    edit = Recaption(chosen, captions.core_traits(), choices, include_edited, where)
    words = " ".join(["recaption", *(assign or ())])
    left = 0 if include_edited else len(captions.written_by_hand(where))
    stays, it = ("stays", "it") if left == 1 else ("stay", "them")
    note = f"somebody edited {_count(left)} that {stays} so; --include-edited takes {it}, too" if left else ""
    if assign and not preview:
        note += ("\n" if note else "") + (
            "Later runs keep these captions; give them the same --set, so that new pictures are captioned alike"
        )
    _make(context, captions, edit, where, words, preview, no_zip, as_json, note)


@captions_app.command("undo")
def undo(
    context: typer.Context,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Take the last edit back, byte for byte. Again: the one before."""
    captions = _open(context, output)
    _turn(captions, "undo", captions.undo, no_zip, as_json)


@captions_app.command("redo")
def redo(
    context: typer.Context,
    no_zip: NoZipOption = False,
    output: OutputOption = Path("output"),
    as_json: JsonOption = False,
) -> None:
    """Make the edit again that was undone last."""
    captions = _open(context, output)
    _turn(captions, "redo", captions.redo, no_zip, as_json)


@captions_app.command("history")
def history(context: typer.Context, output: OutputOption = Path("output"), as_json: JsonOption = False) -> None:
    """All edits that were made, oldest first, also those that were undone."""
    captions = _open(context, output)
    entries = captions.history()
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries], ensure_ascii=False))
        return
    for entry in entries:
        undone = "  (undone)" if entry.undone else ""
        say(f"{entry.number:>5}. {entry.time[:16].replace('T', ' ')}  {entry.words}{undone}")
    say(f"Undo takes back: {captions.can_undo or 'nothing'}")


def _open(context: typer.Context, output: Path, *, reading: bool = False) -> CaptionSet:
    from animeset_lib.pipeline import find_dataset
    from animeset_lib.published.captions import CaptionSet

    return CaptionSet(find_dataset(context.obj, output), reading=reading)


def _where(
    captions: CaptionSet, character: str | None, images: Sequence[str] | None, tag: str, missing: str
) -> Selection:
    from animeset_lib.published.edits import Selection

    paths = None if not images else tuple(_image(captions, image) for image in images)
    return Selection(paths, character, tag, missing)


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
    context: typer.Context,
    captions: CaptionSet,
    edit: Edit,
    where: Selection,
    words: str,
    preview: bool,
    no_zip: bool,
    as_json: bool,
    note: str = "",
) -> None:
    """Plan an edit, show it, and unless it is a preview make it and bring the zip up to date."""
    looked_at = len(captions.select(where))
    changes = captions.plan(edit)
    owner = {picture.image: picture.character for picture in captions.pictures()}
    counts = dict(Counter(owner[change.image] for change in changes))
    archive = None
    if changes and not preview:
        captions.apply(changes, f"{_short(words)} ({len(changes)})")
        archive = _zip(captions.folder, no_zip)
    if as_json:
        answer = {
            "folder": str(captions.folder),
            "words": words,
            "written": bool(changes) and not preview,
            "looked_at": looked_at,
            "changed": counts,
            "changes": [{"image": c.image, "before": c.before, "after": c.after} for c in changes],
            "zip": None if archive is None else str(archive),
        }
        print(json.dumps(answer, ensure_ascii=False))
        return
    shown = changes if preview else changes[:_SHOWN]
    for change in shown:
        _print_change(change)
    if len(shown) < len(changes):
        say(f"  and {len(changes) - len(shown)} more")
    if note:
        say(note)
    if not changes:
        say(f"No caption becomes another; {_count(looked_at)} looked at.")
        return
    who = ", ".join(f"{name} {count}" for name, count in counts.items())
    say(f"{len(changes)} of {_count(looked_at)} {'would change' if preview else 'changed'}: {who}")
    if preview:
        say("Nothing was written; the same without --preview does it.")
        return
    say(f"Undo: animeset captions {context.obj} undo")
    if captions.folder.with_name(f"{captions.folder.name}.exports").is_dir():
        say(f"The exports have the captions of before; write them again: animeset export {context.obj}")
    _say_zip(archive)


def _turn(
    captions: CaptionSet, kind: Literal["undo", "redo"], turn: Callable[[], EditEntry], no_zip: bool, as_json: bool
) -> None:
    entry = turn()
    archive = _zip(captions.folder, no_zip)
    if as_json:
        answer = {
            "folder": str(captions.folder),
            kind: entry.words,
            "changed": len(entry.changes),
            "can_undo": captions.can_undo,
            "can_redo": captions.can_redo,
            "zip": None if archive is None else str(archive),
        }
        print(json.dumps(answer, ensure_ascii=False))
        return
    say(f"{kind}: {entry.words}: {_count(len(entry.changes))} changed")
    say(f"Undo takes back next: {captions.can_undo or 'nothing'}; redo makes again: {captions.can_redo or 'nothing'}")
    _say_zip(archive)


def _zip(folder: Path, no_zip: bool) -> Path | None:
    from animeset_lib.published.publish import refresh_zip

    return None if no_zip else refresh_zip(folder)


def _say_zip(archive: Path | None) -> None:
    say("The zip is as it was (--no-zip)." if archive is None else f"Zip:  {archive}")


def _print_change(change: Change) -> None:
    """One line: tags that went as `[-tag-]`, those that came as `{+tag+}`, in a terminal red and green as well."""
    from animeset_lib.published.edits import difference

    marks = {"same": ("{}", ""), "gone": ("[-{}-]", "red"), "new": ("{{+{}+}}", "green")}
    line = Text(f"  {PurePosixPath(change.image).stem}  ")
    parts = difference(change.before, change.after)
    for number, (kind, tag) in enumerate(parts):
        form, style = marks[kind]
        line.append(", " if number else "")
        line.append(form.format(tag), style)
    if all(kind == "same" for kind, _ in parts):
        line.append(f"  (was {json.dumps(change.before, ensure_ascii=False)})")
    console.print(line, soft_wrap=True)


def _short(words: str) -> str:
    return words if len(words) <= _WORDS else words[: _WORDS - 1].rstrip(" ,") + "…"


def _count(number: int) -> str:
    return f"{number} caption{'' if number == 1 else 's'}"


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
        return CaptionSettings.model_validate({**run.model_dump(), **_assigned(given)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(["caption", *(str(part) for part in first["loc"])])
        raise SettingsError(
            f"{place}: {first['msg'].removeprefix('Value error, ')} (the settings of the run, with those given here)"
        ) from error


def _assigned(settings: CaptionSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.model_fields_set}
