"""The kinds of edits of captions, and what each makes of a caption. Nothing here reads or writes a file.

Every caption is one non-empty line of tags, separated by `, `; its first tag is the trigger word. After any edit a caption has no tabs, line breaks
or other control characters, no empty tag and no tag twice. Tags are compared as people read them: underscores are spaces, upper and lower case
are equal (`Long hair` is `long_hair`). They are written the way they were typed.
"""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import PurePosixPath
from typing import Any, Literal

import regex

from animeset_lib.errors import InputError
from animeset_lib.published.edit_log import Words
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.line import write_caption
from animeset_lib.words.spelling import same_word
from animeset_lib.words.trait_choices import TraitChoices
from animeset_lib.words.traits import left_out
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = [
    "ALL",
    "AddTags",
    "CaptionedPicture",
    "Change",
    "Edit",
    "Recaption",
    "RemoveTags",
    "ReplacePattern",
    "ReplaceTag",
    "RestoreCaptions",
    "Selection",
    "SetCaption",
    "TidyCaptions",
    "captions_after",
    "difference",
    "file_names",
    "first_names",
    "is_utf8",
    "shown",
    "tag_counts",
    "tag_key",
    "tags_of",
    "tidy_caption",
]

_PATTERN_SECONDS = 5.0
"""Most time one preview may spend in a regular expression, which can take years on a line of thirty letters (`(a|aa)+$`)."""
_NAMED = 3
"""Files named in a message; the rest is counted."""


@dataclass(frozen=True)
class CaptionedPicture:
    """One picture of a published set with its caption as it is on the disk now. What `metadata.jsonl` does not say is `unknown`."""

    character: str
    image: str
    """Path relative to the film folder, with `/`: `hero/dataset/images/hero_0001.png`."""
    crop: str
    """What the log calls it; pictures with one caption file are one."""
    row: Mapping[str, Any]
    """Of `metadata.jsonl`, empty where there is none."""
    machine_text: str | None
    """The caption that the program made, None where metadata.jsonl does not say it."""
    raw: str | None
    """The whole text of the caption file, None when there is none. Bytes that are not UTF-8 become lone surrogates."""
    trigger: str
    """The word that the run tied to the character."""

    @property
    def caption(self) -> str:
        """What the `.txt` says, without the line break at its end; empty when there is none. Bytes that are not UTF-8 are shown as `�`."""
        return shown(self.raw)

    @property
    def words(self) -> Words:
        """What the `.txt` says, as the log keeps it."""
        return Words(self.raw or "", self.trigger)

    @property
    def edited(self) -> bool:
        """Whether the `.txt` says another caption than the program, whoever changed, added or deleted it, and when: also before the last run, which
        kept it."""
        return not self.says(None)

    @property
    def problem(self) -> str:
        """What is wrong with its files, in words: no caption, not UTF-8, more than one line, no row in metadata.jsonl. Any edit mends the caption."""
        found = {
            "there is no caption file": self.raw is None,
            "the caption file is empty": self.raw is not None and not self.caption.strip(),
            "the caption is not UTF-8": not is_utf8(self.raw or ""),
            "the caption has more than one line": len(self.caption.splitlines()) > 1,
            "metadata.jsonl has no readable row for this picture": not self.row,
        }
        return "; ".join(words for words, true in found.items() if true)

    @property
    def time_ms(self) -> int | None:
        time_ms = self.row.get("time_ms")
        return time_ms if isinstance(time_ms, int) else None

    def said(self, attribute: str) -> str:
        """What its row says of its outfit, emotion, background or framing."""
        value = self.row.get(attribute)
        return value if isinstance(value, str) and value else UNKNOWN

    def text_under(self, words: Words | None) -> str | None:
        """What the `.txt` says with these words of the log; None where that would be the program's own caption, which is not known."""
        if words is not None:
            return words.under(self.trigger)
        return None if self.machine_text is None else f"{self.machine_text}\n"

    def says(self, words: Words | None) -> bool:
        """Whether the `.txt` is what the log's words, or the program's own caption, come to."""
        if words is None:
            return self.machine_text is not None and (self.raw or "").rstrip("\r\n") == self.machine_text
        return (self.raw or "") == words.under(self.trigger)

    def as_json(self) -> dict[str, Any]:
        about = {name: self.said(name) for name in ("outfit", "emotion", "background", "framing")}
        names = ("time_ms", "edited", "problem", "machine_text")
        start = {"character": self.character, "image": self.image, "caption": self.caption}
        return start | about | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Selection:
    """Which pictures an edit is about: these images, or one character's, or (neither given) all of the film.

    Of those, with tags (several are separated by commas) only the pictures whose captions have all of `with_tags` and none of `without_tags`.
    """

    images: tuple[str, ...] | None = None
    character: str | None = None
    with_tags: str = ""
    without_tags: str = ""


