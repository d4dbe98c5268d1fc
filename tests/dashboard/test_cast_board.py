"""The board on which a person sorts the cast: what it shows is what the next run gives, whatever was decided before."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, example, settings
from hypothesis import given as examples
from hypothesis import strategies as st

from animeset_lib.cast.cast import CAST_FILE, CastNotes, CastStage
from animeset_lib.cast.cast_file import load_cast
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.sorting import NOISE, REJECTED
from animeset_lib.dashboard.cast_board import CastBoard
from animeset_lib.errors import InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import write_image
from animeset_lib.pipeline.cast_pack import CastPack, write_pack
from animeset_lib.records import Box, CastRow, ClusterRow, DedupeRow, EmbedRow, Frame, Region
from animeset_lib.run.decisions import DecisionLog
from animeset_lib.run.stage import Context, Given, Output, Stage, StageInfo
from animeset_lib.settings import CastSettings
from tests.fakes import FakeModels
from tests.notes import noted

Face = tuple[int, int, float]
"""Number of its still, cluster, confidence."""

# Cluster 0 in stills 0-3, 1 in stills 4-6, 2 in stills 7 and 8, noise in 9 and 10: every face alone in its still.
ALONE: tuple[Face, ...] = (
    *((n, 0, 0.9 - n / 10) for n in range(4)),
    *((n, 1, 0.5) for n in (4, 5, 6)),
    *((n, 2, 0.8) for n in (7, 8)),
    *((n, -1, 0.0) for n in (9, 10)),
)
# The same clusters, but they meet in stills 0 to 3.
TOGETHER: tuple[Face, ...] = (
    *((n, 0, 0.9 - n / 10) for n in range(4)),
    *((n, 1, 0.5) for n in (0, 1, 4)),
    *((n, 2, 0.8) for n in (1, 2)),
    *((n, -1, 0.0) for n in (2, 3)),
)
FIRST = {"character_01": 4, "character_02": 3, "character_03": 2, NOISE: 2}


def ids_of(faces: Sequence[Face]) -> list[str]:
    return [f"abc-{still:03d}-{place:02d}" for place, (still, *_) in enumerate(faces)]


IDS = ids_of(ALONE)
RED, GREEN, BLUE, NOBODY = IDS[:4], IDS[4:7], IDS[7:9], IDS[9:]


def _finished(
    film: Path, stage: type[Stage[Any, Any, Any]], rows: Sequence[Any], given: Given, vectors: Any = None, **said: Any
) -> Output[Any, Any]:
    """A finished stage in `film` that noted what is `said`."""
    key = f"{stage.name.encode().hex():0<12.12}"
    folder = film / f"{stage.name}-{key}"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")
    if vectors is not None:
        np.save(folder / "vectors.npy", vectors)
    inputs = {need.name: given[need].key for need in stage.needs}
    info = StageInfo(stage=stage.name, key=key, inputs=inputs, notes=noted(stage, **said).model_dump(mode="json"))
    (folder / "stage.json").write_text(info.model_dump_json(), encoding="utf-8")
    return Output(folder, stage, key)


def sort_film(film: Path, faces: Sequence[Face], *, still: npt.NDArray[Any] | None = None) -> Given:
    """Finished stages up to 3c in `film`, a film's work folder, with one face per entry; `still` is what every still looks like."""
    ids = ids_of(faces)
    box = Box(x0=100, y0=60, x1=160, y1=120)
    frames = [
        Frame(id=f"abc-{n:03d}", pts_ms=1000 * n, shot=n, file=f"{n}.png", width=400, height=200, cause="change")
        for n in sorted({n for n, *_ in faces})
    ]
    regions = [
        Region(
            id=face,
            frame_id=f"abc-{n:03d}",
            face=box,
            person=box,
            person_estimated=True,
            score=0.9,
            width=400,
            height=200,
        )
        for face, (n, *_) in zip(ids, faces, strict=True)
    ]
    clusters = [
        ClusterRow(
            id=face,
            track=place,
            cluster=cluster,
            confidence=sure,
            x=place / 3,
            y=-place,
            why="" if cluster >= 0 else "far from all",
        )
        for place, (face, (_, cluster, sure)) in enumerate(zip(ids, faces, strict=True))
    ]
    vectors = np.eye(8, dtype=np.float32)[[cluster for _, cluster, _ in faces]]
    embeds = [EmbedRow.with_vector(face, vector) for face, vector in zip(ids, vectors, strict=True)]
    kept = [DedupeRow(id=frame.id, phash="0" * 16, sharpness=1) for frame in frames]
    given = Given([_finished(film, ExtractStage, frames, Given())])
    if still is not None:
        for frame in frames:
            write_image(given[ExtractStage].path / frame.file, still)
    given = given.having(_finished(film, DedupeStage, kept, given))
    given = given.having(_finished(film, DetectStage, regions, given))
    given = given.having(_finished(film, EmbedStage, embeds, given, vectors, dim=8, same_distance=0.1))
    return given.having(_finished(film, ClusterStage, clusters, given, same_distance=0.1))


