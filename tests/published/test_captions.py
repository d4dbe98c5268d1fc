"""Editing published captions: the rules of a caption, previews, undo, crashes, two windows at once, and folders that are not as we left them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.errors import AnimesetError, BusyError, InputError, SpaceError
from animeset_lib.published import captions as module
from animeset_lib.published import edits as edits_module
from animeset_lib.published import publish as publish_module
from animeset_lib.published.captions import (
    CaptionSet,
)
from animeset_lib.published.edit_log import EditLog
from animeset_lib.published.edits import (
    AddTags,
    Change,
    Edit,
    Recaption,
    RemoveTags,
    ReplacePattern,
    ReplaceTag,
    RestoreCaptions,
    Selection,
    SetCaption,
    TidyCaptions,
    difference,
    tag_key,
    tags_of,
    tidy_caption,
)
from animeset_lib.published.kept import KeptCaptions
from animeset_lib.published.publish import HandWork, changed_files, publish
from animeset_lib.records import Film
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.line import write_caption
from animeset_lib.words.trait_choices import TraitChoices
from animeset_lib.words.traits import TraitChoice

FILM = Film(id="0123456789ab", name="Film", source_name="Film.mkv", kind="video", width=64, height=36)
CAPTIONS = {
    "hero_0001": "hero, 1girl, long_hair, smile",
    "hero_0002": "hero, 1girl, long hair, indoors",
    "レム_0001": "レム, 1girl, blue_hair",
}
LOG = "Film-0123456789ab.edits.jsonl"


def image(stem: str) -> str:
    character = stem.rpartition("_")[0]
    return f"{character}/dataset/images/{stem}.png"


def text_file(folder: Path, stem: str) -> Path:
    return folder / stem.rpartition("_")[0] / "dataset" / "captions" / f"{stem}.txt"


def published(
    root: Path,
    captions: Mapping[str, str],
    tags: Mapping[str, Sequence[str]] | None = None,
    hand: HandWork | None = None,
) -> Path:
    """A film folder as a run leaves it: published through `publish`, with the metadata keys and spelling of stage 7."""
    tree = root / "tree"
    for stem, caption in captions.items():
        picture = tree / image(stem)
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"picture " + stem.encode())
        caption_file = text_file(tree, stem)
        caption_file.parent.mkdir(parents=True, exist_ok=True)
        caption_file.write_text(caption + "\n", encoding="utf-8", newline="\n")
        character = stem.rpartition("_")[0]
        row = {
            "file_name": f"dataset/images/{stem}.png",
            "text": caption,
            "crop": f"crop-{stem}",
            "tags": caption.split(", ")[1:] if tags is None else tags[stem],
            "outfit": "school_uniform",
            "emotion": "happy",
            "background": "indoors",
            "framing": "face",
            "time_ms": 5917,
            "quality": 0.2611,
            "box": [134.0, 55.0, 282.0, 203.0],
        }
        with (tree / character / "metadata.jsonl").open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return publish(tree, root / "output", FILM, "key", {}, lambda: None, hand).folder


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return published(tmp_path, CAPTIONS)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the folder; no caption and an empty one are the same."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in found.items() if content or not name.endswith(".txt")}


def captions_of(folder: Path) -> dict[str, str]:
    return {Path(picture.image).stem: picture.caption for picture in CaptionSet(folder).pictures()}


def journal(folder: Path) -> list[dict[str, object]]:
    """The lines of the film's log; it lies beside the folder."""
    path = folder.with_name(LOG)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] if path.exists() else []


def make(captions: CaptionSet, edit: Edit, words: str = "an edit") -> None:
    captions.apply(captions.plan(edit), words)


# What is read


def test_pictures_come_with_caption_and_metadata(film: Path) -> None:
    pictures = CaptionSet(film).pictures()
    assert [(p.character, p.image, p.caption) for p in pictures] == [
        ("hero", "hero/dataset/images/hero_0001.png", "hero, 1girl, long_hair, smile"),
        ("hero", "hero/dataset/images/hero_0002.png", "hero, 1girl, long hair, indoors"),
        ("レム", "レム/dataset/images/レム_0001.png", "レム, 1girl, blue_hair"),
    ]
    assert {
        (*map(p.said, ("outfit", "emotion", "background", "framing")), p.time_ms, p.edited, p.problem) for p in pictures
    } == {("school_uniform", "happy", "indoors", "face", 5917, False, "")}


@pytest.mark.parametrize(
    ("content", "caption", "problem"),
    [
        (None, "", "there is no caption file"),
        (b"", "", "the caption file is empty"),
        (b"hero, M\xfcller\n", "hero, M�ller", "the caption is not UTF-8"),
        (b"hero\nsmile\n", "hero\nsmile", "the caption has more than one line"),
        (b"\xef\xbb\xbfhero, smile\r\n", "hero, smile", ""),
    ],
)
def test_a_caption_file_that_is_not_as_we_left_it(
    film: Path, content: bytes | None, caption: str, problem: str
) -> None:
    path = text_file(film, "hero_0001")
    path.unlink() if content is None else path.write_bytes(content)
    captions = CaptionSet(film)
    picture = captions.pictures()[0]
    assert (picture.caption, picture.problem, picture.edited) == (caption, problem, True)
    # Whatever it was: an edit makes it a caption, and undoing that gives it back byte for byte.
    before = contents(film)
    make(captions, AddTags("outdoors"))
    assert tidy_caption(path.read_text(encoding="utf-8")) + "\n" == path.read_bytes().decode()
    assert captions.pictures()[0].problem == ""
    captions.undo()
    assert contents(film) == before


