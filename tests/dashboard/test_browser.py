"""The page as a person uses it, in a real browser: upload, start, watch, sort, download, and all that goes wrong on the way."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from animeset_lib.pipeline.stages import PIPELINE
from tests.dashboard.browser import Page, Server, accessibility, browser, make_film, make_project, opened, served

FILM = "Ein Film – ßäü 🎬.mp4"


@pytest.fixture(scope="module")
def one() -> Iterator[Any]:
    with browser() as opened_browser:
        yield opened_browser


@pytest.fixture(scope="module")
def film(drawn_film: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds with three characters."""
    return Path(shutil.copy(drawn_film("mp4", seconds=12), tmp_path_factory.mktemp("film") / FILM))


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(make_project(tmp_path_factory.mktemp("page") / "project")) as running:
        yield running


@pytest.fixture
def server(one_server: Server) -> Iterator[Server]:
    """One for all tests; each finds the project as a fresh clone has it."""
    yield one_server
    one_server.forget()


@pytest.fixture
def project(server: Server) -> Path:
    return server.project


def groups(page: Page) -> list[str]:
    return [str(row.get_attribute("data-group")) for row in page.tab.locator("[data-group]").all()]


def zip_texts(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".txt")}


def download(page: Page, selector: str, target: Path) -> Path:
    with page.tab.expect_download() as coming:
        page.tab.click(selector)
    coming.value.save_as(target)
    return target


