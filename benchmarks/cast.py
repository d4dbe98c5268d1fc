"""How well does the rule that sorts faces sort them? On casts of one show, on mixed casts, on real clips, and among a crowd.

    python benchmarks/cast.py DATA [--work FOLDER]

DATA is laid out as `characters/train` and `characters/val` (one folder per character, for the casts), and `videos` with `shots_truth.json` and
`reaction_reel_truth.json`. Stages of films are kept in `--work` and not made again. Sets:

    <show>   every folder of characters/val: one show's heads, no tracks, no stills: the hard part of the task alone
    mixed    40 pseudo-films of 3 to 12 characters out of those and the ones held out of the training, uneven, with a tenth of foreign heads
    clips    the clips of shots_truth.json as one film, through the stages; who each face is, was written down by eye (`clip_faces.json`)
    reel     about 200 clips of about 55 shows in a row, through the stages: nearly nobody is in two of them

Printed per rule: B-cubed precision, recall and F (what a rule calls noise counts as a group of one), and for the reel the groups, the faces in them,
the share that belongs to its group's main clip, and the share in groups of more than one clip.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from animeset_lib.cast import grouping
from animeset_lib.cast.cluster import follow, least_regions
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.grouping import NOISE, Pair, group, mean_distances
from animeset_lib.cast.linkage import average_linkage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.models.api import Embedder
from animeset_lib.models.provider import Zoo
from animeset_lib.pipeline import Folders, run_film
from animeset_lib.records import Region
from animeset_lib.run.stage import Output
from animeset_lib.settings import load_settings
from training.heads import Head, hold_out, read_heads, square

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

HERE = Path(__file__).parent
SEED = 11  # the training's, which held these characters out
MIXED_FILMS = 40
LEAST_PICTURES = 8


@dataclass(frozen=True)
class Cast:
    """Faces, the unit (track) of each, units seen side by side, and who each face is: 0.. or -1 for somebody outside the cast."""

    vectors: Vectors
    units: Labels
    forbidden: list[Pair]
    truth: Labels


Rule = Callable[[Cast, float, int], Labels]
"""`rule(cast, same_distance, least faces)` → a group per face, -1 for noise."""


def ours(cast: Cast, same: float, least: int) -> Labels:
    return group(cast.vectors, cast.units, cast.forbidden, same, least).labels[cast.units]


def without(**constants: float) -> Rule:
    """Our rule with one of its steps switched off."""

    def rule(cast: Cast, same: float, least: int) -> Labels:
        with patch.multiple(grouping, **constants):
            return ours(cast, same, least)

    return rule


def plain_average(share: float) -> Rule:
    def rule(cast: Cast, same: float, least: int) -> Labels:
        distance = mean_distances(cast.vectors, cast.units)
        sizes = np.bincount(cast.units).astype(np.float64)
        return average_linkage(distance, sizes, cast.forbidden, share * same)[cast.units]

    return rule


def plain_hdbscan(cast: Cast, same: float, least: int) -> Labels:
    from sklearn.cluster import HDBSCAN

    if len(cast.vectors) < 2 * least:
        return np.full(len(cast.vectors), NOISE)
    distance = mean_distances(cast.vectors, np.arange(len(cast.vectors))).astype(np.float64)
    return np.asarray(HDBSCAN(metric="precomputed", min_cluster_size=least, copy=True).fit_predict(distance), np.int64)


RULES: dict[str, Rule] = {
    "ours": ours,
    "  without the film's middle": without(_TRUSTED=1e9),
    "  without counting the people": without(_CROWDED=0.0),
    "  without placing who is left alone": without(_CLEARLY=-1.0),
    "average linkage at .8 same_distance": plain_average(0.8),
    "average linkage at same_distance": plain_average(1.0),
    "HDBSCAN": plain_hdbscan,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("work/benchmark"))
    parser.add_argument("--embedder", default="auto")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    embedder = Zoo().embedder(given.embedder)
    casts = single_shows(given.data, embedder)
    casts["mixed"] = mixed(given.data, embedder)
    clips, reel, source = films(given.data / "videos", given.work, given.embedder)
    casts["clips"] = [clips]
    print(
        f"{embedder.info.name}, same_distance {embedder.same_distance:.3f}; {', '.join(_size(n, c) for n, c in casts.items())}"
    )
    print(
        f"{'rule':36}" + "".join(f"{name + ' P / R / F':>26}" for name in casts) + "   reel groups faces purity several"
    )
    for name, rule in RULES.items():
        cells = []
        for those in casts.values():
            rows = [score(cast, sorted_by(rule, cast, embedder.same_distance)) for cast in those]
            cells.append("{:.2f} / {:.2f} / {:.3f}".format(*np.mean(rows, axis=0)))
        print(
            f"{name:36}" + "".join(f"{cell:>26}" for cell in cells) + crowd(rule, reel, source, embedder.same_distance),
            flush=True,
        )


def sorted_by(rule: Rule, cast: Cast, same: float) -> Labels:
    """The rule's groups; those with fewer faces than a character needs are noise, for every rule alike."""
    least = least_regions(len(cast.vectors))
    labels = rule(cast, same, least)
    counts = Counter(labels.tolist())
    return np.array([label if label != NOISE and counts[label] >= least else NOISE for label in labels.tolist()])