@pytest.mark.parametrize("content", [None, b"not json\n[]\n{}\n", b"\xff\xfe\n", b'{"file_name": 3}\n'])
def test_metadata_that_cannot_be_read_is_a_problem_of_its_pictures_only(film: Path, content: bytes | None) -> None:
    path = film / "hero" / "metadata.jsonl"
    path.unlink() if content is None else path.write_bytes(content)
    captions = CaptionSet(film)
    hero, _, rem = captions.pictures()
    assert (hero.caption, hero.said("outfit"), hero.time_ms) == ("hero, 1girl, long_hair, smile", "unknown", None)
    assert hero.problem == "metadata.jsonl has no readable row for this picture"
    assert rem.problem == ""
    make(captions, AddTags("outdoors"))
    assert captions_of(film)["hero_0001"] == "hero, outdoors, 1girl, long_hair, smile"
    assert (path.read_bytes() if path.exists() else None) == content


def test_a_folder_that_is_no_published_film_is_refused(film: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        CaptionSet(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"without a readable animeset\.json"):
        CaptionSet(tmp_path)
    (film / "animeset.json").write_text("[]")
    with pytest.raises(InputError, match=r"without a readable animeset\.json"):
        CaptionSet(film)


def test_pictures_are_what_is_there_now(film: Path) -> None:
    captions = CaptionSet(film)
    (film / image("hero_0001")).unlink()
    (film / "hero/dataset/images/.hidden.png").write_bytes(b"")
    (film / "hero/dataset/images/notes.md").write_bytes(b"")
    assert [Path(p.image).stem for p in captions.pictures()] == ["hero_0002", "レム_0001"]


# Single edits

HERO = Selection(character="hero")
ONE = "hero_0001"


@pytest.mark.parametrize(
    ("before", "edit", "after"),
    [
        ("hero, smile", AddTags("outdoors"), "hero, outdoors, smile"),
        ("hero, smile", AddTags("outdoors", "end"), "hero, smile, outdoors"),
        ("hero, smile", AddTags(" b , a,, b", "end"), "hero, smile, b, a"),
        ("hero, long_hair", AddTags("Long  hair"), None),
        ("hero, long_hair", AddTags("long hair, wind"), "hero, wind, long_hair"),
        ("hero", AddTags("a,b"), "hero, a, b"),
        ("hero, smile, long hair", RemoveTags("LONG_HAIR"), "hero, smile"),
        ("hero, smile", RemoveTags("frown"), None),
        ("hero,  smile,, smile", RemoveTags("frown"), None),
        ("hero,  smile,, b", RemoveTags("b"), "hero, smile"),
        ("hero, smile, b", ReplaceTag("smile", "grin"), "hero, grin, b"),
        ("hero, smile, b", ReplaceTag("smile", "b"), "hero, b"),
        ("hero, smile, b", ReplaceTag("Smile", "x, y"), "hero, x, y, b"),
        ("hero, smile", ReplaceTag("hero", "h3ro"), "h3ro, smile"),
        ("hero, long_hair", ReplaceTag("long hair", "long hair"), "hero, long hair"),
        ("hero, smile", ReplacePattern("smil(e)", r"\1vil"), "hero, evil"),
        ("hero, a, b", ReplacePattern(", [ab]", ""), "hero"),
        ("hero, long_hair", ReplacePattern("_", " "), "hero, long hair"),
        ("hero, a, b", ReplacePattern("b", "a"), "hero, a"),
        ("hero, a", ReplacePattern("(?i)HERO", "x\n\ty"), "x, y, a"),
        ("hero, a", SetCaption(image(ONE), " girl \n with\ta  hat,,"), "girl, with a hat"),
        ("hero, a", SetCaption(image(ONE), "hero, a\n"), None),
        ("hero,a ,, A_", TidyCaptions(), "hero, a"),
        ("hero, (o)_(o), ^_^, ||_||", AddTags("b", "end"), "hero, (o)_(o), ^_^, ||_||, b"),
    ],
)
def test_one_edit(tmp_path: Path, before: str, edit: Edit, after: str | None) -> None:
    captions = CaptionSet(published(tmp_path, {ONE: before}))
    changes = captions.plan(edit)
    assert changes == ([] if after is None else [Change(image(ONE), before, after)])


@pytest.mark.parametrize(
    ("before", "edit", "sentence"),
    [
        ("hero, a", RemoveTags("a, HERO"), "trigger word, of hero_0001.png"),
        ("hero", RemoveTags("hero"), "trigger word"),
        ("hero, a", ReplacePattern("^hero, ", ""), "trigger word"),
        ("hero, a", ReplaceTag("hero", "a"), "trigger word"),
        ("hero, a", ReplacePattern(".*", ""), "would leave no caption for hero_0001.png"),
        ("hero, a", SetCaption(image(ONE), " ,\n_"), "would leave no caption"),
        ("hero, a", ReplacePattern("(", ""), "no regular expression that can be used: missing"),
        ("hero, a", ReplacePattern("a", r"\2"), "invalid group reference"),
        ("hero, a", ReplacePattern("a", r"\g<x>"), "unknown group"),
        ("hero, a", ReplaceTag("hero, a", "b"), "one tag can be replaced at a time, got 2"),
        ("hero, a", ReplaceTag("a", " ,"), "no tag to put in its place"),
        ("hero, a", AddTags(" "), "no tag to add"),
        ("hero, a", RemoveTags(""), "no tag to remove"),
        ("hero, a", AddTags("b", where=Selection(images=("x.png",))), "no such picture in Film: x.png"),
        ("hero, a", AddTags("b", where=Selection(character="villain")), "no character villain in Film; there are hero"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(tmp_path: Path, before: str, edit: Edit, sentence: str) -> None:
    folder = published(tmp_path, {ONE: before})
    untouched = contents(folder)
    with pytest.raises(InputError, match=re.escape(sentence)):
        CaptionSet(folder).plan(edit)
    assert contents(folder) == untouched


def test_a_pattern_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits_module, "_PATTERN_SECONDS", 0.5)
    captions = CaptionSet(published(tmp_path, {ONE: "hero, " + "a" * 40 + "!"}))
    with pytest.raises(InputError, match="tries too many ways"):
        captions.plan(ReplacePattern("(a|aa)+$", "b"))


@pytest.mark.parametrize(
    ("where", "changed"),
    [
        (Selection(), ["hero_0001", "hero_0002", "レム_0001"]),
        (HERO, ["hero_0001", "hero_0002"]),
        (Selection(images=(image("レム_0001"), image("hero_0002"))), ["hero_0002", "レム_0001"]),
        (Selection(images=(image("レム_0001"), image("hero_0002")), character="hero"), ["hero_0002"]),
        (Selection(images=()), []),
    ],
)
def test_an_edit_is_about_its_selection(film: Path, where: Selection, changed: list[str]) -> None:
    captions = CaptionSet(film)
    changes = captions.plan(AddTags("outdoors", where=where))
    assert [Path(change.image).stem for change in changes] == changed
    if changed:
        captions.apply(changes, "add outdoors")
    assert {stem for stem, text in captions_of(film).items() if "outdoors" in text} == set(changed)


def test_tags_added_to_a_missing_caption_follow_the_trigger_of_the_others(film: Path) -> None:
    captions = CaptionSet(film)
    make(captions, ReplaceTag("hero", "h3ro", HERO))
    text_file(film, "hero_0001").unlink()
    make(captions, AddTags("smile"))
    assert captions_of(film)["hero_0001"] == "h3ro, smile"


@pytest.mark.parametrize(
    ("where", "changed"),
    [
        (Selection(with_tags="long hair"), ["hero_0001", "hero_0002"]),
        (Selection(with_tags="Long_Hair, smile"), ["hero_0001"]),
        (Selection(without_tags="smile, indoors"), ["レム_0001"]),
        (Selection(with_tags="1girl", without_tags="smile"), ["hero_0002", "レム_0001"]),
        (Selection(character="hero", without_tags="smile"), ["hero_0002"]),
        (Selection(images=(image("hero_0002"),), with_tags="smile"), []),
        (Selection(with_tags=" , "), ["hero_0001", "hero_0002", "レム_0001"]),
    ],
)
def test_an_edit_is_about_pictures_with_these_tags_and_without_those(
    film: Path, where: Selection, changed: list[str]
) -> None:
    captions = CaptionSet(film)
    assert [Path(change.image).stem for change in captions.plan(AddTags("outdoors", where=where))] == changed
    assert [Path(picture.image).stem for picture in captions.select(where)] == changed


# The program's own captions


TAGGED = {
    "hero_0001": ["1girl", "solo", "long_hair", "blue_eyes", "smile"],
    "hero_0002": ["1girl", "short_hair", "blue_eyes", "indoors"],
    "レム_0001": ["1girl", "solo", "blue_hair", "smile"],
}
CORE = {"hero": ["long_hair", "blue_eyes"], "レム": ["blue_hair"]}
RUN = CaptionSettings()


def made_by_a_run(root: Path, pruned: Mapping[str, Collection[str]] | None = None) -> Path:
    """A published film whose captions are what `RUN` makes of `TAGGED`, as a run of the pipeline leaves it."""
    captions = {
        stem: write_caption(stem.rpartition("_")[0], tags, (pruned or {}).get(stem.rpartition("_")[0], ()), RUN)
        for stem, tags in TAGGED.items()
    }
    return published(root, captions, TAGGED, KeptCaptions(root / "output" / LOG, RUN))


def test_who_wrote_a_caption_is_said_and_undone_byte_for_byte(tmp_path: Path) -> None:
    folder = made_by_a_run(tmp_path)
    untouched = contents(folder)
    captions = CaptionSet(folder)
    before = {picture.image: picture for picture in captions.pictures()}
    assert {(p.edited, p.machine_text == p.caption) for p in before.values()} == {(False, True)}
    make(captions, SetCaption(image(ONE), "hero, mine"))
    make(captions, SetCaption(image(ONE), "hero, mine, again"))
    after = captions.pictures()[0]
    assert (after.caption, after.edited, after.machine_text) == ("hero, mine, again", True, before[after.image].caption)
    captions.undo()
    captions.undo()
    assert contents(folder) == untouched


def test_restoring_gives_the_program_s_captions_whoever_changed_them_and_is_an_edit(tmp_path: Path) -> None:
    folder = made_by_a_run(tmp_path)
    untouched = contents(folder)
    captions = CaptionSet(folder)
    make(captions, AddTags("outdoors"))
    text_file(folder, "hero_0002").write_text("by an editor")
    text_file(folder, "レム_0001").unlink()
    edited_so = contents(folder)
    make(captions, RestoreCaptions(HERO))
    assert captions_of(folder)["レム_0001"] == ""
    make(captions, RestoreCaptions())
    assert contents(folder) == untouched
    assert captions.plan(RestoreCaptions()) == []
    captions.undo()
    captions.undo()
    assert contents(folder) == edited_so


def test_a_caption_of_the_program_that_is_not_known_any_more_is_not_guessed(tmp_path: Path) -> None:
    folder = made_by_a_run(tmp_path)
    metadata = folder / "hero" / "metadata.jsonl"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace('"text": "hero, 1girl, solo', '"x": "'), "utf-8")
    text_file(folder, ONE).write_text("mine")
    captions = CaptionSet(folder)
    assert [picture.machine_text is None for picture in captions.pictures()] == [True, False, False]
    with pytest.raises(InputError, match=r"own caption of hero_0001\.png is not known"):
        captions.plan(RestoreCaptions())
    assert captions.plan(RestoreCaptions(Selection(character="レム"))) == []


def test_captions_written_anew_with_the_settings_of_the_run_are_those_of_the_run(tmp_path: Path) -> None:
    captions = CaptionSet(made_by_a_run(tmp_path))
    assert captions.plan(Recaption(RUN, CORE)) == []


@pytest.mark.parametrize(
    ("settings", "choices", "first", "third"),
    [
        (
            {"underscores": False},
            {},
            "hero, 1girl, solo, long hair, blue eyes, smile, anime style",
            "レム, 1girl, solo, blue hair, smile, anime style",
        ),
        (
            {"style": "", "template": "{people}, {charname}, {emotion}, portrait of a girl"},
            {},
            "1girl, solo, hero, smile, portrait_of_a_girl",
            "1girl, solo, レム, smile, portrait_of_a_girl",
        ),
        ({"core_traits": "drop"}, {}, "hero, 1girl, solo, smile, anime_style", "レム, 1girl, solo, smile, anime_style"),
        (
            {"core_traits": "drop"},
            {"hero": TraitChoice(policy="keep"), "レム": TraitChoice(always_drop=("smile",))},
            "hero, 1girl, solo, long_hair, blue_eyes, smile, anime_style",
            "レム, 1girl, solo, anime_style",
        ),
        (
            {"max_tags": 2, "style": "", "trigger": "ohwx {charname}", "template": "{trigger}, {people}, {emotion}"},
            {},
            "ohwx hero, 1girl, solo",
            "ohwx レム, 1girl, solo",
        ),
    ],
)
def test_captions_are_written_anew_without_the_film(
    tmp_path: Path, settings: dict[str, Any], choices: dict[str, TraitChoice], first: str, third: str
) -> None:
    folder = made_by_a_run(tmp_path)
    untouched = contents(folder)
    captions = CaptionSet(folder)
    make(captions, Recaption(CaptionSettings(**settings), CORE, TraitChoices(choices)))
    now = captions_of(folder)
    assert (now["hero_0001"], now["レム_0001"]) == (first, third)
    captions.undo()
    assert contents(folder) == untouched


def test_captions_by_hand_are_not_written_anew_unless_asked_for(tmp_path: Path) -> None:
    folder = made_by_a_run(tmp_path)
    captions = CaptionSet(folder)
    make(captions, SetCaption(image(ONE), "hero, mine"))
    text_file(folder, "hero_0002").write_text("hero, by an editor\n")
    make(captions, Recaption(replace(RUN, "a"), CORE))
    assert captions_of(folder) == {
        "hero_0001": "hero, mine",
        "hero_0002": "hero, by an editor",
        "レム_0001": "レム, 1girl, solo, blue_hair, smile, a",
    }
    # what a recaption wrote is nobody's hand: another one writes over it, also after undo and redo
    captions.undo()
    captions.redo()
    assert [picture.image for picture in captions.written_by_hand()] == [image(ONE), image("hero_0002")]
    make(captions, Recaption(replace(RUN, "b"), CORE))
    assert captions_of(folder)["レム_0001"] == "レム, 1girl, solo, blue_hair, smile, b"
    make(captions, SetCaption(image("レム_0001"), "レム, mine"))
    assert captions.plan(Recaption(replace(RUN, "c"), CORE)) == []
    make(captions, Recaption(replace(RUN, "d"), CORE, include_edited=True, where=HERO))
    assert captions_of(folder) == {
        "hero_0001": "hero, 1girl, solo, long_hair, blue_eyes, smile, d",
        "hero_0002": "hero, 1girl, short_hair, blue_eyes, indoors, d",
        "レム_0001": "レム, mine",
    }


def replace(settings: CaptionSettings, style: str) -> CaptionSettings:
    return settings.model_copy(update={"style": style})


def test_a_trigger_word_behind_other_tags_is_not_removed(tmp_path: Path) -> None:
    folder = made_by_a_run(tmp_path)
    for character in ("hero", "レム"):
        for path in (folder / character / "dataset" / "captions").glob("*.txt"):
            path.write_text(f"1girl, ohwx_{character}, smile\n", encoding="utf-8")
    (folder / "hero" / "traits.json").write_text('{"trigger": "ohwx hero"}')
    captions = CaptionSet(folder)
    with pytest.raises(InputError, match=r"or the trigger word, of hero_0001\.png"):
        captions.plan(RemoveTags("smile, ohwx hero"))
    # nobody says that it is one, and it is the other one's
    assert captions.plan(RemoveTags("ohwx_レム"))
    assert captions.plan(RemoveTags("ohwx hero", Selection(character="レム"))) == []
    # "after the trigger" is after it, where the template is known to put it behind others
    (folder / "hero" / "traits.json").write_text('{"trigger": "ohwx hero", "trigger_first": false}')
    after = {change.image.split("/")[0]: change.after for change in captions.plan(AddTags("hat"))}
    assert after == {"hero": "1girl, ohwx_hero, hat, smile", "レム": "1girl, hat, ohwx_レム, smile"}


@pytest.mark.parametrize("inside", ["hero", "hero/dataset", "hero/dataset/captions"])
def test_nothing_is_edited_behind_a_link_out_of_the_folder(film: Path, tmp_path: Path, inside: str) -> None:
    own = tmp_path / "own"
    (film / inside).rename(own)
    (film / inside).symlink_to(own)
    before = contents(own)
    make(CaptionSet(film), AddTags("outdoors"))
    assert contents(own) == before
    assert "hero" not in {picture.character for picture in CaptionSet(film).pictures()}


def test_a_row_that_no_file_can_hold_is_not_what_the_program_wrote(film: Path) -> None:
    rows = film / "hero" / "metadata.jsonl"
    rows.write_text("".join(f"{json.dumps({**json.loads(line), 'text': chr(0xD800)})}\n" for line in lines_of(rows)))
    assert {p.machine_text for p in CaptionSet(film).pictures() if p.character == "hero"} == {None}


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_a_history_that_cannot_be_read_is_said(film: Path) -> None:
    film.with_name(LOG).mkdir()
    with pytest.raises(AnimesetError, match=f"{LOG} cannot be read"):
        CaptionSet(film)


def test_core_traits_are_read_where_they_can_be(tmp_path: Path) -> None:
    folder = made_by_a_run(tmp_path)
    trait = {"category": "hair", "pictures": 3, "count": 3, "share": 1.0, "rest_share": None, "lift": None}
    traits = [{"tag": "long_hair", **trait, "core": True}, {"tag": "smile", **trait, "core": False}]
    (folder / "hero" / "traits.json").write_text(json.dumps({"traits": traits}))
    (folder / "レム" / "traits.json").write_text('{"traits": [{"tag": "x"}]}')
    assert CaptionSet(folder).core_traits() == {"hero": ["long_hair"]}


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("a, b", "a, c", [("same", "a"), ("gone", "b"), ("new", "c")]),
        ("a, b", "a, x, y, b", [("same", "a"), ("new", "x"), ("new", "y"), ("same", "b")]),
        ("", "a", [("new", "a")]),
        ("a,b\n", "a, b", [("same", "a"), ("same", "b")]),
        ("a, b, c", "c, a", [("new", "c"), ("same", "a"), ("gone", "b"), ("gone", "c")]),
    ],
)
def test_a_difference_is_told_tag_by_tag(before: str, after: str, parts: list[tuple[str, str]]) -> None:
    assert difference(before, after) == parts


