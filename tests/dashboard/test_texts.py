"""The texts of the page: both languages have the same, and everything that is named in them or asks for them is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest

from animeset_lib.dashboard.shown_run import Phase
from animeset_lib.dashboard.texts import Language, texts
from animeset_lib.export.plan import By
from animeset_lib.media.examine import DoneKey, FactName, FoundKey
from animeset_lib.models.api import Task
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.records import Framing
from animeset_lib.settings import PRESETS, Settings, describe
from animeset_lib.words.vocabulary import _EMOTIONS

DASHBOARD = Path(__file__).parents[2] / "animeset_lib" / "dashboard"
TEMPLATES = [*sorted((DASHBOARD / "vue").glob("*.vue")), DASHBOARD / "vue" / "shared.js"]
SETTINGS = {f"{row['section']}.{row['name']}": row for row in describe()}

COMPUTED: Mapping[str, set[str]] = {
    "phase.": set(get_args(Phase)) - {"idle"},
    "stage_state.": {"waiting", "running", "done", "reused", "interrupted"},
    "task.": set(get_args(Task)),
    "stage.": {stage.name for stage in PIPELINE.values()},
    "doing.": {stage.name for stage in PIPELINE.values()},
    "reason.": {code for stage in PIPELINE.values() for code in stage.reasons},
    "preset.": set(PRESETS),
    "preset_help.": set(PRESETS),
    "section.": set(Settings.model_fields),
    "setting.": set(SETTINGS),
    "help.": set(SETTINGS),
    "choice.": {f"{name}.{choice}" for name, row in SETTINGS.items() for choice in row["choices"]},
    "fact.": set(get_args(FactName)),
    "found.": set(get_args(FoundKey)),
    "done.": set(get_args(DoneKey)),
    "cast.why.": {"no_run", "running", "removed"},
    "cast.help.": {"noise", "rejected"},
    "result.preparing_": {"film", "all", "export"},
    "result.aspect.": {"framing", "outfit", "emotion", "background"},
    "result.value.": {f"framing.{one}" for one in get_args(Framing)} | {f"emotion.{one}" for one in _EMOTIONS.values()},
    "result.sheet.": {"coverage", "subsets"},
    "result.export_by.": set(get_args(By)),
    "result.kind.": {"add", "remove", "replace", "pattern"},
    "result.place.": {"after_trigger", "end"},
    "result.did.": {"apply", "discard", "undo", "redo"},
}
"""Beginnings that templates complete → all the endings there are."""


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w*)\}", text))


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    en, de = texts("en"), texts("de")
    assert en.keys() == de.keys()
    assert {key: (en[key], de[key]) for key in en if set(places(en[key])) != set(places(de[key]))} == {}
    same = {key for key in en if en[key] == de[key] and re.search(r"[a-z]{3}", re.sub(r"\{\w+\}", "", en[key]))}
    assert same == {
        "cast.lasso",
        "film.present",
        "film.title",
        "result.film",
        "result.filter_hint",
        "run.start",
        "time.minutes",
    }


def test_every_text_that_is_asked_for_is_there_and_every_other_is_gone() -> None:
    there = texts("en").keys()
    groups = "|".join({key.partition(".")[0] for key in there})
    strings: set[str] = set()
    for paths, quotes in ((TEMPLATES, "'`"), (DASHBOARD.glob("*.py"), '"')):
        source = "".join(path.read_text(encoding="utf-8") for path in paths)
        strings |= set(re.findall(rf"[{quotes}]((?:{groups})\.[a-z_.]*)(?=[{quotes}$])", source))
    beginnings = {text for text in strings if text in COMPUTED}
    assert beginnings == COMPUTED.keys()
    wanted = strings - beginnings | {beginning + end for beginning, ends in COMPUTED.items() for end in ends}
    assert sorted(wanted - there) == []
    fates = {"reason.not_planned", "reason.missing", "reason.no_crop_used", "reason.no_figure_used", "reason.chosen"}
    assert there - wanted == {"language"} | fates


@pytest.mark.parametrize("language", get_args(Language))
def test_texts_hold_no_markup_and_labels_are_short(language: Language) -> None:
    table = texts(language)
    markup = r"<[a-zA-Z/!]|&#?\w+;|\{\{|\}\}|\*\*|\]\(|javascript:|[\0-\x1f]|  "
    assert {
        key: text for key, text in table.items() if not text or text != text.strip() or re.search(markup, text)
    } == {}
    labels = {key: text for key, text in table.items() if re.match(r"(setting|section|stage|reason|choice)\.", key)}
    assert {key: text for key, text in labels.items() if not 2 < len(text) <= 40 or text.endswith(".")} == {}
    for group in ("setting.", "section.", "stage.", "reason."):
        own = [text for key, text in labels.items() if key.startswith(group)]
        assert len(set(own)) == len(own), f"{group} has the same words for two"
    for name in SETTINGS:
        for ending, unit in (("_ms", "(ms)"), ("_px", "(px)"), ("_percent", "(%"), ("_luma", "(luma)")):
            assert not name.endswith(ending) or unit in table[f"setting.{name}"].lower(), name


def test_german_help_has_the_numbers_and_the_code_of_the_english_one_and_names_labels_that_exist() -> None:
    en, de = texts("en"), texts("de")
    marks = r"\d+(?:\.\d+)?|`[^`]+`|\{\w+\}|\bauto\b|\blanczos\b|\w+:(?=[A-Z])"
    labels = {de[f"setting.{name}"] for name in SETTINGS}
    for name in SETTINGS:
        key = f"help.{name}"
        assert sorted(re.findall(marks, de[key])) == sorted(re.findall(marks, en[key])), name
        assert set(re.findall(r"„([^“]*)“", de[key])) <= labels, name


def test_templates_never_make_markup_of_a_text() -> None:
    unsafe = r"v-html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
    assert [path.name for path in TEMPLATES if re.search(unsafe, path.read_text(encoding="utf-8"))] == []
