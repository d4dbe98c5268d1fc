"""What a film's tracks teach: nuisance directions lose weight, persons come apart, thresholds keep their meaning."""

from __future__ import annotations

import numpy as np
import pytest

from animeset_lib.cast.metric_learning import learn

SAME = 0.4


def film(tracks: int, per_track: int, nuisance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(unit vectors, track of each, person of each): four persons, whose pose swings along two directions more than they differ."""
    rng = np.random.default_rng(seed)
    persons = rng.normal(size=(4, 24))
    persons[:, :2] = 0
    vectors, track, who = [], [], []
    for t in range(tracks):
        for _ in range(per_track):
            v = persons[t % 4] + rng.normal(size=24) * 0.25
            v[:2] += rng.normal(size=2) * nuisance
            vectors.append(v / np.linalg.norm(v))
            track.append(t)
            who.append(t % 4)
    return np.array(vectors, np.float32), np.array(track), np.array(who)


def told_apart(vectors: np.ndarray, track: np.ndarray, who: np.ndarray) -> float:
    """Area under the verification curve over pairs of different tracks."""
    from sklearn.metrics import roc_auc_score

    first, second = np.triu_indices(len(vectors), k=1)
    across = track[first] != track[second]
    return float(roc_auc_score((who[first] == who[second])[across], (vectors @ vectors.T)[first, second][across]))


def test_persons_come_apart_where_tracks_vary_along_what_does_not_matter() -> None:
    vectors, track, who = film(40, 6, nuisance=7.0)
    adaptation = learn(vectors, track, [], SAME)
    assert adaptation is not None
    assert told_apart(vectors, track, who) < 0.8
    assert told_apart(adaptation.apply(vectors), track, who) > 0.9


def test_faces_seen_side_by_side_keep_what_tells_them_apart() -> None:
    """The direction in which two persons of one still differ also varies inside tracks; the pairs protect it."""
    vectors, track, _ = film(40, 6, nuisance=2.0)
    apart = [(a, b) for a in range(0, 40, 4) for b in range(1, 40, 4)]
    with_pairs, without = learn(vectors, track, apart, SAME), learn(vectors, track, [], SAME)
    assert with_pairs is not None
    assert without is not None
    means = np.array([vectors[track == t].mean(0) for t in range(40)], np.float32)
    means /= np.linalg.norm(means, axis=1, keepdims=True)

    def distance(adapted: np.ndarray) -> float:
        return float(np.mean([1 - adapted[a] @ adapted[b] for a, b in apart]))

    assert distance(with_pairs.apply(means)) > distance(without.apply(means))


def test_vectors_stay_unit_vectors_and_the_threshold_keeps_its_share() -> None:
    vectors, track, _ = film(40, 6, nuisance=2.0)
    adaptation = learn(vectors, track, [], SAME)
    assert adaptation is not None
    assert np.allclose(np.linalg.norm(adaptation.apply(vectors), axis=1), 1, atol=1e-5)
    assert adaptation.faces == 40 * 5
    means = np.array([vectors[track == t].mean(0) for t in range(40)], np.float32)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    upper = np.triu_indices(40, k=1)
    before = ((1 - means @ means.T)[upper] < SAME).mean()
    adapted = adaptation.apply(means)
    assert ((1 - adapted @ adapted.T)[upper] < adaptation.same_distance).mean() == pytest.approx(before, abs=0.01)


@pytest.mark.parametrize(("tracks", "per_track"), [(0, 1), (1, 5), (30, 1), (10, 4)])
def test_too_few_faces_teach_nothing(tracks: int, per_track: int) -> None:
    vectors, track, _ = (
        film(tracks, per_track, nuisance=1.0) if tracks else (np.zeros((0, 8), np.float32), np.zeros(0, int), None)
    )
    assert learn(vectors, track, [], SAME) is None


def test_equal_faces_are_no_ground_for_a_crash() -> None:
    vectors = np.tile(np.eye(8, dtype=np.float32)[0], (80, 1))
    adaptation = learn(vectors, np.repeat(np.arange(10), 8), [(0, 1)], SAME)
    assert adaptation is None or np.isfinite(adaptation.apply(vectors)).all()