# What is written


def test_an_edit_touches_the_captions_and_nothing_else(film: Path) -> None:
    before = contents(film)
    captions = CaptionSet(film)
    entry = captions.apply(captions.plan(RemoveTags("long hair")), "remove long hair")
    after = contents(film)
    assert {name for name in after if after[name] != before.get(name)} == {
        "hero/dataset/captions/hero_0001.txt",
        "hero/dataset/captions/hero_0002.txt",
    }
    assert after.keys() == before.keys()
    assert after["hero/dataset/captions/hero_0001.txt"] == b"hero, 1girl, smile\n"
    assert [change.image for change in entry.changes] == [image("hero_0001"), image("hero_0002")]
    assert [p.edited for p in captions.pictures()] == [True, True, False]
    assert changed_files(film) == set()  # the log answers for captions


def test_undo_and_redo_go_through_all_edits_byte_for_byte_and_survive_a_restart(film: Path) -> None:
    captions = CaptionSet(film)
    states = [contents(film)]
    for words, edit in (
        ("one", AddTags("outdoors")),
        ("two", RemoveTags("smile")),
        ("three", SetCaption(image("レム_0001"), "rem, Ümlaut 🎬")),
    ):
        make(captions, edit, words)
        states.append(contents(film))
    assert len({json.dumps(sorted(map(str, state.items()))) for state in states}) == 4
    for left in (2, 1, 0):
        captions = CaptionSet(film)
        assert captions.can_undo == ("one", "two", "three")[left]
        assert captions.undo().words == ("one", "two", "three")[left]
        assert contents(film) == states[left]
    assert CaptionSet(film).can_undo is None
    assert captions_of(film) == CAPTIONS
    for made in (1, 2, 3):
        captions = CaptionSet(film)
        assert captions.can_redo == ("one", "two", "three")[made - 1]
        captions.redo()
        assert contents(film) == states[made]
    assert captions.can_redo is None


