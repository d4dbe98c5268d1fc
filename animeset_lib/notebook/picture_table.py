"""Tables with pictures in them: a pandas frame that shows its thumbnails in a notebook. Imported when the first table is asked for."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.head_box import head_crop
from animeset_lib.dashboard.pictures import Cut, cut, thumbnail
from animeset_lib.export.lint import Report
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import Picture, read_image
from animeset_lib.pictures.crop import CropStage
from animeset_lib.run.stage import Given, Output

__all__ = ["PictureTable", "fates", "findings", "full_picture", "reason_of", "reasons", "stage_table"]

_PX = 128
_SHOWN = 60
"""Most rows with pictures that a page gets: each is about five kilobytes."""
_TOP_TAGS = 8


class View(Protocol):
    """What is asked of a notebook's stage (`Run.stage`) here."""

    section: str
    output: Output[Any, Any]
    outputs: Given

    @property
    def name(self) -> str: ...
    @property
    def rows(self) -> list[Any]: ...
    @property
    def kept(self) -> list[Any]: ...


Getter = Callable[[Any, View], Any]
"""Row and its stage → what stands in one column."""


class Thumb(str):
    """A `data:` address of a small picture; shown as the picture in a notebook, and short in plain text."""

    def __repr__(self) -> str:
        return "<picture>" if self else ""

    __str__ = __repr__


class PictureTable(pd.DataFrame):
    """A frame like any other; in a notebook, columns of pictures are shown as pictures and long texts are wrapped."""

    _metadata = ("said",)
    said: str

    @property
    def _constructor(self) -> Any:
        return PictureTable

    def _repr_html_(self) -> str:
        shown = self.head(_SHOWN)
        formats = {name: _picture if _holds_pictures(self[name]) else _text for name in self.columns}
        body = shown.to_html(
            escape=False, formatters=formats, border=0, index_names=False, na_rep="", classes="animeset-table"
        )
        said = getattr(self, "said", "") or ""
        if len(shown) < len(self):
            said = f"{said}; the first {len(shown)} are shown"
        return f"<style>{_STYLE}</style>{body}<p class='animeset-said'>{html.escape(said)}</p>"


_STYLE = (
    ".animeset-table td,.animeset-table th{text-align:left!important;vertical-align:middle;max-width:30em;white-space:normal}"
    ".animeset-table{font-size:12px}.animeset-table th{font-weight:600}.animeset-table tbody th{font-family:monospace;font-weight:400}"
    ".animeset-table img{max-width:none;height:64px;border-radius:4px;display:block}.animeset-said{font-size:12px;opacity:.7}"
)


def _holds_pictures(column: Any) -> bool:
    return any(isinstance(value, Thumb) for value in column)


def _picture(value: Any) -> str:
    # `str` of a thumb is short for plain tables, so its text is taken letter by letter
    return f"<img src='{''.join(value)}' alt=''>" if isinstance(value, Thumb) and len(value) else ""


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 10 else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return html.escape(str(value))


def _table(titles: Sequence[str], ids: Sequence[str], rows: Sequence[Sequence[Any]], said: str) -> PictureTable:
    """A column per title; `rows` have what stands in each."""
    table = PictureTable(list(rows), index=pd.Index(ids, name="id"), columns=list(titles), dtype=object)
    for name in table.columns:
        # where pyarrow is installed, pandas would make plain text of the pictures
        if not _holds_pictures(table[name]):
            table[name] = table[name].infer_objects()
    table.said = said
    return table


