"""What the card says about a set's weak sides, in words for known cases."""

from __future__ import annotations

from typing import Any

import pytest

from animeset_lib.dataset.card import Chosen, FilmNumbers, Summary, clock, source_name, weaknesses
from animeset_lib.dataset.explain import Loss
from animeset_lib.records import AttributeRow, Box, CaptionRow, Crop, Film
from animeset_lib.settings import DatasetSettings

FACE = Box(x0=0, y0=0, x1=9, y1=9)


def film(source: str = "a.mkv") -> Film:
    return Film(id="0" * 12, name="a", source_name=source, kind="video", width=9, height=9, duration_ms=100_000)


def one(number: int, **changes: Any) -> Chosen:
    """A picture of a set without weaknesses; `changes` are fields of the crop, the caption or the picture."""
    crop: dict[str, Any] = {
        "id": f"c{number}",
        "region_id": "r",
        "frame_id": "f",
        "character": "rem",
        "framing": ("face", "full")[number % 2],
        "file": "x.png",
        "box": FACE,
        "factor": 1,
        "upscaler": None,
        "width": 9,
        "height": 9,
        "face": FACE,
        "faces": (FACE,),
    }
    caption: dict[str, Any] = {
        "id": f"c{number}",
        "caption": "rem",
        "tags": (),
        "outfit": ("dress", "coat")[number % 2],
        "emotion": ("smile", "angry")[number % 2],
        "background": "indoors",
        "name": "rem",
    }
    rest: dict[str, Any] = {"pts_ms": number * 9_000, "shot": number, "confidence": 0.9}
    for key, value in changes.items():
        next(part for part in (crop, caption, rest) if key in part)[key] = value
    kind = {name: caption.pop(name) for name in ("outfit", "emotion", "background")}
    return Chosen(Crop(**crop), CaptionRow(**caption), AttributeRow(id="a", tags={}, view="unknown", **kind), **rest)


def said(chosen: list[Chosen], lost: tuple[Loss, ...] = (), least: int = 1) -> list[str]:
    summary = Summary("rem", chosen, len(chosen), 12, lost, ())
    numbers = FilmNumbers(film(), 100_000, 1, 1, 1, 1, 0)
    return weaknesses(summary, numbers, DatasetSettings(min_pictures=least))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, None),
        ({"framing": "face"}, "Only faces: the clothes"),
        ({"framing": "upper_body"}, "No full figure"),
        ({"framing": "full"}, "No face close-ups"),
        ({"shot": 3}, "all pictures come from 1 shot."),
        ({"pts_ms": 61_000}, "All pictures lie between 01:01 and 01:01 of 01:40."),
        ({"outfit": "unknown"}, "The outfit is unknown for every picture"),
        ({"outfit": "dress"}, "Only one outfit: dress"),
        ({"factor": 2}, "10 of 10 pictures were enlarged"),
        ({"confidence": 0.4}, "10 pictures may show somebody else"),
        ({"faces": (FACE, FACE)}, "10 pictures also show another face."),
    ],
)
def test_one_weakness_at_a_time(changes: dict[str, Any], sentence: str | None) -> None:
    found = said([one(i, **changes) for i in range(10)])
    assert len(found) == (0 if sentence is None else 1)
    assert all(sentence is not None and sentence in text for text in found)


def test_mostly_unknown_is_counted() -> None:
    chosen = [one(i, emotion="unknown" if i < 6 else "smile") for i in range(10)]
    assert said(chosen) == ["The emotion is unknown for 6 of 10 pictures."]
    chosen = [one(i, emotion=("unknown", "smile", "angry")[i % 3]) for i in range(10)]
    assert said(chosen) == []


def test_few_pictures_with_their_reasons() -> None:
    lost = (Loss("4a_quality", "blurred", "figure", 1), Loss("7_dataset", "not_selected", "crop", 3))
    assert said([one(0), one(1)], lost, least=30)[0] == (
        "Few pictures: 2 of the 30 wanted (`dataset.min_pictures`). The film gave 12 figures of this character; "
        "lost on the way: 1 figure blurred (4a_quality), 3 crops not selected (7_dataset)."
    )


@pytest.mark.parametrize(("ms", "text"), [(0, "00:00"), (61_999, "01:01"), (3_600_000, "01:00:00")])
def test_clock(ms: int, text: str) -> None:
    assert clock(ms) == text


@pytest.mark.parametrize("source", ["/a/b/Film x.mkv", r"C:\films\Film x.mkv", "Film x.mkv"])
def test_source_has_no_folder(source: str) -> None:
    assert source_name(film(source)) == "Film x.mkv"
