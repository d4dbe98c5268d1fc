"""How much of what a character shows is in the first pictures of its set? Facility location beside k-centre, chance and the film's order.

    python benchmarks/selection.py [FILM]

FILM is a rendered demo film with its `.truth.json` beside it; without it one is made. The pipeline runs up to the attributes (preset draft, but
every crop is finished), and each way to choose ranks the same crops of each character. Averaged over the cast, for the first 8, 12, 20 and 30:

    looks     different outfits x emotions, in percent of the most that so many pictures can have
    kinds     the same with the framing
    shots     the same for shots
    strangers of three crops of other characters that were put among the candidates, how many are taken

`attributes` says what the ways that compare crops are told of outfit, emotion and view: what the run's own tagger knows (nothing, for the one that
needs no download), or the truth.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from animeset_demo import render_demo_film
from animeset_demo.truth import DemoTruth, PersonTruth
from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.dataset.selection import THUMB_PX, PictureCandidate, choose, likeness
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import read_image
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pictures.quality import QualityStage
from animeset_lib.pipeline import FilmFiles, Folders, run_film
from animeset_lib.pipeline.stages_on_disk import stages_with
from animeset_lib.records import Box
from animeset_lib.run.stage import Given
from animeset_lib.settings import DatasetSettings, load_settings
from animeset_lib.words.attributes import AttributesStage

SIZES = (8, 12, 20, 30)
STRANGERS = 3
SEEDS = 10
VIEWS = {"front": "front", "three_quarter": "side", "back": "behind"}
"""The truth's word → that of the attributes."""

Way = Callable[[Sequence[PictureCandidate]], Sequence[str]]
"""Candidates → their ids, best first."""


@dataclass(frozen=True)
class Pool:
    """The crops of one character of the cast; `told` are the same with the true outfit, emotion and view; `shows` what each shows in truth."""

    seen: Sequence[PictureCandidate]
    told: Sequence[PictureCandidate]
    shows: Mapping[str, PersonTruth]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("film", type=Path, nargs="?")
    given: Path | None = parser.parse_args().film
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        film = given or root / "demo.mp4"
        if given is None:
            render_demo_film(film)
        truth_file = film.with_suffix(".truth.json")
        if not truth_file.is_file():
            sys.exit(f"{truth_file} is missing; render a film with its truth: animeset demo-film {film}")
        pools = pools_of(film, DemoTruth.load(truth_file), root)
    sizes = ", ".join(str(len(pool.seen)) for pool in pools)
    print(
        f"{len(pools)} characters with {sizes} crops, {STRANGERS} strangers each in the last column; {SEEDS} draws of chance\n"
    )
    head = "".join(f"{f'first {size}':^24}" for size in SIZES)
    print(
        f"{'':34}{head}strangers in\n{'':12}{'attributes':22}"
        + "  looks  kinds  shots   " * len(SIZES)
        + "  ".join(map(str, SIZES[:-1]))
    )
    for label, ways in WAYS.items():
        for attributes in ("tagger", "truth"):
            if attributes == "tagger" or label not in BLIND:
                report(label, attributes, ways, pools)


