"""The words of settings, stages and reasons in two languages, compared with the code they are for."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import animeset_lib
from animeset_lib.dashboard import english, german
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.settings import Settings, describe

LANGUAGES = pytest.mark.parametrize("words", [english, german], ids=["english", "german"])
LONGEST = 40
ROOMS = {stage.__module__.split(".")[1] for stage in PIPELINE.values()}
"""Those that have stages."""
ROWS = {f"{row['section']}.{row['name']}": row for row in describe()}
# Reasons of a person's decisions. When a stage makes them, the scan finds them and they leave this list.
IN_NO_STAGE_YET = {"not_a_character", "by_hand"}


# ---------------------------------------------------------------------------------------- reason codes in the sources

CARRIERS = {"dropped", "reason"}
"""What the fields and parameters are called that hold a reason code."""


def reason_codes(source: str) -> set[str]:
    """Every reason code that can come into a field or parameter of `CARRIERS` in `source`. Raises where that cannot be read from the syntax."""
    return _Scan(ast.parse(source)).codes()


class _Scan:
    """Follows each value given to a carrier back to its constants: through conditions, local names, own functions, keys and constants."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._nodes = list(ast.walk(tree))
        self._parents = {child: node for node in self._nodes for child in ast.iter_child_nodes(node)}
        self._functions: dict[str, list[ast.FunctionDef]] = {}
        self._places: dict[str, set[int]] = {}  # of carriers among the positional parameters
        for node in self._nodes:
            if isinstance(node, ast.FunctionDef):
                self._functions.setdefault(node.name, []).append(node)
                names = [arg.arg for arg in node.args.args if arg.arg != "self"]
            elif isinstance(node, ast.ClassDef):
                fields = [item.target for item in node.body if isinstance(item, ast.AnnAssign)]
                names = [target.id for target in fields if isinstance(target, ast.Name)]
            else:
                continue
            self._places.setdefault(node.name, set()).update(i for i, name in enumerate(names) if name in CARRIERS)

    def codes(self) -> set[str]:
        return {code for value in self._given() for code in self._origins(value)}

    def _given(self) -> Iterator[ast.expr]:
        for node in self._nodes:
            if isinstance(node, ast.Call):
                yield from (keyword.value for keyword in node.keywords if keyword.arg in CARRIERS)
                places = self._places.get(_called(node), set())
                yield from (value for i, value in enumerate(node.args) if i in places)
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value in CARRIERS:
                        yield value

    def _origins(self, node: ast.expr) -> set[str]:
        match node:
            case ast.Constant(value=None):
                return set()
            case ast.Constant(value=str(code)):
                return {code}
            case ast.IfExp():
                return self._origins(node.body) | self._origins(node.orelse)
            case ast.BoolOp():
                return {code for value in node.values for code in self._origins(value)}
            case ast.Attribute(attr=name) if name in CARRIERS:
                return set()  # another row's, which was given one elsewhere
            case ast.DictComp():
                return self._origins(node.key)
            case ast.Call(func=ast.Name(id="next" | "iter")):
                return {code for value in node.args for code in self._origins(value)}
            case ast.Call():
                return self._part(node, None)
            case ast.Name():
                return self._bound(node)
        raise AssertionError(f"line {node.lineno}: cannot follow `{ast.unparse(node)}`; teach `_Scan` this form")

    def _part(self, node: ast.expr, index: int | None) -> set[str]:
        """Codes of `node`, or of its part `index` when it is taken apart."""
        if isinstance(node, ast.Call) and _called(node) in self._functions:
            inside = (item for function in self._functions[_called(node)] for item in ast.walk(function))
            values = (item.value for item in inside if isinstance(item, ast.Return) and item.value is not None)
            return {code for value in values for code in self._part(value, index)}
        if isinstance(node, ast.Tuple) and index is not None:
            return self._origins(node.elts[index])
        if (isinstance(node, ast.Call) and _called(node) not in ("next", "iter")) or index is not None:
            raise AssertionError(f"line {node.lineno}: cannot follow `{ast.unparse(node)}`; teach `_Scan` this form")
        return self._origins(node)

    def _bound(self, name: ast.Name) -> set[str]:
        """What `name` was bound to: in a comprehension, the function, one around it, the module, or where it is imported from."""
        node: ast.AST = name
        while node in self._parents:
            node = self._parents[node]
            for generator in getattr(node, "generators", []):
                index = _place(generator.target, name.id)
                if index is not None:
                    return self._elements(generator.iter, index, name)
            if not isinstance(node, ast.FunctionDef | ast.Module):
                continue
            inside = node.body if isinstance(node, ast.Module) else ast.walk(node)
            values = [
                (item.value, None if isinstance(target, ast.Name) else _place(target, name.id))
                for item in inside
                if isinstance(item, ast.Assign)
                for target in item.targets
                if _place(target, name.id) is not None
            ]
            if values:
                return {code for value, index in values for code in self._part(value, index)}
            if (
                isinstance(node, ast.FunctionDef)
                and name.id in CARRIERS
                and any(name.id == a.arg for a in (*node.args.args, *node.args.kwonlyargs))
            ):
                return set()  # the callers give it
        for item in self._tree.body:
            if isinstance(item, ast.ImportFrom) and item.module:
                for alias in item.names:
                    if name.id in (alias.asname, alias.name):
                        value = getattr(importlib.import_module(item.module), alias.name)
                        assert isinstance(value, str), f"line {name.lineno}: {name.id} is no reason code"
                        return {value}
        raise AssertionError(f"line {name.lineno}: cannot follow the name `{name.id}`; teach `_Scan` this form")

    def _elements(self, iterated: ast.expr, index: int, name: ast.Name) -> set[str]:
        """Part `index` of every row of a table that is written out in the source; codes that come counted from elsewhere are no new ones."""
        if isinstance(iterated, ast.Name):
            for item in self._nodes:
                if isinstance(item, ast.Assign) and any(_place(t, iterated.id) is not None for t in item.targets):
                    assert isinstance(item.value, ast.Tuple), f"line {item.lineno}: expected a tuple of tuples"
                    return {code for row in item.value.elts for code in self._part(row, index)}
        if name.id in CARRIERS:
            return set()
        raise AssertionError(f"line {name.lineno}: cannot follow `{ast.unparse(iterated)}`; teach `_Scan` this form")


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _place(target: ast.expr, name: str) -> int | None:
    """Where `name` stands in an assignment's target; 0 when it is the target itself."""
    if isinstance(target, ast.Name):
        return 0 if target.id == name else None
    if isinstance(target, ast.Tuple):
        for index, part in enumerate(target.elts):
            if _place(part, name) is not None:
                return index
    return None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Row(dropped='a', why='x')", {"a"}),
        ("Row(dropped='a' if bad else None)", {"a"}),
        ("row.model_copy(update={'dropped': 'a', 'why': 'b'})", {"a"}),
        ("A = 'a'\nRow(dropped=A)", {"a"}),
        ("from animeset_lib.dataset.explain import NO_CROP_USED\nRow(reason=NO_CROP_USED)", {"no_crop_used"}),
        ("def row(id, dropped=None): return Row(id, dropped=dropped)\nrow('id', 'a')\nrow('other')", {"a"}),
        ("class Fate:\n id: str\n reason: str\nFate('id', 'a')", {"a"}),
        (
            "class S:\n def fault(self):\n  if x: return 'a', 'words'\n  return None, ''\n"
            " def go(self):\n  code, why = self.fault()\n  Row(dropped=code)",
            {"a"},
        ),
        (
            "def faults():\n checks = (('a', 1, 'x'), ('b', 2, 'y'))\n return {c: s for c, n, s in checks if n}\n"
            "def go():\n found = faults()\n Row(dropped=next(iter(found), None))",
            {"a", "b"},
        ),
        ("Row(dropped=other.dropped)", set()),
        ("Row(why='a', code='b')\nkind = 'c'", set()),
    ],
)
def test_scan_finds_reason_codes(source: str, expected: set[str]) -> None:
    assert reason_codes(source) == expected


