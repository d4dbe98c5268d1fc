"""The data types that travel between rooms: frozen, validated when made, JSON in and out.

Boxes are `xyxy` in pixels of the picture they belong to, half-open (a box `0,0,10,10` is ten pixels wide). Scores are 0..1.
Times are milliseconds of presentation time. A row is never removed: when something is not used any more, its row says so in
`dropped` (a short reason code) and `why` (a sentence for a person, with the measured numbers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

__all__ = [
    "UNREADABLE",
    "AttributeRow",
    "Box",
    "CaptionRow",
    "CastRow",
    "ClusterRow",
    "Crop",
    "DatasetRow",
    "DedupeRow",
    "EmbedRow",
    "Film",
    "Frame",
    "Framing",
    "PlannedCrop",
    "QualityRow",
    "Reason",
    "Record",
    "Region",
    "RegularisationRow",
    "TagRow",
    "safe_name",
]

Framing = Literal["face", "upper_body", "full", "frame"]
"""How much of a figure a crop shows: head only, to the waist, the whole figure, or the whole picture."""

RecordId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=120)]
"""Ids double as file names, hence the narrow alphabet."""


def safe_name(text: str, *, fallback: str = "film", max_length: int = 80) -> str:
    """A folder name for `text`: readable on every file system, never empty, hidden, reserved or starting with a dash.

    Unicode letters and digits stay (a film may be called `Ein Film – ßäü`); everything else becomes one underscore.
    The result is at most `max_length` bytes of UTF-8, cut at a character border. Different texts may give equal names.

    >>> safe_name("Ein Film: Teil 2.mkv"), safe_name("con"), safe_name("...")
    ('Ein_Film_Teil_2.mkv', 'film_con', 'film')
    """
    name = re.sub(r"[^\w.-]+", "_", text, flags=re.UNICODE)
    name = re.sub(r"_{2,}", "_", name).strip("._- ")
    while len(name.encode()) > max_length:
        name = name[:-1]
    name = name.rstrip("._- ")
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    return f"{fallback}_{name}" if reserved else name or fallback


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Box(_Frozen):
    """A rectangle `xyxy` in pixels, half-open. Raises `ValueError` when it is empty, reversed or not finite.

    >>> face = Box.of((10, 10, 30, 30))
    >>> face.width, face.center, round(face.iou(face.moved(10, 0)), 2)
    (20.0, (20.0, 20.0), 0.33)
    >>> face.clip(20, 20).xyxy, face.clip(5, 5)
    ((10.0, 10.0, 20.0, 20.0), None)
    """

    x0: float
    y0: float
    x1: float
    y1: float

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not all(np.isfinite((self.x0, self.y0, self.x1, self.y1))):
            raise ValueError(f"box has a value that is not finite: {self.xyxy}")
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"box is empty or reversed: {self.xyxy}; expected x0 < x1 and y0 < y1")
        return self

    @classmethod
    def of(cls, xyxy: Any) -> Box:
        """From any sequence of four numbers `x0, y0, x1, y1`."""
        x0, y0, x1, y1 = (float(v) for v in xyxy)
        return cls(x0=x0, y0=y0, x1=x1, y1=y1)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.x1, self.y1

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def intersection(self, other: Box) -> float:
        """Area shared with `other`, in square pixels; 0 when they do not touch."""
        w = min(self.x1, other.x1) - max(self.x0, other.x0)
        h = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(0.0, w) * max(0.0, h)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        shared = self.intersection(other)
        return shared / (self.area + other.area - shared)

    def clip(self, width: float, height: float) -> Box | None:
        """The part inside a `width` x `height` picture, or None when nothing is."""
        x0, y0 = max(0.0, self.x0), max(0.0, self.y0)
        x1, y1 = min(float(width), self.x1), min(float(height), self.y1)
        return Box(x0=x0, y0=y0, x1=x1, y1=y1) if x1 > x0 and y1 > y0 else None

    def moved(self, dx: float, dy: float) -> Box:
        return Box(x0=self.x0 + dx, y0=self.y0 + dy, x1=self.x1 + dx, y1=self.y1 + dy)

    def scaled(self, factor_x: float, factor_y: float | None = None) -> Box:
        """All coordinates times `factor_x` (and `factor_y` for y): the same box in a resized picture."""
        fy = factor_x if factor_y is None else factor_y
        return Box(x0=self.x0 * factor_x, y0=self.y0 * fy, x1=self.x1 * factor_x, y1=self.y1 * fy)

    def grown(self, left: float, top: float, right: float, bottom: float) -> Box:
        """Moved outwards by fractions of its own width (left, right) and height (top, bottom)."""
        return Box(
            x0=self.x0 - left * self.width,
            y0=self.y0 - top * self.height,
            x1=self.x1 + right * self.width,
            y1=self.y1 + bottom * self.height,
        )

    def pixels(self) -> tuple[int, int, int, int]:
        """Rounded to whole pixels, at least one pixel in each direction."""
        x0, y0 = round(self.x0), round(self.y0)
        return x0, y0, max(x0 + 1, round(self.x1)), max(y0 + 1, round(self.y1))


@dataclass(frozen=True)
class Reason:
    """Why rows are dropped: a few words in each language of the page, and a sentence of what that means."""

    english: str
    german: str
    means: str


UNREADABLE = Reason("Unreadable", "Nicht lesbar", "The picture is damaged or gone.")
"""Of every stage that opens pictures, as `unreadable`."""


class Record(_Frozen):
    """One row of a stage. `dropped` is None while the thing is in use, else the code of one of its stage's `reasons`."""

    id: RecordId
    dropped: str | None = None
    why: str = ""


