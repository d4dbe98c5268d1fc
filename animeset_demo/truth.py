"""What is really in the demo film: typed rows per film, shot, frame and person, JSON in and out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from animeset_demo.characters import Emotion

View = Literal["front", "three_quarter", "back"]
OpenClosed = Literal["open", "closed"]
Defect = Literal["dark", "bright", "flat", "blurred", "fade", "blend", "noisy"]
ShotKind = Literal[
    "title", "close_up", "bust", "two", "three", "back", "pan", "zoom", "walk", "dark", "night", "noisy", "credits"
]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class PersonTruth:
    """One character in one frame. Boxes are xyxy in pixels of the full coded picture, clipped to the content box;
    a box is None when nothing of it is inside. ``face_xyxy``: above the brows to the chin, cheek to cheek, and None from
    behind or when less than half of it is in the picture; ``head_xyxy``: crown to chin without hanging hair."""

    character: str
    outfit: str
    emotion: Emotion
    view: View
    face_xyxy: Box | None
    head_xyxy: Box | None
    body_xyxy: Box | None
    mouth: OpenClosed
    eyes: OpenClosed


@dataclass(frozen=True)
class FrameTruth:
    """One frame. Two frames of one shot with the same ``drawing`` are the same picture (up to grain where ``defect`` is
    "noisy"); ``moving``: a camera move is going on. In a blend the persons are those of the shot the frame belongs to,
    which is the stronger of the two pictures."""

    index: int
    pts_ms: int
    shot: int
    drawing: int
    moving: bool
    persons: tuple[PersonTruth, ...]
    defect: Defect | None
    credits: bool


@dataclass(frozen=True)
class ShotTruth:
    """One shot: ``first`` and ``last`` frame numbers, both inclusive, and the names of the characters in it."""

    index: int
    first: int
    last: int
    kind: ShotKind
    characters: tuple[str, ...]


@dataclass(frozen=True)
class CharacterTruth:
    """One cast member as a tagger would name them."""

    name: str
    hair_colour: str
    eye_colour: str
    outfits: tuple[str, ...]


@dataclass(frozen=True)
class FilmTruth:
    """The film as coded; ``content_box`` xyxy is the picture inside the letterbox bars."""

    width: int
    height: int
    fps: int
    frame_count: int
    content_box: Box


@dataclass(frozen=True)
class DemoTruth:
    """Everything known about one rendered demo film."""

    film: FilmTruth
    characters: tuple[CharacterTruth, ...]
    shots: tuple[ShotTruth, ...]
    frames: tuple[FrameTruth, ...]

    def save(self, path: Path) -> None:
        """Write as JSON, one frame per line so that two truths can be compared with a text diff."""
        head = {"film": asdict(self.film), "characters": [asdict(c) for c in self.characters]}
        lines = [json.dumps(head)[:-1] + ',\n"shots": [']
        lines.append(",\n".join(json.dumps(asdict(s)) for s in self.shots))
        lines.append('],\n"frames": [')
        lines.append(",\n".join(json.dumps(asdict(f)) for f in self.frames))
        lines.append("]}\n")
        path.write_text("\n".join(lines), encoding="utf-8", newline="\n")

    @staticmethod
    def load(path: Path) -> DemoTruth:
        """Read what ``save`` wrote."""
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return DemoTruth(
            film=FilmTruth(**_tuples(data["film"])),
            characters=tuple(CharacterTruth(**_tuples(c)) for c in data["characters"]),
            shots=tuple(ShotTruth(**_tuples(s)) for s in data["shots"]),
            frames=tuple(
                FrameTruth(**{**f, "persons": tuple(PersonTruth(**_tuples(p)) for p in f["persons"])})
                for f in data["frames"]
            ),
        )


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    """JSON lists back to tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
