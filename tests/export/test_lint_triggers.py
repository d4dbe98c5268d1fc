"""Whatever trigger the program was told: every caption holds it once, and what is published and exported with it passes the linter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from animeset_lib.export.forms import WRITERS
from animeset_lib.export.lint import lint
from animeset_lib.export.plan import ExportOptions
from animeset_lib.export.write import export_films
from animeset_lib.published.captions import CaptionSet
from animeset_lib.published.edit_log import log_of
from animeset_lib.published.edits import AddTags, Recaption, ReplaceTag, SetCaption
from animeset_lib.published.kept import KeptCaptions
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.line import order_tags, trigger_first, trigger_of, write_caption
from animeset_lib.words.spelling import same_word
from animeset_lib.words.traits import traits_json
from tests.export.lint_folders import canonical, write

pytestmark = pytest.mark.usefixtures("equal_bytes_are_decoded_once")

NAMES = ("hana", "mika")
EACH = 10
TRIGGERS = (
    *("{charname}", "ohwx {charname}", "ohwx_{charname}", "{charname} person", "OHWX {charname}", "{charname}x"),
    *(
        "x{charname}",
        "sks ({charname}:1.2)",
        "a girl who is called {charname}",
        "{charname}/{charname}",
        "long_hair {charname}",
    ),
)
TEMPLATES = (
    CaptionSettings().template,
    "{people}, {trigger}, {hair}, {other}",
    "{people}, {charname}, {trigger}, {hair}, {other}",
    "{charname}, masterpiece, {trigger}, {other}",
)


def scores(number: int) -> dict[str, float]:
    return {"1girl": 0.9, "solo": 0.9, "long_hair": 0.8, "smile": 0.7, f"view_{number}": 0.6}


def published(root: Path, chosen: CaptionSettings) -> Path:
    """A film as a run with these settings leaves it."""
    film = root / "film"
    canonical(film, dict.fromkeys(NAMES, EACH))
    for name in NAMES:
        rows = [json.loads(line) for line in (film / name / "metadata.jsonl").read_text().splitlines()]
        for row in rows:
            tags = scores(row["rank"])
            words = order_tags(tags)
            row |= {"tags": list(words), "tag_scores": tags, "text": write_caption(name, words, (), chosen, tags)}
            row["crop"] = f"crop-{name}-{row['rank']}"
            write(film / name / "dataset" / "captions" / f"{Path(row['file_name']).stem}.txt", row["text"] + "\n")
        write(film / name / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        traits = traits_json(
            name, trigger_of(name, chosen), "keep", (), pictures=0, tracks=0, trigger_first=trigger_first(chosen)
        )
        write(film / name / "traits.json", json.dumps(traits))
    manifest = json.loads((film / "animeset.json").read_text())
    files = [path for path in film.rglob("*") if path.is_file() and path.name != "animeset.json"]
    manifest["files"] = {p.relative_to(film).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    manifest["settings"]["caption"] = chosen.model_dump(mode="json")
    write(film / "animeset.json", json.dumps(manifest))
    return film


def check(film: Path, exports: Path, triggers: Mapping[str, str]) -> None:
    """The trigger stands once in each caption, the name nowhere else, and nothing that is made of the film has an error."""
    for name in NAMES:
        for path in sorted((film / name / "dataset" / "captions").iterdir()):
            tags = [same_word(tag) for tag in path.read_text(encoding="utf-8").strip().split(", ")]
            assert tags.count(same_word(triggers[name])) == 1, tags
            assert same_word(triggers[name]) == name or name not in tags, tags
    plan, _ = export_films([film], exports, list(WRITERS), ExportOptions(validation=0.2, by="outfit"))
    assert {one.name: one.trigger for one in plan.characters} == triggers
    for folder in (film, exports, *sorted(exports.iterdir())):
        assert [one for one in lint(folder).findings if one.level == "error"] == []


@example(trigger="ohwx {charname}", template=TEMPLATES[0], underscores=True, other="{charname}")
@given(
    trigger=st.sampled_from(TRIGGERS)
    | st.text("aB_ .:'(){}é愛|;", max_size=6).map(lambda text: f"{text} {{charname}}"),
    template=st.sampled_from(TEMPLATES),
    underscores=st.booleans(),
    other=st.sampled_from(TRIGGERS[:5]),
)
@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_any_trigger_stands_once_and_passes_the_linter(
    trigger: str, template: str, underscores: bool, other: str
) -> None:
    try:
        chosen = CaptionSettings(template=template, trigger=trigger, underscores=underscores)
    except ValueError:
        return  # said when the settings are read
    with TemporaryDirectory() as place:
        film = published(Path(place), chosen)
        check(film, Path(place) / "exports", {name: trigger_of(name, chosen) for name in NAMES})
        again = CaptionSettings(template=template, trigger=other, underscores=underscores)
        captions = CaptionSet(film)
        if changes := captions.plan(Recaption(again, {})):
            captions.apply(changes, "anew")
        check(film, Path(place) / "anew", {name: trigger_of(name, again) for name in NAMES})


@pytest.mark.parametrize("trigger", ["ohwx {charname}", "{charname}", "{charname} person"])
def test_edits_by_hand_keep_the_trigger_once(tmp_path: Path, trigger: str) -> None:
    chosen = CaptionSettings(trigger=trigger)
    film = published(tmp_path, chosen)
    triggers = {name: trigger_of(name, chosen) for name in NAMES}
    captions = CaptionSet(film)
    for edit in (
        AddTags(f"hat, {triggers['hana']}"),
        SetCaption("hana/dataset/images/hana_0001.png", f"{triggers['hana']}, 1girl, {triggers['hana'].upper()}, red"),
    ):
        where = [one for one in captions.plan(edit) if "hana_" in one.image]
        captions.apply(where, "by hand")
    check(film, tmp_path / "exports", triggers)
    # another trigger by hand, one that no setting allows
    for name, word in {"hana": "sks", "mika": "Zwx Mika"}.items():
        captions.apply(captions.plan(ReplaceTag(triggers[name], word)), "sks")
    check(film, tmp_path / "sks", {"hana": "sks", "mika": "Zwx Mika"})


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_captions_by_hand_get_the_next_runs_trigger_once(tmp_path: Path, trigger: str) -> None:
    film = published(tmp_path / "one", CaptionSettings())
    captions = CaptionSet(film)
    captions.apply(captions.plan(AddTags("hat")), "hat")
    log = log_of(film).path
    again = CaptionSettings(trigger=trigger)
    film = published(tmp_path / "two", again)
    KeptCaptions(log, again).lay_over(film)
    check(film, tmp_path / "exports", {name: trigger_of(name, again) for name in NAMES})
