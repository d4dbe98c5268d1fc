"""How a film is read."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, field_validator

from animeset_lib.settings.section import Section

__all__ = ["FilmSettings"]


class FilmSettings(Section):
    """How the film is read. Its pictures and its file say it; set what both say wrongly."""

    track: Annotated[
        int | None,
        Field(
            title="Video track",
            ge=1,
            description="Number of the video track, as `animeset probe` lists them; unset: the default one that moves.",
        ),
    ] = None
    fields: Annotated[
        Literal["auto", "always", "never"],
        Field(
            title="Combed frames",
            description="auto: frames that show two moments in alternate lines are made whole; always: also where it hardly shows; "
            "never: they stay.",
        ),
    ] = "auto"
    hdr: Annotated[
        Literal["auto", "pq", "hlg", "never"],
        Field(
            title="HDR",
            description="auto: brought to the standard range as the file says; pq, hlg: as if the file said so; never: as if it did not.",
        ),
    ] = "auto"
    matrix: Annotated[
        Literal["auto", "bt601", "bt709", "bt2020"],
        Field(
            title="Colour matrix",
            description="auto: as the file says, else by its size; a wrong one shifts reds and greens.",
        ),
    ] = "auto"
    levels: Annotated[
        Literal["auto", "limited", "full"],
        Field(
            title="Levels",
            description="auto: as the file says; limited: black is 16 of 255; full: black is 0. Wrong ones look flat, or too hard.",
        ),
    ] = "auto"
    pixel_shape: Annotated[
        str,
        Field(
            title="Shape of pixels",
            description="auto: as the file says; else width to height of one pixel, such as 16:15 (PAL 4:3), 64:45 (PAL 16:9), 1:1 (square).",
        ),
    ] = "auto"
    turn: Annotated[
        Literal["auto", "0", "90", "180", "270"],
        Field(
            title="Turn (degrees clockwise)",
            description="auto: as the file says; else by that many degrees clockwise, whatever it says.",
        ),
    ] = "auto"

    @field_validator("turn", mode="before")
    @classmethod
    def _degrees(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value  # as TOML and the command line read it

    @field_validator("pixel_shape")
    @classmethod
    def _a_shape(cls, text: str) -> str:
        found = re.fullmatch(r"(\d+):(\d+)", text)
        if text == "auto" or (
            found and all(map(int, found.groups())) and 1 / 4 <= Fraction(*map(int, found.groups())) <= 4
        ):
            return text
        raise ValueError("auto, or width:height of one pixel between 1:4 and 4:1, such as 16:15")

    @property
    def pixel_aspect(self) -> Fraction | None:
        """The shape that was set; None for what the file says."""
        return None if self.pixel_shape == "auto" else Fraction(*map(int, self.pixel_shape.split(":")))
