"""Publishing: nothing of a person's is ever lost, the zip is what the folder is."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from animeset_lib.errors import AnimesetError, BusyError, CancelledError, InputError
from animeset_lib.pipeline import RunResult
from animeset_lib.published import publish as publish_module
from animeset_lib.published.publish import (
    changed_files,
    find_published,
    hold_folder,
    publish,
    published,
    published_folders,
    put_text,
    read_manifest,
    refresh_zip,
    tidy,
    zip_all,
)
from animeset_lib.records import Film

FILM = Film(id="0123456789ab", name="ßäü", source_name="ßäü 🎬.mkv", kind="video", width=64, height=36)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "hero" / "dataset").mkdir(parents=True)
    (folder / "hero" / "dataset" / "a.png").write_bytes(b"picture")
    (folder / "hero" / "dataset" / "a.txt").write_text("hero, smile\n", encoding="utf-8")
    return folder


def _publish(tree: Path, output: Path, key: str = "k1", film: Film = FILM) -> Path:
    return publish(tree, output, film, key, {}, lambda: None).folder


def test_zip_holds_the_folder_byte_for_byte_and_deterministically(tree: Path, tmp_path: Path) -> None:
    one, two = _publish(tree, tmp_path / "o1"), _publish(tree, tmp_path / "o2")
    first, second = (folder.with_name("ßäü.zip").read_bytes() for folder in (one, two))
    assert first == second
    with zipfile.ZipFile(one.with_name("ßäü.zip")) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    outside = {f"ßäü/{p.relative_to(one).as_posix()}": p.read_bytes() for p in one.rglob("*") if p.is_file()}
    assert inside == outside
    assert len(outside) == 3


def test_unedited_version_is_replaced_edited_one_is_moved_aside(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    folder = _publish(tree, output)
    assert _publish(tree, output, "k2") == folder
    assert sorted(p.name for p in output.iterdir()) == [".locks", "ßäü", "ßäü.zip"]
    (folder / "hero" / "dataset" / "a.txt").write_text("my own caption\n", encoding="utf-8")
    result = publish(tree, output, FILM, "k3", {}, lambda: None)
    assert result.set_aside is not None
    assert result.by_hand == ("hero/dataset/a.txt",)
    assert (result.set_aside / "hero" / "dataset" / "a.txt").read_text(encoding="utf-8") == "my own caption\n"
    assert (folder / "hero" / "dataset" / "a.txt").read_text(encoding="utf-8") == "hero, smile\n"


def test_a_folder_of_somebody_else_is_left_alone(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    (output / "ßäü").mkdir(parents=True)
    (output / "ßäü" / "mine.txt").write_text("mine")
    assert _publish(tree, output).name == "ßäü-0123456789ab"
    assert (output / "ßäü" / "mine.txt").read_text() == "mine"
    other = FILM.model_copy(update={"id": "ba9876543210"})
    assert _publish(tree, output, film=other).name == "ßäü-ba9876543210"
    (output / "ßäü-0123456789ab" / "animeset.json").unlink()
    with pytest.raises(AnimesetError, match="move one of them away"):
        _publish(tree, output)


def test_published_needs_folder_zip_and_equal_key(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    assert published(output, FILM, "k1") is None
    folder = _publish(tree, output)
    found = published(output, FILM, "k1")
    assert found is not None
    assert found.folder == folder
    assert published(output, FILM, "k2") is None
    folder.with_name("ßäü.zip").unlink()
    assert published(output, FILM, "k1") is None


def test_editing_a_published_file_does_not_reach_into_work(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    result = toy_run(tmp_path / "a", keep_work=True)
    picture = next(result.published.folder.glob("hero/dataset/images/hero_n0.png"))
    picture.write_text("painted over")
    work = next((tmp_path / "a" / "work").rglob("hero_n0.png"))
    assert work.read_text() != "painted over"


def test_a_zip_of_somebody_else_is_left_alone(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / "ßäü.zip").write_bytes(b"mine")
    assert _publish(tree, output).name == "ßäü-0123456789ab"
    assert (output / "ßäü.zip").read_bytes() == b"mine"


def test_a_zip_that_is_left_of_this_film_is_replaced(tree: Path, tmp_path: Path) -> None:
    folder = _publish(tree, tmp_path)
    shutil.rmtree(folder)
    assert _publish(tree, tmp_path) == folder


def test_a_published_file_that_went_missing_is_made_again(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    folder = toy_run(tmp_path / "a").published.folder
    (folder / "hero" / "dataset" / "images" / "hero_n0.png").unlink()
    again = toy_run(tmp_path / "a")
    assert not again.up_to_date
    assert again.characters == {"hero": 6}
    assert "edited-1" in again.notes[0]


def test_an_edited_set_is_left_as_it_is_and_this_is_said(toy_run: Callable[..., RunResult], tmp_path: Path) -> None:
    picture = toy_run(tmp_path / "a").published.folder / "hero" / "dataset" / "images" / "hero_n0.png"
    picture.write_text("better")
    again = toy_run(tmp_path / "a")
    assert again.up_to_date
    assert any("edited by hand" in note for note in again.notes)
    assert picture.read_text() == "better"


# What a person's work is carried over by


CAPTION = "hero/dataset/captions/a.txt"


@pytest.fixture
def captioned(tree: Path) -> Path:
    """The tree with a picture and its caption where those of sets are."""
    for name, content in ((CAPTION, b"hero, smile\n"), ("hero/dataset/images/a.png", b"picture")):
        (tree / name).parent.mkdir()
        (tree / name).write_bytes(content)
    return tree


class Hand:
    """Remembers the caption, and nothing else; notes what it was asked and whether the published folder was held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remembered: str | None = None
        self.asked: list[tuple[str, bool]] = []

    def take_in(self, folder: Path) -> None:
        assert folder == self.folder
        self.asked.append(("take in", _is_locked(folder)))
        self.remembered = (folder / CAPTION).read_text(encoding="utf-8")

    def lay_over(self, tree: Path) -> None:
        self.asked.append(("lay over", self.folder.exists() and _is_locked(self.folder)))
        if self.remembered is not None:
            (tree / CAPTION).write_text(self.remembered, encoding="utf-8")