def score(cast: Cast, found: Labels) -> tuple[float, float, float]:
    """B-cubed precision, recall and F over the cast's faces."""
    groups = np.where(found != NOISE, found, -2 - np.arange(len(found))).tolist()
    truth = cast.truth.tolist()
    both, by_group, by_person = Counter(zip(groups, truth, strict=True)), Counter(groups), Counter(truth)
    pairs = [(g, t) for g, t in zip(groups, truth, strict=True) if t >= 0]
    precision = float(np.mean([both[g, t] / by_group[g] for g, t in pairs]))
    recall = float(np.mean([both[g, t] / by_person[t] for g, t in pairs]))
    return precision, recall, 2 * precision * recall / (precision + recall)


def crowd(rule: Rule, reel: Cast, source: Labels, same: float) -> str:
    """Groups of three faces and more, and how far each is of one clip."""
    labels = rule(reel, same, 3)
    groups = [np.bincount(source[labels == g]) for g in set(labels.tolist()) - {NOISE} if (labels == g).sum() >= 3]
    faces = sum(int(counts.sum()) for counts in groups)
    main = sum(int(counts.max()) for counts in groups)
    several = sum(int(counts.sum()) for counts in groups if (counts > 0).sum() > 1)
    return f"{len(groups):14d} {faces:5d} {main / max(faces, 1):6.2f} {several / max(faces, 1):7.2f}"


def _size(name: str, casts: Sequence[Cast]) -> str:
    return f"{name} {sum(len(cast.vectors) for cast in casts)} faces"


# ------------------------------------------------------------------------------------------------------------------ casts


def single_shows(data: Path, embedder: Embedder) -> dict[str, list[Cast]]:
    casts = {}
    for folder in sorted(p for p in (data / "characters" / "val").iterdir() if p.is_dir()):
        heads = read_heads(folder, sources=False)
        casts[folder.name] = [_alone(_embedded(heads, embedder), _numbers([head.person for head in heads]))]
    return casts


def mixed(data: Path, embedder: Embedder) -> list[Cast]:
    """Casts of one source each: characters held out of the training, and the shows of `val`."""
    names = data / "characters" / "canonical_names.json"
    _, heads = hold_out(read_heads(data / "characters" / "train", names if names.exists() else None), 40, SEED)
    heads += [h for f in sorted((data / "characters" / "val").iterdir()) for h in read_heads(f, sources=False)]
    vectors = _embedded(heads, embedder)
    return [_pseudo_film(vectors, heads, np.random.default_rng((0, number))) for number in range(MIXED_FILMS)]


def _pseudo_film(vectors: Vectors, heads: Sequence[Head], rng: np.random.Generator) -> Cast:
    people = np.array([head.person for head in heads])
    counts = Counter(people.tolist())
    home = {head.person: head.source for head in heads}
    usable = sorted(name for name, count in counts.items() if count >= LEAST_PICTURES)
    by_source = [[n for n in usable if home[n] == s] for s in sorted({head.source for head in heads})]
    large = [names for names in by_source if len(names) >= 3]
    names = large[int(rng.integers(len(large)))]
    cast = rng.choice(names, size=min(len(names), int(rng.integers(3, 13))), replace=False)
    chosen: list[int] = []
    truth: list[int] = []
    for number, name in enumerate(cast):
        rows = np.flatnonzero(people == name)
        mine = rng.choice(rows, size=max(4, int(len(rows) * rng.uniform(0.25, 1.0) ** 1.5)), replace=False)
        chosen += mine.tolist()
        truth += [number] * len(mine)
    strangers = rng.permutation(sorted(set(people.tolist()) - set(cast.tolist())))[: round(0.1 * len(chosen))]
    chosen += [int(rng.choice(np.flatnonzero(people == name))) for name in strangers]
    truth += [-1] * len(strangers)
    return _alone(vectors[chosen], np.array(truth, np.int64))


