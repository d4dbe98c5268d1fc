"""Sample prompts for watching a training, made of the set's own captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from animeset_lib.published.reader import CharacterSet
from animeset_lib.words.spelling import is_emoticon
from animeset_lib.words.vocabulary import UNKNOWN, category_of, outfit_of

__all__ = ["NEGATIVE", "SamplePrompt", "sample_prompts"]

NEGATIVE = "lowres, bad anatomy, bad hands, extra digits, text, watermark, signature, blurry, jpeg artifacts"
"""What the picture shall not have; booru words for common faults of generated pictures."""

_FRAMINGS = ("portrait", "upper_body", "full_body")
_OTHER_OUTFITS = ("kimono", "winter_coat", "business_suit", "wedding_dress", "hoodie")
_OTHER_PLACES = ("beach", "forest", "library", "city", "snow")
_COMMON = 0.6
"""A hair or eye tag on at least this share of the captions belongs into every prompt: the captions do not leave it to the trigger."""


@dataclass(frozen=True)
class SamplePrompt:
    """`shows` says for a person what to look for in the sample."""

    text: str
    shows: str


def sample_prompts(character: CharacterSet) -> tuple[SamplePrompt, ...]:
    """Four to six prompts: the trigger alone, the framings with the most frequent words of each kind, and what the set lacks.

    They are spelled (underscores or blanks) as the captions are. The same for equal captions, whatever their order.
    """
    captions = [picture.tags for picture in character.pictures]
    trigger = character.trigger
    plain = any("_" in tag and not is_emoticon(tag) for caption in captions for tag in caption if tag != trigger)
    spaced = any(" " in tag for caption in captions for tag in caption if tag != trigger)
    underscores = plain or not spaced
    words = _words(captions, trigger)
    style = _style(captions)
    always = [
        *_most(words, "people", len(captions), 2, 0.5),
        *_most(words, "hair", len(captions), 3, _COMMON),
        *_most(words, "eyes", len(captions), 1, _COMMON),
    ]
    own_outfit = _usual_clothes(character)
    emotion = _most(words, "emotion", len(captions), 1, 0.0)
    place = _most(words, "background", len(captions), 1, 0.0)
    named = {tag for counts in words.values() for tag in counts}
    new_outfit = next((one for one in _OTHER_OUTFITS if not _wears(named, one)), _OTHER_OUTFITS[-1])
    new_place = next((one for one in _OTHER_PLACES if one not in named), _OTHER_PLACES[-1])

    def prompt(shows: str, *parts: str) -> SamplePrompt:
        spelled = [part if underscores or is_emoticon(part) else part.replace("_", " ") for part in (*parts, *style)]
        return SamplePrompt(", ".join(dict.fromkeys([trigger, *spelled])), shows)

    portrait, upper, full = _FRAMINGS
    prompts = [
        SamplePrompt(trigger, "what the trigger alone brings"),
        prompt("the face", *always, portrait, *emotion),
        prompt("the figure as the film shows it", *always, *own_outfit, upper, *place),
        prompt("the whole figure", *always, *own_outfit, full, "standing"),
        prompt("an outfit that the set lacks: does the character stay itself?", *always, new_outfit, upper),
        prompt("a place that the set lacks: does the background stay free?", *always, *own_outfit, upper, new_place),
    ]
    return tuple({one.text: one for one in prompts}.values())


def _usual_clothes(character: CharacterSet) -> list[str]:
    """The words of the outfit that most pictures show, not of several at once."""
    counts = Counter(picture.outfit for picture in character.pictures if picture.outfit != UNKNOWN)
    usual = min(counts, key=lambda outfit: (-counts[outfit], outfit), default=UNKNOWN)
    captions = [picture.tags for picture in character.pictures if picture.outfit == usual]
    return _most(_words(captions, character.trigger), "outfit", len(captions), 3, 0.5)


def _words(captions: Sequence[Sequence[str]], trigger: str) -> dict[str, Counter[str]]:
    """Category → tag (with underscores) → number of captions."""
    words: dict[str, Counter[str]] = {}
    for caption in captions:
        for tag in {one.replace(" ", "_") for one in caption if one != trigger}:
            words.setdefault(category_of(tag), Counter())[tag] += 1
    return words


def _most(words: dict[str, Counter[str]], category: str, captions: int, most: int, share: float) -> list[str]:
    """The most frequent tags of a category on at least `share` of the captions, at most `most`."""
    counts = words.get(category, Counter())
    ranked = sorted(counts, key=lambda tag: (-counts[tag], tag))
    return [tag for tag in ranked if counts[tag] >= share * captions][:most]


def _style(captions: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The last tag where every caption ends in the same: a style word."""
    last = {caption[-1] for caption in captions if len(caption) > 1}
    return tuple(last) if len(last) == 1 else ()


def _wears(named: set[str], outfit: str) -> bool:
    """Whether the set shows this garment, under whatever colour."""
    kind = outfit_of({outfit: 1.0})
    return outfit in named or (kind != UNKNOWN and any(outfit_of({tag: 1.0}) == kind for tag in named))
