"""3c_cluster: known groups are found, strangers are noise, and two figures of one still never share a cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from animeset_lib.cast import grouping
from animeset_lib.cast.cluster import ClusterStage, least_regions
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.face_map import flat_map
from animeset_lib.cast.grouping import NOISE, group, mean_distances
from animeset_lib.cast.linkage import average_linkage, merge_near
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.records import Box, EmbedRow, Frame, Region
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import ClusterSettings, DetectSettings, EmbedSettings
from tests.notes import noted

SAME = 0.3
Vectors = npt.NDArray[np.float32]


def unit(vectors: npt.NDArray[np.floating]) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def cosine_distances(vectors: Vectors) -> Vectors:
    return mean_distances(vectors, np.arange(len(vectors)))


def people(
    sizes: list[int], spread: float = 0.35, strangers: int = 0, dim: int = 64, seed: int = 0
) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Vectors around one random direction per person (mean distance inside about `spread`²), strangers anywhere; who is who, -1 for strangers."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(len(sizes), dim)))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    noise = rng.normal(size=(len(truth), dim)) / dim**0.5
    vectors = unit(centres[truth] + spread * noise)
    return (
        np.concatenate([vectors, unit(rng.normal(size=(strangers, dim)))]).astype(np.float32),
        np.concatenate([truth, np.full(strangers, -1)]).astype(np.int64),
    )


def found_by(vectors: Vectors, forbidden: list[tuple[int, int]] | None = None, least: int = 3) -> npt.NDArray[np.int64]:
    return group(vectors, np.arange(len(vectors)), forbidden or [], SAME, least).labels


def pairs_of(labels: npt.NDArray[np.int64]) -> set[tuple[int, int]]:
    return {(i, j) for i, j in combinations(range(len(labels)), 2) if labels[i] == labels[j] != NOISE}


# ------------------------------------------------------------------------------------------------- linkage and affinity


@pytest.mark.parametrize("stop", [0.1, 0.5, 0.9, 1.3])
def test_without_constraints_it_is_the_average_linkage_of_scipy(stop: float) -> None:
    vectors, _ = people([8, 5, 9], spread=1.2, strangers=6, seed=3)
    distance = cosine_distances(vectors)
    ours = average_linkage(distance, np.ones(len(distance)), [], stop)
    theirs = fcluster(linkage(squareform(distance.astype(np.float64), checks=False), "average"), stop, "distance")
    assert pairs_of(ours) == pairs_of(theirs.astype(np.int64))


@pytest.mark.parametrize("rows_at_once", [3, 1000])
def test_merging_in_rounds_gives_the_same_groups_as_the_full_matrix(rows_at_once: int) -> None:
    vectors, _ = people([8, 5, 9], spread=1.0, strangers=6, seed=4)
    ones = np.ones(len(vectors))
    by_rounds = merge_near(vectors, ones, [], 0.5, rows_at_once=rows_at_once)
    by_matrix = average_linkage(1.0 - vectors @ vectors.T, ones, [], 0.5)
    assert pairs_of(by_rounds) == pairs_of(by_matrix)
    assert 3 < len(set(by_rounds.tolist())) < len(vectors)


def test_sizes_weigh_the_mean() -> None:
    distance = np.array([[0, 0.1, 0.9], [0.1, 0, 0.3], [0.9, 0.3, 0]], np.float32)
    assert average_linkage(distance, np.array([1.0, 1.0, 1.0]), [], 0.5).tolist() == [0, 0, 1]
    assert average_linkage(distance, np.array([1.0, 9.0, 1.0]), [], 0.5).tolist() == [0, 0, 0]


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 14), st.integers(0, 10_000), st.data())
def test_no_linkage_joins_a_forbidden_pair(n: int, seed: int, data: st.DataObject) -> None:
    vectors = unit(np.random.default_rng(seed).normal(size=(n, 3)))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])
    forbidden = data.draw(st.lists(pairs, max_size=12))
    for labels in (
        average_linkage(cosine_distances(vectors), np.ones(n), forbidden, np.inf),
        merge_near(vectors, np.ones(n), forbidden, 2.0),
    ):
        assert all(labels[a] != labels[b] for a, b in forbidden)


# ---------------------------------------------------------------------------------------------------------------- groups


@pytest.mark.parametrize(
    ("sizes", "strangers"),
    [([5], 0), ([4, 3], 0), ([3, 3, 3], 2), ([60, 25, 8], 6), ([40] * 9, 30), ([300, 30, 5], 20)],
)
def test_well_separated_people_are_found_and_strangers_are_noise(sizes: list[int], strangers: int) -> None:
    vectors, truth = people(sizes, strangers=strangers, seed=1)
    labels = found_by(vectors)
    assert len(set(labels.tolist()) - {NOISE}) == len(sizes)
    assert pairs_of(labels) == pairs_of(truth)
    assert np.bincount(labels[labels >= 0]).tolist() == sorted(sizes, reverse=True)


def test_nobody_and_one() -> None:
    assert found_by(np.zeros((0, 4), np.float32)).tolist() == []
    assert found_by(np.eye(4, dtype=np.float32)[:1]).tolist() == [NOISE]
    assert found_by(np.eye(4, dtype=np.float32)[:1], least=1).tolist() == [0]


def test_all_strangers_are_all_noise() -> None:
    assert set(found_by(unit(np.random.default_rng(0).normal(size=(60, 64)))).tolist()) == {NOISE}


def test_equal_pictures_are_one() -> None:
    assert set(found_by(np.tile(np.eye(8, dtype=np.float32)[0], (50, 1))).tolist()) == {0}


def test_one_long_track_is_a_character() -> None:
    """Two tracks of 40 and 30 faces are two characters, although each is a single voice."""
    units = np.repeat([0, 1], [30, 40])
    result = group(np.eye(4, dtype=np.float32)[units], units, [(0, 1)], SAME, 3)
    assert result.labels.tolist() == [1, 0]


@pytest.mark.parametrize("seed", [1, 8])
def test_what_all_faces_share_says_nothing(seed: int) -> None:
    """The show's own style makes everybody alike; seen from the middle they are not."""
    vectors, truth = people([10] * 12, spread=0.4, seed=seed)
    alike = unit(vectors + 1.25 * unit(np.ones(64)))
    plain = average_linkage(cosine_distances(alike), np.ones(120), [], SAME)
    assert pairs_of(plain) != pairs_of(truth)
    assert pairs_of(found_by(alike)) == pairs_of(truth)


