"""How well are outfits told apart? B-cubed of the sub-sets against the truth, beside plain clustering of the same descriptor.

    python benchmarks/subsets.py --film WORK TRUTH            a demo film's folder below work/ (run with --keep-work) and its truth file
    python benchmarks/subsets.py --figures FOLDER --words blue,green,casual [--backgrounds FOLDER]

FOLDER holds `<character>/*` pictures of figures on a transparent or white background; the outfit is the first of the words that is a part of
the file's name, else the usual one. From them pseudo-films are put together: 3 to 10 shots of one character, each in one outfit before
another background, under a light of day, dusk or night, in one size. No tagger is asked unless `--tags` says how often a simulated one is
right; it gives each outfit a garment of its own and errs at random, so that part says only how the two kinds of evidence work together.

Printed per rule, averaged over characters or pseudo-films: B-cubed precision, recall, F1 over pictures (`unknown` counts as a group of its
own), how far the number of outfits is off, and the share called unknown.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_demo.backgrounds import paint_backdrop
from animeset_demo.truth import DemoTruth
from animeset_lib.media import PICTURE_SUFFIXES, read_image
from animeset_lib.models.api import Detector, Picture
from animeset_lib.records import Box
from animeset_lib.settings import AttributesSettings
from animeset_lib.words.clothes import clothes_look
from animeset_lib.words.outfits import outfits
from animeset_lib.words.subsets import TaggedCrop
from animeset_lib.words.vocabulary import UNKNOWN

Rule = Callable[[Sequence[TaggedCrop], int], Mapping[str, str]]
"""`rule(sightings, true number of outfits)` → crop id → outfit; only the peers that need it look at the number."""

SETTINGS = AttributesSettings()
LIGHTS = {"day": (1.0, 1.0, 1.0), "dusk": (1.0, 0.82, 0.66), "night": (0.42, 0.46, 0.68), "dim": (0.72, 0.7, 0.72)}
"""Factors of the sRGB values, as a drawn scene's tint multiplies them."""


@dataclass(frozen=True)
class Case:
    """One character in one film: its crops and the true outfit of each."""

    name: str
    sightings: list[TaggedCrop]
    truth: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--film", type=Path, nargs=2, metavar=("WORK", "TRUTH"))
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--words", default="", help="outfits, by commas")
    parser.add_argument("--backgrounds", type=Path, help="pictures to put behind; unset: drawn ones")
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tags", type=float, help="share of garment tags that a simulated tagger gets right")
    arguments = parser.parse_args()
    if arguments.film:
        cases = list(film_cases(*arguments.film))
        for case in cases:
            print(f"{case.name}: " + "  ".join(f"{name} {value:.2f}" for name, value in score(case, ours).items()))
    elif arguments.figures:
        words = [word for word in arguments.words.split(",") if word]
        cases = list(figure_cases(arguments.figures, words, arguments.backgrounds, arguments.films, arguments.seed))
    else:
        parser.error("--film or --figures is needed")
    if arguments.tags is not None:
        cases = [tagged(case, arguments.tags, np.random.default_rng(arguments.seed)) for case in cases]
    for several, title in ((True, "characters with several outfits"), (False, "characters with one outfit")):
        chosen = [case for case in cases if (len(set(case.truth.values())) > 1) == several]
        if chosen:
            print(f"{title}: {table(chosen)}")


def table(cases: Sequence[Case]) -> str:
    lines = [f"{len(cases)} cases, {sum(len(case.sightings) for case in cases)} crops"]
    for name, rule in RULES.items():
        rows = [score(case, rule) for case in cases]
        if not lines[1:]:
            lines.append(f"{'rule':38}" + "".join(f"{column:>9}" for column in rows[0]))
        lines.append(f"{name:38}" + "".join(f"{np.mean([row[column] for row in rows]):9.2f}" for column in rows[0]))
    return "\n".join(lines)


def score(case: Case, rule: Rule) -> dict[str, float]:
    found = rule(case.sightings, len(set(case.truth.values())))
    groups: dict[str, set[str]] = defaultdict(set)
    outfit: dict[str, set[str]] = defaultdict(set)
    for id, name in found.items():
        groups[name].add(id)
        outfit[case.truth[id]].add(id)
    both = {id: len(groups[found[id]] & outfit[case.truth[id]]) for id in found}
    precision = float(np.mean([both[id] / len(groups[found[id]]) for id in found]))
    recall = float(np.mean([both[id] / len(outfit[case.truth[id]]) for id in found]))
    return {
        "P": precision,
        "R": recall,
        "F1": 2 * precision * recall / (precision + recall),
        "k-off": float(abs(len(set(found.values()) - {UNKNOWN}) - len(outfit))),
        "unknown": len(groups.get(UNKNOWN, ())) / len(found),
    }


# ----------------------------------------------------------------------------------------------------------------- cases


