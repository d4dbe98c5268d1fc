"""The page in a real browser: a project folder of its own, the real server, a chromium that is installed on this machine."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from animeset_demo import iter_demo_frames
from tests.film_maker import write_film

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str:
    """Path of the browser; skips the test where there is none, fails it where `ANIMESET_BROWSER_TESTS=1` says there must be one."""
    found = os.environ.get("ANIMESET_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("ANIMESET_BROWSER_TESTS") == "1":
            pytest.fail("no chromium was found, and ANIMESET_BROWSER_TESTS=1 asks for the browser tests")
        pytest.skip("no chromium here; install one, or name it in ANIMESET_CHROMIUM")
    return found


def make_film(path: Path, *, seconds: float = 12, width: int = 480, height: int = 270) -> Path:
    """The first scenes of the demo film, with two or more characters."""
    frames = iter_demo_frames(width=width, height=height, fps=12, length_s=seconds)
    return write_film(path, [picture for picture, _ in frames], fps=12)


def make_project(folder: Path) -> Path:
    """A folder as a fresh clone has it, as far as the dashboard needs it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dashboard.ipynb", "voila.json"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("input", "output", "work", "logs"):
        (folder / name).mkdir(exist_ok=True)
    return folder


class Server:
    """`animeset dashboard` in a process; `url` has the token in it. `python` has animeset; unset: that of this clone."""

    def __init__(self, project: Path, python: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.project = project
        self.log = project / "server.txt"
        environment = {**(environment or {**os.environ, "PYTHONPATH": str(ROOT)}), "PYTHONUNBUFFERED": "1"}
        environment.pop("JUPYTER_TOKEN", None)
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                [python or sys.executable, "-m", "animeset_lib", "dashboard", "--no-browser", "--port", "0"],
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=project,
                env=environment,
                start_new_session=True,
            )
        self.url = self._address()
        self.base, self.token = self.url.split("/voila/")[0], self.url.split("token=")[1]

    def _address(self) -> str:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if found := re.search(r"animeset: (http\S+)", self.log.read_text(encoding="utf-8", errors="replace")):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the server did not start: {self.log.read_text(encoding='utf-8', errors='replace')}")

    def forget(self) -> None:
        """Ends the pages' kernels and makes the project as new, for the next test."""
        where = urlsplit(self.base)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        token = {"Authorization": f"token {self.token}"}
        connection.request("GET", "/api/kernels", headers=token)
        for kernel in json.load(connection.getresponse()):
            connection.request("DELETE", f"/api/kernels/{kernel['id']}", headers=token)
            connection.getresponse().read()
        connection.close()
        for path in self.project.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != self.log:
                path.unlink()
        make_project(self.project)

    def stop(self) -> None:
        """The server and its kernels, but no run: those are processes of their own."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def served(project: Path, python: Path | None = None, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    server = Server(project, python, environment)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as play:
        # no sandbox: containers have none; no background traffic: there may be no network
        arguments = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        opened = play.chromium.launch(executable_path=path, args=arguments)
        try:
            yield opened
        finally:
            opened.close()


class Page:
    """One tab, with the words of these tests. Everything waits for what it needs; nothing sleeps."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.faults: list[str] = []
        tab.on("pageerror", lambda error: self.faults.append(str(error)))
        tab.on("console", self._heard)
        tab.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        tab.set_default_timeout(60_000)

    def _heard(self, message: Any) -> None:
        """Vue says there, and nowhere else, what goes wrong while it draws. What the policy of the page keeps out is said there, too."""
        if message.type == "error" and re.match(r"\w*Error: ", message.text):
            self.faults.append(message.text)

    def open(self, url: str) -> Page:
        self.tab.goto(url)
        self.tab.wait_for_selector("#result-title", timeout=120_000)
        return self

    def choose(self, film: str) -> None:
        box = self.tab.locator(f'.films input[value="{film}"]')
        box.wait_for()
        if not box.is_checked():
            box.check()
        self.tab.wait_for_selector("#start:not([disabled]), #resume:not([disabled])")

    def phase(self, *names: str, seconds: float = 240) -> str:
        wanted = ", ".join(f'#phase[data-phase="{name}"]' for name in names)
        self.tab.wait_for_selector(wanted, timeout=seconds * 1000)
        return str(self.tab.locator("#phase").get_attribute("data-phase"))

    def text(self, selector: str) -> str:
        return str(self.tab.locator(selector).first.inner_text())


@contextmanager
def opened(one: Any, server: Server, **options: Any) -> Iterator[Page]:
    context = one.new_context(
        **{"locale": "en-US", "viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options}
    )
    try:
        page = Page(context.new_page()).open(server.url)
        yield page
        assert page.faults == [], page.faults
    finally:
        context.close()


def accessibility(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.1 A and AA in the page as it stands: `rule: element` lines."""
    from axe_playwright_python.sync_playwright import Axe

    results = Axe().run(
        page.tab,
        context=".animeset-page",
        options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]},
    )
    return [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]
