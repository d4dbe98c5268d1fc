"""Names of characters: fit for a folder, a file name and a trigger word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import count

from animeset_lib.errors import InputError
from animeset_lib.records import safe_name

__all__ = ["character_name", "is_automatic", "unused_names"]

_SPELLED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ł": "l", "đ": "d", "þ": "th"}
)
_MAX_LENGTH = 40
_TAKEN = ("regularisation",)
"""Folders of a published film, and of its exports, that are no character's."""


def character_name(text: str) -> str:
    """`text` in lower case with underscores: `Rem (Re:Zero)` → `rem_re_zero`, `Jürgen` → `juergen`, `Shōko` → `shoko`.

    Accents go; letters of other scripts stay, for nobody can be asked how they are read. At most 40 bytes. Raises `InputError` when nothing is left,
    and for the name of a folder that is no character's.

    >>> character_name("Rem (Re:Zero)"), character_name("Jürgen")
    ('rem_re_zero', 'juergen')
    """
    spelled = unicodedata.normalize("NFC", text).casefold().translate(_SPELLED)
    # Only Latin letters lose their marks: in kana and other scripts the mark makes it another letter.
    plain = "".join(
        unicodedata.normalize("NFKD", letter)[0]
        if unicodedata.name(letter, "").startswith("LATIN")
        else unicodedata.normalize("NFKC", letter)
        for letter in spelled
        if not unicodedata.combining(letter)
    )
    words = re.sub(r"[\W_]+", "_", plain.casefold()).strip("_")
    if not words:
        raise InputError(
            f"the character name {text!r} has no letter or digit that a folder could be called by; rename it, e.g. `rem` or `girl_a`"
        )
    if words in _TAKEN:
        raise InputError(
            f"no character can be called {words}, for pictures without anybody lie in that folder; choose another name"
        )
    return safe_name(words, fallback="character", max_length=_MAX_LENGTH)


def is_automatic(name: str) -> bool:
    """Whether `name` is one that `unused_names` gives: no human chose it."""
    return re.fullmatch(r"character_\d{2,}", name) is not None


def unused_names(taken: Iterable[str]) -> Iterator[str]:
    """`character_01`, `character_02`, ... without those in `taken`.

    >>> next(unused_names(["character_01", "hana"]))
    'character_02'
    """
    used = set(taken)
    for number in count(1):
        name = f"character_{number:02d}"
        if name not in used:
            yield name
