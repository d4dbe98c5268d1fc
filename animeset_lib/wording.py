"""Counted words, as messages, tables and cards have them."""

from __future__ import annotations

__all__ = ["counted", "shortened"]


def counted(number: int, thing: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def shortened(text: str, most: int) -> str:
    """`text`, or where it has more than `most` characters its beginning and `…`."""
    return text if len(text) <= most else text[: most - 1].rstrip(" ,") + "…"