def test_a_new_edit_ends_what_can_be_made_again_but_the_history_keeps_it(film: Path) -> None:
    captions = CaptionSet(film)
    make(captions, AddTags("a"), "add a")
    captions.undo()
    make(captions, AddTags("b"), "add b")
    assert (captions.can_undo, captions.can_redo) == ("add b", None)
    assert [(entry.words, entry.undone) for entry in captions.history()] == [("add a", True), ("add b", False)]
    assert [(line["number"], line["kind"]) for line in journal(film)] == [
        (1, "edit"),
        (1, "done"),
        (2, "undo"),
        (2, "done"),
        (3, "edit"),
        (3, "done"),
    ]


@pytest.mark.parametrize("kind", ["undo", "redo"])
def test_nothing_to_undo_or_redo_is_said(film: Path, kind: str) -> None:
    captions = CaptionSet(film)
    with pytest.raises(InputError, match=f"no caption edit to {kind}"):
        getattr(captions, kind)()


@pytest.mark.parametrize("kind", ["undo", "redo"])
@pytest.mark.parametrize("by_hand", ["my own words\n", None])
def test_undo_and_redo_never_write_over_what_somebody_has_changed_since(
    film: Path, kind: str, by_hand: str | None
) -> None:
    captions = CaptionSet(film)
    make(captions, AddTags("outdoors"), "add outdoors")
    if kind == "redo":
        captions.undo()
    path = text_file(film, "hero_0002")
    path.unlink() if by_hand is None else path.write_text(by_hand)
    state = contents(film)
    with pytest.raises(InputError, match=rf"cannot {kind} “add outdoors”: hero_0002.png was changed by hand since"):
        getattr(captions, kind)()
    assert contents(film) == state
    # what was changed outside is an edit like any other now, and undone first
    assert (captions.can_undo, captions.can_redo) == ("edited outside", None)
    captions.undo()
    assert captions.can_undo == ("add outdoors" if kind == "undo" else None)
    captions.redo()
    assert contents(film) == state


