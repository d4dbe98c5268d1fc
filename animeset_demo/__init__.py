"""A small animated film, drawn by code, that knows what is in each of its frames: demo for newcomers, ruler for tests."""

from animeset_demo.film import iter_demo_frames, render_demo_film
from animeset_demo.truth import CharacterTruth, DemoTruth, FilmTruth, FrameTruth, PersonTruth, ShotTruth

__all__ = [
    "CharacterTruth",
    "DemoTruth",
    "FilmTruth",
    "FrameTruth",
    "PersonTruth",
    "ShotTruth",
    "iter_demo_frames",
    "render_demo_film",
]
