"""open_clip and imgsim as embedders: real architectures, small or seeded weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.embedders.open_clip_image import OpenClip, split, weight_file
from animeset_lib.models.spec import HubFile, ReleaseFile
from tests.models.tiny import parts

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

MODEL = "ViT-S-32-alt"
"""The smallest tower that the package knows."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("clip") / "small clip.pt"
    torch.save(open_clip.create_model(MODEL).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def clip(checkpoint: Path) -> OpenClip:
    return OpenClip(parts(checkpoint, task="embedder"), MODEL, None)


def test_a_name_is_a_pair_or_a_file() -> None:
    assert split("ViT-B-32/laion2b_s34b_b79k") == ("ViT-B-32", "laion2b_s34b_b79k", None)
    assert split("ViT-B-32@my/clip.pt") == ("ViT-B-32", None, Path("my/clip.pt"))
    for wrong in ("ViT-B-32", "", "/tag", "ViT-B-32@", "@file.pt"):
        with pytest.raises(ModelError, match="expected open_clip:MODEL/PRETRAINED"):
            split(wrong)


def test_open_clips_own_table_says_where_weights_are() -> None:
    hub = weight_file("ViT-B-32", "laion2b_s34b_b79k")
    assert isinstance(hub, HubFile)
    assert (hub.repo, hub.name) == ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip_model.safetensors")
    with pytest.raises(ModelError, match=r"knows no weights `nothing` for ViT-B-32; it has .*laion2b_s34b_b79k"):
        weight_file("ViT-B-32", "nothing")
    with pytest.raises(ModelError, match="has no model of that name"):
        weight_file("ViT-Z-99", "openai")


def test_addresses_that_hold_a_hash_pin_it(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
    config = {"url": f"https://example.org/clip/models/{digest}/ViT-B-32.pt"}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda model, tag: config)
    assert weight_file("ViT-B-32", "openai") == ReleaseFile(config["url"], sha256=digest)


def test_vectors_are_those_of_the_package(clip: OpenClip, checkpoint: Path) -> None:
    from PIL import Image

    head = np.random.default_rng(0).integers(0, 256, (180, 120, 3), dtype=np.uint8)
    network, _, prepare = open_clip.create_model_and_transforms(MODEL, pretrained=str(checkpoint))
    with torch.inference_mode():
        expected = network.eval().encode_image(prepare(Image.fromarray(head))[None], normalize=True)[0].numpy()
    assert clip.embed([head])[0] == pytest.approx(expected, abs=1e-5)
    assert clip.dim == len(expected)


def test_batch_equals_singles(clip: OpenClip) -> None:
    rng = np.random.default_rng(1)
    heads = [
        rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        for size in [(1, 1), (61, 1), (37, 53), (224, 224), (256, 256), (90, 90)]
    ]
    vectors = clip.embed(heads)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, np.concatenate([clip.embed([head]) for head in heads]), atol=1e-4)
    assert clip.embed([]).shape == (0, clip.dim)


def test_weights_of_another_architecture_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"small clip\.pt: expected weights of open_clip's RN50, got a file that does not fit.*--again"
    ):
        OpenClip(parts(checkpoint), "RN50", None)
    with pytest.raises(ModelError, match="open_clip knows no model ViT-Z-99"):
        OpenClip(parts(checkpoint), "ViT-Z-99", None)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"broken\.pt: expected weights"):
        OpenClip(parts(broken), MODEL, None)


def test_imgsim_on_weights_of_its_form(tmp_path: Path) -> None:
    """ResNet-50 with seeded weights under the names of the package's file; one value followed by hand through the preprocessing."""
    torchvision = pytest.importorskip("torchvision")
    from animeset_lib.models.embedders import imgsim

    torch.manual_seed(4)
    network = torchvision.models.resnet50(weights=None)
    network.fc = torch.nn.Linear(2048, 768)
    path = tmp_path / "model.pth"
    torch.save({f"module.pre.{key}": value for key, value in network.state_dict().items()}, path)
    embedder = imgsim.ImgSim(parts(path, task="embedder"))
    prepared = imgsim._prepared(np.full((20, 20, 3), (255, 0, 51), np.uint8))
    assert prepared.shape == (3, 350, 350)
    assert prepared[:, 5, 5] == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225], abs=1e-5)
    heads = [np.random.default_rng(i).integers(0, 256, (40, 30, 3), dtype=np.uint8) for i in range(3)]
    with torch.inference_mode():
        raw = torch.tanh(network.eval()(torch.from_numpy(np.stack([imgsim._prepared(head) for head in heads])))).numpy()
    vectors = embedder.embed(heads)
    assert np.allclose(vectors, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-5)
    assert np.allclose(vectors, np.concatenate([embedder.embed([head]) for head in heads]), atol=1e-5)
    torch.save({"fc.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="expected AugNet's weights"):
        imgsim.ImgSim(parts(path))
