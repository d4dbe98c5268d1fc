"""The server of the page: how it starts, who is let in, and which files of the project can be had from it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.dashboard.browser import ROOT, Server, make_project, served

SECRET = b"this must not leave the machine"
TO_BE_HAD = {
    "output/x.zip": b"a zip",
    "output/Ein Film (2) – ßäü 🎬.zip": b"another zip",
    "logs/process.log": b"a log",
    "logs/film-0123456789ab.log": b"a log of one run",
}
"""What the page offers, with what is in it."""
SECRETS = (
    "output/x/secret.txt",
    "output/x/secret.zip",
    "output/secret.txt",
    "output/.hidden.zip",
    "output/.hidden/secret.zip",
    "output/x.zip.tmp",
    "output/zip",
    "output/film.decisions.jsonl",
    "input/film.mkv",
    "input/film.zip",
    "input/film.log",
    "work/film/secret.log",
    "work/secret.zip",
    "logs/.hidden.log",
    "logs/film.events.jsonl",
    "logs/start-1.toml",
    "logs/deep/secret.log",
    "secret.zip",
    "secret.log",
    "references/hana/1.png",
    ".env",
    ".git/config",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = make_project(tmp_path_factory.mktemp("served") / "project")
    for name, content in [*TO_BE_HAD.items(), *((name, SECRET) for name in SECRETS)]:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(content)
    outside = project.parent / "outside.zip"
    outside.write_bytes(SECRET)
    (project / "output" / "link.zip").symlink_to(outside)
    (project / "output" / "folder.zip").mkdir()
    (project / "output" / "folder.zip" / "secret.zip").write_bytes(SECRET)
    with served(project) as running:
        yield running


Answer = tuple[int, bytes, str]


def ask(server: Server, path: str, *, token: str | None = None, method: str = "GET", **headers: str) -> Answer:
    """Status, body and where to go instead. `path` goes out as it is: nothing is made tidy on the way."""
    where = urlsplit(server.base)
    assert where.hostname == "127.0.0.1"
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        if token is not None:
            connection.putheader("Authorization", f"token {token}")
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read(), response.getheader("Location") or ""
    finally:
        connection.close()


# ----------------------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("name", TO_BE_HAD)
def test_zips_and_logs_can_be_had(name: str, server: Server) -> None:
    quoted = "/".join(quote(part, safe="") for part in name.split("/"))
    assert ask(server, f"/voila/files/{quoted}", token=server.token)[:2] == (200, TO_BE_HAD[name])


def _ways(name: str) -> list[str]:
    """`name` as an attacker may write it."""
    return [
        name,
        f"output/../{name}",
        f"logs/..%2f{name}",
        f"./{name}",
        name.replace("/", "%2f"),
        name.replace("/", "//"),
    ]


TRICKS = [
    *(way for name in SECRETS for way in _ways(name)),
    "",
    "output",
    "output/",
    "output/../dashboard.ipynb",
    "output/..%2fdashboard.ipynb",
    "output/%2e%2e/dashboard.ipynb",
    "logs/../voila.json",
    "logs/..%2fvoila.json",
    "voila.json",
    "dashboard.ipynb",
    "output/../../outside.zip",
    "output/..%2f..%2foutside.zip",
    "..%2foutside.zip",
    "../outside.zip",
    "output/..%5c..%5coutside.zip",
    "output/..%252f..%252foutside.zip",
    "output/link.zip",
    "output/folder.zip",
    "output/folder.zip/",
    "output/folder.zip/secret.zip",
    "output/secret.txt%00.zip",
    "output/secret.txt%0a.zip",
    "output/secret.txt;.zip",
    "output/secret.txt?x=.zip",
    "output/secret.txt#.zip",
    "output/secret.txt%23.zip",
    "output/secret.txt%3f.zip",
    "output/x.zip/../secret.txt",
    "output/x.zip/../../input/film.mkv",
    "output/x.zip%2f..%2fsecret.txt",
    "output/%2ehidden.zip",
    "output/x.zip%00",
    "output/x.zip%0a",
    "output/x.zip%20",
    "//etc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file:///etc/passwd",
    "output/x\\..\\secret.zip",
    "output/" + "a" * 5000 + ".zip",
]


def test_nothing_else_can_be_had(server: Server) -> None:
    had = []
    for trick in TRICKS:
        status, body, _ = ask(server, f"/voila/files/{trick}", token=server.token)
        if status == 200 or SECRET in body or b"root:" in body:
            had.append((trick, status))
    assert had == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_files_can_only_be_read(method: str, server: Server) -> None:
    before = (server.project / "output" / "x.zip").read_bytes()
    assert ask(server, "/voila/files/output/x.zip", token=server.token, method=method)[0] in (403, 405)
    assert (server.project / "output" / "x.zip").read_bytes() == before


# ------------------------------------------------------------------------------------------------------------- the door

DOORS = (
    "/voila/render/dashboard.ipynb",
    "/voila/files/output/x.zip",
    "/voila/files/logs/process.log",
    "/voila/api/contents",
    "/api/contents",
    "/api/contents/output",
    "/api/kernels",
    "/api/sessions",
    "/api/status",
    "/files/output/x.zip",
    "/files/logs/process.log",
    "/nbconvert/html/dashboard.ipynb",
)


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("token", [None, "", "wrong", "0" * 48])
def test_without_the_token_nobody_gets_in(path: str, token: str | None, server: Server) -> None:
    status, body, location = ask(server, path, token=token)
    assert status in (302, 403), f"{path} is open to everyone who reaches the port: {status}"
    assert status == 403 or location.startswith("/login")
    assert not any(content in body for content in TO_BE_HAD.values())


@pytest.mark.parametrize("path", DOORS)
def test_with_the_token_everything_is_there(path: str, server: Server) -> None:
    assert ask(server, path, token=server.token)[0] == 200


@pytest.mark.parametrize("path", ["/api/kernels", "/api/sessions", "/api/contents"])
def test_nothing_is_made_without_the_token(path: str, server: Server) -> None:
    assert ask(server, path, method="POST", **{"Content-Length": "0"})[0] == 403


@pytest.mark.parametrize("path", ["/voila/render/dashboard.ipynb", "/api/contents", "/voila/files/output/x.zip"])
def test_another_sites_name_for_this_machine_is_refused(path: str, server: Server) -> None:
    """DNS rebinding: a page elsewhere makes its own name point here, so that the browser takes us for a part of it."""
    status, body, _ = ask(server, path, token=server.token, Host="evil.example:80")
    assert (status, b"a zip" in body) == (403, False)


def test_there_is_no_shell_and_no_other_application(server: Server) -> None:
    for path in ("/api/terminals", "/terminals/1", "/lab", "/tree"):
        assert ask(server, path, token=server.token)[0] == 404, path


def test_the_page_does_not_show_its_code(server: Server) -> None:
    status, body, _ = ask(server, "/voila/render/dashboard.ipynb", token=server.token)
    assert status == 200
    assert b"animeset_lib.dashboard.view" not in body
    # another notebook of the project, or a program, is no page of ours
    assert ask(server, "/voila/render/voila.json", token=server.token)[0] != 200


# -------------------------------------------------------------------------------------------------------------- starting


class Started:
    """`animeset dashboard` with `words`, in a process that is ended in the end."""

    def __init__(self, place: Path, *words: object) -> None:
        self.output = place / "printed.txt"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "400"}
        environment.pop("JUPYTER_TOKEN", None)
        with self.output.open("wb") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "animeset_lib", "dashboard", "--no-browser", *map(str, words)],
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                cwd=place,
            )

    def printed(self, wanted: str) -> str:
        """What it has printed, once `wanted` is in it or it has ended."""
        end = time.monotonic() + 60
        while wanted not in (text := self.output.read_text(encoding="utf-8")):
            if self.process.poll() is not None:
                return self.output.read_text(encoding="utf-8")
            assert time.monotonic() < end, text
            time.sleep(0.05)
        return text

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    started: list[Started] = []

    def make(*words: object) -> Started:
        started.append(Started(tmp_path, *words))
        return started[-1]

    yield make
    for one in started:
        one.stop()


def test_a_folder_that_is_not_there_is_said_so(animeset: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, _, error = animeset("dashboard", "--no-browser", "--port", 0, tmp_path / "films")
    assert code == 1
    assert f"error: {tmp_path / 'films'}: expected a folder for films and results, got none; make it" in error


def test_the_page_is_the_one_that_comes_with_animeset(tmp_path: Path) -> None:
    (tmp_path / "dashboard.ipynb").write_text("not this one", encoding="utf-8")
    with served(tmp_path) as running:
        assert ask(running, "/voila/render/dashboard.ipynb", token=running.token)[0] == 200


def test_a_taken_port_is_said_so(start: Callable[..., Started], tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        started = start("--port", port, project)
        said = started.printed("Stop with Ctrl-C")
    assert started.process.poll() == 1, said
    assert (
        f"error: the port {port} on 127.0.0.1 cannot be had; another program may use it. Name another with --port"
        in said
    )
    assert "Traceback" not in said
    assert "token=" not in said


def test_the_address_is_printed_with_its_token_and_no_warning(server: Server) -> None:
    said = server.log.read_text(encoding="utf-8")
    assert re.match(r"animeset: http://127\.0\.0\.1:\d+/voila/render/dashboard\.ipynb\?token=[0-9a-f]{40,}\n", said)
    assert "Stop with Ctrl-C" in said
    assert "Warning" not in said


@pytest.mark.parametrize(("host", "warns"), [("0.0.0.0", True), ("localhost", False)])
def test_a_host_that_others_can_reach_is_warned_of(
    host: str, warns: bool, start: Callable[..., Started], tmp_path: Path
) -> None:
    started = start("--port", 0, "--host", host, make_project(tmp_path / "project"))
    said = started.printed("Stop with Ctrl-C")
    assert "token=" in said
    assert (f"Warning: {host} can be reached by other machines" in said) == warns
    port = int(re.search(r":(\d+)/voila", said)[1])  # type: ignore[index]
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        pass
    started.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


# ------------------------------------------------------------------------------------------------- what lies in the root


def test_the_notebook_is_a_cell_or_two_without_outputs() -> None:
    notebook = json.loads((ROOT / "dashboard.ipynb").read_text(encoding="utf-8"))
    cells = notebook["cells"]
    assert 1 <= len(cells) <= 2
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    assert sum(len([line for line in cell["source"] if line.strip()]) for cell in code) <= 3
    assert "".join(code[-1]["source"]).endswith("Dashboard().page")
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
