"""The table of models, how one is chosen from it, and what is said of those that are not here."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models import provider
from animeset_lib.models.api import Detection, ModelInfo, Picture
from animeset_lib.models.combined import CombinedDetector, CombinedTagger
from animeset_lib.models.engines.device import Device
from animeset_lib.models.families import FAMILIES
from animeset_lib.models.provider import Zoo
from animeset_lib.models.spec import Adapter, Family, HubFile, ModelSpec, Parts, ReleaseFile
from animeset_lib.models.weights import Weights
from animeset_lib.models.zoo import EXTRAS, MODELS
from animeset_lib.records import Box
from tests.fakes import FakeDetector, FakeTagger, FakeUpscaler


class Loaded(FakeUpscaler):
    """Counts how often it is made."""

    times = 0

    def __init__(self, parts: Parts) -> None:
        type(self).times += 1
        self.info = parts.info


def spec(name: str, *, weights: tuple[Path, ...] = (), missing: str = "", version: str = "1") -> ModelSpec:
    def packaged() -> tuple[Path, ...]:
        if missing:
            raise ModelError(missing)
        return weights

    return ModelSpec(
        task="upscaler",
        name=name,
        load=Loaded,
        version=version,
        licence="MIT",
        source="a test",
        rung="Some rung.",
        get=f"fetch {name}",
        signature="any",
        packaged=packaged,
    )


def zoo(
    *specs: ModelSpec, families: Sequence[Family] = (), folder: Path | None = None, device: Device | None = None
) -> Zoo:
    return Zoo(specs, families, device=device, weights=Weights(folder or Path("nowhere")))


def test_every_entry_tells_licence_source_signature_and_command() -> None:
    for entry in MODELS:
        assert all((entry.licence, entry.source, entry.rung, entry.get, entry.version, entry.signature)), entry.name
        assert set(entry.needs) <= set(EXTRAS), f"{entry.name}: no command installs {set(entry.needs) - set(EXTRAS)}"
        names = [file.name for file in entry.files]
        assert len(set(names)) == len(names), f"{entry.name}: two files would have one name"
    assert len({entry.name for entry in MODELS}) == len(MODELS)
    assert {entry.task for entry in MODELS} == {"detector", "embedder", "upscaler", "tagger"}
    assert not {family.prefix for family in FAMILIES} & {entry.name for entry in MODELS}


def test_every_download_is_pinned_or_known_not_to_be() -> None:
    """A hash has 64 hex digits and a revision 40; the files without a hash are just these."""
    unpinned = set()
    for entry in MODELS:
        for file in entry.files:
            assert file.sha256 is None or (len(file.sha256) == 64 and int(file.sha256, 16))
            if isinstance(file, HubFile):
                assert file.repo.count("/") == 1
                assert file.revision == "main" or (len(file.revision) == 40 and int(file.revision, 16)), entry.name
            else:
                assert isinstance(file, ReleaseFile)
                assert file.url.startswith("https://")
            if file.sha256 is None:
                unpinned.add(f"{entry.name}/{file.name}")
    assert unpinned == {
        "deepghs/halfbody_detect_v1.0_s.onnx",
        "deepghs-halfbody/halfbody_detect_v1.0_s.onnx",
        "ccip/model_metrics.onnx",
        "ccip/metrics.json",
        "ccip-24/model_metrics.onnx",
        "ccip-24/metrics.json",
        "wd-v1-4-swinv2-tagger-v2/model.onnx",
        "deepdanbooru/deepdanbooru.onnx",
        "deepdanbooru/deepdanbooru_tags.csv",
    }


def test_auto_is_the_first_that_is_present() -> None:
    some = zoo(spec("best", missing="no file"), spec("good"), spec("poor"))
    assert some.info("upscaler", "auto").name == "good"
    assert some.upscaler("auto") is some.upscaler("good")
    assert [(row.spec.name, row.present, row.auto) for row in some.overview()] == [
        ("best", False, False),
        ("good", True, True),
        ("poor", True, False),
    ]
    assert some.overview()[0].why_not == "no file"
    assert [row.spec.name for row in some.better("upscaler")] == ["best"]


def test_what_needs_a_card_is_taken_on_a_processor_only_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = replace(spec("heavy"), card_only=True)
    some = zoo(heavy, spec("light"))
    assert some.upscaler("auto") is some.upscaler("light")
    assert some.better("upscaler") == []
    assert some.upscaler("heavy").info.name == "heavy"
    monkeypatch.setattr(provider, "onnx_uses", lambda device: device.kind == "cuda")
    assert zoo(heavy, spec("light"), device=Device("cuda")).info("upscaler", "auto").name == "heavy"
    with pytest.raises(ModelError, match="no upscaler is present: heavy: too slow without a graphics card"):
        zoo(heavy).upscaler("auto")


def test_loaded_once_not_for_info_and_released() -> None:
    Loaded.times = 0
    some = zoo(spec("good"))
    some.info("upscaler", "good")
    some.overview()
    assert Loaded.times == 0
    assert some.upscaler("good") is some.upscaler("good")
    assert Loaded.times == 1
    gone = weakref.ref(some.upscaler("good"))
    some.release()
    gc.collect()
    assert gone() is None, "somebody still holds the network"
    some.upscaler("good")
    assert Loaded.times == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("goood", r"unknown upscaler `goood`: did you mean good\? There are auto, best, good, own:FILE\."),
        ("zzz", r"unknown upscaler `zzz`: There are auto, best, good"),
        ("best", "the upscaler best is not present: no file. Get it with: fetch best"),
        ("good+best", r"unknown upscaler `good\+best`"),
    ],
)
def test_what_cannot_be_had_is_said(name: str, message: str) -> None:
    family = Family("upscaler", "own", "FILE", "your own", spec)
    some = zoo(spec("best", missing="no file"), spec("good"), families=[family])
    with pytest.raises(ModelError, match=message):
        some.info("upscaler", name)
    with pytest.raises(ModelError, match=message):
        some.upscaler(name)


def test_none_present_lists_every_reason() -> None:
    some = zoo(spec("best", missing="no file"), replace(spec("good"), needs=("no_such_module",)))
    with pytest.raises(
        ModelError, match=r"best: no file \(fetch best\); good: no_such_module not installed \(fetch good\)"
    ):
        some.upscaler("auto")
    with pytest.raises(ModelError, match=r"Get it with: \S+python\S* -m pip install no_such_module$"):
        some.upscaler("good")


def test_digest_follows_name_version_and_weights(tmp_path: Path) -> None:
    one, two = tmp_path / "one.bin", tmp_path / "two.bin"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    variants = [
        spec("a", weights=(one,)),
        spec("a", weights=(two,)),
        spec("a", weights=(one, two)),
        spec("a", weights=(one,), version="2"),
        spec("b", weights=(one,)),
    ]
    digests = [zoo(entry).info("upscaler", entry.name).digest for entry in variants]
    assert len(set(digests)) == len(digests)
    assert zoo(variants[0]).info("upscaler", "a").digest == digests[0]


def test_a_file_that_changed_under_its_name_is_another_model(tmp_path: Path) -> None:
    """A user's own network that is trained further under the same name must not be taken for the old one."""
    own = tmp_path / "own.pth"
    own.write_bytes(b"first")
    some = zoo(spec("own", weights=(own,)))
    first = some.info("upscaler", "own").digest
    own.write_bytes(b"other")
    assert some.info("upscaler", "own").digest != first


