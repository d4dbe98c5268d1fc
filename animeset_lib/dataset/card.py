"""The README of a character's set and of a film: what is in it, how it came about, what is weak about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.dataset.coverage import Coverage
from animeset_lib.dataset.explain import REASONS, Loss
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.models.api import ModelInfo
from animeset_lib.pictures.framing import FRAMINGS
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.records import AttributeRow, CaptionRow, Crop, Film
from animeset_lib.run.stage import Given, StageType
from animeset_lib.settings import DatasetSettings
from animeset_lib.templates import render
from animeset_lib.wording import counted
from animeset_lib.words.attributes import AttributesStage
from animeset_lib.words.caption import CaptionStage
from animeset_lib.words.subsets import Subset
from animeset_lib.words.tag import TagStage
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = [
    "Chosen",
    "FilmNumbers",
    "Summary",
    "character_card",
    "clock",
    "film_card",
    "losses_in_words",
    "source_name",
    "weaknesses",
]

_PARTS = 5
"""Equal parts of the film in the table of times."""

# What decides most about how a set looks; everything else is in the run's settings file.
_TELLING: dict[StageType, tuple[str, ...]] = {
    ExtractStage: ("mode", "fps", "only", "skip"),
    DedupeStage: ("hamming_max", "ssim_min"),
    ClusterStage: ("min_regions", "same_distance"),
    QualityStage: ("dark_luma", "bright_luma", "blur_percent", "min_face_px"),
    UpscaleStage: ("training_px", "mix_face", "mix_upper_body", "mix_full", "mix_frame"),
    TagStage: ("choice", "general_min", "character_min"),
    AttributesStage: ("blacklist", "vote", "subset_min"),
    CaptionStage: ("trigger", "template", "style", "underscores", "max_tags", "core_traits", "core_share", "core_lift"),
}
_OWN = ("min_pictures", "max_pictures", "per_shot", "per_outfit", "per_emotion", "same_picture", "novelty_min")


@dataclass(frozen=True)
class Chosen:
    """One picture of a set with what is known about it."""

    crop: Crop
    caption: CaptionRow
    kind: AttributeRow
    pts_ms: int
    shot: int
    confidence: float

    def stem(self, rank: int, names: Literal["numbered", "descriptive"]) -> str:
        """What its picture and caption are called, after `dataset.names`, without the ending."""
        return f"{self.crop.character if names == 'numbered' else self.caption.name}_{rank:04d}"


@dataclass(frozen=True)
class Summary:
    """One character's set. `candidates` were finished crops to choose from; `lost` what fell out before and there."""

    character: str
    chosen: Sequence[Chosen]
    candidates: int
    figures: int
    lost: Sequence[Loss]
    core_traits: Sequence[str]
    subsets: Sequence[Subset] = ()

    @property
    def framings(self) -> dict[str, int]:
        counts = Counter(c.crop.framing for c in self.chosen)
        return {framing: counts[framing] for framing in FRAMINGS}


@dataclass(frozen=True)
class FilmNumbers:
    """Counts over the whole film. `length_ms` is the last known moment; `lost_figures` counts what `3a_detect` dropped, by reason; `noise` figures
    belong to no character; `by_person` counts the faces that a person took out, by reason, `decisions` what that person decided
    about them, `frame_decisions` about duplicates; `regularisation` pictures show nobody."""

    film: Film
    length_ms: int
    frames: int
    kept_frames: int
    lost_figures: Mapping[str, int]
    usable_figures: int
    noise: int
    by_person: Mapping[str, int] = field(default_factory=dict)
    decisions: int = 0
    frame_decisions: int = 0
    regularisation: int = 0


def clock(pts_ms: int) -> str:
    """`01:02:03`, or `02:03` in the first hour."""
    seconds = pts_ms // 1000
    hours, rest = divmod(seconds, 3600)
    return (f"{hours:02d}:" if hours else "") + f"{rest // 60:02d}:{rest % 60:02d}"


def source_name(film: Film) -> str:
    """The input's name without any folder, whichever system's separators it has."""
    return PurePosixPath(film.source_name.replace("\\", "/")).name or film.name


