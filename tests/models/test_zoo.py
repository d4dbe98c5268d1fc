"""The table of models and how one is chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from animeset_lib.errors import ModelError
from animeset_lib.models.api import ModelInfo
from animeset_lib.models.fakes import FakeUpscaler
from animeset_lib.models.zoo import RUNGS, Rung, Zoo


class Loaded(FakeUpscaler):
    """Counts how often it is made."""

    times = 0

    def __init__(self, info: ModelInfo) -> None:
        type(self).times += 1
        self.info = info


def rung(name: str, *, weights: tuple[Path, ...] = (), missing: str = "", version: str = "1") -> Rung:
    def files() -> tuple[Path, ...]:
        if missing:
            raise ModelError(missing)
        return weights

    return Rung(
        task="upscaler",
        name=name,
        load=Loaded,
        version=version,
        licence="MIT",
        source="a test",
        rung="Some rung.",
        get=f"fetch {name}",
        weights=files,
    )


def test_every_rung_tells_licence_source_and_command() -> None:
    for entry in RUNGS:
        assert all((entry.licence, entry.source, entry.rung, entry.get, entry.version)), entry.name
    assert len({(entry.task, entry.name) for entry in RUNGS}) == len(RUNGS)
    assert {entry.task for entry in RUNGS} == {"detector", "embedder", "upscaler", "tagger"}


def test_auto_is_the_first_that_is_present() -> None:
    zoo = Zoo([rung("best", missing="no file"), rung("good"), rung("poor")])
    assert zoo.info("upscaler", "auto").name == "good"
    assert zoo.upscaler("auto") is zoo.upscaler("good")
    assert [(row["name"], row["present"], row["auto"]) for row in zoo.overview()] == [
        ("best", False, False),
        ("good", True, True),
        ("poor", True, False),
    ]
    assert zoo.overview()[0]["why_not"] == "no file"


def test_loaded_once_and_not_for_info() -> None:
    Loaded.times = 0
    zoo = Zoo([rung("good")])
    zoo.info("upscaler", "good")
    zoo.overview()
    assert Loaded.times == 0
    assert zoo.upscaler("good") is zoo.upscaler("good")
    assert Loaded.times == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("goood", r"unknown upscaler `goood`: did you mean good\? There are auto, best, good"),
        ("zzz", r"unknown upscaler `zzz`: There are auto, best, good"),
        ("best", "the upscaler best is not present: no file. Get it with: fetch best"),
    ],
)
def test_what_cannot_be_had_is_said(name: str, message: str) -> None:
    zoo = Zoo([rung("best", missing="no file"), rung("good")])
    with pytest.raises(ModelError, match=message):
        zoo.info("upscaler", name)
    with pytest.raises(ModelError, match=message):
        zoo.upscaler(name)


def test_none_present_lists_every_reason() -> None:
    zoo = Zoo([rung("best", missing="no file"), replace(rung("good"), needs=("no_such_module",))])
    with pytest.raises(
        ModelError,
        match=r"best: no file \(fetch best\); good: no_such_module not installed \(fetch good\)",
    ):
        zoo.upscaler("auto")


def test_digest_follows_name_version_and_weights(tmp_path: Path) -> None:
    one, two = tmp_path / "one.bin", tmp_path / "two.bin"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    variants = [
        rung("a", weights=(one,)),
        rung("a", weights=(two,)),
        rung("a", weights=(one, two)),
        rung("a", weights=(one,), version="2"),
        rung("b", weights=(one,)),
    ]
    digests = [Zoo([entry]).info("upscaler", entry.name).digest for entry in variants]
    assert len(set(digests)) == len(digests)
    assert Zoo([variants[0]]).info("upscaler", "a").digest == digests[0]