def test_from_upload_to_edited_zip(one: Any, server: Server, project: Path, film: Path, tmp_path: Path) -> None:
    with opened(one, server) as page:
        tab = page.tab
        assert tab.locator("#start").is_disabled()
        tab.set_input_files("#film-file", str(film))
        tab.wait_for_selector(f'.films input[value="{FILM}"]:checked')
        assert (project / "input" / FILM).read_bytes() == film.read_bytes()
        tab.check("#preset-draft")
        tab.check("#pause")
        tab.click("#show-plan")
        tab.wait_for_selector("#plan li")
        assert tab.locator("#plan li").count() == len(PIPELINE)
        tab.click("#start")
        assert page.phase("paused", "failed") == "paused"
        assert tab.locator('[data-stage="3d_cast"][data-state="done"]').count() == 1

        # the cast board: rename, merge, split and take that back
        tab.wait_for_selector('[data-group="character_01"] [data-face]')
        name = tab.locator('[data-group="character_01"] input[data-name]')
        name.fill("Hana Ä")
        name.press("Enter")
        tab.wait_for_selector('[data-group="hana_ae"]')
        assert accessibility(page) == []
        before = groups(page)
        tab.locator('[data-group="character_02"] [data-face]').first.click()
        tab.click("#split")
        tab.wait_for_selector('[data-group="character_04"]')
        tab.click("#undo")
        tab.wait_for_selector('[data-group="character_04"]', state="detached")
        assert groups(page) == before
        for key in ("character_02", "character_03"):
            tab.locator(f'[data-group="{key}"] input[type=checkbox]').first.check()
        tab.select_option("#merge-into", "character_02")
        tab.click("#merge")
        tab.wait_for_selector('[data-group="character_03"]', state="detached")
        (log,) = (project / "output").glob("*.decisions.jsonl")
        assert [line.split('"kind": "')[1].split('"')[0] for line in log.read_text().splitlines()] == [
            *("assign", "assign", "undo", "assign"),
        ]

        tab.click("#resume")
        assert page.phase("finished", "failed") == "finished"
        tab.wait_for_selector('[role=tab][data-character="hana_ae"]')
        tabs = [one.get_attribute("data-character") for one in tab.locator("[role=tab][data-character]").all()]
        assert sorted(tabs) == ["character_02", "hana_ae"]
        texts = zip_texts(download(page, "#download-zip", tmp_path / "first.zip"))
        assert {name.split("/")[1] for name in texts} == {"character_02", "hana_ae"}
        assert all(text.startswith(name.split("/")[1]) for name, text in texts.items())
        assert [path.name for path in (project / "work").iterdir()] == [".locks"]

        # captions: one by hand, many at once with a preview, and back
        tab.click('[role=tab][data-character="hana_ae"]')
        box = tab.locator('[data-image^="hana_ae/"] textarea').first
        box.wait_for()
        box.fill(f"{box.input_value()}, <b>wink</b>")
        box.press("Enter")
        tab.wait_for_selector("#result-undo:not([disabled])")
        tab.click("#bulk > summary")
        tab.select_option("#bulk-kind", "add")
        tab.fill("#bulk-tags", "night sky")
        tab.select_option("#bulk-scope", "all")
        tab.click("#bulk-preview")
        tab.wait_for_selector("#bulk-apply:not([disabled])")
        assert accessibility(page) == []
        tab.click("#bulk-apply")
        tab.wait_for_selector("#bulk-apply", state="detached")
        edited = zip_texts(download(page, "#download-zip", tmp_path / "second.zip"))
        assert sum("<b>wink</b>" in text for text in edited.values()) == 1
        assert all("night sky" in text for text in edited.values())
        tab.click("#sheet-coverage")
        tab.wait_for_selector("#result-sheet img[src^='data:image/jpeg']")
        assert accessibility(page) == []
        tab.click("#sheet-close")
        tab.select_option("#export-format", "onetrainer")
        tab.select_option("#export-by", "outfit")
        for_trainer = download(page, "#export-load", tmp_path / "onetrainer.zip")
        with zipfile.ZipFile(for_trainer) as file:
            beside = [name for name in file.namelist() if name.endswith(".txt") and "_0" in name]
            assert all(name.replace(".txt", ".png") in file.namelist() for name in beside)
            assert sum("<b>wink</b>" in file.read(name).decode() for name in beside) == 1
            assert "onetrainer/concepts.json" in file.namelist()
        tab.locator("#result-undo").click()
        tab.wait_for_selector("#result-redo:not([disabled])")
        undone = zip_texts(download(page, "#download-all", tmp_path / "all.zip"))
        assert sum("<b>wink</b>" in text for text in undone.values()) == 1
        assert not any("night sky" in text for text in undone.values())
        assert tab.locator("b", has_text="wink").count() == 0, "a caption is text, never markup"

        log_text = download(page, "#download-log", tmp_path / "process.log").read_text(encoding="utf-8")
        assert "run finished" in log_text
        tab.click("#theme")
        assert accessibility(page) == [], "in the dark, too"


def test_a_failed_run_says_why_and_gives_its_log(
    one: Any, server: Server, project: Path, film: Path, tmp_path: Path
) -> None:
    (project / "input" / "a.mp4").write_bytes(film.read_bytes())
    (project / "broken.onnx").write_bytes(b"no network at all")
    with opened(one, server) as page:
        page.choose("a.mp4")
        page.tab.check("#preset-draft")
        page.tab.click("#all-settings > summary")
        page.tab.fill("input[type=search]", "detect.detector")
        for file, found in (("nowhere.onnx", "nowhere.onnx"), ("broken.onnx", "broken.onnx")):
            box = page.tab.locator('[id="set-detect.detector"]')
            box.fill(f"yolo:{file}")
            box.press("Tab")
            page.tab.wait_for_function(
                "value => document.getElementById('set-detect.detector').value === value", arg=f"yolo:{file}"
            )
            page.tab.click("#start")
            page.tab.wait_for_selector(f'#problem:has-text("{found}")', timeout=120_000)
            assert page.phase("failed") == "failed"
            assert "Traceback" not in page.text("#problem")
            log = download(page, "#download-log", tmp_path / f"{file}.log").read_text(encoding="utf-8")
            assert found in log
        assert page.tab.locator("#download-own-log").count() == 1


