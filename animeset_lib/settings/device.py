"""How networks compute."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from animeset_lib.settings.section import Section

__all__ = ["DeviceSettings"]


class DeviceSettings(Section):
    """How networks compute; where they do is a matter of the machine (`--device`)."""

    precision: Annotated[
        Literal["auto", "exact"],
        Field(
            title="Precision",
            description="auto: networks whose answers it leaves as they are compute in 16 bits where the processor can; exact: none does.",
        ),
    ] = "auto"
