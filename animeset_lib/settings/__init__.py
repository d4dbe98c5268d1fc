"""Every setting of every stage: meaning, unit, range and default, one file per room; TOML in and out; presets."""

from animeset_lib.settings.cast import CastSettings, ClusterSettings, DetectSettings, EmbedSettings
from animeset_lib.settings.dataset import DatasetSettings, RegularisationSettings
from animeset_lib.settings.device import DeviceSettings
from animeset_lib.settings.film import FilmSettings
from animeset_lib.settings.frames import DedupeSettings, ExtractSettings
from animeset_lib.settings.pictures import CropSettings, QualitySettings, UpscaleSettings
from animeset_lib.settings.section import Section
from animeset_lib.settings.shared import CaptionWords, Mix, SetSize, TrainingSize
from animeset_lib.settings.whole import PRESETS, Settings, describe, load_settings
from animeset_lib.settings.words import AttributesSettings, CaptionSettings, TagSettings

__all__ = [
    "PRESETS",
    "AttributesSettings",
    "CaptionSettings",
    "CaptionWords",
    "CastSettings",
    "ClusterSettings",
    "CropSettings",
    "DatasetSettings",
    "DedupeSettings",
    "DetectSettings",
    "DeviceSettings",
    "EmbedSettings",
    "ExtractSettings",
    "FilmSettings",
    "Mix",
    "QualitySettings",
    "RegularisationSettings",
    "Section",
    "SetSize",
    "Settings",
    "TagSettings",
    "TrainingSize",
    "UpscaleSettings",
    "describe",
    "load_settings",
]
