"""Booru tags: how they are spelled, what they talk about, what a caption makes of them. Pure functions over words and scores."""
