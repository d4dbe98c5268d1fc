"""Every setting of every stage: meaning, unit, range and default, in one frozen model; TOML in and out; presets.

Each stage owns one section, and only that section enters its key: changing a caption setting repeats captions, not detection.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from animeset_lib.errors import SettingsError

__all__ = [
    "PRESETS",
    "CaptionSettings",
    "CastSettings",
    "ClusterSettings",
    "CropSettings",
    "DatasetSettings",
    "DedupeSettings",
    "DetectSettings",
    "EmbedSettings",
    "ExtractSettings",
    "QualitySettings",
    "RegularisationSettings",
    "Settings",
    "TagSettings",
    "UpscaleSettings",
    "describe",
    "load_settings",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExtractSettings(_Section):
    """1_extract: which frames of the film become stills."""

    mode: Annotated[
        Literal["adaptive", "fps", "keyframes"],
        Field(
            description="adaptive: every shot, and more where the picture changes; fps: as `ffmpeg -vf fps=N`; keyframes: the codec's own."
        ),
    ] = "adaptive"
    fps: Annotated[float, Field(gt=0, le=60, description="Frames per second in mode fps.")] = 1.0
    min_gap_ms: Annotated[
        int, Field(ge=0, le=60_000, description="Adaptive: least time in ms between two stills of one shot.")
    ] = 250
    max_gap_ms: Annotated[
        int,
        Field(
            ge=100,
            le=600_000,
            description="Adaptive: a still at least this often in ms while the picture moves at all.",
        ),
    ] = 2_000
    change: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Adaptive: share of the picture's small blocks that must differ from the shot's stills; smaller keeps more.",
        ),
    ] = 0.006
    cut: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Shot boundary: how strongly colours and content of two frames must differ, 0..1; smaller cuts more.",
        ),
    ] = 0.36
    crop_black_bars: Annotated[
        bool, Field(description="Cut the film's black bars off the stills (recorded in stage.json, reversible).")
    ] = True
    start_ms: Annotated[int, Field(ge=0, description="Ignore the film before this time in ms.")] = 0
    end_ms: Annotated[
        int | None, Field(gt=0, description="Ignore the film from this time in ms on; unset: to the end.")
    ] = None
    image_format: Annotated[
        Literal["png", "webp"], Field(description="Stills on disk; both lossless, webp smaller and slower.")
    ] = "png"


class DedupeSettings(_Section):
    """2_dedupe: which stills show the same picture."""

    method: Annotated[
        Literal["phash", "dhash", "ahash", "whash"], Field(description="ImageHash method that proposes pairs, 64 bits.")
    ] = "phash"
    hamming_max: Annotated[
        int,
        Field(
            ge=0,
            le=24,
            description="Bits of 64 that may differ for a pair to be proposed; neighbours in a shot always are.",
        ),
    ] = 10
    ssim_min: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="A proposed pair is a duplicate when its structural similarity reaches this, 0..1; smaller drops more.",
        ),
    ] = 0.9
    local_ssim_min: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="... and no part of the picture (a face with another expression) is less similar than this, 0..1.",
        ),
    ] = 0.7
    window_ms: Annotated[
        int | None, Field(gt=0, description="Compare only stills at most this many ms apart; unset: the whole film.")
    ] = None


class DetectSettings(_Section):
    """3a_detect: faces and figures in each kept still."""

    detector: Annotated[
        str,
        Field(
            description="Detector by name (`animeset models list`), several joined by + add up, yolo:FILE for your own; auto: the best present."
        ),
    ] = "auto"
    score_min: Annotated[
        float | None, Field(ge=0, le=1, description="Least detection score; unset: the detector's own value.")
    ] = None
    min_face_px: Annotated[
        int, Field(ge=8, le=2048, description="Faces less high than this many pixels are recorded and dropped.")
    ] = 40


class EmbedSettings(_Section):
    """3b_embed: identity vectors of heads."""

    embedder: Annotated[
        str,
        Field(
            description="Embedder by name (`animeset models list`), or open_clip:MODEL/PRETRAINED; auto: the best that is present."
        ),
    ] = "auto"


class ClusterSettings(_Section):
    """3c_cluster: which heads belong to one character."""

    track_gap_ms: Annotated[
        int, Field(ge=0, le=60_000, description="Longest time in ms a figure may be unseen inside a track.")
    ] = 2_500
    min_regions: Annotated[
        int | None,
        Field(ge=2, le=500, description="Least number of faces of a character; unset: grows with the film (3 to 15)."),
    ] = None
    same_distance: Annotated[
        float | None,
        Field(
            gt=0, le=2, description="Distance up to which two heads are one character; unset: the embedder's own value."
        ),
    ] = None
    adapt: Annotated[
        bool, Field(description="Learn from the film's own tracks which differences do not matter (any embedder).")
    ] = True
    map: Annotated[
        Literal["umap", "pca"],
        Field(description="Flat map of the faces, for looking only; umap needs up to a minute to start, pca none."),
    ] = "umap"
    seed: Annotated[int, Field(ge=0, description="Seed of the UMAP map.")] = 7


class CastSettings(_Section):
    """3d_cast: names for clusters."""

    reference_confidence: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Share of a cluster's faces that must be nearest to a reference for the cluster to take its name.",
        ),
    ] = 0.5


class QualitySettings(_Section):
    """4a_quality: what is too bad to train on. Values are measured on the still, in and around the face."""

    dark_luma: Annotated[
        float,
        Field(
            ge=0, le=255, description="Luma (0..255) that the brightest 5 % of the face must reach; 0: never too dark."
        ),
    ] = 56.0
    bright_luma: Annotated[
        float,
        Field(
            ge=0, le=255, description="Luma (0..255) that the darkest 5 % of the face may reach; 255: never too bright."
        ),
    ] = 185.0
    flat_contrast: Annotated[
        float,
        Field(
            ge=0,
            le=255,
            description="Least difference of the 98th and 2nd percentile of luma in the face; 0: never flat.",
        ),
    ] = 56.0
    blur_percent: Annotated[
        float,
        Field(
            gt=0,
            le=50,
            description="Most width (sigma) of the drawn lines in percent of the face height; 50: never blurred.",
        ),
    ] = 1.75
    noise_sigma: Annotated[
        float, Field(ge=0, le=128, description="Most noise (robust sigma of flat parts, 0..255); 128: never noisy.")
    ] = 7.5
    blockiness: Annotated[
        float,
        Field(
            ge=0, le=50, description="Most excess in luma levels of steps on the codec's 8-px grid; 50: never blocky."
        ),
    ] = 1.0
    blend_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Most share of the next shot in a dissolve, or of plain colour in a fade; 1: never a blend.",
        ),
    ] = 0.12
    min_face_px: Annotated[
        int, Field(ge=8, le=4096, description="Least face height in px for a picture that is worth training on.")
    ] = 48


class UpscaleSettings(_Section):
    """4b_upscale: which pictures are worth finishing, how they will be framed, and enlarging those that are too small."""

    upscaler: Annotated[
        str,
        Field(
            description="Upscaler by name (`animeset models list`), spandrel:FILE or command:PROGRAM {input} {output} for your own; "
            "auto: the best present; lanczos: no network; none: never enlarge."
        ),
    ] = "auto"
    training_px: Annotated[
        int,
        Field(
            ge=256,
            le=4096,
            multiple_of=64,
            description="Side in px of the square the trainer works at: 512 for SD 1.5, 1024 for SDXL.",
        ),
    ] = 1024
    tolerance: Annotated[
        float,
        Field(
            ge=1,
            le=4,
            description="Enlarge only when the crop would need more than this factor to reach the training size.",
        ),
    ] = 1.2
    max_factor: Annotated[
        int, Field(ge=1, le=4, description="Largest factor; what is still too small then stays as it is.")
    ] = 4
    candidates: Annotated[
        float,
        Field(ge=1, le=10, description="Pictures finished per character, as a multiple of `dataset.max_pictures`."),
    ] = 1.5
    mix_face: Annotated[float, Field(ge=0, le=1, description="Share of face crops in the planned mix.")] = 0.35
    mix_upper_body: Annotated[float, Field(ge=0, le=1, description="Share of upper-body crops.")] = 0.35
    mix_full: Annotated[float, Field(ge=0, le=1, description="Share of full-figure crops.")] = 0.2
    mix_frame: Annotated[float, Field(ge=0, le=1, description="Share of whole frames.")] = 0.1
    max_pictures: Annotated[
        int, Field(ge=1, le=1000, description="Same as dataset.max_pictures; set there, copied here.")
    ] = 100
    min_pictures: Annotated[
        int, Field(ge=1, le=1000, description="Same as dataset.min_pictures; set there, copied here.")
    ] = 30
    bucket_step_px: Annotated[
        int, Field(ge=8, le=256, description="Same as crop.bucket_step_px; set there, copied here.")
    ] = 64


class CropSettings(_Section):
    """5_crop: cutting the planned pictures."""

    bucket_step_px: Annotated[
        int, Field(ge=8, le=256, description="Sides become multiples of this, as in the trainer's buckets.")
    ] = 64
    shrink_to_training: Annotated[
        bool, Field(description="Shrink crops larger than the training size to it (area); off: keep every pixel.")
    ] = True
    training_px: Annotated[
        int, Field(ge=256, le=4096, multiple_of=64, description="Same as upscale.training_px; set there, copied here.")
    ] = 1024


class TagSettings(_Section):
    """6a_tag: booru tags."""

    tagger: Annotated[
        str,
        Field(
            description="Tagger by name (`animeset models list`), several joined by + vote; auto: the best that is present."
        ),
    ] = "auto"
    choice: Annotated[
        Literal["fixed", "mcut"],
        Field(
            description="Which scores count: those above fixed thresholds, or those above the largest gap of each picture."
        ),
    ] = "fixed"
    general_min: Annotated[
        float | None, Field(ge=0, le=1, description="Least score of a general tag; unset: the tagger's own value.")
    ] = None
    character_min: Annotated[
        float | None, Field(ge=0, le=1, description="Least score of a character's name; unset: the tagger's own value.")
    ] = None


class AttributesSettings(_Section):
    """6b_attributes: cleaning tags, naming outfits and emotions."""

    blacklist: Annotated[
        str, Field(description="Tags that are never used, by commas; * stands for any letters: `*_request, dated`.")
    ] = ""
    subset_min: Annotated[
        int,
        Field(ge=1, le=100, description="Least figures of an outfit or emotion; a rarer one joins the most similar."),
    ] = 3
    outfit_distance: Annotated[
        float,
        Field(
            ge=0.2,
            le=5,
            description="How different clothes must be to count as another outfit, 1 as measured; larger finds fewer outfits.",
        ),
    ] = 1.0
    vote: Annotated[
        bool,
        Field(
            description="The pictures of one figure in one shot agree on what cannot change there: hair, eyes, body, clothes."
        ),
    ] = True


_CAPTION_FIELDS = (
    *("{trigger}", "{people}", "{charname}", "{hair}", "{eyes}", "{body}", "{outfit}"),
    *("{emotion}", "{pose}", "{framing}", "{background}", "{other}", "{style}"),
)


class CaptionSettings(_Section):
    """6c_caption: from tags to one line of text."""

    template: Annotated[
        str,
        Field(
            description=f"Order of the caption, by commas: {', '.join(_CAPTION_FIELDS)}; a word without braces is written as it is."
        ),
    ] = ", ".join(_CAPTION_FIELDS)
    trigger: Annotated[
        str,
        Field(
            description="Trigger word, one for each character: `{charname}` in it stands for the character's name, as in `ohwx {charname}`; "
            "empty: the name alone."
        ),
    ] = ""
    style: Annotated[str, Field(description="Last tag of every caption; empty: none.")] = "anime_style"
    underscores: Annotated[bool, Field(description="long_hair instead of `long hair`.")] = True
    max_tags: Annotated[
        int,
        Field(
            ge=0,
            le=500,
            description="Most tags in a caption, the least certain go first, for trainers cut at 75 or 225 tokens; 0: all. The trigger never counts.",
        ),
    ] = 0
    core_traits: Annotated[
        Literal["keep", "drop", "drop_all"],
        Field(
            description="Constant traits (hair, eyes): keep in captions, or drop so that the trigger learns them; "
            "drop_all: every trait, constant or not."
        ),
    ] = "keep"
    core_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="A trait is core when it is on at least this share of the character's pictures that show such a trait (hair, eyes) at all.",
        ),
    ] = 0.6
    core_lift: Annotated[
        float,
        Field(
            ge=1,
            le=20,
            description="Worn things (glasses, earrings) are core when they are almost always there, and this many times as often as on the rest "
            "of the cast.",
        ),
    ] = 3.0

    @property
    def fields(self) -> tuple[str, ...]:
        """The template's parts in order, fields with their braces, empty parts left out."""
        return tuple(part for part in (raw.strip() for raw in self.template.split(",")) if part)

    @field_validator("template")
    @classmethod
    def _known_fields(cls, template: str) -> str:
        parts = [part.strip() for part in template.split(",")]
        unknown = [part for part in parts if ("{" in part or "}" in part) and part not in _CAPTION_FIELDS]
        if unknown:
            raise ValueError(f"the field {unknown[0]} is unknown; known are {', '.join(_CAPTION_FIELDS)}")
        if "{trigger}" not in parts and "{charname}" not in parts:
            raise ValueError(
                "the template must hold {trigger} or {charname}, the word that the training ties to the character"
            )
        return template

    @field_validator("trigger")
    @classmethod
    def _can_be_written(cls, trigger: str, info: ValidationInfo) -> str:
        if not trigger:
            return trigger
        rest = trigger.replace("{charname}", "")
        if "{" in rest or "}" in rest:
            raise ValueError("the only field that a trigger may hold is {charname}")
        if "{charname}" not in trigger:
            raise ValueError(
                "without {charname} all characters would share one trigger word; expected e.g. `ohwx {charname}`"
            )
        if not rest.isprintable() or "," in rest:
            raise ValueError("a trigger word is written in one line without commas")
        if "{trigger}" not in [part.strip() for part in info.data.get("template", "{trigger}").split(",")]:
            raise ValueError(
                "the template has no {trigger}, so it would never be written; put {trigger} first in caption.template"
            )
        return trigger


