"""Which of a character's pictures show the same outfit, which the same emotion, and what to call these sub-sets.

Outfits: nobody changes clothes inside a shot, so the unit is the track, and what its body pictures show holds for its face pictures too. Two
tracks are compared by their garment tags (rare ones of this character count most) and by their measured colours with the light of the scene
taken out; average linkage joins tracks, each counting once however long its shot is, and is cut at the widest gap between "surely the same"
and "surely another". Emotions: words of the tagger, per figure, cleaned by pictures that look alike to the tagger.

Names say no more than is known: a garment only where tags name one, else the main colours as booru words (`white_blue_outfit`: most of the clothes is
white, a good part blue). Everything here is deterministic and does not depend on the order of what is given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from animeset_lib.settings import AttributesSettings
from animeset_lib.words.clothes import SKIN, ZONES, Lab, Look, lab_of, palette, relit, rgb_of
from animeset_lib.words.subsets import NAMED, Floats, Subsets, TaggedCrop, make_subsets, tags_of_figures
from animeset_lib.words.vocabulary import UNKNOWN, outfit_of

__all__ = ["outfits"]

# Distances between two tracks, in units of the limit beyond which clothes are others (setting `outfit_distance`).
_SAME, _OTHER = 0.6, 1.25
"""Tracks nearer than the first are always joined, further than the second never; between them the widest gap decides."""
_LOOK_LIMIT = 0.3
_TAG_LIMIT = 0.7
_COLOUR_RANGE = 20.0
"""CIELAB (lightness counted half): how far apart two colours are that are alike to 1/e."""
_ZONE_WEIGHT = (0.6, 1.0, 0.8, 0.8)
_GOOD_LIGHT = 75.0
"""CIELAB lightness from which on skin is fair and well lit."""
_DARK_SKIN = 0.45
"""CIELAB chroma over lightness: drawn fair skin has .15 to .3 in any white light, brown skin .5 to .9."""


def outfits(sightings: Iterable[TaggedCrop], settings: AttributesSettings) -> Subsets:
    """The outfits of one character. All crops of one track get one name."""
    everything = sorted(sightings, key=lambda s: s.id)
    by_track: dict[int, list[TaggedCrop]] = defaultdict(list)
    for sighting in everything:
        by_track[sighting.track].append(sighting)
    # By their first picture: the numbers of tracks may differ between runs, the ids do not.
    wears = [_Wear.of(own) for _, own in sorted(by_track.items(), key=lambda item: item[1][0].id)]
    known = [wear for wear in wears if wear.tags or wear.skin is not None]
    _relight(known)
    distance = _distances(known) / settings.outfit_distance
    settled, notes = _settle(known, _join(distance), distance, settings.subset_min)
    groups = [[known[i] for i in group] for group in settled]
    named = dict(zip(_outfit_names(groups), groups, strict=True))
    name_of = {sighting.id: UNKNOWN for sighting in everything}
    name_of |= {sighting.id: name for name, group in named.items() for wear in group for sighting in wear.sightings}
    colours = {name: _colours(group) for name, group in named.items()}
    return Subsets(name_of, make_subsets("outfit", everything, list(named), name_of, colours), tuple(notes))


@dataclass
class _Wear:
    """What one track wears: mean garment tags of its figures, and per zone the colours of all of them with their shares."""

    sightings: list[TaggedCrop]
    figures: int
    tags: dict[str, float]
    skin: Lab | None  # None: nothing of it was measured
    zones: list[Lab]  # (N, 4) each: share, L, a, b

    @classmethod
    def of(cls, sightings: list[TaggedCrop]) -> _Wear:
        tags: dict[str, float] = defaultdict(float)
        figures = tags_of_figures(sightings, "outfit")
        for own in figures.values():
            for tag, score in own.items():
                tags[tag] += score / len(figures)
        seen: dict[str, list[Look]] = {region: [] for region in figures}
        for sighting in sightings:
            if sighting.looks:
                seen[sighting.region_id].append(Look.unpack(sighting.looks))
        looks = [_figure_look(own) for own in seen.values() if own]
        zones = [_joined([zone for look in looks if (zone := look.zones[z])[:, 0].any()]) for z in range(len(ZONES))]
        skin = np.median([look.skin for look in looks], axis=0).astype(np.float32) if looks else None
        return cls(sightings, len(figures), dict(tags), skin, zones)


def _figure_look(looks: Sequence[Look]) -> Look:
    """Of several crops of one figure: its skin, and each zone from the crop that shows most of it."""
    zones = [
        max((look.zones[z] for look in looks), key=lambda zone: float(zone[:, 0].sum())) for z in range(len(ZONES))
    ]
    return Look(np.median([look.skin for look in looks], axis=0).astype(np.float32), np.stack(zones))


def _joined(parts: Sequence[Lab]) -> Lab:
    """`(N, 4)`: one palette of those of several figures."""
    if not parts:
        return np.zeros((0, 4), np.float32)
    joined = np.concatenate(parts)
    joined = joined[joined[:, 0] > 0]
    covered = float(joined[:, 0].sum()) / len(parts)
    joined = palette(joined[:, 1:], joined[:, 0])
    joined[:, 0] *= covered / joined[:, 0].sum()
    return joined


def _relight(wears: Sequence[_Wear]) -> None:
    """Palettes come in the light in which fair skin has one certain colour; here they are put into the character's own best light.

    That is the light of the median skin of the lighter half of the tracks. Only a character with fair skin that is never seen in good light keeps the
    given one: dim light takes as much from the chroma of fair skin as from its lightness, while dark skin has more chroma for its lightness.
    """
    skins = [wear.skin for wear in wears if wear.skin is not None]
    if not skins:
        return
    lighter = sorted(skins, key=lambda skin: (-float(skin[0]), tuple(skin.tolist())))[: (len(skins) + 1) // 2]
    own = np.median(lighter, axis=0).astype(np.float32)
    if own[0] < _GOOD_LIGHT and float(np.hypot(own[1], own[2])) < _DARK_SKIN * float(own[0]):
        return
    for wear in wears:
        for zone in wear.zones:
            if len(zone):
                zone[:, 1:] = relit(rgb_of(zone[:, 1:]), SKIN, own)


def _join(distance: Floats) -> list[list[int]]:
    """Indices of tracks that wear the same, by average linkage; groups in order of their first member."""
    if len(distance) < 2:
        return [[i] for i in range(len(distance))]
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(distance, checks=False), "average")
    labels = fcluster(tree, _cut(tree[:, 2]), "distance")
    return sorted(np.flatnonzero(labels == label).tolist() for label in np.unique(labels))


def _cut(heights: Floats) -> float:
    """Where to cut a tree: in the middle of the widest gap between merges, as far as it lies between `_SAME` and `_OTHER`."""
    inside = np.sort(heights[(heights > _SAME) & (heights < _OTHER)])
    edges = np.concatenate([[_SAME], inside, [_OTHER]])
    widest = int(np.diff(edges).argmax())
    return float((edges[widest] + edges[widest + 1]) / 2)


def _distances(wears: Sequence[_Wear]) -> Floats:
    """`(N, N)`: 0 the same clothes, 1 the limit. Tags and colours count by how much of both is known of both tracks; where nothing is, 1."""
    look, look_known = _look_distances(wears)
    tag, tag_known = _tag_distances(wears)
    known = look_known + tag_known
    both = look_known * look / _LOOK_LIMIT + tag_known * tag / _TAG_LIMIT
    found = np.where(known > 0, both / np.maximum(known, 1e-9), 1.0)
    np.fill_diagonal(found, 0.0)
    # Another processor must not come to another tree by the last bit.
    return np.asarray(np.maximum(found, found.T).round(6), np.float64)


def _look_distances(wears: Sequence[_Wear]) -> tuple[Floats, Floats]:
    """Mean distances (0..1) of the palettes of the zones that both tracks show, and how much is known, 0..1.

    Two palettes are as alike as their kernel means (each colour a bump of `_COLOUR_RANGE`): 1 less the cosine between them.
    """
    total, known = (np.zeros((len(wears), len(wears))) for _ in range(2))
    for index, importance in enumerate(_ZONE_WEIGHT):
        seen = [i for i, wear in enumerate(wears) if len(wear.zones[index])]
        if not seen:
            continue
        zones = [wears[i].zones[index].astype(np.float64) for i in seen]
        colours = np.concatenate([zone[:, 1:] for zone in zones]) * (0.5, 1, 1)
        shares = np.concatenate([zone[:, 0] for zone in zones])
        starts = np.cumsum([0, *(len(zone) for zone in zones[:-1])])
        near = np.zeros((len(seen), len(seen)))
        for row, (start, zone) in enumerate(zip(starts, zones, strict=True)):
            apart = np.linalg.norm(colours[start : start + len(zone), None] - colours[None], axis=2)
            near[row] = np.add.reduceat(zone[:, 0] @ np.exp(-apart / _COLOUR_RANGE) * shares, starts)
        size = np.sqrt(np.diag(near))
        cover = np.add.reduceat(shares, starts)
        weight = importance * np.minimum(cover[:, None], cover[None])
        total[np.ix_(seen, seen)] += weight * (1.0 - np.minimum(1.0, near / (size[:, None] * size[None])))
        known[np.ix_(seen, seen)] += weight
    return total / np.maximum(known, 1e-9), np.minimum(1.0, known)


def _tag_distances(wears: Sequence[_Wear]) -> tuple[Floats, Floats]:
    """Distances (0..1) of the garment tags, and how much is known, 0..1.

    A tag weighs by its idf over the character's tracks, with a floor, so that a character with one outfit is not split by stray tags. A face
    picture shows a part of the tags: what only one of two tracks has counts half.
    """
    vocabulary = sorted({tag for wear in wears for tag in wear.tags})
    scores = np.array([[wear.tags.get(tag, 0.0) for tag in vocabulary] for wear in wears])
    scores = scores.reshape(len(wears), len(vocabulary))
    tagged = max(1, sum(1 for wear in wears if wear.tags))
    idf = np.log(tagged / np.maximum(1, (scores > 0).sum(axis=0))) / max(1.0, float(np.log(tagged)))
    weighted = scores * (0.3 + idf)
    own = weighted.sum(axis=1)
    sure = scores.sum(axis=1)
    found, known = (np.zeros((len(wears), len(wears))) for _ in range(2))
    for row in range(len(wears)):
        both = (own > 0) & (own[row] > 0)
        shared = np.minimum(weighted, weighted[row]).sum(axis=1)
        contained = shared / np.maximum(np.minimum(own, own[row]), 1e-9)
        alike = shared / np.maximum(own + own[row] - shared, 1e-9)
        found[row] = np.where(both, 1.0 - (contained + alike) / 2, 0.0)
        known[row] = np.where(both, np.minimum(1.0, np.minimum(sure, sure[row])), 0.0)
    return found, known


def _settle(
    wears: Sequence[_Wear], groups: list[list[int]], distance: Floats, least: int
) -> tuple[list[list[int]], list[str]]:
    """Groups with fewer figures than `least` go to the nearest one if that is near enough, stay where tags name their clothes, and are given up
    otherwise. The largest always stays. Returns the groups, largest first, and what was done in words."""
    size = {index: sum(wears[i].figures for i in group) for index, group in enumerate(groups)}
    order = sorted(size, key=lambda index: (-size[index], index))
    kept = [index for index in order if size[index] >= least] or order[:1]
    members = {index: list(groups[index]) for index in kept}
    notes = []
    for index in order:
        if index in members:
            continue
        group = groups[index]
        apart = {other: float(np.mean(distance[np.ix_(group, groups[other])])) for other in kept}
        nearest = min(apart, key=lambda other: (apart[other], other))
        what = f"{size[index]} figure(s) from {wears[group[0]].sightings[0].id} on"
        if apart[nearest] <= _OTHER:
            members[nearest] += group
            notes.append(f"outfit of {what}: too few for a sub-set, put to the nearest (distance {apart[nearest]:.2f})")
        elif _garment([wears[i] for i in group]) != UNKNOWN:
            members[index] = list(group)
        else:
            notes.append(f"outfit of {what}: like no other (distance {apart[nearest]:.2f}), and too few for a sub-set")
    settled = [sorted(group) for group in members.values()]
    return sorted(settled, key=lambda group: (-sum(wears[i].figures for i in group), group)), notes


def _tag_shares(wears: Sequence[_Wear]) -> dict[str, float]:
    """Mean score of each garment tag over the tracks that have any."""
    tagged = [wear.tags for wear in wears if wear.tags]
    total: dict[str, float] = defaultdict(float)
    for tags in tagged:
        for tag, score in tags.items():
            total[tag] += score / len(tagged)
    return dict(sorted(total.items()))


def _garment(wears: Sequence[_Wear]) -> str:
    return outfit_of({tag: share for tag, share in _tag_shares(wears).items() if share >= NAMED})


_TONES = {
    "black": "0f0f12 232328 37353a",
    "grey": "646468 8c8c91 b4b4b8",
    "white": "fafafa e1e1e6 f0ebe1 d7dae4",
    "brown": "5a3c28 7d553c 3c281e a07855 bea07d",
    "red": "c8282d 961e23 e14b46 69191e",
    "orange": "e6822d f5a55a c86928",
    "yellow": "f5d746 ffeb96 d7b43c fff0be",
    "green": "469650 285f32 82c878 bee6aa 5a6e3c 5aaf87 327864",
    "aqua": "50cdcd 96e6e6 288c96",
    "blue": "3c5fb9 283264 6e9be1 aac8f0 1e2442 50648c",
    "purple": "7d50a5 503778 aa87cd cdb4e1",
    "pink": "f5a0b9 e16e96 facdd7",
}
"""Danbooru's colour words for clothes with typical drawn tones in light and in shade, sRGB; navy is `blue` there and beige `brown`. Own choice."""
_TONE_NAMES = tuple(name for name, tones in _TONES.items() for _ in tones.split())
_TONE_RGB = np.frombuffer(bytes.fromhex(" ".join(_TONES.values())), np.uint8).reshape(-1, 3)
_TONE_LAB = lab_of(_TONE_RGB.astype(np.float32) / np.float32(255))
_ZONE_AREA = tuple((zone[1] - zone[0]) * (zone[2] + zone[3]) for zone in ZONES)
_SECOND_COLOUR, _ANY_COLOUR = 0.22, 0.05
"""Shares of the clothes from which on a colour is in the name beside the main one, and is listed at all."""


