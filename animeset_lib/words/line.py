"""Tags and scores → one line of text: their order, the template, the limit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from animeset_lib.settings import CaptionSettings
from animeset_lib.words.spelling import clean_tag, same_word, spelled
from animeset_lib.words.vocabulary import CATEGORIES, SOLO, category_of

__all__ = ["order_tags", "trigger_first", "trigger_of", "write_caption"]

_NAMES = ("{trigger}", "{charname}")


def order_tags(general: Mapping[str, float]) -> tuple[str, ...]:
    """Clean booru tags by category, then score, then name; each once."""
    scores: dict[str, float] = {}
    for raw, score in general.items():
        if tag := clean_tag(raw):
            scores[tag] = max(score, scores.get(tag, 0.0))
    # `1girl, solo`: the count goes first, as in every booru-captioned set.
    return tuple(sorted(scores, key=lambda tag: (CATEGORIES.index(category_of(tag)), tag == SOLO, -scores[tag], tag)))


def trigger_of(character: str, settings: CaptionSettings) -> str:
    """The word that the training ties to the character, as every caption spells it: `settings.trigger`, or the character's name where that is empty
    or the template has no `{trigger}`. One line without commas; a trigger may hold spaces, a name has underscores instead.
    """
    name = clean_tag(character)
    if "{trigger}" not in settings.fields or not settings.trigger:
        return name
    text = "".join(c if not unicodedata.category(c).startswith("C") else " " for c in settings.trigger)
    return " ".join(re.sub(r"\s+", " ", text).replace("{charname}", name).replace(",", " ").split())


def trigger_first(settings: CaptionSettings) -> bool:
    """Whether the template begins with the trigger word."""
    return settings.fields[0] == ("{trigger}" if "{trigger}" in settings.fields else "{charname}")


def write_caption(
    character: str,
    tags: Sequence[str],
    pruned: Iterable[str],
    settings: CaptionSettings,
    scores: Mapping[str, float] | None = None,
) -> str:
    """One non-empty line after `settings.template`, its parts separated by `, `, none twice (in whatever spelling).

    tags    in the order of `order_tags`
    pruned  tags that are not written
    scores  of the tags, 0..1; where `settings.max_tags` leaves some out, the lowest go first, those without a score before them

    The trigger word is left as it is, for it must always be spelled alike; a tag that reads the same as it is left out.
    """
    pruned = set(pruned)
    trigger = trigger_of(character, settings)
    parts: dict[str, str] = {}
    tag_of: dict[str, str] = {}

    def put(text: str, tag: str | None = None) -> None:
        key = same_word(text)
        if not key or key in parts or key == same_word(trigger):
            return
        parts[key] = text
        if tag is not None:
            tag_of[key] = tag

    for field in settings.fields:
        if field in _NAMES:
            name = trigger if field == "{trigger}" else clean_tag(character)
            if same_word(name) == same_word(trigger):
                parts.setdefault(same_word(trigger), trigger)
            put(name)
        elif field == "{style}":
            put(spelled(clean_tag(settings.style), settings.underscores))
        elif field.startswith("{"):
            for tag in tags:
                if category_of(tag) == field[1:-1] and tag not in pruned:
                    put(spelled(tag, settings.underscores), tag)
        else:
            put(spelled(clean_tag(field), settings.underscores))
    for key in _beyond(tag_of, settings.max_tags, scores or {}):
        del parts[key]
    return ", ".join(parts.values())


def _beyond(tag_of: Mapping[str, str], most: int, scores: Mapping[str, float]) -> list[str]:
    """Keys of the tags over the limit: the least certain, and of equally certain ones those that stand later."""
    if not most:
        return []
    certain = sorted(tag_of, key=lambda key: -scores.get(tag_of[key], 0.0))
    return certain[most:]
