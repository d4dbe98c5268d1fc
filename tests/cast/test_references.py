"""Reference pictures: which are found, and what of the folder is not used."""

from __future__ import annotations

from pathlib import Path

from animeset_lib.cast.references import find_references, overlooked_references
from animeset_lib.media import PICTURE_SUFFIXES


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_every_kind_of_picture_that_is_read_is_a_reference(tmp_path: Path) -> None:
    names = sorted(f"rem/a{suffix}" for suffix in PICTURE_SUFFIXES)
    files(tmp_path, *names, "ram/A.JFIF", "ram/b.txt", "ram/.c.png")
    assert find_references(tmp_path) == {"rem": [tmp_path / name for name in names], "ram": [tmp_path / "ram/A.JFIF"]}
    assert overlooked_references(tmp_path) == []


def test_sub_folders_of_a_character_are_more_of_it(tmp_path: Path) -> None:
    files(tmp_path, "rem/2.png", "rem/maid/1.png", "rem/.old/1.png")
    assert find_references(tmp_path) == {"rem": [tmp_path / "rem/2.png", tmp_path / "rem/maid/1.png"]}
    assert overlooked_references(tmp_path) == []


def test_what_names_nobody_is_said(tmp_path: Path) -> None:
    files(
        tmp_path,
        "loose.png",
        "hana/a.heic",
        "hana/b.heic",
        "ren/a.txt",
        "ren/.b.png",
        "Show/Rem/1.png",
        "Show/Ram/1.png",
        "yui/a.png",
        "yui/b.jxl",
    )
    (tmp_path / "empty").mkdir()
    assert list(find_references(tmp_path)) == ["yui"]
    assert overlooked_references(tmp_path) == [
        f"1 pictures directly in {tmp_path} name nobody; put them into a folder with the character's name there",
        f"{tmp_path}/Show names nobody: its pictures lie in sub-folders (Ram, Rem); if these are characters, give {tmp_path}/Show as the "
        "reference folder, else put their pictures directly into Show",
        f"{tmp_path}/empty names nobody: expected pictures, got nothing; put some in, or remove the folder",
        f"{tmp_path}/hana: 2 .heic ignored, such pictures are not read; save them as PNG or JPEG",
        f"{tmp_path}/ren names nobody: expected pictures, got only 1 .txt; put some in, or remove the folder",
        f"{tmp_path}/yui: 1 .jxl ignored, such pictures are not read; save them as PNG or JPEG",
    ]
