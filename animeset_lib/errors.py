"""The few exceptions that cross a border.

Every message says what went wrong, what was expected, what was found and what to do now; the command line prints it as
one line, without a traceback, and leaves with `exit_code`.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AnimesetError",
    "BusyError",
    "CancelledError",
    "InputError",
    "ModelError",
    "PictureError",
    "SettingsError",
    "SpaceError",
    "sentence_of",
]


class AnimesetError(Exception):
    """Something a person can mend. `exit_code` is what the process returns when it reaches the command line."""

    exit_code: ClassVar[int] = 1


class InputError(AnimesetError):
    """The film, folder or file that was given cannot be used."""


class SettingsError(AnimesetError):
    """A setting is unknown or out of its range."""

    exit_code: ClassVar[int] = 2


class ModelError(AnimesetError):
    """A model cannot be loaded or answered with something its protocol does not allow."""


class SpaceError(AnimesetError):
    """Not enough free disk space to begin or to go on."""


class BusyError(AnimesetError):
    """Another live process holds the lock of this film's work folder (EX_TEMPFAIL of sysexits.h)."""

    exit_code: ClassVar[int] = 75


class CancelledError(AnimesetError):
    """The run was asked to stop; finished batches are kept (128 + SIGINT, the shell's convention)."""

    exit_code: ClassVar[int] = 130


class PictureError(AnimesetError):
    """One picture could not be worked on; the model may well answer for the next one. Stages make it a dropped row."""


def sentence_of(error: Exception, kept: str = "nothing finished is lost") -> str:
    """What a person is told: our own words, or for a fault of ours that there was one, and what is `kept`."""
    if isinstance(error, AnimesetError):
        return str(error)
    return f"something went wrong inside animeset ({type(error).__name__}: {error}); {kept}"
