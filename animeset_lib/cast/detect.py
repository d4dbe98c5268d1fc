"""3a_detect: the figures in each kept still.

Every box the detector gives for a face becomes a row, also those that are not used: doubles, faces that are too small, low scores, overlays,
and heads whose face is not seen.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from animeset_lib.cast.body_parts import DetectedFigure, join_figures
from animeset_lib.cast.head_box import estimated_person
from animeset_lib.cast.overlays import Place, find_overlays
from animeset_lib.errors import InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractNotes, ExtractStage
from animeset_lib.media import Picture, read_image
from animeset_lib.media.reading import read_ahead
from animeset_lib.models.api import Detection, ModelInfo, ModelProvider
from animeset_lib.prefetch import in_groups
from animeset_lib.records import Box, Frame, Reason, Region
from animeset_lib.run.stage import Context, Given, Notes, Output, Stage, StageType
from animeset_lib.settings import DetectSettings

__all__ = ["DetectNotes", "DetectStage", "OverlayNote", "Still"]

_STILLS_AT_HAND = 16
_AT_ONCE = 8
"""Stills the detector gets at a time; as many more are decoded ahead. Sixteen stills of 4K are 400 MB."""

UNREADABLE = "unreadable"
"""Folder with one text file per still that could not be read: such a still has no box, so it cannot have a row."""


@dataclass(frozen=True)
class Still:
    """One kept frame."""

    id: str
    path: Path


class OverlayNote(BaseModel):
    """A drawing that lies over the film: its box `x0, y0, x1, y1` in still pixels, the faces dropped for it, and the two likenesses 0..1."""

    model_config = ConfigDict(frozen=True)

    box: tuple[int, int, int, int]
    faces: int
    shots: int
    inside: float
    around: float


class DetectNotes(Notes):
    """Which detector answered (`asked` is the setting), stills by number of faces, and a histogram of all scores."""

    asked: str
    detector: ModelInfo
    without_face: int
    with_one_face: int
    with_more_faces: int
    unreadable: tuple[str, ...]
    overlays: tuple[OverlayNote, ...]
    score_edges: tuple[float, ...]
    score_counts: tuple[int, ...]


@dataclass(frozen=True)
class DetectStage(Stage[Still, Region, DetectNotes]):
    """One row per face in each kept frame, numbered from left to right; doubles, low scores, small faces and overlays are dropped rows."""

    settings: DetectSettings
    name: ClassVar[str] = "3a_detect"
    version: ClassVar[str] = "4"
    seconds_per_minute: ClassVar[float] = 6.0
    needs: ClassVar[tuple[StageType, ...]] = (ExtractStage, DedupeStage)
    reasons: ClassVar[Mapping[str, Reason]] = {
        "double": Reason(
            "Face found twice", "Gesicht doppelt gefunden", "A second box of a face that another row has."
        ),
        "no_face": Reason(
            "No face to be seen", "Kein Gesicht zu sehen", "A head from behind, or with its face hidden."
        ),
        "low_score": Reason(
            "Detection too uncertain", "Zu unsicher erkannt", "The detector's score is below the limit."
        ),
        "small_face": Reason("Face too small", "Gesicht zu klein", "The face has too few pixels to tell whose it is."),
        "overlay": Reason(
            "Overlay or logo", "Einblendung oder Logo", "The same drawing is at the same place in many shots."
        ),
    }

    def fingerprint(self, models: ModelProvider) -> dict[str, str]:
        return {"detector": models.info("detector", self.settings.detector).digest}

    def plan(self, given: Given) -> list[Still]:
        frames = given[ExtractStage]
        kept = {row.id for row in given[DedupeStage].kept}
        return [Still(frame.id, frames.path / frame.file) for frame in frames.kept if frame.id in kept]

    def process(self, batch: Sequence[Still], out: Path, ctx: Context) -> Iterable[Region]:
        detector = ctx.models.detector(self.settings.detector)
        # stills are decoded while the network looks at the ones before
        pictures = read_ahead((still.path for still in batch), ctx.threads, room=_AT_ONCE)
        for group in in_groups(zip(batch, pictures, strict=True), lambda: _AT_ONCE):
            readable = []
            for still, picture in group:
                if isinstance(picture, InputError):
                    ctx.log.warning("3a_detect: %s is left out: %s", still.id, picture)
                    (out / UNREADABLE).mkdir(exist_ok=True)
                    (out / UNREADABLE / f"{still.id}.txt").write_text(f"{picture}\n", encoding="utf-8", newline="\n")
                else:
                    readable.append((still, picture))
            found = detector.detect([picture for _, picture in readable])
            for (still, picture), boxes in zip(readable, found, strict=True):
                height, width = picture.shape[:2]
                yield from self._regions(still, width, height, boxes, detector.score_min)

    def shown(self, row: Region, items: Mapping[str, Still], out: Path) -> tuple[Path, Box | None] | None:
        return (items[row.frame_id].path, row.face) if row.dropped is None else None

    def _regions(
        self, still: Still, width: int, height: int, boxes: Sequence[Detection], detector_min: float
    ) -> Iterable[Region]:
        for index, figure in enumerate(join_figures(boxes)):
            face = figure.face.clip(width, height)
            if face is None:
                continue
            dropped, why = self._fault(figure, detector_min)
            yield Region(
                id=f"{still.id}-{index:02d}",
                dropped=dropped,
                why=why,
                frame_id=still.id,
                face=face,
                person=figure.person or estimated_person(face, width, height),
                person_estimated=figure.person is None,
                head=figure.head,
                halfbody=figure.halfbody,
                score=figure.score,
                width=width,
                height=height,
            )

    def _fault(self, figure: DetectedFigure, detector_min: float) -> tuple[str | None, str]:
        """Reason code and sentence, or None and nothing."""
        limits = self.settings
        score_min = detector_min if limits.score_min is None else limits.score_min
        if figure.double_of is not None:
            box = ", ".join(f"{v:.0f}" for v in figure.double_of.xyxy)
            return "double", f"a second box of the face at {box} (shares {figure.shared:.0%} of the smaller box)"
        if figure.faceless:
            return "no_face", "a head whose face is not seen: from behind, or hidden"
        if figure.score < score_min:
            return "low_score", f"detection score {figure.score:.2f} is below {score_min:.2f}"
        if figure.face.height < limits.min_face_px:
            return "small_face", f"face {figure.face.height:.0f} px high, less than {limits.min_face_px} px"
        return None, ""

    def finish(
        self, rows: Sequence[Region], items: Sequence[Still], given: Given, out: Path, ctx: Context
    ) -> tuple[Sequence[Region], DetectNotes]:
        detector = ctx.models.info("detector", self.settings.detector)
        rows, overlays = _without_overlays(rows, given[ExtractStage])
        per_frame = Counter(row.frame_id for row in rows if row.dropped is None)
        faces = Counter(min(per_frame.get(item.id, 0), 2) for item in items)
        unreadable = sorted(path.stem for path in (out / UNREADABLE).glob("*.txt"))
        counts, edges = np.histogram([row.score for row in rows], bins=10, range=(0.0, 1.0))
        notes = DetectNotes(
            asked=self.settings.detector,
            detector=detector,
            without_face=faces[0] - len(unreadable),
            with_one_face=faces[1],
            with_more_faces=faces[2],
            unreadable=tuple(unreadable),
            overlays=tuple(overlays),
            score_edges=tuple(round(float(e), 1) for e in edges),
            score_counts=tuple(counts.tolist()),
        )
        ctx.log.info(
            "3a_detect: %s; %d stills without a face, %d with one, %d with more%s",
            detector.name,
            faces[0] - len(unreadable),
            faces[1],
            faces[2],
            f", {len(unreadable)} unreadable" if unreadable else "",
        )
        for overlay in overlays:
            ctx.log.info(
                "3a_detect: %d faces at %s are an overlay (a logo, say), seen in %d shots",
                overlay.faces,
                overlay.box,
                overlay.shots,
            )
        return rows, notes


def _without_overlays(
    rows: Sequence[Region], stills: Output[Frame, ExtractNotes]
) -> tuple[list[Region], list[OverlayNote]]:
    """The rows with the members of overlays dropped, and the overlays."""
    # an uncertain or small box is a witness: a logo is not a face equally surely in every shot
    used = [i for i, row in enumerate(rows) if row.dropped in (None, "low_score", "small_face")]
    places = [
        Place(row.frame_id, stills.by_id[row.frame_id].shot, row.face, (row.width, row.height))
        for row in (rows[i] for i in used)
    ]

    # Neighbouring places lie in the same stills, and a still is a few megabytes: remember some, not all.
    @functools.lru_cache(maxsize=_STILLS_AT_HAND)
    def read(still: str) -> Picture | None:
        try:
            return read_image(stills.path / stills.by_id[still].file)
        except InputError:
            return None

    result = list(rows)
    notes: list[OverlayNote] = []
    for overlay in find_overlays(places, read):
        why = (
            f"the same drawing at the same place in {overlay.shots} shots (likeness {overlay.inside:.2f}, of its surroundings {overlay.around:.2f}): "
            "an overlay such as a channel's logo"
        )
        for member in overlay.members:
            row = rows[used[member]]
            if row.dropped is None:
                result[used[member]] = row.model_copy(update={"dropped": "overlay", "why": why})
        notes.append(
            OverlayNote(
                box=overlay.box.pixels(),
                faces=len(overlay.members),
                shots=overlay.shots,
                inside=round(overlay.inside, 3),
                around=round(overlay.around, 3),
            )
        )
    return result, notes
