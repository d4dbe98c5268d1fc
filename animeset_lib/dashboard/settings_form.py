"""All settings as a form: one entry per setting with its kind, range, default and value, made from the settings model itself."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from animeset_lib.errors import SettingsError
from animeset_lib.settings import PRESETS, Settings, load_settings

__all__ = ["SettingsForm"]

BASIC = ("upscale.training_px", "caption.core_traits", "dataset.max_pictures")
"""The settings that most people want to see; the others are behind a fold."""
_KINDS = {"boolean": "flag", "integer": "whole", "number": "number"}


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
        base, read = load_settings(preset=self.preset), load_settings(toml=text, preset=self.preset)
        values = {key: _value(read, key) for key in _forms()}
        self._take(self.preset, {key: value for key, value in values.items() if value != _value(base, key)})

    def take(self, settings: dict[str, Any]) -> None:
        """Take the settings of an earlier run, as its events hold them, over the preset they are nearest to. Values that are not known or
        not valid any more (an older version's) stay at their default."""

        given = {
            f"{section}.{name}": value
            for section, values in settings.items()
            if isinstance(values, dict)
            for name, value in values.items()
            if not isinstance(value, list | dict)
        }

        def differences(preset: str) -> dict[str, Any]:
            base = load_settings(preset=preset)
            return {key: given[key] for key in _forms() if key in given and given[key] != _value(base, key)}

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
        base = load_settings(preset=self.preset)
        rows = []
        for key, form in _forms().items():
            value, default = _value(self.settings, key), _value(base, key)
            section = key.partition(".")[0]
            row = {"key": key, "section": section, "value": value, "default": default, "changed": value != default}
            rows.append({**row, **form})
        sections = groupby(rows, key=itemgetter("section"))
        return {
            "preset": self.preset,
            "presets": list(PRESETS),
            "basic": [row for key in BASIC for row in rows if row["key"] == key],
            "groups": [{"section": section, "fields": list(fields)} for section, fields in sections],
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


@cache
def _forms() -> dict[str, dict[str, Any]]:
    """`section.key` → `kind` (choice, flag, whole, number, text), `least`, `most`, `step`, `optional`, `choices`; in pipeline order."""
    forms = {}
    for section, settings in Settings():
        for name, schema in settings.model_json_schema()["properties"].items():
            types = schema.get("anyOf", [schema])
            of = next(one for one in types if one.get("type") != "null")
            choices = of.get("enum", [of["const"]] if "const" in of else [])
            kind = "choice" if choices else _KINDS.get(of.get("type", ""), "text")
            forms[f"{section}.{name}"] = {
                "kind": kind,
                "least": of.get("minimum", of.get("exclusiveMinimum")),
                "most": of.get("maximum", of.get("exclusiveMaximum")),
                "step": of.get("multipleOf", 1 if kind == "whole" else "any"),
                "optional": {"type": "null"} in types,
                "choices": choices,
            }
    return forms


def _value(settings: Settings, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)


def _unwritable(sign: str) -> bool:
    """What a line of TOML in a UTF-8 file cannot hold as it is."""
    return sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff"


def _words(value: Any) -> str:
    """As TOML has it."""
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