def _is_locked(folder: Path) -> bool:
    try:
        with hold_folder(folder, 0):
            return False
    except BusyError:
        return True


def test_captions_are_part_of_the_new_version_and_set_nothing_aside(captioned: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    hand = Hand(output / "ßäü")
    folder = publish(captioned, output, FILM, "k1", {}, lambda: None, hand).folder
    assert hand.asked == [("lay over", False)]
    listed = {"hero/dataset/a.png", "hero/dataset/a.txt", "hero/dataset/images/a.png"}
    assert read_manifest(folder)["files"].keys() == listed
    assert read_manifest(folder).keys() == {"film", "source", "key", "settings", "files"}
    (folder / CAPTION).write_text("mine\n", encoding="utf-8")
    assert changed_files(folder) == set()
    result = publish(captioned, output, FILM, "k2", {}, lambda: None, hand)
    assert (result.set_aside, result.by_hand) == (None, ())
    assert hand.asked[1:] == [("take in", True), ("lay over", True)]
    assert (folder / CAPTION).read_text(encoding="utf-8") == "mine\n"
    assert (captioned / CAPTION).read_text(encoding="utf-8") == "hero, smile\n"
    assert published(output, FILM, "k2") is not None
    assert _packed(result.zip) == _visible(folder)


def test_all_but_captions_is_set_aside(captioned: Path, tmp_path: Path) -> None:
    hand = Hand(tmp_path / "ßäü")
    folder = publish(captioned, tmp_path, FILM, "k1", {}, lambda: None, hand).folder
    (folder / CAPTION).write_text("mine\n", encoding="utf-8")
    (folder / "hero" / "dataset" / "a.png").write_bytes(b"painted")
    (folder / "new.txt").write_text("added")
    lonely = "hero/dataset/captions/b.txt"  # of no picture, so no log answers for it
    (folder / lonely).write_text("added")
    assert changed_files(folder) == {"hero/dataset/a.png", "new.txt", lonely}
    result = publish(captioned, tmp_path, FILM, "k2", {}, lambda: None, hand)
    assert result.by_hand == ("hero/dataset/a.png", lonely, "new.txt")
    assert result.set_aside is not None
    assert (result.set_aside / "hero" / "dataset" / "a.png").read_bytes() == b"painted"
    assert (folder / CAPTION).read_text(encoding="utf-8") == "mine\n"


def test_a_version_that_was_moved_and_not_yet_replaced_comes_back(captioned: Path, tmp_path: Path) -> None:
    hand = Hand(tmp_path / "ßäü")
    folder = publish(captioned, tmp_path, FILM, "k1", {}, lambda: None, hand).folder
    (folder / CAPTION).write_text("mine\n", encoding="utf-8")
    moved = folder.with_name(".ßäü.old")
    folder.rename(moved)
    tidy(tmp_path, FILM.model_copy(update={"id": "ba9876543210"}))
    assert moved.exists()  # for it is not that film's
    assert not folder.exists()
    result = publish(captioned, tmp_path, FILM, "k2", {}, lambda: None, hand)
    assert result.set_aside is None
    assert (folder / CAPTION).read_text(encoding="utf-8") == "mine\n"
    assert not moved.exists()


@pytest.mark.parametrize("word", ["ßäü", "ß", "0123456789ab", "0123", "ßäü 🎬.mkv", "🎬"])
def test_a_published_film_is_found_by_any_of_its_names(tree: Path, tmp_path: Path, word: str) -> None:
    folder = _publish(tree, tmp_path)
    other = FILM.model_copy(update={"id": "ba9876543210", "name": "two", "source_name": "two.mkv"})
    two = _publish(tree, tmp_path, film=other)
    assert find_published(word, tmp_path) == folder
    assert find_published(str(two), tmp_path / "elsewhere") == two


def test_a_whole_name_wins_and_what_is_not_one_film_is_said(tree: Path, tmp_path: Path) -> None:
    folder = _publish(tree, tmp_path)
    _publish(tree, tmp_path, film=FILM.model_copy(update={"id": "ba9876543210", "name": "ßäü_2"}))
    assert find_published("ßäü", tmp_path) == folder
    with pytest.raises(InputError, match=r"several published films match 'ß' .* one of: ßäü, ßäü_2"):
        find_published("ß", tmp_path)
    for word in ("nothing", ""):
        with pytest.raises(InputError, match=f"no published film matches '{word}'"):
            find_published(word, tmp_path)


# Packing what was edited since


def _visible(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {path: path.relative_to(folder) for path in paths}
    return {f"{folder.name}/{n.as_posix()}": p.read_bytes() for p, n in names.items() if "/." not in f"/{n.as_posix()}"}


def _packed(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as file:
        assert len(set(file.namelist())) == len(file.namelist())
        return {name: file.read(name) for name in file.namelist()}


def _change_a_caption_unseen(folder: Path) -> None:
    """Another caption of the same length in a file of the same time."""
    caption = folder / "hero" / "dataset" / "a.txt"
    state = caption.stat()
    caption.write_text("hero, frown\n", encoding="utf-8")
    os.utime(caption, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert caption.stat().st_size == state.st_size


def _add_hidden(folder: Path) -> None:
    (folder / ".hidden").write_text("x")
    (folder / "hero" / ".folder").mkdir()
    (folder / "hero" / ".folder" / "inside.txt").write_text("x")


CHANGES: dict[str, Callable[[Path], object]] = {
    "caption": _change_a_caption_unseen,
    "picture": lambda folder: (folder / "hero" / "dataset" / "a.png").write_bytes(b"painted"),
    "added": lambda folder: (folder / "hero" / "ヒーロー.txt").write_text("note"),
    "removed": lambda folder: (folder / "hero" / "dataset" / "a.png").unlink(),
    "zip gone": lambda folder: folder.with_name("ßäü.zip").unlink(),
    "zip torn": lambda folder: os.truncate(folder.with_name("ßäü.zip"), 300),
    "zip of another": lambda folder: zipfile.ZipFile(folder.with_name("ßäü.zip"), "w").close(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_refreshed_zip_is_what_the_folder_is(tree: Path, tmp_path: Path, change: str) -> None:
    folder = _publish(tree, tmp_path / "output")
    archive = folder.with_name("ßäü.zip")
    CHANGES[change](folder)
    assert not archive.exists() or not zipfile.is_zipfile(archive) or _packed(archive) != _visible(folder)
    assert refresh_zip(folder) == archive
    assert _packed(archive) == _visible(folder)
    assert sorted(p.name for p in folder.parent.iterdir()) == [".locks", "ßäü", "ßäü.zip"]


def test_a_zip_that_is_current_is_left_alone_and_a_refreshed_one_is_what_publishing_makes(
    tree: Path, tmp_path: Path
) -> None:
    folder = _publish(tree, tmp_path / "output")
    archive = folder.with_name("ßäü.zip")
    made = archive.read_bytes()
    before = archive.stat()
    _add_hidden(folder)
    refresh_zip(folder)
    assert (archive.stat().st_ino, archive.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    archive.unlink()
    refresh_zip(folder)
    assert archive.read_bytes() == made


def test_a_refresh_that_fails_or_is_stopped_leaves_the_old_zip(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _publish(tree, tmp_path / "output")
    archive = folder.with_name("ßäü.zip")
    made = archive.read_bytes()
    _change_a_caption_unseen(folder)

    def stop() -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        refresh_zip(folder, stop)
    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "testzip", lambda self: "ßäü/hero/dataset/a.txt")
        with pytest.raises(AnimesetError, match="does not read back"):
            refresh_zip(folder)
    assert archive.read_bytes() == made
    assert sorted(p.name for p in folder.parent.iterdir()) == [".locks", "ßäü", "ßäü.zip"]


def test_refreshing_the_zip_of_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="is no published film"):
        refresh_zip(tmp_path / "mine")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_is_being_edited_is_not_packed(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _publish(tree, tmp_path)
    monkeypatch.setattr(publish_module.hold_folder.__wrapped__, "__defaults__", (0.1,))  # type: ignore[attr-defined]
    monkeypatch.setattr(publish_module, "_SWAP_PATIENCE_S", 0.1)
    with hold_folder(folder):
        for pack in (
            lambda: refresh_zip(folder),
            lambda: zip_all(tmp_path, tmp_path / "all.zip"),
            lambda: _publish(tree, tmp_path, "k2"),
        ):
            with pytest.raises(BusyError, match="editing or packing ßäü"):
                pack()
    assert not (tmp_path / "all.zip").exists()
    assert published(tmp_path, FILM, "k1") is not None


def test_the_zip_under_construction_of_a_live_process_is_not_tidied_away(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _publish(tree, tmp_path)
    monkeypatch.setattr(publish_module, "_SWAP_PATIENCE_S", 0.1)
    temporary = tmp_path / ".ßäü.zip.tmp"
    temporary.write_bytes(b"half")
    with hold_folder(folder), pytest.raises(BusyError):
        tidy(tmp_path, FILM)
    assert temporary.exists()
    tidy(tmp_path, FILM)
    assert not temporary.exists()


@pytest.mark.parametrize("raw", [b"", b"hero\r\n", "\ufeffレム".encode(), b"M\xfcller \xff\n"])
def test_text_is_put_back_byte_for_byte(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.txt"
    put_text(path, raw.decode("utf-8", "surrogateescape"))
    assert path.read_bytes() == raw
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_all_films_are_packed_into_one_zip(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    one = _publish(tree, output)
    two = _publish(tree, output, film=FILM.model_copy(update={"id": "ba9876543210", "name": "two"}))
    (output / "mine").mkdir()
    (output / "mine" / "note.txt").write_text("not ours")
    _add_hidden(two)
    put_text(one / "hero" / "dataset" / "a.txt", "hero, edited\n")
    seen: list[tuple[int, int]] = []
    target = zip_all(output, output / "animeset-all.zip", progress=lambda done, total: seen.append((done, total)))
    assert target == output / "animeset-all.zip"
    everything = {**_visible(one), **_visible(two)}
    assert _packed(target) == everything
    with zipfile.ZipFile(target) as file:
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
    total = sum(map(len, everything.values()))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (total, total)
    assert len(seen) == len(everything)
    # Made once more over the earlier one; neither that zip nor those of the films are packed into it.
    assert _packed(zip_all(output, target)) == everything
    assert published_folders(output) == [two, one]


def test_a_version_that_was_set_aside_is_packed_only_when_it_is_the_only_one(tree: Path, tmp_path: Path) -> None:
    folder = _publish(tree, tmp_path)
    _change_a_caption_unseen(folder)
    aside = publish(tree, tmp_path, FILM, "k2", {}, lambda: None).set_aside
    assert aside is not None
    assert published_folders(tmp_path) == [folder]
    shutil.rmtree(folder)
    assert published_folders(tmp_path) == [aside]
    assert _packed(zip_all(tmp_path, tmp_path / "all.zip")) == _visible(aside)


@pytest.mark.parametrize("name", ["ßäü.zip", "ßäü/all.zip"])
def test_a_zip_of_all_films_takes_no_film_s_place(tree: Path, tmp_path: Path, name: str) -> None:
    folder = _publish(tree, tmp_path)
    made = folder.with_name("ßäü.zip").read_bytes()
    with pytest.raises(InputError, match="belongs to the film ßäü"):
        zip_all(tmp_path, tmp_path / name)
    assert folder.with_name("ßäü.zip").read_bytes() == made


def test_no_film_to_pack_is_said(tmp_path: Path) -> None:
    for output in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="holds no published film"):
            zip_all(output, tmp_path / "all.zip")
    assert list(tmp_path.iterdir()) == []


def test_packing_all_that_is_stopped_leaves_the_earlier_zip(tree: Path, tmp_path: Path) -> None:
    folder = _publish(tree, tmp_path)
    target = zip_all(tmp_path, tmp_path / "all.zip")
    made = target.read_bytes()
    _change_a_caption_unseen(folder)
    asked = iter(range(10))

    def stop_at_the_second_file() -> None:
        if next(asked) == 1:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        zip_all(tmp_path, target, stop_at_the_second_file)
    assert target.read_bytes() == made
    assert sorted(p.name for p in tmp_path.iterdir()) == [".locks", "all.zip", "tree", "ßäü", "ßäü.zip"]
