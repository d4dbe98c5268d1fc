"""Fixtures shared by the tests of exports and linter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from animeset_lib.export import lint_pictures


@pytest.fixture(scope="module")
def equal_bytes_are_decoded_once() -> Iterator[None]:
    """For speed alone: the thousands of pictures that tests lint are the same few."""
    real = lint_pictures._measure
    known: dict[tuple[bytes, str], Any] = {}

    def measure(path: Path) -> Any:
        key = path.read_bytes(), path.suffix
        if key not in known:
            known[key] = real(path)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lint_pictures, "_measure", measure)
        yield