ALL = Selection()
NO_CHOICES = TraitChoices()


@dataclass(frozen=True)
class SetCaption:
    """One picture's whole caption. The only edit, with the two replacing ones, that may give it another trigger word."""

    image: str
    text: str


@dataclass(frozen=True)
class AddTags:
    """Adds tags (several are separated by commas) that a caption does not have yet, in the order given.

    A picture without a caption gets its character's trigger word first.
    """

    tags: str
    place: Literal["after_trigger", "end"] = "after_trigger"
    where: Selection = ALL


@dataclass(frozen=True)
class RemoveTags:
    """Removes tags (several are separated by commas). Refused when one of them is the first tag of a caption, or the trigger word that the
    character's traits.json names: a template may put other words before it."""

    tags: str
    where: Selection = ALL


@dataclass(frozen=True)
class ReplaceTag:
    """Puts another tag (or several, separated by commas) where `old` stands; also the trigger word, which is how it is renamed everywhere."""

    old: str
    new: str
    where: Selection = ALL


@dataclass(frozen=True)
class ReplacePattern:
    r"""Replaces every match of a regular expression (as the package `regex` reads it, case-sensitive unless it begins with `(?i)`) in the whole line.

    `replacement` may name groups (`\1`, `\g<name>`). Refused when the first tag would go, and when it takes longer than five seconds.
    """

    pattern: str
    replacement: str
    where: Selection = ALL


@dataclass(frozen=True)
class TidyCaptions:
    """Nothing but the rules of a caption: one line, no empty tag, no tag twice. For captions that were written elsewhere."""

    where: Selection = ALL


@dataclass(frozen=True)
class RestoreCaptions:
    """The program's own captions again, as if nobody had edited them. Refused for an edited one whose `machine_text` is not known."""

    where: Selection = ALL


@dataclass(frozen=True)
class Recaption:
    """Captions written anew from the pictures' `tags`, with other settings than the run's: template, trigger, style, underscores, which traits.

    core             character → its core traits, as `CaptionSet.core_traits` gives them; what is core was measured by the run
    choices          what a person wants of single characters (`words.trait_choices.load_choices`); it comes before `settings.core_traits`
    include_edited   also captions that a person wrote; without it those stay, and only the program's (or an earlier Recaption's) become others
    """

    settings: CaptionSettings
    core: Mapping[str, Collection[str]]
    choices: TraitChoices = NO_CHOICES
    include_edited: bool = False
    where: Selection = ALL


Edit = SetCaption | AddTags | RemoveTags | ReplaceTag | ReplacePattern | TidyCaptions | RestoreCaptions | Recaption


@dataclass(frozen=True)
class Change:
    """One caption of a preview. `before` and `after` are as `CaptionedPicture.caption`, `after` keeps the rules of a caption."""

    image: str
    before: str
    after: str
    recaption: bool = False
    """Whether `after` was written by `Recaption`, so that another one may write over it."""