_serial = itertools.count(0xABC)


def run_cast(given: Given, film: Path, decisions: Path, cast_file: Path | None = None) -> Output[CastRow, CastNotes]:
    """The real stage over `given`, finished in `film`."""
    context = Context(
        models=FakeModels(),
        threads=1,
        log=logging.getLogger("animeset"),
        progress=lambda done, total: None,
        check_cancel=lambda: None,
    )
    stage = CastStage(CastSettings(), cast_file=cast_file, decisions=decisions)
    key = f"{next(_serial):012x}"
    out = film / f"3d_cast-{key}"
    out.mkdir(parents=True)
    items = stage.plan(given)
    rows, notes = stage.finish(list(stage.process(items, out, context)), items, given, out, context)
    (out / "rows.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")
    info = StageInfo(
        stage=stage.name,
        key=key,
        inputs={need.name: given[need].key for need in stage.needs},
        fingerprint=dict(stage.fingerprint(context.models)),
        notes=notes.model_dump(mode="json"),
    )
    (out / "stage.json").write_text(info.model_dump_json(), encoding="utf-8")
    return Output(out, CastStage, key)


class Film:
    """A film whose faces were sorted, and its board."""

    def __init__(self, folder: Path, faces: Sequence[Face] = ALONE, still: npt.NDArray[Any] | None = None) -> None:
        self.work = folder / "work" / "film-abc"
        self.decisions = folder / "output" / "film-abc.decisions.jsonl"
        self.given = sort_film(self.work, faces, still=still)
        self.pack = folder / "output" / "film-abc.cast"
        self.run()
        self.board = self.another_board()

    def another_board(self) -> CastBoard:
        board = CastBoard.open(self.pack, self.work, self.decisions)
        assert board is not None
        return board

    def run(self) -> dict[str, str]:
        """The stage once more, with what was decided → face: the group it is in."""
        self.cast = run_cast(self.given, self.work, self.decisions)
        write_pack(self.pack, self.given.having(self.cast), threads=1)
        return given_groups(self.cast)


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return Film(tmp_path)


def shown_groups(board: CastBoard) -> dict[str, str]:
    """Face → the key of the group that the board shows it in."""
    state = board.state()
    return {state["ids"][place]: group["key"] for group in state["groups"] for place in group["members"]}


def sizes(board: CastBoard) -> dict[str, int]:
    return {group["key"]: len(group["members"]) for group in board.state()["groups"]}


def given_groups(cast: Output[CastRow, CastNotes]) -> dict[str, str]:
    """Face → the group it is in after a run, by the board's keys; `same_frame` for the second figure of a still."""
    return {row.id: _key(row) for row in cast.rows}


def _key(row: CastRow) -> str:
    if row.dropped in ("not_a_character", "same_frame"):
        return {"not_a_character": REJECTED}.get(row.dropped, row.dropped)
    return row.character or NOISE


