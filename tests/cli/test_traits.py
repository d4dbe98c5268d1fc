"""`animeset traits`: the table from kept stages or from what was published, and edits that the next run honours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.run.stage import StageInfo
from animeset_lib.words.caption import CaptionNotes, CaptionStage
from animeset_lib.words.trait_choices import load_choices
from animeset_lib.words.traits import Pictured, TraitChoice, trait_table, traits_json

FILM = "0123456789ab"
FOLDER = f"demo-{FILM}"
Call = Callable[..., tuple[int, str, str]]


def table(character: str, policy: Any = "keep") -> dict[str, Any]:
    cast = [
        *(Pictured("hana", ("blue_hair", "hair_ribbon", "dress"), "face", f"hana {i}") for i in range(4)),
        *(Pictured("rem", ("pink_hair",), "face", f"rem {i}") for i in range(4)),
    ]
    return traits_json(
        character, f"ohwx {character}", policy, trait_table(cast, 0.6, 3)[character], pictures=4, tracks=4
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """`output/demo` as a run publishes it, with nothing but the tables."""
    folder = tmp_path / "output" / "demo"
    for character in ("hana", "rem"):
        (folder / character).mkdir(parents=True)
        (folder / character / "traits.json").write_text(json.dumps(table(character)), encoding="utf-8")
    (folder / "animeset.json").write_text(json.dumps({"film": FILM, "key": "k", "files": {}}), encoding="utf-8")
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """`work/` with a finished caption stage whose settings said drop."""
    stage = tmp_path / "work" / FOLDER / "6c_caption-aaaaaaaaaaaa"
    stage.mkdir(parents=True)
    notes = CaptionNotes(core_traits={}, traits={"hana": table("hana", "drop")})
    info = StageInfo(stage=CaptionStage.name, notes=notes.model_dump(mode="json"))
    (stage / "stage.json").write_text(info.model_dump_json(), encoding="utf-8")
    (stage.parent / "plan.json").write_text(json.dumps({"film": FILM, "keys": {}}), encoding="utf-8")
    return stage


@pytest.fixture
def choices(tmp_path: Path) -> Path:
    return tmp_path / "output" / f"{FOLDER}.traits.toml"


def test_the_table_of_a_published_set(animeset: Call, published: Path, choices: Path) -> None:
    code, out, _ = animeset("traits", "demo")
    assert code == 0
    assert "hana: policy keep; trigger word ohwx hana; alone on 4 pictures of 4 tracks" in out
    assert "rem: policy keep" in out
    row = next(line for line in out.splitlines() if "blue_hair" in line)
    assert row.split() == ["blue_hair", "1.00", "0.00", "21.00", "4/4", "told", "(core)"]
    assert not choices.exists(), "looking writes nothing"
    _, out, _ = animeset("traits", "demo", "rem")
    assert "hana:" not in out


def test_kept_stages_are_newer_than_what_was_published(animeset: Call, published: Path, kept: Path) -> None:
    _, out, _ = animeset("traits", FILM)
    assert "hana: policy drop" in out
    assert next(line for line in out.splitlines() if "blue_hair" in line).endswith("left out (core)")
    assert "rem:" not in out


def test_a_tag_that_no_picture_has_is_told(animeset: Call, published: Path, choices: Path) -> None:
    code, out, _ = animeset("traits", "demo", "hana", "--drop", "blck_hair")
    assert code == 0
    assert "note: no picture of hana alone has the tag blck_hair; it is written down all the same" in out
    assert load_choices(choices).get("hana").always_drop == ("blck_hair",)


def test_edits_add_up_and_are_shown(animeset: Call, published: Path, choices: Path) -> None:
    code, out, _ = animeset("traits", "demo", "hana", "--policy", "drop", "--drop", "Dress", "--keep", "hair ribbon")
    assert code == 0
    assert "policy drop, the settings say keep" in out
    assert next(line for line in out.splitlines() if "dress" in line).endswith("left out")
    assert "always told: hair_ribbon" in out
    assert out.splitlines()[-1].endswith("for the published set at once: animeset captions demo recaption")
    assert "note: " not in out
    assert load_choices(choices).get("hana") == TraitChoice("drop", ("dress",), ("hair_ribbon",))
    animeset("traits", "demo", "hana", "--drop", "crown")
    assert load_choices(choices).get("hana") == TraitChoice("drop", ("dress", "crown"), ("hair_ribbon",))
    _, out, _ = animeset("traits", "demo", "hana", "--json")
    found = json.loads(out)
    assert found["film"] == FOLDER
    assert [one["dropped"] for one in found["characters"]] == [["blue_hair", "dress", "crown"]]
    _, out, _ = animeset("traits", "demo", "hana", "--reset", "--policy", "drop_all")
    assert load_choices(choices).get("hana") == TraitChoice("drop_all")
    animeset("traits", "demo", "hana", "--reset")
    assert load_choices(choices).of == {}


def test_a_name_that_is_gone_is_said_and_can_be_reset(animeset: Call, published: Path, choices: Path) -> None:
    choices.write_text('[hanna]\npolicy = "drop"\n', encoding="utf-8")
    assert "hanna is no character of this film (did you mean hana?)" in animeset("traits", "demo")[1]
    assert animeset("traits", "demo", "hanna", "--reset")[0] == 0
    assert load_choices(choices).of == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("demo", "nobody"), 2, "no character 'nobody' in demo-0123456789ab; there are hana, rem"),
        (("demo", "--policy", "drop"), 2, "name the character"),
        (("demo", "hana", "--policy", "dropp"), 2, "unknown policy 'dropp'"),
        (("demo", "hana", "--drop", "x", "--keep", "x"), 2, "cannot be dropped and kept"),
        (("other",), 1, "no film matches 'other'"),
    ],
)
def test_wrong_words(
    animeset: Call, published: Path, choices: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    found, _, err = animeset("traits", *words)
    assert found == code
    assert said in err
    assert not choices.exists()


def test_nothing_is_known(animeset: Call, published: Path) -> None:
    for file in published.glob("*/traits.json"):
        file.unlink()
    code, _, err = animeset("traits", "demo")
    assert code == 1
    assert "nothing is known of the traits of demo-0123456789ab" in err


def test_a_damaged_file_is_named(animeset: Call, published: Path, choices: Path) -> None:
    choices.write_text("[hana", encoding="utf-8")
    code, _, err = animeset("traits", "demo")
    assert code == 1
    assert "is not TOML" in err
    choices.unlink()
    for content in ('{"character": "rem"}', "[" * 100_000):
        (published / "rem" / "traits.json").write_text(content, encoding="utf-8")
        code, _, err = animeset("traits", "demo")
        assert code == 1
        assert "run the film again" in err