class Film(_Frozen):
    """What was given as input: a video file or a folder of pictures.

    `id` is the first 12 hex digits of the content's SHA-256; `name` a safe folder name made from the file's name.
    `content_box` is the picture inside the black bars, in display pixels (after rotation and sample aspect ratio).
    `fps` is the average frame rate; frames are never timed by it.
    """

    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    name: str
    source_name: str
    kind: Literal["video", "pictures"]
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    duration_ms: int | None = None
    fps: float | None = None
    codec: str = ""
    pix_fmt: str = ""
    content_box: Box | None = None
    notes: tuple[str, ...] = ()
    """Things a person should know: truncated file, guessed colour matrix, missing timestamps."""


class Frame(Record):
    """1_extract: one still. `id` is `<film id>-<pts_ms, 9 digits>`.

    `shot` counts the film's shots from 0; `file` is relative to the stage's folder; `cause` says why this frame was kept.
    Width and height are those of the written still (bars cropped). `sharpness` is in grey levels per pixel, comparable inside one film; 0 for
    what could not be read.
    """

    pts_ms: int
    shot: int = Field(ge=0)
    file: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    cause: Literal["shot", "change", "interval", "keyframe", "picture"]
    sharpness: float = 0
    source_file: str | None = None
    """Name of the picture in the given folder; None for a video."""


class DedupeRow(Record):
    """2_dedupe: `id` is the frame's. `duplicate_of` is the id of the frame that stands for its group; the three measures are to that one. It is kept,
    unless a person dropped it; a still that a person dropped may have none, one that a person kept has none, but still its measures.

    `phash` is the hash in 16 hex digits (of whichever method is set; empty for a damaged still). `sharpness` is in grey levels per pixel,
    comparable inside one film; `contrast` the standard deviation of the brightness, in levels of 255. `hamming` counts bits of 64, `ssim` is
    over the whole picture and `local_ssim` that of its least similar part.
    """

    phash: str
    sharpness: float
    contrast: float = 0
    duplicate_of: str | None = None
    hamming: int | None = None
    ssim: float | None = None
    local_ssim: float | None = None


class Region(Record):
    """3a_detect: one figure in one frame. `id` is `<frame id>-<index, 2 digits>`.

    Boxes are in still pixels, clipped to the still; `person_estimated` is True when the body box was drawn from the face alone. `head` and
    `halfbody` are there when the detector sees such things. A figure dropped as `no_face` is a head whose face is not seen; its `face` is a guess.
    `width` and `height` are the still's. Frames without any face have no row; their number is in stage.json.
    """

    frame_id: str
    face: Box
    person: Box
    person_estimated: bool
    head: Box | None = None
    halfbody: Box | None = None
    score: float = Field(ge=0, le=1)
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class EmbedRow(Record):
    """3b_embed: `id` is the region's. The vector travels beside the row and is stored row-aligned in `vectors.npy`."""

    _vector: npt.NDArray[np.float32] | None = PrivateAttr(default=None)

    @classmethod
    def with_vector(cls, id: str, vector: npt.NDArray[np.float32]) -> EmbedRow:
        """`vector` is `(D,)` float32 of length 1."""
        row = cls(id=id)
        row.attach(np.asarray(vector, dtype=np.float32))
        return row

    def attach(self, vector: npt.NDArray[np.float32]) -> None:
        """Give a row that was read from disk its vector back. For the two places that read rows."""
        self._vector = vector

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        if self._vector is None:
            raise ValueError(f"row {self.id} was read without its vector")
        return self._vector