def faces_in(board: CastBoard, key: str) -> list[str]:
    return [face for face, group in shown_groups(board).items() if group == key]


# ---------------------------------------------------------------------------------------------------- what is shown


def test_the_state_is_plain_json_with_parallel_lists(film: Film) -> None:
    state = film.board.state()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert state["ids"] == IDS
    assert state["time_ms"] == [1000 * n for n in range(11)]
    assert state["confidence"] == [0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5, 0.8, 0.8, 0.0, 0.0]
    assert (state["x"][1], state["y"][2]) == (0.33, -2)
    assert (state["dropped"], state["decisions"], state["told"]) == ([], 0, [])
    assert (state["can_undo"], state["can_redo"], state["file"]) == ("", "", "film-abc.decisions.jsonl")
    assert not film.decisions.exists()  # looking decides nothing


def test_groups_stand_by_size_and_their_faces_by_certainty(film: Film) -> None:
    groups = film.board.state()["groups"]
    assert [(g["key"], g["kind"], g["automatic"], g["members"]) for g in groups] == [
        ("character_01", "character", True, [0, 1, 2, 3]),
        ("character_02", "character", True, [4, 5, 6]),
        ("character_03", "character", True, [7, 8]),
        (NOISE, "noise", False, [9, 10]),
    ]
    assert [g["confidence"] for g in groups] == [0.75, 0.5, 0.8, 0.0]
    assert [g["sources"] for g in groups] == [{"cluster": 4}, {"cluster": 3}, {"cluster": 2}, {"noise": 2}]


def test_noise_and_rejected_faces_stand_behind_the_smallest_character(film: Film) -> None:
    film.board.reject(RED)
    film.board.move([NOBODY[0]], "Extra")
    groups = film.board.state()["groups"]
    assert [(g["key"], g["kind"]) for g in groups] == [
        ("character_02", "character"),
        ("character_03", "character"),
        ("extra", "character"),
        (NOISE, "noise"),
        (REJECTED, "rejected"),
    ]


def test_there_is_no_board_without_a_finished_sorting_or_what_it_was_made_from(film: Film, tmp_path: Path) -> None:
    assert CastBoard.open(tmp_path / "nothing.cast", film.work, film.decisions) is None
    (film.board.folder / "3a_detect").rename(film.work / "elsewhere")
    assert CastBoard.open(film.pack, film.work, film.decisions) is None


def test_the_newest_sorting_is_shown(film: Film) -> None:
    first = film.board.folder
    film.board.rename("character_01", "hana")
    film.run()
    assert film.another_board().folder == film.pack / film.cast.key != first


# ---------------------------------------------------------------------------------------------------------- deciding


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("Rem (Re:Zero)", "rem_re_zero"),
        ("  Jürgen  ", "juergen"),
        ("../../etc/passwd", "etc_passwd"),
        ("レム", "レム"),
        ("<b>Hana</b>", "b_hana_b"),
    ],
)
def test_a_name_is_written_as_a_trigger_word(typed: str, written: str, film: Film) -> None:
    assert film.board.rename("character_02", typed) == written
    assert faces_in(film.board, written) == GREEN
    [group] = [g for g in film.board.state()["groups"] if g["key"] == written]
    assert (group["automatic"], group["sources"]) == (False, {"decision": 3})
    assert film.board.state()["can_undo"] == f"character_02 → {written} (3)"


