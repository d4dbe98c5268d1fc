"""The settings as a form: what it offers, what it refuses, and that it always says the same as `load_settings`."""

from __future__ import annotations

import json
from types import NoneType
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.dashboard.settings_form import BASIC, SettingsForm
from animeset_lib.errors import SettingsError
from animeset_lib.settings import PRESETS, Settings, describe, load_settings

SOME_CHANGES: dict[str, Any] = {
    "extract.mode": "fps",
    "extract.fps": 2.5,
    "extract.only": "0:00-1:30",
    "extract.crop_black_bars": False,
    "detect.score_min": 0.25,
    "upscale.training_px": 768,
    "upscale.upscaler": 'command:"my tool" {input} {output} \\x',
    "caption.style": "größe, \u2028🎬",
    "dataset.max_pictures": 77,
}


def _fields(form: SettingsForm) -> dict[str, dict[str, Any]]:
    return {field["key"]: field for group in form.state()["groups"] for field in group["fields"]}


def _changed_form(preset: str = "full") -> SettingsForm:
    form = SettingsForm(preset)
    for name, value in SOME_CHANGES.items():
        form.set(name, value)
    return form


def _everything(form: SettingsForm) -> tuple[Any, ...]:
    return form.preset, dict(form.changed), form.settings, form.state()


# ---- what it offers --------------------------------------------------------------------------------------------------------------


def test_every_setting_once_in_pipeline_order() -> None:
    keys = list(_fields(SettingsForm()))
    assert keys == [f"{row['section']}.{row['name']}" for row in describe()]
    assert [group["section"] for group in SettingsForm().state()["groups"]] == [
        section for section in Settings.model_fields if any(key.startswith(f"{section}.") for key in keys)
    ]


def test_every_setting_has_the_kind_of_its_type_and_a_range() -> None:
    kinds = {bool: "flag", int: "whole", float: "number", str: "text"}
    for key, field in _fields(SettingsForm()).items():
        section, _, name = key.partition(".")
        annotation = type(getattr(Settings(), section)).model_fields[name].annotation
        members = get_args(annotation)
        literal = get_origin(annotation) is not None and all(isinstance(member, str) for member in members)
        of = next((member for member in members if isinstance(member, type) and member is not NoneType), annotation)
        assert field["kind"] == ("choice" if literal else kinds[of]), key
        assert field["choices"] == (list(members) if literal else []), key
        assert field["optional"] == (NoneType in members), key
        if field["kind"] in ("whole", "number"):
            assert field["least"] is not None, key
            assert field["most"] is None or field["least"] < field["most"], key
            assert field["step"] == {"training_px": 64}.get(name, 1 if field["kind"] == "whole" else "any"), key
        else:
            assert (field["least"], field["most"]) == (None, None), key


def test_state_is_plain_json() -> None:
    state = _changed_form().state()
    assert json.loads(json.dumps(state)) == state
    assert (state["preset"], state["presets"], state["changed"]) == ("full", list(PRESETS), len(SOME_CHANGES))
    assert [field["key"] for field in state["basic"]] == list(BASIC)
    assert state["basic"][0] == {
        "key": "upscale.training_px",
        "section": "upscale",
        "kind": "whole",
        "least": 256,
        "most": 4096,
        "step": 64,
        "optional": False,
        "choices": [],
        "value": 768,
        "default": 1024,
        "changed": True,
    }


@pytest.mark.parametrize("key", list(_fields(SettingsForm())))
def test_the_range_is_the_one_that_is_enforced(key: str) -> None:
    form = SettingsForm()
    field = _fields(form)[key]
    before = _everything(form)
    wrong: list[Any] = [{"a": 1}, [1]] if field["kind"] != "text" else []
    if field["kind"] in ("whole", "number"):
        unit = 1 if field["step"] == "any" else field["step"]
        wrong += [field["least"] - unit, "lots", float("nan"), float("inf"), *([] if field["optional"] else [None])]
        wrong += [field["most"] + unit] if field["most"] is not None else []
        wrong += [field["default"] + unit / 2] if field["kind"] == "whole" and field["default"] is not None else []
    elif field["kind"] == "text":
        wrong += [None, 3, True, "two\nlines", "a\tb", "\x7f", "\ud800"]
    else:
        wrong += [None, "sometimes", 7]
    for value in wrong:
        with pytest.raises(SettingsError, match=key.replace(".", r"\.")):
            form.set(key, value)
        assert _everything(form) == before, value
    if field["optional"]:
        form.set(key, field["least"] + 1 if field["kind"] == "whole" else 0.5)
        assert _fields(form)[key]["changed"]
        form.set(key, None)
        assert _everything(form) == before


