"""Captions that a person wrote and what later runs do with them: kept, following their picture, never written over, never lost."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from animeset_lib.errors import AnimesetError, BusyError
from animeset_lib.published import publish as publish_module
from animeset_lib.published.captions import CaptionSet
from animeset_lib.published.edit_log import CaptionChange, EditLog, Words
from animeset_lib.published.edits import (
    AddTags,
    Edit,
    Recaption,
    ReplacePattern,
    ReplaceTag,
    RestoreCaptions,
    SetCaption,
    tag_key,
    tags_of,
)
from animeset_lib.published.kept import KeptCaptions
from animeset_lib.published.publish import changed_files, hold_folder, publish
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.line import with_trigger
from tests.killing import COUNT, killed
from tests.published.small_world import FILM, FIRST, A, B, C, Pic, World, spaced


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.run(FIRST)
    return world


def by_editor(content: str | bytes) -> Callable[[World], None]:
    return lambda world: world.write(A, content)


def by_edit(edit: Edit) -> Callable[[World], None]:
    return lambda world: world.edit(edit)


# Kept


@pytest.mark.parametrize(
    "edit",
    [
        by_editor("hana, my own words\n"),
        by_editor("hana, no line end"),
        by_editor("hana, windows\r\n"),
        by_editor("hana ,  untidy,, smile,smile \n"),
        by_editor("ハナ, 笑顔 🎬, Ümlaut\n"),
        by_edit(SetCaption(A.image, "hana, rain")),
        by_edit(AddTags("outdoors")),
        by_edit(ReplacePattern("long_(hair)", r"very_long_\1")),
    ],
)
def test_a_caption_by_hand_is_kept_byte_for_byte_by_a_run_with_other_settings(
    world: World, edit: Callable[[World], None]
) -> None:
    edit(world)
    before = {pic: world.read(pic) for pic in FIRST}
    by_hand = [pic for pic in FIRST if before[pic] != f"{pic.caption}\n".encode()]
    result = world.run(spaced(FIRST))
    assert result.set_aside is None
    assert sorted(p.name for p in world.output.iterdir() if p.suffix != ".lock") == [
        *(".locks", "Film", "Film-0123456789ab.edits.jsonl", "Film.zip"),
    ]
    for pic in spaced(FIRST):
        mine = next((before[old] for old in by_hand if old.crop == pic.crop), None)
        assert world.read(pic) == (f"{pic.caption}\n".encode() if mine is None else mine)
        assert world.row(pic)["text"] == pic.caption  # metadata.jsonl is the program's
    assert world.keeping.kept.startswith(f"{len(by_hand)} caption{'' if len(by_hand) == 1 else 's'} edited by hand w")
    assert changed_files(world.folder) == set()
    pictures = {p.image: p for p in CaptionSet(world.folder).pictures()}
    assert {image for image, p in pictures.items() if p.edited} == {pic.image for pic in by_hand}
    assert [pictures[pic.image].machine_text for pic in spaced(FIRST)] == [pic.caption for pic in spaced(FIRST)]


def test_nothing_by_hand_leaves_no_store_and_says_nothing(world: World) -> None:
    world.run(spaced(FIRST))
    assert not world.log.exists()
    assert (world.keeping.kept, world.keeping.told) == ("", ())


def test_kept_over_many_runs_and_edited_again(world: World) -> None:
    world.write(A, "hana, one\n")
    world.run(FIRST)
    world.run(spaced(FIRST))
    assert world.read(A) == b"hana, one\n"
    world.edit(SetCaption(A.image, "hana, two"))
    world.write(B, "hana, three\n")
    result = world.run(FIRST)
    assert result.set_aside is None
    assert (world.read(A), world.read(B), world.read(C)) == (
        b"hana, two\n",
        b"hana, three\n",
        f"{C.caption}\n".encode(),
    )
    assert world.keeping.kept == "2 captions edited by hand were kept"


def test_an_edit_that_was_finished_in_a_text_editor_loses_nothing(world: World) -> None:
    world.edit(AddTags("outdoors"))
    world.write(A, "hana, finished by hand\n")
    assert world.run(spaced(FIRST)).set_aside is None
    assert world.read(A) == b"hana, finished by hand\n"


def test_captions_follow_their_pictures_through_numbers_and_names(world: World) -> None:
    world.write(A, "hana, first\n")
    world.write(B, "hana, second\n")
    new = (replace(B, number=1), replace(A, number=2), C, Pic("f-000000400-00-face", "hana", 3, "hana, new"))
    result = world.run(new)
    assert result.set_aside is None
    assert [world.read(pic) for pic in new] == [
        b"hana, second\n",
        b"hana, first\n",
        f"{C.caption}\n".encode(),
        b"hana, new\n",
    ]


def test_a_caption_waits_for_its_picture(world: World) -> None:
    world.write(A, "hana, waits\n")
    world.write(B, "hana, stays\n")
    result = world.run((replace(B, number=1), C))
    assert result.set_aside is None
    assert world.read(replace(B, number=1)) == b"hana, stays\n"
    assert world.keeping.kept == (
        f"1 caption edited by hand was kept; 1 belongs to a picture that is not in the new set and is remembered in {world.log}"
    )
    world.run((C,))
    assert world.keeping.kept.startswith(
        "2 captions edited by hand belong to pictures that are not in the new set and are"
    )
    world.run(spaced(FIRST))
    assert (world.read(A), world.read(B)) == (b"hana, waits\n", b"hana, stays\n")


def test_a_folder_that_was_thrown_away_gets_its_captions_back(world: World) -> None:
    world.write(A, "hana, mine\n")
    world.run(FIRST)
    for path in sorted(world.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    world.folder.rmdir()
    world.run(spaced(FIRST))
    assert world.read(A) == b"hana, mine\n"


# The program's again


@pytest.mark.parametrize("between", [True, False])
@pytest.mark.parametrize(
    "back",
    [
        lambda world: CaptionSet(world.folder).undo(),
        lambda world: world.edit(RestoreCaptions()),
        lambda world: world.write(A, f"{A.caption}\n"),
        lambda world: world.write(A, f"{A.caption}\r\n"),
    ],
)
def test_a_caption_put_back_is_the_programs_again(world: World, back: Callable[[World], object], between: bool) -> None:
    world.edit(SetCaption(A.image, "hana, mine"))
    if between:
        world.run(FIRST)
        assert (world.kept(), world.read(A)) == ({A.crop: "hana, mine\n"}, b"hana, mine\n")
    back(world)
    assert world.run(spaced(FIRST)).set_aside is None
    assert world.read(A) == b"hana, 1girl, long hair, smile\n"
    assert world.kept() == {}
    assert world.keeping.kept == ""


def test_restoring_after_a_run_gives_what_that_run_would_have_written(world: World) -> None:
    world.write(A, "hana, mine\n")
    world.run(spaced(FIRST))
    world.edit(RestoreCaptions())
    assert world.read(A) == b"hana, 1girl, long hair, smile\n"
    assert not any(picture.edited for picture in CaptionSet(world.folder).pictures())
    assert world.run(FIRST).set_aside is None
    assert world.read(A) == f"{A.caption}\n".encode()
    assert world.kept() == {}


def test_what_a_person_wrote_stays_also_when_the_program_once_wrote_the_same(world: World) -> None:
    world.write(A, "hana, 1girl, long hair, smile\n")
    world.run(spaced(FIRST))
    assert world.keeping.kept == "1 caption edited by hand was kept"
    world.run(FIRST)
    assert world.read(A) == b"hana, 1girl, long hair, smile\n"


def test_a_recaption_is_kept_until_a_run_writes_the_same_by_itself(world: World) -> None:
    spaces = {"template": "{charname}, {people}, {hair}, {eyes}, {emotion}, {background}", "underscores": False}
    world.edit(Recaption(CaptionSettings(**spaces), {}))
    new = tuple(replace(pic, caption=world.read(pic).decode().rstrip("\n")) for pic in FIRST)
    assert [pic.caption for pic in new] != [pic.caption for pic in FIRST]
    world.run(FIRST)
    assert [world.read(pic) for pic in FIRST] == [f"{pic.caption}\n".encode() for pic in new]
    assert world.keeping.kept == "3 captions edited by hand were kept"
    world.run(new)
    assert not any(picture.edited for picture in CaptionSet(world.folder).pictures())
    world.run(FIRST)
    assert [world.read(pic) for pic in FIRST] == [f"{pic.caption}\n".encode() for pic in FIRST]
    assert world.kept() == {}
    assert CaptionSet(world.folder).can_undo == "an edit"
    CaptionSet(world.folder).undo()
    assert [world.read(pic) for pic in FIRST] == [f"{pic.caption}\n".encode() for pic in FIRST]


def test_undoing_a_recaption_that_became_the_program_s_gives_back_what_a_person_wrote(world: World) -> None:
    world.edit(SetCaption(A.image, "hana, mine"))
    world.edit(Recaption(CaptionSettings(underscores=False), {}, include_edited=True))
    new = tuple(replace(pic, caption=world.read(pic).decode().rstrip("\n")) for pic in FIRST)
    world.run(new)
    world.run(FIRST)
    assert world.read(A) == f"{A.caption}\n".encode()
    CaptionSet(world.folder).undo()
    assert world.read(A) == b"hana, mine\n"
    assert world.kept() == {A.crop: "hana, mine\n"}


# Other names


def renamed(pictures: Iterable[Pic], names: dict[str, str]) -> tuple[Pic, ...]:
    """As after names were given on the cast board."""
    return tuple(
        replace(pic, character=new, caption=pic.caption.replace(pic.character, new, 1))
        for pic in pictures
        for new in [names.get(pic.character, pic.character)]
    )


@pytest.mark.parametrize(
    ("mine", "kept"),
    [
        ("hana, smile, rain\n", "mei_lin, smile, rain\n"),
        ("hana,smile ,rain\r\n", "mei_lin,smile ,rain\r\n"),
        ("Hana\n", "mei_lin\n"),
        ("1girl, hana, rain", "1girl, mei_lin, rain"),
        ("h4n4, smile\n", "h4n4, smile\n"),
        ("hanabi, smile\n", "hanabi, smile\n"),
        ("hana, Mei Lin, smile\n", "mei_lin, smile\n"),
        ("mei_lin, hana, smile\n", "mei_lin, smile\n"),
        ("hana, hana_smile\n", "mei_lin, hana_smile\n"),
    ],
)
def test_a_renamed_character_has_one_trigger_word(world: World, mine: str, kept: str) -> None:
    world.write(A, mine)
    result = world.run(renamed(FIRST, {"hana": "mei_lin"}))
    assert result.set_aside is None
    new = renamed([A], {"hana": "mei_lin"})[0]
    assert world.read(new) == kept.encode()
    assert world.row(new)["text"] == "mei_lin, 1girl, long_hair, smile"
    assert ("1 of them with the character's new trigger word" in world.keeping.kept) == (mine != kept)
    world.run(FIRST)
    assert world.read(A) == mine.encode()


def test_two_characters_that_change_names_change_triggers(world: World) -> None:
    world.write(A, "hana, mine\n")
    world.write(C, "レム, yours\n")
    swapped = renamed(FIRST, {"hana": "レム", "レム": "hana"})
    world.run(swapped)
    assert world.read(swapped[0]) == "レム, mine\n".encode()
    assert world.read(swapped[2]) == b"hana, yours\n"


def test_another_trigger_word_in_the_settings_is_a_new_name_too(world: World) -> None:
    world.write(A, "hana, mine\n")
    caption = {"template": "{trigger}, {people}", "trigger": "ohwx {charname}"}
    world.run([replace(A, caption="ohwx hana, 1girl")], caption)
    assert world.read(A) == b"ohwx hana, mine\n"
    world.run(FIRST)
    assert world.read(A) == b"hana, mine\n"


def test_two_trigger_words_in_one_set_are_told(world: World) -> None:
    world.edit(ReplaceTag("hana", "h4n4"))
    world.run(FIRST)
    assert world.keeping.told == ()  # all of them have it, so it is the one of the set
    world.run([*FIRST, Pic("f-000000400-00-face", "hana", 3, "hana, new")])
    (sentence,) = world.keeping.told
    assert sentence.startswith("hana: 2 captions by hand without the trigger word hana that the other 1 have; ")


tags = st.lists(
    st.sampled_from(["hana", "Mei Lin", "mei_lin", "smile", "long hair", "", " x "]) | st.text(max_size=5), max_size=6
)


@given(tags, st.sampled_from(["\n", "", "\r\n"]))
def test_a_new_trigger_changes_no_other_tag(parts: list[str], end: str) -> None:
    text = ",".join(part.replace("\n", "").replace("\r", "") for part in parts) + end
    new = with_trigger(text, "hana", "mei_lin")
    before, after = ([tag_key(tag) for tag in tags_of(line)] for line in (text, new))
    if "hana" not in before:
        assert new == text
        return
    assert after.count("mei lin") == 1
    assert [t for t in after if t != "mei lin"] == [t for t in before if t not in ("mei lin", "hana")]


# What is set aside


def _remove_picture(world: World) -> None:
    (world.folder / B.image).unlink()
    (world.folder / B.file).unlink()


def _change_metadata(world: World, key: str, value: object) -> None:
    path = world.folder / "hana" / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[1][key] = value
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda world: (world.folder / B.image).write_bytes(b"painted"), (B.image,)),
        (_remove_picture, (B.image,)),
        (lambda world: (world.folder / "hana" / "notes.txt").write_text("x"), ("hana/notes.txt",)),
        (lambda world: _change_metadata(world, "outfit", "dress"), ("hana/metadata.jsonl",)),
        (lambda world: (world.folder / "hana" / "metadata.jsonl").unlink(), ("hana/metadata.jsonl",)),
        (lambda world: (world.folder / "README.md").write_text("mine"), ("README.md",)),
    ],
)
def test_what_is_more_than_captions_is_set_aside_and_captions_are_kept_all_the_same(
    world: World, change: Callable[[World], object], names: tuple[str, ...]
) -> None:
    world.write(A, "hana, mine\n")
    CaptionSet(world.folder)
    change(world)
    left = {p.relative_to(world.folder): p.read_bytes() for p in world.folder.rglob("*") if p.is_file()}
    result = world.run(spaced(FIRST))
    assert result.set_aside == world.output / "Film.edited-1"
    assert result.by_hand == names
    assert {p.relative_to(result.set_aside): p.read_bytes() for p in result.set_aside.rglob("*") if p.is_file()} == left
    assert world.read(A) == b"hana, mine\n"
    assert world.read(B) == b"hana, 1girl, long hair, indoors\n"
    assert world.keeping.told == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hana, M\xfcller\n", "it is not UTF-8"),
        (b" , \n", "there is no tag in it"),
        (b"", "there is no tag in it"),
        (None, "there is no tag in it"),
    ],
)
def test_what_is_no_caption_gives_way_to_the_program_s_and_can_be_had_back(
    world: World, content: bytes | None, told: str
) -> None:
    (world.folder / B.file).unlink() if content is None else world.write(B, content)
    new = spaced(FIRST)
    assert world.run(new).set_aside is None
    assert world.read(B) == f"{new[1].caption}\n".encode()
    assert world.keeping.told == (f"{B.file} could not be taken over: {told}",)
    assert (world.kept(), world.keeping.kept) == ({}, "")
    CaptionSet(world.folder).undo()
    assert world.read(B) == (content or b"")


def test_a_row_that_somebody_changed_takes_nothing_from_the_caption(world: World) -> None:
    _change_metadata(world, "text", "another sentence")
    assert world.run(spaced(FIRST)).by_hand == ("hana/metadata.jsonl",)
    assert world.read(B) == f"{B.caption}\n".encode()


def test_a_sentence_of_metadata_beside_a_caption_by_hand_is_not_lost(world: World) -> None:
    world.write(B, "hana, mine\n")
    world.run(FIRST)
    _change_metadata(world, "text", "another sentence")
    assert world.run(FIRST).by_hand == ("hana/metadata.jsonl",)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"hana\nsmile\nrain\n", b"hana, smile, rain\n"),
        (b"\xef\xbb\xbfhana, smile\n", b"hana, smile\n"),
        (b"hana, smile\n\n", b"hana, smile\n"),
    ],
)
def test_a_caption_that_a_trainer_would_misread_is_mended_and_that_is_said(
    world: World, content: bytes, line: bytes
) -> None:
    world.write(A, content)
    result = world.run(spaced(FIRST))
    assert result.set_aside is None
    assert world.read(A) == line
    assert world.keeping.told == (
        f"{A.file} had several lines or a byte order mark; made one plain line of it, as trainers need",
    )
    captions = CaptionSet(world.folder)
    assert [entry.words for entry in captions.history()] == ["edited outside", "mended for trainers (1)"]
    captions.undo()
    assert world.read(A) == content


def test_pictures_without_a_crop_id_are_left_out_and_named(world: World) -> None:
    _change_metadata(world, "crop", None)
    world.write(B, "hana, mine\n")
    assert world.run(FIRST).by_hand == ("hana/metadata.jsonl",)
    assert world.kept() == {"file:hana/hana_0002": "hana, mine\n"}
    assert world.keeping.kept == ""
    assert world.keeping.told == (f"{B.file} could not be taken over: its row in metadata.jsonl has no crop id",)


def test_a_row_from_elsewhere_reaches_no_file_outside(world: World, tmp_path: Path) -> None:
    (tmp_path / "output" / "secret.txt").write_text("hana, secret\n")
    row = {"file_name": "dataset/images/../../../../secret.png", "text": "x", "crop": "f"}
    tree = world.tree([A])
    with (tree / "hana" / "metadata.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    changes = [CaptionChange(crop, None, Words("hana, x\n", "hana")) for crop in ("f", "file:hana/../../secret")]
    EditLog(world.log).edit("x", [(change, "hana") for change in changes])
    before = (tmp_path / "output" / "secret.txt").read_bytes()
    keeping = KeptCaptions(world.log, CaptionSettings())
    keeping.lay_over(tree)
    assert keeping.kept.startswith("1 caption edited by hand belongs to a picture that is not in the new set")
    assert (tmp_path / "output" / "secret.txt").read_bytes() == before


# The history of edits


def test_edits_are_undone_after_a_run_where_their_pictures_are_the_same(world: World) -> None:
    world.edit(SetCaption(A.image, "hana, mine"))
    world.edit(AddTags("rain"))
    new = (*FIRST, Pic("f-000000400-00-face", "hana", 3, "hana, new"))
    world.run(new)
    captions = CaptionSet(world.folder)
    assert [entry.words for entry in captions.history()] == ["an edit", "an edit"]
    assert world.keeping.told == ()
    captions.undo()
    assert (world.read(A), world.read(C)) == (b"hana, mine\n", f"{C.caption}\n".encode())
    captions.undo()
    assert world.read(A) == f"{A.caption}\n".encode()
    assert not any(picture.edited for picture in captions.pictures())
    captions.redo()
    assert world.run(spaced(new)).set_aside is None
    assert world.read(A) == b"hana, mine\n"


@pytest.mark.parametrize(
    "new",
    [
        (replace(B, number=1), replace(A, number=2), C),
        (replace(B, number=1), C),
        spaced(FIRST),
        renamed(FIRST, {"hana": "mei_lin"}),
    ],
    ids=["another number", "not there", "another caption of the program", "another name"],
)
def test_the_history_lives_on_over_runs(world: World, new: tuple[Pic, ...]) -> None:
    world.edit(SetCaption(A.image, "hana, mine"))
    world.edit(SetCaption(A.image, "hana, mine, again"))
    world.run(new)
    assert world.keeping.told == ()
    captions = CaptionSet(world.folder)
    here = next((pic for pic in new if pic.crop == A.crop), None)
    name = "hana" if here is None else here.character

    def now() -> str | None:
        return None if here is None else world.read(here).decode()

    def expected(text: str) -> str | None:
        return None if here is None else text

    assert now() == expected(f"{name}, mine, again\n")
    captions.undo()
    assert now() == expected(f"{name}, mine\n")
    captions.undo()
    assert now() == expected("" if here is None else f"{here.caption}\n")
    assert [world.read(pic) for pic in new if pic.crop != A.crop] == [
        f"{pic.caption}\n".encode() for pic in new if pic.crop != A.crop
    ]
    captions.redo()
    assert now() == expected(f"{name}, mine\n")
    world.run(FIRST)
    assert world.read(A) == b"hana, mine\n"
    CaptionSet(world.folder).redo()
    assert world.read(A) == b"hana, mine, again\n"


def test_a_copy_of_a_picture_and_its_row_is_a_picture_of_its_own(world: World) -> None:
    copy = replace(A, number=9)
    for name, other in ((A.image, copy.image), (A.file, copy.file)):
        shutil.copyfile(world.folder / name, world.folder / other)
    metadata = world.folder / "hana" / "metadata.jsonl"
    row = json.dumps({**world.row(A), "file_name": copy.image.removeprefix("hana/")})
    metadata.write_text(metadata.read_text(encoding="utf-8") + row + "\n", encoding="utf-8")
    world.edit(SetCaption(copy.image, "hana, the copy"))
    world.edit(SetCaption(A.image, "hana, the first"))
    assert (world.read(A), world.read(copy)) == (b"hana, the first\n", b"hana, the copy\n")
    lines = world.log.read_bytes()
    CaptionSet(world.folder)
    assert world.log.read_bytes() == lines


def test_an_edit_that_was_interrupted_is_completed_before_it_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from animeset_lib.published import captions as captions_module

    class Killed(BaseException):
        pass

    def dying(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(captions_module, "put_text", dying)
        with pytest.raises(Killed):
            world.edit(AddTags("rain"))
    assert world.read(A) == f"{A.caption}\n".encode()
    result = world.run(FIRST)
    assert result.set_aside is None
    assert world.read(A) == b"hana, rain, 1girl, long_hair, smile\n"
    assert CaptionSet(world.folder).can_undo == "an edit"


# Two at once, and kills


def test_who_edits_while_a_run_publishes_waits_and_then_edits_the_new_set(world: World) -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Slow(KeptCaptions):
        def lay_over(self, tree: Path) -> None:
            entered.set()
            assert go_on.wait(20)
            super().lay_over(tree)

    keeping = Slow(world.log, CaptionSettings())
    tree = world.tree(FIRST)
    run = threading.Thread(target=lambda: publish(tree, world.output, FILM, "slow", {}, lambda: None, keeping))
    run.start()
    assert entered.wait(20)
    captions = CaptionSet(world.folder)
    changes = captions.plan(AddTags("rain"))
    edit = threading.Thread(target=lambda: captions.apply(changes, "rain"))
    edit.start()
    edit.join(0.3)
    assert edit.is_alive()  # it waits: between being taken in and the swap nothing may be written
    go_on.set()
    run.join(20)
    edit.join(20)
    assert world.read(A) == b"hana, rain, 1girl, long_hair, smile\n"
    assert CaptionSet(world.folder).can_undo == "rain"


def test_a_run_waits_for_who_is_editing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_module, "_SWAP_PATIENCE_S", 0.1)
    world.write(A, "hana, mine\n")
    with hold_folder(world.folder), pytest.raises(BusyError, match="editing or packing Film"):
        world.run(FIRST)
    assert world.read(A) == b"hana, mine\n"
    world.run(spaced(FIRST))
    assert world.read(A) == b"hana, mine\n"


@pytest.mark.forks
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process per kill")
def test_killed_anywhere_the_next_run_loses_nothing(tmp_path: Path, exhaustive: bool) -> None:
    start = World(tmp_path / "start")
    start.run(FIRST)
    start.edit(SetCaption(A.image, "hana, mine"))
    start.write(C, "レム, yours\n")

    def prepared(root: Path) -> World:
        shutil.copytree(start.root, root)
        return World(root)

    new = (*FIRST, Pic("f-000000400-00-face", "hana", 3, "hana, new"))

    def files(world: World) -> dict[str, bytes]:
        found = {p.relative_to(world.output).as_posix(): p for p in world.output.rglob("*") if p.is_file()}
        # the log says the time
        return {name: path.read_bytes() for name, path in found.items() if not name.endswith((".edits.jsonl", ".zip"))}

    clean = prepared(tmp_path / "clean")
    calls = killed(lambda: clean.run(new), COUNT)
    assert calls is not None
    assert calls > 15
    expected = files(clean)
    assert expected[f"Film/{A.file}"] == b"hana, mine\n"
    for at in range(1, calls + 1, 1 if exhaustive else 9):
        world = prepared(tmp_path / f"killed{at}")
        assert killed(lambda world=world: world.run(new), at) is None
        here = [path for path in (world.folder, world.output / ".Film.old") if path.is_dir()]
        assert here, f"after a kill at call {at} no version is there"
        world.run(new)
        now = files(world)
        assert now.keys() == expected.keys(), f"after a kill at call {at}"
        assert [name for name in now if now[name] != expected[name]] == [], f"after a kill at call {at}"
        assert world.kept() == clean.kept()
        words = [entry.words for entry in CaptionSet(world.folder).history()]
        assert words == ["an edit", "edited outside"], f"after a kill at call {at}"


# The log


def test_what_was_edited_outside_is_taken_in_once(world: World) -> None:
    world.write(A, "hana, mine\n")
    before = {p: p.read_bytes() for p in world.folder.rglob("*") if p.is_file()}
    CaptionSet(world.folder, reading=True)
    assert not world.log.exists()
    CaptionSet(world.folder)
    lines = world.log.read_bytes()
    CaptionSet(world.folder)
    assert world.log.read_bytes() == lines
    assert {p: p.read_bytes() for p in world.folder.rglob("*") if p.is_file()} == before
    edit, done = map(json.loads, lines.splitlines())
    change = {"crop": A.crop, "before": None, "after": "hana, mine\n", "trigger": "hana"}
    assert {**edit, "time": ""} == {
        **{"number": 1, "kind": "edit", "time": "", "words": "edited outside"},
        "changes": [change],
    }
    assert done == {"number": 1, "kind": "done"}


def test_lines_of_other_kinds_and_changes_of_other_things_are_passed_over(world: World) -> None:
    world.edit(SetCaption(A.image, "hana, mine"))
    with world.log.open("a") as file:
        file.write('{"number": 2, "kind": "note", "words": "later"}\n')
        file.write('{"number": 3, "kind": "edit", "words": "moved", "changes": [{"crop": "f", "to": "mika"}]}\n')
    captions = CaptionSet(world.folder)
    assert captions.can_undo == "an edit"
    captions.undo()
    assert world.read(A) == f"{A.caption}\n".encode()


@pytest.mark.parametrize("words", ["hana, two\n", "hana, M\udcfcller\n", "レム 🎬"])
def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    log = EditLog(tmp_path / "x.edits.jsonl")
    change = CaptionChange("a", None, Words(words, "hana")), "hana"
    log.done(log.edit("one", [change]).number)
    assert EditLog(log.path).history().captions == {"a": Words(words, "hana")}
    before = log.path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(AnimesetError, match=r"the disk of .* is full; no caption was changed"):
            log.edit("two", [change])
    assert log.path.read_bytes() == before


# For any edit


@hypothesis_settings(deadline=None, max_examples=20)  # files are written to the disk
@given(st.data())
def test_whatever_was_written_is_there_after_the_next_run(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    world = World(tmp_path_factory.mktemp("any"))
    world.run(FIRST)
    mine = {}
    for pic in FIRST:
        text = data.draw(st.none() | st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=30))
        if text is not None and tags_of(text) and not text.startswith("\ufeff"):
            mine[pic] = text
            world.write(pic, text)
    if data.draw(st.booleans()):
        world.edit(AddTags("added afterwards"))
        mine = {pic: world.read(pic).decode() for pic in FIRST if world.read(pic) != f"{pic.caption}\n".encode()}
    result = world.run(spaced(FIRST))
    assert result.set_aside is None
    for pic in spaced(FIRST):
        old = next(p for p in FIRST if p.crop == pic.crop)
        assert world.read(pic).decode() == mine.get(old, f"{pic.caption}\n")


TREES = (
    FIRST,
    spaced(FIRST),
    (replace(B, number=1), replace(A, number=2), C),
    renamed(FIRST, {"hana": "mei_lin"}),
    (C,),
)


@hypothesis_settings(deadline=None, max_examples=20)  # files are written to the disk
@given(st.data())
def test_whatever_was_edited_and_run_every_edit_is_undone(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    world = World(tmp_path_factory.mktemp("undone"))
    tree: tuple[Pic, ...] = FIRST
    world.run(tree)
    states = []
    for step in data.draw(st.lists(st.sampled_from(["edit", "outside", *range(len(TREES))]), max_size=5)):
        if isinstance(step, int):
            tree = TREES[step]
            world.run(tree)
            continue
        before = world.kept()
        text = f"{tree[0].character}, {data.draw(st.sampled_from(['rain', 'snow', 'hana', 'Mei Lin']))}"
        made = len(CaptionSet(world.folder).history())
        if step == "outside":
            world.write(tree[0], text)
        elif CaptionSet(world.folder).plan(SetCaption(tree[0].image, text)):
            world.edit(SetCaption(tree[0].image, text))
        if len(CaptionSet(world.folder).history()) > made:
            states.append(before)
    captions = CaptionSet(world.folder)
    for state in reversed(states):
        captions.undo()
        assert world.kept() == state
    assert captions.can_undo is None
    assert {pic: world.read(pic).decode() for pic in tree} == {pic: f"{pic.caption}\n" for pic in tree}
