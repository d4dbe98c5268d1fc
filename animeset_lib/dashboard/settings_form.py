"""All settings as a form: one entry per setting with its kind, range, default and value, made from the settings model itself."""

from __future__ import annotations

from contextlib import suppress
from types import NoneType
from typing import Any, get_args

from pydantic.fields import FieldInfo

from animeset_lib.errors import SettingsError
from animeset_lib.settings import PRESETS, Settings, describe, load_settings

__all__ = ["SettingsForm"]

BASIC = ("upscale.training_px", "caption.core_traits", "dataset.max_pictures")
"""The settings that most people want to see; the others are behind a fold."""


class SettingsForm:
    """A preset and what was changed on top of it. Values are checked when they are set; a refused one leaves everything as it was."""

    def __init__(self, preset: str = "full") -> None:
        self.preset = preset
        self.changed: dict[str, Any] = {}
        self.settings = load_settings(preset=preset)

    def choose_preset(self, preset: str) -> None:
        """Take a preset; what was changed by hand stays changed. Raises `SettingsError` for an unknown one."""
        self._take(preset, self.changed)

    def set(self, name: str, value: Any) -> None:
        """`name` is `section.key`. None unsets. Raises `SettingsError` with the allowed range."""
        self._take(self.preset, {**self.changed, name: value})

    def reset(self, name: str | None = None) -> None:
        """One setting, or all of them, back to the preset."""
        kept = {key: value for key, value in self.changed.items() if name is not None and key != name}
        self._take(self.preset, kept)

    def read_toml(self, text: str) -> None:
        """Take the values of a TOML file as `animeset settings` prints it. Raises `SettingsError`."""
        base = load_settings(preset=self.preset)
        read = load_settings(toml=text, preset=self.preset)
        changed = {}
        for field in self._rows(read):
            if field["value"] != _value(base, field["key"]):
                changed[field["key"]] = field["value"]
        self._take(self.preset, changed)

    def take(self, settings: dict[str, Any]) -> None:
        """Take the settings of an earlier run, as its events hold them, over the preset they are nearest to. Values that are not known or
        not valid any more (an older version's) stay at their default."""

        def differences(preset: str) -> dict[str, Any]:
            base = load_settings(preset=preset)
            values = {}
            for row in describe():
                section, key = settings.get(row["section"]), f"{row['section']}.{row['name']}"
                if isinstance(section, dict) and section.get(row["name"], _value(base, key)) != _value(base, key):
                    values[key] = section[row["name"]]
            return {key: value for key, value in values.items() if not isinstance(value, list | dict)}

        preset = min(PRESETS, key=lambda name: len(differences(name)))
        wanted = differences(preset)
        try:
            self._take(preset, wanted)
        except SettingsError:
            self._take(preset, {})
            # one by one, and twice, for a value may be valid only beside one that comes later
            for key, value in [*wanted.items()] * 2:
                with suppress(SettingsError):
                    self.set(key, value)

    def to_toml(self) -> str:
        return self.settings.to_toml()

    def state(self) -> dict[str, Any]:
        """For the page: presets, groups of fields in pipeline order, how many differ from the preset."""
        groups: list[dict[str, Any]] = []
        for row in self._rows(self.settings):
            if not groups or groups[-1]["section"] != row["section"]:
                groups.append({"section": row["section"], "fields": []})
            groups[-1]["fields"].append(row)
        return {
            "preset": self.preset,
            "presets": list(PRESETS),
            "basic": [row for key in BASIC for row in self._rows(self.settings) if row["key"] == key],
            "groups": groups,
            "changed": len(self.changed),
        }

    def _take(self, preset: str, changed: dict[str, Any]) -> None:
        for name, value in changed.items():
            if "=" in name or name != name.strip():
                raise SettingsError(f"unknown setting '{name}'")
            if isinstance(value, str) and any(_unwritable(sign) for sign in value):
                raise SettingsError(f"{name} may not hold line breaks, tabs or other control characters")
        assignments = [f"{name}={_words(value)}" for name, value in changed.items()]
        settings, base = load_settings(assignments=assignments, preset=preset), load_settings(preset=preset)
        self.preset, self.settings = preset, settings
        self.changed = {
            name: _value(settings, name) for name in changed if _value(base, name) != _value(settings, name)
        }

    def _rows(self, settings: Settings) -> list[dict[str, Any]]:
        base = load_settings(preset=self.preset)
        rows = []
        for described in _described():
            key = f"{described['section']}.{described['name']}"
            rows.append(
                {
                    "key": key,
                    "section": described["section"],
                    **described["form"],
                    "value": _value(settings, key),
                    "default": _value(base, key),
                    "changed": _value(settings, key) != _value(base, key),
                }
            )
        return rows


def _described() -> list[dict[str, Any]]:
    rows = []
    for row in describe():
        section = Settings.model_fields[row["section"]].annotation
        assert isinstance(section, type)
        rows.append({**row, "form": _form(section.model_fields[row["name"]])})
    return rows


def _form(field: FieldInfo) -> dict[str, Any]:
    """`kind` (choice, flag, whole, number, text), `least`, `most`, `step`, `optional`, `choices`."""
    members = get_args(field.annotation)
    choices = [member for member in members if isinstance(member, str)]
    types = [member for member in members if isinstance(member, type) and member is not NoneType]
    of = types[0] if types else field.annotation
    kind = (
        "choice" if choices else "flag" if of is bool else "whole" if of is int else "number" if of is float else "text"
    )
    bounds: dict[str, Any] = {}
    for constraint in field.metadata:
        for name in ("ge", "gt", "le", "lt", "multiple_of"):
            if getattr(constraint, name, None) is not None:
                bounds[name] = getattr(constraint, name)
    return {
        "kind": kind,
        "least": bounds.get("ge", bounds.get("gt")),
        "most": bounds.get("le", bounds.get("lt")),
        "step": bounds.get("multiple_of", 1 if kind == "whole" else "any"),
        "optional": NoneType in members,
        "choices": choices,
    }


def _value(settings: Settings, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)


def _unwritable(sign: str) -> bool:
    """What a line of TOML in a UTF-8 file cannot hold as it is."""
    return sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff"


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