# ---- setting and unsetting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("dedupe.ssim_mni", 0.9, "did you mean 'ssim_min'"),
        ("nonsense", 1, "unknown|expected"),
        ("crop.training_px", 512, "unknown setting 'crop.training_px'"),
        ("dataset.min_pictures", 200, "larger than dataset.max_pictures"),
        ("caption.template", "{hair}", "must hold {trigger} or {charname}"),
        ("caption.style=x", "y", "unknown setting"),
        (" caption.style", "y", "unknown setting"),
        ("caption.style.x", "y", "unknown setting"),
        ("", "y", "expected"),
    ],
)
def test_what_is_refused_leaves_all_as_it_was(name: str, value: Any, says: str) -> None:
    form = _changed_form("draft")
    before = _everything(form)
    with pytest.raises(SettingsError, match=says):
        form.set(name, value)
    assert _everything(form) == before


def test_back_to_the_default_is_no_change() -> None:
    form = SettingsForm()
    form.set("dataset.max_pictures", 50)
    assert (form.changed, form.settings.set_size.max_pictures) == ({"dataset.max_pictures": 50}, 50)
    form.set("dataset.max_pictures", 100)
    assert (form.changed, form.settings) == ({}, Settings())
    form.set("dataset.max_pictures", 100.0)
    assert form.state()["changed"] == 0


def test_reset_one_or_all() -> None:
    form = _changed_form("draft")
    form.reset("upscale.training_px")
    assert form.changed == {name: value for name, value in SOME_CHANGES.items() if name != "upscale.training_px"}
    assert form.settings.training_size.training_px == PRESETS["draft"]["upscale"]["training_px"]
    form.reset("never.set")
    assert len(form.changed) == len(SOME_CHANGES) - 1
    form.reset()
    assert (form.preset, form.changed, form.settings) == ("draft", {}, load_settings(preset="draft"))


def test_a_reset_that_would_contradict_another_setting_is_refused() -> None:
    form = SettingsForm()
    form.set("dataset.max_pictures", 300)
    form.set("dataset.min_pictures", 200)
    before = _everything(form)
    with pytest.raises(SettingsError, match=r"dataset\.min_pictures"):
        form.reset("dataset.max_pictures")
    assert _everything(form) == before


def test_another_preset_keeps_what_was_changed_by_hand() -> None:
    form = _changed_form()
    form.choose_preset("draft")
    assert form.changed == SOME_CHANGES
    assert form.settings.extract.min_gap_ms == 500
    before = _everything(form)
    with pytest.raises(SettingsError, match="full"):
        form.choose_preset("ful")
    assert _everything(form) == before
    form.set("dataset.max_pictures", 200)
    form.set("dataset.min_pictures", 60)
    form.reset("extract.mode")
    form.choose_preset("full")
    assert (form.settings.dataset.max_pictures, form.settings.extract.mode) == (200, "adaptive")


# ---- TOML ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", PRESETS)
@pytest.mark.parametrize("writer", PRESETS)
def test_round_trip_over_toml(writer: str, reader: str) -> None:
    for form in (SettingsForm(writer), _changed_form(writer)):
        again = SettingsForm(reader)
        again.read_toml(form.to_toml())
        assert again.settings == form.settings
        assert again.preset == reader
        if reader == writer:
            assert again.changed == form.changed
        assert load_settings(toml=form.to_toml()) == form.settings


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[dedupe]\nssim_min = 1.5", "at most 1"),
        ("[dedupe]\nssim_mni = 0.5", "did you mean"),
        ("[crop]\ntraining_px = 512", "unknown setting"),
        ("[dedupe", "cannot read"),
        ('[caption]\nstyle = "a\\nb"', "control characters"),
    ],
)
def test_toml_that_is_refused_leaves_all_as_it_was(text: str, says: str) -> None:
    form = _changed_form()
    before = _everything(form)
    with pytest.raises(SettingsError, match=says):
        form.read_toml(text)
    assert _everything(form) == before


def test_toml_replaces_what_was_changed_before() -> None:
    form = _changed_form("draft")
    form.read_toml("[dataset]\nper_shot = 3\n")
    assert (form.preset, form.changed) == ("draft", {"dataset.per_shot": 3})