def shown(raw: str | None) -> str:
    """A caption file's text for people: no byte order mark, no line break at its end, `�` for what is not UTF-8."""
    text = (raw or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.removeprefix("\ufeff").rstrip("\r\n")


def is_utf8(raw: str) -> bool:
    """Whether a file's text has no bytes that were not UTF-8."""
    return not any("\udc80" <= char <= "\udcff" for char in raw)


def tags_of(text: str) -> list[str]:
    """The tags of a caption in their order, cleaned of white space and control characters; empty ones are left out, twice is kept."""
    tags = []
    for part in ",".join(text.splitlines()).split(","):
        printable = "".join(c for c in part if c.isspace() or unicodedata.category(c)[0] != "C")
        tag = " ".join(printable.split())
        if tag_key(tag):
            tags.append(tag)
    return tags


def tag_key(tag: str) -> str:
    """Equal for tags that are the same to a reader; empty for what is no tag."""
    return same_word(tag)


def tag_counts(captions: Iterable[str]) -> list[tuple[str, int]]:
    """In how many of the captions each tag is, as it is written first; the most frequent first."""
    written: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for caption in captions:
        own = {tag_key(tag): tag for tag in reversed(tags_of(caption))}
        counts.update(own.keys())
        written = {**own, **written}
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(written[key], count) for key, count in ranked]


def tidy_caption(text: str) -> str:
    """`text` as a caption: one line, tags separated by `, `, each once (the first stays); empty when there is no tag in it."""
    return _joined(tags_of(text))


def difference(before: str, after: str) -> list[tuple[Literal["same", "gone", "new"], str]]:
    """What became of a caption, tag by tag, in reading order: tags that stay, that went and that came. For showing a `Change`."""
    old, new = tags_of(before), tags_of(after)
    parts: list[tuple[Literal["same", "gone", "new"], str]] = []
    for kind, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for tag in old[old_from:old_to]:
            parts.append(("same" if kind == "equal" else "gone", tag))
        for tag in new[new_from:new_to] if kind != "equal" else ():
            parts.append(("new", tag))
    return parts


def _joined(tags: Iterable[str]) -> str:
    first: dict[str, str] = {}
    for tag in tags:
        first.setdefault(tag_key(tag), tag)
    return ", ".join(first.values())


def captions_after(
    edit: Edit,
    pictures: Sequence[CaptionedPicture],
    triggers: Mapping[str, str],
    trigger_later: Collection[str],
    by_hand: Collection[str],
) -> list[str]:
    """The captions of these pictures after an edit; one on which it has no effect as it was. Raises `InputError` when the edit makes no sense,
    or would take away a first tag and is not allowed to.

    triggers       character → its trigger word
    trigger_later  characters whose template puts other words before the trigger word
    by_hand        pictures whose caption a person wrote
    """
    captions = [picture.caption for picture in pictures]
    match edit:
        case SetCaption():
            return [tidy_caption(edit.text)]
        case TidyCaptions():
            return [tidy_caption(caption) or caption for caption in captions]
        case Recaption():
            kept = () if edit.include_edited else by_hand
            return [p.caption if p.image in kept else _recaptioned(edit, p) for p in pictures]
        case RestoreCaptions():
            return _restored(pictures)
        case AddTags():
            tags = _given_tags(edit.tags, "add")
            return [_with_tags(p, tags, edit.place, triggers.get(p.character, ""), trigger_later) for p in pictures]
        case RemoveTags():
            after, refused = _removed(edit, pictures, triggers)
        case _:
            after = _replaced(edit, captions) if isinstance(edit, ReplaceTag) else _substituted(edit, captions)
            refused = _without_trigger(pictures, after)
    if refused:
        raise InputError(
            f"this would take away the first tag, or the trigger word, of {file_names(refused)}; "
            "choose other tags or other pictures, or set such a caption one by one"
        )
    return after


def _restored(pictures: Sequence[CaptionedPicture]) -> list[str]:
    unknown = [p.image for p in pictures if p.edited and p.machine_text is None]
    if unknown:
        raise InputError(
            f"the program's own caption of {file_names(unknown)} is not known, there is no readable row in metadata.jsonl for it; "
            "choose other pictures, or run the film again, which keeps the captions that are edited"
        )
    return [p.caption if p.machine_text is None else p.machine_text for p in pictures]


def _recaptioned(edit: Recaption, picture: CaptionedPicture) -> str:
    """A caption from the tags of the picture's row; one whose row has no tags stays."""
    tags, scores = picture.row.get("tags"), picture.row.get("tag_scores")
    if not isinstance(tags, list):
        return picture.caption
    words = [tag for tag in tags if isinstance(tag, str)]
    core, choice = edit.core.get(picture.character, ()), edit.choices.get(picture.character)
    pruned = [tag for tag in words if left_out(tag, edit.settings.core_traits, core, choice)]
    known = scores if isinstance(scores, dict) else {}
    return tidy_caption(write_caption(picture.character, words, pruned, edit.settings, known))


