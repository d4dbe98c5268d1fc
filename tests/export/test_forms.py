"""The table of forms is what everything else goes by."""

from __future__ import annotations

from pathlib import Path

from animeset_lib.export.forms import LOADERS, WRITERS
from tests.export.lint_folders import GOOD

TRAINERS = Path(__file__).parents[2] / "docs" / "trainers.md"


def test_every_loader_is_tested_with_a_good_set() -> None:
    assert set(GOOD) == set(LOADERS)


def test_every_form_that_can_be_exported_has_a_title_and_its_row_in_the_documents() -> None:
    document = TRAINERS.read_text(encoding="utf-8")
    assert all(form.title and f"| `{name}` |" in document for name, form in WRITERS.items())
