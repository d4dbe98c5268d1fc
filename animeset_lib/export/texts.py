"""What captions and configurations hold, read as trainers read them."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from animeset_lib.run.store import parse_json
from animeset_lib.words.spelling import same_word

__all__ = ["lines_of", "parsed", "printable", "tag_key", "tags_of"]


def printable(text: str) -> str:
    """`text` with escapes for what a terminal would obey or could not show: control characters, bytes that are no UTF-8."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def lines_of(text: str) -> list[str]:
    """The lines as Python reads them from a text file, without what ends them; none for an empty file."""
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines


def tags_of(caption: str) -> list[str]:
    """The parts of a caption in their order, empty ones kept; kohya's `|||` and `;;;` separate too."""
    return [part.strip() for part in re.split(r",|\|\|\||;;;", caption)]


def tag_key(tag: str) -> str:
    """Equal for tags that a reader takes for the same: case, underscores, escaped brackets and white space do not count."""
    return same_word(tag.replace("\\(", "(").replace("\\)", ")"))


def parsed(text: str, kind: str) -> Any:
    """What text of the kind `json`, `toml` or `yaml` holds. Whatever is wrong with it, and it may come from anybody, is a `ValueError`."""
    try:
        if kind == "toml":
            return tomllib.loads(text)
        return parse_json(text) if kind == "json" else yaml.safe_load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, AttributeError, TypeError, OverflowError) as problem:  # PyYAML trips over `!!timestamp x`
        raise ValueError(" ".join(str(problem).split())) from problem
