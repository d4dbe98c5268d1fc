"""WD and DeepDanbooru on tiny networks of the same signature, and several taggers as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Tagger, TaggerInput, Tags, Thresholds
from animeset_lib.models.combined import CombinedTagger, levelled
from animeset_lib.models.taggers.csv_tagger import read_tag_list
from animeset_lib.models.taggers.deepdanbooru import BAR_TAGS, DeepDanbooru
from animeset_lib.models.taggers.wd import WdTagger

pytest.importorskip("onnx")
from tests.models.tiny import INFO, mean_colour_tagger, parts

WD_ROWS = [
    ("9999999", "general", 9),
    ("9999998", "sensitive", 9),
    ("9999997", "questionable", 9),
    ("9999996", "explicit", 9),
    ("1", "blue", 0),
    ("2", "green", 0),
    ("3", "red", 0),
    ("4", "^_^", 0),
    ("5", "hatsune_miku", 4),
]
# Outputs: ratings .7 .2 .08 .02; then the mean of B, G, R over 255; then .02 always; then half the mean of red.
WD_WEIGHTS = np.zeros((3, 9), np.float32)
WD_WEIGHTS[0, 4] = WD_WEIGHTS[1, 5] = WD_WEIGHTS[2, 6] = 1 / 255
WD_WEIGHTS[2, 8] = 0.5 / 255
WD_BIAS = np.array([0.7, 0.2, 0.08, 0.02, 0, 0, 0, 0.02, 0], np.float32)


def write_csv(path: Path, rows: Sequence[tuple[str, str, int]]) -> Path:
    path.write_text(
        "tag_id,name,category,count\n" + "".join(f"{i},{name},{c},10\n" for i, name, c in rows), encoding="utf-8"
    )
    return path


def seen(picture: np.ndarray) -> TaggerInput:
    return TaggerInput(picture.astype(np.uint8), "face", None, ())


@pytest.fixture(params=["N", 1], ids=["any batch", "one at a time"])
def wd(request: pytest.FixtureRequest, tmp_path: Path) -> WdTagger:
    network = mean_colour_tagger(tmp_path / "model.onnx", 448, WD_WEIGHTS, WD_BIAS, request.param)
    return WdTagger(parts(network, write_csv(tmp_path / "selected_tags.csv", WD_ROWS)))


def test_wd_rows_belong_to_outputs_ratings_included(wd: WdTagger) -> None:
    red = np.full((30, 30, 3), (255, 0, 51))
    (tags,) = wd.tag([seen(red)])
    assert tags.general == pytest.approx({"red": 1.0, "blue": 0.2}), (
        "BGR: the third channel is red; below .05 a tag is not told"
    )
    assert tags.character == pytest.approx({"hatsune_miku": 0.5})
    assert tags.rating == pytest.approx({"general": 0.7, "sensitive": 0.2, "questionable": 0.08, "explicit": 0.02})
    assert list(tags.rating) == ["general", "sensitive", "questionable", "explicit"]


@pytest.mark.parametrize("shape", [(100, 50), (50, 100), (448, 224), (3, 6), (900, 450)])
def test_wd_pads_with_white_and_keeps_values_0_to_255(wd: WdTagger, shape: tuple[int, int]) -> None:
    (tags,) = wd.tag([seen(np.zeros((*shape, 3)))])
    # half the square is white; bicubic overshoot at the one edge is clipped, which moves the mean by less than a hundredth
    assert tags.general["red"] == pytest.approx(0.5, abs=0.01)


def test_wd_odd_padding_goes_to_the_far_side(wd: WdTagger) -> None:
    """447 black columns in a 448 square: one white column on the right, at the network's own size, so nothing is resized."""
    prepared = wd.prepared(np.zeros((448, 447, 3), np.uint8))
    assert prepared.shape == (448, 448, 3)
    assert prepared.dtype == np.float32
    assert (prepared[:, :447] == 0).all()
    assert (prepared[:, 447] == 255).all()


def test_wd_does_not_round_or_normalise(wd: WdTagger) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (448, 448, 3), dtype=np.uint8)
    assert np.array_equal(wd.prepared(picture), picture[..., ::-1].astype(np.float32))


