"""Overlays: the same pixels at the same place over changing surroundings, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animeset_lib.cast.overlays import Place, find_overlays
from animeset_lib.models.api import Picture
from animeset_lib.records import Box

SIZE = (320, 180)
LOGO_BOX = Box(x0=250, y0=10, x1=290, y1=50)


def logo() -> Picture:
    """A ring with two dots, 40 px."""
    y, x = np.mgrid[:40, :40] - 19.5
    picture = np.full((40, 40, 3), 230, np.uint8)
    picture[(np.hypot(x, y) > 14) & (np.hypot(x, y) < 18)] = (20, 40, 160)
    for dx in (-6, 6):
        picture[np.hypot(x - dx, y + 3) < 3] = 10
    return picture


def scene(seed: int) -> Picture:
    """Soft random shapes: another background for each seed."""
    rng = np.random.default_rng(seed)
    picture = np.full((180, 320, 3), rng.integers(40, 200, 3), np.uint8)
    for _ in range(60):
        x, y, w, h = (int(v) for v in (*rng.integers(0, 300, 1), *rng.integers(0, 170, 1), *rng.integers(10, 60, 2)))
        picture[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return picture


def with_logo(seed: int, opacity: float = 1.0) -> Picture:
    picture = scene(seed)
    part = picture[10:50, 250:290]
    part[:] = (opacity * logo() + (1 - opacity) * part).astype(np.uint8)
    return picture


def jittered(seed: int) -> Box:
    dx, dy = np.random.default_rng(seed + 999).uniform(-3, 3, 2)
    return LOGO_BOX.moved(float(dx), float(dy))


@pytest.mark.parametrize("opacity", [1.0, 0.7])
def test_a_logo_over_five_shots_is_found_and_measured(opacity: float) -> None:
    stills = {f"s{i}": with_logo(i, opacity) for i in range(5)}
    places = [Place(name, shot, jittered(shot), SIZE) for shot, name in enumerate(stills)]
    (overlay,) = find_overlays(places, stills.get)
    assert overlay.members == (0, 1, 2, 3, 4)
    assert overlay.shots == 5
    assert overlay.inside > 0.75 > 0.5 > overlay.around
    assert overlay.box.iou(LOGO_BOX) > 0.9


def test_a_face_where_the_logo_is_in_other_shots_stays() -> None:
    stills = {f"s{i}": with_logo(i) for i in range(5)} | {"face": scene(77)}
    places = [Place(name, shot, jittered(shot), SIZE) for shot, name in enumerate(stills)]
    (overlay,) = find_overlays(places, stills.get)
    assert overlay.members == (0, 1, 2, 3, 4)


def test_a_shot_that_comes_back_is_no_overlay() -> None:
    stills = {f"s{i}": with_logo(3) for i in range(6)}
    assert find_overlays([Place(name, shot, LOGO_BOX, SIZE) for shot, name in enumerate(stills)], stills.get) == []


def test_two_shots_are_too_few_however_many_stills() -> None:
    stills = {f"s{i}": with_logo(i) for i in range(8)}
    assert find_overlays([Place(name, i % 2, LOGO_BOX, SIZE) for i, name in enumerate(stills)], stills.get) == []


def test_different_faces_at_one_place_stay() -> None:
    stills = {f"s{i}": scene(i) for i in range(6)}
    assert find_overlays([Place(name, shot, LOGO_BOX, SIZE) for shot, name in enumerate(stills)], stills.get) == []


def test_only_suspects_are_read_and_unreadable_stills_are_left_out() -> None:
    asked: list[str] = []

    def read(name: str) -> Picture | None:
        asked.append(name)
        return None if name == "s2" else with_logo(int(name[1:]))

    places = [Place(f"s{i}", i, LOGO_BOX, SIZE) for i in range(5)] + [
        Place("s9", 9, Box(x0=20, y0=90, x1=80, y1=150), SIZE)
    ]
    (overlay,) = find_overlays(places, read)
    assert overlay.members == (0, 1, 3, 4)
    assert "s9" not in asked


@pytest.mark.parametrize(
    "box", [Box(x0=0, y0=0, x1=30, y1=30), Box(x0=300, y0=160, x1=320, y1=180), Box(x0=0, y0=0, x1=320, y1=180)]
)
def test_places_at_the_border_and_as_large_as_the_picture_do_no_harm(box: Box) -> None:
    stills = {f"s{i}": scene(i) for i in range(4)}
    assert find_overlays([Place(name, shot, box, SIZE) for shot, name in enumerate(stills)], stills.get) == []
    black = {name: np.zeros((180, 320, 3), np.uint8) for name in stills}
    assert find_overlays([Place(name, shot, box, SIZE) for shot, name in enumerate(black)], black.get) == []


def test_a_logo_beside_the_channels_name_is_found() -> None:
    """The name beside it is as constant as the logo itself; the rest of the picture is not."""
    stills = {f"s{i}": with_logo(i) for i in range(5)}
    for picture in stills.values():
        cv2.putText(picture, "CHANNEL", (120, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 4)
        cv2.putText(picture, "ONE", (250, 80), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 4)
    places = [Place(name, shot, jittered(shot), SIZE) for shot, name in enumerate(stills)]
    (overlay,) = find_overlays(places, stills.get)
    assert overlay.members == (0, 1, 2, 3, 4)


def test_stills_of_another_size_are_another_place() -> None:
    """Scenes with bars of their own are cut to what they show, so a film has stills of several sizes."""
    stills = {f"s{i}": with_logo(i) for i in range(4)} | {f"n{i}": with_logo(i)[:150] for i in range(4, 8)}
    places = [
        Place(name, shot, jittered(shot), (320, picture.shape[0]))
        for shot, (name, picture) in enumerate(stills.items())
    ]
    assert sorted(overlay.members for overlay in find_overlays(places, stills.get)) == [(0, 1, 2, 3), (4, 5, 6, 7)]
