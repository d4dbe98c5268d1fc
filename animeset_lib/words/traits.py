"""What belongs to a character itself: how often each trait is on its pictures, how telling that is, and which ones captions leave to the trigger.

Only pictures of the character alone are counted. Each track (one figure through one shot) weighs 1, however many pictures were cut from it:
a long close-up would otherwise decide what everybody looks like.

share       of the weight of the pictures that show such a thing at all. Hair, eyes and body are shown where any tag of that category is;
            clothes and worn things where the framing shows the place they are worn at.
rest_share  the mean of the other characters' shares, each character counting once
lift        (share + 0.05) / (rest_share + 0.05): how many times as often as on the others; at most 21
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from animeset_lib.words.cleaning import normalise
from animeset_lib.words.overlap import more_exact
from animeset_lib.words.spelling import same_word
from animeset_lib.words.visibility import visible
from animeset_lib.words.vocabulary import CATEGORIES, CORE_CATEGORIES, TRAIT_CATEGORIES, category_of, is_accessory

__all__ = [
    "POLICIES",
    "Pictured",
    "Policy",
    "Trait",
    "TraitChoice",
    "core_of",
    "leaks",
    "leaks_of",
    "left_out",
    "table_of",
    "trait_table",
    "traits_json",
]

Policy = Literal["keep", "drop", "drop_all"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

_SUPPORT = 3
"""A trait seen on fewer pictures than this (or on fewer than all, when there are not as many) may be chance and is never core."""
_WORN_SHARE = 0.85
"""What is worn can be taken off: it must almost always be there before it belongs to the character."""
_SMOOTHING = 0.05
_DECIMALS = 4


@dataclass(frozen=True)
class Pictured:
    """One picture of one character alone: cleaned tags, its framing (face, upper_body, full, frame), and the track it belongs to."""

    character: str
    tags: Sequence[str]
    framing: str
    track: str


@dataclass(frozen=True)
class Trait:
    """One tag of hair, eyes, body or clothes on one character's pictures; see the module. Shares 0..1.

    pictures    that show such a thing at all
    count       of them have the tag, or a more exact one
    rest_share  None, as is `lift`, where no other character shows such a thing
    core        whether it belongs to the character itself by measure
    """

    tag: str
    category: str
    pictures: int
    count: int
    share: float
    rest_share: float | None
    lift: float | None
    core: bool


@dataclass(frozen=True)
class TraitChoice:
    """What a person wants for one character. `policy` None: as the settings say."""

    policy: Policy | None = None
    always_drop: tuple[str, ...] = ()
    always_keep: tuple[str, ...] = ()


def trait_table(pictures: Sequence[Pictured], core_share: float, core_lift: float) -> dict[str, tuple[Trait, ...]]:
    """Character → its traits, core ones first, then by category and share. Characters are those of `pictures`, by name.

    Hair, eyes and body are core from a share of `core_share` on. Worn things (`vocabulary.is_accessory`) are core where their share is at least
    0.85 (or `core_share`, if that is larger) and their lift `core_lift`. Other clothes never are.
    """
    cast: dict[str, list[Pictured]] = defaultdict(list)
    for picture in pictures:
        cast[picture.character].append(picture)
    vocabulary = sorted({tag for picture in pictures for tag in picture.tags})
    exact = {
        tag: [other for other in vocabulary if other == tag or more_exact(other, tag)]
        for tag in vocabulary
        if category_of(tag) in TRAIT_CATEGORIES
    }
    albums = {name: _Album(cast[name], exact) for name in sorted(cast)}
    counts = {name: _counts(albums[name]) for name in albums}
    least = {name: min(_SUPPORT, len(cast[name])) for name in cast}
    return {
        name: tuple(
            sorted(
                (_trait(tag, name, counts, least[name], core_share, core_lift, albums) for tag in counts[name]),
                key=lambda trait: (not trait.core, CATEGORIES.index(trait.category), -trait.share, trait.tag),
            )
        )
        for name in counts
    }


@dataclass(frozen=True)
class _Count:
    pictures: int
    count: int
    share: float


class _Album:
    """The pictures of one character by what is on them. Which tags say the same more exactly is asked once for the whole cast (`exact`: a trait →
    itself and these), not anew for every picture: a long film has millions of such pairs."""

    def __init__(self, pictures: Sequence[Pictured], exact: Mapping[str, Sequence[str]]) -> None:
        self.pictures = pictures
        self._exact = exact
        self._tagged: dict[str, set[int]] = defaultdict(set)
        self._framed: dict[str, set[int]] = defaultdict(set)
        self._body: dict[str, set[int]] = defaultdict(set)
        for place, picture in enumerate(pictures):
            self._framed[picture.framing].add(place)
            for tag in picture.tags:
                self._tagged[tag].add(place)
                if not is_accessory(tag):
                    self._body[category_of(tag)].add(place)

    @property
    def traits(self) -> list[str]:
        return sorted(tag for tag in self._tagged if tag in self._exact)

    def having(self, tag: str) -> set[int]:
        """Places of the pictures that have the tag, or a more exact one."""
        return {place for own in self._exact[tag] for place in self._tagged.get(own, ())}

    def showing(self, tag: str) -> set[int]:
        """Places of the pictures that show such a thing at all."""
        category = category_of(tag)
        if category in CORE_CATEGORIES and not is_accessory(tag):
            return self.having(tag) | self._body.get(category, set())
        seen = (places for framing, places in self._framed.items() if visible(tag, framing) > 0)
        return self.having(tag).union(*seen)


def _trait(
    tag: str,
    name: str,
    counts: Mapping[str, Mapping[str, _Count]],
    least: int,
    core_share: float,
    core_lift: float,
    albums: Mapping[str, _Album],
) -> Trait:
    own = counts[name][tag]
    others = [
        share
        for other in counts
        if other != name and (share := _share_of(tag, counts[other], albums[other])) is not None
    ]
    rest = sum(others) / len(others) if others else None
    lift = None if rest is None else (own.share + _SMOOTHING) / (rest + _SMOOTHING)
    category = category_of(tag)
    enough = own.count >= least
    if is_accessory(tag):
        core = enough and own.share >= max(core_share, _WORN_SHARE) and lift is not None and lift >= core_lift
    else:
        core = enough and category in CORE_CATEGORIES and own.share >= core_share
    return Trait(
        tag=tag,
        category=category,
        pictures=own.pictures,
        count=own.count,
        share=round(own.share, _DECIMALS),
        rest_share=None if rest is None else round(rest, _DECIMALS),
        lift=None if lift is None else round(lift, _DECIMALS),
        core=core,
    )


def _counts(album: _Album) -> dict[str, _Count]:
    """Tag → how often, for every trait on these pictures of one character."""
    return {tag: _count(tag, album) for tag in album.traits}


def _count(tag: str, album: _Album) -> _Count:
    having, showing = album.having(tag), album.showing(tag)
    per_track: dict[str, list[bool]] = defaultdict(list)
    for place in sorted(showing):
        per_track[album.pictures[place].track].append(place in having)
    share = sum(sum(said) / len(said) for said in per_track.values()) / len(per_track) if per_track else 0.0
    return _Count(len(showing), len(having), share)


def _share_of(tag: str, counts: Mapping[str, _Count], album: _Album) -> float | None:
    """Share of `tag` on another character's pictures; None where they show nothing of the kind."""
    found = counts[tag] if tag in counts else _count(tag, album)
    return found.share if found.pictures else None


