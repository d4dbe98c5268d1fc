"""What each trainer is given: layout, configurations by schema, and small goldens word by word."""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from animeset_lib.errors import InputError
from animeset_lib.export.forms import WRITERS
from animeset_lib.export.plan import ExportFiles, ExportOptions, ExportPlan, make_plan
from animeset_lib.published.reader import read_film
from tests.export.film_on_disk import Shown, make_film

HANA = [
    Shown("hana, 1girl, solo, red_hair, smile", shot=0),
    Shown("hana, 1girl, solo, red_hair, standing", outfit="kimono", shot=1, mask=True),
    Shown("hana, 1girl, solo, blue_hair", outfit="kimono", shot=2),
]
REN = [Shown("ren, 1boy", outfit="unknown", emotion="unknown")]


def planned(tmp_path: Path, shown: Any = None, scenery: int = 0, **options: Any) -> ExportPlan:
    film = make_film(tmp_path, shown or {"hana": HANA, "ren": REN}, scenery=scenery)
    return make_plan(read_film(film), ExportOptions(**options))


def twenty(**changes: Any) -> list[Shown]:
    return [Shown(f"hana, 1girl, solo, tag_{n}", shot=n, **changes) for n in range(20)]


def names(files: ExportFiles) -> list[str]:
    return sorted([*files.linked, *files.written])


def text(files: ExportFiles, name: str) -> str:
    return files.written[name].decode("utf-8")


# ------------------------------------------------------------------------------------------------------------ the plan


def test_sub_sets_repeats_and_fixed_tags(tmp_path: Path) -> None:
    hana, ren = planned(tmp_path, by="outfit").characters
    assert [(one.name, one.folder, len(one.pictures), one.repeats, one.keep_tokens) for one in hana.sets] == [
        ("dress", "dress", 1, 2, 3),
        ("kimono", "kimono", 2, 1, 3),
    ]
    assert [(one.name, one.folder, one.repeats, one.keep_tokens) for one in ren.sets] == [("", "", 4, 2)]
    assert (hana.views, ren.views) == (4, 4)


@pytest.mark.parametrize(
    ("captions", "fixed"),
    [
        (["hana, smile"], 1),
        (["hana, 1girl, solo, red_hair"], 3),
        (["hana, 1girl, solo", "hana, 1girl, smile"], 2),
        (["hana, dress, 1girl, smile"], 3),
        (["hana, red_hair, 1girl"], 1),
        (["hana", "1girl, hana"], 1),
    ],
)
def test_what_stays_in_front(tmp_path: Path, captions: list[str], fixed: int) -> None:
    hana = {"hana": [Shown(caption) for caption in captions]}
    (one,) = planned(tmp_path, hana, by="outfit").characters[0].sets
    assert one.keep_tokens == fixed
    (told,) = planned(tmp_path, hana, by="outfit", keep_tokens=0).characters[0].sets
    assert told.keep_tokens == 0


def test_a_trigger_behind_other_words_stays_in_front_with_them(tmp_path: Path) -> None:
    folder = make_film(tmp_path, {"hana": [Shown("1girl, solo, hana, smile"), Shown("1girl, solo, hana, red_hair")]})
    (folder / "hana" / "traits.json").write_text('{"trigger": "hana"}')
    (hana,) = make_plan(read_film(folder), ExportOptions()).characters
    assert (hana.trigger, hana.keep_tokens) == ("hana", 3)