def weaknesses(summary: Summary, numbers: FilmNumbers, settings: DatasetSettings) -> list[str]:
    """What a person should know before training on this set, one sentence each."""
    chosen = summary.chosen
    found: list[str] = []
    if len(chosen) < settings.min_pictures:
        found.append(
            f"Few pictures: {len(chosen)} of the {settings.min_pictures} wanted (`dataset.min_pictures`). "
            f"The film gave {counted(summary.figures, 'figure')} of this character"
            + (f"; lost on the way: {losses_in_words(summary.lost)}." if summary.lost else ".")
        )
    if not chosen:
        return found
    shots = len({c.shot for c in chosen})
    if shots <= 3 and len(chosen) > shots:
        found.append(f"Little variety: all pictures come from {counted(shots, 'shot')}.")
    first, last = min(c.pts_ms for c in chosen), max(c.pts_ms for c in chosen)
    if shots > 3 and last - first < 0.1 * numbers.length_ms:
        found.append(f"All pictures lie between {clock(first)} and {clock(last)} of {clock(numbers.length_ms)}.")
    framings = {framing for framing, count in summary.framings.items() if count}
    if framings == {"face"}:
        found.append("Only faces: the clothes and the figure cannot be learned from this set.")
    elif not framings & {"full", "frame"}:
        found.append("No full figure: everything below the waist is unknown.")
    elif "face" not in framings:
        found.append("No face close-ups: details of the face may come out weak.")
    for attribute in ("outfit", "emotion", "background"):
        values = Counter(getattr(c.kind, attribute) for c in chosen)
        if set(values) == {UNKNOWN}:
            found.append(f"The {attribute} is unknown for every picture: this tagger does not see it.")
        elif values[UNKNOWN] > len(chosen) / 2:
            found.append(f"The {attribute} is unknown for {values[UNKNOWN]} of {len(chosen)} pictures.")
        elif len(values) == 1 and len(chosen) > 1 and attribute != "background":
            found.append(f"Only one {attribute}: {next(iter(values))}; the trigger word will mean it too.")
    enlarged = sum(1 for c in chosen if c.crop.factor > 1)
    if enlarged > len(chosen) / 2:
        found.append(
            f"{enlarged} of {len(chosen)} pictures were enlarged: their finest texture is the upscaler's, not the film's."
        )
    unsure = sum(1 for c in chosen if c.confidence < 0.5)
    if unsure:
        found.append(
            f"{counted(unsure, 'picture')} may show somebody else (identity confidence below 0.5 in `metadata.jsonl`)."
        )
    crowded = sum(1 for c in chosen if len(c.crop.faces) > 1)
    if crowded:
        found.append(f"{counted(crowded, 'picture')} also show another face.")
    return found


def character_card(
    summary: Summary, numbers: FilmNumbers, settings: DatasetSettings, given: Given, covered: Coverage
) -> str:
    """`<character>/README.md`. The same for equal inputs: no date, no place."""
    chosen = summary.chosen
    traits = given[CaptionStage].notes.traits.get(summary.character, {})
    sizes = Counter(f"{c.crop.width}x{c.crop.height}" for c in chosen)
    return _render(
        "character.md.j2",
        summary=summary,
        chosen=chosen,
        source=_text(source_name(numbers.film)),
        trigger=traits.get("trigger", summary.character),
        trigger_first=traits.get("trigger_first", True),
        stem=chosen[0].stem(1, settings.names),
        weak=weaknesses(summary, numbers, settings),
        covered=covered,
        shares={
            "Framing": _counts(c.crop.framing for c in chosen),
            "Outfit": _counts(c.kind.outfit for c in chosen),
            "Emotion": _counts(c.kind.emotion for c in chosen),
            "Background": _counts(c.kind.background for c in chosen),
        },
        subsets=[(subset, _told_by(subset)) for subset in summary.subsets],
        times=_times(summary, numbers),
        sizes=", ".join(f"{size} ({count})" for size, count in sorted(sizes.items(), key=lambda p: (-p[1], p[0]))),
        traits="; ".join(_trait(one) for one in traits.get("traits", []) if one["core"]) or "none found",
        dropped=", ".join(f"`{tag}`" for tag in traits.get("dropped", [])) or "nothing",
        reasons=REASONS,
        settings=_settings(given, settings),
        **_made_with(given),
    )


def film_card(summaries: Sequence[Summary], numbers: FilmNumbers, settings: DatasetSettings, given: Given) -> str:
    """The README at the top of a film's output."""
    return _render(
        "film.md.j2",
        source=_text(source_name(numbers.film)),
        summaries=summaries,
        numbers=numbers,
        one_line={summary.character: _in_one_line(summary, numbers, settings) for summary in summaries},
        why_none=_why_none(summaries, numbers),
        lost=", ".join(f"{count} {reason}" for reason, count in sorted(numbers.lost_figures.items())),
        **_made_with(given),
    )


def _render(name: str, **values: Any) -> str:
    filters = {"cell": _cell, "url": _url, "percent": "{:.0%}".format}
    return render(Path(__file__).with_name("templates") / name, filters, **values)


