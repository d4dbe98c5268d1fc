"""Downloading the models that settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from animeset_lib.errors import ModelError
from animeset_lib.models.api import Task
from animeset_lib.models.engines.device import choose
from animeset_lib.models.provider import Zoo
from animeset_lib.models.weights import OfflineError
from animeset_lib.settings import Settings

__all__ = ["fetch_models", "models_of"]


def fetch_models(
    settings: Settings, device: str, progress: Callable[[str, int, int | None], None], listener: Callable[[str], None]
) -> None:
    """Download the models that `settings` ask for; for `auto` the best of each task that would run here.

    listener   gets a sentence for what could not be had, and that the next rung is used

    Raises `ModelError` when a model that was asked for by name cannot be had; the next rung would be another one than the user wants.
    """
    models = Zoo(device=choose(device))
    for task, name in models_of(settings):
        try:
            models.fetch_best(task, name, progress)
        except OfflineError as error:
            if name != "auto":
                raise
            listener(f"{error}. The run goes on with the models that are here.")
            return
        except ModelError as error:
            if name != "auto":
                raise
            listener(f"{error}. The run goes on with the next {task} that is here.")


def models_of(settings: Settings) -> list[tuple[Task, str]]:
    """The models this run asks for."""
    asked: list[tuple[Task, str]] = [
        ("detector", settings.detect.detector),
        ("embedder", settings.embed.embedder),
        ("upscaler", settings.upscale.upscaler),
        ("tagger", settings.tag.tagger),
    ]
    return [(task, name) for task, name in asked if (task, name) != ("upscaler", "none")]