class RegularisationSettings(_Section):
    """6d_regularisation: pictures that show nobody."""

    pictures: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Most pictures without anybody in them, for trainers that take a regularisation set; needs a tagging network; 0: none.",
        ),
    ] = 0
    training_px: Annotated[
        int, Field(ge=256, le=4096, multiple_of=64, description="Same as upscale.training_px; set there, copied here.")
    ] = 1024
    bucket_step_px: Annotated[
        int, Field(ge=8, le=256, description="Same as crop.bucket_step_px; set there, copied here.")
    ] = 64
    shrink_to_training: Annotated[
        bool, Field(description="Same as crop.shrink_to_training; set there, copied here.")
    ] = True
    tagger: Annotated[str, Field(description="Same as tag.tagger; set there, copied here.")] = "auto"
    choice: Annotated[Literal["fixed", "mcut"], Field(description="Same as tag.choice; set there, copied here.")] = (
        "fixed"
    )
    general_min: Annotated[
        float | None, Field(ge=0, le=1, description="Same as tag.general_min; set there, copied here.")
    ] = None
    blacklist: Annotated[str, Field(description="Same as attributes.blacklist; set there, copied here.")] = ""
    style: Annotated[str, Field(description="Same as caption.style; set there, copied here.")] = "anime_style"
    underscores: Annotated[bool, Field(description="Same as caption.underscores; set there, copied here.")] = True


