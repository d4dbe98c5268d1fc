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
from typing import Any, Literal, NamedTuple, get_args

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
    table: dict[str, tuple[Trait, ...]] = {}
    for name, album in albums.items():
        rest = [other for other in albums.values() if other is not album]
        traits = [_trait(tag, album, rest, core_share, core_lift) for tag in album.traits]
        traits.sort(key=lambda trait: (not trait.core, CATEGORIES.index(trait.category), -trait.share, trait.tag))
        table[name] = tuple(traits)
    return table


class _Count(NamedTuple):
    showing: int
    having: int
    share: float


class _Album:
    """The pictures of one character by what is on them. Which tags say the same more exactly is asked once for the whole cast (`exact`: a trait →
    itself and these), not anew for every picture: a long film has millions of such pairs."""

    def __init__(self, pictures: Sequence[Pictured], exact: Mapping[str, Sequence[str]]) -> None:
        self.pictures = pictures
        self._exact = exact
        self._counts: dict[str, _Count] = {}
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

    def count(self, tag: str) -> _Count:
        """How often the tag, or a more exact one, is on the pictures that show such a thing at all."""
        if tag not in self._counts:
            having = {place for own in self._exact[tag] for place in self._tagged.get(own, ())}
            showing = having | self._showing(tag)
            per_track: dict[str, list[bool]] = defaultdict(list)
            for place in sorted(showing):
                per_track[self.pictures[place].track].append(place in having)
            share = sum(sum(said) / len(said) for said in per_track.values()) / max(1, len(per_track))
            self._counts[tag] = _Count(len(showing), len(having), share)
        return self._counts[tag]

    def _showing(self, tag: str) -> set[int]:
        if _of_the_body(tag):
            return self._body.get(category_of(tag), set())
        return set().union(*(places for framing, places in self._framed.items() if visible(tag, framing) > 0))


def _of_the_body(tag: str) -> bool:
    return category_of(tag) in CORE_CATEGORIES and not is_accessory(tag)


def _trait(tag: str, album: _Album, rest: Sequence[_Album], core_share: float, core_lift: float) -> Trait:
    pictures, count, share = album.count(tag)
    others = [other.count(tag).share for other in rest if other.count(tag).showing]
    rest_share = sum(others) / len(others) if others else None
    lift = None if rest_share is None else (share + _SMOOTHING) / (rest_share + _SMOOTHING)
    if is_accessory(tag):
        core = share >= max(core_share, _WORN_SHARE) and lift is not None and lift >= core_lift
    else:
        core = _of_the_body(tag) and share >= core_share
    return Trait(
        tag=tag,
        category=category_of(tag),
        pictures=pictures,
        count=count,
        share=round(share, _DECIMALS),
        rest_share=None if rest_share is None else round(rest_share, _DECIMALS),
        lift=None if lift is None else round(lift, _DECIMALS),
        core=core and count >= min(_SUPPORT, len(album.pictures)),
    )


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
    return _covered(tag, core) or (policy == "drop_all" and _of_the_body(tag))


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
    """What a caption says that its trigger word should learn, and what is wrong with the trigger; one sentence each, empty when all is well.

    traits         what a published traits.json says. Its `dropped` must not, its `kept` may stand in the caption whatever the policy; a dropped tag
                   is also found inside a longer one (`blue hair` in `long blue hair`), but not in the name of a thing (`blue_hair_ribbon`)
    caption_tags   the parts of the caption, with underscores or spaces, in order

    Raises `KeyError` where a field is missing.
    """
    found = []
    trigger, trigger_first, policy = (traits[key] for key in ("trigger", "trigger_first", "policy"))
    dropped, kept = ([normalise(tag) for tag in traits[key]] for key in ("dropped", "kept"))
    words = [same_word(tag) for tag in caption_tags]
    wanted = same_word(trigger)
    if wanted not in words:
        found.append(f"the trigger word {trigger} is missing")
    elif trigger not in caption_tags:
        found.append(f"the trigger word {trigger} is spelled {caption_tags[words.index(wanted)]}")
    elif trigger_first and words[0] != wanted:
        found.append(f"the trigger word {trigger} does not come first")
    for written, same in zip(caption_tags, words, strict=True):
        tag = normalise(written)
        if same == wanted or tag in kept or (_covered(tag, kept) and tag not in dropped):
            continue
        cause = next((f"{other} is left out" for other in dropped if _tells(tag, other)), None)
        if cause is None and policy == "drop_all" and _of_the_body(tag):
            cause = "all traits are left out"
        if cause is not None:
            found.append(f"{written} tells what the trigger word should learn ({cause})")
    return found


def _tells(tag: str, dropped: str) -> bool:
    if tag == dropped or more_exact(tag, dropped):
        return True
    words, wanted = tag.split("_"), dropped.split("_")
    if not set(wanted) <= set(words):
        return False
    # `long_blue_hair` and `girl_with_blue_hair` tell of blue hair, `blue_hair_ribbon` of a ribbon.
    return words[-1] == wanted[-1] or (f"_{dropped}_" in f"_{tag}_" and category_of(tag) == "other")