def test_names_that_read_the_same_get_folders_of_their_own(tmp_path: Path) -> None:
    outfits = ["red dress", "red_dress", "unknown", "Unknown"]
    hana = {"hana": [Shown(outfit=outfit) for outfit in outfits]}
    sets = planned(tmp_path, hana, by="outfit").characters[0].sets
    assert [(one.name, one.folder) for one in sets] == [
        ("", "unknown"),
        ("Unknown", "unknown_2"),
        ("red dress", "red_dress"),
        ("red_dress", "red_dress_2"),
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"characters": ("hanna",)}, "no character is called hanna; expected some of hana, ren"),
        ({"by": "shoes"}, "expected one of character, outfit, emotion"),
        ({"repeats": 2, "per_epoch": 100}, "exclude each other"),
        ({"repeats": 99}, "1 to 40"),
        ({"resolution": 500}, "multiple of 64"),
        ({"resolution": 128}, "from 256 to 4096"),
        ({"keep_tokens": -1}, "0 or more"),
        ({"validation": 0.9}, r"0 to 0\.5"),
    ],
)
def test_options_that_are_refused(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        planned(tmp_path, **options)


@pytest.mark.parametrize(
    ("characters", "own"),
    [
        (("a b", "a_b"), ["a_b", "a_b_2"]),
        (("Rem", "rem"), ["Rem", "rem_2"]),
        (("😀", "💖"), ["character", "character_2"]),
        (("all_characters", "regularisation"), ["all_characters_2", "regularisation_2"]),
        (("README.md", "con"), ["README.md_2", "character_con"]),
        (("hana", "hana_2"), ["hana", "hana_2"]),
    ],
)
@pytest.mark.parametrize("name", WRITERS)
def test_no_character_takes_the_place_of_another_or_of_a_file(
    tmp_path: Path, characters: tuple[str, ...], own: list[str], name: str
) -> None:
    plan = planned(tmp_path, {one: [Shown(f"{one}, 1girl")] for one in characters}, scenery=1)
    assert sorted(character.name for character in plan.characters) == sorted(own)
    files = WRITERS[name].export_files(plan)
    train = [place for place, source in files.linked.items() if source.parts[-4] in characters]
    assert len(train) == len(characters)
    assert len({place.casefold() for place in names(files)}) == len(names(files))
    parents = {parent.as_posix().casefold() for place in names(files) for parent in PurePosixPath(place).parents}
    assert not parents & {place.casefold() for place in names(files)}


def test_the_resolution_is_what_the_pictures_were_made_for(tmp_path: Path) -> None:
    assert planned(tmp_path).resolution == 512
    assert planned(tmp_path, resolution=1024).resolution == 1024


def test_notes_of_the_plan(tmp_path: Path) -> None:
    same = {"hana": [Shown("girl, x")], "ren": [Shown("girl, y")]}
    (note,) = planned(tmp_path, same).notes
    assert "hana and ren share the trigger girl" in note
    assert "nothing is kept back for validation" in planned(tmp_path / "2", {"hana": HANA}, validation=0.2).notes[0]


# ------------------------------------------------------------------------------------------- promises of every format


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("by", ["character", "outfit"])
def test_every_picture_once_with_its_own_caption(tmp_path: Path, name: str, by: Literal["character", "outfit"]) -> None:
    plan = planned(tmp_path, {"hana": twenty(), "ren": REN}, scenery=2, by=by, validation=0.2)
    files = WRITERS[name].export_files(plan)
    shown = {PurePosixPath(path).stem: path for path in files.linked if "scenery" not in path}
    assert len(shown) == len([path for path in files.linked if "scenery" not in path]) == 21
    assert sum("validation" in path for path in shown.values()) == 4
    if name != "huggingface":
        for stem, path in shown.items():
            caption = text(files, str(PurePosixPath(path).with_suffix(".txt")))
            (picture,) = [
                one
                for character in plan.characters
                for one in (*character.validation, *(p for s in character.sets for p in s.pictures))
                if one.stem == stem
            ]
            assert caption == f"{picture.caption}\n"


@pytest.mark.parametrize("name", WRITERS)
def test_text_is_plain(tmp_path: Path, name: str) -> None:
    characters = {"hana": [*HANA, Shown("hana, ü, 桜")], "ren": REN}
    files = WRITERS[name].export_files(planned(tmp_path, characters, scenery=1, by="outfit"))
    for path, content in files.written.items():
        assert not PurePosixPath(path).is_absolute()
        if not path.endswith(".png"):
            written = content.decode("utf-8")
            assert written.endswith("\n"), path
            assert "\r" not in written
            assert str(tmp_path) not in written


@pytest.mark.parametrize("name", WRITERS)
def test_equal_films_give_equal_files(tmp_path: Path, name: str) -> None:
    one, two = (WRITERS[name].export_files(planned(tmp_path / place, scenery=2, by="outfit")) for place in ("a", "b"))
    assert one.written == two.written
    assert list(one.linked) == list(two.linked)


@pytest.mark.parametrize("name", WRITERS)
def test_a_prefix_is_before_every_path(tmp_path: Path, name: str) -> None:
    plan = planned(tmp_path, {"hana": [*twenty(), *HANA]}, scenery=1, validation=0.1, prefix="C:\\sets/")
    files = WRITERS[name].export_files(plan)
    found = []
    for path in files.written:
        if path.endswith(".toml"):
            found += [
                value for key, value in pairs(tomllib.loads(text(files, path))) if key.endswith(("_dir", "_file"))
            ]
        elif path.endswith(".yaml"):
            found += [
                value
                for key, value in pairs(yaml.safe_load(text(files, path)))
                if key.endswith(("_path", "_folder")) and key != "name_or_path"
            ]
        elif path == "concepts.json":
            found += [concept["path"] for concept in json.loads(text(files, path))]
        elif path == "validation.json":
            found += [json.loads(text(files, path))["manual_data_root"]]
    assert found or name == "huggingface"
    for value in found:
        assert value.startswith("C:/sets/")
        inside = value.removeprefix("C:/sets/")
        assert any(other == inside or other.startswith(f"{inside}/") for other in names(files)) or inside == "output"


def pairs(value: Any) -> list[tuple[str, Any]]:
    """Every key of nested mappings and lists with its plain value."""
    if isinstance(value, Mapping):
        return [
            pair
            for key, one in value.items()
            for pair in (pairs(one) if isinstance(one, Mapping | list) else [(key, one)])
        ]
    return [pair for one in value if isinstance(one, Mapping | list) for pair in pairs(one)]


# --------------------------------------------------------------------------------------------------------------- kohya


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class KohyaSubset(_Strict):
    num_repeats: Annotated[int, Field(ge=1)] = 1
    keep_tokens: int = 0
    shuffle_caption: bool = False


class DreamBoothSubset(KohyaSubset):
    image_dir: str
    class_tokens: str
    is_reg: bool = False


class FineTuningSubset(KohyaSubset):
    metadata_file: str
    image_dir: str


class MaskedSubset(KohyaSubset):
    image_dir: str
    conditioning_data_dir: str


class KohyaDataset(_Strict):
    resolution: int
    batch_size: int
    min_bucket_reso: int
    max_bucket_reso: int
    validation_split: float = 0.0
    validation_seed: int = 0
    subsets: list[DreamBoothSubset] | list[FineTuningSubset] | list[MaskedSubset]


class KohyaGeneral(_Strict):
    caption_extension: Literal[".txt"] | None = None
    shuffle_caption: bool
    enable_bucket: bool
    bucket_reso_steps: int
    bucket_no_upscale: bool


class KohyaConfig(_Strict):
    general: KohyaGeneral
    datasets: list[KohyaDataset]


def kohya(plan: ExportPlan) -> ExportFiles:
    return WRITERS["kohya"].export_files(plan)


def test_kohya_golden(tmp_path: Path) -> None:
    files = kohya(planned(tmp_path, {"hana": HANA}, scenery=1))
    assert names(files) == [
        "README.md",
        "hana/dataset_config.toml",
        "hana/finetune_config.toml",
        *(f"hana/img/1_hana/hana_000{n}.{kind}" for n in (1, 2, 3) for kind in ("png", "txt")),
        "hana/masked_loss_config.toml",
        *(f"hana/masks/1_hana/hana_000{n}.png" for n in (1, 2, 3)),
        "hana/meta.json",
        "hana/reg/1_scenery/scenery_0001.png",
        "hana/reg/1_scenery/scenery_0001.txt",
        "hana/sample_prompts.txt",
    ]
    assert (
        text(files, "hana/dataset_config.toml")
        == """\
# Written by animeset. Paths are relative: start the trainer inside the folder of hana.

[general]
caption_extension = ".txt"
shuffle_caption = true
enable_bucket = true
bucket_reso_steps = 64
bucket_no_upscale = true

[[datasets]]
resolution = 512
batch_size = 1
min_bucket_reso = 256
max_bucket_reso = 1024

[[datasets.subsets]]
image_dir = "img/1_hana"
class_tokens = "hana"
num_repeats = 1
keep_tokens = 3

[[datasets.subsets]]
image_dir = "reg/1_scenery"
is_reg = true
num_repeats = 1
keep_tokens = 0
class_tokens = "scenery"
"""
    )
    assert text(files, "hana/meta.json").startswith(
        '{\n "hana_0001.png": {\n  "tags": "hana, 1girl, solo, red_hair, smile",\n  "image_size": [\n   64,\n   64\n  ]\n },\n'
    )


@pytest.mark.parametrize("by", ["character", "outfit"])
def test_kohya_by_schema_and_against_the_folders(tmp_path: Path, by: Literal["character", "outfit"]) -> None:
    characters = {"hana": [*twenty(), *HANA], "ren": REN}
    files = kohya(planned(tmp_path, characters, scenery=1, by=by, validation=0.1))
    folders = {str(PurePosixPath(name).parent) for name in files.linked}
    checked = 0
    for name in [name for name in files.written if name.endswith(".toml")]:
        base = "" if "/" not in name else f"{PurePosixPath(name).parent}/"
        config = KohyaConfig.model_validate(tomllib.loads(text(files, name)))
        assert (config.general.caption_extension is None) == name.endswith("finetune_config.toml")
        for dataset in config.datasets:
            assert dataset.max_bucket_reso >= dataset.resolution >= dataset.min_bucket_reso
            for subset in dataset.subsets:
                assert base + subset.image_dir in folders
                number, _, words = PurePosixPath(subset.image_dir).name.partition("_")
                if dataset.validation_split:
                    assert (dataset.validation_split, subset.image_dir[-10:]) == (1.0, "validation")
                else:
                    assert int(number) == subset.num_repeats, "folder style and configuration agree"
                    assert words
                checked += 1
                if isinstance(subset, FineTuningSubset):
                    entries = json.loads(text(files, base + subset.metadata_file))
                    assert {f"{base}{subset.image_dir}/{key}" for key in entries} <= set(files.linked)
                    for key, entry in entries.items():
                        stem = PurePosixPath(key).stem
                        assert f"{entry['tags']}\n" == text(files, f"{base}{subset.image_dir}/{stem}.txt")
    assert checked > 8


def test_kohya_masks_are_whole(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"hana": HANA}, by="outfit", scenery=1)
    files = kohya(plan)
    config = KohyaConfig.model_validate(tomllib.loads(text(files, "hana/masked_loss_config.toml")))
    masked, plain = config.datasets
    assert [type(one) for one in masked.subsets] == [MaskedSubset]
    assert [type(one) for one in plain.subsets] == [DreamBoothSubset]
    assert masked.subsets[0].conditioning_data_dir == "masks/1_hana kimono"  # type: ignore[union-attr]
    folder = "hana/masks/1_hana kimono"
    assert files.linked[f"{folder}/hana_0002.png"].name == "hana_0002.png"
    with Image.open(io.BytesIO(files.written[f"{folder}/hana_0003.png"])) as white:
        assert (white.mode, white.size, np.asarray(white).min()) == ("L", (64, 64), 255)
    assert "hana/masked_loss_config.toml" not in kohya(planned(tmp_path / "2", {"hana": HANA[:1]})).written


