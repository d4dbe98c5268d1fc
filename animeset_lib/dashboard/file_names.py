"""From the name that a browser sends to one that every file system takes."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["safe_file_name", "without_surrogates"]


MAX_NAME_BYTES = 200
"""Of UTF-8; file systems allow 255, and ` (2)` and the like must still fit."""

_IMPOSSIBLE = frozenset('<>:"/\\|?*')  # on Windows; `/` everywhere
_TURNING = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Marks that change the direction of writing, by which `gpj.mkv` can be made to look like `vkm.jpg`, and two that nobody sees."""
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])")
_MARK = "\0"  # stands for what was taken out, until it is known whether it is at an end


def safe_file_name(name: str, *, fallback: str = "film") -> str:
    """`name` as a file name for Linux, macOS and Windows, as readable as it was: letters of all scripts, spaces, brackets and emoji stay.

    Composed (NFC). Each run of characters that a file system refuses becomes one underscore, or nothing at the ends; direction marks go,
    line breaks become spaces. No dot, dash or space in front, no dot or space at the end, no device name of Windows, at most 200
    bytes of UTF-8, cut before the ending. Path parts stay as words: `../a/b.mkv` becomes `a_b.mkv`. Never empty: `fallback` stands in.
    """
    if len(name) > 2000:
        name = name[:1000] + name[-1000:]
    permitted = "".join(_permitted(letter) for letter in unicodedata.normalize("NFC", without_surrogates(name)))
    text = unicodedata.normalize(
        "NFC", permitted
    )  # once more: what went may have stood between a letter and its accent
    text = re.sub(rf"[{_MARK}\s.]+$", "", re.sub(f"{_MARK}+", _MARK, text))
    stem, dot, ending = text.rpartition(".")
    if not dot or len(ending.encode()) > 20:
        stem, dot, ending = text, "", ""
    stem = re.sub(rf"^[{_MARK}\s.\-]+|[{_MARK}\s]+$", "", stem)
    if _RESERVED.fullmatch(stem.partition(".")[0].rstrip()):
        stem = f"{fallback}_{stem}"
    room = MAX_NAME_BYTES - len((dot + ending).encode())
    stem = stem.encode()[:room].decode("utf-8", "ignore")
    if not dot:
        stem = stem.rstrip(f"{_MARK}. ")
    return f"{stem.rstrip() or fallback}{dot}{ending}".replace(_MARK, "_")


def _permitted(letter: str) -> str:
    if letter in _TURNING:
        return ""
    if letter in "\t\n\v\f\r\x85\u2028\u2029":
        return " "
    return _MARK if letter in _IMPOSSIBLE or unicodedata.category(letter) == "Cc" else letter


def without_surrogates(text: str) -> str:
    """Halves of surrogate pairs, which a browser may send, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
