"""Tags and scores → one line of text: their order, the template, the limit."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from animeset_lib.settings import CaptionSettings
from animeset_lib.words.spelling import clean_tag, same_word, spelled
from animeset_lib.words.vocabulary import CATEGORIES, SOLO, category_of

__all__ = ["order_tags", "trigger_first", "trigger_in", "trigger_of", "with_trigger", "write_caption"]

_NAMES = ("{trigger}", "{charname}")


def order_tags(general: Mapping[str, float]) -> tuple[str, ...]:
    """Clean booru tags by category, then score, then name; each once.

    >>> order_tags({"smile": 0.9, "solo": 0.99, "blue hair": 0.8, "1girl": 0.98})
    ('1girl', 'solo', 'blue_hair', 'smile')
    """
    scores: dict[str, float] = {}
    for raw, score in general.items():
        if tag := clean_tag(raw):
            scores[tag] = max(score, scores.get(tag, 0.0))
    # `1girl, solo`: the count goes first, as in every booru-captioned set.
    return tuple(sorted(scores, key=lambda tag: (CATEGORIES.index(category_of(tag)), tag == SOLO, -scores[tag], tag)))


def trigger_of(character: str, settings: CaptionSettings) -> str:
    """The word that the training ties to the character, as every caption spells it: `settings.trigger`, or the character's name where that is empty
    or the template has no `{trigger}`. One line without commas; a trigger may hold spaces, a name has underscores instead.

    >>> trigger_of("hana", CaptionSettings()), trigger_of("hana", CaptionSettings(trigger="{charname} (my film)"))
    ('hana', 'hana (my film)')
    """
    name = clean_tag(character)
    if "{trigger}" not in settings.fields or not settings.trigger:
        return name
    text = "".join(c if not unicodedata.category(c).startswith("C") else " " for c in settings.trigger)
    return " ".join(re.sub(r"\s+", " ", text).replace("{charname}", name).replace(",", " ").split())


def trigger_first(settings: CaptionSettings) -> bool:
    """Whether the template begins with the trigger word."""
    return settings.fields[0] in _NAMES


def trigger_in(captions: Iterable[Sequence[str]], traits: object) -> str:
    """The word that the training ties to a character, by its captions (tags in order) as they are now and what its traits.json holds.

    It is the word that `traits` calls so, as the captions spell it, where at least half of them begin with it (hold it, where the template puts
    other words first). Captions may have been written anew with another trigger since: then it is the tag with the character's name in it that
    half of them hold, else the most frequent first tag; of equally frequent ones the first by name. Empty where no caption has a tag.
    """
    tagged = [tags for tags in captions if tags]
    told = traits if isinstance(traits, Mapping) else {}
    said, first = same_word(str(told.get("trigger", ""))), told.get("trigger_first")
    counts = Counter(tag for tags in tagged for tag in (tags[:1] if first else tags) if same_word(tag) == said)
    if 2 * counts.total() < max(1, len(tagged)) and (name := same_word(str(told.get("character", "")))):
        named = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
        counts = Counter(tag for tags in tagged for tag in dict.fromkeys(tags) if named.search(same_word(tag)))
    if 2 * max(counts.values(), default=0) < max(1, len(tagged)):
        counts = Counter(tags[0] for tags in tagged)
    return min(counts, key=lambda tag: (-counts[tag], tag), default="")


def with_trigger(text: str, old: str, new: str) -> str:
    """A caption in which `new` stands where the trigger word `old` stood; everything else byte for byte. Without `old` in it, it stays as it is.

    >>> with_trigger("character_01, 1girl, smile", "character_01", "hana")
    'hana, 1girl, smile'
    """
    parts = text.split(",")
    keys = [same_word(part) for part in parts]
    if old == new or not same_word(new) or same_word(old) not in keys:
        return text
    parts = [
        part.replace(part.strip(), new) if key == same_word(old) else part
        for part, key in zip(parts, keys, strict=True)
    ]
    keys = [same_word(part) for part in parts]
    once = [
        part for index, part in enumerate(parts) if keys[index] != same_word(new) or index == keys.index(same_word(new))
    ]
    end = text[len(text.rstrip("\r\n")) :]
    return ",".join(once).strip() + end


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

    The trigger word is left as it is, for it must always be spelled alike, and stands where the first of `{trigger}` and `{charname}` does: it holds
    the name, which is not written a second time. A tag that reads the same as either is left out.

    >>> write_caption("hana", ["1girl", "blue_hair", "smile"], ["blue_hair"], CaptionSettings(underscores=False))
    'hana, 1girl, smile, anime style'
    """
    pruned = set(pruned)
    trigger = trigger_of(character, settings)
    named = {same_word(trigger), same_word(clean_tag(character))}
    parts: dict[str, str] = {}
    tag_of: dict[str, str] = {}

    def put(text: str, tag: str | None = None) -> None:
        key = same_word(text)
        if not key or key in parts or key in named:
            return
        parts[key] = text
        if tag is not None:
            tag_of[key] = tag

    for field in settings.fields:
        if field in _NAMES:
            parts.setdefault(same_word(trigger), trigger)
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
