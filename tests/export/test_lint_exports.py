"""What the exporters write is what the linter, written without them, loads: every picture, every caption, no finding."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from animeset_lib.export.forms import WRITERS
from animeset_lib.export.lint import lint
from animeset_lib.export.plan import ExportOptions
from animeset_lib.export.recognise import load, recognise
from animeset_lib.export.write import export_films
from tests.export.lint_folders import canonical, draw, words, write

pytestmark = pytest.mark.usefixtures("equal_bytes_are_decoded_once")

PICTURES = {"hana": 24, "mika": 14}
OPTIONS = {
    "plain": ExportOptions(),
    "validation": ExportOptions(validation=0.2),
    "per outfit": ExportOptions(by="outfit"),
    "all at once": ExportOptions(by="emotion", validation=0.15, resolution=512, per_epoch=90, keep_tokens=1),
}
NAMES = {"numbered": "{0}_{1:04d}", "descriptive": "{0}_school_uniform_smile_classroom_{1:04d}"}


@pytest.fixture(scope="module", params=NAMES)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with masks for one character, pictures for regularisation, and one of the two ways to name pictures."""
    root = tmp_path_factory.mktemp("output") / "film"
    canonical(root, PICTURES, NAMES[request.param])
    for picture in sorted((root / "hana" / "dataset" / "images").iterdir()):
        mask = root / "hana" / "dataset" / "masks" / picture.name
        mask.parent.mkdir(exist_ok=True)
        Image.new("L", (512, 512), 255).save(mask)
    rows = []
    for number in range(1, 5):
        draw(root / "regularisation" / "images" / f"scenery_{number:04d}.png", 900 + number)
        write(root / "regularisation" / "captions" / f"scenery_{number:04d}.txt", f"no_humans, forest, view_{number}\n")
        rows.append({"file_name": f"images/scenery_{number:04d}.png", "text": f"no_humans, forest, view_{number}"})
    write(root / "regularisation" / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("format", WRITERS)
def test_every_export_passes(film: Path, tmp_path: Path, format: str, options: str) -> None:
    export_films([film], tmp_path, [format], OPTIONS[options])
    report = lint(tmp_path / format)
    allowed = {"unbalanced"} if options == "all at once" else set()  # its repeats are asked for, not balanced
    assert [finding for finding in report.findings if finding.code not in allowed] == []


def test_a_trigger_behind_other_words_is_known_in_every_export(tmp_path: Path) -> None:
    film = tmp_path / "film"
    canonical(film, {"hana": 10, "mika": 10}, NAMES["numbered"])
    for path in film.glob("*/dataset/captions/*.txt"):
        trigger, girl, solo, *rest = path.read_text().split(", ")
        write(path, ", ".join((girl, solo, trigger, *rest)))
    for name in ("hana", "mika"):
        write(film / name / "traits.json", json.dumps({"trigger": name}))
    export_films([film], tmp_path / "exports", list(WRITERS), ExportOptions(by="outfit"))
    assert [finding for finding in lint(tmp_path / "exports").findings if finding.level == "error"] == []
    wrong = tmp_path / "exports" / "onetrainer" / "hana" / "train"
    caption = next(wrong.rglob("hana_0001.txt"))
    write(caption, caption.read_text().replace("hana", "mika"))
    found = [finding.code for finding in lint(tmp_path / "exports").findings if finding.path.endswith("hana_0001.txt")]
    assert "other_trigger" in found


@pytest.mark.parametrize("format", WRITERS)
def test_no_picture_and_no_caption_gets_lost(film: Path, tmp_path: Path, format: str) -> None:
    export_films([film], tmp_path, [format], ExportOptions(validation=0.2))
    captions: dict[str, set[str]] = {}
    kinds: Counter[str] = Counter()
    for source in recognise(tmp_path / format):
        for one in load(source, tmp_path).sets:
            for picture in one.pictures:
                captions.setdefault(picture.path.stem, set()).update(
                    ", ".join(tag.strip() for tag in caption.split(",")) for caption in picture.captions
                )
            kinds[one.kind] += len(one.pictures)
    named = next((film / "hana" / "dataset" / "images").iterdir()).stem.removeprefix("hana")[:-4]
    for name, count in PICTURES.items():
        for number in range(1, count + 1):
            assert captions.pop(f"{name}{named}{number:04d}", None) == {words(name, number)} or format == "ai-toolkit"
    assert kinds["train"] > 0
    assert all(stem.startswith("scenery") for stem in captions)
    if format not in ("ai-toolkit", "huggingface"):
        assert kinds["validation"] > 0  # ai-toolkit has no validation; its pictures lie aside


def test_the_film_itself_passes(film: Path) -> None:
    report = lint(film)
    assert report.findings == ()
    assert "2 characters (hana, mika), 38 pictures, 4 for regularisation, loads" in report.linted[0].summary
