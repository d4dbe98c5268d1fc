"""Captions that a person wrote and what later runs do with them: kept, following their picture, never written over, never lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from animeset_lib.errors import AnimesetError, BusyError, InputError
from animeset_lib.published import hand_captions as module
from animeset_lib.published import publish as publish_module
from animeset_lib.published.captions import (
    AddTags,
    CaptionSet,
    Edit,
    Recaption,
    ReplacePattern,
    ReplaceTag,
    RestoreCaptions,
    SetCaption,
    shown,
    tag_key,
    tags_of,
)
from animeset_lib.published.hand_captions import CaptionStore, HandCaption, KeptCaptions, harvest, overlay
from animeset_lib.published.publish import EDITS, changed_files, hold_folder, publish
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.line import with_trigger
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
        *(".locks", "Film", "Film-0123456789ab.captions.jsonl", "Film.zip"),
    ]
    for pic in spaced(FIRST):
        mine = next((before[old] for old in by_hand if old.crop == pic.crop), None)
        row = world.row(pic)
        if mine is None:
            assert world.read(pic) == f"{pic.caption}\n".encode()
            assert (row["text"], row["caption_by"], "machine_text" in row) == (pic.caption, "machine", False)
        else:
            assert world.read(pic) == mine
            assert (row["text"], row["caption_by"], row["machine_text"]) == (shown(mine.decode()), "hand", pic.caption)
        assert list(row)[:3] == ["file_name", "text", "caption_by"]
        assert (row["quality"], row["source_file"]) == (0.2611, None)
    assert world.keeping.kept.startswith(f"{len(by_hand)} caption{'' if len(by_hand) == 1 else 's'} edited by hand w")
    assert changed_files(world.folder) == set()
    pictures = {p.image: p for p in CaptionSet(world.folder).pictures()}
    assert {image for image, p in pictures.items() if p.edited} == {pic.image for pic in by_hand}
    assert [pictures[pic.image].machine_text for pic in spaced(FIRST)] == [pic.caption for pic in spaced(FIRST)]


def test_nothing_by_hand_leaves_no_store_and_says_nothing(world: World) -> None:
    world.run(spaced(FIRST))
    assert not world.store.path.exists()
    assert (world.keeping.kept, world.keeping.told) == ("", ())
    assert world.row(A)["caption_by"] == "machine"


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
        f"1 caption edited by hand was kept; 1 belongs to a picture that is not in the new set and is remembered in {world.store.path}"
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
        assert harvest(world.folder, world.store).by_hand == 1
        assert world.kept() == {A.crop: "hana, mine\n"}
    back(world)
    assert world.run(spaced(FIRST)).set_aside is None
    assert world.read(A) == b"hana, 1girl, long hair, smile\n"
    assert world.row(spaced([A])[0])["caption_by"] == "machine"
    assert world.kept() == {}
    assert world.keeping.kept == ""


def test_restoring_after_a_run_gives_what_that_run_would_have_written(world: World) -> None:
    world.write(A, "hana, mine\n")
    world.run(spaced(FIRST))
    world.edit(RestoreCaptions())
    assert world.read(A) == b"hana, 1girl, long hair, smile\n"
    assert (world.row(A)["caption_by"], "machine_text" in world.row(A)) == ("machine", False)
    assert not any(picture.edited for picture in CaptionSet(world.folder).pictures())
    assert world.run(FIRST).set_aside is None
    assert world.read(A) == f"{A.caption}\n".encode()
    assert world.kept() == {}


def test_what_a_person_wrote_stays_also_when_the_program_once_wrote_the_same(world: World) -> None:
    world.write(A, "hana, 1girl, long hair, smile\n")
    world.run(spaced(FIRST))
    assert (world.row(A)["caption_by"], world.keeping.kept) == ("machine", "1 caption edited by hand was kept")
    world.run(FIRST)
    assert world.read(A) == b"hana, 1girl, long hair, smile\n"
    assert world.row(A)["caption_by"] == "hand"


@pytest.mark.parametrize("between", [True, False])
def test_a_recaption_is_kept_until_a_run_writes_the_same_by_itself(world: World, between: bool) -> None:
    spaces = {"template": "{charname}, {people}, {hair}, {eyes}, {emotion}, {background}", "underscores": False}
    world.edit(Recaption(CaptionSettings(**spaces), {}))
    new = tuple(replace(pic, caption=shown(world.read(pic).decode())) for pic in FIRST)
    assert [pic.caption for pic in new] != [pic.caption for pic in FIRST]
    world.run(FIRST)
    assert [world.read(pic) for pic in FIRST] == [f"{pic.caption}\n".encode() for pic in new]
    assert world.keeping.kept == "3 captions edited by hand were kept"
    if between:
        (world.folder / EDITS).unlink()  # as after a run that could not carry the history over
    world.run(new)
    assert {world.row(pic)["caption_by"] for pic in new} == {"machine"}
    world.run(FIRST)
    assert [world.read(pic) for pic in FIRST] == [f"{pic.caption}\n".encode() for pic in FIRST]
    assert world.kept() == {}


# Other names


def renamed(pictures: Iterable[Pic], names: dict[str, str]) -> tuple[Pic, ...]:
    """As after names were given on the cast board."""
    return tuple(
        replace(pic, character=new, caption=pic.caption.replace(pic.character, new, 1))
        for pic in pictures
        for new in [names.get(pic.character, pic.character)]
    )


@pytest.mark.parametrize(
    ("mine", "kept", "back"),
    [
        ("hana, smile, rain\n", "mei_lin, smile, rain\n", "hana, smile, rain\n"),
        ("hana,smile ,rain\r\n", "mei_lin,smile ,rain\r\n", "hana,smile ,rain\r\n"),
        ("Hana\n", "mei_lin\n", "hana\n"),
        ("1girl, hana, rain", "1girl, mei_lin, rain", "1girl, hana, rain"),
        ("h4n4, smile\n", "h4n4, smile\n", "h4n4, smile\n"),
        ("hanabi, smile\n", "hanabi, smile\n", "hanabi, smile\n"),
        ("hana, Mei Lin, smile\n", "mei_lin, smile\n", "hana, smile\n"),
        ("mei_lin, hana, smile\n", "mei_lin, smile\n", "hana, smile\n"),
        ("hana, hana_smile\n", "mei_lin, hana_smile\n", "hana, hana_smile\n"),
    ],
)
def test_a_renamed_character_has_one_trigger_word(world: World, mine: str, kept: str, back: str) -> None:
    world.write(A, mine)
    result = world.run(renamed(FIRST, {"hana": "mei_lin"}))
    assert result.set_aside is None
    new = renamed([A], {"hana": "mei_lin"})[0]
    assert world.read(new) == kept.encode()
    assert world.row(new)["machine_text"] == "mei_lin, 1girl, long_hair, smile"
    assert ("1 of them with the character's new trigger word" in world.keeping.kept) == (mine != kept)
    world.run(FIRST)
    assert world.read(A) == back.encode()


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
    ("change", "names", "told"),
    [
        (lambda world: (world.folder / B.image).write_bytes(b"painted"), (B.image,), ""),
        (_remove_picture, (B.file, B.image), "it is not there any more"),
        (lambda world: (world.folder / "hana" / "notes.txt").write_text("x"), ("hana/notes.txt",), ""),
        (lambda world: world.write(B, b"hana, M\xfcller\n"), (B.file,), "it is not UTF-8"),
        (lambda world: world.write(B, " , \n"), (B.file,), "there is no tag in it"),
        (lambda world: world.write(B, ""), (B.file,), "there is no tag in it"),
        (lambda world: (world.folder / B.file).unlink(), (B.file,), "it is not there any more"),
        (lambda world: _change_metadata(world, "outfit", "dress"), ("hana/metadata.jsonl",), ""),
        (lambda world: _change_metadata(world, "text", "another sentence"), ("hana/metadata.jsonl",), ""),
        (lambda world: (world.folder / "hana" / "metadata.jsonl").unlink(), (A.file, "hana/metadata.jsonl"), ""),
        (lambda world: (world.folder / "README.md").write_text("mine"), ("README.md",), ""),
    ],
)
def test_what_is_more_than_captions_is_set_aside_and_captions_are_kept_all_the_same(
    world: World, change: Callable[[World], object], names: tuple[str, ...], told: str
) -> None:
    world.write(A, "hana, mine\n")
    harvest(world.folder, world.store)
    change(world)
    left = {p.relative_to(world.folder): p.read_bytes() for p in world.folder.rglob("*") if p.is_file()}
    result = world.run(spaced(FIRST))
    assert result.set_aside == world.output / "Film.edited-1"
    assert result.by_hand == names
    assert {p.relative_to(result.set_aside): p.read_bytes() for p in result.set_aside.rglob("*") if p.is_file()} == left
    assert world.read(A) == b"hana, mine\n"
    assert world.read(B) == b"hana, 1girl, long hair, indoors\n"
    assert [B.file in sentence and told in sentence for sentence in world.keeping.told] == ([True] if told else [])


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


def test_pictures_without_a_crop_id_are_left_out_and_named(world: World) -> None:
    _change_metadata(world, "crop", None)
    world.write(B, "hana, mine\n")
    world.run(FIRST)
    assert world.kept() == {}
    assert world.keeping.told == (f"{B.file} could not be taken over: its row in metadata.jsonl has no crop id",)


def test_a_row_from_elsewhere_reaches_no_file_outside(world: World, tmp_path: Path) -> None:
    (tmp_path / "output" / "secret.txt").write_text("hana, secret\n")
    row = {"file_name": "dataset/images/../../../../secret.png", "text": "x", "crop": "f"}
    tree = world.tree([A])
    with (tree / "hana" / "metadata.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    world.store.add([HandCaption("f", "set", "hana, x\n", "hana")])
    before = (tmp_path / "output" / "secret.txt").read_bytes()
    done = overlay(tree, world.store, CaptionSettings())
    assert (done.kept, done.waiting, done.changed) == (0, 1, {"hana/metadata.jsonl"})
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
    ("new", "why"),
    [
        ((replace(B, number=1), replace(A, number=2), C), "another number"),
        ((replace(B, number=1), C), "not there"),
        (spaced(FIRST), "another caption of the program"),
        (renamed(FIRST, {"hana": "mei"}), "another name"),
    ],
)
def test_a_history_that_would_undo_something_else_begins_anew(world: World, new: tuple[Pic, ...], why: str) -> None:
    world.edit(SetCaption(A.image, "hana, mine"))
    world.run(new)
    assert not (world.folder / EDITS).exists(), why
    assert CaptionSet(world.folder).can_undo is None
    assert [A.image in sentence and "begins anew" in sentence for sentence in world.keeping.told] == [True]
    assert world.kept() == {A.crop: "hana, mine\n"}


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
        def overlay(self, tree: Path, earlier: Path | None) -> Any:
            entered.set()
            assert go_on.wait(20)
            return super().overlay(tree, earlier)

    keeping = Slow(world.store.path, CaptionSettings())
    tree = world.tree(FIRST)
    run = threading.Thread(target=lambda: publish(tree, world.output, FILM, "slow", {}, lambda: None, keeping))
    run.start()
    assert entered.wait(20)
    captions = CaptionSet(world.folder)
    changes = captions.plan(AddTags("rain"))
    edit = threading.Thread(target=lambda: captions.apply(changes, "rain"))
    edit.start()
    edit.join(0.3)
    assert edit.is_alive()  # it waits: between harvest and swap nothing may be written
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process per kill")
@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_killed_anywhere_the_next_run_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    # the system itself is not killed, so nothing need reach the disk; the calls are counted all the same
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    start = World(tmp_path / "start")
    start.run(FIRST)
    start.edit(SetCaption(A.image, "hana, mine"))
    start.write(C, "レム, yours\n")

    def prepared(root: Path) -> World:
        shutil.copytree(start.root, root)
        return World(root)

    new = (*FIRST, Pic("f-000000400-00-face", "hana", 3, "hana, new"))

    def run_killed(world: World, at: int) -> int:
        """The run in a process that is killed at a call that changes the disk; the number of such calls."""
        pid = os.fork()
        if pid == 0:
            seen = 0

            def watched(original: Callable[..., Any]) -> Callable[..., Any]:
                def call(*args: Any, **kwargs: Any) -> Any:
                    nonlocal seen
                    seen += 1
                    if seen == at:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return original(*args, **kwargs)

                return call

            for name in ("replace", "rename", "unlink", "rmdir", "fsync"):
                setattr(os, name, watched(getattr(os, name)))
            try:
                world.run(new)
            except BaseException:
                os._exit(99)
            sys.stdout.flush()
            os._exit(min(seen, 98))
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def files(world: World) -> dict[str, bytes]:
        found = {p.relative_to(world.output).as_posix(): p for p in world.output.rglob("*") if p.is_file()}
        # the history and the store say the time
        return {
            name: path.read_bytes()
            for name, path in found.items()
            if not name.endswith((EDITS, ".captions.jsonl", ".zip"))
        }

    clean = prepared(tmp_path / "clean")
    calls = run_killed(clean, 0)
    assert 15 < calls < 98
    expected = files(clean)
    assert expected[f"Film/{A.file}"] == b"hana, mine\n"
    for at in range(1, calls + 1, every):
        world = prepared(tmp_path / f"killed{at}")
        assert run_killed(world, at) == -signal.SIGKILL
        here = [path for path in (world.folder, world.output / ".Film.old") if path.is_dir()]
        assert here, f"after a kill at call {at} no version is there"
        world.run(new)
        now = files(world)
        assert now.keys() == expected.keys(), f"after a kill at call {at}"
        assert [name for name in now if now[name] != expected[name]] == [], f"after a kill at call {at}"
        assert world.store.read() == clean.store.read()
        assert CaptionSet(world.folder).can_undo == "an edit", f"after a kill at call {at}"


# The store


def test_a_harvest_is_made_once(world: World) -> None:
    world.write(A, "hana, mine\n")
    first = harvest(world.folder, world.store)
    lines = world.store.path.read_bytes()
    assert harvest(world.folder, world.store) == first
    assert world.store.path.read_bytes() == lines
    assert first.by_hand == 1
    assert {A.file, B.file, C.file, "hana/metadata.jsonl", "レム/metadata.jsonl"} == first.remembered
    (row,) = map(json.loads, lines.splitlines())
    assert {**row, "time": ""} == {"crop": A.crop, "kind": "set", "text": "hana, mine\n", "trigger": "hana", "time": ""}


def test_a_harvest_changes_nothing_in_the_folder(world: World) -> None:
    world.write(A, b"\xff")
    world.write(B, "two\nlines\n")
    before = {p: p.read_bytes() for p in world.folder.rglob("*") if p.is_file()}
    harvest(world.folder, world.store)
    assert {p: p.read_bytes() for p in world.folder.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    "torn",
    [b'{"crop": "f", "kind": "se', b"\x00\xff", b"[1]", b'{"crop": 3}', b'{"crop": "f", "kind": "set", "text": ""}'],
)
def test_a_torn_line_is_passed_over_and_spoils_no_later_one(tmp_path: Path, torn: bytes) -> None:
    store = CaptionStore(tmp_path / "x.captions.jsonl")
    store.add([HandCaption("a", "set", "one\n", "t")])
    with store.path.open("ab") as file:
        file.write(torn)
    assert store.read() == {"a": HandCaption("a", "set", "one\n", "t")}
    store.add([HandCaption("b", "set", "レム 🎬", "t"), HandCaption("a", "machine")])
    assert store.read() == {"a": HandCaption("a", "machine"), "b": HandCaption("b", "set", "レム 🎬", "t")}
    assert "レム".encode() in store.path.read_bytes()
    lines = store.path.read_bytes().count(b"\n")
    store.add([HandCaption("a", "machine")])
    assert store.path.read_bytes().count(b"\n") == lines


def test_a_store_that_cannot_be_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.1)
    store = CaptionStore(tmp_path / "x.captions.jsonl")
    with (
        FileLock(tmp_path / ".x.captions.jsonl.lock"),
        pytest.raises(BusyError, match="no caption was kept, try again"),
    ):
        store.add([HandCaption("a", "machine")])
    assert not store.path.exists()
    store.path.mkdir()
    with pytest.raises(AnimesetError, match="cannot read the captions kept in"):
        store.read()


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CaptionStore(tmp_path / "x.captions.jsonl")
    store.add([HandCaption("a", "set", "one\n", "t")])
    before = store.path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(AnimesetError, match=r"the disk of .* is full, so no caption was kept"):
            store.add([HandCaption("b", "set", "two\n", "t")])
    assert store.path.read_bytes() == before


def test_a_folder_that_is_no_published_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no published film"):
        harvest(tmp_path, CaptionStore(tmp_path / "x"))


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
