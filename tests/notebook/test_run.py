"""A film opened from a notebook: what runs, what is reused, what tables show, and what is said when something is wrong."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import animeset_lib
from animeset_lib import Run, open_run
from animeset_lib.cast.cast import CastStage
from animeset_lib.errors import AnimesetError, InputError, SettingsError
from animeset_lib.media import write_image
from animeset_lib.notebook import AddTags, Readme, cast_board, demo_film, project_folder, review
from animeset_lib.notebook.run import spread
from animeset_lib.pipeline.stages import PIPELINE
from animeset_lib.run.decisions import DecisionLog
from animeset_lib.run.events import read_events


def _last_run(run: Run) -> dict[str, bool]:
    """Stage → whether it was reused, of the film's last run."""
    events = read_events(run.folders.logs / f"{run.folder.name}.events.jsonl")
    return {event["stage"]: event["reused"] for event in events if event["kind"] == "stage_finished"}


def test_the_public_names_are_imported_when_they_are_used() -> None:
    here = "print('animeset_lib.notebook' in sys.modules)"
    code = f"import sys, animeset_lib; {here}; animeset_lib.open_run; {here}"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == [
        "False",
        "True",
    ]
    with pytest.raises(AttributeError, match="open_film"):
        animeset_lib.open_film  # noqa: B018


def test_opening_reads_the_film_and_runs_nothing(project: Path, tmp_path: Path) -> None:
    fresh = open_run(project / "input" / "demo-short.mp4", root=tmp_path)
    assert (fresh.film.width, fresh.film.height) == (640, 360)
    assert "nothing run yet" in repr(fresh)
    assert not (tmp_path / "work").exists()
    assert fresh.folder == tmp_path / "work" / f"demo-short-{fresh.film.id}"


def test_a_finished_run_is_found_again(run: Run, project: Path) -> None:
    again = open_run("input/demo-short.mp4", root=project)
    assert [output.stage for output in again.outputs] == list(PIPELINE.values())
    before = (run.folders.logs / f"{run.folder.name}.events.jsonl").stat().st_mtime_ns
    assert again.upto("5_crop") is again
    assert (run.folders.logs / f"{run.folder.name}.events.jsonl").stat().st_mtime_ns == before, "nothing had to run"


def test_a_change_repeats_only_what_it_touches(run: Run) -> None:
    other = run.change("caption.core_traits=drop").upto("caption")
    reused = _last_run(other)
    assert [stage for stage, old in reused.items() if not old] == ["6c_caption"]
    assert other.stage("crop").output.path == run.stage("crop").output.path
    assert other.stage("caption").output.path != run.stage("caption").output.path
    assert run.settings.caption.core_traits == "keep", "the first run stays as it is"
    assert run.change("upscale.training_px=768").settings.training_size.training_px == 768
    assert run.change("dedupe.ssim_min=0.8").change("quality.dark_luma=1").settings.dedupe.ssim_min == 0.8


def test_every_stage_has_a_table_with_pictures(run: Run) -> None:
    assert run.stage("regularisation").table().said == "6d_regularisation: no rows", "it was not asked for"
    for section in PIPELINE.keys() - {"regularisation"}:
        view = run.stage(section)
        table = view.table(limit=5)
        assert isinstance(table, pd.DataFrame)
        assert list(table.index) == [row.id for row in spread(view.rows, 5)]
        page = table._repr_html_()
        assert page.count("data:image/jpeg") == len(table), section
        assert f"{view.name}: 5 of {len(view.rows)} rows" in page
        assert len(view.table(pictures=False, limit=None)) == len(view.rows)
        assert "data:image" not in view.table(pictures=False)._repr_html_()
        assert len(str(table)) < 4000, "plain text holds no pictures"
    assert repr(run.stage("crop")).startswith(f"<5_crop: {len(run.stage('crop').kept)} of ")


def test_a_table_is_a_frame_like_any_other(run: Run) -> None:
    table = run.stage("quality").table(limit=None)
    dark = table[table["dropped as"] == "Too dark"]
    assert len(dark) == sum(row.dropped == "too_dark" for row in run.stage("quality").rows) > 0
    assert dark._repr_html_().count("<img") == len(dark), "a part of it still shows its pictures"
    assert table["score"].mean() == pytest.approx(
        sum(r.score for r in run.stage("quality").rows) / len(table), abs=1e-4
    )
    for which, rows in (("kept", run.stage("quality").kept), ("dropped", run.stage("quality").dropped)):
        assert len(run.stage("quality").table(which=which, limit=None)) == len(rows)  # type: ignore[arg-type]


def test_texts_in_tables_are_no_markup(run: Run) -> None:
    table = run.stage("caption").table(limit=1)
    table["caption"] = "<script>alert(1)</script>"
    assert "<script>" not in table._repr_html_()