def film_cases(work: Path, truth_path: Path) -> Iterator[Case]:
    """The characters of a demo film, with the outfits that its truth gives to the face which each crop is about."""
    truth = DemoTruth.load(truth_path)
    frames, regions, tracks = (by_id(work, stage) for stage in ("1_extract", "3a_detect", "3c_cluster"))
    content = json.loads((stage_folder(work, "1_extract") / "stage.json").read_text(encoding="utf-8"))["notes"]["film"]
    bars = content["content_box"] or {"x0": 0, "y0": 0}
    sightings: dict[str, list[TaggedCrop]] = defaultdict(list)
    worn: dict[str, str] = {}
    for crop in by_id(work, "5_crop").values():
        if crop["dropped"]:
            continue
        index = round(frames[crop["frame_id"]]["pts_ms"] * truth.film.fps / 1000)
        face = Box(**regions[crop["region_id"]]["face"])
        overlap = [
            (Box.of(person.face_xyxy).moved(-bars["x0"], -bars["y0"]).iou(face), person.outfit)
            for person in truth.frames[min(index, len(truth.frames) - 1)].persons
            if person.face_xyxy
        ]
        best, outfit = max(overlap, default=(0.0, ""))
        if best < 0.2:
            continue
        worn[crop["id"]] = outfit
        picture = read_image(stage_folder(work, "5_crop") / crop["file"])
        look = clothes_look(picture, Box(**crop["face"]) if crop["face"] else None)
        own = TaggedCrop(
            crop["id"], crop["region_id"], tracks[crop["region_id"]]["track"], {}, look, len(crop["faces"])
        )
        sightings[crop["character"]].append(own)
    for character, seen in sorted(sightings.items()):
        yield Case(character, seen, {sighting.id: worn[sighting.id] for sighting in seen})


def stage_folder(work: Path, stage: str) -> Path:
    return next(work.glob(f"{stage}-*"))


def by_id(work: Path, stage: str) -> dict[str, dict]:  # type: ignore[type-arg]
    lines = (stage_folder(work, stage) / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def figure_cases(folder: Path, words: Sequence[str], backgrounds: Path | None, films: int, seed: int) -> Iterator[Case]:
    from animeset_lib.models.provider import Zoo

    detector = Zoo().detector("animeset-face")
    wardrobe: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES):
        outfit = next((word for word in words if word in re.split(r"[ _-]", path.stem)), "usual")
        wardrobe[path.parent.name][outfit].append(path)
    behind = sorted(p for p in backgrounds.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES) if backgrounds else []
    for number in range(films):
        rng = np.random.default_rng((seed, number))
        character = sorted(wardrobe)[number % len(wardrobe)]
        case = pseudo_film(character, wardrobe[character], behind, detector, rng)
        if len(case.sightings) > 1:
            yield case


def pseudo_film(
    character: str,
    wardrobe: Mapping[str, Sequence[Path]],
    behind: Sequence[Path],
    detector: Detector,
    rng: np.random.Generator,
) -> Case:
    sightings: list[TaggedCrop] = []
    truth: dict[str, str] = {}
    worn = rng.permutation(sorted(wardrobe))[: int(rng.integers(1, 4))]
    for track in range(int(rng.integers(3, 11))):
        outfit = str(worn[track % len(worn)])
        light = LIGHTS[str(rng.choice(sorted(LIGHTS), p=[0.55, 0.1, 0.15, 0.2]))]
        paths = list(rng.permutation(np.array([str(p) for p in wardrobe[outfit]])))[: int(rng.integers(1, 5))]
        shown = float(rng.choice([0.42, 0.6, 1.0]))
        scale = float(rng.uniform(0.8, 1.6))
        for index, path in enumerate(paths):
            picture, figure = scene(Path(path), behind, light, shown, scale, rng)
            found = [d for d in detector.detect([picture])[0] if d.kind == "face" and d.score >= detector.score_min]
            faces = [d.box for d in found if d.box.intersection(figure) > 0.9 * d.box.area]
            if faces:
                key = f"{character}-{track:02}-{index:02}"
                largest = max(faces, key=lambda box: box.area)
                sightings.append(TaggedCrop(key, key, track, {}, clothes_look(picture, largest), 1))
                truth[key] = outfit
    return Case(character, sightings, truth)


