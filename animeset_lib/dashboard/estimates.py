"""How long a stage will take, from earlier runs on this machine, else from what the stages say themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from animeset_lib.pictures.upscale import UpscaleStage
from animeset_lib.pipeline.stages import PIPELINE

__all__ = ["Rates"]

# Enlarging, tagging and the two of faces together are from the shares of a whole run on the demo film (README); how the rest divides is rough.
_TYPICAL: Mapping[str, float] = {stage.name: stage.seconds_per_minute for stage in PIPELINE.values()}
_CUTTING = {UpscaleStage.name: 1.0}
"""When nothing is enlarged by a network."""


@dataclass
class Rates:
    """Seconds per minute of film by (stage, whether a network enlarges); later runs replace earlier ones."""

    known: dict[tuple[str, bool], float] = field(default_factory=dict)

    @classmethod
    def learned(cls, runs: Iterable[list[dict[str, Any]]]) -> Rates:
        """From the events of runs, oldest first. Stages that were reused, or went on after an interruption, say nothing."""
        rates = cls()
        for events in runs:
            minutes = (events[0].get("duration_ms") or 0) / 60_000
            if not minutes:
                continue
            enlarges = _enlarges(events[0].get("settings", {}))
            whole = {e["stage"] for e in events if e["kind"] == "stage_started" and e["todo"] == e["items"]}
            for event in events:
                if event["kind"] == "stage_finished" and not event["reused"] and event["stage"] in whole:
                    rates.known[event["stage"], enlarges] = event["seconds"] / minutes
        return rates

    def seconds(self, stage: str, settings: Mapping[str, Any], minutes: float) -> float:
        """What the whole stage will take for a film of this length; 0 minutes (a folder of pictures) is taken for one minute."""
        enlarges = _enlarges(settings)
        typical = _TYPICAL.get(stage, 1.0) if enlarges else _CUTTING.get(stage, _TYPICAL.get(stage, 1.0))
        rate = self.known.get((stage, enlarges), typical)
        return round(rate * (minutes or 1.0), 1)


def _enlarges(settings: Mapping[str, Any]) -> bool:
    return settings.get("upscale", {}).get("upscaler", "auto") not in ("none", "lanczos")
