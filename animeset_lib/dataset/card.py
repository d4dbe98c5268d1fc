"""The README of a character's set and of a film: what is in it, how it came about, what is weak about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
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
    ExtractStage: ("mode", "fps", "start_ms", "end_ms"),
    DedupeStage: ("hamming_max", "ssim_min"),
    ClusterStage: ("min_regions", "same_distance"),
    QualityStage: ("dark_luma", "bright_luma", "blur_percent", "min_face_px"),
    UpscaleStage: ("training_px", "mix_face", "mix_upper_body", "mix_full", "mix_frame"),
    TagStage: ("choice", "general_min", "character_min"),
    AttributesStage: ("blacklist", "vote", "subset_min"),
    CaptionStage: ("trigger", "template", "style", "underscores", "max_tags", "core_traits", "core_share", "core_lift"),
}


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
    weak = weaknesses(summary, numbers, settings)
    traits = given[CaptionStage].notes.traits.get(summary.character, {})
    first = "first " if traits.get("trigger_first", True) else ""
    stem = chosen[0].stem(1, settings.names)
    sizes = Counter(f"{c.crop.width}x{c.crop.height}" for c in chosen)
    lines = [
        f"# {summary.character}",
        "",
        f"{counted(len(chosen), 'picture')} with captions from **{_text(source_name(numbers.film))}** for training a LoRA. "
        f"Trigger word: `{traits.get('trigger', summary.character)}`, {first}in every caption by default.",
        "",
        "![Contact sheet](contact_sheet.png)",
        "",
        "| File | Content |",
        "|---|---|",
        f"| `dataset/images/{stem}.png` ... | the pictures; the first n are themselves a good set of n |",
        f"| `dataset/captions/{stem}.txt` ... | one line of tags per picture |",
        "| `metadata.jsonl` | per picture: tags, attributes, why it was chosen, source, time, box, scores, hash |",
        "| `contact_sheet.png`, `subsets.png` | all pictures at a glance, the same by outfit and emotion |",
        "| `coverage.png`, `coverage.json` | what the film shows of the character, what the set has of it, and what is missing |",
        "| `subsets.json`, `traits.json` | outfits and emotions for sub-LoRAs; which tags belong to the character itself |",
        "",
        f"For a trainer: `animeset export` writes this set as kohya, OneTrainer, ai-toolkit and others load it; with `--by outfit` in folders of its "
        f"{counted(len(summary.subsets), 'sub-set')}.",
        "",
        "## Known weaknesses",
        "",
        *(
            [f"- {sentence}" for sentence in weak]
            or ["None that could be measured. Look at the contact sheet all the same."]
        ),
        "",
        *_gaps(covered),
        "## What is in it",
        "",
        *_coverage("Framing", (c.crop.framing for c in chosen)),
        *_coverage("Outfit", (c.kind.outfit for c in chosen)),
        *_coverage("Emotion", (c.kind.emotion for c in chosen)),
        *_coverage("Background", (c.kind.background for c in chosen)),
        *_subset_table(summary.subsets),
        *_times(summary, numbers),
        f"Sizes: {', '.join(f'{size} ({count})' for size, count in sorted(sizes.items(), key=lambda p: (-p[1], p[0])))}.",
        "",
        *_traits(traits),
        "## How it came about",
        "",
        f"{counted(summary.figures, 'figure')} of this character were found, {counted(summary.candidates, 'finished crop')} "
        f"could be chosen from, {len(chosen)} were. Every single decision stands in `../explain.jsonl`.",
        "",
        *_loss_table(summary.lost),
        "## Models",
        "",
        *_model_table(given),
        "## Settings that matter",
        "",
        *_settings_table(given, settings),
        "## Licence",
        "",
        f"The pictures are taken from {_text(source_name(numbers.film))}; whoever holds the rights to it holds them here. "
        "Not stated by this tool: fill in before you share the set.",
        "",
    ]
    return "\n".join(lines)


def film_card(summaries: Sequence[Summary], numbers: FilmNumbers, settings: DatasetSettings, given: Given) -> str:
    """The README at the top of a film's output."""
    film = numbers.film
    lines = [f"# {_text(source_name(film))}", ""]
    if any(summary.chosen for summary in summaries):
        total = sum(len(summary.chosen) for summary in summaries)
        lines += [
            f"{counted(total, 'picture')} of {counted(sum(1 for s in summaries if s.chosen), 'character')}.",
            "",
            "![One row per character](contact_sheet.png)",
            "",
            "| Character | Pictures | of candidates | Face | Upper body | Full | Whole frame | In one line |",
            "|---|---:|---:|---:|---:|---:|---:|---|",
        ]
        for summary in summaries:
            name = _cell(summary.character)
            link = f"[{name}]({_url(summary.character)}/README.md)" if summary.chosen else name
            mix = " | ".join(str(count) for count in summary.framings.values())
            lines.append(
                f"| {link} | {len(summary.chosen)} | {summary.candidates} | {mix} | {_cell(_in_one_line(summary, numbers, settings))} |"
            )
        lines += [
            "",
            "Names such as `character_01` are the program's; give a folder with reference pictures per name to have your own.",
            "",
        ]
    else:
        lines += _no_characters(summaries, numbers)
    lines += [
        "## From film to pictures",
        "",
        f"- stills taken from the film: {numbers.frames}, without duplicates: {numbers.kept_frames}",
        f"- faces used: {numbers.usable_figures}; boxes left out: "
        + (", ".join(f"{count} {reason}" for reason, count in sorted(numbers.lost_figures.items())) or "none"),
        f"- faces that belong to no character (extras, or seen too seldom): {numbers.noise}",
        *_by_person(numbers),
        *(
            [f"- pictures without anybody, for regularisation: {numbers.regularisation}, in `regularisation/`"]
            if numbers.regularisation
            else []
        ),
        "",
        "`explain.jsonl` says of every frame, figure and crop what became of it and why.",
        "",
    ]
    if film.notes:
        lines += ["About the film file:", "", *[f"- {note}" for note in film.notes], ""]
    lines += ["## Models", "", *_model_table(given)]
    return "\n".join(lines)


