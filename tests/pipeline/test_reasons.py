"""Every stage declares what it drops rows for, with words for it."""

from __future__ import annotations

import re
from dataclasses import astuple
from pathlib import Path

import animeset_lib
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.records import Reason

ROOMS = [Path(animeset_lib.__file__).parent / room for room in ("frames", "cast", "pictures", "words", "dataset")]


def test_every_reason_is_declared_once_with_its_words() -> None:
    words: dict[str, Reason] = {}
    for stage in PIPELINE.values():
        for code, reason in stage.reasons.items():
            assert words.setdefault(code, reason) == reason, f"{stage.name}: {code} has other words than elsewhere"
            assert all(astuple(reason)), f"{stage.name}: {code} lacks words"
            assert reason.means.endswith("."), f"{stage.name}: {code} is not explained by a sentence"
    source = "".join(path.read_text(encoding="utf-8") for room in ROOMS for path in room.glob("*.py"))
    written = set(re.findall(r"""(?:\bdropped=|"dropped": |_dropped\(\s*frame, )"(\w+)\"""", source))
    assert len(written) > 10
    assert written - words.keys() == set()
