"""Settings of 4a_quality to 5_crop."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from animeset_lib.settings.section import Section

__all__ = ["CropSettings", "QualitySettings", "UpscaleSettings"]


class QualitySettings(Section):
    """4a_quality: what is too bad to train on. Values are measured on the still, in and around the face."""

    dark_luma: Annotated[
        float,
        Field(
            title="Too dark below (luma)",
            ge=0,
            le=255,
            description="Luma (0..255) that the brightest 5 % of the face must reach; 0: never too dark.",
        ),
    ] = 56.0
    bright_luma: Annotated[
        float,
        Field(
            title="Too bright above (luma)",
            ge=0,
            le=255,
            description="Luma (0..255) that the darkest 5 % of the face may reach; 255: never too bright.",
        ),
    ] = 185.0
    flat_contrast: Annotated[
        float,
        Field(
            title="Least contrast (luma)",
            ge=0,
            le=255,
            description="Least difference of the 98th and 2nd percentile of luma in the face; 0: never flat.",
        ),
    ] = 56.0
    blur_percent: Annotated[
        float,
        Field(
            title="Most blur (% of face height)",
            gt=0,
            le=50,
            description="Most width (sigma) of the drawn lines in percent of the face height; 50: never blurred.",
        ),
    ] = 1.75
    noise_sigma: Annotated[
        float,
        Field(
            title="Most noise (levels)",
            ge=0,
            le=128,
            description="Most noise (robust sigma of flat parts, 0..255); 128: never noisy.",
        ),
    ] = 7.5
    blockiness: Annotated[
        float,
        Field(
            title="Most coding blocks (levels)",
            ge=0,
            le=50,
            description="Most excess in luma levels of steps on the codec's 8-px grid; 50: never blocky.",
        ),
    ] = 1.0
    comb_share: Annotated[
        float,
        Field(
            title="Most combed lines (share)",
            ge=0,
            le=1,
            description="Most pixels with another moment in every other line, as a share of a block of 16x16; 1: never combed.",
        ),
    ] = 0.6
    blend_share: Annotated[
        float,
        Field(
            title="Largest share blended in",
            ge=0,
            le=1,
            description="Most share of the next shot in a dissolve, or of plain colour in a fade; 1: never a blend.",
        ),
    ] = 0.12
    min_face_px: Annotated[
        int,
        Field(
            title="Smallest face for training (px)",
            ge=8,
            le=4096,
            description="Least face height in px for a picture that is worth training on.",
        ),
    ] = 48


class UpscaleSettings(Section):
    """4b_upscale: which pictures are worth finishing, how they will be framed, and enlarging those that are too small."""

    upscaler: Annotated[
        str,
        Field(
            title="Method of enlarging",
            description="Upscaler by name (`animeset models list`), spandrel:FILE or command:PROGRAM {input} {output} for your own; "
            "auto: the best present; lanczos: no network; none: never enlarge.",
        ),
    ] = "auto"
    training_px: Annotated[
        int,
        Field(
            title="Training size (px)",
            ge=256,
            le=4096,
            multiple_of=64,
            description="Side in px of the square the trainer works at: 512 for SD 1.5, 1024 for SDXL.",
        ),
    ] = 1024
    tolerance: Annotated[
        float,
        Field(
            title="Enlarge only beyond factor",
            ge=1,
            le=4,
            description="Enlarge only when the crop would need more than this factor to reach the training size.",
        ),
    ] = 1.2
    max_factor: Annotated[
        int,
        Field(
            title="Largest enlarging factor",
            ge=1,
            le=4,
            description="Largest factor; what is still too small then stays as it is.",
        ),
    ] = 4
    candidates: Annotated[
        float,
        Field(
            title="Finished per wanted picture",
            ge=1,
            le=10,
            description="Pictures finished per character, as a multiple of `dataset.max_pictures`.",
        ),
    ] = 1.5
    mix_face: Annotated[
        float, Field(title="Share of faces", ge=0, le=1, description="Share of face crops in the planned mix.")
    ] = 0.35
    mix_upper_body: Annotated[
        float, Field(title="Share of upper bodies", ge=0, le=1, description="Share of upper-body crops.")
    ] = 0.35
    mix_full: Annotated[
        float, Field(title="Share of full figures", ge=0, le=1, description="Share of full-figure crops.")
    ] = 0.2
    mix_frame: Annotated[
        float, Field(title="Share of whole frames", ge=0, le=1, description="Share of whole frames.")
    ] = 0.1


class CropSettings(Section):
    """5_crop: cutting the planned pictures."""

    bucket_step_px: Annotated[
        int,
        Field(
            title="Sides are multiples of (px)",
            ge=8,
            le=256,
            description="Sides become multiples of this, as in the trainer's buckets.",
        ),
    ] = 64
    shrink_to_training: Annotated[
        bool,
        Field(
            title="Shrink to training size",
            description="Shrink crops larger than the training size to it (area); off: keep every pixel.",
        ),
    ] = True
