"""The log of decisions about the cast, and what decisions make of the machine's groups."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from animeset_lib.cast.cast import CastStage, cast_rows
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.cast.embed import EmbedStage
from animeset_lib.cast.names import character_name
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.errors import BusyError, InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.media import write_image
from animeset_lib.records import (
    Box,
    ClusterRow,
    DedupeRow,
    EmbedRow,
    Film,
    Frame,
    Region,
)
from animeset_lib.run import decisions as room
from animeset_lib.run.decisions import Decision, DecisionLog, about_faces, about_frames, digest_of
from animeset_lib.run.settling import Settlement, settle, settle_frames
from animeset_lib.run.stage import Context, Output, StageType
from animeset_lib.settings import DatasetSettings
from tests.notes import noted

NOW = "2025-12-31T23:59:59+00:00"


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return DecisionLog(tmp_path / "new" / "decisions.jsonl")


def name(log: DecisionLog, face: str, character: str) -> Decision:
    return log.add("assign", [face], scope="faces", character=character, words=f"{face} -> {character}")


def numbers(decisions: Sequence[Decision]) -> list[int]:
    return [decision.number for decision in decisions]


# ------------------------------------------------------------------------------------------------------------ one decision

GOOD: dict[str, Any] = {
    "number": 2,
    "time": NOW,
    "kind": "assign",
    "words": "two faces -> hana",
    "character": "hana",
    "scope": "group",
    "faces": ["abc-001-00", "abc-002-00"],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"character": None}, "assign needs character"),
        ({"faces": []}, "assign needs faces"),
        ({"kind": "reject"}, "reject has no character"),
        ({"kind": "undo", "character": None, "faces": []}, "undo needs undoes"),
        ({"kind": "undo", "character": None, "undoes": 1}, "undo has no faces"),
        ({"kind": "undo", "character": None, "faces": [], "undoes": 2}, "does not come before it"),
        ({"undoes": 1}, "assign has no undoes"),
        ({"kind": "drop", "character": None, "bearers": ["a"]}, "drop has no bearers"),
        ({"character": "../hana"}, "is not a name"),
        ({"character": "Hana"}, "is not a name"),
        ({"character": "con"}, "is not a name"),
        ({"character": "x" * 41}, "is not a name"),
        ({"character": ""}, "is not a name"),
        ({"faces": ["../x"]}, "faces"),
        ({"time": "2025-12-31T23:59:59"}, "not in UTC"),
        ({"time": "2025-12-31T23:59:59+02:00"}, "not in UTC"),
        ({"time": "2025-12-31T23:59+00:00"}, "not in UTC"),
        ({"time": "yesterday"}, "time"),
        ({"number": 0}, "number"),
        ({"kind": "love"}, "kind"),
        ({"kind": "keep", "character": None}, "keep has no faces"),
        ({"kind": "duplicate", "character": None, "faces": []}, "duplicate needs frames"),
        ({"frames": ["f-1"]}, "assign has no frames"),
        ({"kind": "restore", "character": None, "frames": ["f-1"]}, "faces or frames, and not both"),
        ({"kind": "restore", "character": None, "faces": []}, "faces or frames, and not both"),
        ({"kind": "keep", "character": None, "faces": [], "frames": ["f-1"]}, "of frames has no scope"),
        ({"duplicate_of": "f-1"}, "cannot be a duplicate of f-1"),
        ({"extra": 1}, "extra"),
    ],
)
def test_fields_must_fit_the_kind(change: dict[str, Any], said: str) -> None:
    Decision.model_validate(GOOD)
    with pytest.raises(ValueError, match=said):
        Decision.model_validate({**GOOD, **change})


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=50))
def test_every_name_that_the_stages_make_is_taken(text: str) -> None:
    try:
        character = character_name(text)
    except InputError:
        return
    assert Decision.model_validate({**GOOD, "character": character}).character == character


# ----------------------------------------------------------------------------------------------------------------- the log


def test_a_missing_file_is_an_empty_log(log: DecisionLog, tmp_path: Path) -> None:
    assert (log.all, log.standing, digest_of(log.standing), log.can_undo, log.can_redo) == ([], [], "", "", "")
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_undo_or_redo_writes_nothing(log: DecisionLog) -> None:
    assert (log.undo(), log.redo()) == (None, None)
    assert not log.path.exists()


def test_the_file_is_for_people_too(log: DecisionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_now", lambda: NOW)
    log.add("assign", ["f-1", "f-2", "f-1"], scope="group", character="レム", words="a → レム", bearers=["f-3"])
    log.add("reject", ["f-4"], scope="faces", words="a poster")
    log.undo()
    start = f'"time": "{NOW}"'
    assert log.path.read_text(encoding="utf-8").splitlines() == [
        f'{{"number": 1, {start}, "kind": "assign", "words": "a → レム", "character": "レム", "scope": "group", "faces": ["f-1", "f-2"], '
        '"bearers": ["f-3"]}',
        f'{{"number": 2, {start}, "kind": "reject", "words": "a poster", "scope": "faces", "faces": ["f-4"]}}',
        f'{{"number": 3, {start}, "kind": "undo", "words": "undo: a poster", "undoes": 2}}',
    ]
    assert DecisionLog(log.path).all == log.all
    assert {path.name for path in log.path.parent.iterdir()} <= {"decisions.jsonl", ".decisions.jsonl.lock"}


def test_decisions_about_stills_stand_in_the_same_file(log: DecisionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_now", lambda: NOW)
    name(log, "f-1-00", "hana")
    log.add_frames("duplicate", ["f-1", "f-2", "f-1"], words="the same", duplicate_of="f-3")
    log.add_frames("keep", ["f-2"], words="not the same")
    log.add_frames("restore", ["f-1"], words="as before")
    start = f'"time": "{NOW}"'
    assert log.path.read_text(encoding="utf-8").splitlines()[1:] == [
        f'{{"number": 2, {start}, "kind": "duplicate", "words": "the same", "frames": ["f-1", "f-2"], "duplicate_of": "f-3"}}',
        f'{{"number": 3, {start}, "kind": "keep", "words": "not the same", "frames": ["f-2"]}}',
        f'{{"number": 4, {start}, "kind": "restore", "words": "as before", "frames": ["f-1"]}}',
    ]
    assert DecisionLog(log.path).all == log.all
    assert (numbers(about_faces(log.standing)), numbers(about_frames(log.standing))) == ([1], [2, 3, 4])
    log.undo()
    assert (log.can_undo, log.can_redo) == ("not the same", "as before")
    with pytest.raises(InputError, match="cannot be a duplicate of f-9"):
        log.add_frames("duplicate", ["f-9"], words="", duplicate_of="f-9")


def test_each_stage_has_a_digest_of_what_concerns_it(log: DecisionLog) -> None:
    name(log, "f-1-00", "hana")
    faces = digest_of(about_faces(log.standing))
    assert faces == digest_of(log.standing)
    assert digest_of(about_frames(log.standing)) == ""
    log.add_frames("keep", ["f-2"], words="")
    assert digest_of(about_faces(log.standing)) == faces
    frames = digest_of(about_frames(log.standing))
    assert len({"", faces, frames, digest_of(log.standing)}) == 4
    name(log, "f-3-00", "rem")
    assert digest_of(about_frames(log.standing)) == frames


def test_the_digest_of_decisions_about_faces_is_that_of_the_first_release(log: DecisionLog) -> None:
    # keys of finished stages are made of it: another form would run them again
    name(log, "a", "hana")
    assert digest_of(log.standing) == hashlib.sha256(b'[["assign", ["a"], "faces", "hana", null]]').hexdigest()


@pytest.mark.parametrize(
    ("decisions", "now", "told"),
    [
        ("", {}, []),
        ("duplicate a b", {"a": "duplicate", "b": "duplicate"}, []),
        ("keep a; keep a", {"a": "keep"}, []),
        ("duplicate a b; keep b", {"a": "duplicate", "b": "keep"}, ["1 still of decision 1: the later decision 2 (no duplicate) counts"]),
        ("keep a b; duplicate a b", {"a": "duplicate", "b": "duplicate"}, ["2 stills of decision 1: the later decision 2 (duplicate) counts"]),
        ("duplicate a b; restore a", {"b": "duplicate"}, []),
        ("restore a; keep a", {"a": "keep"}, []),
    ],
)  # fmt: skip
def test_what_decisions_make_of_stills(decisions: str, now: dict[str, str], told: list[str]) -> None:
    made = [
        Decision.model_validate({"number": n, "time": NOW, "kind": kind, "words": "", "frames": frames})
        for n, (kind, *frames) in enumerate((part.split() for part in decisions.split(";") if part), start=1)
    ]
    settlement = settle_frames(["a", "b", "c"], made)
    assert {frame: decision.kind for frame, decision in settlement.decided.items()} == now
    assert list(settlement.told) == told
    elsewhere = settle_frames(["c"], made)
    assert (elsewhere.decided, elsewhere.told, elsewhere.absent) == ({}, (), len(now))


def test_undo_goes_back_and_redo_forward_again(log: DecisionLog) -> None:
    for letter in "abc":
        name(log, letter, "hana")
    assert log.undo() is not None
    assert (log.can_undo, log.can_redo) == ("b -> hana", "c -> hana")
    log.undo()
    assert (log.can_undo, log.can_redo) == ("a -> hana", "b -> hana")
    again = log.redo()
    assert again is not None
    assert (again.kind, again.words) == ("undo", "redo: b -> hana")
    assert (numbers(log.standing), log.can_undo, log.can_redo) == ([1, 2], "b -> hana", "c -> hana")
    log.redo()
    assert (numbers(log.standing), log.can_redo) == ([1, 2, 3], "")
    log.undo()
    assert (numbers(log.standing), log.can_redo) == ([1, 2], "c -> hana")
    name(log, "d", "rem")
    assert (log.can_redo, log.redo()) == ("", None)
    log.undo()
    assert (numbers(log.standing), log.can_redo) == ([1, 2], "d -> rem")


def test_the_digest_is_of_effects_not_of_history(tmp_path: Path) -> None:
    first, second = DecisionLog(tmp_path / "1.jsonl"), DecisionLog(tmp_path / "2.jsonl")
    name(first, "a", "hana")
    name(second, "b", "hana")
    second.undo()
    second.add("assign", ["a"], scope="faces", character="hana", words="in other words")
    assert numbers(first.standing) != numbers(second.standing)
    assert digest_of(first.standing) == digest_of(second.standing) != ""
    changes: list[dict[str, Any]] = [
        {"character": "rem"},
        {"scope": "group"},
        {"faces": ("b",)},
        {"bearers": ()},
        {"kind": "reject", "character": None},
    ]
    (one,) = first.standing
    others = [digest_of([one.model_copy(update=change)]) for change in changes]
    assert len({digest_of(first.standing), *others}) == 6


class History(RuleBasedStateMachine):
    """The log beside two plain stacks, read through a second object as another browser tab would."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.logs = [DecisionLog(Path(self.folder.name) / "decisions.jsonl") for _ in range(2)]
        self.done: list[str] = []
        self.undone: list[str] = []

    @rule(which=st.integers(0, 1))
    def decide(self, which: int) -> None:
        words = f"decision {len(self.logs[0].all)}"
        self.logs[which].add("reject", ["f-1"], scope="faces", words=words)
        self.done.append(words)
        self.undone.clear()

    @rule(which=st.integers(0, 1))
    def undo(self, which: int) -> None:
        assert (self.logs[which].undo() is None) == (not self.done)
        if self.done:
            self.undone.append(self.done.pop())

    @rule(which=st.integers(0, 1))
    def redo(self, which: int) -> None:
        assert (self.logs[which].redo() is None) == (not self.undone)
        if self.undone:
            self.done.append(self.undone.pop())

    @precondition(lambda self: len(self.done) > 1)
    @rule()
    def undo_everything(self) -> None:
        while self.logs[0].undo() is not None:
            self.undone.append(self.done.pop())
        assert digest_of(self.logs[1].standing) == ""

    @invariant()
    def both_tabs_see_the_same(self) -> None:
        for log in self.logs:
            assert [decision.words for decision in log.standing] == self.done
            assert log.can_undo == (self.done[-1] if self.done else "")
            assert log.can_redo == (self.undone[-1] if self.undone else "")
            assert numbers(log.all) == list(range(1, len(log.all) + 1))

    def teardown(self) -> None:
        self.folder.cleanup()


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("tail", [b'{"number": 2, "ti', b"{" + b"x" * 5000, b"\x00\x00\x00", "ä".encode()[:1]])
def test_a_torn_last_line_does_not_count_and_is_cut_off(log: DecisionLog, tail: bytes) -> None:
    name(log, "a", "hana")
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + tail)
    fresh = DecisionLog(log.path)
    assert numbers(fresh.all) == [1]
    assert log.path.read_bytes() == whole + tail
    name(fresh, "b", "rem")
    assert log.path.read_bytes().startswith(whole + b'{"number": 2')
    assert log.path.read_bytes().endswith(b"}\n")
    assert numbers(log.all) == [1, 2]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "Invalid JSON"),
        (b"hello", "Invalid JSON.*got 'hello'"),
        (b"\xff", "Invalid JSON|unicode|UTF-8|utf-8"),
        (json.dumps({**GOOD, "number": 1}).encode(), "number 1 does not come after 1"),
        (json.dumps({**GOOD, "faces": []}).encode(), "assign needs faces"),
        (
            json.dumps({"number": 4, "time": NOW, "kind": "undo", "words": "u", "undoes": 3}).encode(),
            "undoes decision 3, which is not there",
        ),
    ],
)
def test_another_damaged_line_says_where_and_what_to_do(log: DecisionLog, line: bytes, said: str) -> None:
    name(log, "a", "hana")
    damaged = log.path.read_bytes() + line + b"\n"
    log.path.write_bytes(damaged)
    for ask in (lambda: log.all, lambda: digest_of(log.standing), log.undo, lambda: name(log, "b", "rem")):
        with pytest.raises(
            InputError, match=rf"line 2 of .*decisions\.jsonl is no decision: .*({said}).*move the file"
        ):
            ask()
    assert log.path.read_bytes() == damaged