def _by_person(numbers: FilmNumbers) -> list[str]:
    lines = []
    if rejected := numbers.by_person.get("not_a_character"):
        lines.append(f"- faces of which you said that they are no character: {rejected}")
    if dropped := numbers.by_person.get("by_hand"):
        lines.append(f"- faces whose pictures you took out by hand: {dropped}")
    if numbers.decisions:
        lines.append(f"- {counted(numbers.decisions, 'decision')} of yours about the cast, kept in `decisions.jsonl`")
    if numbers.frame_decisions:
        lines.append(f"- {counted(numbers.frame_decisions, 'decision')} of yours about duplicates, kept there as well")
    return lines


def _no_characters(summaries: Sequence[Summary], numbers: FilmNumbers) -> list[str]:
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
    return [
        "**No character set could be made from this film.**",
        "",
        reason + " " + advice,
        "",
        f"The {counted(numbers.kept_frames, 'frame')} without duplicates are in `frames/`.",
        "",
    ]


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


def _coverage(title: str, values: Iterable[str]) -> list[str]:
    counts = Counter(values)
    total = sum(counts.values())
    rows = sorted(counts.items(), key=lambda pair: (pair[0] == UNKNOWN, -pair[1], pair[0]))
    return [
        f"| {title} | Pictures | Share |",
        "|---|---:|---:|",
        *[f"| {_cell(value)} | {count} | {count / total:.0%} |" for value, count in rows],
        "",
    ]