class DatasetSettings(_Section):
    """7_dataset: the final choice."""

    names: Annotated[
        Literal["numbered", "descriptive"],
        Field(
            description="Names of pictures and captions: `hana_0001`, or what they show: `hana_school_uniform_smile_classroom_0001`."
        ),
    ] = "numbered"

    min_pictures: Annotated[
        int, Field(ge=1, le=1000, description="Fewer than this is said plainly, with the reason; nothing is padded.")
    ] = 30
    max_pictures: Annotated[int, Field(ge=1, le=1000, description="Most pictures per character.")] = 100
    per_shot: Annotated[
        int, Field(ge=1, le=1000, description="Most pictures of one shot; exceeded only to reach min_pictures.")
    ] = 6
    same_picture: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Two crops are one picture when no part of their small thumbnails differs by more than this, 0..1; 0 keeps all.",
        ),
    ] = 0.04
    novelty_min: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="From min_pictures on, only crops that differ by at least this from all chosen ones, 0..1; 0 always goes on to max_pictures.",
        ),
    ] = 0.12
    per_outfit: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Least pictures of every outfit, as far as there are that many different ones; 0 asks for none.",
        ),
    ] = 8
    per_emotion: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Least pictures of every emotion, as far as there are that many different ones; 0 asks for none.",
        ),
    ] = 3
    mix_face: Annotated[float, Field(ge=0, le=1, description="Same as upscale.mix_face; set there, copied here.")] = (
        0.35
    )
    mix_upper_body: Annotated[
        float, Field(ge=0, le=1, description="Same as upscale.mix_upper_body; set there, copied here.")
    ] = 0.35
    mix_full: Annotated[float, Field(ge=0, le=1, description="Same as upscale.mix_full; set there, copied here.")] = 0.2
    mix_frame: Annotated[float, Field(ge=0, le=1, description="Same as upscale.mix_frame; set there, copied here.")] = (
        0.1
    )


