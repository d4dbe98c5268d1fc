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
            ge=0,
            le=1000,
            description="Most pictures without anybody in them, for trainers that take a regularisation set; needs a tagging network; 0: none.",
        ),
    ] = 0
    training_px: Annotated[
        int, Field(ge=256, le=4096, multiple_of=64, description="Same as upscale.training_px; set there, copied here.")
    ] = 1024
    bucket_step_px: Annotated[
        int, Field(ge=8, le=256, description="Same as crop.bucket_step_px; set there, copied here.")
    ] = 64
    shrink_to_training: Annotated[
        bool, Field(description="Same as crop.shrink_to_training; set there, copied here.")
    ] = True
    tagger: Annotated[str, Field(description="Same as tag.tagger; set there, copied here.")] = "auto"
    choice: Annotated[Literal["fixed", "mcut"], Field(description="Same as tag.choice; set there, copied here.")] = (
        "fixed"
    )
    general_min: Annotated[
        float | None, Field(ge=0, le=1, description="Same as tag.general_min; set there, copied here.")
    ] = None
    blacklist: Annotated[str, Field(description="Same as attributes.blacklist; set there, copied here.")] = ""
    style: Annotated[str, Field(description="Same as caption.style; set there, copied here.")] = "anime_style"
    underscores: Annotated[bool, Field(description="Same as caption.underscores; set there, copied here.")] = True


class DatasetSettings(Section):
    """7_dataset: the final choice."""

    names: Annotated[
        Literal["numbered", "descriptive"],
        Field(
            description="Names of pictures and captions: `hana_0001`, or what they show: `hana_school_uniform_smile_classroom_0001`."
        ),
    ] = "numbered"

    min_pictures: Annotated[
        int, Field(ge=1, le=1000, description="Fewer than this is said plainly, with the reason; nothing is padded.")
    ] = 30
    max_pictures: Annotated[int, Field(ge=1, le=1000, description="Most pictures per character.")] = 100
    per_shot: Annotated[
        int, Field(ge=1, le=1000, description="Most pictures of one shot; exceeded only to reach min_pictures.")
    ] = 6
    same_picture: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Two crops are one picture when no part of their small thumbnails differs by more than this, 0..1; 0 keeps all.",
        ),
    ] = 0.04
    novelty_min: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="From min_pictures on, only crops that differ by at least this from all chosen ones, 0..1; 0 always goes on to max_pictures.",
        ),
    ] = 0.12
    per_outfit: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Least pictures of every outfit, as far as there are that many different ones; 0 asks for none.",
        ),
    ] = 8
    per_emotion: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Least pictures of every emotion, as far as there are that many different ones; 0 asks for none.",
        ),
    ] = 3
    mix_face: Annotated[float, Field(ge=0, le=1, description="Same as upscale.mix_face; set there, copied here.")] = (
        0.35
    )
    mix_upper_body: Annotated[
        float, Field(ge=0, le=1, description="Same as upscale.mix_upper_body; set there, copied here.")
    ] = 0.35
    mix_full: Annotated[float, Field(ge=0, le=1, description="Same as upscale.mix_full; set there, copied here.")] = 0.2
    mix_frame: Annotated[float, Field(ge=0, le=1, description="Same as upscale.mix_frame; set there, copied here.")] = (
        0.1
    )