def _traits(traits: Mapping[str, Any]) -> list[str]:
    """Which tags belong to the character itself, and what the captions make of them."""
    core = [trait for trait in traits.get("traits", []) if trait["core"]]
    told = [
        f"`{t['tag']}` on {t['share']:.0%}"
        # with nobody else in the film there is nothing to compare with
        + ("" if t["lift"] is None else f", {t['lift']:.1f} times as often as elsewhere")
        for t in core
    ]
    dropped = [f"`{tag}`" for tag in traits.get("dropped", [])]
    return [
        f"Traits of the character itself: {'; '.join(told) or 'none found'}.",
        "",
        f"Left out of the captions, for the trigger word to learn: {', '.join(dropped) or 'nothing'}.",
        "",
    ]


def _gaps(covered: Coverage) -> list[str]:
    """What the film never shows of the character, and what it shows but the set has not."""
    parts = [("The film never shows", covered.never_shown), ("In the film, not in the set", covered.not_in_set)]
    lines = [f"- {title}: {'; '.join(gap.words for gap in gaps)}." for title, gaps in parts if gaps]
    return ["## What is missing", "", *lines, ""] if lines else []


def _subset_table(subsets: Sequence[Subset]) -> list[str]:
    if not subsets:
        return []
    rows = []
    for subset in subsets:
        told = [f"`{word.tag}`" for word in subset.words] or [f"{name} {share:.0%}" for name, share in subset.colours]
        rows.append(
            f"| {subset.kind} | {_cell(subset.name)} | {len(subset.ids)} | {subset.tracks} | {_cell(', '.join(told))} |"
        )
    return ["| Sub-set | Name | Pictures | Scenes in the film | Told by |", "|---|---|---:|---:|---|", *rows, ""]


def _times(summary: Summary, numbers: FilmNumbers) -> list[str]:
    """Pictures and shots per fifth of the film."""
    length = max(numbers.length_ms, 1)
    parts = [min(_PARTS - 1, c.pts_ms * _PARTS // length) for c in summary.chosen]
    rows = []
    for part in range(_PARTS):
        here = [c for c, own in zip(summary.chosen, parts, strict=True) if own == part]
        span = f"{clock(length * part // _PARTS)} to {clock(length * (part + 1) // _PARTS)}"
        rows.append(f"| {span} | {len(here)} | {len({c.shot for c in here})} |")
    return ["| Time in the film | Pictures | Shots |", "|---|---:|---:|", *rows, ""]


def _loss_table(lost: Sequence[Loss]) -> list[str]:
    if not lost:
        return []
    return [
        "| Left out at | Reason | How many |",
        "|---|---|---:|",
        *[
            f"| {loss.stage} | {_cell(REASONS[loss.reason].english)} | {counted(loss.count, loss.what)} |"
            for loss in lost
        ],
        "",
    ]


def _model_table(given: Given) -> list[str]:
    """Every model that a stage noted in its stage.json, by the fields of `ModelInfo`."""
    rows = []
    for output in given:
        for _, model in output.notes:
            if isinstance(model, ModelInfo):
                rows.append(
                    f"| {output.stage.name} | {_cell(model.name)} | {_cell(model.rung)} | {_cell(model.licence)} | `{model.digest}` |"
                )
    libraries = {name: version for output in given for name, version in output.info.libraries.items()}
    made = ", ".join(f"{name} {version}" for name, version in sorted(libraries.items()))
    return [
        "| Stage | Model | Rung | Licence | Digest |",
        "|---|---|---|---|---|",
        *rows,
        "",
        *([f"Made with {made}.", ""] if made else []),
    ]


def _settings_table(given: Given, settings: DatasetSettings) -> list[str]:
    rows = [
        f"| {stage.name} | {name} | `{_cell(str(value))}` |"
        for stage, names in _TELLING.items()
        for name in names
        if (value := _setting(given, stage, name)) is not None
    ]
    rows += [
        f"| 7_dataset | {name} | `{getattr(settings, name)}` |"
        for name in (
            "min_pictures",
            "max_pictures",
            "per_shot",
            "per_outfit",
            "per_emotion",
            "same_picture",
            "novelty_min",
        )
    ]
    return ["| Stage | Setting | Value |", "|---|---|---|", *rows, ""]


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
