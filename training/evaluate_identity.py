"""Does an embedder tell drawn characters apart? `python -m training.evaluate_identity --data FOLDER [--embedder NAME] [--out FOLDER] [--keep FILE]`.

FOLDER is the training's: characters held out of `train` (the recipe's `held_out` and `seed`), and every folder below `val` as a cast
of its own. Per cast:

    1-NN        share of the pictures whose nearest neighbour is the same character
    AUC         area under the verification curve: a pair of one character is nearer than a pair of two
    Ward ARI    adjusted Rand index of Ward clusters, their true number given (1 = perfect, 0 = chance)
    threshold   the model's own `same_distance`; `--keep` chooses it: 1 in 100 pairs of two held-out characters is nearer
    merge       share of the pairs of two characters nearer than the threshold (false merges)
    split       share of the pairs of one character farther than it (false splits)
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animeset_lib.models.embedders.animeset_identity import AnimesetIdentity
from animeset_lib.models.provider import Zoo
from training.export import set_facts
from training.heads import hold_out, read_heads, square

HERE = Path(__file__).parent
FALSE_MERGES = 0.01
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


def pairs(vectors: Vectors, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(cosine distance, is one character) of every pair."""
    first, second = np.triu_indices(len(vectors), k=1)
    return (1 - vectors @ vectors.T)[first, second].astype(float), labels[first] == labels[second]


def merging(distance: NDArray[np.float64], same: NDArray[np.bool_], rate: float) -> float:
    """The distance within which that share of the pairs of two characters lies."""
    return float(np.quantile(distance[~same], rate))


def measure(vectors: Vectors, labels: Labels, threshold: float) -> dict[str, float]:
    """The numbers of the module's table for one cast."""
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import adjusted_rand_score, roc_auc_score

    distance, same = pairs(vectors, labels)
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    ward = AgglomerativeClustering(int(labels.max()) + 1, linkage="ward").fit_predict(vectors)
    return {
        "1-NN": float((labels[cosine.argmax(1)] == labels).mean()),
        "AUC": float(roc_auc_score(same, -distance)),
        "Ward ARI": float(adjusted_rand_score(labels, ward)),
        "threshold": threshold,
        "merge": float((distance[~same] < threshold).mean()),
        "split": float((distance[same] >= threshold).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--embedder", action="append", help="may be given more than once")
    parser.add_argument("--recipe", type=Path, default=HERE / "identity.toml")
    parser.add_argument("--out", type=Path, help="folder for the table and the plots")
    parser.add_argument("--keep", type=Path, help="ONNX file that gets the threshold of the held-out characters")
    given = parser.parse_args()
    recipe = tomllib.loads(given.recipe.read_text())
    names = given.data / "canonical_names.json"
    _, held_out = hold_out(
        read_heads(given.data / "train", names if names.exists() else None), recipe["held_out"], recipe["seed"]
    )
    casts = {f"{recipe['held_out']} held-out characters": held_out}
    casts |= {
        folder.name: read_heads(folder, sources=False)
        for folder in sorted((given.data / "val").iterdir())
        if folder.is_dir()
    }
    columns = ["1-NN", "AUC", "Ward ARI", "threshold", "merge", "split"]
    lines = [f"| cast | pictures | embedder | {' | '.join(columns)} |", "|" + "---|" * (3 + len(columns))]
    zoo = Zoo()
    embedders = {name: zoo.embedder(name) for name in given.embedder or ["animeset-identity"]}
    ours = next(iter(embedders))
    thresholds = {name: embedder.same_distance for name, embedder in embedders.items()}
    plots = {}
    for cast, heads in casts.items():
        persons = [head.person for head in heads]
        labels = np.unique(persons, return_inverse=True)[1].astype(np.int64)
        pictures = [square(head.image, 160) for head in heads]
        vectors = {name: embedder.embed(pictures) for name, embedder in embedders.items()}
        if given.keep and cast == next(iter(casts)):
            thresholds[ours] = round(merging(*pairs(vectors[ours], labels), FALSE_MERGES), 3)
            set_facts(given.keep, same_distance=thresholds[ours])
        own = embedders[ours]
        if isinstance(own, AnimesetIdentity):
            vectors["its network alone"] = own.look(pictures)
            thresholds.setdefault(
                "its network alone", merging(*pairs(vectors["its network alone"], labels), FALSE_MERGES)
            )
        for name, found in vectors.items():
            row = measure(found, labels, thresholds[name])
            lines.append(f"| {cast} | {len(heads)} | {name} | {' | '.join(f'{row[c]:.3f}' for c in columns)} |")
        plots[cast] = (vectors[ours], labels, persons)
    print("\n".join(lines))
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "identity.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for number, (cast, (found, labels, persons)) in enumerate(plots.items()):
            _plot_map(found, labels, cast, given.out / f"identity_map_{number}.png")
            if labels.max() < 20:
                _plot_confusion(
                    found, labels, sorted(set(persons)), cast, given.out / f"identity_confusion_{number}.png"
                )


def _plot_map(vectors: Vectors, labels: Labels, cast: str, path: Path) -> None:
    import matplotlib
    import umap

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    places = umap.UMAP(metric="cosine", n_neighbors=15, min_dist=0.1, random_state=7).fit_transform(vectors)
    figure, axes = plt.subplots(figsize=(7, 6))
    colours = plt.get_cmap("gist_ncar")(np.linspace(0.02, 0.95, int(labels.max()) + 1))
    axes.scatter(places[:, 0], places[:, 1], s=9, c=colours[labels])
    for label in range(int(labels.max()) + 1):
        x, y = np.median(places[labels == label], axis=0)
        axes.text(x, y, str(label), fontsize=7, ha="center", va="center")
    axes.set(
        xlabel="UMAP 1 (no unit)",
        ylabel="UMAP 2 (no unit)",
        title=f"animeset-identity: {cast}, a colour and number each",
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": ""})


def _plot_confusion(vectors: Vectors, labels: Labels, persons: list[str], cast: str, path: Path) -> None:
    """Whose picture is each picture's nearest neighbour?"""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    table = np.zeros((len(persons), len(persons)))
    np.add.at(table, (labels, labels[cosine.argmax(1)]), 1)
    table /= table.sum(1, keepdims=True)
    figure, axes = plt.subplots(figsize=(6, 5.4))
    axes.imshow(table, vmin=0, vmax=1, cmap="Blues")
    short = [person.split("/")[-1] for person in persons]
    axes.set_xticks(range(len(short)), short, rotation=60, ha="right")
    axes.set_yticks(range(len(short)), short)
    for y, row in enumerate(table):
        for x, share in enumerate(row):
            if share >= 0.005:
                axes.text(
                    x,
                    y,
                    f"{share:.2f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if share > 0.5 else "black",
                )
    axes.set(
        xlabel="character of the nearest neighbour",
        ylabel="character",
        title=f"animeset-identity: {cast} (share of each row)",
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": ""})


if __name__ == "__main__":
    main()