def test_kohya_sub_sets(tmp_path: Path) -> None:
    files = kohya(planned(tmp_path, by="outfit"))
    assert sorted({str(PurePosixPath(name).parent) for name in files.linked if "masks" not in name}) == [
        "hana/img/1_hana kimono",
        "hana/img/2_hana dress",
        "ren/img/4_ren",
    ]
    assert {"hana/meta_dress.json", "hana/meta_kimono.json", "ren/meta.json"} <= set(files.written)
    everyone = KohyaConfig.model_validate(tomllib.loads(text(files, "all_characters.toml")))
    assert [(one.image_dir, one.num_repeats) for one in everyone.datasets[0].subsets] == [
        ("hana/img/2_hana dress", 2),
        ("hana/img/1_hana kimono", 1),
        ("ren/img/4_ren", 4),
    ]


def test_kohya_prompts_read_back(tmp_path: Path) -> None:
    hana = [Shown("ha --na, smile"), Shown("ha --na, dress")]
    lines = text(kohya(planned(tmp_path, {"hana": hana})), "hana/sample_prompts.txt").splitlines()
    prompts = [line for line in lines if not line.startswith("#")]
    assert prompts[0].split(" --")[0] == "ha na"
    for line in prompts:
        options = dict(part.split(" ", 1) for part in line.split(" --")[1:])
        assert (options["w"], options["h"], options["d"], options["l"], options["s"]) == ("512", "512", "1", "7", "28")
        assert options["n"].startswith("lowres, ")


