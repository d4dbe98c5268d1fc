"""How well do rules for sorting faces sort them? Ours beside plain HDBSCAN, Ward with the true number, and average linkage at a threshold.

    python benchmarks/cluster.py PICTURES [--embedder auto] [--films 40] [--junk 0.1]

PICTURES holds head pictures as `<character>/*.png` or `<source>/<character>/*.png`. Each pseudo-film is a cast of 3 to 12 characters of one
source with uneven numbers of pictures, and a share of junk: single heads of people outside the cast. No picture has tracks or stills here,
so this is the hard part of the task alone. Printed per rule, averaged over films:

    P R F    B-cubed precision, recall and their harmonic mean over the cast's pictures; what a rule calls noise counts as a group of one
    purity   share of the pictures in clusters that belong to the cluster's most frequent character (junk belongs to nobody)
    ARI      adjusted Rand index over the cast's pictures
    k-off    how far the number of clusters is from the number of characters
    noise    share of the cast's pictures called noise
    junk     share of the junk that ended in a cluster
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from animeset_lib.cast.cluster import least_regions
from animeset_lib.cast.grouping import NOISE, group
from animeset_lib.cast.shared_neighbours import cosine_distances
from animeset_lib.errors import InputError
from animeset_lib.media import PICTURE_SUFFIXES, read_image
from animeset_lib.models.api import Embedder

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Rule = Callable[[Vectors, int, float, int], Labels]
"""`rule(vectors, true number of characters, same_distance, least faces)`; only the peers that need it look at the true number."""

LEAST_PICTURES = 8
"""A character with fewer pictures than this is never in a cast."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--embedder", default="auto")
    parser.add_argument("--films", type=int, default=40)
    parser.add_argument("--junk", type=float, default=0.1, help="heads from outside the cast, as a share of the cast's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--same-distance", type=float, help="instead of the embedder's own")
    arguments = parser.parse_args()

    from animeset_lib.models.provider import Zoo

    embedder = Zoo().embedder(arguments.embedder)
    same_distance = arguments.same_distance or embedder.same_distance
    vectors, who, source = embed_folder(arguments.pictures, embedder)
    print(
        f"{len(vectors)} heads of {len(set(who))} characters, {embedder.info.name}, same_distance {same_distance:.3f}"
    )
    print_separation(vectors, who, source, same_distance)
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in RULES}
    for number in range(arguments.films):
        chosen, truth = pseudo_film(who, source, arguments.junk, np.random.default_rng((arguments.seed, number)))
        for name, rule in RULES.items():
            began = time.perf_counter()
            least = least_regions(len(chosen))
            found = rule(vectors[chosen], int(truth.max()) + 1, same_distance, least)
            scores[name].append(score(truth, at_least(found, least)) | {"ms": 1000 * (time.perf_counter() - began)})
    columns = list(scores[next(iter(RULES))][0])
    print(f"{'rule':34}" + "".join(f"{column:>8}" for column in columns))
    for name, rows in scores.items():
        print(f"{name:34}" + "".join(f"{np.mean([row[column] for row in rows]):8.2f}" for column in columns))