def assert_singly(tagger: Tagger, inputs: list[TaggerInput]) -> None:
    """A batch answers what single calls answer, but for the order in which the runtime sums."""
    together = tagger.tag(inputs)
    assert len(together) == len(inputs)
    for tags, given in zip(together, inputs, strict=True):
        (alone,) = tagger.tag([given])
        for name in ("general", "character", "rating"):
            assert getattr(tags, name) == pytest.approx(getattr(alone, name), abs=1e-4)
    assert tagger.tag([]) == []


def test_wd_batch_equals_singles(wd: WdTagger) -> None:
    rng = np.random.default_rng(1)
    sizes = [(1, 1), (37, 53), (448, 448), (1, 61), (800, 600), (9, 9), (20, 10)]
    inputs = [seen(rng.integers(0, 256, (*size, 3))) for size in sizes]
    assert_singly(wd, inputs)
    assert wd.vocabulary >= {"red", "hatsune_miku"}
    assert wd.thresholds == Thresholds(0.35, 0.85)


def test_a_list_that_is_off_by_some_rows_is_refused(tmp_path: Path) -> None:
    """The classic fault: a list without the four ratings pairs tag i with score i + 4."""
    network = mean_colour_tagger(tmp_path / "model.onnx", 448, WD_WEIGHTS, WD_BIAS)
    tags = write_csv(tmp_path / "selected_tags.csv", WD_ROWS[4:])
    with pytest.raises(
        ModelError,
        match=r"selected_tags\.csv: expected one row for each of the network's 9 outputs, got 5 rows.*--again",
    ):
        WdTagger(parts(network, tags))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,tag\n1,a\n", "expected a CSV with the columns name and category, got id, tag"),
        ("", "got no rows"),
        ("name,category\nred,zero\n", "line 2: expected a tag and its category number, got `red` and `zero`"),
        ("name,category\n,0\n", "line 2"),
    ],
)
def test_a_broken_list_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "selected_tags.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        read_tag_list(path, None, parts(path))
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ModelError, match="cannot be read"):
        read_tag_list(path, None, parts(path))


def test_a_network_with_other_inputs_is_refused(tmp_path: Path) -> None:
    tags = write_csv(tmp_path / "t.csv", WD_ROWS)
    other_name = mean_colour_tagger(tmp_path / "named.onnx", 448, WD_WEIGHTS, WD_BIAS, name="input_1:0")
    assert WdTagger(parts(other_name, tags)).tag([seen(np.zeros((4, 4, 3)))])[0].rating["general"] == pytest.approx(0.7)

    from onnx import helper

    from tests.models.tiny import save

    planes = save(
        tmp_path / "planes.onnx",
        [helper.make_node("ReduceMean", ["images"], ["y"], axes=[2, 3], keepdims=0)],
        ("images", ["N", 3, 640, 640]),
        ("y", ["N", 3]),
    )
    with pytest.raises(
        ModelError,
        match=r"planes\.onnx: expected a network with one input \[pictures, height, width, 3\], got inputs `images` \['\?', 3, 640, 640\] float32",
    ):
        WdTagger(parts(planes, tags))
    truncated = tmp_path / "cut.onnx"
    truncated.write_bytes(other_name.read_bytes()[:100])
    with pytest.raises(
        ModelError, match=r"cut\.onnx: expected an ONNX network, got a file that cannot be opened.*fetch tiny --again"
    ):
        WdTagger(parts(truncated, tags))


DD_ROWS = [
    ("1", "red", 0),
    ("2", "green", 0),
    ("3", "blue", 0),
    ("4", "letterboxed", 0),
    ("5", "rating:safe", 0),
    ("6", "Hatsune Miku", 4),
]
DD_WEIGHTS = np.eye(3, 6, dtype=np.float32)
DD_BIAS = np.array([0, 0, 0, 0.95, 0.6, 0.3], np.float32)


@pytest.fixture
def deepdanbooru(tmp_path: Path) -> DeepDanbooru:
    network = mean_colour_tagger(tmp_path / "deepdanbooru.onnx", 512, DD_WEIGHTS, DD_BIAS)
    return DeepDanbooru(parts(network, write_csv(tmp_path / "deepdanbooru_tags.csv", DD_ROWS)))


