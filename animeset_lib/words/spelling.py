"""Names and tags in the letters that captions, file names and fonts allow."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean_tag", "is_emoticon", "romanized", "safe_slug", "same_word", "spelled"]


def clean_tag(text: str) -> str:
    """`text` as one tag of a comma-separated line: no comma, line break or other white space inside, nothing that is not UTF-8. May be empty.

    >>> clean_tag(" long hair, ")
    'long_hair'
    """
    printable = "".join(c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return re.sub(r"[\s,]+", "_", re.sub(r"^[\s,]+|[\s,]+$", "", printable))


def is_emoticon(tag: str) -> bool:
    """Whether a tag is drawn rather than written (`^_^`, `o_o`, `(o)_(o)`, `||_||`): no two letters or digits stand side by side. Its underscores
    are part of it. kohya's tagger keeps those of all tags of up to three characters, which misses the longer ones.

    >>> is_emoticon("^_^"), is_emoticon("red_eyes")
    (True, False)
    """
    return re.search(r"[^\W_]{2}", tag) is None


def same_word(tag: str) -> str:
    """Equal for tags that a reader takes for the same: `Long hair` and `long_hair`."""
    return " ".join(unicodedata.normalize("NFC", tag).casefold().replace("_", " ").split())


def spelled(tag: str, underscores: bool) -> str:
    """A clean tag as it is written in a caption: with its underscores, or (emoticons apart) with spaces for them.

    >>> spelled("long_hair", underscores=False), spelled("o_o", underscores=False)
    ('long hair', 'o_o')
    """
    return tag if underscores or is_emoticon(tag) else tag.replace("_", " ").strip()


def safe_slug(text: str) -> str:
    """`text` in the letters `[a-z0-9_]`, never empty: `Frau Müller` → `frau_muller`, `レム` → `remu`, `愛` → `u611b`.

    >>> safe_slug("Frau Müller"), safe_slug("レム"), safe_slug("?!")
    ('frau_muller', 'remu', 'unnamed')
    """
    letters = []
    for char in unicodedata.normalize("NFC", text.casefold()):
        plain = romanized(char)
        if plain and plain.isalnum():
            letters.append(plain.lower())
        elif char.isalnum():
            letters.append(f"u{ord(char):04x}")
        else:
            letters.append("_")
    return re.sub(r"_{2,}", "_", "".join(letters)).strip("_") or "unnamed"


def romanized(char: str) -> str:
    """One character in ASCII: itself, its letter without accents, or what Unicode calls it (`レ` is KATAKANA LETTER RE); else empty."""
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    if base and base.isascii():
        return base
    called = re.search(r" (?:LETTER|SYLLABLE)(?: SMALL)? ([A-Z]+)\b", unicodedata.name(char, ""))
    return called[1].lower() if called else ""