def embed_folder(folder: Path, embedder: Embedder) -> tuple[Vectors, list[str], list[str]]:
    """Vectors of all readable pictures, the character and the source of each."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    vectors, who, source = [], [], []
    for path in paths:
        try:
            vectors.append(embedder.embed([read_image(path)])[0])
        except InputError as error:
            print(f"left out: {error}")
            continue
        who.append(str(path.parent.relative_to(folder)))
        source.append(str(path.parent.parent.relative_to(folder)))
    if len(set(who)) < 3:
        raise SystemExit(f"{folder} holds pictures of {len(set(who))} characters; expected at least 3, one folder each")
    return np.stack(vectors), who, source


def print_separation(vectors: Vectors, who: Sequence[str], source: Sequence[str], same_distance: float) -> None:
    """How well the embedder alone tells pairs of one source apart: the best that any rule has to work with."""
    inside, between = [], []
    for name in sorted(set(source)):
        rows = [i for i, s in enumerate(source) if s == name]
        distance = cosine_distances(vectors[rows])
        people = np.array([who[i] for i in rows])
        first, second = np.triu_indices(len(rows), k=1)
        equal = people[first] == people[second]
        inside.append(distance[first, second][equal])
        between.append(distance[first, second][~equal])
    same, other = np.concatenate(inside), np.concatenate(between)
    print(
        f"pairs of one source: {np.mean(same <= same_distance):.0%} of the same character and {np.mean(other <= same_distance):.0%} of "
        f"different characters are within same_distance; medians {np.median(same):.3f} and {np.median(other):.3f}"
    )


def pseudo_film(
    who: Sequence[str], source: Sequence[str], junk: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], Labels]:
    """Rows of the pictures in the film and who they are: 0.. for the cast, -1 for junk."""
    people = np.array(who)
    counts = Counter(who)
    home = dict(zip(who, source, strict=True))
    usable = sorted(name for name, count in counts.items() if count >= LEAST_PICTURES)
    by_source = {s: [name for name in usable if home[name] == s] for s in sorted(set(source))}
    sources = [s for s, names in by_source.items() if len(names) >= 3]
    if not sources:
        raise SystemExit(f"no source with three characters of at least {LEAST_PICTURES} pictures")
    names = by_source[sources[int(rng.integers(len(sources)))]]
    cast = rng.choice(names, size=min(len(names) - 1, int(rng.integers(3, 13))), replace=False)
    chosen: list[int] = []
    truth: list[int] = []
    for number, name in enumerate(cast):
        rows = np.flatnonzero(people == name)
        share = rng.uniform(0.25, 1.0) ** 1.5
        mine = rng.choice(rows, size=max(4, int(len(rows) * share)), replace=False)
        chosen += mine.tolist()
        truth += [number] * len(mine)
    outside = sorted(set(who) - set(cast.tolist()))
    strangers = rng.permutation(outside)[: round(junk * len(chosen))]
    chosen += [int(rng.choice(np.flatnonzero(people == name))) for name in strangers]
    truth += [-1] * len(strangers)
    return np.array(chosen), np.array(truth)


# ----------------------------------------------------------------------------------------------------------------- rules


def ours(vectors: Vectors, people: int, same_distance: float, least: int) -> Labels:
    return group(vectors, np.ones(len(vectors), np.int64), [], same_distance, least).labels


def plain_hdbscan(vectors: Vectors, people: int, same_distance: float, least: int) -> Labels:
    import hdbscan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distance = cosine_distances(vectors).astype(np.float64)
        return np.asarray(hdbscan.HDBSCAN(metric="precomputed", min_cluster_size=least).fit_predict(distance), np.int64)


def ward_known(vectors: Vectors, people: int, same_distance: float, least: int) -> Labels:
    from sklearn.cluster import AgglomerativeClustering

    return np.asarray(AgglomerativeClustering(people).fit_predict(vectors), np.int64)


def average_at(share: float) -> Rule:
    def rule(vectors: Vectors, people: int, same_distance: float, least: int) -> Labels:
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform

        tree = linkage(squareform(cosine_distances(vectors).astype(np.float64), checks=False), "average")
        return np.asarray(fcluster(tree, share * same_distance, "distance"), np.int64)

    return rule


RULES: dict[str, Rule] = {
    "ours": ours,
    "plain HDBSCAN": plain_hdbscan,
    "Ward, true number of people given": ward_known,
    "average linkage, .8 same_distance": average_at(0.8),
    "average linkage, same_distance": average_at(1.0),
}


# --------------------------------------------------------------------------------------------------------------- metrics


def at_least(labels: Labels, least: int) -> Labels:
    """Groups smaller than `least` are noise, for every rule alike."""
    counts = Counter(labels.tolist())
    return np.array([label if label != NOISE and counts[label] >= least else NOISE for label in labels.tolist()])


def score(truth: Labels, found: Labels) -> dict[str, float]:
    from sklearn.metrics import adjusted_rand_score

    cast = truth >= 0
    in_cluster = found != NOISE
    groups = np.where(in_cluster, found, -2 - np.arange(len(found)))
    both = Counter(zip(groups.tolist(), truth.tolist(), strict=True))
    per_group, per_person = Counter(groups.tolist()), Counter(truth.tolist())
    pairs = list(zip(groups[cast].tolist(), truth[cast].tolist(), strict=True))
    precision = float(np.mean([both[g, t] / per_group[g] for g, t in pairs]))
    recall = float(np.mean([both[g, t] / per_person[t] for g, t in pairs]))
    clusters = sorted(set(found[in_cluster].tolist()))
    people = sorted(set(truth[cast].tolist()))
    best = sum(max(both[cluster, person] for person in people) for cluster in clusters)
    return {
        "P": precision,
        "R": recall,
        "F": 2 * precision * recall / (precision + recall),
        "purity": best / max(1, int(in_cluster.sum())),
        "ARI": float(adjusted_rand_score(truth[cast], groups[cast])),
        "k": float(len(clusters)),
        "k-off": float(abs(len(clusters) - len(people))),
        "noise": float(np.mean(~in_cluster[cast])),
        "junk": float(np.mean(in_cluster[~cast])) if (~cast).any() else 0.0,
    }


if __name__ == "__main__":
    main()
