"""How each trainer reads a folder, written from what is documented of the trainers, without anything of the exporters."""

from animeset_lib.export.loaders.loaded import Finding, Loaded, LoadedPicture, LoadedSet
from animeset_lib.export.loaders.recognise import FORMATS, Source, load, recognise

__all__ = ["FORMATS", "Finding", "Loaded", "LoadedPicture", "LoadedSet", "Source", "load", "recognise"]