def core_of(traits: Iterable[Trait]) -> list[str]:
    """The core tags of one character, in the table's order."""
    return [trait.tag for trait in traits if trait.core]


def left_out(tag: str, policy: Policy, core: Collection[str], choice: TraitChoice = TraitChoice()) -> bool:
    """Whether captions leave `tag` to the trigger word.

    keep      nothing of it
    drop      the core traits, and what says the same more exactly (`very_long_hair` where `long_hair` is core)
    drop_all  every tag of hair, eyes and body, core or not, and the core of what is worn

    `choice` overrides `policy` (which it may replace): what is named exactly there comes first, then `always_keep`, then `always_drop`.
    """
    if tag in choice.always_keep or tag in choice.always_drop:
        return tag in choice.always_drop
    if _covered(tag, choice.always_keep):
        return False
    if _covered(tag, choice.always_drop):
        return True
    policy = choice.policy or policy
    if policy == "keep":
        return False
    return _covered(tag, core) or (
        policy == "drop_all" and category_of(tag) in CORE_CATEGORIES and not is_accessory(tag)
    )


def _covered(tag: str, tags: Iterable[str]) -> bool:
    return any(tag == other or more_exact(tag, other) for other in tags)


def traits_json(
    character: str,
    trigger: str,
    policy: Policy,
    traits: Sequence[Trait],
    *,
    pictures: int,
    tracks: int,
    choice: TraitChoice = TraitChoice(),
    trigger_first: bool = True,
) -> dict[str, Any]:
    """What is published as traits.json.

    policy           that holds for this character: that of `choice`, else `policy`, which is also kept as settings_policy
    pictures, tracks that were counted
    dropped          words that its captions leave out: the core traits (unless kept) and `always_drop`; with drop_all also every other trait
    kept             `always_keep`
    """
    holds = choice.policy or policy
    dropped = [trait.tag for trait in traits if left_out(trait.tag, holds, core_of(traits), choice)]
    return {
        "character": character,
        "trigger": trigger,
        "trigger_first": trigger_first,
        "policy": holds,
        "settings_policy": policy,
        "pictures": pictures,
        "tracks": tracks,
        "dropped": [*dropped, *(tag for tag in choice.always_drop if tag not in dropped)],
        "kept": list(choice.always_keep),
        "traits": [asdict(trait) for trait in traits],
    }