class Settings(_Section):
    """All sections. Make one with `load_settings`; frozen afterwards."""

    extract: ExtractSettings = ExtractSettings()
    dedupe: DedupeSettings = DedupeSettings()
    detect: DetectSettings = DetectSettings()
    embed: EmbedSettings = EmbedSettings()
    cluster: ClusterSettings = ClusterSettings()
    cast: CastSettings = CastSettings()
    quality: QualitySettings = QualitySettings()
    upscale: UpscaleSettings = UpscaleSettings()
    crop: CropSettings = CropSettings()
    tag: TagSettings = TagSettings()
    attributes: AttributesSettings = AttributesSettings()
    caption: CaptionSettings = CaptionSettings()
    regularisation: RegularisationSettings = RegularisationSettings()
    dataset: DatasetSettings = DatasetSettings()

    def to_toml(self) -> str:
        """The settings as TOML that `load_settings` reads back to an equal object; every value has its description above it."""
        lines: list[str] = []
        for section, value in self:
            lines += [f"# {(type(value).__doc__ or '').splitlines()[0]}", f"[{section}]"]
            for name, field in type(value).model_fields.items():
                if (section, name) in _COPIED:
                    continue
                lines.append(f"# {field.description} {_range_text(field)}".rstrip())
                setting = getattr(value, name)
                lines.append(f"# {name} =" if setting is None else f"{name} = {_toml(setting)}")
            lines.append("")
        return "\n".join(lines)


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "full": {},
    "draft": {
        "extract": {"change": 0.012, "min_gap_ms": 500},
        "cluster": {"map": "pca"},
        "upscale": {"upscaler": "lanczos", "training_px": 512},
        "dataset": {"max_pictures": 40},
    },
}
"""Named sets of values that differ from the defaults. `draft`: a quick look at a film, minutes instead of an hour on a laptop."""