HELD = """
import sys, time
from pathlib import Path
import cv2
hold = Path(sys.argv[1])
if hold.exists():
    hold.write_text(hold.read_text() + "x")
while hold.exists() and len(hold.read_text()) > 8:
    time.sleep(0.1)
cv2.imwrite(sys.argv[3], cv2.resize(cv2.imread(sys.argv[2]), (int(sys.argv[4]), int(sys.argv[5]))))
"""
"""An upscaler that makes eight pictures, two batches, and then waits as long as its first file is there."""


@pytest.mark.exhaustive
def test_a_run_is_found_again_cancelled_and_resumed(one: Any, film: Path, tmp_path: Path) -> None:
    project, script, hold = make_project(tmp_path / "project"), tmp_path / "held.py", tmp_path / "hold"
    (project / "input" / "a.mp4").write_bytes(film.read_bytes())
    script.write_text(HELD, encoding="utf-8")
    hold.touch()
    running = '[data-stage="4b_upscale"][data-state="running"]'
    with served(project) as server, opened(one, server) as page:
        page.choose("a.mp4")
        page.tab.check("#preset-draft")
        page.tab.click("#all-settings > summary")
        page.tab.fill("input[type=search]", "upscale.upscaler")
        box = page.tab.locator('[id="set-upscale.upscaler"]')
        box.fill(f"command:'{sys.executable}' '{script}' '{hold}' {{input}} {{output}} {{width}} {{height}}")
        box.press("Tab")
        page.tab.wait_for_selector(".setting.changed")
        page.tab.click("#start")
        page.tab.wait_for_selector(running, timeout=120_000)
        page.tab.reload()
        page.tab.wait_for_selector('#phase[data-phase="running"]', timeout=120_000)
        page.tab.wait_for_selector(running)
        page.tab.wait_for_selector(".previews img")
        second = page.tab.context.new_page()
        second.goto(server.url)
        second.wait_for_selector('#phase[data-phase="running"]', timeout=120_000)
        second.close()
    with served(project) as again, opened(one, again) as page:
        page.tab.wait_for_selector(running)
        page.tab.click("#cancel")
        page.phase("cancelling")
        hold.unlink()
        assert page.phase("cancelled") == "cancelled"
        hold.write_text(8 * "x")
        page.tab.click("#resume")
        page.phase("running")
        page.tab.wait_for_selector('[data-stage="1_extract"][data-state="reused"]')
        page.tab.wait_for_selector(running, timeout=120_000)
        page.tab.click("#cancel")
        page.phase("cancelling")
        hold.unlink()
        page.phase("cancelled")


@pytest.mark.exhaustive
def test_a_broken_off_upload_goes_on(one: Any, server: Server, project: Path, tmp_path: Path) -> None:
    large = make_film(tmp_path / "large.mp4", seconds=2)
    with large.open("ab") as file:  # a box that players skip
        file.write(struct.pack(">I4s", 120_000_008, b"free") + os.urandom(120_000_000))
    with opened(one, server) as page:
        tab = page.tab
        tab.set_input_files("#film-file", str(large))
        tab.wait_for_function("() => Number(document.querySelector('.drop [role=progressbar]')?.ariaValueNow) > 5")
        tab.reload()
        tab.wait_for_selector("#result-title", timeout=120_000)
        assert tab.locator('.films input[value="large.mp4"]').count() == 0, "a part is no film"
        (part,) = (path for path in (project / "input" / ".upload").iterdir() if ".part" in path.name)
        there = part.stat().st_size
        assert 0 < there < large.stat().st_size
        tab.evaluate(
            """() => { window.least = 101; new MutationObserver(() => {
                const bar = document.querySelector('.drop [role=progressbar]');
                if (bar && Number(bar.ariaValueNow) > 0) window.least = Math.min(window.least, Number(bar.ariaValueNow));
            }).observe(document.body, {subtree: true, childList: true, attributes: true}); }"""
        )
        tab.set_input_files("#film-file", str(large))
        tab.wait_for_selector('.films input[value="large.mp4"]:checked', timeout=120_000)
        assert tab.evaluate("window.least") >= int(100 * there / large.stat().st_size)
    arrived = project / "input" / "large.mp4"
    assert hashlib.sha256(arrived.read_bytes()).digest() == hashlib.sha256(large.read_bytes()).digest()
    assert [path.name for path in (project / "input").iterdir()] == ["large.mp4"]


