"""`make screenshots`: pictures of the page for the README, from a run on the demo film in a real browser.

python -m tests.dashboard.screenshots docs/images
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from animeset_demo import render_demo_film
from tests.dashboard.browser import Page, browser, make_project, opened, served

WIDTH, HIGH, MOST = 1400, 2600, 1300


def shoot(page: Page, target: Path, section: str, picture: str = "") -> None:
    """The section whose heading has this id, with all its pictures: those are fetched when they come into view, so the window is made high."""
    page.tab.set_viewport_size({"width": WIDTH, "height": HIGH})
    page.tab.mouse.move(0, 0)
    card = page.tab.locator(f".animeset.card:has(#{section})")
    card.scroll_into_view_if_needed()
    if picture:
        page.tab.wait_for_selector(picture)
        page.tab.wait_for_timeout(3000)  # those that follow the first one; this is no test
    picture_of_it = Image.open(io.BytesIO(card.screenshot())).convert("RGB")
    picture_of_it.crop((0, 0, picture_of_it.width, min(picture_of_it.height, MOST))).save(target, quality=85)
    page.tab.set_viewport_size({"width": WIDTH, "height": 1000})
    print(target)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        project = make_project(Path(place) / "project")
        film = project / "input" / "Hana and friends 01.mp4"
        render_demo_film(film, width=1280, height=720, fps=24, length_s=40)
        view = {"viewport": {"width": WIDTH, "height": 1000}}
        with browser() as one, served(project) as server:
            with opened(one, server, **view) as page:
                tab = page.tab
                page.choose(film.name)
                tab.check("#preset-draft")
                tab.check("#pause")
                tab.wait_for_selector(".films .number:has-text('0:40')")
                shoot(page, folder / "film.jpg", "film-title")
                tab.click("#start")
                tab.wait_for_selector('[data-stage="3a_detect"][data-state="running"]', timeout=120_000)
                tab.wait_for_selector(".previews img")
                shoot(page, folder / "run.jpg", "run-title")
                page.phase("paused")
                name = tab.locator('[data-group="character_01"] input[data-name]')
                name.fill("hana")
                name.press("Enter")
                tab.wait_for_selector('[data-group="hana"] [data-face]')
                tab.locator('[data-group="character_02"] [data-face]').nth(1).click()
                tab.wait_for_selector("#selection-bar")
                shoot(page, folder / "cast.jpg", "cast-title", '[data-group="hana"] [data-face] img[src]')
                tab.click("#resume")
                page.phase("finished")
                shoot(page, folder / "result.jpg", "result-title", "[data-image] img[src]")
            (sheet,) = (project / "output").glob("*/hana/coverage.png")
            Image.open(sheet).convert("RGB").save(folder / "coverage.jpg", quality=85)
            with opened(one, server, **view, locale="de-DE", color_scheme="dark") as page:
                tab = page.tab
                page.choose(film.name)
                shoot(page, folder / "result-dark-de.jpg", "result-title", "[data-image] img[src]")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