def _alone(vectors: Vectors, truth: Labels) -> Cast:
    return Cast(vectors, np.arange(len(vectors), dtype=np.int64), [], truth)


def _embedded(heads: Sequence[Head], embedder: Embedder) -> Vectors:
    return embedder.embed([square(head.image, 160) for head in heads])


def _numbers(names: Sequence[str]) -> Labels:
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


# ------------------------------------------------------------------------------------------------------------------ films


@dataclass(frozen=True)
class Film:
    """What the stages up to the vectors made of one film."""

    stills: Output[Any, Any]
    regions: list[Region]
    vectors: Vectors
    same_distance: float

    def times(self) -> list[int]:
        return [self.stills.by_id[region.frame_id].pts_ms for region in self.regions]


def films(videos: Path, work: Path, embedder: str) -> tuple[Cast, Cast, Labels]:
    """The clips as one film, the reel, and the reel's clip of each face."""
    labelled = json.loads((HERE / "clip_faces.json").read_text(encoding="utf-8"))
    parts, names = [], []
    for name, faces in labelled.items():
        film = _stages(videos / name, work, embedder)
        parts.append(film)
        names += [_who(region, ms, faces, name) for region, ms in zip(film.regions, film.times(), strict=True)]
    reel = _stages(videos / "reaction_reel.mp4", work, embedder)
    told = json.loads((videos / "reaction_reel_truth.json").read_text(encoding="utf-8"))
    ends = [1000 * (clip["last_frame"] + 0.5) / told["fps"] for clip in told["clips"]]
    source = np.searchsorted(ends, reel.times()).astype(np.int64)
    return _joined(parts, _numbers(names)), _joined([reel], np.zeros(len(reel.regions), np.int64)), source


def _stages(video: Path, work: Path, embedder: str) -> Film:
    folders = Folders(*(work / name for name in ("output", "work", "logs")))
    settings = load_settings(assignments=[f"embed.embedder={embedder}"])
    run_film(video, settings, folders, keep_work=True, until="embed")
    stills, found, embedded = (
        _newest(work / "work", video, stage) for stage in (ExtractStage, DetectStage, EmbedStage)
    )
    used = [i for i, row in enumerate(embedded.rows) if row.dropped is None]
    regions = [found.by_id[embedded.rows[i].id] for i in used]
    vectors = np.asarray(embedded.vectors[used], np.float32)
    return Film(stills, regions, vectors, embedded.notes.same_distance)


def _newest(work: Path, video: Path, stage: Any) -> Output[Any, Any]:
    made = [p for p in work.glob(f"{video.stem}-*/{stage.name}-*") if p.suffix != ".partial"]
    return Output(max(made, key=lambda path: path.stat().st_mtime), stage)


def _joined(parts: Sequence[Film], truth: Labels) -> Cast:
    """Films as one: nothing is followed from one into the next."""
    units: list[Labels] = []
    forbidden: list[Pair] = []
    count = 0
    for film in parts:
        _, mine, apart = follow(film.regions, film.vectors, film.stills.by_id, film.same_distance, 2_500)
        units.append(mine + count)
        forbidden += [(a + count, b + count) for a, b in apart]
        count += int(mine.max()) + 1
    return Cast(np.vstack([film.vectors for film in parts]), np.concatenate(units), forbidden, truth)


def _who(region: Region, ms: int, faces: Sequence[Sequence[Any]], film: str) -> str:
    """The name written down for the face nearest in time and place."""
    x, y = region.face.center
    when, across, down, name = min(faces, key=lambda f: (abs(f[0] - ms), abs(f[1] - x) + abs(f[2] - y)))
    if abs(when - ms) > 500 or abs(across - x) + abs(down - y) > region.face.width:
        raise SystemExit(
            f"{film} at {ms} ms: no name is written down for the face at {x:.0f}, {y:.0f}; add it to clip_faces.json"
        )
    return str(name)


if __name__ == "__main__":
    main()
