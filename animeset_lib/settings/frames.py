"""Settings of 1_extract and 2_dedupe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from animeset_lib.records import Box
from animeset_lib.settings.ranges import parse_ranges
from animeset_lib.settings.section import Section

__all__ = ["DedupeSettings", "ExtractSettings"]


class ExtractSettings(Section):
    """1_extract: which frames of the film become stills."""

    mode: Annotated[
        Literal["adaptive", "fps", "keyframes"],
        Field(
            title="Choice of stills",
            description="adaptive: every shot, and more where the picture changes; fps: as `ffmpeg -vf fps=N`; keyframes: the codec's own.",
        ),
    ] = "adaptive"
    fps: Annotated[
        float, Field(title="Frames per second", gt=0, le=60, description="Frames per second in mode fps.")
    ] = 1.0
    min_gap_ms: Annotated[
        int,
        Field(
            title="Shortest gap between stills (ms)",
            ge=0,
            le=60_000,
            description="Adaptive: least time in ms between two stills of one shot.",
        ),
    ] = 250
    max_gap_ms: Annotated[
        int,
        Field(
            title="Longest gap between stills (ms)",
            ge=100,
            le=600_000,
            description="Adaptive: a still at least this often in ms while the picture moves at all.",
        ),
    ] = 2_000
    change: Annotated[
        float,
        Field(
            title="Change for a new still",
            gt=0,
            lt=1,
            description="Adaptive: share of the picture's small blocks that must differ from the shot's stills; smaller keeps more.",
        ),
    ] = 0.006
    cut: Annotated[
        float,
        Field(
            title="Difference at a shot boundary",
            gt=0,
            lt=1,
            description="Shot boundary: how strongly colours and content of two frames must differ, 0..1; smaller cuts more.",
        ),
    ] = 0.36
    crop_black_bars: Annotated[
        bool,
        Field(
            title="Cut off black bars",
            description="Cut the film's black bars off the stills (recorded in stage.json, reversible).",
        ),
    ] = True
    crop: Annotated[
        str,
        Field(
            title="Part of the picture",
            description="left:top:right:bottom in pixels of the film's picture: only that part of every still is used, as for a logo at an "
            "edge; replaces the bars that were measured. Empty: all of it.",
        ),
    ] = ""
    only: Annotated[
        str,
        Field(
            title="Use only",
            description="Parts of the film: times and chapters, with commas, such as 2:00-21:40, Part A; empty: all of it.",
        ),
    ] = ""
    skip: Annotated[
        str,
        Field(
            title="Leave out",
            description="Parts of the film that are left out, such as 0:00-1:30, 21:40-, Ending; empty: none.",
        ),
    ] = ""
    image_format: Annotated[
        Literal["png", "webp"],
        Field(title="File format of stills", description="Stills on disk; both lossless, webp smaller and slower."),
    ] = "png"

    @field_validator("only", "skip")
    @classmethod
    def _ranges(cls, text: str) -> str:
        parse_ranges(text)
        return text

    @field_validator("crop")
    @classmethod
    def _a_part(cls, text: str) -> str:
        if not text:
            return text
        numbers = [int(one) for one in text.split(":") if one.isdecimal()]
        if text.count(":") == len(numbers) - 1 == 3 and numbers[0] < numbers[2] and numbers[1] < numbers[3]:
            return text
        raise ValueError("left:top:right:bottom in pixels, such as 0:0:1280:640")

    @property
    def crop_box(self) -> Box | None:
        """The part of the picture that was set."""
        if not self.crop:
            return None
        x0, y0, x1, y1 = map(int, self.crop.split(":"))
        return Box(x0=x0, y0=y0, x1=x1, y1=y1)


class DedupeSettings(Section):
    """2_dedupe: which stills show the same picture."""

    method: Annotated[
        Literal["phash", "dhash", "ahash", "whash"],
        Field(title="Method that proposes pairs", description="ImageHash method that proposes pairs, 64 bits."),
    ] = "phash"
    hamming_max: Annotated[
        int,
        Field(
            title="Most differing hash bits",
            ge=0,
            le=24,
            description="Bits of 64 that may differ for a pair to be proposed; neighbours in a shot always are.",
        ),
    ] = 10
    ssim_min: Annotated[
        float,
        Field(
            title="Least structural similarity",
            ge=0,
            le=1,
            description="A proposed pair is a duplicate when its structural similarity reaches this, 0..1; smaller drops more.",
        ),
    ] = 0.9
    local_ssim_min: Annotated[
        float,
        Field(
            title="Least similarity of any part",
            ge=0,
            le=1,
            description="... and no part of the picture (a face with another expression) is less similar than this, 0..1.",
        ),
    ] = 0.7
    window_ms: Annotated[
        int | None,
        Field(
            title="Longest time between duplicates (ms)",
            gt=0,
            description="Compare only stills at most this many ms apart; unset: the whole film.",
        ),
    ] = None