def test_kohya_names_that_folders_cannot_bear(tmp_path: Path) -> None:
    files = kohya(planned(tmp_path, {"hana": [Shown('a/b: "c", x', outfit="..\\d")]}, by="outfit"))
    config = KohyaConfig.model_validate(tomllib.loads(text(files, "hana/dataset_config.toml")))
    (subset,) = config.datasets[0].subsets
    assert isinstance(subset, DreamBoothSubset)
    assert (subset.image_dir, subset.class_tokens) == ("img/1_a_b_c d", 'a/b: "c" ..\\d')


# ---------------------------------------------------------------------------------------------------------- OneTrainer


class ConceptImage(_Strict):
    version: int = Field(alias="__version")
    enable_crop_jitter: bool


class ConceptText(_Strict):
    version: int = Field(alias="__version")
    prompt_source: Literal["sample"]
    prompt_path: str
    enable_tag_shuffling: bool
    tag_delimiter: Literal[","]
    keep_tags_count: int


class Concept(_Strict):
    version: Literal[2] = Field(alias="__version")
    image: ConceptImage
    text: ConceptText
    name: str
    path: str
    seed: int
    enabled: bool
    type: Literal["STANDARD", "VALIDATION", "PRIOR_PREDICTION"]
    include_subdirectories: bool
    image_variations: int
    text_variations: int
    balancing: float
    balancing_strategy: Literal["REPEATS", "SAMPLES"]
    loss_weight: float
    concept_stats: dict[str, Any]