def test_a_preview_that_is_out_of_date_is_refused_whole(film: Path) -> None:
    here, there = CaptionSet(film), CaptionSet(film)
    changes = here.plan(AddTags("outdoors"))
    make(there, SetCaption(image("hero_0002"), "hero, rain"))
    state = contents(film)
    with pytest.raises(InputError, match=r"caption of hero_0002\.png was changed since this preview"):
        here.apply(changes, "add outdoors")
    assert contents(film) == state
    assert here.can_undo == "an edit"  # and what the other window did is known here


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([], "nothing to change"),
        ([Change(image(ONE), CAPTIONS[ONE], "")], "is no caption"),
        ([Change(image(ONE), CAPTIONS[ONE], "hero\nsmile")], "is no caption"),
        ([Change(image(ONE), CAPTIONS[ONE], "hero,, smile")], "is no caption"),
        ([Change(image(ONE), CAPTIONS[ONE], "hero, b, B")], "is no caption"),
        ([Change("hero/dataset/images/gone.png", "", "hero")], "no such picture in Film: gone.png"),
        ([Change("../x/dataset/images/hero_0001.png", "", "hero")], "no such picture"),
        ([Change(image(ONE), CAPTIONS[ONE], "a"), Change(image(ONE), CAPTIONS[ONE], "b")], "the same caption file"),
    ],
)
def test_changes_that_no_preview_gives_are_refused(film: Path, changes: list[Change], sentence: str) -> None:
    state = contents(film)
    with pytest.raises(InputError, match=sentence):
        CaptionSet(film).apply(changes, "x")
    assert contents(film) == state
    assert not film.with_name(LOG).exists()


