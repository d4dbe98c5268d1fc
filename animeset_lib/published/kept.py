"""Captions that people wrote, kept over runs: put over what the next run publishes.

The film's log (`published.edit_log`) remembers them by crop id. So a caption follows its picture when another selection renumbers it, waits while
the picture is not selected, and comes back with it. The stages know nothing of this: their captions and keys stay what they were.

The file's bytes are kept: only what would break a trainer is mended, as an edit that can be undone. Where the character was renamed meanwhile, or
has another trigger word, that word takes the place of the old one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from animeset_lib.published.captions import CaptionSet, captioned_pictures
from animeset_lib.published.edit_log import NO_CROP, CaptionChange, EditLog, Words
from animeset_lib.published.edits import CaptionedPicture, first_names, is_utf8, shown, tag_key, tags_of, tidy_caption
from animeset_lib.published.layout import caption_path
from animeset_lib.published.publish import put_text
from animeset_lib.settings import CaptionSettings
from animeset_lib.wording import counted

__all__ = ["KeptCaptions"]

_LINES = "had several lines or a byte order mark; made one plain line of it, as trainers need"


class KeptCaptions:
    """Captions by hand for `published.publish.publish`: a `HandWork` that says what it did."""

    def __init__(self, log: Path, settings: CaptionSettings) -> None:
        """`log` is the film's, `settings` are those of the run whose result is published."""
        self._log = EditLog(log)
        self._settings = settings
        self.kept = ""
        """A sentence about the captions that were kept; empty when there are none."""
        self.told: tuple[str, ...] = ()
        """Sentences about what could not be kept as it was."""

    def take_in(self, folder: Path) -> None:
        captions = CaptionSet(folder, reading=True)
        captions.take_in_held()
        known = self._log.history().captions
        nameless = [f for f in captions.pictures() if f.row and f.crop.startswith(NO_CROP) and f.crop in known]
        if nameless:
            self._tell(nameless, "could not be taken over: its row in metadata.jsonl has no crop id")

    def lay_over(self, tree: Path) -> None:
        known = {crop: words for crop, words in self._log.history().captions.items() if not crop.startswith(NO_CROP)}
        here = captioned_pictures(tree, self._settings)
        self._mend([picture for picture in here if picture.crop in known], known)
        texts: dict[str, list[str]] = {}
        kept, renamed = 0, 0
        for picture in here:
            text = picture.raw or ""
            if (words := known.get(picture.crop)) is not None:
                text = words.under(picture.trigger)
                put_text(tree / caption_path(picture.image), text)
                kept += 1
                renamed += text != words.text
            texts.setdefault(picture.character, []).append(text)
        self._tell_two_triggers(texts, {picture.character: picture.trigger for picture in here})
        self.kept = _in_words(kept, renamed, len(known.keys() - {picture.crop for picture in here}), self._log.path)

    def _mend(self, pictures: Sequence[CaptionedPicture], known: dict[str, Words]) -> None:
        """What would break a trainer becomes a plain line, what is no caption the program's own again; `known` and the log say so then."""
        faults: dict[str, list[CaptionedPicture]] = {}
        changes = []
        for picture in pictures:
            words = known[picture.crop]
            good, fault = _mended(words)
            if fault:
                faults.setdefault(fault, []).append(picture)
                changes.append((CaptionChange(picture.crop, words, good), picture.trigger))
                if good is None:
                    del known[picture.crop]
                else:
                    known[picture.crop] = good
        if changes:
            self._log.done(self._log.edit(f"mended for trainers ({len(changes)})", changes).number)
        for fault, faulty in faults.items():
            self._tell(faulty, fault)

    def _tell(self, pictures: Sequence[CaptionedPicture], fault: str) -> None:
        self.told += (f"{first_names([caption_path(picture.image) for picture in pictures])} {fault}",)

    def _tell_two_triggers(self, texts: Mapping[str, Sequence[str]], triggers: Mapping[str, str]) -> None:
        for character, captions in texts.items():
            trigger = triggers[character]
            without = sum(tag_key(trigger) not in map(tag_key, tags_of(text)) for text in captions)
            if 0 < without < len(captions):
                self.told += (
                    f"{character}: {counted(without, 'caption')} by hand without the trigger word {trigger} "
                    f"that the other {len(captions) - without} have; "
                    "give them all one: the setting caption.trigger, or `animeset captions FILM replace`",
                )


def _mended(words: Words) -> tuple[Words | None, str]:
    """The caption as a trainer reads it well, None where it is none; and what was wrong with it."""
    if not is_utf8(words.text):
        return None, "could not be taken over: it is not UTF-8"
    if not tags_of(words.text):
        return None, "could not be taken over: there is no tag in it"
    line = shown(words.text)
    if len(line.splitlines()) == 1 and words.text in (line, f"{line}\n", f"{line}\r\n"):
        return words, ""
    text = tidy_caption(words.text.removeprefix("\ufeff")) + "\n"
    return Words(text, words.trigger, words.recaption), _LINES


def _in_words(kept: int, renamed: int, waiting: int, log: Path) -> str:
    words = []
    if kept:
        words.append(f"{counted(kept, 'caption')} edited by hand {'was' if kept == 1 else 'were'} kept")
    if renamed:
        words.append(f"{renamed} of them with the character's new trigger word")
    if waiting:
        one = waiting == 1
        what = f"{counted(waiting, 'caption')} edited by hand" if not kept else str(waiting)
        words.append(
            f"{what} belong{'s' if one else ''} to {'a picture that is' if one else 'pictures that are'} not in the new set "
            f"and {'is' if one else 'are'} remembered in {log}"
        )
    return "; ".join(words)