def scene(
    path: Path,
    behind: Sequence[Path],
    light: tuple[float, float, float],
    shown: float,
    scale: float,
    rng: np.random.Generator,
) -> tuple[Picture, Box]:
    """The figure before a background, under a light, and where it is; a high one is cut off below the given share of its height."""
    with Image.open(path) as image:
        figure: Picture = np.array(image.convert("RGBA"), np.uint8)
    if figure[..., 3].min() == 255:
        figure[..., 3] = cut_out(figure[..., :3])
    if figure.shape[0] > 1.5 * figure.shape[1]:
        figure = figure[: round(shown * figure.shape[0])]
    figure = cv2.resize(figure, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    height, width = figure.shape[0], round(max(figure.shape[1] * 1.5, figure.shape[0]))
    if behind:
        backdrop = cv2.resize(
            read_image(behind[int(rng.integers(len(behind)))]), (width, height), interpolation=cv2.INTER_AREA
        )
    else:
        name = str(rng.choice(["classroom", "street", "park", "bedroom", "night_street", "sunset", "library"]))
        backdrop = paint_backdrop(name, width, height, int(rng.integers(1000)))  # type: ignore[arg-type]
    picture = backdrop.astype(np.float32)
    left = int(rng.integers(0, width - figure.shape[1] + 1))
    alpha = figure[..., 3:].astype(np.float32) / 255
    part = picture[:, left : left + figure.shape[1]]
    part[:] = part * (1 - alpha) + figure[..., :3] * alpha
    place = Box(x0=left, y0=0, x1=left + figure.shape[1], y1=height)
    return np.asarray(np.clip(picture * np.array(light), 0, 255), np.uint8), place


def cut_out(rgb: Picture) -> npt.NDArray[np.uint8]:
    """Alpha of a figure on white: what is not reached from the upper and side edges over white."""
    filled = np.zeros((rgb.shape[0] + 2, rgb.shape[1] + 2), np.uint8)
    canvas = np.ascontiguousarray(rgb)
    height, width = rgb.shape[:2]
    edges = [(x, 0) for x in range(0, width, 4)]
    edges += [(x, y) for y in range(0, round(0.6 * height), 4) for x in (0, width - 1)]
    for x, y in edges:
        if canvas[y, x].min() > 248:
            flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (255 << 8)
            cv2.floodFill(canvas, filled, (x, y), 0, (7, 7, 7), (7, 7, 7), flags)
    outside = cv2.dilate(filled[1:-1, 1:-1], np.ones((3, 3), np.uint8))
    return np.asarray(255 - outside, np.uint8)


def tagged(case: Case, right: float, rng: np.random.Generator) -> Case:
    """The case with simulated garment tags: each outfit has three, each is seen with that chance, and now and then one of another outfit is."""
    garments = ["school_uniform", "dress", "hoodie", "kimono"]
    extras = ["pleated_skirt", "white_socks", "red_bow", "necktie", "sandals", "jeans", "obi", "sailor_collar"]
    worn = sorted(set(case.truth.values()))
    sightings = []
    for one in case.sightings:
        place = worn.index(case.truth[one.id])
        own = [garments[place % 4], *extras[2 * (place % 4) : 2 * (place % 4) + 2]]
        tags = {tag: float(rng.uniform(0.4, 0.95)) for tag in own if rng.uniform() < right}
        if rng.uniform() > right:
            tags[str(rng.choice(garments))] = float(rng.uniform(0.4, 0.6))
        sightings.append(TaggedCrop(one.id, one.region_id, one.track, tags, one.looks, one.faces))
    return Case(case.name, sightings, case.truth)


# ----------------------------------------------------------------------------------------------------------------- rules


def ours(sightings: Sequence[TaggedCrop], true_number: int) -> Mapping[str, str]:
    return outfits(sightings, SETTINGS).name_of


def one_outfit(sightings: Sequence[TaggedCrop], true_number: int) -> Mapping[str, str]:
    return {sighting.id: "one" for sighting in sightings}


def k_means(sightings: Sequence[TaggedCrop], true_number: int) -> Mapping[str, str]:
    from sklearn.cluster import KMeans

    seen = [sighting for sighting in sightings if sighting.looks]
    number = min(true_number, len({sighting.looks for sighting in seen}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = KMeans(number, n_init=10, random_state=0).fit_predict(flat(seen)) if seen else []
    return by_label(sightings, seen, labels)


def plain_hdbscan(sightings: Sequence[TaggedCrop], true_number: int) -> Mapping[str, str]:
    from sklearn.cluster import HDBSCAN

    seen = [sighting for sighting in sightings if sighting.looks]
    if len(seen) < 4:
        return {sighting.id: UNKNOWN for sighting in sightings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = HDBSCAN(min_cluster_size=3, allow_single_cluster=True).fit_predict(flat(seen).astype(np.float64))
    return by_label(sightings, seen, labels)


def flat(seen: Sequence[TaggedCrop]) -> npt.NDArray[np.float32]:
    return np.array([sighting.looks for sighting in seen], np.float32)


def by_label(sightings: Sequence[TaggedCrop], seen: Sequence[TaggedCrop], labels: Sequence[int]) -> Mapping[str, str]:
    named = {one.id: f"{label}" if label >= 0 else UNKNOWN for one, label in zip(seen, labels, strict=True)}
    return {sighting.id: named.get(sighting.id, UNKNOWN) for sighting in sightings}


RULES: dict[str, Rule] = {
    "ours": ours,
    "everything one outfit": one_outfit,
    "k-means on the numbers, number given": k_means,
    "plain HDBSCAN on the numbers": plain_hdbscan,
}


if __name__ == "__main__":
    main()