def test_another_writer_is_waited_for_and_then_named(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_module.hold_folder.__wrapped__, "__defaults__", (0.1,))  # type: ignore[attr-defined]
    captions = CaptionSet(film)
    changes = captions.plan(AddTags("outdoors"))
    with FileLock(film.parent / ".locks" / "Film.lock"), pytest.raises(BusyError, match="editing or packing Film"):
        captions.apply(changes, "x")
    assert captions_of(film) == CAPTIONS
    captions.apply(changes, "x")
    assert captions_of(film) != CAPTIONS


def test_two_pictures_with_one_caption_file_are_one_change(film: Path) -> None:
    (film / "hero/dataset/images/hero_0001.jpg").write_bytes(b"the same stem")
    captions = CaptionSet(film)
    changes = captions.plan(AddTags("outdoors", where=HERO))
    assert [change.image for change in changes] == ["hero/dataset/images/hero_0001.jpg", image("hero_0002")]
    captions.apply(changes, "x")
    assert captions.pictures()[0].caption == captions.pictures()[1].caption == "hero, outdoors, 1girl, long_hair, smile"
    assert journal(film)[0]["changes"][0]["crop"] == "crop-hero_0001"  # type: ignore[index]


# Crashes


class Killed(BaseException):
    """As a kill: nothing catches it."""


