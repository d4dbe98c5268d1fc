"""Values that several stages need. Each is set in one section only; these are views of it, and enter the key of every stage that holds one."""

from __future__ import annotations

from typing import Literal

from animeset_lib.settings.section import Section

__all__ = ["CaptionWords", "Mix", "SetSize", "TrainingSize"]


class TrainingSize(Section):
    """What the trainer takes: `upscale.training_px`, `crop.bucket_step_px` and `crop.shrink_to_training`."""

    training_px: int = 1024
    bucket_step_px: int = 64
    shrink_to_training: bool = True


class SetSize(Section):
    """How large a set may be: `dataset.min_pictures` and `max_pictures`."""

    min_pictures: int = 30
    max_pictures: int = 100


class Mix(Section):
    """The shares of framings that are wanted, `upscale.mix_...`; they need not add up to 1."""

    face: float = 0.35
    upper_body: float = 0.35
    full: float = 0.2
    frame: float = 0.1


class CaptionWords(Section):
    """How tags become words where no character is: `tag.tagger`, `choice` and `general_min`, `attributes.blacklist`, `caption.style` and
    `underscores`."""

    tagger: str = "auto"
    choice: Literal["fixed", "mcut"] = "fixed"
    general_min: float | None = None
    blacklist: str = ""
    style: str = "anime_style"
    underscores: bool = True