class ClusterRow(Record):
    """3c_cluster: `id` is the region's. `cluster` is -1 for noise; `x`, `y` are UMAP coordinates for looking only."""

    track: int
    cluster: int = Field(ge=-1)
    confidence: float = Field(ge=0, le=1)
    x: float
    y: float


class CastRow(Record):
    """3d_cast: `id` is the region's. `character` is a name fit for a folder and a trigger word, None for noise."""

    character: str | None
    cluster: int
    source: Literal["cluster", "reference", "cast", "decision", "noise"]
    confidence: float = Field(ge=0, le=1)


class QualityRow(Record):
    """4a_quality: `id` is the region's. `measured` holds every measured value by name, also for regions that pass."""

    measured: dict[str, float]
    score: float = Field(ge=0, le=1)


class PlannedCrop(Record):
    """4b_upscale: a crop that will be made, enlarged where needed. `id` is `<region id>-<framing>`.

    `box` is in still pixels and inside the still. `factor` 1 means the still is good enough and `file` is None;
    otherwise `file` holds the enlarged picture of exactly `box.pixels()`, `factor` times as wide and high.
    """

    region_id: str
    frame_id: str
    character: str
    framing: Framing
    box: Box
    factor: int = Field(ge=1, le=4)
    file: str | None
    upscaler: str | None


class Crop(Record):
    """5_crop: a finished picture. `id` is the planned crop's; `faces` are all faces in it, `face` the character's own, in crop pixels."""

    region_id: str
    frame_id: str
    character: str
    framing: Framing
    file: str
    box: Box
    factor: int
    upscaler: str | None
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    face: Box | None
    faces: tuple[Box, ...]


class TagRow(Record):
    """6a_tag: `id` is the crop's. Scores 0..1 by booru tag, in the three categories that taggers keep apart."""

    general: dict[str, float]
    character: dict[str, float] = {}
    rating: dict[str, float] = {}
    tagger: str


class AttributeRow(Record):
    """6b_attributes: `id` is the crop's. What is believed of the tagger's words, and what kind of picture this is.

    `tags` are cleaned booru tags with scores 0..1; `removed` and `added` say why a tag went or came, in words. `outfit` and `emotion` are the
    names of the character's sub-sets, `background` and `view` (of the head: front, side, behind, ...) words of the vocabulary; each is `unknown`
    where nothing could be measured. `looks` is the descriptor of the clothes, empty where none are seen.
    """

    tags: dict[str, float]
    removed: dict[str, str] = {}
    added: dict[str, str] = {}
    outfit: str
    emotion: str
    background: str
    view: str
    looks: tuple[float, ...] = ()


class CaptionRow(Record):
    """6c_caption: `id` is the crop's. `caption` is one line; `tags` are all booru tags in caption order, core traits included."""

    caption: str
    tags: tuple[str, ...]
    name: str
    """`charname_outfit_emotion_background`, without number and ending."""


class RegularisationRow(Record):
    """6d_regularisation: `id` is the frame's, of a still without anybody in it. `box` is in still pixels; `file` is relative to the stage's folder.

    `caption` is one line without a trigger, `tags` the cleaned booru tags in it with scores 0..1. A dropped row has no file and no caption, and no
    `tagger` where none was asked.
    """

    shot: int = Field(ge=0)
    pts_ms: int
    file: str | None = None
    box: Box
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    caption: str = ""
    tags: dict[str, float] = {}
    tagger: str | None = None


class DatasetRow(Record):
    """7_dataset: `id` is the crop's. `image` and `caption` are paths relative to the character's folder, None when not chosen."""

    character: str
    image: str | None = None
    caption: str | None = None
    rank: int | None = None
    """Order in which the selection chose it: the first n of a set are themselves a good set of n."""