def test_what_is_no_film_is_said_at_once(one: Any, server: Server, project: Path, tmp_path: Path) -> None:
    fake = tmp_path / "<img src=x onerror=alert(1)>.mkv"
    fake.write_text("this is a text\n" * 1000)
    with opened(one, server) as page:
        page.tab.set_input_files("#film-file", str(fake))
        page.tab.wait_for_selector("#film-error")
        assert "text" in page.text("#film-error")
        assert list((project / "input").iterdir()) == []
        assert page.tab.locator("#film-error img").count() == 0


@pytest.mark.exhaustive
def test_a_name_is_just_a_name(one: Any, server: Server, project: Path, film: Path) -> None:
    name = "<img src=x onerror=alert(1)>.mp4"
    (project / "input" / name).write_bytes(film.read_bytes())
    with opened(one, server) as page:
        page.choose(name)
        page.tab.check("#preset-draft")
        page.tab.click("#start")
        assert page.phase("finished", "failed") == "finished"
        page.tab.wait_for_selector("[role=tab][data-character]")
        assert name in page.text(".total")
        assert page.tab.locator('img[src="x"]').count() == 0
        page.tab.click("details.log > summary")
        page.tab.wait_for_selector('pre:has-text("run finished")')


def test_language_light_and_width(one: Any, server: Server, project: Path, film: Path) -> None:
    (project / "input" / "a.mp4").write_bytes(film.read_bytes())
    with opened(one, server, locale="de-AT", color_scheme="dark") as page:
        tab = page.tab
        tab.wait_for_function("() => document.documentElement.lang === 'de'")
        assert page.text("#run-title") == "Durchlauf"
        assert tab.evaluate("document.documentElement.dataset.animesetTheme") == "dark"
        assert accessibility(page) == []
        tab.click("#language-en")
        tab.wait_for_function("() => document.querySelector('#run-title').textContent === 'Run'")
        tab.click("#theme")
        tab.reload()
        tab.wait_for_selector("#result-title", timeout=120_000)
        tab.wait_for_function("() => document.querySelector('#run-title').textContent === 'Run'")
        assert tab.evaluate("document.documentElement.dataset.animesetTheme") == "light"
        tab.click("#all-settings > summary")
        for summary in tab.locator("details.group > summary").all():
            summary.click()
        assert accessibility(page) == []
        for width in (768, 1280, 2560):
            tab.set_viewport_size({"width": width, "height": 900})
            # the page follows its window a little later
            tab.wait_for_function(
                "width => innerWidth === width && [...document.querySelectorAll('.animeset *')].every("
                "e => e.getBoundingClientRect().right <= width + 1 || e.closest('.hidden-visually'))",
                arg=width,
                timeout=15_000,
            )
        # a setting out of its range is said beside it and changes nothing
        box = tab.locator('[id="set-dedupe.ssim_min"]')
        box.fill("7")
        box.press("Tab")
        tab.wait_for_selector('.setting [role=alert]:has-text("dedupe.ssim_min")')
        # with the keyboard alone: from the film's box to Start
        tab.locator('.films input[value="a.mp4"]').focus()
        tab.keyboard.press("Space")
        tab.wait_for_selector("#start:not([disabled])")


