"""Captions of a data set: is each one well written, and does it say whose picture it is."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from animeset_lib.export.loaded import Loaded, LoadedPicture, LoadedSet
from animeset_lib.export.notes import Notes, trigger_of_export
from animeset_lib.export.texts import tag_key, tags_of
from animeset_lib.words.vocabulary import category_of

__all__ = ["Triggers", "check_caption", "estimated_tokens"]

MOST_TOKENS = 225
"""Three times 75, the most that trainers read of a caption."""
_TRIGGER_SHARE = 0.2
"""Share of a set's captions that begin with a word for it to be taken for a trigger."""


def estimated_tokens(caption: str) -> int:
    """About how many tokens CLIP makes of `caption`, without its dictionary: one per sign and digit, one per six letters begun of a word,
    two per letter that is not ASCII. An estimate: it was not compared with CLIP itself.
    """
    tokens = 0
    for word in re.findall(r"[A-Za-z]+|[^\sA-Za-z]", caption):
        tokens += -(-len(word) // 6) if word[0].isascii() and word[0].isalpha() else 1 if word.isascii() else 2
    return tokens


def check_caption(notes: Notes, picture: LoadedPicture) -> None:
    where = picture.edited_at
    for caption in dict.fromkeys(picture.captions):
        if not caption.strip():
            continue  # told by the loader
        tags = tags_of(caption)
        if "" in tags:
            notes.warning("empty_tag", where, "has commas with nothing between them; take the spare ones out")
        twice = sorted(tag for tag, count in Counter(tag_key(tag) for tag in tags if tag).items() if count > 1)
        if twice:
            notes.warning("double_tag", where, f"says {', '.join(twice)} more than once; once is enough")
        if any(unicodedata.category(char)[0] == "C" for char in caption.replace("\n", " ").replace("\r", " ")):
            notes.warning("control_characters", where, "holds control characters; take them out")
        tokens = estimated_tokens(caption)
        if tokens > MOST_TOKENS:
            words = (
                f"is about {tokens} tokens long; trainers read at most {MOST_TOKENS}, the rest is cut off: shorten it"
            )
            notes.warning("long_caption", where, words)


class Triggers:
    """Which words the sets of one load tie to their characters, found in config, folder names and captions."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._sets = {id(one): self._of(one) for one in loaded.sets}
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for one in loaded.sets:
            for picture in one.pictures:
                for caption in picture.captions:
                    for tag in tags_of(caption):
                        spellings[tag_key(tag)][tag] += 1
        self._spelling = {key: ways.most_common(1)[0][0] for key, ways in spellings.items()}

    def learn(self, known: Set[str]) -> None:
        """A set that does not say its own trigger has the word of `known` (keys of triggers of other sets) that most of its captions hold as a tag,
        wherever it stands there: a template may put other words first."""
        for one in self._loaded.sets:
            if not self._sets[id(one)] and one.kind != "regularisation":
                captions = [picture.captions[0] for picture in one.pictures]
                held = Counter(
                    key for caption in captions for key in known & {tag_key(tag) for tag in tags_of(caption)}
                )
                best = min(held, key=lambda key: (-held[key], key), default="")
                if held[best] * 2 > len(captions):
                    self._sets[id(one)] = (best,)

    @property
    def words(self) -> set[str]:
        """Keys of all triggers of the load."""
        return {word for words in self._sets.values() for word in words}

    @staticmethod
    def spelled(all_of_them: Iterable[Triggers], word: str) -> str:
        """The trigger `word` as captions write it."""
        return next((one._spelling[word] for one in all_of_them if word in one._spelling), word)

    def group(self, one: LoadedSet) -> str:
        """What the set is counted under: its trigger, else its name."""
        words = self._sets[id(one)]
        return self._spelling.get(words[0], words[0]) if words else one.trigger or one.name

    def _of(self, one: LoadedSet) -> tuple[str, ...]:
        """Keys of the set's triggers, the most frequent first; none where there is nothing to go by.

        What our export, config or folder name, if most captions hold it; else the words that captions begin with, unless they are plain tags. What is
        sure stands all the same, unless most captions begin with one other word: they were written anew with that.
        """
        if one.kind == "regularisation":
            return ()
        captions = [caption for picture in one.pictures for caption in picture.captions[:1] if caption.strip()]
        exported = tag_key(trigger_of_export(one.pictures[0].path)) if one.pictures else ""
        declared = tag_key(one.trigger or "")
        for word in filter(None, (exported, declared)):
            if sum(_holds(caption, word) for caption in captions) * 2 > len(captions):
                return (word,)
        first = Counter(tag_key(tags_of(caption)[0]) for caption in captions)
        most = max(2, _TRIGGER_SHARE * len(captions))
        begin = tuple(word for word, count in first.most_common() if count >= most and _is_a_name(word))
        anew = bool(begin) and first[begin[0]] * 2 > len(captions)
        return (declared,) if declared and one.trigger_is_sure and not anew else begin

    def check(self, notes: Notes, one: LoadedSet, everyone: Mapping[str, str]) -> None:
        """Says whose captions lack the trigger, have it in another place than the rest, or name somebody else. `everyone`: key → spelling."""
        own = self._sets[id(one)]
        filled = [(picture.edited_at, text) for picture in one.pictures for text in picture.captions if text.strip()]
        in_front = sum(tag_key(tags_of(caption)[0]) in own for _, caption in filled)
        for where, caption in filled:
            self._check_one(notes, one, where, caption, everyone, first=in_front * 2 > len(filled))

    def _check_one(
        self, notes: Notes, one: LoadedSet, where: Path, caption: str, everyone: Mapping[str, str], first: bool
    ) -> None:
        """`first`: whether most captions of the set begin with the trigger."""
        own, name = self._sets[id(one)], self.group(one)
        keys = [tag_key(tag) for tag in tags_of(caption)]
        tagged = (key for key in keys if key in own)
        present = next(tagged, None) or next((key for key in own if _holds(caption, key)), None)
        # ai-toolkit puts a missing trigger before the first tag without a comma
        named = [key.removeprefix(f"{present} ") for key in keys]
        others = [key for key in named if key in everyone and key != present and (key not in own or present)]
        if others:
            words = f"names {everyone[others[0]]}, the trigger of another character; expected {name} alone"
            if one.kind == "regularisation":
                words = f"shows nobody, but names {everyone[others[0]]}"
            words = f"{words}: is the picture in the wrong set, or the caption wrong?"
            notes.error("other_trigger", where, words)
        elif own and present is None:
            words = f"does not hold the trigger {name}, so the picture teaches it nothing; got {caption[:60]!r}: put it first"
            notes.error("missing_trigger", where, words)
        elif own and (spelled := self._other_spelling(caption, own)) is not None:
            usual = self._spelling[tag_key(spelled)]
            words = f"spells the trigger {spelled!r}, most others {usual!r}; to a trainer these are two words"
            notes.warning("trigger_spelling", where, words)
        elif own and first and keys[0] not in own and not keys[0].startswith(f"{present} "):
            words = f"not with {name} as the others do; where tags are shuffled it may be dropped"
            notes.warning("trigger_not_first", where, f"begins with {tags_of(caption)[0]!r}, {words}")

    def _other_spelling(self, caption: str, own: Sequence[str]) -> str | None:
        """The trigger as `caption` writes it, where most captions write it otherwise."""
        return next(
            (tag for tag in tags_of(caption) if tag_key(tag) in own and tag != self._spelling[tag_key(tag)]), None
        )


def _holds(caption: str, key: str) -> bool:
    """Whether the trigger stands in `caption`, as a tag or as words in a sentence."""
    return re.search(rf"(?<!\w){re.escape(key)}(?!\w)", tag_key(caption)) is not None


def _is_a_name(word: str) -> bool:
    """Whether a tag that captions begin with can be a trigger: no plain tag, no sentence."""
    return bool(word) and category_of(word.replace(" ", "_")) == "other" and len(word.split()) <= 4
