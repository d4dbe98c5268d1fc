"""Every text of the page in its two languages: those in `words/`, and those that stand at the settings and at the stages' reasons."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from animeset_lib.dataset.explain import REASONS
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.settings import describe

__all__ = ["Language", "texts"]

Language = Literal["en", "de"]

_WORDS = Path(__file__).with_name("words")


@cache
def texts(language: Language) -> dict[str, str]:
    """All texts of one language by key; `language` is among them.

    stage.NAME, doing.NAME                 a stage's title of one or two words, and a sentence of what is going on
    section.NAME                           title of a section of the settings
    setting.SECTION.NAME, help.…, choice.… a setting's label with its unit, what it means, and each of its choices
    reason.CODE                            a few words for what rows are dropped for, or for a fate in `explain.jsonl`
    """
    file = tomllib.loads((_WORDS / f"{language}.toml").read_text(encoding="utf-8"))
    table = {"language": language, **dict(_flat(file))}
    if language == "en":
        for row in describe():
            key = f"{row['section']}.{row['name']}"
            table[f"setting.{key}"], table[f"help.{key}"] = row["title"], row["description"]
    for reasons in (*(stage.reasons for stage in PIPELINE.values()), REASONS):
        for code, reason in reasons.items():
            table[f"reason.{code}"] = reason.english if language == "en" else reason.german
    return table


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, str):
            yield before + key, value
        else:
            yield from _flat(value, f"{before}{key}.")