def die_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """The n-th call of a function that changes the disk dies instead."""
    owner = module if name == "put_text" else EditLog
    real: Callable[..., object] = getattr(owner, name)
    calls = iter(range(1, 100))

    def dying(*args: object) -> object:
        if next(calls) == call:
            raise Killed
        return real(*args)

    monkeypatch.setattr(owner, name, dying)


CRASHES = [("put_text", 1), ("put_text", 2), ("put_text", 3), ("done", 1)]


@pytest.mark.parametrize(("name", "call"), CRASHES)
@pytest.mark.parametrize("turn", ["edit", "undo", "redo"])
def test_what_was_killed_after_its_journal_line_is_completed_when_opened(
    film: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int, turn: str
) -> None:
    captions = CaptionSet(film)
    untouched = contents(film)
    changes = captions.plan(AddTags("outdoors"))
    assert len(changes) == 3
    captions.apply(changes, "add outdoors")
    made = contents(film)
    captions.undo()
    if turn == "undo":
        captions.redo()
    start = contents(film)
    goal = untouched if turn == "undo" else made
    with monkeypatch.context() as patch:
        die_at(patch, name, call)
        with pytest.raises(Killed):
            captions.apply(changes, "add outdoors") if turn == "edit" else getattr(captions, turn)()
    assert (contents(film) == goal) == (name == "done")
    assert (contents(film) == start) == ((name, call) == CRASHES[0])
    assert journal(film)[-1]["kind"] == turn
    again = CaptionSet(film)
    assert contents(film) == goal
    assert (again.can_undo is None) == (turn == "undo")
    lines = journal(film)
    CaptionSet(film)
    assert journal(film) == lines  # completed once, not at every opening
    again.redo() if turn == "undo" else again.undo()
    assert contents(film) == (made if turn == "undo" else untouched)