def downloaded(name: str, content: bytes | None = None) -> ModelSpec:
    from hashlib import sha256

    digest = None if content is None else sha256(content).hexdigest()
    return replace(
        spec(name),
        files=(ReleaseFile("https://example.org/w.bin", sha256=digest),),
        get=f"animeset models fetch {name}",
    )


def test_downloads_are_present_when_their_files_are(tmp_path: Path) -> None:
    some = zoo(downloaded("net", b"weights"), folder=tmp_path)
    with pytest.raises(
        ModelError, match=r"the upscaler net is not present: .*w\.bin.*Get it with: animeset models fetch net"
    ):
        some.upscaler("net")
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "w.bin").write_bytes(b"weights")
    assert some.upscaler("net").info.digest
    (tmp_path / "net" / "w.bin").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"w\.bin.*animeset models fetch net --again"):
        zoo(downloaded("net", b"weights"), folder=tmp_path).info("upscaler", "net")


def test_an_altered_file_stops_auto_too(tmp_path: Path) -> None:
    """Silently taking the next rung would hide that a file was tampered with."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "w.bin").write_bytes(b"altered")
    with pytest.raises(ModelError, match="--again"):
        zoo(downloaded("net", b"weights"), spec("good"), folder=tmp_path).info("upscaler", "auto")


class Sees(FakeDetector):
    def __init__(self, info: ModelInfo, score_min: float, *found: Detection) -> None:
        self.info, self.score_min, self._found = info, score_min, found

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        return [list(self._found) for _ in pictures]


def detector_spec(name: str, score_min: float, *found: Detection) -> ModelSpec:
    def load(parts: Parts) -> Adapter:
        return Sees(parts.info, score_min, *found)

    return replace(spec(name), task="detector", load=load)


def test_detectors_add_up_on_one_scale() -> None:
    box = Box(x0=0, y0=0, x1=9, y1=9)
    some = zoo(
        detector_spec("strict", 0.5, Detection("face", box, 0.8)),
        detector_spec("lax", 0.2, Detection("person", box.moved(1, 0), 0.8), Detection("face", box.moved(2, 0), 0.1)),
    )
    both = some.detector("strict+lax")
    assert isinstance(both, CombinedDetector)
    assert both.info.name == "strict+lax"
    (found,) = both.detect([None])  # type: ignore[list-item]
    assert [(d.kind, round(d.score, 4)) for d in found] == [("person", 0.875), ("face", 0.8), ("face", 0.25)]
    digests = {some.info("detector", name).digest for name in ("strict", "lax", "strict+lax", "lax+strict")}
    assert len(digests) == 4
    assert some.detector("strict+strict") is some.detector("strict")


def test_plus_signs_in_file_names_stay() -> None:
    asked: list[str] = []

    def own(argument: str) -> ModelSpec:
        asked.append(argument)
        return detector_spec(f"own:{argument}", 0.5)

    some = zoo(detector_spec("strict", 0.5), families=[Family("detector", "own", "FILE", "your own", own)])
    both = some.specs("detector", "own:my+net v1+2.onnx+strict")
    assert [one.name for one in both] == ["own:my+net v1+2.onnx", "strict"]
    assert asked == ["my+net v1+2.onnx"]
    with pytest.raises(ModelError, match="unknown detector `strct`: did you mean strict"):
        some.specs("detector", "strict+strct")


def test_taggers_vote() -> None:
    one = replace(spec("one"), task="tagger", load=lambda parts: FakeTagger())
    two = replace(spec("two"), task="tagger", load=lambda parts: FakeTagger())
    assert isinstance(zoo(one, two).tagger("one+two"), CombinedTagger)


def test_models_of_any_task_are_found_by_name() -> None:
    some = Zoo(weights=Weights(Path("nowhere")))
    assert [one.task for one in some.named("ccip")] == ["embedder"]
    assert [one.name for one in some.named("wd-swinv2-tagger-v3+deepdanbooru")] == [
        "wd-swinv2-tagger-v3",
        "deepdanbooru",
    ]
    with pytest.raises(ModelError, match=r"unknown model `wd-swinv2`: did you mean wd-.*see `animeset models list`"):
        some.named("wd-swinv2")


def test_the_ladder_of_the_design() -> None:
    """What `auto` prefers, best first, and that each ladder ends in something that needs no download."""
    rungs = {
        task: [one for one in MODELS if one.task == task] for task in ("detector", "embedder", "upscaler", "tagger")
    }
    assert [one.name for one in rungs["detector"]][:3] == ["deepghs", "deepghs-face", "animeset-face"]
    assert [one.name for one in rungs["embedder"]][:3] == ["ccip", "ccip-24", "animeset-identity"]
    assert [one.name for one in rungs["tagger"]][-2:] == ["deepdanbooru", "attributes"]
    some = Zoo(weights=Weights(Path("nowhere")))
    for task in rungs:
        assert not some.info(task, "auto").name.startswith(("deepghs", "ccip", "wd-"))  # type: ignore[arg-type]


def test_where_names_what_runs_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zoo(device=Device(threads=3)).where == "processor, 3 threads"
    monkeypatch.setattr(provider, "onnx_uses", lambda device: False)
    monkeypatch.setattr(provider, "torch_uses", lambda device: True)
    assert zoo(device=Device("cuda", 0, 2, "Tiny")).where == "cuda:0 (Tiny), onnxruntime on the processor"
