"""The model ladder as a person meets it: `animeset models`, rungs chosen by `--set`, their names wherever a result is explained."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.models.tiny import constant, mean_colour_tagger, save

Call = Callable[..., tuple[int, str, str]]

TAGS = [
    ("long_hair", 0),
    ("school_uniform", 0),
    ("smile", 0),
    ("outdoors", 0),
    ("letterboxed", 0),
    ("rating:safe", 0),
    ("hatsune_miku", 4),
]


@pytest.fixture(scope="session")
def film(drawn_film: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of the demo film."""
    return Path(shutil.copy(drawn_film("mp4", seconds=12), tmp_path_factory.mktemp("films") / "ladder.mp4"))


@pytest.fixture(autouse=True)
def _models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMESET_MODELS", str(tmp_path / "my models"))


def place_deepdanbooru(models: Path) -> None:
    """A tiny tagger of DeepDanbooru's signature, put where a person would put the real one; no hash of the real one is known beforehand."""
    folder = models / "deepdanbooru"
    folder.mkdir(parents=True)
    bias = np.array([0.9, 0.8, 0.7, 0.6, 0.95, 0.9, 0.1], np.float32)
    mean_colour_tagger(folder / "deepdanbooru.onnx", 512, np.zeros((3, len(TAGS)), np.float32), bias)
    rows = [f"{name},{name},{category}" for name, category in TAGS]
    (folder / "deepdanbooru_tags.csv").write_text(
        "name,real_name,category\n" + "\n".join(rows) + "\n", encoding="utf-8"
    )


def place_yolo(path: Path) -> Path:
    """A network that sees two heads and a person at fixed places, whatever the picture holds (which lies between y 140 and 500)."""
    answer = np.zeros((1, 6, 8400), np.float32)
    answer[0, :, 0] = (320, 250, 600, 480, 0.9, 0)
    answer[0, :, 1] = (320, 330, 620, 620, 0, 0.8)
    answer[0, :, 2] = (30, 180, 40, 60, 0.8, 0)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        constant("zero", 0.0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        constant("shape", [-1, 1, 1], np.int64),
        helper.make_node("Reshape", ["nothing", "shape"], ["column"]),
        constant("boxes", answer),
        helper.make_node("Add", ["boxes", "column"], ["output0"]),
    ]
    facts = {"names": "{0: 'head', 1: 'person'}", "imgsz": "[640, 640]"}
    return save(path, nodes, ("images", ["N", 3, 640, 640]), ("output0", ["N", 6, 8400]), facts)


def test_the_list_is_the_table(animeset: Call) -> None:
    code, out, _ = animeset("models", "list")
    rows = {row["name"]: row for row in json.loads(animeset("models", "list", "--json")[1])}
    assert code == 0
    for name, row in rows.items():
        assert f"  {name} " in out
        assert f"licence: {row['licence']}" in out
    assert (rows["wd-swinv2-tagger-v3"]["trust"], rows["wd-swinv2-tagger-v3"]["present"]) == ("pinned", False)
    assert rows["deepdanbooru"]["trust"] == "first use"
    assert rows["animeset-face"]["trust"] == "in a package"
    assert rows["attributes"]["auto"]
    for form in ("yolo:FILE", "spandrel:FILE", "command:PROGRAM", "open_clip:MODEL"):
        assert form in out
    long = animeset("models", "list", "--long")[1]
    assert "e6774bff34d43bd49f75a47db4ef217dce701c9847b546523eb85ff6dbba1db1" in long
    assert "thresholds general 0.35, character 0.85" in long
    assert "[N, 448, 448, 3] BGR 0..255" in long


