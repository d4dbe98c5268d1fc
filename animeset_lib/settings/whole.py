"""All sections in one frozen model, presets, and reading them from TOML and from the command line."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import tomlkit
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from animeset_lib.errors import SettingsError
from animeset_lib.settings.cast import CastSettings, ClusterSettings, DetectSettings, EmbedSettings
from animeset_lib.settings.dataset import DatasetSettings, RegularisationSettings
from animeset_lib.settings.device import DeviceSettings
from animeset_lib.settings.film import FilmSettings
from animeset_lib.settings.frames import DedupeSettings, ExtractSettings
from animeset_lib.settings.pictures import CropSettings, QualitySettings, UpscaleSettings
from animeset_lib.settings.section import Section
from animeset_lib.settings.shared import CaptionWords, Mix, SetSize, TrainingSize
from animeset_lib.settings.words import AttributesSettings, CaptionSettings, TagSettings

__all__ = ["PRESETS", "Settings", "describe", "load_settings"]


class Settings(Section):
    """All sections. Make one with `load_settings`; frozen afterwards."""

    film: FilmSettings = FilmSettings()
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
    device: DeviceSettings = DeviceSettings()

    @property
    def training_size(self) -> TrainingSize:
        return TrainingSize(
            training_px=self.upscale.training_px,
            bucket_step_px=self.crop.bucket_step_px,
            shrink_to_training=self.crop.shrink_to_training,
        )

    @property
    def set_size(self) -> SetSize:
        return SetSize(min_pictures=self.dataset.min_pictures, max_pictures=self.dataset.max_pictures)

    @property
    def mix(self) -> Mix:
        u = self.upscale
        return Mix(face=u.mix_face, upper_body=u.mix_upper_body, full=u.mix_full, frame=u.mix_frame)

    @property
    def caption_words(self) -> CaptionWords:
        return CaptionWords(
            tagger=self.tag.tagger,
            choice=self.tag.choice,
            general_min=self.tag.general_min,
            blacklist=self.attributes.blacklist,
            style=self.caption.style,
            underscores=self.caption.underscores,
        )

    def to_toml(self) -> str:
        """The settings as TOML that `load_settings` reads back to an equal object; every value has its description above it."""
        document = tomlkit.document()
        for section, value in self:
            table = tomlkit.table()
            table.comment((type(value).__doc__ or "").splitlines()[0])
            for name, field in type(value).model_fields.items():
                table.add(tomlkit.comment(f"{field.description} {_range_text(field)}".rstrip()))
                setting = getattr(value, name)
                table.add(tomlkit.comment(f"{name} =")) if setting is None else table.add(name, setting)
            table.add(tomlkit.nl())
            document.add(section, table)
        return tomlkit.dumps(document)


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "full": {},
    "draft": {
        "extract": {"change": 0.012, "min_gap_ms": 500},
        "upscale": {"upscaler": "lanczos", "training_px": 512},
        "dataset": {"max_pictures": 40},
    },
}
"""Named sets of values that differ from the defaults. `draft`: a quick look at a film, minutes instead of an hour on a laptop."""


def load_settings(
    file: Path | None = None, assignments: Iterable[str] = (), preset: str = "full", *, toml: str | None = None
) -> Settings:
    """Preset, then TOML file, then the text `toml` of one, then `stage.key=value` assignments, the later one winning.

    Raises `SettingsError` for an unreadable file, an unknown name (with the nearest valid one) or a value out of range (with the range).

    >>> load_settings(preset="draft", assignments=["dedupe.ssim_min=0.95"]).dedupe.ssim_min
    0.95
    >>> load_settings(assignments=["dedupe.ssim_mni=0.95"])
    Traceback (most recent call last):
    animeset_lib.errors.SettingsError: unknown setting 'dedupe.ssim_mni'; expected one of ...(did you mean 'ssim_min'?)
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
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(problem) for problem in error.errors())) from error
    if settings.dataset.min_pictures > settings.dataset.max_pictures:
        raise SettingsError(
            f"dataset.min_pictures ({settings.dataset.min_pictures}) is larger than dataset.max_pictures ({settings.dataset.max_pictures}); "
            f"set both, such as dataset.min_pictures={settings.dataset.max_pictures}"
        )
    return settings


def describe() -> list[dict[str, Any]]:
    """One row per setting for tables and forms: section, name, title, description, default, range text, choices."""
    rows = []
    for section, outer in Settings.model_fields.items():
        for name, field in _section_type(outer).model_fields.items():
            rows.append(
                {
                    "section": section,
                    "name": name,
                    "title": field.title,
                    "description": field.description,
                    "default": field.default,
                    "range": _range_text(field),
                    "choices": _choices(field),
                }
            )
    return rows


def _section_type(field: FieldInfo) -> type[Section]:
    assert isinstance(field.annotation, type)
    assert issubclass(field.annotation, Section)
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
    """Put one value in, refusing unknown names."""
    if section not in Settings.model_fields:
        raise SettingsError(
            f"unknown section '{section}'; expected one of {', '.join(Settings.model_fields)}{_nearest(section, Settings.model_fields)}"
        )
    known = _section_type(Settings.model_fields[section]).model_fields
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