def _colours(wears: Sequence[_Wear]) -> tuple[tuple[str, float], ...]:
    """The clothes' colours and the share of each, largest first: every zone as large as it is on a body, every track that shows it counting once."""
    shares: dict[str, float] = defaultdict(float)
    for index, area in enumerate(_ZONE_AREA):
        showing = [wear.zones[index] for wear in wears if len(wear.zones[index])]
        for zone in showing:
            apart = np.linalg.norm((zone[:, None, 1:] - _TONE_LAB[None]) * np.array([0.5, 1, 1]), axis=2)
            for part, tone in zip(zone[:, 0], apart.argmin(axis=1), strict=True):
                shares[_TONE_NAMES[tone]] += area * float(part) / float(zone[:, 0].sum()) / len(showing)
    total = sum(shares.values())
    named = [(name, round(share / total, 3)) for name, share in shares.items() if share >= _ANY_COLOUR * total]
    return tuple(sorted(named, key=lambda item: (-item[1], item[0])))


def _outfit_names(groups: Sequence[Sequence[_Wear]]) -> list[str]:
    """A name for each group, all different: garment; garment with its colour where two have the same; colours where no tag names a garment; a
    number where all that is not enough, for the smaller one."""
    garments = [_garment(group) for group in groups]
    names: list[str] = []
    for garment, group in zip(garments, groups, strict=True):
        measured = enumerate(_colours(group)[:2])
        colours = [colour for place, (colour, share) in measured if place == 0 or share >= _SECOND_COLOUR]
        if garment == UNKNOWN:
            name = "_".join([*colours, "outfit"])
        elif garments.count(garment) == 1:
            name = garment
        else:
            name = "_".join([*(_tagged_colour(group, garment) or colours[:1]), garment])
        numbered = (name, *(f"{name}_{number}" for number in range(2, len(groups) + 1)))
        names.append(next(one for one in numbered if one not in names))
    return names


def _tagged_colour(wears: Sequence[_Wear], garment: str) -> list[str]:
    """The colour that the tags give the garment (`blue_dress`), if they do."""
    shares = _tag_shares(wears)
    found = {colour: shares.get(f"{colour}_{garment}", 0.0) for colour in _TONES}
    best = max(found, key=lambda colour: found[colour])
    return [best] if found[best] >= NAMED else []
