"""Photographed faces by MediaPipe's BlazeFace (https://ai.google.dev/edge/mediapipe/solutions/vision/face_detector), for films with actors.

The file is a `.tflite` with metadata, such as `blaze_face_short_range.tflite`. The task itself makes the picture square with black and scales it
down to 128 px, so that it finds faces from about a sixth of the picture's long side on; smaller ones, those of a wide shot, are missed.
Drawn faces it finds by accident only.
"""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from animeset_lib.models.api import Detection, Picture
from animeset_lib.models.spec import Parts
from animeset_lib.records import Box

__all__ = ["SCORE_MIN", "VERSION", "MediapipeFace"]

VERSION = "1"
SCORE_MIN = 0.5
"""MediaPipe's default `min_detection_confidence`."""
_UNCERTAIN = 0.25
"""Faces are told from this score on, so that the stage can record those it does not use."""


class MediapipeFace:
    """A `Detector` of faces, brow to chin. One file. It always runs on the processor: the wheels have no CUDA."""

    score_min = SCORE_MIN

    def __init__(self, parts: Parts) -> None:
        self.info = parts.info
        (path,) = parts.files
        self._mediapipe: Any = importlib.import_module("mediapipe")
        tasks = self._mediapipe.tasks
        try:
            # as bytes: its C++ part cannot open every path that Python can
            options = tasks.vision.FaceDetectorOptions(
                base_options=tasks.BaseOptions(model_asset_buffer=path.read_bytes()),
                min_detection_confidence=_UNCERTAIN,
            )
            self._task: Any = tasks.vision.FaceDetector.create_from_options(options)
        except (OSError, RuntimeError, ValueError) as error:
            raise parts.fault("a face detector of MediaPipe (.tflite)", error) from error
        # left to itself it is closed when half of Python is gone already, and complains
        weakref.finalize(self, self._task.close)

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Faces per picture with scores from .25 up, clipped, best first."""
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Picture) -> list[Detection]:
        height, width = picture.shape[:2]
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        found = []
        for face in self._task.detect(image).detections:
            place = face.bounding_box
            if place.width <= 0 or place.height <= 0:
                continue
            x0, y0 = float(place.origin_x), float(place.origin_y)
            box = Box(x0=x0, y0=y0, x1=x0 + place.width, y1=y0 + place.height).clip(width, height)
            if box is not None:
                found.append(Detection("face", box, min(1.0, float(face.categories[0].score))))
        return sorted(found, key=lambda d: (-d.score, d.box.xyxy))