def test_who_is_left_alone_is_placed_by_the_nearest_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile is far from the many fronts of its group and near to the five other profiles in it; beside one of its group it stays out."""
    front, side, other = np.eye(16, dtype=np.float64)[:3]
    rng = np.random.default_rng(0)

    def views(direction: npt.NDArray[np.float64], count: int) -> Vectors:
        return unit(direction + 0.02 * rng.normal(size=(count, 16)))

    fronts = np.concatenate([views(front, 30), *(views(front + t * side, 6) for t in (0.2, 0.4, 0.6, 0.8))])
    vectors = np.concatenate([fronts, views(other, 20), views(front + 2.2 * side, 1)])
    labels = found_by(vectors)
    assert labels.tolist() == [0] * 54 + [1] * 20 + [0]
    assert found_by(vectors, [(48 + i, 74) for i in range(6)])[-1] == NOISE
    monkeypatch.setattr(grouping, "_CLEARLY", -1.0)
    assert found_by(vectors)[-1] == NOISE, "linkage alone leaves it out"


def test_the_more_people_the_nearer_they_must_be() -> None:
    crowd, _ = people([3] * 200, spread=0.3, dim=128)
    show, _ = people([30] * 6, spread=0.3, dim=128)
    among_many, among_few = (group(v, np.arange(len(v)), [], SAME, 3) for v in (crowd, show))
    assert among_many.people == pytest.approx(200, rel=0.05)
    assert among_few.people == pytest.approx(6, rel=0.05)
    assert among_many.joined < 0.7 * among_few.joined


def test_a_unit_is_told_how_far_its_group_is_and_the_next() -> None:
    vectors, _ = people([10, 10], strangers=1, seed=3)
    result = group(vectors, np.arange(21), [], SAME, 3)
    assert result.labels.tolist() == [0] * 10 + [1] * 10 + [NOISE]
    assert result.nearest[:20].tolist() == result.labels[:20].tolist()
    assert (result.own[:20] < 1).all()
    assert (result.own[:20] < result.other[:20]).all()
    assert result.own[20] > 1
    assert result.nearest[20] in (0, 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 45), st.integers(1, 4), st.integers(0, 10_000), st.data())
def test_a_forbidden_pair_never_shares_a_group(n: int, kinds: int, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(np.eye(6)[rng.integers(0, kinds, n)] + 0.15 * rng.normal(size=(n, 6)))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] < p[1])
    forbidden = data.draw(st.lists(pairs, max_size=40, unique=True))
    least = data.draw(st.integers(1, 6))
    labels = found_by(vectors, forbidden, least)
    assert all(labels[a] != labels[b] or labels[a] == NOISE for a, b in forbidden)
    counts = np.bincount(labels[labels >= 0])
    assert (counts >= least).all()
    assert (np.diff(counts) <= 0).all()
    assert (labels == found_by(vectors, forbidden, least)).all()


def test_beyond_the_matrix_limit_the_nearest_are_joined_first(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, truth = people([120, 80, 40], strangers=8, seed=2)
    full = found_by(vectors)
    monkeypatch.setattr(grouping, "MOST_UNITS", 60)
    small = group(vectors, np.arange(len(vectors)), [(0, 130)], SAME, 3)
    assert small.left_out == 0
    assert (small.labels == full).mean() > 0.98
    assert pairs_of(full) == pairs_of(truth)


def test_what_does_not_fit_is_noise_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST_UNITS", 10)
    strangers = unit(np.random.default_rng(0).normal(size=(30, 64)))
    result = group(strangers, np.arange(30), [], SAME, 1)
    assert result.left_out == 20
    assert (result.labels == NOISE).sum() == 20


# ------------------------------------------------------------------------------------------------------------------- map


def test_few_faces_are_laid_out_by_pca() -> None:
    vectors, truth = people([6, 6], spread=0.1)
    flat = flat_map(vectors, "umap", 7)
    assert flat.shape == (12, 2)
    assert (flat[truth == 0, 0] < 0).all() != (flat[truth == 1, 0] < 0).all()
    assert flat_map(np.zeros((0, 4), np.float32), "umap", 7).shape == (0, 2)
    assert flat_map(vectors[:1], "umap", 7).tolist() == [[0.0, 0.0]]
    assert flat_map(np.ones((3, 1), np.float32), "umap", 7).tolist() == [[0.0, 0.0]] * 3


def test_a_map_by_itself_is_pca_until_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = people([150, 150], spread=0.2)
    np.testing.assert_array_equal(flat_map(vectors, "auto", 7), flat_map(vectors, "pca", 7))
    asked: list[int] = []
    monkeypatch.setattr("umap.UMAP.fit_transform", lambda self, given: asked.append(len(given)) or given[:, :2])
    flat_map(np.vstack([vectors, vectors[:1]]), "auto", 7)
    assert asked == [301]


def test_a_map_by_pca_on_demand() -> None:
    vectors, _ = people([20, 20], spread=0.2)
    flat = flat_map(vectors, "pca", 7)
    np.testing.assert_array_equal(flat, flat_map(vectors, "pca", 8))
    assert flat.std(axis=0)[0] > flat.std(axis=0)[1] > 0


def test_the_map_is_repeatable_and_keeps_neighbours_together() -> None:
    vectors, truth = people([20, 20], spread=0.2)
    flat = flat_map(vectors, "umap", 7)
    np.testing.assert_array_equal(flat, flat_map(vectors, "umap", 7))
    between = np.linalg.norm(flat[truth == 0].mean(axis=0) - flat[truth == 1].mean(axis=0))
    assert between > 2 * max(flat[truth == k].std(axis=0).max() for k in (0, 1))


# ----------------------------------------------------------------------------------------------------------------- stage


@pytest.fixture
def film(make_output: Callable[..., Output]) -> Callable[..., dict[StageType, Output[Any, Any]]]:
    """`film([(shot, ms, [(x, vector), ...]), ...])`: finished stages 1 to 3b with these faces in these stills."""

    def make(stills: list[tuple[int, int, list[tuple[float, Vectors]]]]) -> dict[StageType, Output[Any, Any]]:
        frames, regions, embeds = [], [], []
        for number, (shot, ms, faces) in enumerate(stills):
            frame_id = f"abc-{number:05d}"
            frames.append(
                Frame(id=frame_id, pts_ms=ms, shot=shot, file="x.png", width=1000, height=500, cause="change")
            )
            for j, (x, vector) in enumerate(faces):
                box = Box(x0=x, y0=50, x1=x + 80, y1=130)
                regions.append(
                    Region(
                        id=f"{frame_id}-{j:02d}",
                        frame_id=frame_id,
                        face=box,
                        person=box,
                        person_estimated=True,
                        score=0.9,
                        width=1000,
                        height=500,
                    )
                )
                embeds.append(EmbedRow.with_vector(f"{frame_id}-{j:02d}", vector))
        return {
            ExtractStage: make_output(ExtractStage, frames),
            DetectStage: make_output(DetectStage, regions),
            EmbedStage: make_output(EmbedStage, embeds, noted(EmbedStage, same_distance=SAME)),
        }

    return make


def test_a_film_of_two_and_an_extra(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    vectors, _ = people([20, 12], strangers=1, seed=6)
    a, b, extra = iter(vectors[:20]), iter(vectors[20:32]), vectors[32]
    stills = [
        (shot, shot * 5000 + k * 400, [(100.0 + k, next(a)), (500.0, next(b))]) for shot in range(3) for k in range(4)
    ]
    stills += [(9, 90_000 + k * 400, [(200.0, next(a))]) for k in range(8)]
    stills[0][2].append((800.0, extra))
    given = film(stills)
    result = run_stage(ClusterStage(ClusterSettings(map="pca")), given, make_context())
    by_cluster = defaultdict(list)
    for row in result.rows:
        by_cluster[row.cluster].append(row)
    assert {cluster: len(rows) for cluster, rows in by_cluster.items()} == {0: 20, 1: 12, NOISE: 1}
    assert by_cluster[NOISE][0].id == "abc-00000-02"
    assert by_cluster[NOISE][0].why
    assert by_cluster[NOISE][0].confidence == 0
    assert all(row.confidence > 0.3 and not row.why for row in by_cluster[0] + by_cluster[1])
    assert len({row.track for row in by_cluster[0]}) == 4
    notes = result.notes
    assert notes.clusters == (20, 12)
    assert (notes.same_distance, notes.min_regions, notes.track_gap_ms) == (SAME, 3, 2500)
    assert notes.noise_share == pytest.approx(1 / 33, abs=1e-4)
    assert sum(notes.distances.within) == 20 * 19 / 2 + 12 * 11 / 2
    assert sum(notes.distances.between) == 20 * 12
    assert notes.together == 5  # three shots of two, and the extra beside both


def test_a_track_votes_as_one(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    """One still of the shot is so dark that, alone, its face would belong to nobody."""
    first, other = np.eye(8, dtype=np.float32)[:2]
    dark = np.asarray(0.66 * first + (1 - 0.66**2) ** 0.5 * other, np.float32)
    stills = [(0, k * 400, [(100.0, dark if k == 3 else first)]) for k in range(7)]
    alone = found_by(np.stack([first] * 3 + [dark]))
    result = run_stage(ClusterStage(ClusterSettings(map="pca")), film(stills), make_context())
    assert alone.tolist() == [0, 0, 0, NOISE]
    assert [row.cluster for row in result.rows] == [0] * 7
    assert result.rows[3].confidence < result.rows[0].confidence


def test_twins_in_every_still_stay_two(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    same = np.eye(8, dtype=np.float32)[0]
    result = run_stage(
        ClusterStage(ClusterSettings(map="pca")),
        film([(k // 4, k * 400, [(100.0, same), (600.0, same)]) for k in range(12)]),
        make_context(),
    )
    for first, second in zip(result.rows[::2], result.rows[1::2], strict=True):
        assert first.cluster != second.cluster
    assert {row.cluster for row in result.rows} == {0, 1}
    assert {row.confidence for row in result.rows} == {0.0}  # nothing but their places tells them apart
    assert (result.notes.together, result.notes.together_alike) == (3, 3)


def test_all_faces_in_one_still(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    given = film([(0, 0, [(100.0 * j, np.eye(8, dtype=np.float32)[j % 3]) for j in range(6)])])
    result = run_stage(ClusterStage(ClusterSettings(min_regions=2)), given, make_context())
    assert {row.cluster for row in result.rows} == {NOISE}


def test_one_face(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    result = run_stage(
        ClusterStage(ClusterSettings(map="pca")),
        film([(0, 0, [(0.0, np.eye(8, dtype=np.float32)[0])])]),
        make_context(),
    )
    assert [(row.cluster, row.x, row.y, row.track) for row in result.rows] == [(NOISE, 0.0, 0.0, 0)]
    assert "at least 3 faces" in result.rows[0].why


def test_no_face_is_a_finished_stage_without_rows(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    given = {ExtractStage: make_output(ExtractStage, []), DedupeStage: make_output(DedupeStage, [])}
    given[DetectStage] = run_stage(DetectStage(DetectSettings()), given, make_context())
    given[EmbedStage] = run_stage(EmbedStage(EmbedSettings()), given, make_context())
    result = run_stage(ClusterStage(ClusterSettings(map="pca")), given, make_context())
    assert result.rows == []
    assert result.notes.clusters == ()


def test_a_setting_overrides_the_embedders_distance(
    film: Callable[..., dict[StageType, Output[Any, Any]]],
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
) -> None:
    first, second = np.eye(8, dtype=np.float32)[:2]
    near = np.asarray(0.85 * first + (1 - 0.85**2) ** 0.5 * second, np.float32)
    given = film([(k, k * 9000, [(0.0, first if k % 2 else near)]) for k in range(6)])
    joined = run_stage(ClusterStage(ClusterSettings(map="pca")), given, make_context())
    assert {row.cluster for row in joined.rows} == {0}
    apart = run_stage(ClusterStage(ClusterSettings(same_distance=0.1)), given, make_context())
    assert {row.cluster for row in apart.rows} == {0, 1}


@pytest.mark.parametrize(("faces", "least"), [(0, 3), (5, 3), (300, 4), (1000, 8), (3600, 15), (20_000, 15)])
def test_least_regions_grow_with_the_film(faces: int, least: int) -> None:
    assert least_regions(faces) == least