def test_without_network_one_sentence_and_no_trace(animeset: Call, tmp_path: Path) -> None:
    for words in (("models", "fetch"), ("models", "fetch", "ccip")):
        code, _, err = animeset(*words)
        assert code == 1
        assert err.count("error:") == 1
        assert "the network is off (ANIMESET_OFFLINE is set)" in err
        assert "animeset models import-bundle" in err
        assert "Traceback" not in err
    assert [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".lock")] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("models", "fetch", "wd-swinv2"), "unknown model `wd-swinv2`: did you mean wd-"),
        (("models", "verify", "nonsense"), "unknown model `nonsense`"),
        (("models", "export-bundle", "out.zip"), "there is nothing to export"),
        (("models", "import-bundle", "none.zip"), "none.zip: expected a bundle"),
        (("doctor", "--device", "gpu"), "expected auto, cpu, cuda or cuda:<number>"),
    ],
)
def test_mistakes_get_one_clear_line(animeset: Call, words: tuple[str, ...], message: str) -> None:
    code, _, err = animeset(*words)
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_models_travel_in_a_bundle(animeset: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place_deepdanbooru(tmp_path / "my models")
    assert "deepdanbooru: all well" in animeset("models", "verify")[1]
    code, out, err = animeset("models", "export-bundle", "carry me.zip")
    assert (code, err) == (0, "deepdanbooru.onnx: 0.0 MB\ndeepdanbooru_tags.csv: 0.0 MB\n")
    assert "carry me.zip: deepdanbooru" in out
    assert zipfile.ZipFile(tmp_path / "carry me.zip").testzip() is None
    monkeypatch.setenv("ANIMESET_MODELS", str(tmp_path / "other machine"))
    assert animeset("models", "import-bundle", "carry me.zip")[0] == 0
    rows = {row["name"]: row for row in json.loads(animeset("models", "list", "--json")[1])}
    assert rows["deepdanbooru"]["auto"], "above the attributes tagger as soon as it is here"
    network = tmp_path / "other machine" / "deepdanbooru" / "deepdanbooru.onnx"
    network.write_bytes(network.read_bytes() + b"changed")
    code, out, err = animeset("models", "verify")
    assert code == 1
    assert "deepdanbooru.onnx" in out
    assert "1 files are not what they should be" in err


def test_a_run_uses_the_rungs_it_is_told_and_says_so_everywhere(animeset: Call, film: Path, tmp_path: Path) -> None:
    place_deepdanbooru(tmp_path / "my models")
    place_yolo(tmp_path / "my yolo+1.onnx")
    script = tmp_path / "double it.py"
    script.write_text(
        "import sys, cv2\n"
        "picture = cv2.imread(sys.argv[1])\n"
        "cv2.imwrite(sys.argv[2], cv2.resize(picture, (int(sys.argv[3]), int(sys.argv[4]))))\n",
        encoding="utf-8",
    )
    command = f"'{sys.executable}' '{script}' {{input}} {{output}} {{width}} {{height}}"
    code, _, err = animeset(
        *("run", film, "--keep-work", "--preset", "draft", "--set", "cluster.min_regions=2"),
        *("--set", "detect.detector=yolo:my yolo+1.onnx+animeset-face"),
        *("--set", "tag.tagger=deepdanbooru+attributes"),
        *("--set", f"upscale.upscaler=command:{command}"),
        *("--set", "embed.embedder=colour-layout", "--fetch", "--device", "cpu"),
    )
    assert code == 0, err
    used = {
        "3a_detect": "yolo:my yolo+1.onnx+animeset-face",
        "3b_embed": "colour-layout",
        "4b_upscale": f"command:{command}",
        "6a_tag": "deepdanbooru+attributes",
    }
    log = (tmp_path / "logs" / "process.log").read_text(encoding="utf-8")
    cards = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "output" / "ladder").rglob("README.md"))
    for stage, name in used.items():
        (folder,) = (tmp_path / "work").glob(f"*/{stage}-*")
        info = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
        named = [note["name"] for note in info["notes"].values() if isinstance(note, dict) and "rung" in note]
        assert named == [name]
        assert info["device"].startswith("processor")
        assert f": {name} (" in log
        assert name.split(" {input}")[0] in cards
    captions = [path.read_text(encoding="utf-8") for path in (tmp_path / "output").rglob("*.txt")]
    assert captions
    assert all("school_uniform" in text and "letterboxed" not in text for text in captions)
    (folder,) = (tmp_path / "work").glob("*/3a_detect-*")
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any(row["dropped"] == "no_face" for row in rows), "heads without a face are recorded"
    assert any(row["dropped"] is None and row["head"] and not row["person_estimated"] for row in rows), (
        "joined to a face"
    )
    (folder,) = (tmp_path / "work").glob("*/4b_upscale-*")
    assert list(folder.glob("*.png"))