def table_of(traits: Mapping[str, Any]) -> tuple[Trait, ...]:
    """The table in what a published traits.json says. Raises `KeyError` or `TypeError` where a field is missing or too much."""
    return tuple(Trait(**trait) for trait in traits["traits"])


def leaks_of(traits: Mapping[str, Any], caption_tags: Sequence[str]) -> list[str]:
    """`leaks` with what a published traits.json says. Raises `KeyError` where it lacks a field."""
    return leaks(
        caption_tags,
        traits["trigger"],
        traits["policy"],
        traits["dropped"],
        traits["kept"],
        trigger_first=traits["trigger_first"],
    )


def leaks(
    caption_tags: Sequence[str],
    trigger: str,
    policy: str,
    dropped: Collection[str],
    kept: Collection[str] = (),
    *,
    trigger_first: bool = True,
) -> list[str]:
    """What a caption says that its trigger word should learn, and what is wrong with the trigger; one sentence each, empty when all is well.

    caption_tags   the parts of the caption, with underscores or spaces, in order
    dropped, kept  tags that must not, and may, stand in it whatever the policy; a dropped one is also found inside a longer one (`blue hair`
                   in `long blue hair`), but not in the name of a thing (`blue_hair_ribbon`)
    """
    found = []
    words = [same_word(tag) for tag in caption_tags]
    wanted = same_word(trigger)
    if wanted not in words:
        found.append(f"the trigger word {trigger} is missing")
    elif trigger not in caption_tags:
        found.append(f"the trigger word {trigger} is spelled {caption_tags[words.index(wanted)]}")
    elif trigger_first and words[0] != wanted:
        found.append(f"the trigger word {trigger} does not come first")
    plain = [normalise(tag) for tag in dropped]
    allowed = {normalise(tag) for tag in kept}
    for written, same in zip(caption_tags, words, strict=True):
        tag = normalise(written)
        if same == wanted or tag in allowed or (_covered(tag, allowed) and tag not in plain):
            continue
        cause = next((other for other in plain if _tells(tag, other)), None)
        if cause is not None:
            found.append(f"{written} tells what the trigger word should learn ({cause} is left out)")
        elif policy == "drop_all" and category_of(tag) in CORE_CATEGORIES and not is_accessory(tag):
            found.append(f"{written} tells what the trigger word should learn (all traits are left out)")
    return found


def _tells(tag: str, dropped: str) -> bool:
    if tag == dropped or more_exact(tag, dropped):
        return True
    words, wanted = tag.split("_"), dropped.split("_")
    if not set(wanted) <= set(words):
        return False
    # `long_blue_hair` and `girl_with_blue_hair` tell of blue hair, `blue_hair_ribbon` of a ribbon.
    return words[-1] == wanted[-1] or (_within(words, wanted) and category_of(tag) == "other")


def _within(words: Sequence[str], wanted: Sequence[str]) -> bool:
    return any(list(words[i : i + len(wanted)]) == list(wanted) for i in range(len(words)))