def test_dropped_rows_are_counted_by_reason_with_an_example(run: Run) -> None:
    table = run.stage("quality").dropped_table()
    counts = Counter(row.dropped for row in run.stage("quality").dropped)
    assert dict(table["rows"]) == dict(counts)
    assert "at least" in table.loc["too_dark", "why, of the example"]
    assert run.stage("tag").dropped_table().empty
    assert "0 dropped" in run.stage("tag").dropped_table()._repr_html_()


def test_why_answers_for_a_row_and_for_all_stages(run: Run, many: Run) -> None:
    gone = many.stage("dedupe").dropped[0]
    answer = many.stage("dedupe").why(gone.id)
    assert list(answer["state"]) == ["dropped"]
    assert gone.duplicate_of in answer["why"].iloc[0]
    dark = next(row for row in run.stage("quality").dropped if row.dropped == "too_dark")
    path = run.why(dark.id)
    assert list(path["stage"]) == ["3a_detect", "3b_embed", "3c_cluster", "3d_cast", "4a_quality"]
    assert list(path["state"]) == ["kept"] * 4 + ["dropped"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda run: run.stage("crops"), SettingsError, "unknown stage 'crops'; expected one of extract, dedupe"),
        (lambda run: run.upto("crops"), SettingsError, "expected one of"),
        (lambda run: run.change("dedupe.ssim_min=0.71").stage("crop"), InputError, 'Run it: run.upto("crop")'),
        (lambda run: run.change("dedupe.ssim=1"), SettingsError, "did you mean 'ssim_min'"),
        (lambda run: run.change("dedupe.ssim_min=2"), SettingsError, "at most 1"),
        (lambda run: run.stage("crop").why("nobody"), InputError, "expected a part of one of its"),
        (lambda run: run.why("nobody"), InputError, "no finished stage knows"),
        (lambda run: run.stage("crop").table(which="some"), InputError, "expected all, kept or dropped"),
        (lambda run: run.stage("crop").table(limit=0), InputError, "at least 1"),
        (lambda run: cast_board(run.change("dedupe.ssim_min=0.71")), InputError, 'run.upto("cast")'),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    run: Run, call: Callable[[Run], object], error: type[AnimesetError], words: str
) -> None:
    with pytest.raises(error) as caught:
        call(run)
    assert words in str(caught.value)


def test_a_film_that_is_not_there_is_not_taken_for_the_demo(project: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"input/film.mkv: no such file.*there is demo-short.mp4"):
        open_run("input/film.mkv", root=project)
    with pytest.raises(InputError, match="is nothing yet"):
        open_run("input/film.mkv", root=tmp_path)


def test_a_missing_package_is_named_with_its_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(AnimesetError, match=r"pandas is not installed.*\[notebooks\]"):
        run.stage("crop").table()


def test_the_project_is_found_from_the_notebooks_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "notebooks").mkdir(exist_ok=True)
    monkeypatch.chdir(project / "notebooks")
    assert project_folder() == project
    assert open_run("input/demo-short.mp4").root == project
    assert open_run("../input/demo-short.mp4").film.id == open_run("input/demo-short.mp4").film.id


def test_a_plain_folder_is_a_project_too(tmp_path: Path) -> None:
    assert project_folder(tmp_path) == tmp_path


def test_the_demo_film_is_drawn_once(project: Path) -> None:
    film = project / "input" / "demo-short.mp4"
    before = film.stat().st_mtime_ns
    assert demo_film(project) == film
    assert film.stat().st_mtime_ns == before
    assert sorted(path.name for path in film.parent.iterdir()) == ["demo-short.mp4", "demo-short.truth.json"]


def test_decisions_count_when_it_runs_again(finished_demo: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(finished_demo, tmp_path / "project"))
    film = open_run(root / "input" / "demo-short.mp4", root=root).upto("cast")
    before = film.stage("cast").output.path
    faces = [row.id for row in film.stage("cast").rows if row.character == "character_01"]
    film.decisions.parent.mkdir(exist_ok=True)
    DecisionLog(film.decisions).add("assign", faces, scope="group", character="hana", words="character_01 → hana")
    assert CastStage not in film.outputs, "the sorting on the disk does not know the decision"
    film.upto("cast")
    assert film.stage("cast").output.path != before
    assert {row.character for row in film.stage("cast").rows if row.id in faces} == {"hana"}


def test_finishing_publishes_and_keeps_the_stages(run: Run) -> None:
    result = run.finish()
    assert result.published is not None
    assert result.published.zip.is_file()
    assert result.characters == dict(Counter(row.character for row in run.stage("dataset").rows if row.rank))
    assert [output.stage for output in run.outputs] == list(PIPELINE.values())
    assert run.finish().up_to_date