Change = Callable[[CastBoard], object]
CHANGES: dict[str, tuple[Change, dict[str, int]]] = {
    "a name that is taken joins the two": (
        lambda board: board.rename("character_03", "Character 01"),
        {"character_01": 6, "character_02": 3, NOISE: 2},
    ),
    "the name it has already": (lambda board: board.rename("character_01", "Character_01"), FIRST),
    "unsorted faces get a name together": (
        lambda board: board.rename(NOISE, "Crowd"),
        {"character_01": 4, "character_02": 3, "character_03": 2, "crowd": 2},
    ),
    "merge three": (
        lambda board: board.merge(["character_01", "character_02", "character_03"], "character_02"),
        {"character_02": 9, NOISE: 2},
    ),
    "merge a group with itself": (lambda board: board.merge(["character_02"], "character_02"), FIRST),
    "move to one that is there": (
        lambda board: board.move(RED[:1], "character_03"),
        {"character_01": 3, "character_02": 3, "character_03": 3, NOISE: 2},
    ),
    "move to a new name": (
        lambda board: board.move([RED[0], GREEN[0], NOBODY[0]], "New One"),
        {"character_01": 3, "new_one": 3, "character_02": 2, "character_03": 2, NOISE: 1},
    ),
    "split off without a name": (
        lambda board: board.move(RED[:2], " "),
        {"character_01": 2, "character_04": 2, "character_02": 3, "character_03": 2, NOISE: 2},
    ),
    "reject faces": (
        lambda board: board.reject([RED[0], NOBODY[0]]),
        {"character_01": 3, "character_02": 3, "character_03": 2, NOISE: 1, REJECTED: 2},
    ),
    "reject a group": (
        lambda board: board.reject([], "character_01"),
        {"character_02": 3, "character_03": 2, NOISE: 2, REJECTED: 4},
    ),
    "a face named twice is one face": (
        lambda board: board.move([RED[0], RED[0]], "hana"),
        {"character_01": 3, "hana": 1, "character_02": 3, "character_03": 2, NOISE: 2},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_and_their_undoing(name: str, film: Film) -> None:
    change, after = CHANGES[name]
    change(film.board)
    assert sizes(film.board) == after
    assert list(sizes(film.board)) == list(after)
    assert film.run() == shown_groups(film.board)
    if after == FIRST:
        assert film.board.state()["decisions"] == 0
        return
    words = film.board.state()["can_undo"]
    film.board.undo()
    assert sizes(film.board) == FIRST
    assert (film.board.state()["can_undo"], film.board.state()["can_redo"]) == ("", words)
    film.board.redo()
    assert sizes(film.board) == after
    assert (film.board.state()["can_undo"], film.board.state()["can_redo"]) == (words, "")


Kept = tuple[str, str, str | None, list[str], list[str] | None]
KEPT: dict[str, tuple[Change, Kept]] = {
    "rename": (lambda board: board.rename("character_01", "hana"), ("assign", "group", "hana", RED, [])),
    "join": (
        lambda board: board.rename("character_03", "character_01"),
        ("assign", "group", "character_01", BLUE, RED),
    ),
    "merge": (
        lambda board: board.merge(["character_02", "character_03"], "character_02"),
        ("assign", "group", "character_02", BLUE, GREEN),
    ),
    "move": (
        lambda board: board.move(RED[:1], "character_02"),
        ("assign", "faces", "character_02", RED[:1], GREEN),
    ),
    "split": (lambda board: board.move(RED[:1], ""), ("assign", "faces", "character_04", RED[:1], [])),
    "reject": (lambda board: board.reject(RED[:2]), ("reject", "faces", None, RED[:2], None)),
    "reject a group": (lambda board: board.reject([], "character_03"), ("reject", "group", None, BLUE, None)),
    "drop": (lambda board: board.drop(RED[:1]), ("drop", "faces", None, RED[:1], None)),
    "restore": (lambda board: board.restore(RED[:1]), ("restore", "faces", None, RED[:1], None)),
}
"""What another run with other groups goes by: whether a group was meant, and who bore the name."""


@pytest.mark.parametrize("name", KEPT)
def test_the_log_says_what_was_meant(name: str, film: Film) -> None:
    change, kept = KEPT[name]
    change(film.board)
    [made] = DecisionLog(film.decisions).standing
    bearers = None if made.bearers is None else list(made.bearers)
    assert (made.kind, made.scope, made.character, list(made.faces), bearers) == kept


def test_a_split_off_character_gets_a_name_that_nobody_has(film: Film) -> None:
    names = [film.board.move([face], "") for face in (RED[0], RED[1])]
    assert names == ["character_04", "character_05"]
    film.board.rename("character_01", "hana")
    assert film.board.move([RED[2]], "") == "character_06"  # character_01 is what the machine calls that cluster


def test_dropped_faces_stay_with_their_character(film: Film) -> None:
    film.board.drop([RED[1], NOBODY[0]])
    assert sizes(film.board) == FIRST
    assert film.board.state()["dropped"] == [1, 9]
    film.board.rename("character_01", "hana")
    assert film.board.state()["dropped"] == [1, 9]
    film.run()
    assert {row.id: (row.character, row.dropped) for row in film.cast.rows if row.dropped == "by_hand"} == {
        RED[1]: ("hana", "by_hand"),
        NOBODY[0]: (None, "by_hand"),
    }
    film.board.restore([RED[1]])
    assert film.board.state()["dropped"] == [9]


def test_restored_faces_are_as_the_program_sorted_them(film: Film) -> None:
    film.board.move([RED[0]], "hana")
    film.board.reject([RED[0], RED[1]])
    film.board.restore([RED[0], RED[1]])
    assert sizes(film.board) == FIRST
    film.board.undo()
    assert sizes(film.board) == {"character_02": 3, "character_01": 2, "character_03": 2, NOISE: 2, REJECTED: 2}


def test_undo_and_redo_with_nothing_to_do_change_nothing(film: Film) -> None:
    film.board.undo()
    film.board.redo()
    assert not film.decisions.exists()


def test_a_new_decision_ends_redoing(film: Film) -> None:
    film.board.rename("character_01", "hana")
    film.board.undo()
    film.board.rename("character_01", "rem")
    film.board.redo()
    assert "rem" in sizes(film.board)
    assert "hana" not in sizes(film.board)


def test_changed_says_whether_the_sorting_knows_of_everything(film: Film) -> None:
    assert not film.board.changed
    film.board.rename("character_01", "hana")
    assert film.board.changed
    film.board.undo()
    assert not film.board.changed
    film.board.redo()
    film.run()
    fresh = film.another_board()
    assert not fresh.changed
    fresh.undo()
    assert fresh.changed
    assert film.board.folder != fresh.folder


def test_two_boards_on_one_log_see_each_others_decisions(film: Film) -> None:
    other = film.another_board()
    film.board.rename("character_01", "hana")
    other.state()
    other.rename("character_02", "rem")
    for board in (film.board, other):
        assert sizes(board) == {"hana": 4, "rem": 3, "character_03": 2, NOISE: 2}
    other.undo()
    other.undo()
    assert sizes(film.board) == FIRST
    assert film.board.state()["can_redo"] == "character_01 → hana (4)"
    other.redo()
    with pytest.raises(InputError, match="not there any more"):
        film.board.rename("character_01", "late")
    assert sizes(film.board) == {"hana": 4, "character_02": 3, "character_03": 2, NOISE: 2}
    other.undo()
    other.rename("character_01", "rem")  # as many decisions as before, but another one
    assert sizes(film.board) == {"rem": 4, "character_02": 3, "character_03": 2, NOISE: 2}


# ------------------------------------------------------------------------------------------------- what a browser sends

HOSTILE = [
    "",
    "nobody",
    "../character_01",
    "abc-000-00/../abc-001-01",
    "/etc/passwd",
    "\0",
    "character_01\n",
    "__proto__",
]
REFUSED: dict[str, Callable[[CastBoard, str], object]] = {
    "rename": lambda board, text: board.rename(text, "hana"),
    "merge from": lambda board, text: board.merge(["character_02", text], "character_01"),
    "merge into": lambda board, text: board.merge(["character_01", "character_02"], text),
    "move": lambda board, text: board.move([text], "hana"),
    "reject": lambda board, text: board.reject([text]),
    "reject group": lambda board, text: board.reject([], text),
    "drop": lambda board, text: board.drop([text]),
    "restore": lambda board, text: board.restore([text]),
    "big": lambda board, text: board.big(text),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_in_the_film_is_refused_with_a_sentence(name: str, text: str, film: Film) -> None:
    film.board.state()
    with pytest.raises(InputError, match=r"(there|in this film|in the film) any more; \w+"):
        REFUSED[name](film.board, text)
    assert not film.decisions.exists()


@pytest.mark.parametrize("into", [NOISE, REJECTED])
def test_nothing_is_merged_into_what_is_no_character(into: str, film: Film) -> None:
    film.board.reject([RED[0]])
    before = film.decisions.read_bytes()
    with pytest.raises(InputError, match="nothing was saved"):
        film.board.merge(["character_02"], into)
    assert film.decisions.read_bytes() == before


@pytest.mark.parametrize("name", ["", "   ", "...", "🎀", "\0"])
def test_a_name_without_letters_is_refused(name: str, film: Film) -> None:
    with pytest.raises(InputError, match="no letter or digit"):
        film.board.rename("character_01", name)
    assert not film.decisions.exists()


def test_unknown_faces_among_known_ones_are_left_out(film: Film) -> None:
    film.board.move([RED[0], "nobody", "../x"], "hana")
    assert faces_in(film.board, "hana") == [RED[0]]
    assert DecisionLog(film.decisions).standing[0].faces == (RED[0],)


def test_pictures_are_of_known_faces_only(tmp_path: Path) -> None:
    film = Film(tmp_path, still=np.full((200, 400, 3), 90, np.uint8))
    (film.given[ExtractStage].path / "3.png").write_bytes(b"not a picture")
    film.run()
    film.board = film.another_board()
    film.board.state()
    found = film.board.pictures([RED[1], *HOSTILE, RED[0], RED[3]])
    assert set(found) == {RED[0], RED[1], RED[3]}
    assert found[RED[0]].startswith("data:image/webp;base64,")
    assert found[RED[3]] == ""  # said with an empty picture, not with a fault
    big = film.board.big(RED[0])
    assert big["src"].startswith("data:image/jpeg;base64,")
    assert big["still"]
    shutil.rmtree(film.work)  # as a run that ends well does
    head = film.board.big(RED[0])
    assert (head["src"], head["still"]) == (found[RED[0]], False)
    assert film.board.pictures([RED[0]]) == {RED[0]: found[RED[0]]}
    assert (big["time_ms"], big["confidence"], big["character"]) == (0, 0.9, "character_01")
    assert film.board.big(NOBODY[0])["why"] == "far from all"


# ------------------------------------------------------------------------------------------- what is shown is what comes

NAMES = ("Hana", "rem", "character_01", "Character 02", "character_03", "character_09", "")
Step = tuple[str, int, int, tuple[int, ...]]
KINDS = ("rename", "merge", "move", "reject", "reject_group", "drop", "restore", "undo", "redo", "run")


def act(board: CastBoard, step: Step) -> None:
    """One action of a person, on groups and faces that are there."""
    kind, first, second, places = step
    keys, ids = list(sizes(board)), board.state()["ids"]
    group, faces = keys[first % len(keys)], [ids[place % len(ids)] for place in places]
    name = NAMES[second % len(NAMES)]
    match kind:
        case "rename":
            board.rename(group, name or "x")
        case "merge":
            board.merge([group, keys[second % len(keys)]], keys[second % len(keys)])
        case "move":
            board.move(faces, name)
        case "reject":
            board.reject(faces)
        case "reject_group":
            board.reject([], group)
        case "drop":
            board.drop(faces)
        case "restore":
            board.restore(faces)
        case "undo":
            board.undo()
        case "redo":
            board.redo()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 6),
        st.integers(0, 6),
        st.lists(st.integers(0, 10), min_size=1, max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=9,
)


def check_promise(faces: Sequence[Face], steps: Sequence[Step], cast_file: Path | None = None) -> None:
    """At the end, and wherever the person runs it: a run gives what the board shows, and a board on that run shows it again."""
    with tempfile.TemporaryDirectory() as place:
        work, decisions = Path(place, "work"), Path(place, "output", "decisions.jsonl")
        given = _sorted(faces)
        cast = run_cast(given, work, decisions, cast_file)
        board = _board(given, cast, decisions)
        for step in steps:
            before = shown_groups(board)
            try:
                act(board, step)
            except InputError:  # merged into what is no character
                assert shown_groups(board) == before
            if step[0] == "run" or step is steps[-1]:
                cast = run_cast(given, work, decisions, cast_file)
                fresh = _board(given, cast, decisions)
                check_same(board, cast)
                assert shown_groups(fresh) == shown_groups(board)
                assert fresh.state()["dropped"] == board.state()["dropped"]
                assert not fresh.changed
                board = fresh


def _board(given: Given, cast: Output[CastRow, CastNotes], decisions: Path) -> CastBoard:
    pack = CastPack(cast.path, given.having(cast))
    return CastBoard(pack, cast.path.parent, DecisionLog(decisions))


def check_same(board: CastBoard, cast: Output[CastRow, CastNotes]) -> None:
    shown = shown_groups(board)
    rows = {row.id: row for row in cast.rows}
    ids = board.state()["ids"]
    assert [face for face, row in rows.items() if row.dropped == "by_hand"] == [
        ids[place] for place in board.state()["dropped"]
    ]
    for face, key in given_groups(cast).items():
        if key != "same_frame":
            assert shown[face] == key, face
            continue
        # a still has each character once: another face of it is the one that was taken
        still = face[:7]
        rivals = [other for other in rows if other != face and other[:7] == still and rows[other].dropped is None]
        assert shown[face] in {rows[rival].character for rival in rivals}


_given: dict[Sequence[Face], Given] = {}
_place = tempfile.TemporaryDirectory()


def _sorted(faces: Sequence[Face]) -> Given:
    if faces not in _given:
        _given[faces] = sort_film(Path(_place.name, str(len(_given))), faces)
    return _given[faces]


PROPERTY = settings(
    max_examples=5 * settings().max_examples // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@PROPERTY
@examples(STEPS)
@example([("rename", 1, 2, (0,)), ("run", 0, 0, (0,)), ("rename", 1, 3, (0,))])
# a name that the machine has for somebody else is given away, then one of those is let go
@example([("rename", 0, 0, (0,)), ("rename", 1, 0, (0,)), ("rename", 0, 4, (0,)), ("restore", 0, 0, (8,))])
def test_the_next_run_gives_what_the_board_shows(steps: list[Step]) -> None:
    check_promise(ALONE, steps)


@PROPERTY
@examples(STEPS)
def test_also_where_several_stand_in_one_still(steps: list[Step]) -> None:
    check_promise(TOGETHER, steps)


@pytest.fixture(scope="module")
def cast_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an earlier film, in which cluster 1 was called `hana` and cluster 2 nothing."""
    folder = tmp_path_factory.mktemp("earlier")
    film = Film(folder)
    film.board.rename("character_02", "Hana")
    film.run()
    assert [c.name for c in load_cast(film.cast.path / CAST_FILE).characters] == [
        "character_01",
        "hana",
        "character_03",
    ]
    return film.cast.path / CAST_FILE


@PROPERTY
@examples(steps=STEPS)
def test_also_in_the_next_film_of_a_series(cast_file: Path, steps: list[Step]) -> None:
    check_promise(ALONE, steps, cast_file)


def test_a_figure_that_stands_in_a_still_twice_is_kept_once(tmp_path: Path) -> None:
    """The board shows both faces with the name; the run keeps the one that a person named and says so of the other."""
    film = Film(tmp_path, TOGETHER)
    film.board.merge(["character_02"], "character_01")
    second = [face for face, key in film.run().items() if key == "same_frame"]
    assert second == ids_of(TOGETHER)[:2]
    assert {shown_groups(film.board)[face] for face in second} == {"character_01"}
