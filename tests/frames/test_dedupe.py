"""Which stills go and which stays: tables of small films with the rows they must give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.frames.extract import ExtractStage
from animeset_lib.frames.similarity import analysis_picture
from animeset_lib.frames.stills import small_file, write_still
from animeset_lib.records import Frame
from animeset_lib.run.decisions import DecisionLog
from animeset_lib.run.stage import Context, Output
from animeset_lib.settings import DedupeSettings
from tests.fakes import FakeModels
from tests.film_maker import drawing
from tests.talking_head import Picture, brighter, camera, compressed, head, noisy, subtitle

Dedupe = Callable[..., Output]


@pytest.fixture
def dedupe(
    tmp_path: Path,
    make_output: Callable[..., Output],
    make_context: Callable[..., Context],
    run_stage: Callable[..., Output],
) -> Dedupe:
    """`dedupe(pictures)` runs the stage on stills half a second apart in one shot; `times_ms`, `shots` and settings may be given."""

    def run(
        pictures: Sequence[Picture],
        *,
        times_ms: Sequence[int] | None = None,
        shots: Sequence[int] | None = None,
        batch: int | None = None,
        decisions: Path | None = None,
        **settings: object,
    ) -> Output:
        folder = tmp_path / "given" / "1_extract"
        (folder / "stills").mkdir(parents=True, exist_ok=True)
        frames = []
        for i, picture in enumerate(pictures):
            file = f"stills/f-{i:03d}.png"
            frame = Frame(
                id=f"f-{i:03d}",
                pts_ms=times_ms[i] if times_ms else 500 * i,
                shot=shots[i] if shots else 0,
                file=file,
                width=picture.shape[1],
                height=picture.shape[0],
                cause="change",
            )
            frames.append(write_still(folder, frame, picture))
        given = {ExtractStage: make_output(ExtractStage, frames)}
        stage = DedupeStage(DedupeSettings.model_validate(settings), decisions)
        return run_stage(stage, given, make_context(), batch=batch)

    return run


def groups(output: Output) -> list[list[int]]:
    """Numbers of the stills that show one picture, one list per kept still, in order of the first of each."""
    members: dict[str, list[int]] = {}
    for i, row in enumerate(output.rows):
        members.setdefault(row.duplicate_of or row.id, []).append(i)
    return sorted(members.values())


def kept(output: Output) -> list[int]:
    return [i for i, row in enumerate(output.rows) if row.dropped is None]


HELD = [noisy(head(), 2, seed) for seed in range(4)]
BLACK = [noisy(np.zeros((720, 1280, 3), np.uint8), 1, seed) for seed in range(3)]
WHITE = np.full((720, 1280, 3), 250, np.uint8)


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        pytest.param(HELD, [[0, 1, 2, 3]], id="a held drawing with grain"),
        pytest.param(
            [compressed(head(), 80), compressed(head(), 40), brighter(head(), 0.96)], [[0, 1, 2]], id="codec and gain"
        ),
        pytest.param(
            [head(), head(mouth="open"), head(eyes="shut"), head(mouth="smile"), head()],
            [[0, 4], [1], [2], [3]],
            id="a talking head: each expression once",
        ),
        pytest.param(
            [head(mouth="open" if i % 2 else "shut") for i in range(8)], [[0, 2, 4, 6], [1, 3, 5, 7]], id="lip flap"
        ),
        pytest.param([head(size=50), head(size=50, mouth="half")], [[0, 1]], id="lip flap of a far figure"),
        pytest.param([camera(head(), right=18 * i) for i in range(3)], [[0, 1, 2]], id="a slow pan"),
        pytest.param(
            [camera(drawing(4, 2000, 720), right=400 * i)[:, :1280] for i in range(3)], [[0], [1], [2]], id="a wide pan"
        ),
        pytest.param([camera(head(), zoom=1 + 0.01 * i) for i in range(3)], [[0, 1, 2]], id="a slow zoom"),
        pytest.param(
            [brighter(head(), gain) for gain in (1, 0.7, 0.45, 0.25)], [[0], [1], [2], [3]], id="a fade to black"
        ),
        pytest.param([head(), WHITE, head()], [[0, 2], [1]], id="a flash between two equal stills"),
        pytest.param([*BLACK, WHITE, BLACK[0], WHITE], [[0, 1, 2, 4], [3, 5]], id="black and white"),
        pytest.param([head(scene=s) for s in (1, 2, 3)], [[0], [1], [2]], id="other scenes"),
        pytest.param([subtitle(head(), "one line"), subtitle(head(), "and another")], [[0, 1]], id="subtitles"),
        pytest.param([head()], [[0]], id="one still"),
        pytest.param([], [], id="no still"),
        pytest.param([head(), cv2.resize(head(), (640, 360)), head()[:, 160:1120]], [[0, 1], [2]], id="sizes"),
    ],
)
def test_groups(dedupe: Dedupe, pictures: list[Picture], expected: list[list[int]]) -> None:
    assert groups(dedupe(pictures)) == expected


def test_rows_say_what_was_measured(dedupe: Dedupe) -> None:
    output = dedupe([noisy(head(), 6), head(), head(mouth="open")])
    soft, clean, other = output.rows
    assert (clean.dropped, clean.duplicate_of, clean.hamming, clean.ssim, clean.local_ssim, clean.why) == (
        *[None] * 5,
        "",
    )
    assert (other.dropped, other.duplicate_of) == (None, None)
    assert (soft.dropped, soft.duplicate_of) == ("duplicate", clean.id)
    assert soft.hamming == imagehash.hex_to_hash(soft.phash) - imagehash.hex_to_hash(clean.phash)
    assert 0.9 <= soft.ssim < 1
    assert 0.7 <= soft.local_ssim < soft.ssim
    assert clean.id in soft.why
    assert f"{soft.hamming} of 64" in soft.why
    assert f"{soft.ssim:.3f}" in soft.why


def test_hashes_are_those_of_imagehash_on_the_small_pictures(dedupe: Dedupe) -> None:
    pictures = [head(), drawing(2, 641, 359)]
    small = [Image.fromarray(analysis_picture(picture)) for picture in pictures]
    for method, library in (("phash", imagehash.phash), ("whash", imagehash.whash)):
        output = dedupe(pictures, method=method)
        assert [row.phash for row in output.rows] == [str(library(picture)) for picture in small]


def test_the_sharpest_stays(dedupe: Dedupe) -> None:
    soft = [cv2.GaussianBlur(head(), (0, 0), s).astype(np.uint8) for s in (2.5, 1.8, 1.2)]
    output = dedupe([soft[0], soft[1], head(), soft[2]])
    assert kept(output) == [2]
    first, second, sharpest, third = (row.sharpness for row in output.rows)
    assert first < second < third < sharpest


def test_the_earliest_of_equals_stays(dedupe: Dedupe) -> None:
    assert kept(dedupe([head()] * 3)) == [0]


def test_equal_pictures_far_apart_are_one(dedupe: Dedupe) -> None:
    output = dedupe([head(), drawing(1, 1280, 720), head()], times_ms=[0, 1_000, 1_200_000], shots=[0, 1, 90])
    assert groups(output) == [[0, 2], [1]]


def test_window_keeps_what_comes_back_later(dedupe: Dedupe) -> None:
    times = [0, 5_000, 10_000, 60_000, 65_000]
    assert groups(dedupe([head()] * 5, times_ms=times)) == [[0, 1, 2, 3, 4]]
    assert groups(dedupe([head()] * 5, times_ms=times, window_ms=10_000)) == [[0, 1, 2], [3, 4]]
    assert groups(dedupe([head()] * 5, times_ms=times, window_ms=9_999)) == [[0, 1], [2], [3, 4]]


def test_a_dissolve_does_not_chain_two_pictures(dedupe: Dedupe) -> None:
    """From A to B in 40 small steps, each hardly different from the last: A and B must not meet in one group, and every group must hold
    together around its kept still."""
    a, b = head(scene=3).astype(np.float32), drawing(11, 1280, 720).astype(np.float32)
    steps = [(a + (b - a) * t).round().astype(np.uint8) for t in np.linspace(0, 1, 41)]
    output = dedupe(steps)
    found = groups(output)
    assert len(found) < 30, "neighbours of the dissolve are duplicates"
    assert not any({0, 40} <= set(group) for group in found)
    assert all(max(group) - min(group) <= 20 for group in found)
    assert all(row.ssim >= 0.9 and row.local_ssim >= 0.7 for row in output.rows if row.dropped)
    assert {row.duplicate_of for row in output.rows if row.dropped} <= {row.id for row in output.kept}


def test_batches_change_nothing(dedupe: Dedupe) -> None:
    pictures = [*HELD, head(mouth="open"), drawing(1, 1280, 720), *BLACK, compressed(head(mouth="open"), 50)]
    texts = set()
    for batch in (1, 3, 100):
        output = dedupe(pictures, batch=batch)
        texts.add((output.path / "rows.jsonl").read_text() + (output.path / "stage.json").read_text())
    assert len(texts) == 1


def test_only_usable_stills_are_looked_at(
    make_output: Callable[..., Output], make_context: Callable[..., Context], run_stage: Callable[..., Output]
) -> None:
    frames = [
        Frame(id=f"f-{i}", pts_ms=i, shot=0, file=f"{i}.png", width=1280, height=720, cause="shot", dropped=dropped)
        for i, dropped in enumerate([None, "black", None])
    ]
    given = {ExtractStage: make_output(ExtractStage, frames)}
    write_still(given[ExtractStage].path, frames[0], head())
    small_file(given[ExtractStage].path, frames[2]).write_bytes(b"no picture")
    output = run_stage(DedupeStage(DedupeSettings()), given, make_context())
    assert [(row.id, row.dropped) for row in output.rows] == [("f-0", None), ("f-2", "unreadable")]
    assert "f-2.png" in output.rows[1].why


def test_settings_decide(dedupe: Dedupe) -> None:
    pictures = [head(), noisy(head(), 8), head(mouth="open")]
    assert groups(dedupe(pictures)) == [[0, 1], [2]]
    assert groups(dedupe(pictures, ssim_min=0.99)) == [[0], [1], [2]]
    assert groups(dedupe(pictures, local_ssim_min=0.05)) == [[0, 1, 2]]
    apart = [head(), drawing(1, 1280, 720), drawing(2, 1280, 720), noisy(head(), 8)]
    shots = [0, 1, 2, 3]
    assert kept(dedupe(apart, shots=shots)) == [0, 1, 2]
    assert kept(dedupe([head(), camera(head(), zoom=1.02)], shots=[0, 1], hamming_max=0)) == [0, 1]


def test_notes_add_up(dedupe: Dedupe) -> None:
    output = dedupe([*HELD, head(mouth="open"), drawing(1, 1280, 720)])
    notes = output.notes
    assert (notes.stills, notes.kept, notes.duplicates, notes.unreadable) == (6, 3, 3, 0)
    assert notes.group_sizes == {1: 2, 4: 1}
    assert sum(notes.hamming_confirmed.values()) == 3
    assert sum(notes.hamming_refused.values()) == notes.compared - 3


def test_comparisons_stay_in_proportion(dedupe: Dedupe) -> None:
    """Equal hashes everywhere and nothing confirmed is the worst case: still a bounded number of comparisons per still."""
    random = np.random.default_rng(0)
    pictures = [noisy(np.full((72, 128, 3), 128, np.uint8), 2, seed) for seed in range(60)]
    for picture in pictures:  # a different spot in each, too small for the contrast that a hash needs
        y, x = random.integers(4, 50), random.integers(4, 110)
        picture[y : y + 4, x : x + 4] = random.integers(0, 90)
    output = dedupe(pictures)
    assert len(output.kept) > 40
    assert output.notes.compared <= 60 * 16
    assert output.notes.stopped_at_most_comparisons > 0


def test_a_person_has_the_last_word(dedupe: Dedupe, tmp_path: Path) -> None:
    pictures = [noisy(head(), 6, seed=1), head(), noisy(head(), 6, seed=2), head(mouth="open"), head(scene=2)]
    machine = dedupe(pictures).rows
    assert [row.duplicate_of for row in machine] == ["f-001", None, "f-001", None, None]
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.add_frames("keep", ["f-000", "f-003"], words="no")
    log.add_frames("duplicate", ["f-001", "f-002", "f-999"], words="yes")
    log.add_frames("duplicate", ["f-004"], words="yes", duplicate_of="f-003")
    output = dedupe(pictures, decisions=log.path)
    rows = output.rows
    assert [row.dropped for row in rows] == [None, "duplicate", "duplicate", None, "duplicate"]
    # the still that stood for the group is dropped, the others stay what they were: they show the same picture
    assert [row.duplicate_of for row in rows] == [None, None, "f-001", None, "f-003"]
    assert rows[0].why.startswith("you said: no duplicate (decision 1 of ")
    assert rows[0].why.endswith(f"; the program: {machine[0].why}")
    assert rows[0].ssim == machine[0].ssim
    assert rows[1].why.startswith("you said: a duplicate (decision 2 of ")
    assert rows[2].why.endswith(f"; the program: {machine[2].why}")
    assert rows[2].hamming == machine[2].hamming
    assert rows[4].why.startswith("you said: a duplicate of f-003 (decision 3 of ")
    assert rows[4].ssim is None
    notes = output.notes
    assert notes.kept == 2
    assert notes.duplicates == 3
    assert notes.decisions == 3
    assert (notes.taken_out, notes.kept_by_hand) == (2, 1)
    assert notes.remarks == (
        "1 stills that were decided about are not in this run (other settings); those decisions are without effect on them",
    )


def test_a_damaged_still_cannot_be_kept(
    dedupe: Dedupe, make_context: Callable[..., Context], run_stage: Callable[..., Output], tmp_path: Path
) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.add_frames("keep", ["f-000"], words="")
    dedupe([head()])
    stills = tmp_path / "given" / "1_extract"
    frames = Output(stills, ExtractStage)
    small_file(stills, frames.rows[0]).write_bytes(b"torn")
    output = run_stage(DedupeStage(DedupeSettings(), log.path), {ExtractStage: frames}, make_context())
    assert [row.dropped for row in output.rows] == ["unreadable"]
    assert output.notes.remarks[0].startswith("f-000 cannot be kept, as decision 1 of ")


def test_the_key_knows_decisions_about_stills_only(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")

    def fingerprint() -> dict[str, str]:
        return dict(DedupeStage(DedupeSettings(), log.path).fingerprint(FakeModels()))

    assert fingerprint() == {}
    log.add("assign", ["f-000-00"], scope="faces", character="hana", words="")
    assert fingerprint() == {}
    log.add_frames("keep", ["f-000"], words="")
    first = fingerprint()
    assert set(first) == {"decisions"}
    log.add("assign", ["f-000-00"], scope="faces", character="rem", words="")
    assert fingerprint() == first
    log.add_frames("duplicate", ["f-000"], words="")
    assert fingerprint() != first