def report(label: str, attributes: str, ways: Sequence[Way], pools: Sequence[Pool]) -> None:
    cells, strange = [], []
    for size in SIZES:
        shares = [
            covered(way(pool.seen if attributes == "tagger" else pool.told)[:size], pool, size)
            for pool in pools
            for way in ways
        ]
        cells.append("".join(f"{value:7.0%}" for value in np.mean(shares, axis=0)) + "   ")
    for size in SIZES[:-1]:
        taken = []
        for number, pool in enumerate(pools):
            own = pool.seen if attributes == "tagger" else pool.told
            others = [
                c
                for other in pools
                if other is not pool
                for c in (other.seen if attributes == "tagger" else other.told)
            ]
            for seed, way in enumerate([*ways] * (SEEDS // len(ways))):
                strangers = random.Random(100 * number + seed).sample(others, STRANGERS)
                first = way([*own, *strangers])[:size]
                taken.append(len({c.id for c in strangers} & set(first)))
        strange.append(f"{np.mean(taken):.1f}")
    told = "-" if label in BLIND else attributes
    print(f"{label:24}{told:10}" + "".join(cells) + "  ".join(strange), flush=True)


def covered(chosen: Sequence[str], pool: Pool, size: int) -> tuple[float, float, float]:
    """Looks, kinds and shots among the chosen, each as a share of what `size` of all crops could show."""
    by_id = {c.id: c for c in pool.seen}

    def counts(ids: Sequence[str]) -> tuple[int, int, int]:
        shown = [(pool.shows[key].outfit, pool.shows[key].emotion, by_id[key]) for key in ids if key in pool.shows]
        looks = {(outfit, emotion) for outfit, emotion, _ in shown}
        kinds = {(outfit, emotion, crop.framing) for outfit, emotion, crop in shown}
        return len(looks), len(kinds), len({by_id[key].shot for key in ids})

    looks, kinds, shots = (got / min(size, most) for got, most in zip(counts(chosen), counts(list(by_id)), strict=True))
    return looks, kinds, shots


def ours(candidates: Sequence[PictureCandidate]) -> Sequence[str]:
    return choose(candidates, DatasetSettings()).ranked


def without_quotas(candidates: Sequence[PictureCandidate]) -> Sequence[str]:
    return choose(candidates, DatasetSettings(per_outfit=0, per_emotion=0)).ranked


def k_centre(candidates: Sequence[PictureCandidate]) -> Sequence[str]:
    """Always the crop least like any chosen one (Gonzalez 1985), from the most typical one on; our own likeness."""
    pool = sorted(candidates, key=lambda c: c.id)
    like = likeness(pool)
    ranked = [int(like.sum(axis=0).argmax())]
    nearest = like[ranked[0]].copy()
    while len(ranked) < len(pool):
        nearest[ranked] = np.inf
        ranked.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, like[ranked[-1]])
    return [pool[index].id for index in ranked]


def in_order(candidates: Sequence[PictureCandidate]) -> Sequence[str]:
    return [c.id for c in sorted(candidates, key=lambda c: (c.pts_ms, c.id))]


def chance(seed: int) -> Way:
    def shuffled(candidates: Sequence[PictureCandidate]) -> Sequence[str]:
        ids = sorted(c.id for c in candidates)
        random.Random(seed).shuffle(ids)
        return ids

    return shuffled


WAYS: Mapping[str, Sequence[Way]] = {
    "facility location": (ours,),
    "  without quotas": (without_quotas,),
    "k-centre": (k_centre,),
    "chance": tuple(chance(seed) for seed in range(SEEDS)),
    "order of the film": (in_order,),
}
BLIND = ("chance", "order of the film")
"""Ways that compare nothing."""


def pools_of(film: Path, truth: DemoTruth, root: Path) -> list[Pool]:
    """Runs the pipeline below `root`; crops whose figure is nobody of the truth stay candidates, but show nothing."""
    settings = load_settings(None, ("upscale.candidates=10", "tag.tagger=attributes"), "draft")
    folders = Folders(*(root / name for name in ("output", "work", "logs")))
    result = run_film(film, settings, folders, until="attributes", keep_work=True)
    outputs = stages_with(FilmFiles.of(result.film, folders).work, AttributesStage)
    assert outputs is not None
    pools: dict[str, tuple[list[PictureCandidate], list[PictureCandidate], dict[str, PersonTruth]]] = {}
    for crop in outputs[CropStage].kept:
        seen, told, shows = pools.setdefault(crop.character, ([], [], {}))
        candidate = candidate_of(crop.id, outputs)
        person = person_of(crop.region_id, outputs, truth)
        seen.append(candidate)
        if person is None:
            told.append(candidate)
            continue
        shows[crop.id] = person
        told.append(replace(candidate, outfit=person.outfit, emotion=person.emotion, view=VIEWS[person.view]))
    return [Pool(*pools[character]) for character in sorted(pools)]


def candidate_of(crop_id: str, outputs: Given) -> PictureCandidate:
    crop = outputs[CropStage].by_id[crop_id]
    frame = outputs[ExtractStage].by_id[crop.frame_id]
    kind = outputs[AttributesStage].by_id[crop_id]
    picture = read_image(outputs[CropStage].path / crop.file)
    small = cv2.resize(picture, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
    return PictureCandidate(
        id=crop_id,
        region_id=crop.region_id,
        framing=crop.framing,
        shot=frame.shot,
        pts_ms=frame.pts_ms,
        vector=outputs[EmbedStage].by_id[crop.region_id].vector,
        tags=kind.tags,
        thumb=np.asarray(small, np.float32) / np.float32(255),
        quality=outputs[QualityStage].by_id[crop.region_id].score,
        confidence=outputs[CastStage].by_id[crop.region_id].confidence,
        outfit=kind.outfit,
        emotion=kind.emotion,
        background=kind.background,
        view=kind.view,
    )


def person_of(region_id: str, outputs: Given, truth: DemoTruth) -> PersonTruth | None:
    """Whose face the region is, by an overlap of at least .3."""
    region = outputs[DetectStage].by_id[region_id]
    at = round(outputs[ExtractStage].by_id[region.frame_id].pts_ms * truth.film.fps / 1000)
    left, top, *_ = truth.film.content_box  # stills are cut to it
    overlaps = [
        (Box.of(person.face_xyxy).moved(-left, -top).iou(region.face), number)
        for number, person in enumerate(truth.frames[min(at, len(truth.frames) - 1)].persons)
        if person.face_xyxy is not None
    ]
    best, number = max(overlaps, default=(0.0, 0))
    return truth.frames[min(at, len(truth.frames) - 1)].persons[number] if best >= 0.3 else None


if __name__ == "__main__":
    main()
