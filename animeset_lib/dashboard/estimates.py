"""How long a stage will take, from earlier runs on this machine, else from typical numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Rates"]

# Seconds per minute of film on two processor cores with the models that need no download, for the first run on a machine. Enlarging, tagging and
# the two of faces together are from the shares of a whole run on the demo film (README); how the rest divides is rough.
_TYPICAL: Mapping[str, float] = {
    "1_extract": 6.0,
    "2_dedupe": 3.0,
    "3a_detect": 6.0,
    "3b_embed": 4.0,
    "3c_cluster": 4.0,
    "3d_cast": 0.1,
    "4a_quality": 2.0,
    "4b_upscale": 440.0,
    "5_crop": 6.0,
    "6a_tag": 20.0,
    "6b_attributes": 2.0,
    "6c_caption": 0.1,
    "6d_regularisation": 0.1,
    "7_dataset": 8.0,
}
_WITHOUT_NETWORK: Mapping[str, float] = {"4b_upscale": 1.0}
"""Of 4b_upscale when nothing is enlarged by a network: cutting only."""


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
        rate = self.known.get((stage, enlarges))
        if rate is None:
            rate = _TYPICAL.get(stage, 1.0) if enlarges else _WITHOUT_NETWORK.get(stage, _TYPICAL.get(stage, 1.0))
        return round(rate * (minutes or 1.0), 1)


def _enlarges(settings: Mapping[str, Any]) -> bool:
    return settings.get("upscale", {}).get("upscaler", "auto") not in ("none", "lanczos")
