"""How often 4a_quality drops good faces, and how often it sees a known defect, as a table.

    python benchmarks/quality.py [FOLDER]

FOLDER holds `images/` and `labels/` with face boxes in YOLO form; without it the faces of the demo film's clean frames are used.
Every defect is made from the same good faces. Blends and fades need a film around them and are measured by `tests/truth.py`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from animeset_demo import iter_demo_frames
from animeset_lib.media import read_image
from animeset_lib.pictures.measure import measure_face
from animeset_lib.pictures.quality import find_faults
from animeset_lib.records import Box
from animeset_lib.settings import QualitySettings

Picture = npt.NDArray[np.uint8]
Face = tuple[Picture, Box]
LIMITS = QualitySettings()
MOST = 400


def demo_faces() -> Iterator[Face]:
    for picture, frame in iter_demo_frames(width=1280, height=720, fps=1):
        if frame.defect is None:
            for person in frame.persons:
                if person.face_xyxy is not None:
                    yield picture, Box.of(person.face_xyxy)


def labelled_faces(folder: Path) -> Iterator[Face]:
    for image in sorted((folder / "images").iterdir()):
        picture = read_image(image)
        height, width = picture.shape[:2]
        for line in (folder / "labels" / f"{image.stem}.txt").read_text(encoding="utf-8").splitlines():
            x, y, w, h = (float(v) for v in line.split()[1:5])
            face = Box(x0=x - w / 2, y0=y - h / 2, x1=x + w / 2, y1=y + h / 2).scaled(width, height).clip(width, height)
            if face is not None:
                yield picture, face


def levels(picture: npt.NDArray[np.floating]) -> Picture:
    return np.clip(picture, 0, 255).astype(np.uint8)


def blurred(share: float) -> Callable[[Face], Picture]:
    return lambda face: cv2.GaussianBlur(face[0], (0, 0), share * face[1].height).astype(np.uint8)


def shaken(share: float) -> Callable[[Face], Picture]:
    def shake(face: Face) -> Picture:
        length = max(3, round(share * face[1].height))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1
        # every face in another direction, but each always in the same
        turn = cv2.getRotationMatrix2D((length // 2, length // 2), 37.0 * round(face[1].x0), 1)
        kernel = cv2.warpAffine(kernel, turn, (length, length))
        return cv2.filter2D(face[0], -1, kernel / kernel.sum()).astype(np.uint8)

    return shake


def coded(quality: int) -> Callable[[Face], Picture]:
    def code(face: Face) -> Picture:
        data = cv2.imencode(".jpg", face[0][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]).astype(np.uint8)

    return code


def noisy(sigma: float) -> Callable[[Face], Picture]:
    return lambda face: levels(face[0] + np.random.default_rng(0).normal(0, sigma, face[0].shape))


DEFECTS: tuple[tuple[str, str, Callable[[Face], Picture]], ...] = (
    ("blur, sigma 2 % of the face", "blurred", blurred(0.02)),
    ("blur, sigma 3 %", "blurred", blurred(0.03)),
    ("blur, sigma 5 %", "blurred", blurred(0.05)),
    ("motion blur, 10 % of the face", "blurred", shaken(0.1)),
    ("motion blur, 20 %", "blurred", shaken(0.2)),
    ("luma x 0.15", "too_dark", lambda face: levels(face[0] * 0.15)),
    ("luma x 0.25", "too_dark", lambda face: levels(face[0] * 0.25)),
    ("85 % white", "flat", lambda face: levels(face[0] * 0.15 + 217)),
    ("JPEG quality 10", "blocky", coded(10)),
    ("JPEG quality 20", "blocky", coded(20)),
    ("noise, sigma 15", "noisy", noisy(15)),
    ("noise, sigma 25", "noisy", noisy(25)),
)


def main(folder: Path | None) -> None:
    usable = (f for f in (labelled_faces(folder) if folder else demo_faces()) if f[1].height >= LIMITS.min_face_px)
    faces = list(islice(usable, MOST))
    wrong: Counter[str] = Counter()
    dropped = 0
    for picture, face in faces:
        found = find(picture, face)
        dropped += bool(found)
        wrong.update(found)
    print(f"{len(faces)} good faces, {dropped / len(faces):.1%} dropped: {dict(wrong) or 'none'}\n")
    print(f"{'defect':<32}{'dropped':>9}{'by its name':>13}")
    for name, code, defect in DEFECTS:
        reasons = [find(defect((picture, face)), face) for picture, face in faces]
        print(f"{name:<32}{np.mean([bool(r) for r in reasons]):>9.0%}{np.mean([code in r for r in reasons]):>13.0%}")


def find(picture: Picture, face: Box) -> list[str]:
    return list(find_faults({**measure_face(picture, face), "blend": 0.0}, LIMITS))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