def test_the_board_is_the_dashboards_own(run: Run) -> None:
    import asyncio

    async def opened() -> object:
        return cast_board(run)

    board = asyncio.run(opened())
    assert type(board).__name__ == "UploadSection"
    state = board.state  # type: ignore[attr-defined]
    assert state["available"]
    names = {group["key"] for group in state["board"]["groups"] if group["kind"] == "character"}
    assert names == {character["name"] for character in run.stage("cast").notes["characters"]}
    assert json.dumps(state)


def test_the_board_shows_its_run_and_not_the_last_trial(run: Run) -> None:
    import asyncio

    trial = run.change("cluster.same_distance=0.1", "cluster.min_regions=2").upto("cast")
    assert trial.stage("cast").notes["characters"] != run.stage("cast").notes["characters"]

    async def opened(one: Run) -> Any:
        return cast_board(one)

    for one in (run, trial):
        groups = asyncio.run(opened(one)).state["board"]["groups"]
        names = {group["key"] for group in groups if group["kind"] == "character"}
        assert names == {character["name"] for character in one.stage("cast").notes["characters"]}


def test_fiftyone_is_not_needed(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fiftyone" else found(name))
    assert review(run, "faces") is None
    said = capsys.readouterr().out
    assert "pip install" in said
    assert said.count("\n") == 1


def test_the_lens_is_opened_where_fiftyone_is(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a stand-in: what the lens really does is tested beside it."""
    import importlib
    import importlib.util
    from types import SimpleNamespace

    given: list[Any] = []

    class Lens:
        def __init__(self, film_work: Path, pack: Path, decisions: Path, published: Path | None) -> None:
            given.extend([film_work, pack, decisions, published])

        def open(self, kind: str) -> str:
            return f"data set of {kind}"

        def launch(self, dataset: str) -> Any:
            given.append(dataset)
            return SimpleNamespace(url="http://127.0.0.1:5151/")

    published = run.finish().published
    assert published is not None
    real = importlib.import_module
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name: SimpleNamespace(Lens=Lens) if name.endswith(".fiftyone_lens") else real(name),
    )
    assert isinstance(review(run, "faces"), Lens)
    pack = run.folders.output / f"{run.folder.name}.cast"
    assert given == [run.folder, pack, run.decisions, published.folder, "data set of faces"]
    assert pack.is_dir()
    assert "http://127.0.0.1:5151/" in capsys.readouterr().out


def test_a_readme_carries_its_pictures_along(tmp_path: Path) -> None:
    write_image(tmp_path / "contact sheet.png", np.zeros((40, 2000, 3), np.uint8))
    (tmp_path / "README.md").write_text("# hana\n\n![Sheet](contact%20sheet.png)\n\n[more](b.md)\n", encoding="utf-8")
    shown = Readme(tmp_path / "README.md")._repr_markdown_()
    found = re.fullmatch(r"# hana\n\n!\[Sheet\]\(data:image/jpeg;base64,(\S+)\)\n\n\[more\]\(b.md\)\n", shown)
    assert found is not None
    assert Image.open(io.BytesIO(base64.b64decode(found[1]))).size == (1600, 32)


def test_from_captions_by_hand_to_a_trainer(finished_demo: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(finished_demo, tmp_path / "project"))
    own = open_run(root / "input" / "demo-short.mp4", root=root)
    with pytest.raises(InputError, match=r"run\.finish"):
        _ = own.published
    own.finish()
    changes = own.captions.plan(AddTags("official_art", place="end"))
    own.captions.apply(changes, "official art")
    folders = own.export("kohya", "huggingface", by="outfit")
    assert [folder.name for folder in folders] == ["kohya", "huggingface"]
    texts = [path.read_text(encoding="utf-8") for path in folders[0].glob("*/img/*/*.txt")]
    assert len(texts) == len(changes)
    assert all("official_art" in text for text in texts)
    found = own.lint()
    assert set(found["level"]) <= {"warning"}
    assert " 0 errors" in found.said
    # a later run keeps what was edited
    who = own.stage("crop").kept[0].character
    again = own.tell_traits(who, policy="drop_all", keep=["solo"]).change(
        "dataset.max_pictures=6", "dataset.min_pictures=2"
    )
    assert not any(
        tag.endswith("_hair")
        for row in again.upto("caption").stage("caption").kept
        for tag in row.caption.split(", ")
        if row.caption.startswith(who)
    )
    again.finish()
    pictures = own.captions.pictures()
    assert sum("official_art" in picture.caption for picture in pictures) > len(pictures) / 2
    assert all(picture.edited == ("official_art" in picture.caption) for picture in pictures)
    captions = own.tell_traits(who).stage("caption")
    assert any("_hair" in row.caption for row in captions.kept if row.caption.startswith(who)), "as the settings say"
