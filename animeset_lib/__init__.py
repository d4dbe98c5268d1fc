"""animeset: from an anime film to captioned, per-character image sets. Importing this is cheap and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animeset_lib.notebook.run import Run, StageView, open_run

__all__ = ["Run", "StageView", "__version__", "open_run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The names for notebooks, imported when they are first used: whoever only asks for the version waits for nothing."""
    if name in ("Run", "StageView", "open_run"):
        from animeset_lib.notebook import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