class Sample(_Strict):
    version: int = Field(alias="__version")
    enabled: bool
    prompt: str
    negative_prompt: str
    height: int
    width: int
    seed: int
    random_seed: bool
    diffusion_steps: int
    cfg_scale: float
    noise_scheduler: Literal["DDIM", "EULER", "EULER_A"]


def test_onetrainer(tmp_path: Path) -> None:
    characters = {"hana": [*twenty(), *HANA], "ren": REN, "桜": [Shown("桜, 1girl")]}
    files = WRITERS["onetrainer"].export_files(planned(tmp_path, characters, scenery=1, by="outfit", validation=0.1))
    concepts = [Concept.model_validate(one) for one in json.loads(text(files, "concepts.json"))]
    assert [
        (one.name, one.path, one.type, one.text.enable_tag_shuffling, one.text.keep_tags_count) for one in concepts
    ] == [
        ("hana dress", "hana/train/dress", "STANDARD", True, 3),
        ("hana kimono", "hana/train/kimono", "STANDARD", True, 3),
        ("ren", "ren/train", "STANDARD", True, 2),
        ("桜 dress", "桜/train/dress", "STANDARD", True, 2),
        ("hana validation", "hana/validation", "VALIDATION", False, 3),
        ("regularisation", "regularisation", "PRIOR_PREDICTION", False, 0),
    ]
    folders = {str(PurePosixPath(name).parent) for name in files.linked}
    assert {one.path for one in concepts} == folders
    assert len({one.seed for one in concepts}) == len(concepts)
    assert "hana/train/kimono/hana_0022-masklabel.png" in files.linked
    for name in ("concepts", "samples"):
        files.written[f"{name}.json"].decode("ascii")  # the trainer reads in the system's encoding
        assert f"{name}_ren.json" in files.written
    assert all(Sample.model_validate(one).width == 512 for one in json.loads(text(files, "samples.json")))
    views = {
        one.name: one.balancing * len([n for n in files.linked if n.startswith(f"{one.path}/")]) for one in concepts[:4]
    }
    assert views["ren"] == pytest.approx(views["桜 dress"])