def test_deepdanbooru_pads_with_black_and_does_not_tell_of_it(deepdanbooru: DeepDanbooru) -> None:
    (tags,) = deepdanbooru.tag([seen(np.full((100, 50, 3), (255, 102, 0)))])
    # 50 x 100 becomes 256 x 512, half of the square; RGB 0..1
    assert tags.general == pytest.approx({"red": 0.5, "green": 0.2}, abs=1e-6)
    assert tags.rating == pytest.approx({"safe": 0.6})
    assert tags.character == pytest.approx({"hatsune_miku": 0.3})
    assert not BAR_TAGS & deepdanbooru.vocabulary


def test_deepdanbooru_centres_the_picture(deepdanbooru: DeepDanbooru) -> None:
    prepared = deepdanbooru.prepared(np.full((512, 510, 3), 255, np.uint8))
    assert prepared.shape == (512, 512, 3)
    assert (prepared[:, 0] == 0).all()
    assert (prepared[:, 511] == 0).all()
    assert (prepared[:, 1:511] == 1).all()
    assert deepdanbooru.prepared(np.full((1, 2000, 3), 255, np.uint8)).max() == 1


def test_deepdanbooru_batch_equals_singles(deepdanbooru: DeepDanbooru) -> None:
    rng = np.random.default_rng(1)
    inputs = [seen(rng.integers(0, 256, (*size, 3))) for size in [(1, 1), (37, 53), (512, 512), (700, 9)]]
    assert_singly(deepdanbooru, inputs)


class Says:
    """A tagger that always says the same."""

    info = INFO

    def __init__(
        self, general: dict[str, float], knows: set[str], threshold: float, rating: dict[str, float] | None = None
    ) -> None:
        self.thresholds = Thresholds(threshold, threshold)
        self.vocabulary = frozenset(knows)
        self._tags = Tags(general, {}, rating or {})

    def tag(self, inputs: Sequence[TaggerInput]) -> list[Tags]:
        return [self._tags for _ in inputs]


@pytest.mark.parametrize(
    ("score", "threshold", "expected"),
    [(0.35, 0.35, 0.5), (0.0, 0.35, 0.0), (1.0, 0.35, 1.0), (0.675, 0.35, 0.75), (0.175, 0.35, 0.25), (0.5, 0.5, 0.5)],
)
def test_levelled_scores_can_be_compared(score: float, threshold: float, expected: float) -> None:
    assert levelled(score, threshold) == pytest.approx(expected)


def test_taggers_vote_on_what_they_know() -> None:
    both = {"hat", "smile"}
    one = Says({"hat": 0.675, "sky": 0.35}, both | {"sky"}, 0.35, {"general": 0.9})
    two = Says({"hat": 0.5, "smile": 0.75}, both, 0.5, {"safe": 0.9})
    silent = Says({"smile": 0.5}, set(), 0.5)
    taggers: list[Tagger] = [one, two, silent]
    (tags,) = CombinedTagger(INFO, taggers).tag([seen(np.zeros((2, 2, 3)))])
    assert tags.general == pytest.approx(
        {
            "hat": (0.75 + 0.5) / 2,  # the third one's silence means nothing
            "smile": (0.0 + 0.75 + 0.5) / 3,  # the first knows it and does not see it
            "sky": 0.5,  # only the first knows it
        }
    )
    assert list(tags.general) == ["hat", "sky", "smile"]
    assert tags.rating == {"general": 0.9}


def test_combined_batches_equal_singles(wd: WdTagger, make_attributes: Callable[[], Tagger]) -> None:
    combined = CombinedTagger(INFO, [wd, make_attributes()])
    inputs = [seen(np.random.default_rng(i).integers(0, 256, (40, 30, 3))) for i in range(3)]
    assert_singly(combined, inputs)


@pytest.fixture
def make_attributes() -> Callable[[], Tagger]:
    from animeset_lib.models.taggers.measured_colours import Attributes

    return lambda: Attributes(parts())