# A few values are needed by two stages. They are set in one place and copied, so that each stage's key sees what it uses.
_COPIED = {
    ("upscale", "max_pictures"): ("dataset", "max_pictures"),
    ("upscale", "min_pictures"): ("dataset", "min_pictures"),
    ("upscale", "bucket_step_px"): ("crop", "bucket_step_px"),
    ("crop", "training_px"): ("upscale", "training_px"),
    ("regularisation", "training_px"): ("upscale", "training_px"),
    ("regularisation", "bucket_step_px"): ("crop", "bucket_step_px"),
    ("regularisation", "shrink_to_training"): ("crop", "shrink_to_training"),
    ("regularisation", "tagger"): ("tag", "tagger"),
    ("regularisation", "choice"): ("tag", "choice"),
    ("regularisation", "general_min"): ("tag", "general_min"),
    ("regularisation", "blacklist"): ("attributes", "blacklist"),
    ("regularisation", "style"): ("caption", "style"),
    ("regularisation", "underscores"): ("caption", "underscores"),
    ("dataset", "mix_face"): ("upscale", "mix_face"),
    ("dataset", "mix_upper_body"): ("upscale", "mix_upper_body"),
    ("dataset", "mix_full"): ("upscale", "mix_full"),
    ("dataset", "mix_frame"): ("upscale", "mix_frame"),
}


def load_settings(
    file: Path | None = None, assignments: Iterable[str] = (), preset: str = "full", *, toml: str | None = None
) -> Settings:
    """Preset, then TOML file, then the text `toml` of one, then `stage.key=value` assignments, the later one winning.

    Raises `SettingsError` for an unreadable file, an unknown name (with the nearest valid one) or a value out of range (with the range).
    """
    if preset not in PRESETS:
        raise SettingsError(
            f"unknown preset '{preset}'; expected one of {', '.join(sorted(PRESETS))}{_nearest(preset, PRESETS)}"
        )
    values: dict[str, dict[str, Any]] = {section: dict(keys) for section, keys in PRESETS[preset].items()}
    if file is not None:
        try:
            _take_toml(values, file.read_text(encoding="utf-8"), f"settings file {file}")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"cannot read settings file {file}: {error}") from error
    if toml is not None:
        _take_toml(values, toml, "the settings")
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        section, dot, key = path.strip().partition(".")
        if not equals or not dot:
            raise SettingsError(
                f"cannot read setting '{assignment}'; expected stage.key=value, e.g. dedupe.ssim_min=0.95"
            )
        _assign(values, section, key, _parse_value(text.strip()))
    for (section, key), (source_section, source_key) in _COPIED.items():
        if source_key in values.get(source_section, {}):
            values.setdefault(section, {})[key] = values[source_section][source_key]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems = [p for p in error.errors() if (p["loc"][0], p["loc"][1]) not in _COPIED]
        raise SettingsError("; ".join(_explain(problem) for problem in problems)) from error
    if settings.dataset.min_pictures > settings.dataset.max_pictures:
        raise SettingsError(
            f"dataset.min_pictures ({settings.dataset.min_pictures}) is larger than dataset.max_pictures ({settings.dataset.max_pictures}); "
            f"set both, such as dataset.min_pictures={settings.dataset.max_pictures}"
        )
    return settings


