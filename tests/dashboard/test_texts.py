"""The texts of the page, compared with the templates that ask for them and with each other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import pytest

from animeset_lib.dashboard import english
from animeset_lib.dashboard.runs import Phase
from animeset_lib.dashboard.texts import LANGUAGES, texts
from animeset_lib.export.plan import By
from animeset_lib.models.api import Task
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.records import Framing
from animeset_lib.settings import PRESETS, describe
from animeset_lib.words.vocabulary import _EMOTIONS

DASHBOARD = Path(__file__).parents[2] / "animeset_lib" / "dashboard"
TEMPLATES = [*sorted((DASHBOARD / "vue").glob("*.vue")), DASHBOARD / "vue" / "shared.js"]
STAGES = [stage.name for stage in PIPELINE.values()]
SETTINGS = [f"{row['section']}.{row['name']}" for row in describe()]

COMPUTED: Mapping[str, list[str]] = {
    "'phase.' + state.phase": [f"phase.{phase}" for phase in get_args(Phase) if phase != "idle"],
    "'phase.' + other.phase": [f"phase.{phase}" for phase in get_args(Phase) if phase != "idle"],
    "'stage_state.' + stage.state": [
        f"stage_state.{state}" for state in ("waiting", "running", "done", "reused", "interrupted")
    ],
    "'task.' + model.task": [f"task.{task}" for task in get_args(Task)],
    "'stage.' + row.stage": [f"stage.{stage}" for stage in STAGES],
    "'stage.' + stage.name": [f"stage.{stage}" for stage in STAGES],
    "'doing.' + stage.name": [f"doing.{stage}" for stage in STAGES],
    "'reason.' + drop.reason": [f"reason.{reason}" for reason in english.REASONS],
    "'preset.' + preset": [f"preset.{preset}" for preset in PRESETS],
    "'preset_help.' + preset": [f"preset_help.{preset}" for preset in PRESETS],
    "'section.' + group.section": [f"section.{row['section']}" for row in describe()],
    "'setting.' + field.key": [f"setting.{key}" for key in SETTINGS],
    "'help.' + field.key": [f"help.{key}" for key in SETTINGS],
    "'help.' + f.key": [f"help.{key}" for key in SETTINGS],
    "'choice.' + field.key + '.' + choice": [f"choice.{choice}" for choice in english.CHOICES],
    "'cast.why.' + (state.why || 'no_run')": [f"cast.why.{why}" for why in ("no_run", "running", "removed")],
    "'cast.' + row.kind + '_help'": ["cast.noise_help", "cast.rejected_help"],
    "'result.preparing_' + state.preparing": [f"result.preparing_{what}" for what in ("film", "all", "export")],
    "'result.aspect.' + aspect.key": [
        f"result.aspect.{aspect}" for aspect in ("framing", "outfit", "emotion", "background")
    ],
    "`result.${aspect}.${value}`": [
        *(f"result.framing.{framing}" for framing in get_args(Framing)),
        *(f"result.emotion.{emotion}" for emotion in sorted(set(_EMOTIONS.values()))),
    ],
    "'result.sheet.' + sheet": ["result.sheet.coverage", "result.sheet.subsets"],
    "'result.sheet.' + sheet.name": ["result.sheet.coverage", "result.sheet.subsets"],
    "'result.export_by.' + by": [f"result.export_by.{by}" for by in get_args(By)],
    "'result.kind.' + kind": [f"result.kind.{kind}" for kind in ("add", "remove", "replace", "pattern")],
    "'result.place.' + place": [f"result.place.{place}" for place in ("after_trigger", "end")],
    "...this.doing": [f"result.did.{what}" for what in ("apply", "discard", "undo", "redo")],
    "source": [f"cast.{source}" for source in ("by_reference", "by_cast", "by_you")],
    "state.note.key": ["film.arrived", "film.already"],
    "state.waiting": ["run.probing", "run.planning"],
}
"""First arguments of `tr` and `name` that are put together → all keys that can come of them."""

SAME = {"cast.lasso", "film.present", "film.title", "result.film", "result.filter_hint", "run.start", "time.minutes"}
"""Texts that are the same word in both languages."""


def calls(source: str) -> Iterator[tuple[str, list[str]]]:
    """The arguments of every `tr(...)` and `name(...)` in a template, as they are written."""
    for match in re.finditer(r"(?<![\w.'-])(?:this\.)?(tr|name)\(", source):
        depth, quote, start, found = 1, "", match.end(), []
        for at in range(match.end(), len(source)):
            sign = source[at]
            if quote:
                quote = "" if sign == quote and source[at - 1] != "\\" else quote
            elif sign in "'`":
                quote = sign
            elif sign in "([{":
                depth += 1
            elif sign in ")]}":
                depth -= 1
            if (depth == 0 or (depth == 1 and sign == ",")) and not quote:
                found.append(source[start:at].strip())
                start = at + 1
            if depth == 0:
                break
        if source[at + 1 : at + 3] != " {":  # else it is where the method is defined
            yield match[1], found


def keys_of(argument: str) -> list[str]:
    """All keys that a first argument can be. Raises `KeyError` for one that is put together in a way `COMPUTED` does not know."""
    if argument in COMPUTED:
        return COMPUTED[argument]
    plain = re.fullmatch(r"'([^']*)'", argument)
    # of a condition only what it may give counts, not what it compares with
    literals = [plain[1]] if plain else re.findall(r"[?:]\s*'([^']*)'", argument)
    if "+" in argument or "`" in argument or not literals:
        raise KeyError(argument)
    return literals


def asked() -> list[tuple[str, str, list[str]]]:
    """Template, key, all arguments of the call, for every key that a template can ask for."""
    return [
        (path.name, key, arguments)
        for path in TEMPLATES
        for _, arguments in calls(path.read_text(encoding="utf-8"))
        for key in keys_of(arguments[0])
    ]


def named_in_python() -> set[str]:
    """Keys in `view.py`: strings that look like one and begin as one does."""
    tree = ast.parse((DASHBOARD / "view.py").read_text(encoding="utf-8"))
    beginnings = {key.partition(".")[0] for key in texts("en")}
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {
        text for text in strings if re.fullmatch(r"[a-z_]+\.[a-z_.]+", text) and text.partition(".")[0] in beginnings
    }


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{{ tr('a.b') }}", [["'a.b'"]]),
        (
            "<p :x=\"tr(y ? 'a.b' : 'c.d', { n: f(1, 2), m })\">{{ name(z, \"\") }}",
            [["y ? 'a.b' : 'c.d'", "{ n: f(1, 2), m }"], ["z", '""']],
        ),
        ("this.tr('a.b', big) + obj.tr('no.no') + rename('no.no')", [["'a.b'", "big"]]),
        ("tr(key, values) {", []),
    ],
)
def test_the_calls_are_read_as_they_are_written(source: str, found: list[list[str]]) -> None:
    assert [arguments for _, arguments in calls(source)] == found


def test_every_key_that_is_asked_for_is_there_in_both_languages() -> None:
    wanted = {(place, key) for place, key, _ in asked()} | {("view.py", key) for key in named_in_python()}
    assert len(wanted) > 250
    for language in LANGUAGES:
        assert sorted(pair for pair in wanted if pair[1] not in texts(language)) == []


def test_every_text_is_asked_for() -> None:
    used = {key for _, key, _ in asked()} | named_in_python() | {"language"}
    assert sorted(texts("en").keys() - used) == []


def test_the_list_of_computed_keys_holds_nothing_more() -> None:
    written = {arguments[0] for path in TEMPLATES for _, arguments in calls(path.read_text(encoding="utf-8"))}
    assert sorted(COMPUTED.keys() - written) == []


@pytest.mark.parametrize(
    ("template", "sources"),
    [
        ("cast.vue", COMPUTED["source"]),
        ("result.vue", ["result.did."]),
    ],
)
def test_keys_that_lie_in_variables_are_put_there(template: str, sources: list[str]) -> None:
    text = (DASHBOARD / "vue" / template).read_text(encoding="utf-8")
    assert all(re.search(rf"['`]{re.escape(source)}", text) for source in sources)


def places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", text))


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    en, de = texts("en"), texts("de")
    assert en.keys() == de.keys()
    assert {key: (en[key], de[key]) for key in en if places(en[key]) != places(de[key])} == {}


def test_every_place_is_filled_by_everyone_who_asks() -> None:
    en, wrong = texts("en"), []
    for template, key, arguments in asked():
        wanted = places(en[key])
        values = arguments[1] if len(arguments) > 1 else "{}"
        if not values.startswith("{") or arguments[0] == "...this.doing":
            continue  # an object that was made elsewhere, or the fallback of `name`
        given = set(re.findall(r"(?:[{,]\s*)(\w+)(?=\s*[:,}])", _without_nested(values)))
        if not wanted <= given:
            wrong.append((template, key, wanted - given))
    assert wrong == []


def _without_nested(values: str) -> str:
    """`{ n: f(1, [2]), m }` → `{ n: f, m }`."""
    inner = values[1:-1]
    while (shorter := re.sub(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|'[^']*'", "", inner)) != inner:
        inner = shorter
    return f"{{{inner}}}"


def test_german_is_german() -> None:
    en, de = texts("en"), texts("de")
    same = {key for key in en if en[key] == de[key] and re.search(r"[a-z]{3}", re.sub(r"\{\w+\}", "", en[key]))}
    assert {key: en[key] for key in same - SAME} == {}
    assert sorted(SAME - same) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_holds_markup_or_is_empty(language: str) -> None:
    table = texts(language)  # type: ignore[arg-type]
    assert table["language"] == language
    wrong = {
        key: text
        for key, text in table.items()
        if not text.strip()
        or text != text.strip()
        or re.search(r"<[a-zA-Z/!]|&#?\w+;|\{\{|\}\}|\*\*|\]\(|javascript:|[\0-\x1f]", text)
    }
    assert wrong == {}


def test_templates_never_make_markup_of_a_text() -> None:
    for path in TEMPLATES:
        source = path.read_text(encoding="utf-8")
        assert not re.search(
            r"v-html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", source
        ), path