def test_a_copy_of_what_stood_can_be_gone_on_with(log: DecisionLog, tmp_path: Path) -> None:
    name(log, "a", "hana")
    name(log, "b", "hana")
    log.undo()
    name(log, "c", "rem")
    copy = DecisionLog(tmp_path / "copy.jsonl")
    copy.path.write_text("".join(f"{decision.line}\n" for decision in log.standing), encoding="utf-8")
    assert digest_of(copy.standing) == digest_of(log.standing)
    name(copy, "d", "rem")
    assert numbers(copy.all) == [1, 4, 5]


@pytest.mark.parametrize(("faces", "character", "said"), [([], "hana", "needs faces"), (["a"], "Ha na", "not a name")])
def test_what_does_not_fit_is_not_saved(log: DecisionLog, faces: list[str], character: str, said: str) -> None:
    with pytest.raises(InputError, match=rf"{said}.*nothing was saved"):
        log.add("assign", faces, scope="faces", character=character, words="")
    assert log.all == []


def test_a_full_disk_leaves_the_log_as_it_was(log: DecisionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    name(log, "a", "hana")
    before = log.path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(room.os, "fsync", full)
        with pytest.raises(InputError, match=r"No space left.*nothing was saved"):
            name(log, "b", "rem")
    assert log.path.read_bytes() == before
    assert name(log, "b", "rem").number == 2


def test_a_lock_that_is_never_let_go_is_said(log: DecisionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    name(log, "a", "hana")
    monkeypatch.setattr(room, "_PATIENCE_S", 0.05)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(log.path.with_name(".decisions.jsonl.lock")):
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(20)
        with pytest.raises(BusyError, match="try again"):
            name(log, "b", "rem")
    finally:
        done.set()
        thread.join()
    assert numbers(log.all) == [1]


def test_processes_that_append_at_once_lose_nothing(log: DecisionLog) -> None:
    code = (
        "import sys; from pathlib import Path; from animeset_lib.run.decisions import DecisionLog\n"
        "log = DecisionLog(Path(sys.argv[1]))\n"
        "for n in range(40): log.add('reject', [f'{sys.argv[2]}-{n}'], scope='faces', words='x' * 500)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(log.path), who]) for who in ("one", "two")]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assert numbers(log.all) == list(range(1, 81))
    assert {face for decision in log.all for face in decision.faces} == {
        f"{who}-{n}" for who in ("one", "two") for n in range(40)
    }


# ------------------------------------------------------------------------------------------------------------------ settle


def decided(*entries: tuple[str, str, str, str]) -> list[Decision]:
    """`("assign group", "hana", "a b", "")`: kind and scope, character, faces, bearers."""
    found = []
    for number, (what, character, faces, bearers) in enumerate(entries, start=1):
        kind, _, scope = what.partition(" ")
        found.append(
            Decision.model_validate(
                {
                    "number": number,
                    "time": NOW,
                    "kind": kind,
                    "words": "",
                    "scope": scope or "faces",
                    "character": character or None,
                    "faces": tuple(faces.split()),
                    "bearers": tuple(bearers.split()) if bearers else None,
                }
            )
        )
    return found


def outcome(groups: Sequence[str], decisions: Sequence[Decision], noise: str = "") -> Settlement:
    """`groups` are clusters 0, 1, ... as words of face ids; the machine calls them character_01, ... ."""
    ids = [face for group in groups for face in group.split()] + noise.split()
    clusters = [number for number, group in enumerate(groups) for _ in group.split()] + [-1] * len(noise.split())
    names = {number: f"character_{number + 1:02d}" for number in range(len(groups))}
    return settle(ids, clusters, names, dict.fromkeys(names, "cluster"), decisions)


def short(settlement: Settlement) -> str:
    """`hana hana/by_hand -/noise`: character and reason per face."""
    return " ".join(
        (face.character or "-").replace("character_0", "c") + (f"/{face.dropped}" if face.dropped else "")
        for face in settlement.faces
    )


@pytest.mark.parametrize(
    ("decisions", "now"),
    [
        ([], "c1 c1 c1 c2 c2 -/noise"),
        ([("assign group", "hana", "a b c", "")], "hana hana hana c2 c2 -/noise"),
        ([("assign group", "character_01", "d e", "")], "c1 c1 c1 c1 c1 -/noise"),
        ([("assign faces", "rem", "c", "")], "c1 c1 rem c2 c2 -/noise"),
        ([("assign faces", "rem", "n", "")], "c1 c1 c1 c2 c2 rem"),
        ([("reject group", "", "d e", "")], "c1 c1 c1 -/not_a_character -/not_a_character -/noise"),
        ([("reject faces", "", "d n", "")], "c1 c1 c1 -/not_a_character c2 -/not_a_character"),
        ([("drop", "", "a", "")], "c1/by_hand c1 c1 c2 c2 -/noise"),
        ([("drop", "", "n", "")], "c1 c1 c1 c2 c2 -/by_hand"),
        # the later decision about a face counts
        ([("assign", "hana", "a", ""), ("assign", "rem", "a", "")], "rem c1 c1 c2 c2 -/noise"),
        ([("reject", "", "a", ""), ("assign", "rem", "a", "")], "rem c1 c1 c2 c2 -/noise"),
        ([("assign", "rem", "a", ""), ("reject", "", "a", "")], "-/not_a_character c1 c1 c2 c2 -/noise"),
        # an assign moves a dropped picture, and leaves it dropped; a reject says more than a drop
        ([("drop", "", "d", ""), ("assign group", "rem", "d e", "")], "c1 c1 c1 rem/by_hand rem -/noise"),
        ([("assign", "rem", "d", ""), ("drop", "", "d", "")], "c1 c1 c1 rem/by_hand c2 -/noise"),
        ([("reject", "", "d", ""), ("drop", "", "d", "")], "c1 c1 c1 -/not_a_character c2 -/noise"),
        # restore forgets both, and only what came before it
        ([("drop", "", "d", ""), ("assign", "rem", "d", ""), ("restore", "", "d", "")], "c1 c1 c1 c2 c2 -/noise"),
        ([("restore", "", "d", ""), ("drop", "", "d", "")], "c1 c1 c1 c2/by_hand c2 -/noise"),
        # a restored face goes back to its group, whatever that is called, but not to its rejection or its drop
        (
            [("assign group", "hana", "a b c", ""), ("assign", "rem", "c", ""), ("restore", "", "c", "")],
            "hana hana hana c2 c2 -/noise",
        ),
        (
            [("reject group", "", "a b c", ""), ("restore", "", "c", "")],
            "-/not_a_character -/not_a_character c1 c2 c2 -/noise",
        ),
        ([("drop group", "", "a b c", ""), ("restore", "", "c", "")], "c1/by_hand c1/by_hand c1 c2 c2 -/noise"),
        # faces of other settings
        ([("assign group", "hana", "x y z", "")], "c1 c1 c1 c2 c2 -/noise"),
    ],
)
def test_what_decisions_do(decisions: list[tuple[str, str, str, str]], now: str) -> None:
    assert short(outcome(["a b c", "d e"], decided(*decisions), noise="n")) == now


def test_where_it_comes_from_and_why() -> None:
    found = outcome(
        ["a b c", "d e"],
        decided(("assign group", "hana", "a b", ""), ("reject group", "", "d", ""), ("drop", "", "a", "")),
        noise="n",
    )
    assert [face.source for face in found.faces] == ["decision"] * 5 + ["noise"]
    assert [face.listed for face in found.faces] == [True, True, False, True, False, False]
    assert [face.decision.number if face.decision else None for face in found.faces] == [1, 1, 1, 2, 2, None]
    stamp = "of 2025-12-31 23:59:59 UTC)"
    assert [face.why for face in found.faces] == [
        f"you said: do not use this picture (decision 3 {stamp}",
        "",
        "",
        f"you said: not a character (decision 2 {stamp}",
        f"you said of its group: not a character (decision 2 {stamp}",
        "",
    ]


def many(letter: str, count: int) -> str:
    return " ".join(f"{letter}{n}" for n in range(count))


@pytest.mark.parametrize(
    ("known", "new", "scope", "follows"),
    [
        (5, 5, "group", True),
        (5, 15, "group", True),
        (25, 76, "group", False),
        (1, 3, "group", True),
        (5, 1, "faces", False),
        (100, 1, "faces", False),
    ],
)
@pytest.mark.parametrize("kind", ["assign", "reject", "drop"])
def test_who_was_not_there_follows_a_group(kind: str, known: int, new: int, scope: str, follows: bool) -> None:
    decision = decided((f"{kind} {scope}", "hana" if kind == "assign" else "", many("k", known), ""))
    found = outcome([f"{many('k', known)} {many('n', new)}"], decision)
    before, after = (
        {short(Settlement((face,), (), 0)) for face in found.faces[known:]},
        set(short(found).split()[:known]),
    )
    assert before == (after if follows else {"c1"})
    assert len(found.told) == (1 if scope == "group" else 0)
    if follows:
        assert found.told[0].startswith(f"cluster 0: {new} face")
    elif scope == "group":
        assert "has only 25 faces of the group" in found.told[0]


@pytest.mark.parametrize(
    ("decisions", "new_face"),
    [
        # moved pictures neither pull the group nor hold it back
        ([("assign group", "hana", "a b c d", ""), ("assign", "rem", "a b c", "")], "hana"),
        # ... also not when the group they were moved to is given another name
        ([("assign", "rem", "a b", ""), ("assign group", "emilia", "a b x y", "")], "c1"),
        ([("assign", "rem", "a b", ""), ("restore", "", "a b", ""), ("assign group", "rem", "a b", "")], "rem"),
        ([("drop", "", "a b", ""), ("restore", "", "a b", ""), ("drop group", "", "a b", "")], "c1/by_hand"),
        # two groups that are one cluster now: the larger part has it, none has it when equal
        ([("assign group", "hana", "a b c", ""), ("assign group", "rem", "d", "")], "hana"),
        ([("assign group", "hana", "a b", ""), ("assign group", "rem", "c d", "")], "c1"),
        ([("assign group", "hana", "a b", ""), ("reject group", "", "c d", "")], "c1"),
        # ... unless they were merged, which makes them one
        ([("assign group", "hana", "a b", ""), ("assign group", "hana", "c d", "")], "hana"),
        ([("assign group", "hana", "a b", ""), ("assign group", "rem", "a b c d", "")], "rem"),
        # a group that is forgotten leads nobody
        ([("assign group", "hana", "a b c d", ""), ("restore group", "", "a b c d", "")], "c1"),
    ],
)
def test_whom_a_new_face_of_a_group_follows(decisions: list[tuple[str, str, str, str]], new_face: str) -> None:
    assert short(outcome(["a b c d new"], decided(*decisions))).split()[-1] == new_face


def test_conflicts_are_said() -> None:
    found = outcome(
        ["a b c d new"],
        decided(("assign group", "hana", "a b c x", ""), ("assign group", "rem", "c d x", ""), ("drop", "", "y", "")),
    )
    assert found.told == (
        "1 face of decision 1: the later decision 2 (rem) counts",
        "cluster 0 was decided about as different groups: hana (2), rem (2); the 1 face not listed follow none",
    )
    assert found.absent == 2


FACES = [f"f{n}" for n in range(8)]
ANY_DECISION = st.tuples(
    st.sampled_from(["assign", "reject", "drop", "restore"]),
    st.sampled_from(["group", "faces"]),
    st.sampled_from(["hana", "rem", "character_01"]),
    st.lists(st.sampled_from(FACES), min_size=1, unique=True),
).map(lambda d: (f"{d[0]} {d[1]}", d[2] if d[0] == "assign" else "", " ".join(d[3]), ""))


@settings(max_examples=300, deadline=None)
@given(st.lists(ANY_DECISION, max_size=8), st.lists(st.integers(-1, 2), min_size=8, max_size=8), st.randoms())
def test_later_wins_in_every_order_of_the_rows(entries: list[Any], clusters: list[int], random: Any) -> None:
    decisions = decided(*entries)
    names = {0: "character_01", 1: "character_02", 2: "emilia"}
    sources: Any = dict.fromkeys(names, "cluster")
    first = settle(FACES, clusters, names, sources, decisions)
    assert settle(FACES, clusters, names, sources, decisions) == first
    order = random.sample(range(8), 8)
    shuffled = settle([FACES[i] for i in order], [clusters[i] for i in order], names, sources, decisions)
    assert [shuffled.faces[order.index(i)] for i in range(8)] == list(first.faces)
    for face, cluster, now in zip(FACES, clusters, first.faces, strict=True):
        about = [d for d in decisions if face in d.faces]
        since = about[max((i for i, d in enumerate(about) if d.kind == "restore"), default=-1) + 1 :]
        verdicts = [d for d in since if d.kind in ("assign", "reject")]
        assert now.listed == bool(verdicts)
        if verdicts:
            assert (now.character, now.decision) == (verdicts[-1].character, verdicts[-1])
        if any(d.kind == "drop" for d in since):
            assert now.dropped == ("not_a_character" if now.decision and now.decision.kind == "reject" else "by_hand")
        if not any(d.scope == "group" for d in decisions) and not since:
            assert (now.character, now.decision) == (names.get(cluster), None)
        assert (now.character is None) <= (now.dropped is not None)
        assert bool(now.why) == (now.dropped in ("not_a_character", "by_hand"))


# ------------------------------------------------------------------------------------------------------------- published


def test_what_was_decided_is_published_and_said(
    make_output: Callable[..., Output], run_stage: Callable[..., Output], make_context: Callable[..., Context]
) -> None:
    """A film of two faces, both taken out by a person, and one that is noise."""
    film = Film(id="0" * 12, name="a", source_name="a.mkv", kind="video", width=99, height=99, duration_ms=1000)
    box = Box(x0=1, y0=1, x1=9, y1=9)
    out = decided(("reject", "", "a", ""), ("drop", "", "b", ""))
    frame = Frame(id="f", pts_ms=0, shot=0, file="f.png", width=99, height=99, cause="shot")
    ids = ["a", "b", "n"]
    regions = [
        Region(id=i, frame_id="f", face=box, person=box, person_estimated=True, score=1, width=99, height=99)
        for i in ids
    ]
    clusters = [
        ClusterRow(id=i, track=0, cluster=c, confidence=1, x=0, y=0) for i, c in zip(ids, (0, 1, -1), strict=True)
    ]
    rows, _ = cast_rows(clusters, ["f", "f", "f"], outcome(["a", "b"], out, noise="n"))
    notes: dict[StageType, dict[str, Any]] = {ExtractStage: {"film": film}, CastStage: {"decisions": 2}}
    made: dict[StageType, list[Any]] = {
        ExtractStage: [frame],
        DedupeStage: [DedupeRow(id="f", phash="", sharpness=1)],
        DetectStage: regions,
        EmbedStage: [EmbedRow.with_vector(i, np.ones(1)) for i in ids],
        ClusterStage: clusters,
        CastStage: rows,
    }
    given = {
        stage: make_output(stage, made.get(stage, []), noted(stage, **notes.get(stage, {})))
        for stage in DatasetStage.needs
    }
    write_image(given[ExtractStage].path / "f.png", np.zeros((99, 99, 3), np.uint8))
    (given[CastStage].path / "cast.json").write_text("{}")
    without = run_stage(DatasetStage(DatasetSettings()), given, make_context()).path / "tree"
    assert not (without / "decisions.jsonl").exists()
    (given[CastStage].path / "decisions.jsonl").write_text("".join(f"{decision.line}\n" for decision in out))
    tree = run_stage(DatasetStage(DatasetSettings()), given, make_context()).path / "tree"
    assert DecisionLog(tree / "decisions.jsonl").all == out
    card = (tree / "README.md").read_text(encoding="utf-8")
    for line in (
        "- faces that belong to no character (extras, or seen too seldom): 1",
        "- faces of which you said that they are no character: 1",
        "- faces whose pictures you took out by hand: 1",
        "- 2 decisions of yours about the cast, kept in `decisions.jsonl`",
    ):
        assert line in card.splitlines()
    assert "character_02: 1 figure removed by hand (3d_cast). You took 2 faces out yourself. Take back" in card
    explained = [json.loads(line) for line in (tree / "explain.jsonl").read_text().splitlines()]
    said = {fate["id"]: (fate["stage"], fate["reason"], fate["why"], fate["character"]) for fate in explained}
    stamp = "of 2025-12-31 23:59:59 UTC)"
    assert said["a"] == ("3d_cast", "not_a_character", f"you said: not a character (decision 1 {stamp}", None)
    assert said["b"] == ("3d_cast", "by_hand", f"you said: do not use this picture (decision 2 {stamp}", "character_02")
