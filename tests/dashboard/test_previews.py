"""What a run is making right now: the newest pictures of the stage at work, as its events name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animeset_lib.cast.head_box import head_crop
from animeset_lib.dashboard.pictures import thumbnail
from animeset_lib.dashboard.previews import newest_pictures
from animeset_lib.media import write_image
from animeset_lib.records import Box

FOLDER = "5_crop-0123456789ab.partial"
FACE = Box(x0=10, y0=10, x1=30, y1=30)


def _picture(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((40, 60, 3), grey, np.uint8))
    return path


def _whole(*paths: Path) -> list[str]:
    return [thumbnail(path, 150) for path in paths]


def _progress(*names: str, stage: str = "5_crop", box: Box | None = None) -> dict[str, Any]:
    made = [{"path": f"{FOLDER}/{name}", "box": box and list(box.xyxy)} for name in names]
    return {"kind": "progress", "stage": stage, "made": made}


@pytest.mark.parametrize("most", [1, 2, 8])
def test_the_newest_come_first_and_no_more_than_asked(tmp_path: Path, most: int) -> None:
    a, b, c = (_picture(tmp_path / FOLDER / f"{name}.png", 20 + 40 * n) for n, name in enumerate("abc"))
    events = [_progress("a.png"), _progress(), _progress("b.png", "c.png")]
    assert newest_pictures(events, tmp_path, "5_crop", most) == _whole(c, b, a)[:most]


def test_what_cannot_be_read_is_left_out_for_the_one_before(tmp_path: Path) -> None:
    good = _picture(tmp_path / FOLDER / "good.png", 20)
    (tmp_path / FOLDER / "bad.png").write_bytes(b"no picture")
    events = [_progress("good.png", "bad.png", "not_yet_there.png")]
    assert newest_pictures(events, tmp_path, "5_crop", most=1) == _whole(good)


def test_only_the_stage_at_work_and_only_what_events_name(tmp_path: Path) -> None:
    here, _, _ = (_picture(tmp_path / FOLDER / f"{name}.png", 60) for name in ("here", "earlier", "not_named"))
    events = [_progress("earlier.png", stage="1_extract"), {"kind": "warning", "message": "x"}, _progress("here.png")]
    assert newest_pictures(events, tmp_path, "5_crop") == _whole(here)
    assert newest_pictures(events, tmp_path, "3b_embed") == []
    assert newest_pictures([], tmp_path / "nowhere", "5_crop") == []


def test_a_part_of_a_picture(tmp_path: Path) -> None:
    still = _picture(tmp_path / FOLDER / "a.png", 20)
    (shown,) = newest_pictures([_progress("a.png", box=FACE)], tmp_path, "5_crop")
    assert shown == thumbnail(still, 150, (head_crop, FACE))
    assert [shown] != _whole(still)
