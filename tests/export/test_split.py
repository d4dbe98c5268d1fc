"""Validation: whole shots, spread over framings and outfits, the same every time."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeset_lib.errors import InputError
from animeset_lib.export.split import MIN_PICTURES, validation_split
from animeset_lib.published.reader import ExportPicture


def picture(
    number: int, shot: int | None, framing: str = "face", outfit: str = "dress", film: str = "f"
) -> ExportPicture:
    return ExportPicture(
        path=Path(f"{number}.png"),
        stem=f"p{number:03d}",
        caption="hana",
        film=film,
        sha256="",
        width=8,
        height=8,
        outfit=outfit,
        framing=framing,
        shot=shot,
    )


def test_a_tenth_of_single_pictures() -> None:
    pictures = [picture(n, n) for n in range(40)]
    assert len(validation_split(pictures, 0.1)) == 4
    assert validation_split(pictures, 0.0) == frozenset()


def test_shots_stay_whole_and_large_ones_train() -> None:
    pictures = [picture(n, 0) for n in range(18)] + [picture(n, 1) for n in range(18, 20)]
    assert validation_split(pictures, 0.1) == {"p018", "p019"}
    assert validation_split([picture(n, 0) for n in range(40)], 0.1) == frozenset(), "one shot cannot be split"


def test_shots_of_two_films_are_two_shots() -> None:
    pictures = [picture(n, 0, film="a") for n in range(19)] + [picture(19, 0, film="b")]
    assert validation_split(pictures, 0.05) == {"p019"}


def test_it_is_spread_over_framings_and_outfits() -> None:
    pictures = [
        picture(n, n, framing=("face", "full")[n % 2], outfit=("dress", "kimono")[n // 2 % 2]) for n in range(40)
    ]
    chosen = [one for one in pictures if one.stem in validation_split(pictures, 0.1)]
    assert Counter(one.framing for one in chosen) == {"face": 2, "full": 2}
    assert Counter(one.outfit for one in chosen) == {"dress": 2, "kimono": 2}


def test_the_last_picture_of_an_outfit_trains() -> None:
    pictures = [picture(n, n) for n in range(19)] + [picture(19, 19, outfit="kimono")]
    for share in (0.05, 0.1, 0.5):
        chosen = validation_split(pictures, share)
        assert chosen
        assert "p019" not in chosen
    assert validation_split([picture(n, n, outfit=f"dress {n}") for n in range(20)], 0.5) == frozenset()


@pytest.mark.parametrize("count", [0, 1, MIN_PICTURES - 1])
def test_a_small_set_trains_whole(count: int) -> None:
    assert validation_split([picture(n, n) for n in range(count)], 0.5) == frozenset()


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.integers(0, 9)), st.sampled_from("ab"), st.sampled_from("xy")), max_size=40
    ),
    st.sampled_from([0.05, 0.1, 0.3, 0.5]),
    st.randoms(use_true_random=False),
)
def test_promises(rows: list[tuple[int | None, str, str]], share: float, shuffled: random.Random) -> None:
    pictures = [picture(n, shot, framing, outfit) for n, (shot, framing, outfit) in enumerate(rows)]
    chosen = validation_split(pictures, share)
    assert len(chosen) <= 2 * share * len(pictures)
    for shot in {one.shot for one in pictures} - {None}:
        own = {one.stem for one in pictures if one.shot == shot}
        assert own <= chosen or not own & chosen
    mixed = list(pictures)
    shuffled.shuffle(mixed)
    assert validation_split(mixed, share) == chosen


@pytest.mark.parametrize("share", [-0.1, 0.51, 1.0])
def test_shares_that_are_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"0 to 0\.5"):
        validation_split([], share)