def test_a_rung_that_fails_says_what_to_do(animeset: Call, film: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    place_deepdanbooru(tmp_path / "my models")
    csv = tmp_path / "my models" / "deepdanbooru" / "deepdanbooru_tags.csv"
    csv.write_text("\n".join(csv.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    cases = {
        "detect.detector=ccip": "unknown detector `ccip`",
        "detect.detector=deepghs": "the detector deepghs is not present",
        "detect.detector=yolo:nowhere.onnx": "nowhere.onnx",
        "detect.detector=yolo:broken.onnx": "broken.onnx: expected an ONNX network",
        "tag.tagger=deepdanbooru": "expected one row for each of the network's 7 outputs, got 6 rows",
        "upscale.upscaler=command:no-such-program {input} {output} {factor}": "no-such-program",
        "upscale.upscaler=command:true": "{input}",
    }
    for setting, message in cases.items():
        code, _, err = animeset("run", film, "--preset", "draft", "--set", "cluster.min_regions=2", "--set", setting)
        assert code in (1, 2), setting
        assert message in err, setting
        assert "inside animeset" not in err, err
        assert "Traceback" not in err


def test_fetch_without_network_goes_on_with_the_next_rung(animeset: Call, film: Path) -> None:
    code, out, err = animeset("run", film, "--preset", "draft", "--fetch", "--set", "cluster.min_regions=2")
    assert code == 0
    assert err.count("note:") == 1
    assert "The run goes on with the models that are here." in err
    assert "detector  animeset-face: Lowest rung" in out
    assert "Better, but not here: deepghs (animeset models fetch)." in out
    code, _, err = animeset("run", film, "--fetch", "--set", "tag.tagger=wd-vit-tagger-v3")
    assert code == 1, "a model asked for by name is not replaced by another"
    assert "wd-vit-tagger-v3" in err


def test_the_tiny_networks_are_valid(tmp_path: Path) -> None:
    onnx.checker.check_model(onnx.load(place_yolo(tmp_path / "y.onnx")))


def test_an_altered_download_is_shown_wherever_models_are(animeset: Call, tmp_path: Path) -> None:
    folder = tmp_path / "my models" / "deepghs-face"
    folder.mkdir(parents=True)
    (folder / "face_detect_v1.4_s.onnx").write_bytes(b"something else")
    out = animeset("models", "list")[1]
    assert "deepghs-face                ALTERED" in out
    assert "expected SHA-256 403b5bc93b6ff789b7d183418df4a1364049bac00c24acd927604a7ff6891483" in out
    assert "is not the file it should be" in animeset("doctor")[1]


def test_a_bundle_with_other_content_under_a_pinned_name_is_refused(animeset: Call, tmp_path: Path) -> None:
    content = b"something else"
    facts = {
        "sha256": sha256(content).hexdigest(),
        "bytes": len(content),
        "source": "x",
        "revision": None,
        "trust": "pinned",
    }
    listed = {"format": 1, "models": {"deepghs-face": {"face_detect_v1.4_s.onnx": facts}}}
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as bundle:
        bundle.writestr("bundle.json", json.dumps(listed))
        bundle.writestr("deepghs-face/face_detect_v1.4_s.onnx", content)
    code, _, err = animeset("models", "import-bundle", "evil.zip")
    assert code == 1
    assert "deepghs-face/face_detect_v1.4_s.onnx is not the file it should be" in err
    assert not (tmp_path / "my models" / "deepghs-face").exists()


def test_a_model_of_a_package_that_is_missing_names_the_package(
    animeset: Call, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "open_clip" else find(name, *rest)
    )
    code, _, err = animeset("run", film, "--plan", "--set", "embed.embedder=open_clip:ViT-L-14/datacomp_xl_s13b_b90k")
    assert code == 1
    assert "open_clip not installed" in err
    assert "-m pip install -c constraints.txt -e '.[torch]'" in err
    assert "inside animeset" not in err