# ---------------------------------------------------------------------------------------------------------- ai-toolkit


class ToolkitDataset(_Strict):
    folder_path: str
    caption_ext: Literal[".txt"]
    trigger_word: str | None = None
    num_repeats: Annotated[int, Field(ge=1)]
    resolution: list[int]
    keep_tokens: int = 0
    shuffle_tokens: Literal[False] = False
    caption_dropout_rate: float = 0.0
    cache_latents_to_disk: bool
    mask_path: str | None = None
    is_reg: bool = False


def test_ai_toolkit(tmp_path: Path) -> None:
    files = WRITERS["ai-toolkit"].export_files(planned(tmp_path, scenery=1, by="outfit"))
    job = yaml.safe_load(text(files, "all_characters.yaml"))
    assert (job["job"], job["config"]["name"]) == ("extension", "all_characters")
    (process,) = job["config"]["process"]
    datasets = [ToolkitDataset.model_validate(one) for one in process["datasets"]]
    assert [(one.folder_path, one.num_repeats, one.trigger_word, one.is_reg, one.mask_path) for one in datasets] == [
        ("hana/train/dress", 2, "hana", False, None),
        ("hana/train/kimono", 1, "hana", False, "hana/masks/kimono"),
        ("ren/train", 4, "ren", False, None),
        ("regularisation", 1, None, True, None),
    ]
    assert {one.folder_path for one in datasets} == {
        str(PurePosixPath(name).parent) for name in files.linked if "/masks/" not in name
    }
    assert "hana/masks/kimono/hana_0002.png" in files.linked
    assert process["train"]["lr"] == 0.0001
    assert process["model"] == {"name_or_path": "FILL IN: your base model", "is_xl": False}
    assert process["sample"]["prompts"][0] == "hana"
    own = yaml.safe_load(text(files, "ren.yaml"))["config"]["process"][0]
    assert [one["folder_path"] for one in own["datasets"]] == ["ren/train", "regularisation"]


def test_large_pictures_are_for_xl(tmp_path: Path) -> None:
    files = WRITERS["ai-toolkit"].export_files(planned(tmp_path, {"ren": REN}, resolution=1024))
    assert yaml.safe_load(text(files, "ren.yaml"))["config"]["process"][0]["model"]["is_xl"] is True
    assert "all_characters.yaml" not in files.written


# -------------------------------------------------------------------------------------------------------- Hugging Face


