"""The file of trait choices: what may stand in it, what an edit changes, what it leaves."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.errors import InputError, SettingsError
from animeset_lib.words.cleaning import normalise
from animeset_lib.words.trait_choices import HEADER, TraitChoices, changed, load_choices, save_choice
from animeset_lib.words.traits import POLICIES, TraitChoice

BY_HAND = """\
# my film
[hana]  # the tall one
# she changes her ribbon in the last scene
policy = "drop"   # as I like it
always_drop = [
    "Hair Ribbon",  # silk
    "hat",
]

# nobody else
["エミリア"]
always_keep = ["grey_hair"]
"""
WRITTEN = {
    "hana": TraitChoice("drop", ("hair_ribbon", "hat"), ()),
    "エミリア": TraitChoice(None, (), ("grey_hair",)),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "output" / "film-0123456789ab.traits.toml"


def put(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_no_file_is_no_wish(file: Path) -> None:
    choices = load_choices(file)
    assert choices == TraitChoices({})
    assert choices.get("hana") == TraitChoice()
    assert choices.digest == ""


def test_a_file_by_hand(file: Path) -> None:
    assert dict(load_choices(put(file, BY_HAND)).of) == WRITTEN


def test_the_head_explains_itself_and_is_true(file: Path) -> None:
    assert load_choices(put(file, HEADER)).of == {}
    example = "".join(
        line[2:] for line in HEADER.splitlines(keepends=True) if line.startswith(("# [", "# policy", "# always"))
    )
    settled = "\n".join(line.split("   ")[0] for line in example.splitlines())
    assert dict(load_choices(put(file, settled)).of) == {"hana": TraitChoice("drop", ("hair_ribbon",), ("short_hair",))}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[hana\npolicy = 1", "is not TOML"),
        ("x = " + "[" * 5000, "is not TOML"),
        ("x = " + "9" * 5000, "is not TOML"),
        ('[hana]\npolicy = "dropp"', r"\[hana\]: unknown policy 'dropp'; expected one of keep, drop, drop_all"),
        ("[hana]\npolicy = 3", "unknown policy 3"),
        ('[hana]\nalways_dropp = ["a"]', r"unknown key 'always_dropp'.*did you mean always_drop\?"),
        ('[hana]\nalways_drop = "hat"', "expected a list of tags"),
        ("[hana]\nalways_drop = [1]", "expected a list of tags"),
        ('[hana]\nalways_drop = [","]', "expected a list of tags"),
        ('[hana]\nalways_drop = ["hat"]\nalways_keep = ["Hat"]', "hat is in always_drop and in always_keep"),
        ('hana = "drop"', "expected a character's section"),
    ],
)
def test_what_cannot_be_read_is_named(file: Path, text: str, said: str) -> None:
    put(file, text)
    with pytest.raises(InputError, match=said) as error:
        load_choices(file)
    assert str(file) in str(error.value)
    with pytest.raises(InputError):
        save_choice(file, "hana", TraitChoice("drop"))
    assert file.read_text(encoding="utf-8") == text, "what cannot be read is left alone"


def test_bytes_that_are_no_text(file: Path) -> None:
    put(file, "")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_choices(file)


def test_unknown_characters_are_told_with_the_nearest() -> None:
    choices = TraitChoices({"hanna": TraitChoice("drop"), "rem": TraitChoice("keep")})
    assert choices.unknown(["hana", "rem"]) == [
        "hanna is no character of this film (did you mean hana?); there are hana, rem"
    ]
    assert choices.unknown([])[0] == "hanna is no character of this film; there are none"


def test_only_what_choices_do_counts(file: Path) -> None:
    one = load_choices(put(file, BY_HAND)).digest
    moved = 'always_drop = ["hat", "hair_ribbon"]\npolicy = "drop"\n'
    other = load_choices(put(file, f'["エミリア"]\nalways_keep=["silver hair"]\n[hana]\n{moved}[nobody]\n')).digest
    assert one == other != ""
    assert load_choices(put(file, BY_HAND.replace('"drop"', '"keep"'))).digest != one


def test_the_first_edit_writes_the_head(file: Path) -> None:
    save_choice(file, "hana", TraitChoice("drop", ("hat",), ()))
    assert file.read_text(encoding="utf-8") == HEADER + '\n[hana]\npolicy = "drop"\nalways_drop = ["hat"]\n'
    save_choice(file, "エミリア", TraitChoice(always_keep=("grey_hair", "^_^")))
    assert file.read_text(encoding="utf-8").endswith('\n["エミリア"]\nalways_keep = ["grey_hair", "^_^"]\n')
    save_choice(file, "hana", TraitChoice())
    assert "[hana]\n" not in file.read_text(encoding="utf-8").replace("# [hana]", "")
    assert dict(load_choices(file).of) == {"エミリア": TraitChoice(always_keep=("grey_hair", "^_^"))}


def test_comments_by_hand_stay(file: Path) -> None:
    put(file, BY_HAND)
    save_choice(file, "hana", TraitChoice("drop_all", ("hat",), ("short_hair",)))
    assert (
        file.read_text(encoding="utf-8")
        == """\
