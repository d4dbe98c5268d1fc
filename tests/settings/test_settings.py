"""Settings: defaults, sources and their order, refusals that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from animeset_lib.errors import SettingsError
from animeset_lib.settings import PRESETS, Settings, describe, load_settings


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_toml_reads_back_equal(preset: str, tmp_path: Path) -> None:
    settings = load_settings(preset=preset, assignments=['tag.tagger=we"ird\\name', "extract.skip=0:00-0:05, Ending"])
    file = tmp_path / "s.toml"
    file.write_text(settings.to_toml(), encoding="utf-8")
    assert load_settings(file) == settings


def test_later_source_wins(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[dataset]\nmax_pictures = 50\nmin_pictures = 20\n")
    settings = load_settings(file, ["dataset.max_pictures=60"], "draft")
    assert (settings.dataset.max_pictures, settings.dataset.min_pictures) == (60, 20)
    assert settings.set_size.max_pictures == 60, "a view of it follows"
    assert settings.upscale.training_px == PRESETS["draft"]["upscale"]["training_px"]


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("dedupe.ssim_mni=0.9", "did you mean 'ssim_min'"),
        ("dedpe.ssim_min=0.9", "did you mean 'dedupe'"),
        ("dedupe.ssim_min=1.5", "at most 1"),
        ("dedupe.ssim_min=lots", "at least 0"),
        ("extract.mode=sometimes", "one of adaptive, fps, keyframes"),
        ("nonsense", "stage.key=value"),
        ("dataset.min_pictures=200", "larger than dataset.max_pictures"),
        ("dataset.max_pictures=12", "set both, such as dataset.min_pictures=12"),
        ("crop.training_px=512", r"unknown setting 'crop\.training_px'"),
    ],
)
def test_refusals_name_the_way_out(assignment: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings(assignments=[assignment])
    assert caught.value.exit_code == 2


def test_unreadable_file_and_unknown_preset(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[extract\n")
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        load_settings(bad)
    with pytest.raises(SettingsError, match="draft"):
        load_settings(preset="drft")


def test_every_setting_is_described() -> None:
    rows = describe()
    assert len(rows) > 30
    for row in rows:
        assert row["description"], row
        assert row["description"].endswith("."), row
    sections = {row["section"] for row in rows}
    assert sections == set(Settings.model_fields)
