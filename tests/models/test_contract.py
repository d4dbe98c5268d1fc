"""What every adapter and every fake promises (`models.api`), whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.api import ModelInfo, ModelProvider, Picture, TaggerInput
from animeset_lib.models.provider import Zoo
from animeset_lib.models.weights import Weights
from animeset_lib.records import Box
from tests.conftest import REAL_MODELS
from tests.fakes import FAKE_FACE_RGB, FakeModels

NOTHING_DOWNLOADED = Zoo(weights=Weights(Path("nowhere")))
DOWNLOADED = Zoo(weights=Weights(Path(REAL_MODELS or "nowhere")))
PROVIDERS: dict[str, ModelProvider] = {
    "zoo": NOTHING_DOWNLOADED,
    "fakes": FakeModels(),
    "downloaded": DOWNLOADED,
}
# What comes with animeset and its packages, the fakes, and, behind a mark, the downloads that are here.
MODELS = [("zoo", row.spec.task, row.spec.name) for row in NOTHING_DOWNLOADED.overview() if row.present]
MODELS += [("fakes", task, "fake") for task in ("detector", "embedder", "upscaler", "tagger")]
MODELS += [
    ("downloaded", row.spec.task, row.spec.name) for row in DOWNLOADED.overview() if row.present and row.spec.files
]


def param(provider: str, *values: object, id: str) -> object:
    marks = [pytest.mark.weights] if provider == "downloaded" else []
    return pytest.param(PROVIDERS[provider], *values, id=id, marks=marks)


def models_of(task: str) -> list[object]:
    return [param(provider, name, id=name) for provider, its_task, name in MODELS if its_task == task]


def _noise(height: int, width: int) -> Picture:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _with_fake_face() -> Picture:
    picture = np.full((90, 120, 3), (60, 90, 160), np.uint8)
    picture[30:60, 40:70] = FAKE_FACE_RGB
    return picture


def _read_only() -> Picture:
    picture = _noise(50, 40)
    picture.setflags(write=False)
    return picture


PICTURES: dict[str, Callable[[], Picture]] = {
    "one_pixel": lambda: _noise(1, 1),
    "column": lambda: _noise(61, 1),
    "row": lambda: _noise(1, 61),
    "odd": lambda: _noise(37, 53),
    "black": lambda: np.zeros((48, 48, 3), np.uint8),
    "white": lambda: np.full((48, 64, 3), 255, np.uint8),
    "greys": lambda: np.repeat(_noise(64, 48)[..., :1], 3, axis=2),
    "read_only": _read_only,
    "mirrored_view": lambda: _noise(40, 56)[:, ::-1],
    "channels_reversed": lambda: _noise(40, 30)[..., ::-1],
    "every_second": lambda: _noise(81, 90)[::2, ::2],
    "fake_face": _with_fake_face,
}


# seconds per picture; their tiles have tests of their own
SLOW = ("realesrgan-x4plus-anime", "realesrgan-anime-6b", "realesrgan-package-anime")
UPSCALING = [
    param(provider, name, kind, id=f"{name}-{kind}")
    for provider, task, name in MODELS
    if task == "upscaler"
    for kind in (PICTURES if name not in SLOW else ("one_pixel",))
]


@pytest.fixture(params=PICTURES)
def picture(request: pytest.FixtureRequest) -> Picture:
    return PICTURES[request.param]()


def _inputs() -> list[TaggerInput]:
    given = []
    for make in PICTURES.values():
        picture = make()
        height, width = picture.shape[:2]
        face = Box(x0=width * 0.25, y0=height * 0.25, x1=width * 0.75, y1=height * 0.75)
        given += [
            TaggerInput(picture, "face", face, (face,)),
            TaggerInput(picture, "full", face, (face, face.moved(1, 0))),
            TaggerInput(picture, "frame", None, ()),
        ]
    return given


@pytest.mark.parametrize(("provider", "task", "name"), [param(p, t, n, id=n) for p, t, n in MODELS])
def test_info_without_loading_equals_info_of_the_model(provider: ModelProvider, task: str, name: str) -> None:
    info: ModelInfo = provider.info(task, name)  # type: ignore[arg-type]
    assert getattr(provider, task)(name).info == info
    assert info.task == task
    assert all((info.name, info.digest, info.rung, info.licence, info.source))
    assert getattr(provider, task)(name) is getattr(provider, task)(name)


@pytest.mark.parametrize(("provider", "name"), models_of("detector"))
def test_detector_boxes_lie_in_the_picture_best_first(provider: ModelProvider, name: str, picture: Picture) -> None:
    (found,) = provider.detector(name).detect([picture])
    height, width = picture.shape[:2]
    for detection in found:
        assert 0 <= detection.score <= 1
        assert detection.box.clip(width, height) == detection.box
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


@pytest.mark.parametrize(("provider", "name"), models_of("detector"))
def test_detector_batch_equals_singles(provider: ModelProvider, name: str) -> None:
    detector = provider.detector(name)
    assert 0 < detector.score_min < 1
    pictures = [make() for make in PICTURES.values()]
    for together, picture in zip(detector.detect(pictures), pictures, strict=True):
        (alone,) = detector.detect([picture])
        assert [d.kind for d in together] == [d.kind for d in alone]
        assert np.allclose(
            [(*d.box.xyxy, d.score) for d in together], [(*d.box.xyxy, d.score) for d in alone], atol=1e-3
        )
    assert detector.detect([]) == []


@pytest.mark.parametrize(("provider", "name"), models_of("embedder"))
def test_embedder_unit_vectors_batch_equals_singles(provider: ModelProvider, name: str) -> None:
    embedder = provider.embedder(name)
    pictures = [make() for make in PICTURES.values()]
    vectors = embedder.embed(pictures)
    assert vectors.shape == (len(pictures), embedder.dim)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    # runtimes sum in another order for other batches
    assert np.allclose(vectors, np.concatenate([embedder.embed([picture]) for picture in pictures]), atol=1e-4)
    assert embedder.embed([]).shape == (0, embedder.dim)
    assert 0 < embedder.same_distance < 2


@pytest.mark.parametrize(("provider", "name", "kind"), UPSCALING)
def test_upscaler_sizes_and_factors(provider: ModelProvider, name: str, kind: str) -> None:
    picture = PICTURES[kind]()
    upscaler = provider.upscaler(name)
    assert list(upscaler.factors) == sorted(set(upscaler.factors))
    before = picture.copy()
    for factor in upscaler.factors:
        large = upscaler.upscale(picture, factor)
        assert large.shape == (picture.shape[0] * factor, picture.shape[1] * factor, 3)
        assert large.dtype == np.uint8
        assert large.flags.writeable
        assert np.abs(large.mean((0, 1)) - picture.mean((0, 1))).max() < 6, "the colours stay"
    assert np.array_equal(picture, before)


@pytest.mark.parametrize(("provider", "name"), models_of("upscaler"))
def test_upscaler_refuses_other_factors(provider: ModelProvider, name: str) -> None:
    with pytest.raises(ModelError, match="not by 7"):
        provider.upscaler(name).upscale(_noise(4, 4), 7)


@pytest.mark.parametrize(("provider", "name"), models_of("tagger"))
def test_tagger_scores_batch_equals_singles(provider: ModelProvider, name: str) -> None:
    tagger = provider.tagger(name)
    inputs = _inputs()
    answers = tagger.tag(inputs)
    assert len(answers) == len(inputs)
    for tags in answers:
        for scores in (tags.general, tags.character, tags.rating):
            assert all(0 <= score <= 1 for score in scores.values())
            assert all(tag == tag.lower() and " " not in tag for tag in scores)
    for tags, given in zip(answers, inputs, strict=True):
        (alone,) = tagger.tag([given])
        assert tags.general == pytest.approx(alone.general, abs=1e-4)
        assert tags.character == pytest.approx(alone.character, abs=1e-4)
        assert tags.rating == pytest.approx(alone.rating, abs=1e-4)
    assert tagger.tag([]) == []
    assert 0 <= tagger.thresholds.general <= 1
    assert 0 <= tagger.thresholds.character <= 1