def _why_none(summaries: Sequence[Summary], numbers: FilmNumbers) -> str:
    """Why there is no set at all, and what to do."""
    faces = numbers.usable_figures + sum(numbers.lost_figures.values())
    if faces == 0:
        reason = "No face was found in any frame."
        advice = "If there are faces in the film, lower `detect.score_min`, or use another detector (`animeset doctor` shows what there is)."
    elif numbers.usable_figures == 0:
        lost = ", ".join(f"{count} {reason}" for reason, count in sorted(numbers.lost_figures.items()))
        reason = f"{counted(faces, 'possible face')} were seen, but all were dropped before sorting ({lost})."
        advice = "Lower `detect.min_face_px` or `detect.score_min`, or use a sharper copy of the film."
    elif not summaries:
        reason = f"{counted(numbers.usable_figures, 'face')} were found, but no group of them is large enough to be a character."
        advice = "Lower `cluster.min_regions`, or give reference pictures of the characters you look for."
    else:
        reason = (
            f"{counted(len(summaries), 'character')} were found, but no picture of them is left: "
            + "; ".join(f"{s.character}: {losses_in_words(s.lost)}" for s in summaries)
            + "."
        )
        advice = "Loosen the `quality` limits that dropped them, or use a better copy of the film."
    if any(numbers.by_person.values()):
        taken = sum(numbers.by_person.values())
        reason += f" You took {counted(taken, 'face')} out yourself."
        advice = f"Take back decisions about the cast that went too far. {advice}"
    return f"{reason} {advice}"


def _in_one_line(summary: Summary, numbers: FilmNumbers, settings: DatasetSettings) -> str:
    weak = weaknesses(summary, numbers, settings)
    if not summary.chosen:
        return weak[0] if weak else ""
    shots = len({c.shot for c in summary.chosen})
    first, last = min(c.pts_ms for c in summary.chosen), max(c.pts_ms for c in summary.chosen)
    text = f"{counted(shots, 'shot')}, {clock(first)} to {clock(last)}"
    if summary.core_traits:
        text += f"; {', '.join(summary.core_traits[:4])}"
    return text + (f". {weak[0]}" if weak else "")


def _counts(values: Iterable[str]) -> list[tuple[str, int]]:
    """Each value and how often it is there, the commonest first, `unknown` last."""
    return sorted(Counter(values).items(), key=lambda pair: (pair[0] == UNKNOWN, -pair[1], pair[0]))


def _trait(trait: Mapping[str, Any]) -> str:
    # with nobody else in the film there is nothing to compare with
    often = "" if trait["lift"] is None else f", {trait['lift']:.1f} times as often as elsewhere"
    return f"`{trait['tag']}` on {trait['share']:.0%}{often}"


def _told_by(subset: Subset) -> str:
    told = [f"`{word.tag}`" for word in subset.words] or [f"{name} {share:.0%}" for name, share in subset.colours]
    return ", ".join(told)


def _times(summary: Summary, numbers: FilmNumbers) -> list[tuple[str, int, int]]:
    """Span, pictures and shots per fifth of the film."""
    length = max(numbers.length_ms, 1)
    parts = [min(_PARTS - 1, c.pts_ms * _PARTS // length) for c in summary.chosen]
    rows = []
    for part in range(_PARTS):
        here = [c for c, own in zip(summary.chosen, parts, strict=True) if own == part]
        span = f"{clock(length * part // _PARTS)} to {clock(length * (part + 1) // _PARTS)}"
        rows.append((span, len(here), len({c.shot for c in here})))
    return rows


def _made_with(given: Given) -> dict[str, Any]:
    """Every model that a stage noted in its stage.json, and the libraries."""
    noted = [(output.stage.name, model) for output in given for _, model in output.notes]
    libraries = {name: version for output in given for name, version in output.info.libraries.items()}
    return {
        "model_rows": [(stage, model) for stage, model in noted if isinstance(model, ModelInfo)],
        "made": ", ".join(f"{name} {version}" for name, version in sorted(libraries.items())),
    }


def _settings(given: Given, settings: DatasetSettings) -> list[tuple[str, str, str]]:
    """Stage, setting and value, of what decides most."""
    of_stages = [(stage, name, _setting(given, stage, name)) for stage, names in _TELLING.items() for name in names]
    return [
        *((stage.name, name, str(value)) for stage, name, value in of_stages if value is not None),
        *(("7_dataset", name, str(getattr(settings, name))) for name in _OWN),
    ]


def _setting(given: Given, stage: StageType, name: str) -> Any:
    return given[stage].info.settings.get("settings", {}).get(name)


def losses_in_words(lost: Sequence[Loss]) -> str:
    """`2 figures blurred (4a_quality), 1 crop not selected (7_dataset)`; `nothing` when nothing was lost."""
    return (
        ", ".join(
            f"{counted(loss.count, loss.what)} {REASONS[loss.reason].english.lower()} ({loss.stage})" for loss in lost
        )
        or "nothing"
    )


def _cell(text: str) -> str:
    """`text` safe inside a table cell."""
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    return " ".join(text.split())


def _url(text: str) -> str:
    """A relative link that Markdown reads whole; letters of any script may stay."""
    return "".join(f"%{ord(c):02X}" if c in " ()<>%#?" else c for c in text)
