"""Settings of 6d_regularisation and 7_dataset."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from animeset_lib.settings.section import Section

__all__ = ["DatasetSettings", "RegularisationSettings"]


class RegularisationSettings(Section):
    """6d_regularisation: pictures that show nobody."""

    pictures: Annotated[
        int,
        Field(
            title="Most pictures without anybody",
            ge=0,
            le=1000,
            description="Most pictures without anybody in them, for trainers that take a regularisation set; needs a tagging network; 0: none.",
        ),
    ] = 0


class DatasetSettings(Section):
    """7_dataset: the final choice."""

    names: Annotated[
        Literal["numbered", "descriptive"],
        Field(
            title="Names of pictures",
            description="Names of pictures and captions: `hana_0001`, or what they show: `hana_school_uniform_smile_classroom_0001`.",
        ),
    ] = "numbered"

    min_pictures: Annotated[
        int,
        Field(
            title="Fewest pictures per character",
            ge=1,
            le=1000,
            description="Fewer than this is said plainly, with the reason; nothing is padded.",
        ),
    ] = 30
    max_pictures: Annotated[
        int, Field(title="Most pictures per character", ge=1, le=1000, description="Most pictures per character.")
    ] = 100
    per_shot: Annotated[
        int,
        Field(
            title="Most pictures per shot",
            ge=1,
            le=1000,
            description="Most pictures of one shot; exceeded only to reach min_pictures.",
        ),
    ] = 6
    same_picture: Annotated[
        float,
        Field(
            title="Largest difference of equal pictures",
            ge=0,
            le=1,
            description="Two crops are one picture when no part of their small thumbnails differs by more than this, 0..1; 0 keeps all.",
        ),
    ] = 0.04
    novelty_min: Annotated[
        float,
        Field(
            title="Least novelty",
            ge=0,
            le=1,
            description="From min_pictures on, only crops that differ by at least this from all chosen ones, 0..1; 0 always goes on to max_pictures.",
        ),
    ] = 0.12
    per_outfit: Annotated[
        int,
        Field(
            title="Fewest pictures per outfit",
            ge=0,
            le=1000,
            description="Least pictures of every outfit, as far as there are that many different ones; 0 asks for none.",
        ),
    ] = 8
    per_emotion: Annotated[
        int,
        Field(
            title="Fewest pictures per emotion",
            ge=0,
            le=1000,
            description="Least pictures of every emotion, as far as there are that many different ones; 0 asks for none.",
        ),
    ] = 3