@pytest.mark.parametrize(
    "source", ["Row(dropped=f'too_{x}')", "Row(dropped=somewhere.code)", "Row(dropped=unknown)", "Row(dropped=f())"]
)
def test_scan_does_not_pass_over_what_it_cannot_follow(source: str) -> None:
    with pytest.raises(AssertionError, match="cannot follow"):
        reason_codes(source)


# ------------------------------------------------------------------------------------------------------------- tables


@LANGUAGES
def test_every_setting_has_words(words: ModuleType) -> None:
    assert list(words.SETTINGS) == list(ROWS)


@LANGUAGES
def test_every_choice_has_words(words: ModuleType) -> None:
    assert list(words.CHOICES) == [f"{name}.{choice}" for name, row in ROWS.items() for choice in row["choices"]]


@LANGUAGES
def test_every_section_and_stage_has_words(words: ModuleType) -> None:
    assert list(words.SECTIONS) == list(Settings.model_fields)
    assert list(words.STAGES) == [stage.name for stage in PIPELINE.values()]


@LANGUAGES
def test_every_reason_of_the_stages_has_words(words: ModuleType) -> None:
    found: set[str] = set()
    root = Path(animeset_lib.__file__).parent
    for path in sorted(file for room in ROOMS for file in (root / room).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "animeset_lib.records" not in source:  # it makes no rows; `dropped` may be something else there
            continue
        try:
            found |= reason_codes(source)
        except AssertionError as error:
            raise AssertionError(f"{path.name}, {error}") from error
    assert set(words.REASONS) == found | IN_NO_STAGE_YET


def _labels(words: ModuleType) -> dict[str, dict[str, str]]:
    """Table → key → what is shown in a form or list."""
    settings = {key: value if isinstance(value, str) else value[0] for key, value in words.SETTINGS.items()}
    stages = {key: title for key, (title, _) in words.STAGES.items()}
    return {
        "SETTINGS": settings,
        "STAGES": stages,
        "SECTIONS": words.SECTIONS,
        "REASONS": words.REASONS,
        "CHOICES": words.CHOICES,
    }


@LANGUAGES
def test_labels_are_short_and_tell_things_apart(words: ModuleType) -> None:
    for table, labels in _labels(words).items():
        for key, label in labels.items():
            assert 2 < len(label) <= LONGEST, f"{table} {key}: '{label}' has {len(label)} characters"
            assert label == label.strip(), f"{table} {key}"
            assert not label.endswith("."), f"{table} {key}"
            assert table == "CHOICES" or label[0].isupper(), f"{table} {key}: '{label}' begins with a small letter"
        assert len(set(labels.values())) == len(labels), (
            f"{table}: the same words for two: {Counter(labels.values()).most_common(1)}"
        )


@LANGUAGES
def test_labels_say_the_unit_that_the_name_says(words: ModuleType) -> None:
    for key, label in _labels(words)["SETTINGS"].items():
        for ending, unit in (("_ms", "(ms)"), ("_px", "(px)"), ("_percent", "(%"), ("_luma", "(luma)")):
            assert not key.endswith(ending) or unit in label.lower(), f"{key}: '{label}' does not say {unit}"


@LANGUAGES
def test_stages_are_a_title_and_a_sentence(words: ModuleType) -> None:
    for stage, (title, sentence) in words.STAGES.items():
        assert len(title.split()) <= 2, stage
        assert sentence.endswith("."), stage
        assert len(sentence) <= 80, f"{stage}: too long for one line of a list"


def test_german_is_not_english() -> None:
    translated = _labels(german)
    for table, labels in _labels(english).items():
        assert {key for key, label in labels.items() if label == translated[table][key]} == set(), table
    for key, (_, description) in german.SETTINGS.items():
        assert description != ROWS[key]["description"], key
    for stage, (_, sentence) in german.STAGES.items():
        assert sentence != english.STAGES[stage][1], stage


def test_german_has_no_english_word_where_there_is_a_german_one() -> None:
    english_words = (
        r"\b(Shots?|Scores?|Cluster\w*|Tracks?|Thresholds?|Datasets?|Upscal\w+|Embedd\w+|Detect\w+|Training size)\b"
    )
    said = [*(f"{label}. {text}" for label, text in german.SETTINGS.values()), *german.REASONS.values()]
    said += [*german.SECTIONS.values(), *(" ".join(words) for words in german.STAGES.values())]
    for text in said:
        assert not re.search(english_words, re.sub(r"`[^`]*`", "", text)), text


@pytest.mark.parametrize("name", ROWS)
def test_german_description_has_the_numbers_and_the_code_of_the_english_one(name: str) -> None:
    original, translation = ROWS[name]["description"], german.SETTINGS[name][1]

    def numbers(text: str) -> Counter[str]:
        return Counter(re.findall(r"\d+(?:\.\d+)?", text))

    assert numbers(translation) == numbers(original)
    code = r"`[^`]+`|\{\w+\}|\bauto\b|\blanczos\b|\w+:(?=[A-Z])"
    assert Counter(re.findall(code, translation)) == Counter(re.findall(code, original))
    assert translation.endswith(".")
    assert "  " not in translation


def test_german_descriptions_refer_to_labels_that_exist() -> None:
    labels = {label for label, _ in german.SETTINGS.values()}
    quoted = {words for _, text in german.SETTINGS.values() for words in re.findall(r"„([^“]*)“", text)}
    assert quoted
    assert quoted <= labels