# ---- an earlier run's settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", PRESETS)
@pytest.mark.parametrize("preset", PRESETS)
def test_take_the_settings_of_a_run(preset: str, shown: str) -> None:
    for form in (SettingsForm(preset), _changed_form(preset)):
        page = SettingsForm(shown)
        page.set("dataset.per_shot", 2)
        page.take(json.loads(json.dumps(form.settings.model_dump(mode="json"))))
        assert (page.preset, page.changed, page.settings) == (form.preset, form.changed, form.settings)


def _run(**sections: Any) -> dict[str, Any]:
    saved = load_settings(preset="draft").model_dump(mode="json")
    return {**saved, **{name: {**saved.get(name, {}), **values} for name, values in sections.items()}}


@pytest.mark.parametrize(
    ("saved", "changed"),
    [
        (_run(dedupe={"ssim_min": 7}, caption={"style": "cel"}), {"caption.style": "cel"}),
        (_run(dedupe={"gone": 7}, caption={"style": "cel"}), {"caption.style": "cel"}),
        (_run(before_version_one={"x": 1}), {}),
        (_run(extract={"mode": "sometimes", "fps": "many", "skip": "0:05-"}), {"extract.skip": "0:05-"}),
        (_run(extract={"fps": [1], "mode": {"a": 1}, "crop": [1]}), {}),
        (_run(caption={"style": {"a": 1}, "template": "{hair}"}), {}),
        (
            _run(dataset={"min_pictures": 150, "max_pictures": 200, "same_picture": -1}),
            {"dataset.min_pictures": 150, "dataset.max_pictures": 200},
        ),
        (_run(dataset={"min_pictures": 150}), {}),
        ({**_run(), "caption": None, "tag": "auto", "crop": 3}, {}),
    ],
)
def test_take_leaves_out_what_is_not_valid_any_more(saved: dict[str, Any], changed: dict[str, Any]) -> None:
    page = _changed_form()
    page.take(saved)
    assert (page.preset, page.changed) == ("draft", changed)
    assert page.settings == load_settings(
        preset="draft", assignments=[f"{name}={_toml(value)}" for name, value in changed.items()]
    )


def test_take_nothing() -> None:
    page = _changed_form("draft")
    page.take({})
    assert (page.preset, page.changed, page.settings) == ("full", {}, Settings())


# ---- any sequence ----------------------------------------------------------------------------------------------------------------


def _toml(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _values(field: dict[str, Any]) -> st.SearchStrategy[Any]:
    if field["kind"] == "choice":
        return st.sampled_from(field["choices"])
    if field["kind"] == "flag":
        return st.booleans()
    if field["kind"] == "text":
        line = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12)
        return line.map(lambda text: f"{{charname}}, {text}") if field["key"] == "caption.template" else line
    least, most = field["least"], field["most"] if field["most"] is not None else 10**7
    if field["kind"] == "whole":
        values: st.SearchStrategy[Any] = st.integers(least, most)
        values = values.map(lambda n: n // field["step"] * field["step"]) if field["step"] != 1 else values
    else:
        values = st.floats(least, most, allow_nan=False)
    return st.none() | values if field["optional"] else values


FIELDS = _fields(SettingsForm())
STEP = st.sampled_from(list(FIELDS)).flatmap(lambda key: st.tuples(st.just(key), _values(FIELDS[key])))


@given(st.sampled_from(list(PRESETS)), st.lists(STEP, max_size=8))
def test_any_sequence_of_settings_equals_the_command_line(preset: str, steps: list[tuple[str, Any]]) -> None:
    form = SettingsForm(preset)
    accepted: dict[str, Any] = {}
    for key, value in steps:
        tried = {**accepted, key: value}
        try:
            expected = load_settings(preset=preset, assignments=[f"{k}={_toml(v)}" for k, v in tried.items()])
        except SettingsError:
            with pytest.raises(SettingsError):
                form.set(key, value)
            continue
        form.set(key, value)
        accepted = tried
        assert form.settings == expected
        assert _fields(form)[key]["value"] == value
    base = _fields(SettingsForm(preset))
    assert form.changed == {key: value for key, value in accepted.items() if value != base[key]["value"]}
    again = SettingsForm(preset)
    again.read_toml(form.to_toml())
    assert (again.settings, again.changed) == (form.settings, form.changed)
    page = SettingsForm()
    page.take(json.loads(json.dumps(form.settings.model_dump(mode="json"))))
    assert page.settings == form.settings
