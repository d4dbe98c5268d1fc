"""The cast pack: what a person needs to sort a film's cast, in a small folder beside its result, for `work/` is emptied when a run succeeds.

`output/<film>-<id>.cast/<key of 3d_cast>/` holds the rows of the stages up to 3d_cast with what they noted, the identity vectors, the decisions
that were honoured, and in `heads/` a small picture of each face. The cast board, `animeset decide` and FiftyOne read it and nothing else. Whole
stills are not in it.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from animeset_lib.cast.cast import DECISIONS_FILE, CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.head_box import head_crop
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import read_image
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.prefetch import ahead
from animeset_lib.records import Box
from animeset_lib.run.stage import Given, Output
from animeset_lib.run.store import FilmStore, remove_tree, write_json
from animeset_lib.system import replace_path, sync

__all__ = ["HEAD_PX", "CastPack", "newest_pack", "open_pack", "write_pack"]

HEAD_PX = 128
"""Side of the small pictures: sharp where the page shows them, on a dense screen too."""
_QUALITY = 75
"""Of WebP: 2 to 3 kB per head, and no difference to 90 that can be seen at this size."""
_FILES = ("rows.jsonl", "vectors.npy", DECISIONS_FILE)
_DIFFERS = {"seconds": 0.0, "device": ""}
"""What of a stage.json differs from run to run: an interrupted one leaves the same pack."""
_STAGES = tuple(PIPELINE.values())[: list(PIPELINE.values()).index(CastStage) + 1]


@dataclass(frozen=True)
class CastPack:
    """A pack on the disk. `outputs` are those of the stages up to 3d_cast; their folders hold no pictures."""

    folder: Path
    outputs: Given

    def head(self, face: str) -> Path:
        """The small picture of a face, by the region's id; not there where its still could not be read."""
        return _head(self.folder, face)

    def stills(self, film_work: Path) -> Path | None:
        """The folder of 1_extract with the whole stills, where the film's work folder still has it."""
        folder = FilmStore(film_work.parent, film_work.name).folder(ExtractStage.name, self.outputs[ExtractStage].key)
        return folder if folder.is_dir() else None


def newest_pack(place: Path) -> Path | None:
    """The finished pack in `place`, `output/<film>-<id>.cast`. A kill may leave the one before beside it."""
    found = [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def open_pack(place: Path) -> CastPack | None:
    """The pack in `place`; None where there is none, or not a whole one."""
    folder = newest_pack(place)
    if folder is None:
        return None
    outputs = [Output(folder / stage.name, stage) for stage in _STAGES]
    try:
        return CastPack(folder, Given(replace(output, key=output.info.key) for output in outputs))
    except (OSError, ValueError):
        return None


def write_pack(place: Path, outputs: Given, threads: int, check_cancel: Callable[[], None] = lambda: None) -> None:
    """Make the pack of a finished sorting be the one in `place`; nothing is read where it is there already.

    `outputs` are those of the stages up to 3d_cast, at least. Killed anywhere, `place` holds the earlier pack or this one, whole; the next
    call removes what is left over.
    """
    target = place / outputs[CastStage].key
    if not target.is_dir():
        fresh = place / f".{target.name}.new"
        remove_tree(fresh)
        for stage in _STAGES:
            output, folder = outputs[stage], fresh / stage.name
            folder.mkdir(parents=True)
            for file in _FILES:
                if (output.path / file).is_file():
                    shutil.copyfile(output.path / file, folder / file)
                    sync(folder / file)
            write_json(
                folder / "stage.json",
                output.info.model_copy(update={**_DIFFERS, "key": output.key}).model_dump(mode="json"),
            )
        _write_heads(fresh, outputs, threads, check_cancel)
        replace_path(fresh, target)
        sync(place)
    for path in place.iterdir():
        if path != target:
            remove_tree(path)


def _head(folder: Path, face: str) -> Path:
    return folder / "heads" / f"{face}.webp"


def _write_heads(folder: Path, outputs: Given, threads: int, check_cancel: Callable[[], None]) -> None:
    """A picture of each face that was sorted; each still is read once."""
    (folder / "heads").mkdir()
    regions, frames = outputs[DetectStage].by_id, outputs[ExtractStage].by_id
    faces: dict[Path, dict[str, Box]] = defaultdict(dict)
    for row in outputs[ClusterStage].kept:
        region = regions[row.id]
        faces[outputs[ExtractStage].path / frames[region.frame_id].file][row.id] = region.face
    for _ in ahead(partial(_write_heads_of, folder), faces.items(), threads, 2 * threads):
        check_cancel()


def _write_heads_of(folder: Path, still: tuple[Path, Mapping[str, Box]]) -> None:
    path, faces = still
    try:
        picture = read_image(path)
    except InputError:
        return  # the board shows such a face without a picture
    for face, box in faces.items():
        head = head_crop(picture, box)
        if head.shape[0] > HEAD_PX:
            head = np.asarray(cv2.resize(head, (HEAD_PX, HEAD_PX), interpolation=cv2.INTER_AREA), np.uint8)
        done, data = cv2.imencode(".webp", head[:, :, ::-1], [int(cv2.IMWRITE_WEBP_QUALITY), _QUALITY])
        assert done
        _head(folder, face).write_bytes(data.tobytes())