@pytest.mark.exhaustive
def test_what_a_threshold_would_do(one: Any, server: Server, project: Path, film: Path) -> None:
    (project / "input" / "a.mp4").write_bytes(film.read_bytes())
    with opened(one, server) as page:
        tab = page.tab
        page.choose("a.mp4")
        tab.check("#preset-draft")
        tab.check("#keep")
        tab.click("#start")
        assert page.phase("finished", "failed") == "finished"
        tab.click("#all-settings > summary")
        tab.fill("input[type=search]", "quality.min_face_px")
        tab.click('[id="explore-quality.min_face_px"]')
        tab.wait_for_selector("#would")
        assert "At 48 " in page.text("#would")
        before = page.text("#would")
        slider = tab.locator(".explored input[type=range]")
        slider.focus()
        slider.press("End")
        tab.wait_for_function("text => document.querySelector('#would').textContent !== text", arg=before)
        assert tab.locator(".explored figure").count() >= 2
        tab.click(".explored button.primary")
        tab.wait_for_selector(".setting.changed")
        tab.click("#show-plan")
        tab.wait_for_selector("#plan li")
        states = [row.inner_text().split("\n") for row in tab.locator("#plan li").all()]
        # what does not read 4a_quality, directly or by what it reads
        touched = {"4a_quality"}
        for stage in PIPELINE.values():
            touched |= {stage.name} if touched & {need.name for need in stage.needs} else set()
        expected = ["to run" if stage.name in touched else "reused" for stage in PIPELINE.values()]
        assert [row[1] for row in states] == expected


@pytest.mark.exhaustive
def test_a_page_leaves_no_kernel_behind_and_says_when_it_is_alone(one: Any, server: Server) -> None:
    def kernels() -> list[psutil.Process]:
        below = psutil.Process(server.process.pid).children(recursive=True)
        return [process for process in below if any("ipykernel" in word for word in process.cmdline())]

    foreign: list[str] = []
    with opened(one, server) as page:
        page.tab.on("response", lambda answer: foreign.append(answer.url) if server.base not in answer.url else None)
        for _ in range(2):
            page.tab.reload()
            page.tab.wait_for_selector("#result-title", timeout=120_000)
        until = time.monotonic() + 30
        while len(kernels()) > 1 and time.monotonic() < until:
            page.tab.wait_for_timeout(100)
        assert len(kernels()) == 1
        assert [url for url in foreign if url.startswith("http")] == []
        assert page.tab.locator("#lost").count() == 0
        for kernel in kernels():
            kernel.kill()
        page.tab.wait_for_selector("#lost", timeout=60_000)


@pytest.mark.exhaustive
def test_every_file_that_is_no_film_is_said(one: Any, server: Server, tmp_path: Path) -> None:
    files = [tmp_path / "first.mkv", tmp_path / "second.mkv"]
    for file in files:
        file.write_text("this is a text\n" * 1000)
    with opened(one, server) as page:
        page.tab.set_input_files("#film-file", files)
        page.tab.wait_for_selector('#film-error:has-text("second.mkv")')
        assert "first.mkv" in page.text("#film-error")
        page.tab.set_input_files("#film-file", files[0])
        page.tab.wait_for_selector('#film-error:not(:has-text("second.mkv"))')


@pytest.mark.exhaustive
def test_films_chosen_faster_than_the_page_is_answered(one: Any, server: Server, project: Path, film: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (project / "input" / name).write_bytes(film.read_bytes())
    with opened(one, server) as page:
        page.tab.wait_for_selector('.films input[value="c.mp4"]')
        page.tab.evaluate("document.querySelectorAll('.films input').forEach(box => box.click())")
        page.tab.wait_for_selector('.film:has-text("3 films are worked on")')
        page.tab.evaluate(
            "document.querySelectorAll('.films input').forEach(box => box.value === 'b.mp4' || box.click())"
        )
        page.tab.wait_for_selector('.film:not(:has-text("films are worked on"))')
        page.tab.wait_for_selector('.films input[value="b.mp4"]:checked')
        assert page.tab.locator(".films input:checked").count() == 1
