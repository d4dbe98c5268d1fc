"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "cast.names",
    "export.repeats",
    "published.reader",
    "records",
    "run.stage",
    "settings.whole",
    "words.line",
    "words.spelling",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"animeset_lib.{name}"), optionflags=doctest.ELLIPSIS)
    assert tried > 0, f"{name} has no example any more; take it off the list"
    assert failed == 0
