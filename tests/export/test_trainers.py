"""Each loader on small folders against what is documented of its trainer: what is taken, with which captions, and what it stops at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from animeset_lib.export.lint import lint
from animeset_lib.export.loaded import Loaded
from animeset_lib.export.recognise import Source, load
from tests.export.lint_folders import GOOD, caption, draw, edit_json, picture, write


def taken(name: str, path: Path) -> Loaded:
    return load(Source(name, path), path if path.is_dir() else path.parent)


def codes(loaded: Loaded) -> list[str]:
    return sorted(finding.code for finding in loaded.findings)


def fed(loaded: Loaded) -> dict[str, tuple[str, ...]]:
    return {picture.path.name: picture.captions for one in loaded.sets for picture in one.pictures}


@pytest.fixture
def good(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        GOOD[name](tmp_path)
        return tmp_path

    return make


# --------------------------------------------------------------------------------------------------------------- kohya


@pytest.mark.parametrize(
    ("folder", "repeats", "words", "expected"),
    [
        ("10_hana", 10, "hana", []),
        ("1_hana_school_uniform", 1, "hana_school_uniform", []),
        (" 4_hana", 4, "hana", []),
        ("0_hana", None, None, ["zero_repeats"]),
        ("-2_hana", None, None, ["zero_repeats"]),
        ("hana", None, None, ["no_repeats"]),
        ("ten_hana", None, None, ["no_repeats"]),
        ("2.5_hana", None, None, ["no_repeats"]),
    ],
)
def test_kohya_reads_repeats_from_the_folder(
    tmp_path: Path, folder: str, repeats: int | None, words: str | None, expected: list[str]
) -> None:
    draw(tmp_path / folder / "a.png", 1)
    write(tmp_path / folder / "a.txt", "hana, smile\n")
    loaded = taken("kohya-folders", tmp_path)
    assert [(one.repeats, one.trigger) for one in loaded.sets] == ([(repeats, words)] if repeats else [])
    assert codes(loaded) == expected


def test_kohya_looks_directly_in_the_folder_only(tmp_path: Path) -> None:
    draw(tmp_path / "2_hana" / "a.png", 1)
    write(tmp_path / "2_hana" / "a.txt", "hana\n")
    draw(tmp_path / "2_hana" / "more" / "b.png", 2)
    draw(tmp_path / "c.png", 3)
    loaded = taken("kohya-folders", tmp_path)
    assert list(fed(loaded)) == ["a.png"]
    assert codes(loaded) == ["ignored_picture", "ignored_picture"]


def test_kohya_gui_folders_are_training_and_regularisation(tmp_path: Path) -> None:
    for place in ("img/2_hana", "reg/1_scenery", "validation/1_hana"):
        draw(tmp_path / place / "a.png", len(place))
        write(tmp_path / place / "a.txt", "hana\n")
    (tmp_path / "log").mkdir()
    loaded = taken("kohya-folders", tmp_path)
    assert [(one.name, one.kind) for one in loaded.sets] == [("2_hana", "train"), ("1_scenery", "regularisation")]
    assert codes(loaded) == []


def test_kohya_reads_the_first_line_only(tmp_path: Path) -> None:
    folder = tmp_path / "1_hana"
    for name, text in (("a", "hana, smile \nhana, frown"), ("b", "\nhana"), ("c", "hana\n\n")):
        draw(folder / f"{name}.png", ord(name))
        write(folder / f"{name}.txt", text)
    draw(folder / "d.png", 9)
    loaded = taken("kohya-folders", tmp_path)
    assert fed(loaded) == {"a.png": ("hana, smile",), "b.png": ("",), "c.png": ("hana",), "d.png": ("hana",)}
    assert codes(loaded) == ["empty_caption", "missing_caption", "multi_line_caption"]


def _toml(
    root: Path, head: str = "", dataset: str = "", subset: str = "", hana: str = 'image_dir = "img/3_hana"'
) -> Path:
    GOOD["kohya-folders"](root / "img")
    path = root / "dataset.toml"
    write(
        path,
        f'{head}\n[[datasets]]\nresolution = 512\n{dataset}\n[[datasets.subsets]]\ncaption_extension = ".txt"\nnum_repeats = 3\n{hana}\n{subset}\n',
    )
    return path


KEYS: dict[str, tuple[dict[str, str], list[str]]] = {
    "all well": ({}, []),
    "every kind": (
        {
            "head": "[general]\nenable_bucket = true\nflip_aug = false\ncaption_dropout_rate = 0\ntoken_warmup_step = 0.5\nclass_tokens = 'x'",
            "dataset": "batch_size = 4\nvalidation_split = 0.1\nnetwork_multiplier = 1.0\nbucket_no_upscale = true",
            "subset": "keep_tokens = 1\nshuffle_caption = true\nface_crop_aug_range = [1.0, 3.0]\ncustom_attributes = {a = 1}\n"
            "is_reg = false\nalpha_mask = true",
        },
        [],
    ),
    "misspelled": ({"subset": "num_repeat = 3"}, ["unknown_key"]),
    "at the top": ({"head": "resolution = 512"}, ["unknown_key"]),
    "prior_loss_weight": ({"dataset": "prior_loss_weight = 1.0"}, ["unknown_key"]),
    "image_dir in a dataset": ({"dataset": "image_dir = 'img/3_hana'"}, ["unknown_key"]),
    "is_reg in general": ({"head": "[general]\nis_reg = true"}, ["unknown_key"]),
    "batch_size in a subset": ({"subset": "batch_size = 2"}, ["unknown_key"]),
    "text for a number": ({"subset": "keep_tokens = '1'"}, ["wrong_type"]),
    "number for text": ({"subset": "class_tokens = 1"}, ["wrong_type"]),
    "whole number for a share": ({"dataset": "validation_split = 0"}, ["wrong_type"]),
    "three sides": ({"head": "[general]\nresolution = [512, 512, 3]"}, ["wrong_type"]),
    "bucket too small": ({"dataset": "enable_bucket = true\nmax_bucket_reso = 448"}, ["bucket_range"]),
    "bucket rounded up": ({"dataset": "enable_bucket = true\nmax_bucket_reso = 500"}, []),
    "no buckets": ({"dataset": "max_bucket_reso = 448"}, []),
    "no image_dir": ({"hana": ""}, ["no_image_dir"]),
    "absolute": ({"hana": "image_dir = '/data/3_hana'"}, ["absolute_path", "no_such_folder"]),
    "drive": ({"hana": "image_dir = 'C:/data/3_hana'"}, ["absolute_path", "no_such_folder"]),
    "backslash": ({"hana": "image_dir = 'img\\3_hana'"}, ["backslash"]),
    "outside": ({"hana": "image_dir = '../elsewhere'"}, ["no_such_folder", "outside_path"]),
    "not there": ({"hana": "image_dir = 'img/3_hanna'"}, ["no_such_folder"]),
    "there twice": ({"subset": "[[datasets.subsets]]\nimage_dir = 'img/3_hana'"}, ["duplicate_subset"]),
    "no subsets": ({"head": "[[datasets]]\nresolution = 512"}, ["no_datasets"]),
    "two methods": ({"subset": "[[datasets.subsets]]\nmetadata_file = 'meta.json'"}, ["mixed_methods"]),
    "no metadata": ({"hana": "metadata_file = 'meta.json'"}, ["no_such_file", "unknown_key"]),
    "broken": ({"head": "[general"}, ["not_parsed"]),
}


@pytest.mark.parametrize("case", KEYS)
def test_kohya_config_keys_and_paths(tmp_path: Path, case: str) -> None:
    parts, expected = KEYS[case]
    assert codes(taken("kohya-config", _toml(tmp_path, **parts))) == expected


def test_kohya_config_repeats_disagree_with_the_folder(tmp_path: Path) -> None:
    path = _toml(tmp_path)
    write(path, path.read_text(encoding="utf-8").replace("num_repeats = 3", "num_repeats = 5"))
    loaded = taken("kohya-config", path)
    assert (codes(loaded), loaded.sets[0].repeats) == (["repeats_disagree"], 5)
    write(path, path.read_text(encoding="utf-8").replace("num_repeats = 5", "num_repeats = 0"))
    loaded = taken("kohya-config", path)
    assert (codes(loaded), loaded.sets) == (["zero_repeats"], ())


def test_kohya_config_looks_for_dot_caption_unless_told(tmp_path: Path) -> None:
    path = _toml(tmp_path)
    write(path, path.read_text(encoding="utf-8").replace('caption_extension = ".txt"\n', ""))
    loaded = taken("kohya-config", path)
    assert set(codes(loaded)) == {"default_extension", "missing_caption"}
    assert set(fed(loaded).values()) == {("",)}


def test_kohya_config_levels_and_words_around_captions(tmp_path: Path) -> None:
    path = _toml(
        tmp_path,
        head='[general]\nenable_wildcard = true\ncaption_prefix = "best,"',
        subset='caption_suffix = "x"\nis_reg = true',
    )
    write(caption(tmp_path), "hana, a\nhana, b\n")
    loaded = taken("kohya-config", path)
    assert fed(loaded)["hana_0004.png"] == ("best, hana, a x", "best, hana, b x")
    assert loaded.sets[0].kind == "regularisation"
    assert (codes(loaded), loaded.findings[0].level) == (["multi_line_caption"], "warning")
    assert loaded.training_px == 512


def test_kohya_config_a_split_of_one_is_validation_alone(tmp_path: Path) -> None:
    assert taken("kohya-config", _toml(tmp_path, dataset="validation_split = 1.0")).sets[0].kind == "validation"
    assert taken("kohya-config", _toml(tmp_path, dataset="validation_split = 0.5")).sets[0].kind == "train"


def test_kohya_masks_must_be_there_for_each_picture_and_no_other(tmp_path: Path) -> None:
    path = _toml(tmp_path, subset='conditioning_data_dir = "masks"')
    masks = tmp_path / "masks"
    for number in range(1, 11):
        (masks / f"hana_{number:04d}.png").parent.mkdir(exist_ok=True)
        Image.new("L", (512, 512), 255).save(masks / f"hana_{number:04d}.png")
    loaded = taken("kohya-config", path)
    assert codes(loaded) == []
    assert all(one.mask == masks / one.path.name for one in loaded.sets[0].pictures)
    assert "--masked_loss" in loaded.note
    (masks / "hana_0002.png").rename(masks / "hana_0022.png")
    assert codes(taken("kohya-config", path)) == ["mask_without_picture", "missing_mask"]
    write(path, path.read_text(encoding="utf-8") + 'class_tokens = "hana"\n')
    assert "unknown_key" in codes(taken("kohya-config", path))


METADATA: dict[str, tuple[Callable[[dict[str, Any]], object], list[str]]] = {
    "caption and tags": (lambda rows: rows["hana_0004.png"].update(caption="hana in the sun"), []),
    "null caption": (lambda rows: rows["hana_0004.png"].update(caption=None), []),
    "no text": (lambda rows: rows["hana_0004.png"].update(tags=""), ["empty_caption"]),
    "several lines": (lambda rows: rows["hana_0004.png"].update(tags="hana\nsmile"), ["multi_line_caption"]),
    "no text type": (lambda rows: rows["hana_0004.png"].update(tags=["hana"]), ["not_listed", "wrong_type"]),
    "bad size": (lambda rows: rows["hana_0004.png"].update(image_size="512x512"), ["wrong_type"]),
    "no picture": (lambda rows: rows.update({"no.png": {"tags": "hana"}}), ["missing_picture"]),
    "absolute": (lambda rows: rows.update({"/no.png": {"tags": "hana"}}), ["absolute_path", "missing_picture"]),
    "row lost": (lambda rows: rows.pop("hana_0004.png"), ["not_listed"]),
    "a list": (lambda rows: rows.update({"hana_0004.png": []}), ["no_pictures", "not_parsed", *["not_listed"] * 10]),
}


@pytest.mark.parametrize("case", METADATA)
def test_kohya_metadata_rows(good: Callable[[str], Path], case: str) -> None:
    root = good("kohya-metadata")
    change, expected = METADATA[case]
    edit_json(root / "hana.json", lambda rows: (change(rows), rows)[1])
    assert codes(taken("kohya-config", root / "finetune.toml")) == sorted(expected)


def test_kohya_metadata_joins_caption_and_tags(good: Callable[[str], Path]) -> None:
    root = good("kohya-metadata")
    edit_json(root / "hana.json", lambda rows: {**rows, "hana_0001.png": {"caption": "a girl", "tags": "hana, solo"}})
    assert fed(taken("kohya-config", root / "finetune.toml"))["hana_0001.png"] == ("a girl,hana, solo",)


def test_kohya_metadata_as_lines_and_alone(good: Callable[[str], Path]) -> None:
    root = good("kohya-metadata")
    rows = json.loads((root / "hana.json").read_text(encoding="utf-8"))
    lines = "".join(json.dumps({"image_path": key, **row}) + "\n" for key, row in rows.items())
    write(root / "hana" / "meta.jsonl", lines)
    loaded = taken("kohya-metadata", root / "hana" / "meta.jsonl")
    assert (codes(loaded), len(loaded.sets[0].pictures)) == ([], 10)
    assert lint(root / "hana" / "meta.jsonl").linted[0].format == "kohya-metadata"


def test_kohya_metadata_that_states_another_size(good: Callable[[str], Path]) -> None:
    root = good("kohya-metadata")
    edit_json(
        root / "hana.json", lambda rows: {**rows, "hana_0001.png": {"tags": "hana, solo", "image_size": [512, 448]}}
    )
    assert {finding.code for finding in lint(root).findings} == {"wrong_size"}


# ---------------------------------------------------------------------------------------------------------- OneTrainer


CONCEPT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "older keys": ({"repeats": 2.0, "validation_concept": False, "__version": 0}, []),
    "whole form": (
        {"seed": 1, "loss_weight": 1.0, "image": {"enable_crop_jitter": True}, "text": {"keep_tags_count": 1}},
        [],
    ),
    "misspelled": ({"balance": 2}, ["unknown_key"]),
    "misspelled inside": ({"text": {"keep_tags": 1}}, ["unknown_key"]),
    "wrong type": ({"balancing": "3"}, ["wrong_type"]),
    "wrong type inside": ({"text": {"enable_tag_shuffling": "yes"}}, ["wrong_type"]),
    "wrong kind": ({"type": "TRAIN"}, ["wrong_value"]),
    "absolute": ({"path": "/data/hana"}, ["absolute_path", "no_such_folder"]),
    "not there": ({"path": "hanna"}, ["no_such_folder"]),
    "no path": ({"path": None}, ["wrong_type", "wrong_type"]),
}


@pytest.mark.parametrize("case", CONCEPT)
def test_onetrainer_concepts(good: Callable[[str], Path], case: str) -> None:
    root = good("onetrainer")
    more, expected = CONCEPT[case]
    edit_json(root / "concepts.json", lambda all_: [{**all_[0], **more}, *all_[1:]])
    assert codes(taken("onetrainer", root / "concepts.json")) == expected


def test_onetrainer_kinds_repeats_and_what_is_off(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    edit_json(
        root / "concepts.json",
        lambda all_: [
            {**all_[0], "balancing": 5, "balancing_strategy": "SAMPLES", "type": "PRIOR_PREDICTION"},
            {**all_[1], "type": "VALIDATION"},
            {**all_[1], "enabled": False},
        ],
    )
    loaded = taken("onetrainer", root / "concepts.json")
    assert [(one.name, one.kind, one.repeats) for one in loaded.sets] == [
        ("hana", "regularisation", 0.5),
        ("mika", "validation", 3.0),
    ]
    assert "1 concepts are switched off" in loaded.note


def test_onetrainer_masks_are_no_pictures(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    Image.new("L", (512, 512), 255).save(root / "hana" / "hana_0001-masklabel.png")
    Image.new("L", (512, 512), 255).save(root / "hana" / "hana_0001-condlabel.png")
    loaded = taken("onetrainer", root / "concepts.json")
    assert (codes(loaded), len(loaded.sets[0].pictures)) == ([], 10)
    assert loaded.sets[0].pictures[0].mask == root / "hana" / "hana_0001-masklabel.png"
    (root / "hana" / "hana_0001-masklabel.png").rename(root / "hana" / "hana_0101-masklabel.png")
    Image.new("L", (512, 512), 255).save(root / "hana" / "hana_0002-masklabel.jpg")
    assert codes(taken("onetrainer", root / "concepts.json")) == ["mask_not_png", "mask_without_picture"]


def test_onetrainer_goes_into_folders_only_when_told(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    shutil.move(root / "hana", root / "inner")
    (root / "hana" / ".cache").mkdir(parents=True)
    shutil.move(root / "inner", root / "hana" / "inner")
    shutil.copy(picture(root), root / "hana" / ".cache" / "x.png")
    assert set(codes(taken("onetrainer", root / "concepts.json"))) == {"no_pictures", "ignored_picture"}
    edit_json(root / "concepts.json", lambda all_: [{**all_[0], "include_subdirectories": True}, all_[1]])
    loaded = taken("onetrainer", root / "concepts.json")
    assert (codes(loaded), len(loaded.sets[0].pictures)) == ([], 10)


def test_onetrainer_prompts_from_elsewhere(good: Callable[[str], Path]) -> None:
    root = good("onetrainer")
    edit_json(root / "concepts.json", lambda all_: [{**all_[0], "text": {"prompt_source": "filename"}}, all_[1]])
    assert fed(taken("onetrainer", root / "concepts.json"))["hana_0004.png"] == ("hana_0004",)
    write(root / "prompts.txt", "hana, a\n\n hana, b \n")
    text = {"prompt_source": "concept", "prompt_path": "prompts.txt"}
    edit_json(root / "concepts.json", lambda all_: [{**all_[0], "text": text}, all_[1]])
    assert fed(taken("onetrainer", root / "concepts.json"))["hana_0004.png"] == ("hana, a", "hana, b")


# ---------------------------------------------------------------------------------------------------------- ai-toolkit


def _edit_job(root: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = root / "job.yaml"
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(tree)
    write(path, yaml.safe_dump(tree))
    return path


def _first(tree: dict[str, Any]) -> dict[str, Any]:
    dataset: dict[str, Any] = tree["config"]["process"][0]["datasets"][0]
    return dataset


JOB: dict[str, tuple[Callable[[dict[str, Any]], object], list[str]]] = {
    "all well": (lambda tree: None, []),
    "misspelled": (lambda tree: _first(tree).update(num_repeat=3), ["unknown_key"]),
    "wrong type": (lambda tree: _first(tree).update(num_repeats="3"), ["wrong_type"]),
    "absolute": (lambda tree: _first(tree).update(folder_path="/data/hana"), ["absolute_path", "no_such_folder"]),
    "not there": (lambda tree: _first(tree).update(folder_path="hanna"), ["no_such_folder"]),
    "no name": (lambda tree: tree["config"].pop("name"), ["missing_key"]),
    "no job": (lambda tree: tree.pop("job"), ["not_parsed"]),
    "no datasets": (lambda tree: tree["config"]["process"][0].pop("datasets"), ["no_datasets"]),
}


@pytest.mark.parametrize("case", JOB)
def test_ai_toolkit_jobs(good: Callable[[str], Path], case: str) -> None:
    change, expected = JOB[case]
    assert codes(taken("ai-toolkit", _edit_job(good("ai-toolkit"), change))) == expected


def test_ai_toolkit_a_job_that_is_no_yaml(good: Callable[[str], Path]) -> None:
    root = good("ai-toolkit")
    write(root / "job.yaml", "job: [")
    assert codes(taken("ai-toolkit", root / "job.yaml")) == ["not_parsed"]
    assert {finding.code for finding in lint(root).findings} == {"not_parsed"}


def test_ai_toolkit_walks_all_folders_but_hidden_ones_and_controls(good: Callable[[str], Path]) -> None:
    root = good("ai-toolkit")
    for place in ("inner", ".thumbs", "_controls", "inner/_controls"):
        draw(root / "hana" / place / "x.png", 50)
        write(root / "hana" / place / "x.txt", "hana, x\n")
    loaded = taken("ai-toolkit", root / "job.yaml")
    assert sorted(p.path.parent.name for p in loaded.sets[0].pictures if p.path.name == "x.png") == ["inner"]
    assert codes(loaded) == []


def test_ai_toolkit_captions_as_it_feeds_them(good: Callable[[str], Path]) -> None:
    root = good("ai-toolkit")
    write(caption(root, "hana_0001"), "[trigger], solo\n")
    write(caption(root, "hana_0002"), "solo")
    caption(root, "hana_0003").unlink()
    _edit_job(root, lambda tree: _first(tree).update(default_caption="someone"))
    loaded = taken("ai-toolkit", root / "job.yaml")
    got = {name: captions[0].strip().replace("  ", " ") for name, captions in fed(loaded).items()}
    assert (got["hana_0001.png"], got["hana_0002.png"], got["hana_0003.png"]) == (
        "hana, solo",
        "hana solo",
        "hana someone",
    )
    assert codes(loaded) == ["missing_caption", "missing_trigger"]


def test_ai_toolkit_masks_inside_the_folder_are_trained(good: Callable[[str], Path]) -> None:
    root = good("ai-toolkit")
    (root / "masks").mkdir()
    Image.new("L", (512, 512), 255).save(root / "masks" / "hana_0001.png")
    path = _edit_job(root, lambda tree: _first(tree).update(mask_path="masks"))
    loaded = taken("ai-toolkit", path)
    assert (codes(loaded), loaded.sets[0].pictures[0].mask) == ([], root / "masks" / "hana_0001.png")
    shutil.move(root / "masks", root / "hana" / "masks")
    _edit_job(root, lambda tree: _first(tree).update(mask_path="hana/masks"))
    assert "masks_trained" in codes(taken("ai-toolkit", path))


def test_ai_toolkit_reads_a_list_of_pictures(good: Callable[[str], Path]) -> None:
    root = good("ai-toolkit")
    write(root / "list.json", json.dumps({"hana/hana_0001.png": {"caption": "hana, x"}, "no.png": {"caption": "y"}}))
    path = _edit_job(root, lambda tree: _first(tree).update(dataset_path="list.json"))
    loaded = taken("ai-toolkit", path)
    assert codes(loaded) == ["missing_picture"]
    assert [p.path.name for p in loaded.sets[0].pictures] == ["hana_0001.png"]
