"""Weight files: against a server on this machine that answers like the hub and like a release host, and fails on request."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

from animeset_lib.errors import ModelError, SpaceError
from animeset_lib.models import download as module
from animeset_lib.models import weights as folder_module
from animeset_lib.models.bundle import export_bundle, import_bundle
from animeset_lib.models.spec import HubFile, ReleaseFile
from animeset_lib.models.weights import OfflineError, Weights, models_folder

pytest.importorskip("huggingface_hub")
pytest.importorskip("requests")

COMMIT, LATER = "a" * 40, "b" * 40
BIG = bytes(range(256)) * 4000  # 1 MB: sixteen chunks
SMALL = b"name,score\nblue_eyes,1\n"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Asked(NamedTuple):
    method: str
    path: str
    range: str | None


class Server(ThreadingHTTPServer):
    """`hub` and `release` map paths to contents. The switches hold until they are changed, `cuts` and `statuses` for one answer each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub: dict[str, bytes] = {"org/faces/model.onnx": BIG, "org/faces/tags.csv": SMALL}
        self.release: dict[str, bytes] = {"weights.pth": BIG}
        self.head = COMMIT
        self.asked: list[Asked] = []
        self.statuses: list[int] = []
        self.cuts: list[int] = []
        self.ranges = True
        self.pause_s = 0.0
        self.stated_etag: str | None = None
        self.names_commit = True
        self.cdn = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ranges_asked(self) -> list[str | None]:
        return [asked.range for asked in self.asked if asked.method == "GET"]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(Asked(self.command, self.path, wanted))
        content, headers = self.find()
        status = server.statuses.pop(0) if server.statuses else 200 if content is not None else 404
        if status != 200 or content is None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if server.cdn and self.path.startswith("/org/"):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{server.server_address[1]}/cdn{self.path}")
            for name, value in {**headers, "X-Linked-Size": str(len(content)), "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not with_body:
            return
        cut = server.cuts.pop(0) if server.cuts else None
        for at in range(start, len(content) if cut is None else start + cut, 1 << 16):
            end = at + (1 << 16) if cut is None else min(at + (1 << 16), start + cut)
            self.wfile.write(content[at:end])
            time.sleep(server.pause_s)
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on the terminal."""

    def find(self) -> tuple[bytes | None, dict[str, str]]:
        if self.path.startswith("/release/"):
            content = self.server.release.get(self.path.removeprefix("/release/"))
            return content, {"ETag": f'"{sha(content)[:16]}"'} if content is not None else {}
        repo, _, rest = unquote(self.path.removeprefix("/cdn")).lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        content = self.server.hub.get(f"{repo}/{name}")
        if content is None or revision not in ("main", COMMIT, LATER):
            return None, {}
        headers = {"X-Repo-Commit": self.server.head if revision == "main" else revision}
        if not self.server.names_commit:
            headers = {}
        # files in git itself have a SHA-1 for their ETag, large ones the SHA-256 of their content
        large = self.server.stated_etag or sha(content)
        headers |= (
            {"X-Linked-Etag": f'"{large}"', "ETag": '"cdn"'} if len(content) > 1000 else {"ETag": f'"{"c" * 40}"'}
        )
        return content, headers


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    import huggingface_hub.constants

    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    for name in (
        "HF_HUB_OFFLINE",
        "ANIMESET_OFFLINE",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
        "HF_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    # it would ask the real hub who calls; the environment is for processes that the tests start
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(module, "_WAITS_S", (0.01, 0.02))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    return Weights(tmp_path / "Modelle für Anime")


def quiet(name: str, done: int, total: int | None) -> None:
    pass


def hub_file(**changes: Any) -> HubFile:
    return HubFile(**{"repo": "org/faces", "path": "model.onnx", "revision": COMMIT, **changes})


def release_file(server: Server, **changes: Any) -> ReleaseFile:
    return ReleaseFile(**{"url": f"{server.url}/release/weights.pth", **changes})


def record(weights: Weights, model: str = "faces") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((weights.folder / model / "record.json").read_text(encoding="utf-8"))
    return content


def everything(weights: Weights) -> list[str]:
    """All files of the models folder but the locks."""
    found = (path for path in weights.folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(path.relative_to(weights.folder).as_posix() for path in found)


def test_where_models_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANIMESET_MODELS", str(tmp_path / "ä b"))
    assert models_folder() == tmp_path / "ä b"
    assert Weights().folder == tmp_path / "ä b"
    assert not (tmp_path / "ä b").exists(), "asking makes nothing"
    pytest.importorskip("pooch")
    monkeypatch.delenv("ANIMESET_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models_folder().name == "models"
    assert "animeset" in models_folder().parts


def test_hub_file_arrives_checked_and_recorded(server: Server, weights: Weights) -> None:
    told: list[tuple[str, int, int | None]] = []
    file = hub_file(size=len(BIG), sha256=sha(BIG))
    (path,) = weights.fetch("faces", [file], lambda *step: told.append(step))
    assert path == weights.path("faces", file) == weights.folder / "faces" / "model.onnx"
    assert path.read_bytes() == BIG
    assert told[-1] == ("model.onnx", len(BIG), len(BIG))
    entry = record(weights)["model.onnx"]
    assert (entry["sha256"], entry["bytes"], entry["revision"], entry["trust"]) == (
        sha(BIG),
        len(BIG),
        COMMIT,
        "pinned",
    )
    assert entry["source"] == f"https://huggingface.co/org/faces/blob/{COMMIT}/model.onnx"
    assert everything(weights) == ["faces/model.onnx", "faces/record.json"]
    assert not (weights.folder / ".incoming" / "faces").exists()
    assert all(COMMIT in asked.path for asked in server.asked)
    before = len(server.asked)
    weights.fetch("faces", [file], quiet)
    assert len(server.asked) == before, "what is there is not asked for again"


def test_progress_is_told_at_most_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    told: list[int] = []
    paced = module.Paced(lambda name, done, total: told.append(done), "x", 200)
    for done in range(1, 201):
        now = done / 100  # two seconds in steps of ten milliseconds
        paced(done)
    assert 18 <= len(told) <= 22
    assert told[-1] == 200


def test_a_branch_is_pinned_to_the_commit_that_came_first(server: Server, weights: Weights) -> None:
    model, tags = hub_file(revision="main"), hub_file(revision="main", path="tags.csv")
    weights.fetch("faces", [model], quiet)
    assert record(weights)["model.onnx"]["revision"] == COMMIT
    server.head = LATER
    weights.fetch("faces", [model, tags], quiet, again=True)
    # the second file comes from the commit of the first, and so does the first itself
    assert {entry["revision"] for entry in record(weights).values()} == {COMMIT}
    assert server.asked[0].path == "/org/faces/resolve/main/model.onnx"
    assert all(f"/resolve/{COMMIT}/" in asked.path for asked in server.asked[1:])


def test_a_push_between_two_files_does_not_mix_them(server: Server, weights: Weights) -> None:
    def push(name: str, done: int, total: int | None) -> None:
        server.head = LATER

    weights.fetch("faces", [hub_file(revision="main"), hub_file(revision="main", path="tags.csv")], push)
    assert {entry["revision"] for entry in record(weights).values()} == {COMMIT}


def test_what_arrived_of_another_commit_is_not_gone_on_with(server: Server, weights: Weights) -> None:
    server.cuts, server.statuses = [300_000], [200, 200, 500, 500]
    with pytest.raises(OfflineError):
        weights.fetch("faces", [hub_file()], quiet)
    server.asked.clear()
    weights.fetch("faces", [hub_file(revision=LATER)], quiet)
    assert server.ranges_asked() == [None]


def test_a_line_that_breaks_often_but_moves_is_not_given_up(server: Server, weights: Weights) -> None:
    server.cuts = [100_000] * 8
    (path,) = weights.fetch("faces", [hub_file()], quiet)
    assert path.read_bytes() == BIG
    assert len(server.ranges_asked()) == 9


def test_the_hub_states_the_hash_of_a_large_file(server: Server, weights: Weights) -> None:
    server.stated_etag = "d" * 64
    with pytest.raises(ModelError, match=f"expected SHA-256 {'d' * 64} \\(stated by the hub\\), got {sha(BIG)}"):
        weights.fetch("faces", [hub_file()], quiet)
    assert everything(weights) == []


def test_names_in_the_folder(server: Server, weights: Weights) -> None:
    server.hub["org/faces/deep/der er/größe.onnx"] = BIG
    (path,) = weights.fetch("faces", [hub_file(path="deep/der er/größe.onnx", as_name="a b.onnx")], quiet)
    assert path.name == "a b.onnx"
    assert path.read_bytes() == BIG
    for name in ("..", ".hidden", "a\\b", "record.json", "c:x"):
        with pytest.raises(ModelError, match="one path component"):
            weights.path("faces", hub_file(as_name=name))
    with pytest.raises(ModelError, match="one path component"):
        weights.fetch("../faces", [hub_file()], quiet)


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_cut_connection_is_taken_up_where_it_broke(server: Server, weights: Weights, kind: str) -> None:
    file = hub_file() if kind == "hub" else release_file(server)
    server.cuts = [200_000]
    (path,) = weights.fetch("faces", [file], quiet)
    assert path.read_bytes() == BIG
    first, second = server.ranges_asked()
    assert first is None
    assert second is not None
    assert 100_000 < int(second.removeprefix("bytes=").removesuffix("-")) <= 200_000


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_next_fetch_goes_on_where_the_last_stopped(server: Server, weights: Weights, kind: str) -> None:
    file = hub_file() if kind == "hub" else release_file(server)
    server.cuts = [300_000]
    # the question before a hub file, the answer that is cut, and two more tries
    server.statuses = [200, 200, 500, 500][kind == "release" :]
    with pytest.raises(OfflineError, match="HTTP 500"):
        weights.fetch("faces", [file], quiet)
    assert everything(weights) == [f".incoming/faces/{file.name}.from", f".incoming/faces/{file.name}.part"]
    kept = (weights.folder / ".incoming" / "faces" / f"{file.name}.part").stat().st_size
    assert 200_000 < kept <= 300_000
    server.asked.clear()
    told: list[int] = []
    (path,) = weights.fetch("faces", [file], lambda name, done, total: told.append(done))
    assert server.ranges_asked() == [f"bytes={kept}-"]
    assert told[0] > kept
    assert path.read_bytes() == BIG
    assert everything(weights) == sorted([f"faces/{file.name}", "faces/record.json"])


def test_server_without_ranges_is_asked_for_the_whole(server: Server, weights: Weights) -> None:
    server.cuts, server.ranges = [200_000], False
    (path,) = weights.fetch("faces", [release_file(server, sha256=sha(BIG))], quiet)
    assert path.read_bytes() == BIG
    assert len(server.ranges_asked()) == 2


def test_server_that_always_cuts_is_given_up(server: Server, weights: Weights) -> None:
    server.cuts, server.ranges = [200_000] * 50, False
    with pytest.raises(OfflineError, match="connection"):
        weights.fetch("faces", [release_file(server)], quiet)
    assert len(server.asked) <= 6


def test_what_arrived_of_another_version_is_not_mixed_in(server: Server, weights: Weights) -> None:
    server.cuts, server.statuses = [300_000], [200, 500, 500]
    with pytest.raises(OfflineError):
        weights.fetch("faces", [release_file(server)], quiet)
    newer = server.release["weights.pth"] = BIG[::-1]
    server.asked.clear()
    (path,) = weights.fetch("faces", [release_file(server)], quiet)
    assert path.read_bytes() == newer
    assert [asked is None for asked in server.ranges_asked()] == [False, True]


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_wrong_content_is_removed_and_refused(server: Server, weights: Weights, kind: str) -> None:
    file = (hub_file if kind == "hub" else lambda **c: release_file(server, **c))(sha256=sha(BIG))
    server.hub["org/faces/model.onnx"] = server.release["weights.pth"] = BIG[::-1]
    with pytest.raises(ModelError) as caught:
        weights.fetch("faces", [file], quiet)
    for part in (file.name, sha(BIG), sha(BIG[::-1]), "animeset models fetch faces --again"):
        assert part in str(caught.value)
    assert not isinstance(caught.value, OfflineError)
    assert everything(weights) == []
    server.hub["org/faces/model.onnx"] = server.release["weights.pth"] = BIG
    assert weights.fetch("faces", [file], quiet)[0].read_bytes() == BIG


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_wrong_size_is_refused_before_the_bytes_come(server: Server, weights: Weights, kind: str) -> None:
    file = hub_file(size=77) if kind == "hub" else release_file(server, size=77)
    with pytest.raises(ModelError, match=f"expected 77 bytes, got {len(BIG)}"):
        weights.fetch("faces", [file], quiet)
    assert everything(weights) == []


@pytest.mark.parametrize("kind", ["hub", "release"])
@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "HTTP 404: there is none"), (401, "hf auth login"), (403, "hf auth login"), (410, "HTTP 410")],
)
def test_refusals_say_what_to_do(server: Server, weights: Weights, kind: str, status: int, words: str) -> None:
    server.statuses = [status] * 9
    with pytest.raises(ModelError, match=words) as caught:
        weights.fetch("faces", [hub_file() if kind == "hub" else release_file(server)], quiet)
    assert not isinstance(caught.value, OfflineError)
    assert len(server.asked) == 1, "a refusal is not asked for twice"


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_server_trouble_is_tried_again_a_few_times(server: Server, weights: Weights, kind: str) -> None:
    file = hub_file() if kind == "hub" else release_file(server)
    server.statuses = [503, 429]
    assert weights.fetch("faces", [file], quiet)[0].read_bytes() == BIG
    server.statuses, count = [503] * 99, len(server.asked)
    with pytest.raises(OfflineError, match="HTTP 503"):
        weights.fetch("faces", [file], quiet, again=True)
    assert len(server.asked) - count == 3
    assert weights.path("faces", file).read_bytes() == BIG, "the file in place stays"


@pytest.mark.parametrize("name", ["ANIMESET_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_by_environment(server: Server, weights: Weights, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    weights.fetch("other", [hub_file()], quiet)
    monkeypatch.setenv(name, "1")
    count = len(server.asked)
    with pytest.raises(OfflineError) as caught:
        weights.fetch("faces", [hub_file()], quiet)
    place = weights.folder / "faces" / "model.onnx"
    for part in (name, "127.0.0.1", "animeset models export-bundle", "animeset models import-bundle", str(place)):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    weights.fetch("other", [hub_file()], quiet)  # what is there needs no network
    assert len(server.asked) == count


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_refused_port(server: Server, weights: Weights, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
    file = hub_file() if kind == "hub" else ReleaseFile(f"http://{host}/weights.pth")
    with pytest.raises(OfflineError, match=f"could not be fetched from {host}: the connection was refused; run"):
        weights.fetch("faces", [file], quiet)


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_silent_server_does_not_hold_up_for_long(
    server: Server, weights: Weights, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for name, seconds in (("_CONNECT_S", 0.2), ("_SILENCE_S", 0.2), ("_PATIENCE_S", 1.0)):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(module.Line, "silence_s", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", address)
        began = time.monotonic()
        with pytest.raises(OfflineError, match="does not answer in time"):
            weights.fetch("faces", [hub_file() if kind == "hub" else ReleaseFile(f"{address}/weights.pth")], quiet)
        assert time.monotonic() - began < 3


def test_something_that_is_no_hub(server: Server, weights: Weights) -> None:
    server.names_commit = False
    with pytest.raises(ModelError, match="names no commit; check HF_ENDPOINT"):
        weights.fetch("faces", [hub_file()], quiet)


def test_token_goes_to_the_hub_only(server: Server, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    seen: list[tuple[str, str | None]] = []
    monkeypatch.setattr(
        Handler, "log_request", lambda self, *_: seen.append((self.path, self.headers.get("Authorization")))
    )
    server.cdn, server.cuts = True, [200_000]
    hub, release = weights.fetch("faces", [hub_file(size=len(BIG)), release_file(server)], quiet)
    assert hub.read_bytes() == release.read_bytes() == BIG
    assert {header for path, header in seen if path.startswith("/org/")} == {"Bearer hf_secret"}
    assert [header for path, header in seen if path.startswith("/cdn/")] == [None, None], "cut once, so asked twice"
    assert [header for path, header in seen if path.startswith("/release/")] == [None]


def test_a_full_disk_is_noticed_before_the_first_byte(
    server: Server, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = module.shutil.disk_usage("/")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage._replace(free=len(BIG) - 1))
    with pytest.raises(SpaceError, match="free disk space"):
        weights.fetch("faces", [release_file(server)], quiet)
    assert everything(weights) == []


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file")
    with pytest.raises(ModelError, match=r"place that animeset may write to.*ANIMESET_MODELS"):
        Weights(tmp_path / "in the way" / "models").fetch("faces", [hub_file()], quiet)


def test_a_read_only_folder(server: Server, weights: Weights) -> None:
    (path,) = weights.fetch("faces", [hub_file()], quiet)
    (weights.folder / "faces" / "record.json").unlink()
    folders = [weights.folder, path.parent, weights.folder / ".incoming"]
    for folder in folders:
        folder.chmod(0o500)
    try:
        if os.access(weights.folder, os.W_OK):
            pytest.skip("this user may write anywhere")
        assert weights.digest("faces", hub_file()) == sha(BIG), "it can be used all the same"
        with pytest.raises(ModelError, match="ermission"):
            weights.fetch("other", [hub_file()], quiet)
    finally:
        for folder in folders:
            folder.chmod(0o700)


def test_an_answer_is_given_where_the_record_cannot_be_written(
    weights: Weights, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place_by_hand(weights, BIG)

    def read_only(self: Weights, model: str, entries: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Weights, "_note", read_only)
    with caplog.at_level(logging.WARNING, "animeset"):
        assert weights.digest("faces", hub_file()) == sha(BIG)
    assert "could not be recorded (Permission denied)" in caplog.text


def place_by_hand(weights: Weights, content: bytes) -> Path:
    path = weights.folder / "faces" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_an_absent_file_is_named_with_the_command(weights: Weights) -> None:
    with pytest.raises(
        ModelError, match=r"model.onnx of faces is not downloaded; get it with `animeset models fetch faces`"
    ):
        weights.path("faces", hub_file())
    state = weights.state("faces", hub_file())
    assert (state.present, state.entry) == (False, None)
    assert "not downloaded" in state.why_not
    assert weights.verify("faces", [hub_file()]) == [state.why_not]
    assert not weights.folder.exists(), "looking makes nothing"


def test_file_placed_by_hand_is_trusted_on_first_use_and_held_to_it(server: Server, weights: Weights) -> None:
    path = place_by_hand(weights, BIG)
    before = weights.state("faces", hub_file())
    assert before.entry is not None
    assert (before.entry.sha256, before.entry.trust, before.why_not) == (sha(BIG), "first use", "")
    assert everything(weights) == ["faces/model.onnx"], "state writes nothing"
    assert weights.digest("faces", hub_file()) == sha(BIG)
    assert record(weights)["model.onnx"]["trust"] == "first use"
    path.write_bytes(SMALL)
    with pytest.raises(ModelError) as caught:
        weights.digest("faces", hub_file())
    for part in (str(path), sha(BIG), sha(SMALL), "animeset models fetch faces --again"):
        assert part in str(caught.value)
    assert weights.state("faces", hub_file()).why_not == str(caught.value)
    assert weights.verify("faces", [hub_file()]) == [str(caught.value)]
    with pytest.raises(ModelError, match="--again"):
        weights.fetch("faces", [hub_file()], quiet)
    assert server.asked == []
    weights.fetch("faces", [hub_file()], quiet, again=True)
    assert weights.digest("faces", hub_file()) == sha(BIG)


def test_again_does_not_hold_a_download_to_what_a_person_had_placed(server: Server, weights: Weights) -> None:
    place_by_hand(weights, SMALL)
    weights.digest("faces", hub_file())
    weights.fetch("faces", [hub_file()], quiet, again=True)
    assert weights.digest("faces", hub_file()) == sha(BIG)
    assert record(weights)["model.onnx"]["revision"] == COMMIT


def test_again_holds_a_download_to_the_one_before(server: Server, weights: Weights) -> None:
    file = release_file(server)
    weights.fetch("faces", [file], quiet)
    server.release["weights.pth"] = BIG[::-1]
    with pytest.raises(ModelError, match=r"recorded .*remove .*record\.json if you know why it changed"):
        weights.fetch("faces", [file], quiet, again=True)
    assert weights.path("faces", file).read_bytes() == BIG


def test_file_placed_by_hand_must_have_the_pinned_hash(weights: Weights) -> None:
    pinned = hub_file(sha256=sha(BIG))
    place_by_hand(weights, BIG)
    assert weights.digest("faces", pinned) == sha(BIG)
    state = weights.state("faces", pinned)
    assert (state.entry and state.entry.trust, state.why_not) == ("pinned", "")
    place_by_hand(weights, SMALL)
    with pytest.raises(ModelError, match="in the table of models"):
        weights.digest("faces", pinned)
    assert "in the table of models" in weights.state("faces", pinned).why_not


def test_a_known_file_is_not_hashed_again(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place_by_hand(weights, BIG)
    weights.digest("faces", hub_file())
    hashed: list[Path] = []
    real = folder_module.sha256_of
    monkeypatch.setattr(folder_module, "sha256_of", lambda path: hashed.append(path) or real(path))
    weights.digest("faces", hub_file())
    weights.state("faces", hub_file())
    assert hashed == []
    os.utime(path, ns=(1, 1))
    assert weights.digest("faces", hub_file()) == sha(BIG)
    assert hashed == [path]
    weights.digest("faces", hub_file())
    assert hashed == [path], "the new time is recorded"
    assert weights.verify("faces", [hub_file()]) == []
    assert hashed == [path, path], "verify believes no record"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"model.onnx": {"sha256": "x"}}', '{"model.onnx": 3}', '{"model.onnx": null}', "\x00"]
)
def test_a_broken_record_counts_as_none(weights: Weights, caplog: pytest.LogCaptureFixture, text: str) -> None:
    place_by_hand(weights, BIG)
    (weights.folder / "faces" / "record.json").write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING, "animeset"):
        assert weights.digest("faces", hub_file()) == sha(BIG)
    assert "record.json cannot be read" in caplog.text
    assert record(weights)["model.onnx"]["sha256"] == sha(BIG)


FETCH = """
import sys
from pathlib import Path
from animeset_lib.models.spec import HubFile
from animeset_lib.models.weights import Weights
Weights(Path(sys.argv[1])).fetch("faces", [HubFile("org/faces", "model.onnx", "main")], lambda *step: print(*step, flush=True))
"""


def start_fetch(weights: Weights) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", FETCH, str(weights.folder)], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_in_the_middle(server: Server, weights: Weights) -> None:
    server.pause_s = 0.1
    process = start_fetch(weights)
    assert process.stdout is not None
    while int(process.stdout.readline().split()[1]) < 200_000:
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    assert everything(weights) == [".incoming/faces/model.onnx.from", ".incoming/faces/model.onnx.part"]
    assert not weights.state("faces", hub_file()).present
    server.pause_s = 0
    server.asked.clear()
    (path,) = weights.fetch("faces", [hub_file(revision="main")], quiet)
    assert path.read_bytes() == BIG
    (asked,) = server.ranges_asked()
    assert asked is not None
    assert int(asked.removeprefix("bytes=").removesuffix("-")) >= 200_000
    assert everything(weights) == ["faces/model.onnx", "faces/record.json"]


def test_two_processes_fetch_once(server: Server, weights: Weights) -> None:
    server.pause_s = 0.02
    processes = [start_fetch(weights), start_fetch(weights)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    assert len(server.ranges_asked()) == 1
    assert everything(weights) == ["faces/model.onnx", "faces/record.json"]
    assert weights.verify("faces", [hub_file()]) == []


@pytest.fixture
def bundle(server: Server, weights: Weights, tmp_path: Path) -> Path:
    weights.fetch("faces", [hub_file(sha256=sha(BIG)), hub_file(path="tags.csv", revision="main")], quiet)
    weights.fetch("upscaler", [release_file(server)], quiet)
    target = tmp_path / "für unterwegs" / "models.zip"
    told: list[tuple[str, int, int | None]] = []
    export_bundle(
        weights,
        {
            "faces": [hub_file(sha256=sha(BIG)), hub_file(path="tags.csv", revision="main")],
            "upscaler": [release_file(server)],
        },
        target,
        lambda *step: told.append(step),
    )
    assert ("tags.csv", len(SMALL), len(SMALL)) in told
    assert [path.name for path in target.parent.iterdir()] == ["models.zip"]
    return target


def test_bundle_there_and_back(
    bundle: Path, server: Server, weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(bundle) as opened:
        assert opened.namelist() == ["bundle.json", "faces/model.onnx", "faces/tags.csv", "upscaler/weights.pth"]
        assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}
    monkeypatch.setenv("ANIMESET_OFFLINE", "1")
    other = Weights(tmp_path / "andere Maschine")
    assert import_bundle(other, bundle, quiet) == ["faces", "upscaler"]
    files = [hub_file(sha256=sha(BIG)), hub_file(path="tags.csv", revision="main")]
    assert other.verify("faces", files) == []
    assert other.fetch("faces", files, quiet) == [other.path("faces", file) for file in files]
    for name, entry in record(weights).items():
        taken = record(other)[name]
        assert {key: taken[key] for key in ("sha256", "bytes", "source", "revision", "trust")} == {
            key: entry[key] for key in ("sha256", "bytes", "source", "revision", "trust")
        }
    assert everything(other) == everything(weights)


def test_a_bundle_is_not_written_from_wrong_or_absent_files(weights: Weights, tmp_path: Path) -> None:
    target = tmp_path / "models.zip"
    with pytest.raises(ModelError, match="not downloaded"):
        export_bundle(weights, {"faces": [hub_file()]}, target, quiet)
    place_by_hand(weights, SMALL)
    with pytest.raises(ModelError, match="expected SHA-256"):
        export_bundle(weights, {"faces": [hub_file(sha256=sha(BIG))]}, target, quiet)
    assert not list(tmp_path.glob("models.zip*"))


def rewritten(bundle: Path, changes: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> Path:
    """A copy of the bundle with members replaced, added, or (None) left out."""
    target = bundle.with_name("changed.zip")
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(target, "w", compression) as copy:
        content = {info.filename: source.read(info) for info in source.infolist()} | changes
        for name, value in content.items():
            if value is not None:
                copy.writestr(name, value)
    return target


def with_name(bundle: Path, model: str, name: str) -> dict[str, bytes | None]:
    """Changes that list and hold an otherwise right file under this name."""
    with zipfile.ZipFile(bundle) as opened:
        manifest = json.loads(opened.read("bundle.json"))
    facts = {"sha256": sha(SMALL), "bytes": len(SMALL), "source": "x", "revision": None, "trust": "first use"}
    manifest["models"].setdefault(model, {})[name] = facts
    return {"bundle.json": json.dumps(manifest).encode(), f"{model}/{name}": SMALL}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("faces", "../../evil"),
        ("..", "evil"),
        ("/tmp", "evil"),
        ("faces", "a\\b"),
        ("faces", "record.json"),
        (".incoming", "x"),
        ("C:", "x"),
        ("", "x"),
    ],
)
def test_a_bundle_cannot_reach_out_of_the_folder(bundle: Path, tmp_path: Path, model: str, name: str) -> None:
    other = Weights(tmp_path / "target" / "models")
    with pytest.raises(ModelError, match="could lead out of the models folder"):
        import_bundle(other, rewritten(bundle, with_name(bundle, model, name)), quiet)
    assert not (tmp_path / "target").exists()


def test_a_good_new_name_would_have_been_taken(bundle: Path, tmp_path: Path) -> None:
    other = Weights(tmp_path / "target")
    assert import_bundle(other, rewritten(bundle, with_name(bundle, "new", "größe 1.bin")), quiet)[-1] == "new"
    assert (other.folder / "new" / "größe 1.bin").read_bytes() == SMALL


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"../evil": SMALL}, "does not list"),
        ({"faces/tags.csv": None}, "with no bytes instead of"),
        ({"faces/tags.csv": SMALL[:-1]}, f"with {len(SMALL) - 1} bytes instead of {len(SMALL)}"),
        ({"bundle.json": None}, "without a bundle.json"),
        ({"bundle.json": b"{"}, "of another form"),
        ({"bundle.json": b"[]"}, "of another form"),
        ({"bundle.json": b'{"format": 2, "models": {}}'}, "format 2"),
        ({"bundle.json": b'{"format": 1, "models": {"faces": {"x": {"sha256": "0"}}}}'}, "of another form"),
    ],
)
def test_bundles_of_another_form(bundle: Path, tmp_path: Path, changes: dict[str, bytes | None], words: str) -> None:
    other = Weights(tmp_path / "target")
    with pytest.raises(ModelError, match=words):
        import_bundle(other, rewritten(bundle, changes), quiet)
    assert not other.folder.exists()


def test_compressed_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="compressed"):
        import_bundle(Weights(tmp_path / "target"), rewritten(bundle, {}, zipfile.ZIP_DEFLATED), quiet)


def test_damaged_member_changes_nothing_of_its_model(bundle: Path, tmp_path: Path) -> None:
    other = Weights(tmp_path / "target")
    place_by_hand(other, b"mine")
    other.digest("faces", hub_file())
    before = record(other)
    with pytest.raises(ModelError, match=r"faces/tags.csv is damaged: expected SHA-256"):
        import_bundle(other, rewritten(bundle, {"faces/tags.csv": SMALL[::-1]}), quiet)
    # the same with the bytes changed under a checksum that zip itself keeps
    raw = bytearray(bundle.read_bytes())
    raw[raw.index(SMALL)] ^= 1
    bundle.write_bytes(raw)
    with pytest.raises(ModelError, match=r"faces/tags.csv is damaged: expected SHA-256"):
        import_bundle(other, bundle, quiet)
    assert everything(other) == ["faces/model.onnx", "faces/record.json"]
    assert (other.folder / "faces" / "model.onnx").read_bytes() == b"mine"
    assert record(other) == before


def test_damage_in_a_later_model_keeps_the_earlier_ones(bundle: Path, tmp_path: Path) -> None:
    other = Weights(tmp_path / "target")
    with pytest.raises(ModelError, match=r"upscaler/weights.pth is damaged"):
        import_bundle(other, rewritten(bundle, {"upscaler/weights.pth": BIG[::-1]}), quiet)
    assert everything(other) == ["faces/model.onnx", "faces/record.json", "faces/tags.csv"]
    assert other.verify("faces", [hub_file(sha256=sha(BIG))]) == []


@pytest.mark.parametrize("keep", [0, 1000, 1_500_000])
def test_truncated_or_foreign_bundle(bundle: Path, tmp_path: Path, keep: int) -> None:
    bundle.write_bytes(bundle.read_bytes()[:keep])
    other = Weights(tmp_path / "target")
    with pytest.raises(ModelError, match="expected a bundle written by"):
        import_bundle(other, bundle, quiet)
    with pytest.raises(ModelError, match="expected a bundle written by"):
        import_bundle(other, tmp_path / "not there.zip", quiet)
    assert not other.folder.exists()
