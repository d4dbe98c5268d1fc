"""A good data set of every format passes; break one thing in it, and the linter says exactly that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from animeset_lib.errors import InputError
from animeset_lib.export.lint import Report, lint
from animeset_lib.export.lint_captions import estimated_tokens
from animeset_lib.media import write_image
from tests.export.lint_folders import (
    BESIDE,
    CHARACTERS,
    EACH,
    GOOD,
    IN_FILES,
    caption,
    draw,
    edit_json,
    picture,
    pixels,
    write,
)

pytestmark = pytest.mark.usefixtures("equal_bytes_are_decoded_once")

Break = Callable[[Path], object]


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


@pytest.fixture(scope="module")
def good_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good data set per format; tests copy what they break."""
    root = tmp_path_factory.mktemp("good")
    for name, build in GOOD.items():
        build(root / name)
    return root


@pytest.fixture
def good(good_folders: Path, tmp_path: Path) -> Callable[[str], Path]:
    """`good("onetrainer")`: a fresh copy."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(good_folders / name, tmp_path / name))

    return copy


@pytest.mark.parametrize("name", GOOD)
def test_a_good_set_is_recognised_and_has_no_findings(good_folders: Path, name: str) -> None:
    report = lint(good_folders / name)
    assert report.findings == ()
    kind = "kohya-config" if name == "kohya-metadata" else name
    assert {one.format for one in report.linted} >= {kind}
    assert all("loads" in one.summary for one in report.linted)
    if name != "kohya-folders":
        one = next(one for one in report.linted if one.format == kind)
        assert f"2 characters (hana, mika), {2 * EACH} pictures" in one.summary


def test_several_kinds_in_one_folder_are_all_linted(good_folders: Path) -> None:
    report = lint(good_folders)
    # folder comes in only where nothing else is recognised
    assert {one.format for one in report.linted} == set(GOOD) - {"folder", "kohya-metadata"}
    assert report.findings == ()


# ------------------------------------------------------------------------------------------------- captions in files


def _rename(path: Path, name: str) -> Path:
    return path.rename(path.with_name(name))


def _latin1(root: Path) -> None:
    caption(root).write_bytes("hana, 1girl, caf\xe9, view_4\n".encode("latin-1"))


def _without_trigger(root: Path) -> None:
    write(caption(root), "1girl, solo, smile, outdoors, view_4\n")


CAPTION_BREAKS: dict[str, tuple[Break, set[str]]] = {
    "deleted": (lambda r: caption(r).unlink(), {"missing_caption"}),
    "empty": (lambda r: write(caption(r), ""), {"empty_caption"}),
    "blank": (lambda r: write(caption(r), " \n\n"), {"empty_caption"}),
    "one more line": (lambda r: write(caption(r), "hana, solo, view_4\nhana, 1girl, view_4\n"), {"multi_line_caption"}),
    "carriage return": (lambda r: caption(r).write_bytes(b"hana, view_4\rhana, view_4"), {"multi_line_caption"}),
    "capital suffix": (lambda r: _rename(caption(r), "hana_0004.TXT"), {"missing_caption"}),
    "capital name": (lambda r: _rename(caption(r), "Hana_0004.txt"), {"missing_caption", "caption_without_picture"}),
    "byte order mark": (lambda r: write(caption(r), "\ufeffhana, 1girl, view_4\n"), {"byte_order_mark"}),
    "latin-1": (_latin1, {"not_utf8"}),
    "another's trigger": (lambda r: write(caption(r), "mika, 1girl, view_4\n"), {"other_trigger"}),
    "both triggers": (lambda r: write(caption(r), "hana, 1girl, mika, view_4\n"), {"other_trigger"}),
    "no trigger": (_without_trigger, {"missing_trigger"}),
    "trigger later": (lambda r: write(caption(r), "1girl, hana, view_4\n"), {"trigger_not_first"}),
    "trigger spelled otherwise": (lambda r: write(caption(r), "Hana, 1girl, view_4\n"), {"trigger_spelling"}),
    "spare commas": (lambda r: write(caption(r), "hana, 1girl, , view_4\n"), {"empty_tag"}),
    "comma at the end": (lambda r: write(caption(r), "hana, 1girl,\n"), {"empty_tag"}),
    "tag twice": (lambda r: write(caption(r), "hana, long_hair, 1girl, long hair\n"), {"double_tag"}),
    "control character": (lambda r: write(caption(r), "hana, 1\x00girl, view_4\n"), {"control_characters"}),
    "too long": (
        lambda r: write(caption(r), "hana, " + ", ".join(f"word{n}" for n in range(100)) + "\n"),
        {"long_caption"},
    ),
}


@pytest.mark.parametrize("broken", CAPTION_BREAKS)
@pytest.mark.parametrize("name", IN_FILES)
def test_a_broken_caption_is_found_and_nothing_else(good: Callable[[str], Path], name: str, broken: str) -> None:
    root = good(name)
    change, expected = CAPTION_BREAKS[broken]
    change(root)
    found = codes(lint(root))
    if (name, broken) == ("ai-toolkit", "another's trigger"):
        found -= {"missing_trigger"}  # it is missing, too: ai-toolkit puts it in front
    if (name, broken) == ("ai-toolkit", "trigger spelled otherwise"):
        expected = {"missing_trigger"}  # it looks for the very letters, and puts them in front
    assert found == expected


@pytest.mark.parametrize("name", ["kohya-folders", "kohya-config", "folder", "animeset", "ai-toolkit"])
def test_more_than_one_line_is_an_error_where_it_is_not_meant(good: Callable[[str], Path], name: str) -> None:
    root = good(name)
    write(caption(root), "hana, view_4\nhana, smile\n")
    assert lint(root).errors >= 1


def test_for_onetrainer_each_line_is_a_prompt_and_needs_the_trigger(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    write(caption(root), "hana, view_4\nhana, smile\n")
    report = lint(root)
    assert (report.errors, report.warnings, codes(report)) == (0, 1, {"multi_line_caption"})
    write(caption(root), "hana, view_4\nsmile\n")
    report = lint(root)
    assert (report.errors, codes(report)) == (1, {"multi_line_caption", "missing_trigger"})


@pytest.mark.parametrize("name", ["kohya-folders", "kohya-config", "folder"])
def test_a_borrowed_caption_is_found(good: Callable[[str], Path], name: str) -> None:
    """hana_school_uniform_smile_classroom: without its own caption kohya takes that of hana, four parts shorter."""
    root = good(name)
    stem = "hana_0004_school_smile_classroom_0001"
    _rename(picture(root), f"{stem}.png")
    shorter = caption(root).with_name("hana_0004_school.txt".replace("_school", ""))
    assert shorter.exists()
    report = lint(root)
    assert codes(report) == {"borrowed_caption", "caption_without_picture"}
    assert any("hana_0004.txt" in finding.words for finding in report.findings if finding.code == "borrowed_caption")
    write(picture(root, stem).with_suffix(".txt"), "hana, 1girl, view_4\n")
    shorter.unlink()
    assert lint(root).findings == ()


def test_onetrainer_and_the_others_do_not_borrow(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    _rename(picture(root), "hana_0004_school_smile_classroom_0001.png")
    assert codes(lint(root)) == {"missing_caption", "caption_without_picture"}


# ------------------------------------------------------------------------------------------------------------ pictures


def _truncate(root: Path) -> None:
    path = picture(root)
    path.write_bytes(path.read_bytes()[:400])


def _as_jpeg(root: Path) -> None:
    with picture(root).open("wb") as file:
        Image.fromarray(pixels(4)).save(file, "JPEG", quality=95)


def _size(side: int) -> Break:
    return lambda root: write_image(picture(root), pixels(4, side))


def _twice(root: Path) -> None:
    shutil.copyfile(picture(root), picture(root).with_name("hana_0099.png"))
    shutil.copyfile(caption(root), caption(root).with_name("hana_0099.txt"))


def _nearly_twice(root: Path) -> None:
    _twice(root)
    shifted = np.roll(pixels(4), 3, axis=1).astype(np.int16) + 2
    write_image(picture(root, "hana_0099"), np.clip(shifted, 0, 255).astype(np.uint8))


def _both_renamed(name: str) -> Break:
    def rename(root: Path) -> None:
        _rename(picture(root), f"{name}.png")
        _rename(caption(root), f"{name}.txt")

    return rename


PICTURE_BREAKS: dict[str, tuple[Break, set[str]]] = {
    "renamed": (lambda r: _rename(picture(r), "hana_0040.png"), {"missing_caption", "caption_without_picture"}),
    "deleted": (lambda r: picture(r).unlink(), {"caption_without_picture"}),
    "truncated": (_truncate, {"unreadable_picture"}),
    "empty": (lambda r: picture(r).write_bytes(b""), {"unreadable_picture"}),
    "text": (lambda r: picture(r).write_text("no picture"), {"unreadable_picture"}),
    "a JPEG": (_as_jpeg, {"wrong_suffix"}),
    "tiny": (_size(128), {"tiny_picture"}),
    "small": (_size(384), {"small_picture"}),
    "twice": (_twice, {"duplicate_picture"}),
    "nearly twice": (_nearly_twice, {"near_duplicate"}),
    "a GIF beside": (lambda r: Image.fromarray(pixels(77)).save(picture(r).with_name("more.gif")), {"ignored_picture"}),
    "hidden beside": (lambda r: shutil.copyfile(picture(r), picture(r).with_name("._hana.png")), {"hidden_picture"}),
    "colon": (_both_renamed("hana:4"), {"bad_name"}),
    "device": (_both_renamed("con"), {"bad_name"}),
    "control character": (_both_renamed("hana\x07"), {"bad_name"}),
    "capitals twice": (
        lambda r: (
            _both_renamed("HANA_0005")(r),
            None,
        ),
        {"same_name"},
    ),
}


@pytest.mark.parametrize("broken", PICTURE_BREAKS)
@pytest.mark.parametrize("name", BESIDE)
def test_a_broken_picture_is_found_and_nothing_else(good: Callable[[str], Path], name: str, broken: str) -> None:
    root = good(name)
    change, expected = PICTURE_BREAKS[broken]
    change(root)
    found = codes(lint(root))
    if broken == "deleted" or (broken == "hidden beside" and name == "onetrainer"):
        found -= {"few_pictures"}
    if broken == "hidden beside" and name == "onetrainer":
        # the only one that trains hidden files, here without a caption and a second time
        expected = {"hidden_picture", "missing_caption", "duplicate_picture"}
    assert found == expected


@pytest.mark.parametrize("name", ["kohya-folders", "kohya-config"])
def test_mixed_capitals_in_a_suffix_are_not_found_by_kohya(good: Callable[[str], Path], name: str) -> None:
    root = good(name)
    _rename(picture(root), "hana_0004.Png")
    assert "ignored_picture" in codes(lint(root))
    _rename(next(root.rglob("hana_0004.Png")), "hana_0004.PNG")
    assert lint(root).findings == ()


@pytest.mark.parametrize("name", ["onetrainer", "ai-toolkit"])
def test_mixed_capitals_are_found_by_the_others(good: Callable[[str], Path], name: str) -> None:
    root = good(name)
    _rename(picture(root), "hana_0004.Png")
    assert lint(root).findings == ()


@pytest.mark.parametrize("shift", [1, 4])
def test_what_the_selection_lets_stand_side_by_side_passes(good: Callable[[str], Path], shift: int) -> None:
    """Another expression: one cell of the board differs by a tenth, and the whole lies a few pixels off."""
    root = good("folder")
    _twice(root)
    changed = pixels(4).astype(np.int16)
    changed[64:192, 64:192] += np.where(changed[64:192, 64:192] > 127, -40, 40).astype(np.int16)
    write_image(picture(root, "hana_0099"), np.roll(changed, shift, axis=0).astype(np.uint8))
    assert lint(root).findings == ()


def test_few_pictures_are_a_warning(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    picture(root).unlink()
    caption(root).unlink()
    report = lint(root)
    assert codes(report) == {"few_pictures"}
    assert "9 pictures of hana" in report.findings[0].words


def test_five_thousand_pictures_are_compared_in_time() -> None:
    from time import perf_counter

    from animeset_lib.dataset.selection import THUMB_PX
    from animeset_lib.export.lint_pictures import Measured, _alike

    random = np.random.default_rng(3)
    thumbs = random.integers(0, 256, (5_000, 8, 8, 3)).astype(np.uint8)
    paths = [Path(f"{n}.png") for n in range(len(thumbs))]
    measured = {
        path: Measured(
            str(path),
            "",
            "PNG",
            512,
            512,
            int(random.integers(1 << 63)),
            np.kron(t, np.ones((THUMB_PX // 8,) * 2 + (1,), np.uint8)),
        )
        for path, t in zip(paths, thumbs, strict=True)
    }
    measured[paths[4_000]] = measured[paths[17]]
    start = perf_counter()
    assert [(a, b) for a, b, _ in _alike(paths, measured)] == [(paths[4_000], paths[17])]
    assert perf_counter() - start < 10


# ---------------------------------------------------------------------------------------------- metadata and canonical


def _rows(path: Path, change: Callable[[list[dict[str, object]]], object]) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(rows)
    write(path, "".join(json.dumps(row) + "\n" for row in rows))


CANONICAL_BREAKS: dict[str, tuple[Break, set[str]]] = {
    # metadata.jsonl keeps what the program wrote
    "caption edited": (lambda r: write(caption(r), "hana, 1girl, frown\n"), set()),
    "row lost": (lambda r: _rows(r / "hana" / "metadata.jsonl", lambda rows: rows.pop(3)), {"not_listed"}),
    "picture lost": (
        lambda r: (picture(r).unlink(), caption(r).unlink()),
        {"missing_picture", "few_pictures"},
    ),
    "picture changed": (lambda r: write_image(picture(r), pixels(555)), {"picture_changed"}),
    "metadata lost": (lambda r: (r / "hana" / "metadata.jsonl").unlink(), {"no_metadata"}),
    "metadata broken": (lambda r: write(r / "hana" / "metadata.jsonl", "{"), {"not_parsed"}),
    "wrong size": (
        lambda r: _rows(r / "hana" / "metadata.jsonl", lambda rows: rows[3].update(width=500)),
        {"wrong_size"},
    ),
    "no pictures": (
        lambda r: shutil.rmtree(r / "hana" / "dataset" / "images") or (r / "hana" / "dataset" / "images").mkdir(),
        {"no_pictures"},
    ),
}


@pytest.mark.parametrize("broken", CANONICAL_BREAKS)
def test_a_published_film_that_does_not_agree_with_itself(good: Callable[[str], Path], broken: str) -> None:
    root = good("animeset")
    change, expected = CANONICAL_BREAKS[broken]
    change(root)
    found = codes(lint(root))
    if broken == "no pictures":
        found -= {"missing_picture", "caption_without_picture"}
    assert found == expected


def test_one_character_of_a_film_can_be_linted_alone(good: Callable[[str], Path]) -> None:
    root = good("animeset")
    report = lint(root / "hana")
    assert (report.findings, report.linted[0].format) == ((), "animeset")
    write(caption(root), "mika, 1girl\n")
    assert codes(lint(root / "hana")) == {"missing_trigger"}


def test_words_that_the_trigger_shall_learn(good: Callable[[str], Path]) -> None:
    root = good("animeset")
    traits = {"trigger": "hana", "trigger_first": True, "policy": "drop", "dropped": ["blue_hair"], "kept": []}
    write(root / "hana" / "traits.json", json.dumps(traits))
    assert lint(root).findings == ()
    write(caption(root), "hana, 1girl, blue hair, smile\n")
    _rows(root / "hana" / "metadata.jsonl", lambda rows: rows[3].update(text="hana, 1girl, blue hair, smile"))
    (finding,) = lint(root).findings
    assert (finding.level, finding.code) == ("warning", "identity_leak")
    assert "blue hair" in finding.words
    write(root / "hana" / "traits.json", "{")
    assert codes(lint(root)) == {"not_parsed"}


def test_a_trigger_of_several_words_is_known_from_the_traits(good: Callable[[str], Path]) -> None:
    root = good("animeset")
    for path in sorted(root.rglob("hana_*.txt")):
        write(path, "ohwx " + path.read_text(encoding="utf-8"))
    _rows(root / "hana" / "metadata.jsonl", lambda rows: [row.update(text=f"ohwx {row['text']}") for row in rows])
    assert lint(root).findings == ()
    traits = {"trigger": "ohwx hana", "trigger_first": True, "policy": "keep", "dropped": [], "kept": []}
    write(root / "hana" / "traits.json", json.dumps(traits))
    assert lint(root).findings == ()
    assert "ohwx hana" in lint(root).linted[0].summary
    # all of them were written anew with another one
    write(root / "hana" / "traits.json", json.dumps({**traits, "trigger": "sks"}))
    assert lint(root).findings == ()
    for path in sorted(root.rglob("hana_*.txt")):
        write(path, path.read_text(encoding="utf-8").removeprefix("ohwx hana, "))
    report = lint(root)
    assert (codes(report), report.errors) == ({"missing_trigger"}, EACH)


def test_masks_fit_and_are_not_black(good: Callable[[str], Path]) -> None:
    root = good("animeset")
    masks = root / "hana" / "dataset" / "masks"
    masks.mkdir()
    for name, side, value in (("hana_0001", 512, 255), ("hana_0002", 256, 255), ("hana_0003", 512, 0)):
        Image.new("L", (side, side), value).save(masks / f"{name}.png")
    (masks / "hana_0004.png").write_bytes(b"no picture")
    found = {(finding.code, Path(finding.path).stem) for finding in lint(root).findings}
    assert found == {("mask_size", "hana_0002"), ("empty_mask", "hana_0003"), ("unreadable_picture", "hana_0004")}


def test_regularisation_pictures_show_nobody(good: Callable[[str], Path]) -> None:
    root = good("animeset")
    folder = root / "regularisation"
    for number in range(3):
        write_image_to = folder / "images" / f"scene_{number:04d}.png"
        write_image_to.parent.mkdir(parents=True, exist_ok=True)
        write_image(write_image_to, pixels(900 + number))
        write(folder / "captions" / f"scene_{number:04d}.txt", "no_humans, scenery\n")
    write(
        folder / "metadata.jsonl",
        "".join(
            json.dumps({"file_name": f"images/scene_{n:04d}.png", "text": "no_humans, scenery"}) + "\n"
            for n in range(3)
        ),
    )
    assert lint(root).findings == ()
    write(folder / "captions" / "scene_0001.txt", "hana, scenery\n")
    report = lint(root)
    assert codes(report) == {"other_trigger"}
    assert any("shows nobody" in finding.words for finding in report.findings)


# ------------------------------------------------------------------------------------------------------------- balance


def _repeats(root: Path, name: str, often: int) -> None:
    if name == "kohya-folders":
        _rename(root / "3_hana", f"{often}_hana")
    elif name == "onetrainer":
        edit_json(
            root / "concepts.json",
            lambda all_: [{**one, "balancing": often if one["name"] == "hana" else 3} for one in all_],
        )
    else:
        path = root / "job.yaml"
        head, tail = path.read_text(encoding="utf-8").split("num_repeats: 3", 1)
        write(path, f"{head}num_repeats: {often}{tail}")


@pytest.mark.parametrize("name", ["kohya-folders", "onetrainer", "ai-toolkit"])
def test_unbalanced_repeats_are_a_warning_with_numbers(good: Callable[[str], Path], name: str) -> None:
    root = good(name)
    _repeats(root, name, 6)
    assert lint(root).findings == ()
    shutil.rmtree(root)
    root = good(name)
    _repeats(root, name, 7)
    (finding,) = lint(root).findings
    assert (finding.level, finding.code) == ("warning", "unbalanced")
    assert "hana is seen 70 times, mika 30 times" in finding.words


def test_sub_sets_of_one_character_may_differ_more(good: Callable[[str], Path]) -> None:
    root = good("kohya-folders")
    inside = root / "1_hana_kimono"
    for number in range(1, EACH + 1):
        inside.mkdir(exist_ok=True)
        write_image(inside / f"k_{number}.png", pixels(300 + number))
        write(inside / f"k_{number}.txt", f"hana, kimono, view_{number}\n")
    assert lint(root).findings == ()
    _rename(root / "3_hana", "4_hana")
    report = lint(root)
    assert codes(report) == {"unbalanced"}
    assert "of hana" in report.findings[0].words


def test_a_picture_in_two_sets(good: Callable[[str], Path]) -> None:
    root = good("kohya-folders")
    shutil.copyfile(picture(root), root / "3_mika" / "copy.png")
    write(root / "3_mika" / "copy.txt", "mika, 1girl\n")
    assert codes(lint(root)) == {"in_two_sets"}


def test_a_picture_that_is_trained_and_validated(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    shutil.copytree(root / "hana", root / "held")
    edit_json(root / "concepts.json", lambda all_: [*all_, {"name": "held", "path": "held", "type": "VALIDATION"}])
    report = lint(root)
    assert (codes(report), report.errors) == ({"trained_and_validated"}, EACH)


# -------------------------------------------------------------------------------------------------------------- border


@pytest.mark.parametrize("make", ["nothing", "empty", "text", "unknown format"])
def test_nothing_to_lint_is_one_clear_sentence(tmp_path: Path, make: str) -> None:
    path = tmp_path / "set"
    only = None
    if make != "nothing":
        path.mkdir()
    if make == "text":
        write(path / "notes.txt", "hello")
    if make == "unknown format":
        only = "lora"
    with pytest.raises(InputError, match=r"check the path|nothing to lint|unknown format"):
        lint(path, only)


def test_what_two_data_sets_share_is_told_once_and_counted_by_both(good: Callable[[str], Path]) -> None:
    root = good("kohya-config")
    caption(root).unlink()
    report = lint(root)
    assert report.errors == 1
    first, second = report.linted
    assert "1 error (" in first.summary
    assert "1 error, said above (" in second.summary
    assert second.findings == ()


def test_a_format_can_be_forced(good_folders: Path) -> None:
    assert {one.format for one in lint(good_folders / "onetrainer", "folder").linted} == {"folder"}
    assert {one.format for one in lint(good_folders / "kohya-config", "kohya").linted} == {
        "kohya-config",
        "kohya-folders",
    }
    assert {one.format for one in lint(good_folders / "kohya-config", "kohya-config").linted} == {"kohya-config"}
    assert {one.format for one in lint(good_folders, "ai-toolkit").linted} == {"ai-toolkit"}


def test_the_report_is_the_same_twice_and_holds_no_place(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    write(caption(root), "mika\n")
    picture(root, "mika_0001").unlink()
    first, second = (json.dumps(lint(root).as_json()) for _ in range(2))
    assert first == second
    assert str(root.parent) not in first


def test_linting_changes_nothing(good: Callable[[str], Path]) -> None:
    root = good("animeset")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}
    lint(root)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("", 0, 0), ("hana", 1, 1), ("1girl, solo", 4, 4), ("long_hair, school_uniform", 6, 8), ("あいう", 3, 9)],
)
def test_tokens_are_estimated(text: str, low: int, high: int) -> None:
    """Counted by hand as CLIP splits words: `hana` 1, `1girl, solo` 4 (1, girl, comma, solo), `long_hair, school_uniform` 7."""
    assert low <= estimated_tokens(text) <= high


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(IN_FILES),
    broken=st.sampled_from(
        [*((kind, b) for kind in ("caption",) for b in CAPTION_BREAKS), *(("picture", b) for b in PICTURE_BREAKS)]
    ),
    who=st.sampled_from(CHARACTERS),
)
def test_any_single_change_is_found(
    good_folders: Path, tmp_path_factory: pytest.TempPathFactory, name: str, broken: tuple[str, str], who: str
) -> None:
    root = Path(shutil.copytree(good_folders / name, tmp_path_factory.mktemp("broken") / name))
    change = (CAPTION_BREAKS if broken[0] == "caption" else PICTURE_BREAKS)[broken[1]][0]
    change(root)
    assert lint(root).findings != ()
    shutil.rmtree(root)


# ------------------------------------------------------------------------------------------- files that come from anybody

_NESTED = "[" * 100_000


@pytest.mark.parametrize("content", [_NESTED, '{"a":' * 100_000, "9" * 6000, "\0", "[[1], 2]"])
@pytest.mark.parametrize(
    "name",
    ["dataset_config.toml", "job.yaml", "concepts.json", "meta.json", "metadata.jsonl", "metadata.csv", "global.yaml"],
)
def test_a_file_that_no_parser_can_take_stops_nothing(tmp_path: Path, name: str, content: str) -> None:
    draw(tmp_path / "hana_1.png", 1)
    write(tmp_path / "hana_1.txt", "hana, smile\n")
    write(tmp_path / name, content)
    assert lint(tmp_path).linted


_JOB = "job: x\nconfig: {name: x, process: [{datasets: [{%s}]}]}\n"
_CONFIG = "[[datasets]]\nresolution = %s\n[[datasets.subsets]]\nimage_dir = %s\nnum_repeats = %s\n"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("job.yaml", "job: !!timestamp abc\nconfig: 1\n", "not_parsed"),
        ("job.yaml", "job: &a [x]\nconfig: *b\n", "not_parsed"),
        ("job.yaml", _JOB % "1: 2, x: 3, folder_path: .", "unknown_key"),
        ("job.yaml", _JOB % f"folder_path: {'x' * 5000}", "wrong_type"),
        ("job.yaml", _JOB % f"folder_path: ., num_repeats: {'9' * 400}, resolution: {'9' * 400}", None),
        ("dataset_config.toml", _CONFIG % ("9" * 400, "'.'", "9" * 400), None),
        ("dataset_config.toml", _CONFIG % (512, f"'{'x' * 5000}'", 1), "wrong_type"),
        ("dataset_config.toml", "[[datasets]]\nsubsets = 5\n", "no_datasets"),
        ("concepts.json", '[{"path": ".", "type": []}]', "wrong_value"),
        ("concepts.json", f'[{{"path": ".", "balancing": {"9" * 400}}}]', None),
        ("metadata.jsonl", f'{{"file_name": "{"x" * 5000}.png", "text": "x"}}', "missing_picture"),
        ("metadata.csv", f"file_name,text\nhana_1.png,{'x' * 200_000}\n", "not_parsed"),
    ],
)
def test_values_that_no_trainer_expects_are_findings(tmp_path: Path, name: str, content: str, code: str | None) -> None:
    draw(tmp_path / "hana_1.png", 1)
    write(tmp_path / "hana_1.txt", "hana, smile\n")
    write(tmp_path / name, content)
    found = codes(lint(tmp_path))
    assert code is None or code in found


@pytest.mark.parametrize("rows", ['{"file_name": 5}', '{"file_name": [1]}', _NESTED])
def test_rows_of_a_published_film_from_anybody(tmp_path: Path, rows: str) -> None:
    draw(tmp_path / "hana" / "dataset" / "images" / "hana_1.png", 1)
    write(tmp_path / "hana" / "dataset" / "captions" / "hana_1.txt", "hana, smile\n")
    write(tmp_path / "hana" / "metadata.jsonl", rows)
    write(tmp_path / "hana" / "traits.json", _NESTED)
    write(tmp_path / "animeset.json", '{"settings": {"upscale": {"training_px": %s}}}' % ("9" * 400))
    assert "not_parsed" in codes(lint(tmp_path))


def test_links_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    for name in ("here", "there"):
        draw(tmp_path / name / "hana_1.png", len(name))
        write(tmp_path / name / "hana_1.txt", f"hana, {name}\n")
    for number in range(3):
        (tmp_path / f"self_{number}").symlink_to(".")
        (tmp_path / "here" / f"to_{number}").symlink_to("../there")
        (tmp_path / "there" / f"to_{number}").symlink_to("../here")
    assert "2 pictures" in lint(tmp_path).linted[0].summary


def test_a_set_too_small_to_know_its_trigger_takes_that_of_its_character(good: Callable[[str], Path]) -> None:
    """An outfit of one picture, as an export by outfit may have it."""
    root = good("onetrainer")
    draw(root / "hana_kimono" / "hana_9.png", 999)
    write(root / "hana_kimono" / "hana_9.txt", "hana, 1girl, kimono\n")
    edit_json(root / "concepts.json", lambda all_: [*all_, {**all_[0], "name": "outfit", "path": "hana_kimono"}])
    assert "other_trigger" not in codes(lint(root))
