"""What a run is making right now: the newest pictures of the stage at work, in a folder that changes under the reader's eyes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.dashboard import previews
from animeset_lib.dashboard.pictures import Thumbnails, face_picture
from animeset_lib.dashboard.previews import newest_pictures
from animeset_lib.media import write_image
from animeset_lib.records import Box, Region

KEY = "0123456789ab"
FACE = Box(x0=10, y0=10, x1=30, y1=30)


def _picture(path: Path, grey: int, changed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((40, 60, 3), grey, np.uint8))
    os.utime(path, (changed, changed))
    return path


def _whole(*paths: Path) -> list[str]:
    return [Thumbnails().get(path, "whole", 150) for path in paths]


def _faces(*paths: Path) -> list[str]:
    return [Thumbnails().get(path, "face", 150, lambda still: face_picture(still, FACE)) for path in paths]


def _region(frame: str, place: int = 0, dropped: str | None = None) -> str:
    return Region(
        id=f"{frame}-{place:02d}",
        frame_id=frame,
        face=FACE,
        person=FACE,
        person_estimated=True,
        score=0.9,
        width=60,
        height=40,
        dropped=dropped,
    ).model_dump_json()


def _part(folder: Path, number: int, lines: Sequence[str], changed: int) -> None:
    path = folder / "parts" / f"{number:08d}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in (json.dumps({"items": ["x"]}), *lines)), encoding="utf-8")
    os.utime(path, (changed, changed))


def test_the_newest_come_first_and_no_more_than_asked(tmp_path: Path) -> None:
    folder = tmp_path / f"5_crop-{KEY}.partial"
    old = _picture(folder / "a" / "old.png", 20, 1000)
    new = _picture(folder / "z" / "new.webp", 60, 3000)
    middle = _picture(folder / "middle.png", 100, 2000)
    _picture(folder / ".hidden.png", 140, 9000)
    (folder / ".new.png.tmp").write_bytes(b"half")
    (folder / "rows.jsonl").write_text("{}\n")
    assert newest_pictures(tmp_path, "5_crop", Thumbnails()) == _whole(new, middle, old)
    assert newest_pictures(tmp_path, "5_crop", Thumbnails(), most=2) == _whole(new, middle)


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / f"1_extract-{KEY}.partial"
    good = _picture(folder / "good.png", 20, 1000)
    (folder / "bad.png").write_bytes(b"no picture")
    assert newest_pictures(tmp_path, "1_extract", Thumbnails()) == _whole(good)


def test_only_the_stage_at_work_and_its_newest_folder(tmp_path: Path) -> None:
    _picture(tmp_path / f"1_extract-{KEY}" / "still.png", 20, 5000)
    earlier, now = tmp_path / "5_crop-ba9876543210", tmp_path / f"5_crop-{KEY}.partial"
    _picture(earlier / "earlier.png", 60, 9000)
    here = _picture(now / "now.png", 100, 1000)
    os.utime(earlier, (1000, 1000))
    os.utime(now, (2000, 2000))
    _picture(tmp_path / f".5_crop-{KEY}.doomed" / "gone.png", 140, 9000)
    assert newest_pictures(tmp_path, "5_crop", Thumbnails()) == _whole(here)


@pytest.mark.parametrize("stage", ["1_extract", "3a_detect", "3b_embed", "4a_quality"])
def test_nothing_to_show(stage: str, tmp_path: Path) -> None:
    assert newest_pictures(tmp_path / "nowhere", stage, Thumbnails()) == []
    assert newest_pictures(tmp_path, stage, Thumbnails()) == []
    (tmp_path / f"{stage}-{KEY}.partial" / "parts").mkdir(parents=True)
    assert newest_pictures(tmp_path, stage, Thumbnails()) == []


def test_faces_of_the_newest_part(tmp_path: Path) -> None:
    stills = tmp_path / f"1_extract-{KEY}"
    a = _picture(stills / "a.png", 20, 1000)
    b = _picture(stills / "b.png", 60, 1000)
    c = _picture(stills / "stills" / "c.webp", 100, 1000)
    detected = tmp_path / f"3a_detect-{KEY}.partial"
    _part(detected, 0, [_region("a")], 1000)
    _part(detected, 16, [_region("b"), _region("b", 1, "double"), _region("lost"), _region("c")], 2000)
    assert newest_pictures(tmp_path, "3a_detect", Thumbnails()) == _faces(c, b)
    assert newest_pictures(tmp_path, "3a_detect", Thumbnails(), most=1) == _faces(c)
    os.utime(detected / "parts" / "00000000.jsonl", (3000, 3000))
    assert newest_pictures(tmp_path, "3a_detect", Thumbnails()) == _faces(a)


def test_faces_of_a_stage_that_has_just_finished(tmp_path: Path) -> None:
    a = _picture(tmp_path / f"1_extract-{KEY}" / "a.png", 20, 1000)
    folder = tmp_path / f"3a_detect-{KEY}"
    folder.mkdir()
    (folder / "rows.jsonl").write_text(_region("a") + "\n" + _region("a", 1, "small_face") + "\n", encoding="utf-8")
    assert newest_pictures(tmp_path, "3a_detect", Thumbnails()) == _faces(a)


def test_a_folder_that_is_renamed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _picture(tmp_path / f"1_extract-{KEY}" / "a.png", 20, 1000)
    detected = tmp_path / f"3a_detect-{KEY}.partial"
    _part(detected, 0, [_region("a")], 1000)
    changed = previews._changed

    def commit(path: Path) -> float:
        if path.suffix == ".jsonl" and detected.exists():
            detected.rename(tmp_path / f"3a_detect-{KEY}")
        return changed(path)

    read = Path.read_text

    def late(self: Path, *args: object, **options: object) -> str:
        if detected.exists():
            detected.rename(tmp_path / f"3a_detect-{KEY}")
        return read(self, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(previews, "_changed", commit)
        assert newest_pictures(tmp_path, "3a_detect", Thumbnails()) == []
    (tmp_path / f"3a_detect-{KEY}").rename(detected)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", late)
        assert newest_pictures(tmp_path, "3a_detect", Thumbnails()) == []
    assert not detected.exists()
