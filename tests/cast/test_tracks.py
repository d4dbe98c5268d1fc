"""Tracks: one figure through the stills of a shot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeset_lib.cast.tracks import TrackedFace, link_tracks, split_outliers
from animeset_lib.records import Box

SAME = 0.3
A, B, C = np.eye(3, dtype=np.float32)


def tilted(base: npt.NDArray[np.float32], towards: npt.NDArray[np.float32], distance: float) -> npt.NDArray[np.float32]:
    """The unit vector at cosine `distance` from `base` in the direction of `towards`."""
    cosine = 1 - distance
    return np.asarray(cosine * base + (1 - cosine**2) ** 0.5 * towards, dtype=np.float32)


def seen(ms: int, x: float, vector: npt.NDArray[np.float32], shot: int = 0, size: float = 100) -> TrackedFace:
    return TrackedFace(shot, ms, f"f-{shot}-{ms}", Box(x0=x, y0=0, x1=x + size, y1=size), vector)


@pytest.mark.parametrize(
    ("sightings", "expected"),
    [
        ([], []),
        ([seen(0, 0, A)], [0]),
        ([seen(0, 0, A), seen(500, 5, A)], [0, 0]),
        ([seen(0, 0, A), seen(500, 0, B)], [0, 1]),
        ([seen(0, 0, A), seen(500, 300, A)], [0, 0]),
        ([seen(0, 0, A), seen(500, 0, tilted(A, B, 0.4))], [0, 0]),
        ([seen(0, 0, A), seen(500, 300, tilted(A, B, 0.4))], [0, 1]),
        ([seen(0, 0, A), seen(9000, 0, A)], [0, 1]),
        ([seen(0, 0, A), seen(500, 0, A, shot=1)], [0, 1]),
        ([seen(0, 0, A), seen(0, 200, B), seen(500, 200, A), seen(500, 0, B)], [0, 1, 0, 1]),
        ([seen(0, 0, A), seen(0, 200, A), seen(500, 205, A), seen(500, 5, A)], [0, 1, 1, 0]),
        ([seen(500, 5, A), seen(0, 0, A)], [0, 0]),
        ([seen(0, 0, A), seen(500, 0, B), seen(1000, 0, A)], [0, 1, 0]),
    ],
    ids=[
        "nothing",
        "one",
        "still standing",
        "cut that was missed",
        "walks across",
        "turns on the spot",
        "another one elsewhere",
        "gone too long",
        "next shot",
        "two cross over",
        "twins keep their places",
        "any order",
        "hidden for a moment",
    ],
)
def test_links(sightings: list[TrackedFace], expected: list[int]) -> None:
    assert link_tracks(sightings, SAME, 2500).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(0, 400), st.integers(0, 5)),
        max_size=25,
    )
)
def test_a_track_never_holds_two_faces_of_one_still(drawn: list[tuple[int, int, int, int]]) -> None:
    vectors = np.eye(6, dtype=np.float32)
    sightings = [seen(ms * 400, x, vectors[v // 2], shot) for shot, ms, x, v in drawn]
    numbers = link_tracks(sightings, SAME, 2500)
    places = [(number, sighting.frame_id) for number, sighting in zip(numbers.tolist(), sightings, strict=True)]
    assert len(set(places)) == len(places)
    for number in set(numbers.tolist()):
        assert len({s.shot for s, n in zip(sightings, numbers, strict=True) if n == number}) == 1
    assert sorted(set(numbers.tolist())) == list(range(len(set(numbers.tolist()))))


def test_members_far_from_their_track_stand_alone() -> None:
    vectors = np.stack([A, A, tilted(A, C, 0.1), B, A, C, C])
    units = split_outliers(np.array([0, 0, 0, 0, 0, 1, 1]), vectors, SAME)
    assert units.tolist() == [0, 0, 0, 1, 0, 2, 2]


def test_a_few_strangers_do_not_move_the_mean() -> None:
    vectors = np.stack([A, A, A, B, B])
    assert split_outliers(np.zeros(5, np.int64), vectors, SAME).tolist() == [0, 0, 0, 1, 2]