def describe() -> list[dict[str, Any]]:
    """One row per setting for tables and forms: section, name, description, default, range text, choices."""
    rows = []
    for section, outer in Settings.model_fields.items():
        for name, field in _section_type(outer).model_fields.items():
            if (section, name) not in _COPIED:
                rows.append(
                    {
                        "section": section,
                        "name": name,
                        "description": field.description,
                        "default": field.default,
                        "range": _range_text(field),
                        "choices": _choices(field),
                    }
                )
    return rows


def _section_type(field: FieldInfo) -> type[_Section]:
    assert isinstance(field.annotation, type)
    assert issubclass(field.annotation, _Section)
    return field.annotation


def _take_toml(values: dict[str, dict[str, Any]], text: str, where: str) -> None:
    """Put in all values of a TOML text; `where` names it in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"cannot read {where}: {error}") from error
    for section, keys in table.items():
        if not isinstance(keys, Mapping):
            raise SettingsError(
                f"{where}: '{section}' stands outside a section; expected [stage] tables as `animeset settings` prints them"
            )
        for key, value in keys.items():
            _assign(values, section, key, value)


def _assign(values: dict[str, dict[str, Any]], section: str, key: str, value: Any) -> None:
    """Put one value in, refusing unknown names and copied settings."""
    if section not in Settings.model_fields:
        raise SettingsError(
            f"unknown section '{section}'; expected one of {', '.join(Settings.model_fields)}{_nearest(section, Settings.model_fields)}"
        )
    known = _section_type(Settings.model_fields[section]).model_fields
    if (section, key) in _COPIED:
        raise SettingsError(f"{section}.{key} follows {'.'.join(_COPIED[section, key])}; set that instead")
    if key not in known:
        raise SettingsError(
            f"unknown setting '{section}.{key}'; expected one of {', '.join(known)}{_nearest(key, known)}"
        )
    values.setdefault(section, {})[key] = value


def _nearest(name: str, among: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(among), n=1, cutoff=0.4)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _parse_value(text: str) -> Any:
    """A TOML value, `none`, or else the text itself: `0.9`, `true`, `"x"`, `adaptive`."""
    if text.lower() in ("none", "null", "unset"):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _toml(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def _choices(field: FieldInfo) -> tuple[str, ...]:
    return tuple(a for a in get_args(field.annotation) if isinstance(a, str))


def _range_text(field: FieldInfo) -> str:
    """`(0 < x <= 1)`-like words from the field's constraints; choices for literals; empty when free."""
    if choices := _choices(field):
        return f"(one of {', '.join(choices)})"
    bounds: dict[str, Any] = {}
    for constraint in field.metadata:
        for name in ("gt", "ge", "lt", "le", "multiple_of"):
            bounds[name] = getattr(constraint, name, None) if bounds.get(name) is None else bounds[name]
    parts = [
        text.format(bounds[name])
        for name, text in (
            ("ge", "at least {}"),
            ("gt", "more than {}"),
            ("le", "at most {}"),
            ("lt", "less than {}"),
            ("multiple_of", "a multiple of {}"),
        )
        if bounds.get(name) is not None
    ]
    return f"({', '.join(parts)})" if parts else ""


def _explain(problem: Any) -> str:
    """One line for one pydantic error: the setting, what was given, what is allowed."""
    section, key = str(problem["loc"][0]), str(problem["loc"][1])
    field = _section_type(Settings.model_fields[section]).model_fields[key]
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    allowed = ", ".join(part for part in (message, _range_text(field).strip("()")) if part)
    if _range_text(field) and not problem["type"].endswith(("_type", "_parsing", "from_float")):
        allowed = _range_text(field).strip("()")
    return f"{section}.{key} = {problem['input']!r} is not allowed; expected {allowed}"
