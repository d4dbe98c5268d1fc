"""Automatic names over the runs of one film: the same person keeps hers, a new one gets the next number, nobody gets another's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animeset_lib.cast.cast import name_clusters
from animeset_lib.cast.name_book import KnownName, NameBook, load_names, who_is_known
from animeset_lib.errors import InputError
from animeset_lib.records import ClusterRow

A, B, C, D = np.eye(4, dtype=np.float32)


def known(name: str, look: np.ndarray, faces: str = "", embedder: str = "e") -> KnownName:
    return KnownName(name=name, embedder=embedder, faces=tuple(faces.split()), vectors=(tuple(map(float, look)),))


BOOK = [known("character_01", A, "a1 a2 a3"), known("character_02", B, "b1 b2")]


def named(groups: dict[str, np.ndarray], names: list[KnownName] = BOOK, embedder: str = "e") -> list[str]:
    """The names of clusters 0, 1, ..., given as faces → look of all of them."""
    ids = [face for faces in groups for face in faces.split()]
    labels = np.array([number for number, faces in enumerate(groups) for _ in faces.split()])
    vectors = np.array([look for faces, look in groups.items() for _ in faces.split()], np.float32)
    before = who_is_known(ids, labels, vectors, names, embedder, 0.3)
    rows = [
        ClusterRow(id=face, track=0, cluster=int(label), confidence=1, x=0, y=0)
        for face, label in zip(ids, labels, strict=True)
    ]
    return [name[-2:] for name in name_clusters(rows, {}, [], [], before, {one.name for one in names}).values()]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"x1 x2 x3": B, "y1 y2": A}, ["02", "01"]),  # other stills, the other one is seen more often
        ({"x1 x2 x3": C, "y1 y2": A}, ["03", "01"]),  # one more, larger; 02 is not seen and stays hers
        ({"b1 b2": D, "a1 a2 a3": C}, ["02", "01"]),  # the same faces, whatever they look like now
        ({"x1 x2 x3": A, "y1": A}, ["01", "03"]),  # one who falls apart: the name once
        ({"a1 x1 x2 x3 x4": C, "y1": B}, ["03", "02"]),  # one face of five is no majority
        ({"a1 a2 a3 b1 b2": A}, ["01"]),  # two who became one
    ],
)
def test_who_keeps_which_name(groups: dict[str, np.ndarray], expected: list[str]) -> None:
    assert named(groups) == expected


def test_vectors_of_another_embedder_say_nothing_but_faces_do() -> None:
    assert named({"x1 x2": B, "a1 a2": C}, embedder="other") == ["03", "01"]


def test_a_book_is_read_as_it_was_when_the_run_was_new(tmp_path: Path) -> None:
    first = NameBook().after_run("one", BOOK)
    assert (first.for_run("one"), first.for_run("two")) == ((), tuple(BOOK))
    second = first.after_run("two", [known("character_01", C), known("character_03", D)])
    assert [one.name for one in second.names] == ["character_01", "character_02", "character_03"]
    assert second.names[0] == BOOK[0]
    assert (second.for_run("one"), second.for_run("two")) == ((), tuple(BOOK))
    assert second.after_run("one", BOOK) == second
    path = tmp_path / "names.json"
    path.write_text(second.model_dump_json())
    assert load_names(path) == second
    path.write_text("{")
    with pytest.raises(InputError, match="move it away"):
        load_names(path)
