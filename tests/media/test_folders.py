"""Folders of pictures given as a film: what is meant by them, and what in them is not used."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from animeset_lib.errors import InputError
from animeset_lib.media import list_pictures, probe, read_image
from tests.film_maker import drawing


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith((".heic", ".jxl", ".txt")):
            (folder / name).write_bytes(b"something else")
        else:
            Image.fromarray(drawing(1)).save(folder / name)
    return folder


def test_jpeg_2000_is_read(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jp2")
    assert [path.name for path in list_pictures(tmp_path)] == ["a.jp2"]
    assert (read_image(tmp_path / "a.jp2") == drawing(1)).all()


def test_the_one_sub_folder_with_pictures_is_the_film(tmp_path: Path) -> None:
    pictures(
        tmp_path, "show/show/2.png", "show/show/10.png", "show/__MACOSX/._2.png", "show/notes/a.txt", "show/.old/a.png"
    )
    assert list_pictures(tmp_path / "show") == [tmp_path / "show" / "show" / name for name in ("2.png", "10.png")]
    film = probe(tmp_path / "show")
    assert (film.kind, film.name, film.notes) == ("pictures", "show", ())


def test_several_sub_folders_with_pictures_are_named(tmp_path: Path) -> None:
    pictures(tmp_path, "ep2/1.png", "ep10/1.png")
    with pytest.raises(InputError, match=r"lie in several sub-folders \(ep2, ep10\); give these one by one"):
        probe(tmp_path)


def test_sub_folders_beside_pictures_are_named(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "more/1.png", "sounds/a.txt")
    (note,) = probe(tmp_path).notes
    assert note == "not used: the pictures in the sub-folders more; give those as films of their own"


def test_kinds_that_are_not_read_are_named(tmp_path: Path) -> None:
    pictures(tmp_path, "a/1.heic", "a/2.heic", "a/1.jxl", "b/1.heic", "b/1.png", "b/1.txt")
    with pytest.raises(InputError, match=r"not read \(2 \.heic, 1 \.jxl\); save them as PNG or JPEG"):
        probe(tmp_path / "a")
    (note,) = probe(tmp_path / "b").notes
    assert note == "not used, for pictures of their kinds are not read: 1 .heic; save them as PNG or JPEG"