def test_huggingface(tmp_path: Path) -> None:
    characters = {"hana": twenty()}
    film = make_film(tmp_path, characters)
    for folder, kind in (("images", "png"), ("captions", "txt")):
        source = film / "hana" / "dataset" / folder / f"hana_0001.{kind}"
        source.with_name(f"mine.{kind}").write_bytes(source.read_bytes())
    files = WRITERS["huggingface"].export_files(make_plan(read_film(film), ExportOptions(validation=0.1)))
    train = [json.loads(line) for line in text(files, "hana/train/metadata.jsonl").splitlines()]
    validation = [json.loads(line) for line in text(files, "hana/validation/metadata.jsonl").splitlines()]
    assert {f"hana/train/{row['file_name']}" for row in train} == {n for n in files.linked if "/train/" in n}
    assert len(train) + len(validation) == 21
    types = {tuple((key, type(value)) for key, value in row.items()) for row in [*train, *validation]}
    assert len(types) == 1, "the library refuses splits whose columns differ"
    (third,) = [row for row in train if row["file_name"] == "hana_0003.png"]
    assert {key: value for key, value in third.items() if key != "sha256"} == {
        "file_name": "hana_0003.png",
        "text": "hana, 1girl, solo, tag_2",
        "tags": ["hana", "1girl", "solo", "tag_2"],
        "character": "hana",
        "outfit": "dress",
        "emotion": "smile",
        "framing": "face",
        "background": "indoors",
        "view": "front",
        "video": "film.mp4",
        "time_s": 3.0,
        "shot": 2,
        "frame": "0123456789ab-000003000",
        "bbox": [1.0, 2.0, 30.0, 40.0],
        "score": 0.5,
        "width": 64,
        "height": 64,
    }
    (mine,) = [row for row in [*train, *validation] if row["file_name"] == "mine.png"]
    assert (mine["outfit"], mine["time_s"], mine["shot"], mine["bbox"]) == ("unknown", -1.0, -1, [0.0, 0.0, 64.0, 64.0])
    assert not [name for name in files.linked if "scenery" in name]


@pytest.mark.parametrize(
    ("box", "quality"),
    [("abcd", "good"), (5, [1]), ([1], True), ([[1], 2, 3, 4], 10**400), ([float("nan")] * 4, float("inf"))],
)
def test_huggingface_columns_hold_numbers_whatever_a_row_says(tmp_path: Path, box: object, quality: object) -> None:
    film = make_film(tmp_path, {"hana": [Shown()]})
    rows = film / "hana" / "metadata.jsonl"
    rows.write_text(json.dumps({**json.loads(rows.read_text()), "box": box, "quality": quality}))
    row = json.loads(
        text(
            WRITERS["huggingface"].export_files(make_plan(read_film(film), ExportOptions())),
            "hana/train/metadata.jsonl",
        )
    )
    assert (row["bbox"], row["score"]) == ([0.0, 0.0, 64.0, 64.0], -1.0)


def test_kohya_sub_sets_that_read_the_same_or_are_long_have_folders_of_their_own(tmp_path: Path) -> None:
    outfits = ["School Uniform", "school uniform", "school_uniform", "😀", "💖", "x" * 300, "x" * 301]
    shown = [Shown(f"hana, 1girl, tag_{n}", outfit=outfit) for n, outfit in enumerate(outfits)]
    files = WRITERS["kohya"].export_files(planned(tmp_path, {"hana": shown}, by="outfit"))
    folders = {PurePosixPath(place).parts[2].casefold() for place in files.linked}
    assert len(folders) == len(outfits)
    assert max(len(part.encode()) for place in names(files) for part in PurePosixPath(place).parts) < 200
    config = tomllib.loads(text(files, "hana/dataset_config.toml"))
    dirs = [one["image_dir"] for dataset in config["datasets"] for one in dataset["subsets"]]
    assert sorted({PurePosixPath(one).name.casefold() for one in dirs}) == sorted(folders)
