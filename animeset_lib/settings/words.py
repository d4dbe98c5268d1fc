"""Settings of 6a_tag to 6c_caption."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from animeset_lib.settings.section import Section

__all__ = ["AttributesSettings", "CaptionSettings", "TagSettings"]


class TagSettings(Section):
    """6a_tag: booru tags."""

    tagger: Annotated[
        str,
        Field(
            title="Network for tags",
            description="Tagger by name (`animeset models list`), several joined by + vote; auto: the best that is present.",
        ),
    ] = "auto"
    choice: Annotated[
        Literal["fixed", "mcut"],
        Field(
            title="Scores that count",
            description="Which scores count: those above fixed thresholds, or those above the largest gap of each picture.",
        ),
    ] = "fixed"
    general_min: Annotated[
        float | None,
        Field(
            title="Least score of tags",
            ge=0,
            le=1,
            description="Least score of a general tag; unset: the tagger's own value.",
        ),
    ] = None
    character_min: Annotated[
        float | None,
        Field(
            title="Least score of character names",
            ge=0,
            le=1,
            description="Least score of a character's name; unset: the tagger's own value.",
        ),
    ] = None


class AttributesSettings(Section):
    """6b_attributes: cleaning tags, naming outfits and emotions."""

    blacklist: Annotated[
        str,
        Field(
            title="Tags never used",
            description="Tags that are never used, by commas; * stands for any letters: `*_request, dated`.",
        ),
    ] = ""
    subset_min: Annotated[
        int,
        Field(
            title="Fewest figures of a sub-set",
            ge=1,
            le=100,
            description="Least figures of an outfit or emotion; a rarer one joins the most similar.",
        ),
    ] = 3
    outfit_distance: Annotated[
        float,
        Field(
            title="How different outfits must be",
            ge=0.2,
            le=5,
            description="How different clothes must be to count as another outfit, 1 as measured; larger finds fewer outfits.",
        ),
    ] = 1.0
    vote: Annotated[
        bool,
        Field(
            title="Pictures of a shot agree",
            description="The pictures of one figure in one shot agree on what cannot change there: hair, eyes, body, clothes.",
        ),
    ] = True


_CAPTION_FIELDS = (
    *("{trigger}", "{people}", "{charname}", "{hair}", "{eyes}", "{body}", "{outfit}"),
    *("{emotion}", "{pose}", "{framing}", "{background}", "{other}", "{style}"),
)


class CaptionSettings(Section):
    """6c_caption: from tags to one line of text."""

    template: Annotated[
        str,
        Field(
            title="Order of the caption",
            description=f"Order of the caption, by commas: {', '.join(_CAPTION_FIELDS)}; a word without braces is written as it is.",
        ),
    ] = ", ".join(_CAPTION_FIELDS)
    trigger: Annotated[
        str,
        Field(
            title="Trigger word",
            description="Trigger word, one for each character: `{charname}` in it stands for the character's name, as in `ohwx {charname}`; "
            "empty: the name alone.",
        ),
    ] = ""
    style: Annotated[str, Field(title="Last tag", description="Last tag of every caption; empty: none.")] = (
        "anime_style"
    )
    underscores: Annotated[
        bool, Field(title="Underscores in tags", description="long_hair instead of `long hair`.")
    ] = True
    max_tags: Annotated[
        int,
        Field(
            title="Most tags in a caption",
            ge=0,
            le=500,
            description="Most tags in a caption, the least certain go first, for trainers cut at 75 or 225 tokens; 0: all. The trigger never counts.",
        ),
    ] = 0
    core_traits: Annotated[
        Literal["keep", "drop", "drop_all"],
        Field(
            title="Constant traits in captions",
            description="Constant traits (hair, eyes): keep in captions, or drop so that the trigger learns them; "
            "drop_all: every trait, constant or not.",
        ),
    ] = "keep"
    core_share: Annotated[
        float,
        Field(
            title="Least share for constant traits",
            gt=0,
            le=1,
            description="A trait is core when it is on at least this share of the character's pictures that show such a trait (hair, eyes) at all.",
        ),
    ] = 0.6
    core_lift: Annotated[
        float,
        Field(
            title="How telling constant worn things are",
            ge=1,
            le=20,
            description="Worn things (glasses, earrings) are core when they are almost always there, and this many times as often as on the rest "
            "of the cast.",
        ),
    ] = 3.0

    @property
    def fields(self) -> tuple[str, ...]:
        """The template's parts in order, fields with their braces, empty parts left out."""
        return tuple(part for part in (raw.strip() for raw in self.template.split(",")) if part)

    @field_validator("template")
    @classmethod
    def _known_fields(cls, template: str) -> str:
        parts = [part.strip() for part in template.split(",")]
        unknown = [part for part in parts if ("{" in part or "}" in part) and part not in _CAPTION_FIELDS]
        if unknown:
            raise ValueError(f"the field {unknown[0]} is unknown; known are {', '.join(_CAPTION_FIELDS)}")
        if "{trigger}" not in parts and "{charname}" not in parts:
            raise ValueError(
                "the template must hold {trigger} or {charname}, the word that the training ties to the character"
            )
        return template

    @field_validator("trigger")
    @classmethod
    def _can_be_written(cls, trigger: str, info: ValidationInfo) -> str:
        if not trigger:
            return trigger
        rest = trigger.replace("{charname}", "")
        if "{" in rest or "}" in rest:
            raise ValueError("the only field that a trigger may hold is {charname}")
        if "{charname}" not in trigger:
            raise ValueError(
                "without {charname} all characters would share one trigger word; expected e.g. `ohwx {charname}`"
            )
        if not rest.isprintable() or "," in rest:
            raise ValueError("a trigger word is written in one line without commas")
        if "{trigger}" not in [part.strip() for part in info.data.get("template", "{trigger}").split(",")]:
            raise ValueError(
                "the template has no {trigger}, so it would never be written; put {trigger} first in caption.template"
            )
        return trigger
