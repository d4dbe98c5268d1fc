"""3d_cast: names by size, reference pictures and cast file; never two of one name in a still."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from animeset_lib.cast.cast import (
    CAST_FILE,
    DECISIONS_FILE,
    CastStage,
    MachineName,
    Match,
    NamedCharacter,
    cast_rows,
    match_clusters,
    name_clusters,
)
from animeset_lib.cast.cast_file import load_cast, representatives, save_cast
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.grouping import NOISE
from animeset_lib.cast.head_box import head_crop
from animeset_lib.cast.names import character_name, is_automatic, unused_names
from animeset_lib.cast.references import find_references, references_digest
from animeset_lib.errors import InputError
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import write_image
from animeset_lib.records import Box, ClusterRow, EmbedRow, Frame, Region
from animeset_lib.run.decisions import Decision, DecisionLog, digest_of
from animeset_lib.run.settling import settle
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import CastSettings
from tests.fakes import FAKE_FACE_RGB, FakeEmbedder, FakeModels
from tests.notes import noted

Vectors = npt.NDArray[np.float32]
RED, GREEN, BLUE = (220, 20, 20), (20, 220, 20), (20, 20, 220)
FakeFilm = Callable[..., dict[StageType, Output[Any, Any]]]


def portrait(hair: tuple[int, int, int], side: int = 100) -> npt.NDArray[np.uint8]:
    """A face of the fake detector's colour in the middle of a picture of the hair's colour."""
    picture = np.full((side, side, 3), hair, np.uint8)
    picture[side // 3 : 2 * side // 3, side // 3 : 2 * side // 3] = FAKE_FACE_RGB
    return picture


def looks(hair: tuple[int, int, int], side: int = 100) -> Vectors:
    """The vector that a face in such a portrait gets in 3b_embed."""
    third = side // 3
    box = Box(x0=third, y0=third, x1=2 * side // 3, y1=2 * side // 3)
    return np.asarray(FakeEmbedder().embed([head_crop(portrait(hair, side), box)])[0])


@pytest.fixture
def film(make_output: Callable[..., Output]) -> FakeFilm:
    """`film([(still, cluster, vector, confidence), ...])`: finished stages up to 3c with one face per entry."""

    def make(
        faces: Sequence[tuple[int, int, Vectors, float]], digest: str = "fake-embedder-1"
    ) -> dict[StageType, Output[Any, Any]]:
        frames = [
            Frame(id=f"abc-{n:03d}", pts_ms=n, shot=n, file="x.png", width=400, height=200, cause="change")
            for n in sorted({still for still, *_ in faces})
        ]
        regions, embeds, clusters = [], [], []
        for i, (still, cluster, vector, confidence) in enumerate(faces):
            box = Box(x0=10, y0=10, x1=60, y1=60)
            region = Region(
                id=f"abc-{still:03d}-{i:02d}",
                frame_id=f"abc-{still:03d}",
                face=box,
                person=box,
                person_estimated=True,
                score=0.9,
                width=400,
                height=200,
            )
            regions.append(region)
            embeds.append(EmbedRow.with_vector(region.id, vector))
            clusters.append(
                ClusterRow(
                    id=region.id,
                    track=i,
                    cluster=cluster,
                    confidence=confidence,
                    x=0,
                    y=0,
                    why="" if cluster >= 0 else "far from all",
                )
            )
        maker = noted(EmbedStage, embedder=dataclasses.replace(FakeEmbedder.info, digest=digest))
        return {
            ExtractStage: make_output(ExtractStage, frames),
            DetectStage: make_output(DetectStage, regions, noted(DetectStage)),
            EmbedStage: make_output(EmbedStage, embeds, maker),
            ClusterStage: make_output(ClusterStage, clusters, noted(ClusterStage)),
        }

    return make


def three_and_two(film: FakeFilm) -> dict[StageType, Output[Any, Any]]:
    """Cluster 0: red in stills 0-2; cluster 1: green in stills 2-3; noise: blue in still 3."""
    return film(
        [(n, 0, looks(RED), 0.8) for n in (0, 1, 2)]
        + [(n, 1, looks(GREEN), 0.7) for n in (2, 3)]
        + [(3, NOISE, looks(BLUE), 0.0)]
    )


def names(result: Output) -> list[str | None]:
    return [row.character for row in result.rows]


def references(folder: Path, pictures: dict[str, list[npt.NDArray[np.uint8]]]) -> Path:
    for name, images in pictures.items():
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(images):
            write_image(folder / name / f"{i}.png", image)
    return folder


# ---------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Rem", "rem"),
        ("Rem (Re:Zero)", "rem_re_zero"),
        ("Jürgen Groß", "juergen_gross"),
        ("Shōko Komi", "shoko_komi"),
        ("  --weird__name!!", "weird_name"),
        ("レム", "レム"),
        ("が", "が"),
        ("2B", "2b"),
        ("CON", "character_con"),
        ("x" * 99, "x" * 40),
    ],
)
def test_names_fit_for_folders_and_triggers(text: str, name: str) -> None:
    assert character_name(text) == name


@pytest.mark.parametrize("text", ["", "...", "🎀", "__"])
def test_a_name_without_letters_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no letter or digit"):
        character_name(text)


def test_the_folder_of_pictures_without_anybody_is_no_character() -> None:
    with pytest.raises(InputError, match="no character can be called regularisation"):
        character_name("Regularisation!")


@settings(max_examples=300, deadline=None)
@examples(st.text(max_size=60))
def test_names_are_stable_and_safe(text: str) -> None:
    try:
        name = character_name(text)
    except InputError:
        return
    assert character_name(name) == name
    assert 0 < len(name.encode()) <= 60
    assert not name.startswith(("-", "_", "."))
    assert not set(name) & set('/\\:*?"<>| ,')


def test_automatic_names_skip_those_in_use() -> None:
    fresh = unused_names(["character_02", "rem"])
    assert [next(fresh) for _ in range(3)] == ["character_01", "character_03", "character_04"]
    assert is_automatic("character_01")
    assert not is_automatic("character_one")


# ------------------------------------------------------------------------------------------------------------ the stage


def test_clusters_are_named_by_size_and_noise_is_dropped(
    film: FakeFilm, run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    result = run_stage(CastStage(CastSettings()), three_and_two(film), make_context())
    assert names(result) == ["character_01"] * 3 + ["character_02"] * 2 + [None]
    assert [row.source for row in result.rows] == ["cluster"] * 5 + ["noise"]
    assert (result.rows[5].dropped, result.rows[5].why) == ("noise", "far from all")
    assert result.notes.characters == (
        NamedCharacter(name="character_01", faces=3, source="cluster", clusters=(0,)),
        NamedCharacter(name="character_02", faces=2, source="cluster", clusters=(1,)),
    )
    cast = load_cast(result.path / CAST_FILE)
    assert [(c.name, c.regions, c.clusters, c.cluster_sizes) for c in cast.characters] == [
        ("character_01", 3, (0,), (3,)),
        ("character_02", 2, (1,), (2,)),
    ]
    np.testing.assert_allclose(cast.characters[0].array[0], looks(RED), atol=1e-5)


def test_no_faces_at_all(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    nobody = {
        ExtractStage: make_output(ExtractStage, []),
        DetectStage: make_output(DetectStage, [], noted(DetectStage)),
        EmbedStage: make_output(EmbedStage, [], noted(EmbedStage)),
        ClusterStage: make_output(ClusterStage, [], noted(ClusterStage)),
    }
    np.save(nobody[EmbedStage].path / "vectors.npy", np.zeros((0, 0), np.float32))
    result = run_stage(CastStage(CastSettings()), nobody, make_context())
    assert result.rows == []
    assert result.notes.characters == ()
    assert load_cast(result.path / CAST_FILE).characters == ()


# ----------------------------------------------------------------------------------------------------------- references


def test_reference_pictures_name_and_merge_clusters(
    film: FakeFilm, run_stage: Callable[..., Output], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    """Red is split over clusters 0 and 2; the reference of green is a head crop without a face to be found."""
    faces = [(n, 0, looks(RED), 0.8) for n in (0, 1, 2)]
    faces += [(n, 1, looks(GREEN), 0.7) for n in (2, 3)] + [(n, 2, looks(RED), 0.6) for n in (4, 5)]
    third = 100 // 3
    head = head_crop(portrait(GREEN), Box(x0=third, y0=third, x1=66, y1=66)).copy()
    assert (head == FAKE_FACE_RGB).all(axis=2).any()
    crop = np.where((head == FAKE_FACE_RGB).all(axis=2)[..., None], (250, 0, 180), head).astype(np.uint8)
    folder = references(tmp_path / "refs", {"Aka Rin!": [portrait(RED)], "Midori": [crop]})
    stage = CastStage(CastSettings(), references=folder)
    result = run_stage(stage, film(faces), make_context())
    assert names(result) == ["aka_rin"] * 3 + ["midori"] * 2 + ["aka_rin"] * 2
    assert {row.source for row in result.rows} == {"reference"}
    cast = load_cast(result.path / CAST_FILE)
    assert [(c.name, c.clusters, c.cluster_sizes) for c in cast.characters] == [
        ("aka_rin", (0, 2), (3, 2)),
        ("midori", (1,), (2,)),
    ]


def test_a_reference_that_fits_nobody_names_nobody(
    film: FakeFilm, run_stage: Callable[..., Output], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    folder = references(tmp_path / "refs", {"ao": [portrait(BLUE)]})
    result = run_stage(CastStage(CastSettings(), references=folder), three_and_two(film), make_context())
    assert names(result)[:5] == ["character_01"] * 3 + ["character_02"] * 2
    assert "no character looks like the reference pictures of ao" in result.notes.naming


def test_too_few_votes_are_not_enough() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    vectors = np.stack([looks(RED), looks(BLUE), looks(BLUE), looks(GREEN), looks(GREEN)])
    known = {"aka": looks(RED)[None], "midori": looks(GREEN)[None]}
    stills = list("abcde")
    half, _ = match_clusters(labels, vectors, stills, known, "reference", 0.1, 0.5)
    assert {c: m.name for c, m in half.items()} == {1: "midori"}
    third, _ = match_clusters(labels, vectors, stills, known, "reference", 0.1, 0.3)
    assert {c: m.name for c, m in third.items()} == {0: "aka", 1: "midori"}
    assert third[0].share == pytest.approx(1 / 3, abs=1e-4)


def test_two_who_stand_side_by_side_are_not_merged(
    film: FakeFilm, run_stage: Callable[..., Output], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    """Twins in four common stills: both look like the reference, the one with more votes gets the name."""
    faces = [(n, 0, looks(RED), 0.8) for n in range(4)] + [(4, 0, looks(BLUE), 0.8)]
    faces += [(n, 1, looks(RED), 0.9) for n in range(4)]
    folder = references(tmp_path / "refs", {"aka": [portrait(RED)]})
    result = run_stage(CastStage(CastSettings(), references=folder), film(faces), make_context())
    assert names(result) == ["character_01"] * 5 + ["aka"] * 4
    assert any("stands beside the better match in 4 stills" in said for said in result.notes.naming)


def test_one_still_with_a_false_second_face_does_not_stop_a_merge(
    film: FakeFilm, run_stage: Callable[..., Output], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    faces = [(n, 0, looks(RED), 0.8) for n in range(12)] + [(n, 1, looks(RED), 0.6) for n in range(11, 20)]
    folder = references(tmp_path / "refs", {"aka": [portrait(RED)]})
    result = run_stage(CastStage(CastSettings(), references=folder), film(faces), make_context())
    beaten = [row for row in result.rows if row.dropped == "same_frame"]
    assert [row.id for row in beaten] == ["abc-011-12"]
    assert beaten[0].why == "abc-011-11 in the same still is aka with more confidence (0.80 to 0.60)"
    assert len(result.kept) == 20


@settings(max_examples=40, deadline=None)
@examples(st.data())
def test_no_still_holds_one_name_twice(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 20))
    clusters = [
        ClusterRow(
            id=f"r-{i}",
            track=i,
            cluster=data.draw(st.integers(-1, 3)),
            confidence=data.draw(st.integers(0, 4)) / 4,
            x=0,
            y=0,
        )
        for i in range(count)
    ]
    stills = [f"f{data.draw(st.integers(0, 4))}" for _ in range(count)]
    names: dict[int, str] = {0: "a", 1: "b", 2: "a", 3: "a"}
    settlement = settle(
        [row.id for row in clusters], [row.cluster for row in clusters], names, dict.fromkeys(names, "reference"), []
    )
    rows, told = cast_rows(clusters, stills, settlement)
    assert told == []
    placed = [(row.character, still) for row, still in zip(rows, stills, strict=True) if row.character is not None]
    assert len(set(placed)) == len(placed)
    assert all((row.character is None) == (row.dropped is not None) for row in rows)
    assert {s for s, c in zip(stills, clusters, strict=True) if c.cluster >= 0} == {still for _, still in placed}


def test_reference_folders_that_come_to_one_name_are_refused(tmp_path: Path) -> None:
    references(tmp_path, {"Rem!": [portrait(RED)], "rem": [portrait(GREEN)]})
    with pytest.raises(InputError, match="both come to the name 'rem'"):
        find_references(tmp_path)


def test_only_pictures_in_named_folders_count(tmp_path: Path) -> None:
    references(tmp_path, {"rem": [portrait(RED)], "empty": [], ".hidden": [portrait(RED)]})
    (tmp_path / "loose.png").write_bytes(b"x")
    (tmp_path / "rem" / "notes.txt").write_text("x")
    assert find_references(tmp_path) == {"rem": [tmp_path / "rem" / "0.png"]}
    with pytest.raises(InputError, match="is not there"):
        find_references(tmp_path / "missing")


def test_a_damaged_reference_picture_is_left_out(
    film: FakeFilm,
    run_stage: Callable[..., Output],
    make_context: Callable[..., Context],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = references(tmp_path / "refs", {"aka": [portrait(RED)], "ao": [portrait(BLUE)]})
    (folder / "aka" / "a.png").write_bytes(b"not a picture")
    (folder / "ao" / "0.png").write_bytes(b"not a picture")
    result = run_stage(CastStage(CastSettings(), references=folder), three_and_two(film), make_context())
    assert names(result)[:3] == ["aka"] * 3
    assert "ao has no usable reference picture" in caplog.text


def test_the_key_follows_contents_not_places(tmp_path: Path) -> None:
    first = references(tmp_path / "one", {"rem": [portrait(RED), portrait(GREEN)]})
    second = references(tmp_path / "two", {"rem": [portrait(GREEN), portrait(RED)]})
    third = references(tmp_path / "three", {"ram": [portrait(GREEN), portrait(RED)]})
    digests = [references_digest(find_references(folder)) for folder in (first, second, third)]
    assert digests[0] == digests[1] != digests[2]


# ------------------------------------------------------------------------------------------------------------ cast file


def test_a_cast_file_names_the_next_film(
    film: FakeFilm, run_stage: Callable[..., Output], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    """Episode 1 knows red and green; in episode 2 green is the larger one, blue is new and red does not appear."""
    first = run_stage(CastStage(CastSettings()), three_and_two(film), make_context())
    earlier = tmp_path / "season.json"
    earlier.write_bytes((first.path / CAST_FILE).read_bytes())
    faces = [(n, 0, looks(GREEN), 0.8) for n in range(5)] + [(n, 1, looks(BLUE), 0.8) for n in range(5, 8)]
    second = run_stage(CastStage(CastSettings(), cast_file=earlier), film(faces), make_context())
    assert names(second) == ["character_02"] * 5 + ["character_03"] * 3
    assert [row.source for row in second.rows] == ["cast"] * 5 + ["cluster"] * 3
    cast = load_cast(second.path / CAST_FILE)
    assert [(c.name, c.regions) for c in cast.characters] == [
        ("character_02", 5),
        ("character_03", 3),
        ("character_01", 0),
    ]
    np.testing.assert_allclose(cast.characters[2].array[0], looks(RED), atol=1e-5)


def test_a_reference_renames_who_had_only_a_number(
    film: FakeFilm, run_stage: Callable[..., Output], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    first = run_stage(CastStage(CastSettings()), three_and_two(film), make_context())
    earlier = tmp_path / "season.json"
    earlier.write_bytes((first.path / CAST_FILE).read_bytes())
    folder = references(tmp_path / "refs", {"aka": [portrait(RED)]})
    stage = CastStage(CastSettings(), references=folder, cast_file=earlier)
    second = run_stage(stage, three_and_two(film), make_context())
    assert names(second)[:5] == ["aka"] * 3 + ["character_02"] * 2
    assert [c.name for c in load_cast(second.path / CAST_FILE).characters] == ["aka", "character_02"]
    assert any("the cast file called it character_01" in said for said in second.notes.naming)


def test_another_embedder_is_refused(
    film: FakeFilm, run_stage: Callable[..., Output], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    first = run_stage(CastStage(CastSettings()), three_and_two(film), make_context())
    earlier = tmp_path / "season.json"
    earlier.write_bytes((first.path / CAST_FILE).read_bytes())
    with pytest.raises(InputError, match=r"made by the embedder fake-embedder .* cannot be compared"):
        run_stage(
            CastStage(CastSettings(), cast_file=earlier),
            film([(0, 0, looks(RED), 0.5)], digest="another"),
            make_context(),
        )


GOOD = {
    "version": 1,
    "embedder": {"name": "e", "digest": "d", "dim": 2},
    "characters": [
        {
            "name": "rem",
            "source": "cluster",
            "regions": 3,
            "clusters": [0],
            "cluster_sizes": [3],
            "vectors": [[1.0, 0.0]],
        }
    ],
}


def damaged(**change: object) -> str:
    """A good cast file with parts of its one character replaced."""
    return json.dumps({**GOOD, "characters": [{**GOOD["characters"][0], **change}]})  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "usable cast file"),
        ("{", "usable cast file"),
        (json.dumps(GOOD)[:-20], "usable cast file"),
        (json.dumps({**GOOD, "version": 2}), "version"),
        (json.dumps({**GOOD, "characters": GOOD["characters"] * 2}), "stands there twice"),  # type: ignore[operator]
        (damaged(vectors=[[1.0, 0.0, 0.0]]), "3 values instead of 2"),
        (damaged(vectors=[[7.0, 0.0]]), "not of length 1"),
        (damaged(vectors=[]), "vectors"),
        (damaged(name="../Rem"), "write it as 'rem'"),
        (damaged(name="///"), "no letter or digit"),
        (damaged(extra=1), "extra"),
    ],
)
def test_a_damaged_cast_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "cast.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load_cast(path)


def test_a_missing_cast_file_is_found_out_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read cast file"):
        CastStage(CastSettings(), cast_file=tmp_path / "none.json").fingerprint(FakeModels())


def test_a_cast_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "cast.json"
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    cast = load_cast(path)
    save_cast(path, cast)
    assert load_cast(path) == cast
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cast.json"]


def test_representatives_cover_every_look() -> None:
    looks_of_one = np.eye(4, dtype=np.float32)[[0] * 20 + [1] * 5 + [2]]
    assert [v.index(1.0) for v in representatives(looks_of_one)] == [0, 1, 2]
    many = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    assert len(representatives(many)) == 8


# -------------------------------------------------------------------------------------------------------- human decisions

Sorted = Callable[..., Output]


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return DecisionLog(tmp_path / "decisions.jsonl")


@pytest.fixture
def sort(run_stage: Callable[..., Output], make_context: Callable[..., Context], log: DecisionLog) -> Sorted:
    """`sort(given, cast_file=...)`: the stage with the decisions of `log`."""

    def run(given: dict[StageType, Output[Any, Any]], **outside: Path) -> Output:
        return run_stage(CastStage(CastSettings(), decisions=log.path, **outside), given, make_context())

    return run


def ids(given: dict[StageType, Output[Any, Any]], *places: int) -> list[str]:
    rows = given[ClusterStage].rows
    return [rows[place].id for place in places]


def assign(log: DecisionLog, faces: list[str], character: str, scope: str = "group", **more: Any) -> Decision:
    return log.add("assign", faces, scope=scope, character=character, words="", **more)  # type: ignore[arg-type]


def short(result: Output) -> str:
    """`hana c1/by_hand -/same_frame -`: character and reason per face, noise without one."""
    return " ".join(
        (row.character or "-").replace("character_0", "c")
        + (f"/{row.dropped}" if row.dropped not in (None, "noise") else "")
        for row in result.rows
    )


@pytest.mark.parametrize(
    ("kind", "scope", "character", "places", "now"),
    [
        ("assign", "group", "hana", (0, 1, 2), "hana hana hana c2 c2 -"),
        # merged; in still 2 the face that was decided about stands beside one that was not
        ("assign", "group", "character_02", (0, 1, 2), "c2 c2 c2 -/same_frame c2 -"),
        ("assign", "faces", "character_02", (0,), "c2 c1 c1 c2 c2 -"),
        ("assign", "faces", "rem", (1, 2), "c1 rem rem c2 c2 -"),
        ("assign", "faces", "rem", (5,), "c1 c1 c1 c2 c2 rem"),
        # noise in a group's decision: no machine is sure of it, the person is
        ("assign", "group", "hana", (3, 5), "c1 c1 c1 hana -/same_frame hana"),
        ("reject", "group", None, (3, 4), "c1 c1 c1 -/not_a_character -/not_a_character -"),
        ("drop", "faces", None, (0,), "c1/by_hand c1 c1 c2 c2 -"),
    ],
)
def test_decisions_override_the_machine(
    film: FakeFilm, log: DecisionLog, sort: Sorted, kind: Any, scope: Any, character: str, places: Any, now: str
) -> None:
    """Rename, merge, move, split, name noise, reject, drop; and all is as before when it is undone."""
    given = three_and_two(film)
    decision = log.add(kind, ids(given, *places), scope=scope, character=character, words="")
    result = sort(given)
    assert short(result) == now
    assert {row.source for row, place in zip(result.rows, range(6), strict=True) if place in places} == (
        {"cluster"} if kind == "drop" else {"decision"}
    )
    for row in result.kept:
        picked = row.id in decision.faces and (scope == "faces" or row.cluster == NOISE)
        assert row.confidence == (1.0 if picked else 0.8 if row.cluster == 0 else 0.7)
    for row in result.rows:
        said = row.dropped in ("not_a_character", "by_hand")
        assert said == row.why.startswith("you said: ")
        assert said == row.why.endswith(f"(decision 1 of {decision.time[:10]} {decision.time[11:19]} UTC)")
    assert (result.path / DECISIONS_FILE).read_text(encoding="utf-8") == log.path.read_text(encoding="utf-8")
    log.undo()
    assert short(sort(given)) == "c1 c1 c1 c2 c2 -"


def test_restored_faces_are_as_the_machine_has_them(film: FakeFilm, log: DecisionLog, sort: Sorted) -> None:
    given = three_and_two(film)
    log.add("drop", ids(given, 0), scope="faces", words="")
    assign(log, ids(given, 0, 1, 2), "hana")
    log.add("restore", ids(given, 0, 1, 2), scope="group", words="")
    assert short(sort(given)) == "c1 c1 c1 c2 c2 -"


def test_only_what_stands_is_kept_beside_the_cast(film: FakeFilm, log: DecisionLog, sort: Sorted) -> None:
    given = three_and_two(film)
    sort(given)
    assert not (sort(given).path / DECISIONS_FILE).exists()
    first = assign(log, ids(given, 0), "hana")
    assign(log, ids(given, 1), "hana")
    log.undo()
    last = assign(log, ids(given, 2), "rem")
    result = sort(given)
    assert DecisionLog(result.path / DECISIONS_FILE).all == [first, last]
    assert result.notes.decisions == 2


def test_a_denser_film_follows_its_groups(film: FakeFilm, log: DecisionLog, sort: Sorted) -> None:
    """Decided about three stills of each group; later there are nine of each, and other numbers for the groups."""
    sparse = film([(n, 0, looks(RED), 0.8) for n in (0, 3, 6)] + [(n, 1, looks(GREEN), 0.8) for n in (10, 13, 16)])
    assign(log, ids(sparse, 0, 1, 2), "hana")
    log.add("reject", ids(sparse, 3, 4, 5), scope="group", words="")
    faces = [(n, 1, looks(RED), 0.8) for n in range(9)] + [(n, 0, looks(GREEN), 0.8) for n in range(10, 19)]
    dense = film(faces)
    rows = [row.id for row in dense[ClusterStage].rows]
    log.path.unlink()
    fresh = DecisionLog(log.path)
    assign(fresh, [rows[n] for n in (0, 3, 6)], "hana")
    fresh.add("reject", [rows[n] for n in (9, 12, 15)], scope="group", words="")
    result = sort(dense)
    assert short(result) == " ".join(["hana"] * 9 + ["-/not_a_character"] * 9)
    assert "cluster 1: 6 faces not listed follow decision 1 (hana)" in result.notes.naming


def test_the_machine_says_what_it_calls_the_groups(film: FakeFilm, log: DecisionLog, sort: Sorted) -> None:
    """So that the board of the dashboard can settle later decisions as the next run will."""
    given = three_and_two(film)
    assign(log, ids(given, 0, 1, 2), "hana")
    machine = sort(given).notes.machine_names
    assert machine == {
        0: MachineName(name="character_01", source="cluster"),
        1: MachineName(name="character_02", source="cluster"),
    }
    clusters = given[ClusterStage].rows
    names = {cluster: called.name for cluster, called in machine.items()}
    sources = {cluster: called.source for cluster, called in machine.items()}
    log.add("drop", ids(given, 3), scope="faces", words="")
    log.add("reject", ids(given, 0), scope="faces", words="")
    settled = settle([r.id for r in clusters], [r.cluster for r in clusters], names, sources, log.standing)
    rows, _ = cast_rows(clusters, [row.id.rpartition("-")[0] for row in clusters], settled)
    assert [row for row in rows if row.dropped != "noise"] == [r for r in sort(given).rows if r.dropped != "noise"]


def groups(*members: str) -> list[ClusterRow]:
    """Cluster 0, 1, ... with these faces."""
    return [
        ClusterRow(id=face, track=0, cluster=number, confidence=0.5, x=0, y=0)
        for number, faces in enumerate(members)
        for face in faces.split()
    ]


@pytest.mark.parametrize(
    ("character", "faces", "bearers", "named"),
    [
        ("hana", "d", "", "01 02 03"),
        # told of nobody: the same groups keep their names
        ("character_01", "d", None, "01 02 03"),
        # moved to whom the machine called so: that group keeps the name, also where it is another number now
        ("character_01", "d", "a b c", "01 02 03"),
        ("character_01", "a", "d e", "04 01 03"),
        ("character_01", "a", "c d e", "04 01 03"),
        # a character that a person made is nobody else, however it is called
        ("character_02", "a", "", "01 04 03"),
        ("character_02", "a", "x y", "01 04 03"),
        # the cast file knows who that is
        ("character_09", "a", "d e", "01 02 03"),
    ],
)
def test_names_in_decisions_are_not_handed_out_to_others(
    character: str, faces: str, bearers: str | None, named: str
) -> None:
    decision = Decision(
        number=1,
        time="2025-12-31T23:59:59+00:00",
        kind="assign",
        words="",
        character=character,
        faces=tuple(faces.split()),
        bearers=None if bearers is None else tuple(bearers.split()),
    )
    found = name_clusters(groups("a b c", "d e", "f"), {}, ["character_09"], [decision])
    assert list(found) == [0, 1, 2]
    assert " ".join(name.removeprefix("character_") for name in found.values()) == named


def test_faces_that_a_person_moved_do_not_say_who_a_name_was(log: DecisionLog) -> None:
    """The large group was merged into the small one, then more is moved there: the small one is still whom the machine called so."""
    clusters = groups("a b c d", "e f", "g")
    assign(log, ["a", "b", "c", "d"], "character_02", bearers=["e", "f"])
    assign(log, ["g"], "character_02", scope="faces", bearers=["a", "b", "c", "d", "e", "f"])
    assert list(name_clusters(clusters, {}, [], log.standing).values()) == [f"character_0{n}" for n in (1, 2, 3)]


def test_a_match_keeps_its_name_whoever_bore_another(log: DecisionLog) -> None:
    assign(log, ["d"], "character_01", scope="faces", bearers=["a", "b"])
    named = {0: Match(0, "rem", "reference", 1.0)}
    assert name_clusters(groups("a b", "c d"), named, ["rem"], log.standing) == {0: "rem", 1: "character_02"}


def test_a_decision_names_whom_references_name_otherwise(
    film: FakeFilm, log: DecisionLog, sort: Sorted, tmp_path: Path
) -> None:
    given = three_and_two(film)
    folder = references(tmp_path / "refs", {"aka": [portrait(RED)]})
    assign(log, ids(given, 0, 1, 2), "hana")
    assert short(sort(given, references=folder)) == "hana hana hana c1 c1 -"


def test_of_two_named_faces_in_one_still_the_surer_keeps_the_name(
    film: FakeFilm, log: DecisionLog, sort: Sorted
) -> None:
    given = film(
        [(0, 0, looks(RED), 0.5), (0, 1, looks(GREEN), 0.9), (1, 0, looks(RED), 0.5), (1, 1, looks(GREEN), 0.4)]
    )
    assign(log, ids(given, 0, 1, 2), "hana")
    result = sort(given)
    # in still 1 the group takes a face along that is not listed: it gives way, and would if it were the surer
    assert short(result) == "-/same_frame hana hana -/same_frame"
    assert result.rows[0].why == "abc-000-01 in the same still is hana with more confidence (0.90 to 0.50)"
    assert result.rows[3].why == "abc-001-02 in the same still is hana by your decision"
    assert "you named two faces hana in 1 still (abc-000); the surer one keeps the name" in result.notes.naming


def test_a_named_face_beats_a_surer_one(film: FakeFilm, log: DecisionLog, sort: Sorted) -> None:
    given = film([(0, 0, looks(RED), 0.9), (0, 1, looks(GREEN), 0.1), (1, 1, looks(GREEN), 0.1)])
    assign(log, ids(given, 1), "character_01", scope="faces")
    assert short(sort(given)) == "-/same_frame c1 c2"


def test_a_dropped_picture_stands_in_nobodys_way(film: FakeFilm, log: DecisionLog, sort: Sorted) -> None:
    given = film([(0, 0, looks(RED), 0.9), (0, 1, looks(GREEN), 0.1)])
    assign(log, ids(given, 0, 1), "hana")
    log.add("drop", ids(given, 0), scope="faces", words="")
    assert short(sort(given)) == "hana/by_hand hana"


def test_decisions_about_other_faces_are_counted(
    film: FakeFilm, log: DecisionLog, sort: Sorted, caplog: pytest.LogCaptureFixture
) -> None:
    assign(log, ["other-1", "other-2"], "hana")
    with caplog.at_level("INFO"):
        assert short(sort(three_and_two(film))) == "c1 c1 c1 c2 c2 -"
    assert "2 faces that were decided about are not in this run" in caplog.text


def test_a_named_character_goes_on_to_the_next_film(
    film: FakeFilm,
    log: DecisionLog,
    sort: Sorted,
    run_stage: Sorted,
    make_context: Callable[..., Context],
    tmp_path: Path,
) -> None:
    """Red is named, blue exists by a decision about noise alone; a dropped picture of green's is no look of red's."""
    given = three_and_two(film)
    assign(log, ids(given, 0, 1, 2), "hana")
    assign(log, ids(given, 3), "hana", scope="faces")
    log.add("drop", ids(given, 3), scope="faces", words="")
    assign(log, ids(given, 5), "ao", scope="faces")
    first = sort(given)
    cast = load_cast(first.path / CAST_FILE)
    assert [(c.name, c.source, c.regions, len(c.vectors)) for c in cast.characters] == [
        ("hana", "decision", 3, 1),
        ("ao", "decision", 1, 1),
        ("character_02", "cluster", 1, 1),
    ]
    np.testing.assert_allclose(cast.characters[0].array[0], looks(RED), atol=1e-5)
    season = tmp_path / "season.json"
    season.write_bytes((first.path / CAST_FILE).read_bytes())
    faces = [(n, 0, looks(BLUE), 0.8) for n in range(3)] + [(n, 1, looks(RED), 0.8) for n in range(3, 5)]
    second = run_stage(CastStage(CastSettings(), cast_file=season), film(faces), make_context())
    assert short(second) == "ao ao ao hana hana"


@pytest.mark.parametrize(
    ("kind", "places", "carried"),
    [
        ("assign", (0, 1, 2), ["hana", "character_02"]),
        # only one face got another name, or none: the old one is still somebody's
        ("assign", (0,), ["character_01", "character_02", "hana"]),
        ("reject", (0, 1, 2), ["character_02", "character_01"]),
    ],
)
def test_a_number_of_the_cast_file_goes_when_it_was_named(
    film: FakeFilm, log: DecisionLog, sort: Sorted, tmp_path: Path, kind: Any, places: Any, carried: list[str]
) -> None:
    given = three_and_two(film)
    season = tmp_path / "season.json"
    season.write_bytes((sort(given).path / CAST_FILE).read_bytes())
    log.add(
        kind,
        ids(given, *places),
        scope="group" if len(places) > 1 else "faces",
        character="hana" if kind == "assign" else None,
        words="",
    )
    assert [c.name for c in load_cast(sort(given, cast_file=season).path / CAST_FILE).characters] == carried


def test_the_key_follows_what_stands(log: DecisionLog) -> None:
    def key() -> dict[str, str]:
        return CastStage(CastSettings(), decisions=log.path).fingerprint(FakeModels())

    assert key() == CastStage(CastSettings()).fingerprint(FakeModels()) == {}
    assign(log, ["f-1"], "hana")
    named = key()
    assert named == {"decisions": digest_of(log.standing)}
    log.undo()
    assert key() == {}
    log.redo()
    assert key() == named


def test_a_run_goes_by_the_decisions_it_began_with(
    film: FakeFilm, log: DecisionLog, run_stage: Sorted, make_context: Callable[..., Context]
) -> None:
    given = three_and_two(film)
    assign(log, ids(given, 0, 1, 2), "hana")
    stage = CastStage(CastSettings(), decisions=log.path)
    before = stage.fingerprint(FakeModels())
    assign(log, ids(given, 0, 1, 2), "rem")
    assert short(run_stage(stage, given, make_context())) == "hana hana hana c2 c2 -"
    assert stage.fingerprint(FakeModels()) == before


def test_damaged_decisions_are_found_out_before_the_run(log: DecisionLog) -> None:
    log.path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1 of"):
        CastStage(CastSettings(), decisions=log.path).fingerprint(FakeModels())


def test_a_name_that_would_be_written_otherwise_is_found_out_before_the_run(log: DecisionLog) -> None:
    assign(log, ["f-1"], "rené")
    with pytest.raises(InputError, match=r"gives the name 'rené', which does not fit; write it as 'rene'"):
        CastStage(CastSettings(), decisions=log.path).fingerprint(FakeModels())
