"""Tables with pictures in them: a pandas frame that shows its thumbnails in a notebook. Imported when the first table is asked for."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.head_box import head_crop
from animeset_lib.dashboard.pictures import thumbnail
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.pictures.crop import CropStage
from animeset_lib.records import Box

if TYPE_CHECKING:
    from animeset_lib.export.lint import Report
    from animeset_lib.notebook.run import StageView

__all__ = ["PictureTable", "fates", "findings", "picture_of", "reason_of", "reasons", "stage_table"]

_PX = 128
_SHOWN = 60
"""Most rows with pictures that a page gets: each is about five kilobytes."""
_TOP_TAGS = 8

Column = tuple[str, Callable[[Any, "StageView"], Any]]


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


def _table(records: Sequence[Mapping[str, Any]], ids: Sequence[str], said: str) -> PictureTable:
    table = PictureTable(list(records), index=pd.Index(ids, name="id"), dtype=object)
    for name in table.columns:
        # where pyarrow is installed, pandas would make plain text of the pictures
        if not _holds_pictures(table[name]):
            table[name] = table[name].infer_objects()
    table.said = said
    return table


def _empty(titles: Sequence[str], said: str) -> PictureTable:
    table = PictureTable(columns=list(titles), index=pd.Index([], name="id"))
    table.said = said
    return table


def stage_table(view: StageView, rows: Sequence[Any], total: int, *, pictures: bool) -> PictureTable:
    """`rows` of one stage, of `total` that there are."""
    columns = _COLUMNS[view.section]
    any_dropped = any(row.dropped for row in rows)
    one_reason = len({row.dropped for row in rows}) == 1
    records = []
    for row in rows:
        record: dict[str, Any] = {}
        if pictures:
            record["picture"] = picture_of(view, row)
        record |= {title: value(row, view) for title, value in columns}
        if any_dropped:
            record |= {} if one_reason else {"dropped as": reason_of(view, row)}
            record["why"] = row.why
        records.append(record)
    if pictures and not any(record["picture"] for record in records):
        for record in records:
            del record["picture"]
    if not rows:
        titles = ("picture",) * pictures + tuple(title for title, _ in columns)
        return _empty(titles, f"{view.name}: no rows")
    of = f"{len(rows)} rows" if len(rows) == total else f"{len(rows)} of {total} rows, spread over the film"
    return _table(records, [row.id for row in rows], f"{view.name}: {of}")


def reason_of(view: StageView, row: Any) -> str:
    """A few words for what the row was dropped for; empty for a kept one."""
    return view.output.stage.reasons[row.dropped].english if row.dropped else ""


def reasons(view: StageView, counts: Mapping[str, int]) -> PictureTable:
    """One line per reason, most frequent first; what was kept comes last."""
    records, ids = [], []
    for reason, count in Counter(counts).most_common():
        example = next(row for row in view.rows if row.dropped == reason)
        records.append(
            {
                "meaning": view.output.stage.reasons[reason].means,
                "rows": count,
                "share": f"{count / len(view.rows):.0%}",
                "example": picture_of(view, example),
                "why, of the example": example.why,
            }
        )
        ids.append(reason)
    said = f"{view.name}: {len(view.kept)} of {len(view.rows)} rows are kept, {sum(counts.values())} dropped"
    if not records:
        return _empty(("meaning", "rows", "share", "example", "why, of the example"), said)
    return _table(records, ids, said)


def fates(pairs: Sequence[tuple[StageView, Any]]) -> PictureTable:
    """One line per stage and row: kept or dropped, and why."""
    records = [
        {
            # one picture where several stages speak of the same thing
            "picture": picture_of(view, row) if row.id not in {other.id for _, other in pairs[:place]} else Thumb(),
            "stage": view.name,
            "state": "dropped" if row.dropped else "kept",
            "reason": reason_of(view, row),
            "why": row.why,
        }
        for place, (view, row) in enumerate(pairs)
    ]
    return _table(records, [row.id for _, row in pairs], f"{len(pairs)} rows")


def findings(reports: Sequence[Report]) -> PictureTable:
    """One line per finding of the linter."""
    pairs = [(one, finding) for report in reports for one in report.linted for finding in one.findings]
    loaded = sum(len(report.linted) for report in reports)
    said = f"{loaded} data sets loaded: {sum(r.errors for r in reports)} errors, {sum(r.warnings for r in reports)} warnings"
    if not pairs:
        return _empty(("level", "format", "where", "what"), said)
    records = [
        {"level": finding.level, "format": one.format, "where": finding.path, "what": finding.words}
        for one, finding in pairs
    ]
    return _table(records, [finding.code for _, finding in pairs], said)


def picture_of(view: StageView, row: Any, longest_px: int = _PX) -> Thumb:
    """A small picture of what a row is about: the still, the head or the crop. Empty where its file cannot be read."""
    stills = view.outputs[ExtractStage]
    if view.section in ("extract", "dedupe", "regularisation"):
        return Thumb(thumbnail(stills.path / stills.by_id[row.id].file, longest_px))
    if view.section in ("detect", "embed", "cluster", "cast", "quality"):
        region = view.outputs[DetectStage].by_id[row.id]
        path = stills.path / stills.by_id[region.frame_id].file
        return Thumb(thumbnail(path, longest_px, (head_crop, region.face)))
    if view.section == "upscale":
        path = stills.path / stills.by_id[row.frame_id].file
        return Thumb(thumbnail(path, longest_px, (cut, row.box)))
    crops = view.outputs[CropStage]
    crop = crops.by_id[row.id]
    return Thumb(thumbnail(crops.path / crop.file, longest_px))


def cut(picture: Any, box: Box) -> Any:
    """The part of `picture` in `box`."""
    x0, y0, x1, y1 = box.pixels()
    return picture[y0:y1, x0:x1]


def _seconds(row: Any, view: StageView) -> float:
    pts_ms: int = view.outputs[ExtractStage].by_id[_frame_id(row, view)].pts_ms
    return round(pts_ms / 1000, 2)


def _frame_id(row: Any, view: StageView) -> str:
    if view.section in ("extract", "dedupe", "regularisation"):
        return str(row.id)
    if view.section in ("upscale", "crop"):
        return str(row.frame_id)
    if view.section in ("tag", "attributes", "caption", "dataset"):
        return str(view.outputs[CropStage].by_id[row.id].frame_id)
    return str(view.outputs[DetectStage].by_id[row.id].frame_id)


def _of(name: str) -> Callable[[Any, StageView], Any]:
    return lambda row, view: getattr(row, name)


def _measured(name: str) -> Callable[[Any, StageView], Any]:
    return lambda row, view: row.measured.get(name)


def _crop_of(row: Any, view: StageView) -> Any:
    return view.outputs[CropStage].by_id[row.id]


def _tags(row: Any, view: StageView) -> str:
    return ", ".join(f"{tag} {score:.2f}" for tag, score in list(row.general.items())[:_TOP_TAGS])


_TIME: Column = ("time (s)", _seconds)
_COLUMNS: Mapping[str, Sequence[Column]] = {
    "extract": (
        _TIME,
        ("shot", _of("shot")),
        ("cause", _of("cause")),
        ("size (px)", lambda row, view: f"{row.width}x{row.height}"),
    ),
    "dedupe": (
        _TIME,
        ("sharpness (levels/px)", _of("sharpness")),
        ("contrast (levels)", _of("contrast")),
        ("differing bits of 64", _of("hamming")),
        ("similarity", _of("ssim")),
        ("in the least similar part", _of("local_ssim")),
    ),
    "detect": (
        _TIME,
        ("score", lambda row, view: round(row.score, 3)),
        ("face height (px)", lambda row, view: round(row.face.height)),
        ("body", lambda row, view: "estimated" if row.person_estimated else "seen"),
    ),
    "embed": (_TIME, ("numbers in the vector", lambda row, view: len(row.vector))),
    "cluster": (
        _TIME,
        ("track", _of("track")),
        ("cluster (-1: noise)", _of("cluster")),
        ("confidence", _of("confidence")),
    ),
    "cast": (
        _TIME,
        ("character", lambda row, view: row.character or "(nobody)"),
        ("named by", _of("source")),
        ("confidence", _of("confidence")),
    ),
    "quality": (
        _TIME,
        ("face (px)", _measured("face_px")),
        ("light part (luma)", _measured("luma_p95")),
        ("contrast (levels)", _measured("contrast")),
        ("blur (% of face)", _measured("blur")),
        ("noise (levels)", _measured("noise")),
        ("score", _of("score")),
    ),
    "upscale": (
        ("character", _of("character")),
        ("framing", _of("framing")),
        ("in the still (px)", lambda row, view: f"{row.box.width:.0f}x{row.box.height:.0f}"),
        ("enlarged", lambda row, view: f"{row.factor}x" if row.factor > 1 else "no"),
        ("by", lambda row, view: row.upscaler or ""),
    ),
    "crop": (
        ("character", _of("character")),
        ("framing", _of("framing")),
        ("size (px)", lambda row, view: f"{row.width}x{row.height}"),
        ("enlarged", lambda row, view: f"{row.factor}x" if row.factor > 1 else "no"),
        ("faces in it", lambda row, view: len(row.faces)),
    ),
    "tag": (
        ("character", lambda row, view: _crop_of(row, view).character),
        ("best tags with score", _tags),
        ("tags", lambda row, view: len(row.general)),
        ("tagger", _of("tagger")),
    ),
    "attributes": (
        ("character", lambda row, view: _crop_of(row, view).character),
        ("outfit", _of("outfit")),
        ("emotion", _of("emotion")),
        ("background", _of("background")),
        ("view", _of("view")),
        ("tags taken out", lambda row, view: ", ".join(row.removed)),
    ),
    "caption": (("caption", _of("caption")), ("name", _of("name"))),
    "regularisation": (
        _TIME,
        ("size (px)", lambda row, view: f"{row.width}x{row.height}"),
        ("caption", _of("caption")),
    ),
    "dataset": (
        ("character", _of("character")),
        ("rank", lambda row, view: row.rank if row.rank is not None else ""),
        ("file", lambda row, view: row.image or ""),
    ),
}
"""Settings section → what its table shows: title with unit, and how to get it from a row."""
