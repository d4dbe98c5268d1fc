"""animeset: from an anime film to captioned, per-character image sets. Importing this is cheap and does nothing."""

__all__ = ["__version__"]
__version__ = "0.1.0"
