"""What a trainer takes from a folder: sets of pictures with the captions it would feed, and what went wrong on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from animeset_lib.export.notes import Finding

__all__ = ["Kind", "Loaded", "LoadedPicture", "LoadedSet", "stated_size"]

Kind = Literal["train", "regularisation", "validation"]


@dataclass(frozen=True)
class LoadedPicture:
    """A picture as the trainer takes it.

    `captions` are the prompts it would be trained with, one of them at a time where there are several; an empty one is `""`. `size` is the
    width and height that a config states, `facts` what else is known about the picture (columns of a metadata file).
    """

    path: Path
    captions: tuple[str, ...]
    caption_file: Path | None = None
    mask: Path | None = None
    size: tuple[int, int] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def edited_at(self) -> Path:
        """Where a person mends the caption: its own file, else the picture, whose row in a metadata file it is."""
        own = self.caption_file
        return own if own is not None and own.suffix in (".txt", ".caption") else self.path


@dataclass(frozen=True)
class LoadedSet:
    """Pictures that are trained alike. `repeats` is how often each is seen per epoch.

    `trigger` is the word that the config or folder names; `trigger_is_sure` that it is meant to be in every caption (kohya's class tokens
    are only a stand-in for missing captions).
    """

    name: str
    pictures: tuple[LoadedPicture, ...]
    repeats: float = 1.0
    kind: Kind = "train"
    trigger: str | None = None
    trigger_is_sure: bool = False


@dataclass(frozen=True)
class Loaded:
    """All that one trainer would take from a folder or config. `training_px` is the side it trains at where a config says so.

    `has_repeats`: the format says how often a picture is seen, so balance can be judged. `note` is what to know when it is started.
    """

    sets: tuple[LoadedSet, ...]
    findings: tuple[Finding, ...]
    training_px: float | None = None
    has_repeats: bool = True
    note: str = ""


def stated_size(row: Mapping[str, Any]) -> tuple[int, int] | None:
    """The picture's width and height that a row of metadata states."""
    width, height = row.get("width"), row.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None