def stage_table(view: View, rows: Sequence[Any], total: int, *, pictures: bool) -> PictureTable:
    """`rows` of one stage, of `total` that there are."""
    columns: dict[str, Getter] = dict(_COLUMNS[view.section])
    thumbs = {row.id: picture_of(view, row) for row in rows} if pictures else {}
    if pictures and (any(thumbs.values()) or not rows):
        columns = {"picture": lambda row, view: thumbs[row.id], **columns}
    if any(row.dropped for row in rows):
        if len({row.dropped for row in rows}) > 1:
            columns["dropped as"] = lambda row, view: reason_of(view, row)
        columns["why"] = lambda row, view: row.why
    cells = [[value(row, view) for value in columns.values()] for row in rows]
    of = f"{len(rows)} rows" if len(rows) == total else f"{len(rows)} of {total} rows, spread over the film"
    return _table(list(columns), [row.id for row in rows], cells, f"{view.name}: {of if rows else 'no rows'}")


def reason_of(view: View, row: Any) -> str:
    """A few words for what the row was dropped for; empty for a kept one."""
    return view.output.stage.reasons[row.dropped].english if row.dropped else ""


def reasons(view: View, counts: Mapping[str, int]) -> PictureTable:
    """One line per reason, most frequent first; what was kept comes last."""
    titles = ("meaning", "rows", "share", "example", "why, of the example")
    rows = []
    ordered = [reason for reason, _ in Counter(counts).most_common()]
    for reason in ordered:
        example = next(row for row in view.rows if row.dropped == reason)
        share = f"{counts[reason] / len(view.rows):.0%}"
        meaning = view.output.stage.reasons[reason].means
        rows.append((meaning, counts[reason], share, picture_of(view, example), example.why))
    said = f"{view.name}: {len(view.kept)} of {len(view.rows)} rows are kept, {sum(counts.values())} dropped"
    return _table(titles, ordered, rows, said)


def fates(pairs: Sequence[tuple[View, Any]]) -> PictureTable:
    """One line per stage and row: kept or dropped, and why."""
    rows = []
    for place, (view, row) in enumerate(pairs):
        # one picture where several stages speak of the same thing
        thumb = Thumb() if any(row.id == other.id for _, other in pairs[:place]) else picture_of(view, row)
        rows.append((thumb, view.name, "dropped" if row.dropped else "kept", reason_of(view, row), row.why))
    titles = ("picture", "stage", "state", "reason", "why")
    return _table(titles, [row.id for _, row in pairs], rows, f"{len(pairs)} rows")


def findings(reports: Sequence[Report]) -> PictureTable:
    """One line per finding of the linter."""
    pairs = [(one, finding) for report in reports for one in report.linted for finding in one.findings]
    loaded = sum(len(report.linted) for report in reports)
    said = f"{loaded} data sets loaded: {sum(r.errors for r in reports)} errors, {sum(r.warnings for r in reports)} warnings"
    rows = [(finding.level, one.format, finding.path, finding.words) for one, finding in pairs]
    return _table(("level", "format", "where", "what"), [finding.code for _, finding in pairs], rows, said)


def picture_of(view: View, row: Any) -> Thumb:
    """A small picture of what a row is about: the still, the head or the crop. Empty where its file cannot be read."""
    path, part = _source(view, row)
    return Thumb(thumbnail(path, _PX, part))


def full_picture(view: View, row: Any) -> Picture:
    """The same in full size. Raises `InputError` where its file cannot be read."""
    path, part = _source(view, row)
    picture = read_image(path)
    return picture if part is None else part[0](picture, part[1])


def _source(view: View, row: Any) -> tuple[Path, Cut | None]:
    """The file with what a row is about, and how to cut it out; None: it is the whole picture."""
    stills = view.outputs[ExtractStage]
    if view.section in _OF_CROPS or view.section == "crop":
        crops = view.outputs[CropStage]
        return crops.path / crops.by_id[row.id].file, None
    path = stills.path / stills.by_id[_frame_id(row, view)].file
    if view.section in _OF_STILLS:
        return path, None
    if view.section == "upscale":
        return path, (cut, row.box)
    region = view.outputs[DetectStage].by_id[row.id]
    return path, (head_crop, region.face)


_OF_STILLS = ("extract", "dedupe", "regularisation")
_OF_CROPS = ("tag", "attributes", "caption", "dataset")
"""Settings sections of the stages whose rows have the id of a still, or of a crop; those of the others but upscale and crop have a region's."""