# my film
[hana]  # the tall one
policy = "drop_all"
always_drop = ["hat"]
always_keep = ["short_hair"]
# she changes her ribbon in the last scene

# nobody else

["エミリア"]
always_keep = ["grey_hair"]
"""
    )
    before = file.read_bytes()
    save_choice(file, "hana", TraitChoice("drop_all", ("hat",), ("short_hair",)))
    assert file.read_bytes() == before
    save_choice(file, "hana", TraitChoice())
    assert "# she changes her ribbon" in file.read_text(encoding="utf-8")
    assert dict(load_choices(file).of) == {"hana": TraitChoice(), "エミリア": WRITTEN["エミリア"]}


@pytest.mark.parametrize(
    "text",
    [
        'hana.policy = "keep"\nrem.policy = "drop"\n',
        'hana = {policy = "keep"}\nrem = {policy = "drop"}\n',
        '[rem]\npolicy = "drop"\n[hana]\n"policy" = "keep"\n',
    ],
)
def test_unusual_ways_of_writing_are_written_anew(file: Path, text: str) -> None:
    put(file, text)
    save_choice(file, "hana", TraitChoice("drop", ("hat",)))
    assert dict(load_choices(file).of) == {"rem": TraitChoice("drop"), "hana": TraitChoice("drop", ("hat",))}


names = st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable())
tags = st.lists(st.text(max_size=8).map(normalise).filter(bool), max_size=3, unique=True)
choices = st.builds(
    lambda policy, drop, keep: TraitChoice(policy, tuple(drop), tuple(tag for tag in keep if tag not in drop)),
    st.none() | st.sampled_from(POLICIES),
    tags,
    tags,
)


@settings(deadline=None, max_examples=40)  # every edit is flushed to the disk
@given(edits=st.lists(st.tuples(names, choices), max_size=6), start=st.sampled_from(["", BY_HAND, HEADER]))
def test_any_edits_are_read_back(
    edits: list[tuple[str, TraitChoice]], start: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("traits") / "film.traits.toml"
    file.write_text(start, encoding="utf-8")
    expected = dict(load_choices(file).of)
    for name, choice in edits:
        save_choice(file, name, choice)
        expected[name] = choice
        loaded = load_choices(file)
        assert {name: one for name, one in loaded.of.items() if one != TraitChoice()} == {
            name: one for name, one in expected.items() if one != TraitChoice()
        }
    tomllib.loads(file.read_text(encoding="utf-8"))
    assert "\r" not in file.read_bytes().decode("utf-8")


def test_changes_add_up() -> None:
    first = changed(TraitChoice(), policy="drop", drop=["Hair Ribbon", "hat"])
    assert first == TraitChoice("drop", ("hair_ribbon", "hat"), ())
    second = changed(first, keep=["hat"], drop=["hat_feather"])
    assert second == TraitChoice("drop", ("hair_ribbon", "hat_feather"), ("hat",))
    assert changed(second, policy="keep", drop=["hat"]) == TraitChoice(
        "keep", ("hair_ribbon", "hat_feather", "hat"), ()
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policy": "drop-all"}, r"unknown policy 'drop-all'.*did you mean drop_all\?"),
        ({"drop": ["hat"], "keep": ["Hat"]}, "hat cannot be dropped and kept"),
        ({"drop": [","]}, "',' is no tag"),
    ],
)
def test_a_change_that_cannot_be(change: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        changed(TraitChoice(), **change)  # type: ignore[arg-type]


def test_a_byte_order_mark_of_a_windows_editor_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "film.traits.toml"
    path.write_bytes(b'\xef\xbb\xbf# mine\n[hana]\npolicy = "drop"\n')
    assert load_choices(path).get("hana").policy == "drop"
    save_choice(path, "hana", TraitChoice(policy="keep"))
    assert path.read_text(encoding="utf-8").startswith("# mine\n")