def _removed(
    edit: RemoveTags, pictures: Sequence[CaptionedPicture], triggers: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """The captions, and the pictures that would lose their trigger word."""
    unwanted = {tag_key(tag) for tag in _given_tags(edit.tags, "remove")}
    after, refused = [], []
    for picture in pictures:
        tags = tags_of(picture.caption)
        after.append(_where_other(picture.caption, [tag for tag in tags if tag_key(tag) not in unwanted]))
        if tags and unwanted & {tag_key(tags[0]), tag_key(triggers[picture.character])} & set(map(tag_key, tags)):
            refused.append(picture.image)
    return after, refused


def _replaced(edit: ReplaceTag, captions: Sequence[str]) -> list[str]:
    old, new = _given_tags(edit.old, "replace"), _given_tags(edit.new, "put in its place")
    if len(old) != 1:
        raise InputError(f"one tag can be replaced at a time, got {len(old)}: {', '.join(old)}")
    key = tag_key(old[0])
    return [
        _where_other(c, [n for tag in tags_of(c) for n in (new if tag_key(tag) == key else [tag])]) for c in captions
    ]


def _substituted(edit: ReplacePattern, captions: Sequence[str]) -> list[str]:
    end = time.monotonic() + _PATTERN_SECONDS
    try:
        pattern = regex.compile(edit.pattern)
        pattern.sub(edit.replacement, "")
        replaced = [pattern.sub(edit.replacement, c, timeout=max(0.001, end - time.monotonic())) for c in captions]
    except TimeoutError:
        raise InputError(
            f"“{edit.pattern}” was not done after {_PATTERN_SECONDS:.0f} s: it tries too many ways to match; "
            "avoid a repetition inside a repetition, such as (a|aa)+"
        ) from None
    except (regex.error, IndexError, OverflowError, RecursionError) as error:
        raise InputError(
            f"“{edit.pattern}” with “{edit.replacement}” is no regular expression that can be used: {error}; mend it and try again"
        ) from None
    return [c if r == c else tidy_caption(r) for c, r in zip(captions, replaced, strict=True)]


def file_names(paths: Sequence[str]) -> str:
    """`first_names` of these files, without their folders."""
    return first_names([PurePosixPath(path).name for path in paths])


def first_names(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    named = ", ".join(names[:_NAMED])
    return named if len(names) <= _NAMED else f"{named} and {len(names) - _NAMED} more"


def _given_tags(text: str, verb: str) -> list[str]:
    tags = tags_of(text)
    if not tags:
        raise InputError(f"there is no tag to {verb}; type one, or several separated by commas")
    return tags


def _where_other(caption: str, tags: Sequence[str]) -> str:
    """The caption of these tags, or the caption as it was when they are its own."""
    return caption if tags == tags_of(caption) else _joined(tags)


def _with_tags(
    picture: CaptionedPicture, tags: Sequence[str], place: str, trigger: str, trigger_later: Collection[str]
) -> str:
    own = tags_of(picture.caption)
    have = {tag_key(tag) for tag in own}
    new = [tag for tag in tags if tag_key(tag) not in have]
    if not new:
        return picture.caption
    own = own or tags_of(trigger or picture.character)
    at = 1
    if trigger and picture.character in trigger_later:
        at += next((i for i, tag in enumerate(own) if tag_key(tag) == tag_key(trigger)), 0)
    return _joined([*own[:at], *new, *own[at:]] if place == "after_trigger" else [*own, *new])


def _without_trigger(pictures: Sequence[CaptionedPicture], after: Sequence[str]) -> list[str]:
    """Images whose first tag went, so that an old later tag is first now. A first tag that is new is a new trigger word, which is allowed."""
    lost = []
    for picture, text in zip(pictures, after, strict=True):
        old, new = ([tag_key(tag) for tag in tags_of(caption)] for caption in (picture.caption, text))
        if old and new and new[0] != old[0] and new[0] in old[1:]:
            lost.append(picture.image)
    return lost