def _frame_id(row: Any, view: View) -> str:
    if view.section in _OF_STILLS:
        return str(row.id)
    if view.section in ("upscale", "crop"):
        return str(row.frame_id)
    if view.section in _OF_CROPS:
        return view.outputs[CropStage].by_id[row.id].frame_id
    return view.outputs[DetectStage].by_id[row.id].frame_id


def _seconds(row: Any, view: View) -> float:
    pts_ms: int = view.outputs[ExtractStage].by_id[_frame_id(row, view)].pts_ms
    return round(pts_ms / 1000, 2)


def _of(names: str) -> dict[str, Getter]:
    """Columns that are named as the row's fields are."""
    return {name: _field(name) for name in names.split()}


def _field(name: str) -> Getter:
    return lambda row, view: getattr(row, name)


def _measured(name: str) -> Getter:
    return lambda row, view: row.measured.get(name)


def _character(row: Any, view: View) -> str:
    return view.outputs[CropStage].by_id[row.id].character


def _tags(row: Any, view: View) -> str:
    return ", ".join(f"{tag} {score:.2f}" for tag, score in list(row.general.items())[:_TOP_TAGS])


_TIME: dict[str, Getter] = {"time (s)": _seconds}
_SIZE: dict[str, Getter] = {"size (px)": lambda row, view: f"{row.width}x{row.height}"}
_ENLARGED: dict[str, Getter] = {"enlarged": lambda row, view: f"{row.factor}x" if row.factor > 1 else "no"}
_WHO: dict[str, Getter] = {"character": _character}
_COLUMNS: Mapping[str, Mapping[str, Getter]] = {
    "extract": _TIME | _of("shot cause") | _SIZE,
    "dedupe": {
        **_TIME,
        "sharpness (levels/px)": _field("sharpness"),
        "contrast (levels)": _field("contrast"),
        "differing bits of 64": _field("hamming"),
        "similarity": _field("ssim"),
        "in the least similar part": _field("local_ssim"),
    },
    "detect": {
        **_TIME,
        "score": lambda row, view: round(row.score, 3),
        "face height (px)": lambda row, view: round(row.face.height),
        "body": lambda row, view: "estimated" if row.person_estimated else "seen",
    },
    "embed": {**_TIME, "numbers in the vector": lambda row, view: len(row.vector)},
    "cluster": {**_TIME, **_of("track"), "cluster (-1: noise)": _field("cluster"), **_of("confidence")},
    "cast": {
        **_TIME,
        "character": lambda row, view: row.character or "(nobody)",
        "named by": _field("source"),
        "confidence": _field("confidence"),
    },
    "quality": {
        **_TIME,
        "face (px)": _measured("face_px"),
        "light part (luma)": _measured("luma_p95"),
        "contrast (levels)": _measured("contrast"),
        "blur (% of face)": _measured("blur"),
        "noise (levels)": _measured("noise"),
        "score": _field("score"),
    },
    "upscale": {
        **_of("character framing"),
        "in the still (px)": lambda row, view: f"{row.box.width:.0f}x{row.box.height:.0f}",
        **_ENLARGED,
        "by": lambda row, view: row.upscaler or "",
    },
    "crop": _of("character framing") | _SIZE | _ENLARGED | {"faces in it": lambda row, view: len(row.faces)},
    "tag": {**_WHO, "best tags with score": _tags, "tags": lambda row, view: len(row.general), **_of("tagger")},
    "attributes": {
        **_WHO,
        **_of("outfit emotion background view"),
        "tags taken out": lambda row, view: ", ".join(row.removed),
    },
    "caption": _of("caption name"),
    "regularisation": _TIME | _SIZE | _of("caption"),
    "dataset": {
        **_of("character"),
        "rank": lambda row, view: row.rank if row.rank is not None else "",
        "file": lambda row, view: row.image or "",
    },
}
"""Settings section → what its table shows: title with unit, and how to get it from a row."""