def test_completing_leaves_a_caption_alone_that_was_changed_by_hand_meanwhile(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = CaptionSet(film)
    with monkeypatch.context() as patch:
        die_at(patch, "put_text", 2)
        with pytest.raises(Killed):
            make(captions, AddTags("outdoors"))
    text_file(film, "レム_0001").write_text("mine\n")
    assert captions_of(film) == {
        "hero_0001": "hero, outdoors, 1girl, long_hair, smile",
        "hero_0002": "hero, outdoors, 1girl, long hair, indoors",
        "レム_0001": "mine",
    }


def test_a_finished_edit_is_not_made_again_over_a_caption_that_was_put_back_by_hand(film: Path) -> None:
    make(CaptionSet(film), AddTags("outdoors"))
    text_file(film, ONE).write_text(CAPTIONS[ONE] + "\n")
    assert captions_of(film)[ONE] == CAPTIONS[ONE]


def test_the_next_edit_completes_an_interrupted_one_first(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = CaptionSet(film)
    with monkeypatch.context() as patch:
        die_at(patch, "put_text", 3)
        with pytest.raises(Killed):
            make(captions, AddTags("outdoors"), "first")
    make(captions, SetCaption(image(ONE), "hero, rain"), "second")
    assert "outdoors" in captions_of(film)["レム_0001"]
    assert [entry.words for entry in captions.history()] == ["first", "second"]


@pytest.mark.parametrize("torn", [b'{"number": 2, "kind": "edit", "chan', b"\x00\x00", b"[1]", b'{"kind": "undo"}'])
def test_a_torn_line_is_no_entry_and_spoils_no_later_one(film: Path, torn: bytes) -> None:
    captions = CaptionSet(film)
    make(captions, AddTags("a"), "add a")
    with film.with_name(LOG).open("ab") as file:
        file.write(torn)
    assert CaptionSet(film).can_undo == "add a"
    make(captions, AddTags("b"), "add b")
    assert [entry.words for entry in CaptionSet(film).history()] == ["add a", "add b"]
    captions.undo()
    captions.undo()
    assert captions_of(film) == CAPTIONS


@pytest.mark.parametrize(
    "name",
    [
        "dataset/images/../../../x.png",
        "../outside/dataset/images/x.png",
        "/etc/dataset/images/x.png",
        "C:/dataset/images/x.png",
        "",
    ],
)
def test_a_log_and_rows_from_elsewhere_reach_no_file_outside(film: Path, name: str) -> None:
    with (film / "hero" / "metadata.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"file_name": name, "text": "hero", "crop": "c"}) + "\n")
    change = {"crop": "c", "before": None, "after": "x\n", "trigger": "hero"}
    outside = {"crop": f"file:{name}", "before": None, "after": "x\n", "trigger": "hero"}
    line = {"number": 1, "kind": "edit", "changes": [change, outside]}
    film.with_name(LOG).write_text(json.dumps(line) + "\n")
    before = sorted(p.as_posix() for p in film.parent.rglob("*") if ".locks" not in p.parts)
    (entry,) = CaptionSet(film).history()
    assert [change.image for change in entry.changes] == ["c", f"file:{name}"]
    after = sorted(p.as_posix() for p in film.parent.rglob("*") if ".locks" not in p.parts)
    assert after == before
    assert captions_of(film) == CAPTIONS


@pytest.mark.parametrize(
    ("number", "kind", "sentence"),
    [(28, SpaceError, "1 of 3 captions are written"), (13, AnimesetError, "the interrupted edit is completed then")],
)
def test_a_disk_that_refuses_half_way_is_said_and_the_rest_follows(
    film: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], sentence: str
) -> None:
    captions = CaptionSet(film)
    real = module.put_text
    calls = iter(range(10))

    def full(path: Path, text: str) -> None:
        if next(calls) == 1:
            raise OSError(number, "the disk says no")
        real(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(module, "put_text", full)
        with pytest.raises(kind, match=sentence):
            make(captions, AddTags("outdoors"))
    assert sum("outdoors" in text for text in captions_of(film).values()) == 3


# The rules, for any text

texts = st.text(max_size=60) | st.lists(
    st.sampled_from(
        ["hero", "smile", "Long hair", "long_hair", ",", "\n", "\t", "_", " ", "\ufeff", "\ud800", "^_^", "ß", "SS"]
    ),
    max_size=12,
).map("".join)
tag_lists = st.lists(
    st.sampled_from(["a", "B", "long_hair", "smile", "x y"]) | st.text(max_size=8), min_size=1, max_size=3
).map(",".join)


def edits_for(images: list[str]) -> st.SearchStrategy[Edit]:
    where = st.sampled_from([Selection(), HERO, Selection(images=tuple(images[:1]))])
    return st.one_of(
        st.builds(SetCaption, st.sampled_from(images), texts),
        st.builds(AddTags, tag_lists, st.sampled_from(["after_trigger", "end"]), where),
        st.builds(RemoveTags, tag_lists, where),
        st.builds(ReplaceTag, tag_lists, tag_lists, where),
        st.builds(TidyCaptions, where),
    )


def keeps_the_rules(caption: str) -> bool:
    tags = caption.split(", ")
    keys = [tag_key(tag) for tag in tags]
    return (
        caption.splitlines() == [caption]
        and "\t" not in caption
        and caption == caption.strip()
        and caption.encode("utf-8").decode() == caption
        and all(keys)
        and len(set(keys)) == len(keys)
        and not any("," in tag or tag != tag.strip() or "  " in tag for tag in tags)
    )


@given(texts)
def test_a_tidied_caption_keeps_the_rules_and_is_tidy(text: str) -> None:
    caption = tidy_caption(text)
    assert caption == "" or keeps_the_rules(caption)
    assert tidy_caption(caption) == caption
    assert {tag_key(tag) for tag in tags_of(text)} == {tag_key(tag) for tag in tags_of(caption)}


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("playground"), CAPTIONS)


@settings(deadline=None, max_examples=50)  # files are written to the disk
@given(data=st.data(), start=texts)
def test_any_edit_leaves_captions_that_keep_the_rules(playground: Path, data: st.DataObject, start: str) -> None:
    raw = start.encode("utf-8", "replace")
    text_file(playground, ONE).write_bytes(raw)
    captions = CaptionSet(playground)
    edit = data.draw(edits_for([image(ONE), image("レム_0001")]))
    try:
        changes = captions.plan(edit)
    except InputError as error:
        reason = str(error)
        assert re.search("no tag to|trigger word|one tag can be replaced|would leave no caption", reason)
        return
    first = {p.image: [tag_key(t) for t in tags_of(p.caption)[:1]] for p in captions.pictures()}
    for change in changes:
        assert keeps_the_rules(change.after)
        assert change.after != change.before
        if not isinstance(edit, SetCaption | ReplaceTag) and first[change.image]:
            assert tag_key(tags_of(change.after)[0]) == first[change.image][0]


@settings(deadline=None, max_examples=50)  # files are written to the disk
@given(data=st.data())
def test_undo_gives_every_byte_back_after_any_edits(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = published(tmp_path_factory.mktemp("any"), CAPTIONS)
    text_file(folder, ONE).write_bytes(data.draw(st.binary(max_size=20)))
    captions = CaptionSet(folder)
    states = [contents(folder)]
    for _ in range(data.draw(st.integers(1, 3))):
        try:
            changes = captions.plan(data.draw(edits_for([image(ONE), image("レム_0001")])))
        except InputError:
            continue
        if changes:
            captions.apply(changes, "x")
            states.append(contents(folder))
    for state in states[-2::-1]:
        captions.undo()
        assert contents(folder) == state
    for state in states[1:]:
        captions.redo()
        assert contents(folder) == state
