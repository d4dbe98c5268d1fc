"""How well does a detector find drawn faces? `python -m training.evaluate_face --data FOLDER [--detector NAME] [--out FOLDER] [--keep FILE]`.

FOLDER holds `val/images` and `val/labels`. A box is right when it shares at least half of its union (or the IoU asked for) with a labelled
face that no better-scored box has taken; every other box counts as false, also on a face that the labels leave out. Precision is
therefore a lower bound; the sheet of the best-scored "false" boxes (`--sheet`) shows how low.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from animeset_lib.models.api import Detection
from animeset_lib.models.provider import Zoo
from training.export import set_facts
from training.face_data import LabelledFrame, read_frames

SMALL_PX = 24  # of a frame whose long side is 640
CLOSE_UP = 200


@dataclass(frozen=True)
class Found:
    """All boxes of one detector on all frames: `score` (n,), `right` (n,), `side` (n,) of the boxes; `met` (m,) best score per labelled face
    (0: never met), `size` (m,) their sides in px of a 640-px frame; `frame` (n,) and `box` (n, 4) for looking."""

    score: NDArray[np.float64]
    right: NDArray[np.bool_]
    frame: NDArray[np.int64]
    box: NDArray[np.float64]
    met: NDArray[np.float64]
    size: NDArray[np.float64]


def match(answers: list[list[Detection]], frames: list[LabelledFrame], iou: float) -> Found:
    """Match every box with the labels, best score first inside each frame."""
    score, right, where, boxes, met, size = [], [], [], [], [], []
    for number, (frame, found) in enumerate(zip(frames, answers, strict=True)):
        taken = np.zeros(len(frame.boxes))
        for detection in found:
            box = np.array(detection.box.xyxy)
            shares = _ious(box, frame.boxes) * (taken == 0)
            hit = len(shares) > 0 and shares.max() >= iou
            if hit:
                taken[shares.argmax()] = detection.score
            score.append(detection.score)
            right.append(hit)
            where.append(number)
            boxes.append(box)
        met += taken.tolist()
        scale = 640 / max(frame.image.shape[:2])
        size += (np.sqrt(np.prod(frame.boxes[:, 2:] - frame.boxes[:, :2], axis=1)) * scale).tolist()
    return Found(
        np.array(score),
        np.array(right, bool),
        np.array(where, int),
        np.array(boxes).reshape(-1, 4),
        np.array(met),
        np.array(size),
    )


def _ious(box: NDArray[np.float64], others: NDArray[np.float32]) -> NDArray[np.float64]:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inner = np.prod((high - low).clip(0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.asarray(inner / (np.prod(box[2:] - box[:2]) + areas - inner), float)


def curve(found: Found) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(thresholds falling, precision, recall) at each box's score."""
    order = np.argsort(-found.score, kind="stable")
    right = np.cumsum(found.right[order])
    return found.score[order], right / np.arange(1, len(order) + 1), right / max(1, len(found.met))


def recall_at(found: Found, precision: float) -> tuple[float, float]:
    """(largest recall at no less than that precision, its threshold); (0, 1) where it is never reached."""
    threshold, p, r = curve(found)
    good = np.flatnonzero(p >= precision)
    return (float(r[good[-1]]), float(threshold[good[-1]])) if len(good) else (0.0, 1.0)


def average_precision(found: Found) -> float:
    """Area under the precision-recall curve, precision made monotonous (as COCO does, all points)."""
    _, p, r = curve(found)
    envelope = np.maximum.accumulate(p[::-1])[::-1]
    return float((np.diff(np.concatenate(([0.0], r))) * envelope).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--detector", action="append", help="may be given more than once")
    parser.add_argument("--out", type=Path, help="folder for the table and the plot")
    parser.add_argument("--sheet", type=Path, help="picture of the best-scored boxes that count as false")
    parser.add_argument("--keep", type=Path, help="ONNX file that gets the threshold for a precision of 0.85")
    given = parser.parse_args()
    frames = read_frames(given.data / "val")
    names = given.detector or ["animeset-face"]
    faces = sum(len(f.boxes) for f in frames)
    lines = [f"{len(frames)} frames, {faces} labelled faces, every box without a label counted as false.", ""]
    lines += [
        "| detector | IoU | AP | recall at P ≥ .80 | at P ≥ .90 | threshold for P ≥ .85 | its recall | < 24 px | 24-200 px | > 200 px | frames/s |"
    ]
    lines += ["|" + "---|" * 11]
    results: dict[str, Found] = {}
    for name in names:
        detector = Zoo().detector(name)
        began = time.perf_counter()
        answers = [detector.detect([frame.image])[0] for frame in frames]
        speed = len(frames) / (time.perf_counter() - began)
        for iou in (0.5, 0.3):
            found = match(answers, frames, iou)
            results.setdefault(name, found)
            recall, threshold = recall_at(found, 0.85)
            if recall == 0.0:  # never that precise: its own threshold
                threshold = detector.score_min
                recall = float((found.met >= threshold).mean())
            groups = (found.size < SMALL_PX, (found.size >= SMALL_PX) & (found.size <= CLOSE_UP), found.size > CLOSE_UP)
            by_size = " | ".join(f"{(found.met[g] >= threshold).mean():.3f} ({int(g.sum())})" for g in groups)
            lines.append(
                f"| {name} | {iou} | {average_precision(found):.3f} | {recall_at(found, 0.8)[0]:.3f} | {recall_at(found, 0.9)[0]:.3f} "
                f"| {threshold:.2f} | {recall:.3f} | {by_size} | {speed:.1f} |"
            )
    print("\n".join(lines))
    main_one = results[names[0]]
    if given.keep:
        # Two digits: a threshold with more would claim to know more.
        set_facts(given.keep, score_min=round(recall_at(main_one, 0.85)[1], 2))
        onnx.checker.check_model(onnx.load(given.keep))
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "face.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        _plot(results, given.out / "face_precision_recall.png")
    if given.sheet:
        _sheet(main_one, frames, given.sheet)


def _plot(results: dict[str, Found], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 5))
    for name, found in results.items():
        _, p, r = curve(found)
        axes.plot(r, p, label=f"{name} (AP {average_precision(found):.2f})")
    axes.set(
        xlabel="recall", ylabel="precision (lower bound: unlabelled faces count as false)", xlim=(0, 1), ylim=(0, 1.02)
    )
    axes.set_title("Drawn faces, IoU 0.5, iCartoonFace frames not trained on")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": ""})


def _sheet(found: Found, frames: list[LabelledFrame], path: Path) -> None:
    """The 60 best-scored boxes without a label, each with its surroundings."""
    tiles = []
    for index in np.argsort(-np.where(found.right, -1, found.score))[:60]:
        image = frames[found.frame[index]].image
        x0, y0, x1, y1 = found.box[index]
        side = max(x1 - x0, y1 - y0) * 2
        cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
        matrix = np.array([[150 / side, 0, 75 - cx * 150 / side], [0, 150 / side, 75 - cy * 150 / side]])
        tile = cv2.warpAffine(image, matrix, (150, 150))
        a, b = matrix @ [x0, y0, 1], matrix @ [x1, y1, 1]
        cv2.rectangle(tile, tuple(int(v) for v in a), tuple(int(v) for v in b), (255, 0, 0), 1)
        cv2.putText(tile, f"{found.score[index]:.2f}", (3, 14), 0, 0.45, (255, 255, 0), 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros((150, 150, 3), np.uint8)] * (-len(tiles) % 10)
    sheet = np.concatenate([np.concatenate(tiles[i : i + 10], axis=1) for i in range(0, len(tiles), 10)])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
