"""Which tag says the same as another one, only more exactly: `very_long_hair` of `long_hair`, `witch_hat` of `hat`, `beret` of `hat`.

Danbooru's names put the thing last and what it is like before it, so a tag is the more exact one when it ends with the other's words. A table
of `vocabulary.toml` holds what names do not show.
"""

from __future__ import annotations

import re
from functools import lru_cache

from animeset_lib.words.vocabulary import category_of, listed, meanings

__all__ = ["more_exact"]

_KINDS = listed("more_exact")
_LESS_EXACT = {
    kind: frozenset(general for general, kinds in _KINDS.items() if kind in kinds) for kind in meanings("more_exact")
}
_BEAST = re.compile(
    r"(bat|bear|bird|cat|cow|deer|dog|dragon|fox|goat|horse|lion|monkey|mouse|panda|pig|rabbit|raccoon|sheep|squirrel|tiger|wolf)_ears"
)
_NOT_SO = ("no", "unworn", "imminent", "after")
"""`no_bra` is no bra, `unworn_hat` none on a head."""


def more_exact(tag: str, general: str) -> bool:
    """Whether `tag` (clean, as `cleaning.normalise` gives it) holds everything that `general` says, and more."""
    if _one(tag) == _one(general) or not general:
        return False
    if general == "animal_ears" and _BEAST.fullmatch(tag):
        return True
    if general.endswith("ing") and tag.split("_")[0] == general:
        return category_of(tag) == "pose"  # `sitting_on_bed`
    return _one(general) in _said_by(tag)


# By tag, not by pair: a film has a thousand different tags, and a million pairs of them.
@lru_cache(maxsize=1 << 16)
def _said_by(tag: str) -> frozenset[str]:
    """What a tag is besides what it adds, in the singular, the tag itself included: `black_witch_hat` is a `witch_hat` and a `hat`."""
    words = tag.split("_")
    said = _is_also(tag)
    if words[0] in _NOT_SO or words[-1] == "outfit":  # `white_red_outfit` is another costume than `red_outfit`
        return frozenset(said)
    # `holding_hat` is no hat on a head, `hair_flower` no flower in a meadow.
    things = ("_".join(words[first:]) for first in range(1, len(words)))
    return frozenset(said.union(*(_is_also(thing) for thing in things if category_of(thing) == category_of(tag))))


def _is_also(thing: str) -> set[str]:
    return {_one(thing)}.union(*(_is_also(general) for general in _LESS_EXACT.get(thing, ())))


@lru_cache(maxsize=1 << 16)
def _one(tag: str) -> str:
    """In the singular: `twin_braids` are braids and hold a `braid`."""
    return tag[:-1] if tag.endswith("s") and not tag.endswith("ss") else tag
