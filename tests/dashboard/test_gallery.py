"""The gallery of a published film: what the page is told, edits with a preview, and that no path leaves the film folder."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animeset_lib.dashboard.gallery import EXPRESSIONS, Gallery, published_folders
from animeset_lib.dashboard.results import Results
from animeset_lib.errors import AnimesetError, InputError
from animeset_lib.media import write_image
from animeset_lib.published.publish import publish
from animeset_lib.records import Film
from animeset_lib.words.vocabulary import emotion_of

HERO = ("hero, solo, smile, hat", "hero, solo, long_hair", "hero, solo, Smile")
RIVAL = ("rival, solo, glasses",)


def _publish(root: Path, name: str = "film", sets: dict[str, tuple[str, ...]] | None = None, readme: str = "") -> Path:
    tree = root / f"tree-{name}"
    for character, captions in ({"hero": HERO, "rival": RIVAL} if sets is None else sets).items():
        folder = tree / character
        (folder / "dataset" / "images").mkdir(parents=True)
        (folder / "dataset" / "captions").mkdir()
        rows = []
        for number, caption in enumerate(captions, start=1):
            stem = f"{character}_{number:04d}"
            write_image(
                folder / "dataset" / "images" / f"{stem}.png",
                np.full((300, 400, 3), 20 * (number % 12), dtype=np.uint8),
            )
            (folder / "dataset" / "captions" / f"{stem}.txt").write_text(caption + "\n", encoding="utf-8")
            emotion = "smile" if "smile" in caption.lower() else "unknown"
            row = {
                "file_name": f"dataset/images/{stem}.png",
                "text": caption,
                "framing": "face" if number < 3 else "full",
                "outfit": "unknown",
                "emotion": emotion,
                "background": "outdoors",
                "time_ms": 1000 * number,
            }
            rows.append(json.dumps(row) + "\n")
        (folder / "metadata.jsonl").write_text("".join(rows), encoding="utf-8")
    tree.mkdir(exist_ok=True)
    (tree / "README.md").write_text(readme or "# film\n", encoding="utf-8")
    film = Film(
        id=name.encode().hex().zfill(12)[-12:], name=name, source_name=f"{name}.mkv", kind="video", width=64, height=36
    )
    return publish(tree, root / "output", film, "key", {}, lambda: None).folder


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(_publish(tmp_path))


def _image(number: int = 1, character: str = "hero") -> str:
    return f"{character}/dataset/images/{character}_{number:04d}.png"


def _captions(gallery: Gallery) -> list[str]:
    paths = sorted(gallery.folder.glob("*/dataset/captions/*.txt"))
    return [path.read_text(encoding="utf-8").rstrip("\n") for path in paths]


def test_state_is_plain_json_and_says_what_the_page_shows(gallery: Gallery) -> None:
    state = gallery.state()
    assert json.loads(json.dumps(state)) == state
    assert (state["film"], state["folder"], state["zip"], state["total"]) == ("film.mkv", "film", "output/film.zip", 4)
    assert [(one["name"], one["count"], one["edited"]) for one in state["characters"]] == [
        ("hero", 3, 0),
        ("rival", 1, 0),
    ]
    hero = state["characters"][0]
    assert hero["coverage"] == {
        "framing": [["face", 2], ["full", 1]],
        "outfit": [["unknown", 3]],
        "emotion": [["smile", 2], ["unknown", 1]],
        "background": [["outdoors", 3]],
    }
    assert hero["missing"]["framing"] == ["upper_body", "frame"]
    assert hero["missing"]["emotion"] == [word for word in EXPRESSIONS if word != "smile"]
    assert state["characters"][1]["missing"]["emotion"] == []  # nothing is known, so nothing is said to be missing
    assert (state["selected"], state["trigger"]) == ("hero", "hero")
    assert state["tags"] == [["solo", 3], ["smile", 2], ["hat", 1], ["long_hair", 1]]
    assert state["pictures"][1] == {
        "image": _image(2),
        "caption": HERO[1],
        "framing": "face",
        "outfit": "unknown",
        "emotion": "unknown",
        "background": "outdoors",
        "time_ms": 2000,
        "edited": False,
        "problem": "",
    }
    assert (state["pending"], state["can_undo"], state["can_redo"], state["why"]) == (None, None, None, "")


def test_another_character(gallery: Gallery) -> None:
    gallery.select("rival")
    assert [picture["caption"] for picture in gallery.state()["pictures"]] == [*RIVAL]
    with pytest.raises(InputError, match="no character 'nobody' in film; there are hero, rival"):
        gallery.select("nobody")
    assert gallery.state()["selected"] == "rival"


def test_one_caption_edited_undone_and_redone(gallery: Gallery) -> None:
    assert gallery.set_caption(_image(), " hero,, solo, grin ,hat\n") == "hero, solo, grin, hat"
    state = gallery.state()
    assert (state["pictures"][0]["caption"], state["pictures"][0]["edited"]) == ("hero, solo, grin, hat", True)
    assert state["characters"][0]["edited"] == 1
    assert state["can_undo"] == "hero_0001: − smile + grin"
    assert gallery.undo() == "hero_0001: − smile + grin"
    assert _captions(gallery) == [*HERO, *RIVAL]
    assert gallery.state()["can_redo"] == "hero_0001: − smile + grin"
    gallery.redo()
    assert _captions(gallery)[0] == "hero, solo, grin, hat"


def test_the_same_caption_again_is_no_edit(gallery: Gallery) -> None:
    assert gallery.set_caption(_image(), HERO[0]) == HERO[0]
    assert gallery.state()["can_undo"] is None


@pytest.mark.parametrize(
    ("asked", "words", "count", "after"),
    [
        (
            {"kind": "add", "tags": "best, smile"},
            "+ best, smile",
            3,
            ["hero, best, solo, smile, hat", "hero, best, smile, solo, long_hair", "hero, best, solo, Smile", *RIVAL],
        ),
        (
            {"kind": "add", "tags": "best", "place": "end", "scope": "all"},
            "+ best",
            4,
            [*[f"{caption}, best" for caption in HERO], "rival, solo, glasses, best"],
        ),
        (
            {"kind": "remove", "tags": "smile, hat", "images": [_image(1), _image(2)]},
            "− smile, hat",
            2,
            ["hero, solo", *HERO[1:], *RIVAL],
        ),
        (
            {"kind": "replace", "old": "hero", "new": "h3ro"},
            "hero → h3ro",
            3,
            [*[caption.replace("hero", "h3ro") for caption in HERO], *RIVAL],
        ),
        (
            {"kind": "pattern", "pattern": "(?i)smile", "replacement": "", "scope": "all"},
            "/(?i)smile/ → ∅",
            4,
            ["hero, solo, hat", HERO[1], "hero, solo", *RIVAL],
        ),
    ],
)
def test_many_captions_only_after_the_preview(
    gallery: Gallery, asked: dict[str, object], words: str, count: int, after: list[str]
) -> None:
    gallery.preview(**asked)  # type: ignore[arg-type]
    before = [*HERO, *RIVAL]
    assert _captions(gallery) == before
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    pending = gallery.state()["pending"]
    assert (pending["words"], pending["total"], pending["count"]) == (words, len(changed), count)
    assert [(change["before"], change["after"]) for change in pending["changes"]] == changed
    gallery.apply()
    assert _captions(gallery) == after
    assert gallery.state()["pending"] is None
    assert gallery.state()["can_undo"] == f"{words} ({len(changed)})"
    gallery.undo()
    assert _captions(gallery) == before


def test_a_preview_is_given_up_by_discard_another_character_or_an_edit(gallery: Gallery) -> None:
    acts: list[Callable[[], object]] = [
        gallery.discard,
        lambda: gallery.select("rival"),
        lambda: gallery.set_caption(_image(), "hero, new"),
        gallery.undo,
    ]
    for act in acts:
        gallery.preview("add", tags="best", scope="all")
        act()
        assert gallery.state()["pending"] is None
        with pytest.raises(InputError, match="no preview waits"):
            gallery.apply()


def test_a_caption_changed_meanwhile_is_not_overwritten(gallery: Gallery) -> None:
    gallery.preview("add", tags="best")
    (gallery.folder / "hero/dataset/captions/hero_0002.txt").write_text("hero, by hand\n", encoding="utf-8")
    with pytest.raises(InputError, match="changed since this preview"):
        gallery.apply()
    assert _captions(gallery) == [HERO[0], "hero, by hand", HERO[2], *RIVAL]


def test_a_long_preview_is_shortened_for_the_page_and_made_whole(tmp_path: Path) -> None:
    gallery = Gallery(_publish(tmp_path, sets={"hero": ("hero, solo",) * 120}))
    gallery.preview("add", tags="best")
    pending = gallery.state()["pending"]
    assert (pending["total"], len(pending["changes"])) == (120, 100)
    gallery.apply()
    assert set(_captions(gallery)) == {"hero, best, solo"}


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "burn"},
        {"kind": "add", "tags": " , "},
        {"kind": "add", "tags": "a", "place": "middle"},
        {"kind": "add", "tags": ["a"]},
        {"kind": "add", "tags": "a", "scope": "world"},
        {"kind": "add", "tags": "a", "images": []},
        {"kind": "add", "tags": "a", "images": "hero"},
        {"kind": "add", "tags": "a", "images": ["hero/dataset/images/../../../other.png"]},
        {"kind": "add", "tags": "a", "images": [_image(9)]},
        {"kind": "remove", "tags": "hero"},
        {"kind": "replace", "old": "a, b", "new": "c"},
        {"kind": "pattern", "pattern": ""},
        {"kind": "pattern", "pattern": "("},
        {"kind": "pattern", "pattern": ".*"},
    ],
)
def test_senseless_edits_are_refused_in_one_sentence(gallery: Gallery, asked: dict[str, object]) -> None:
    gallery.preview("add", tags="best")
    with pytest.raises(AnimesetError) as caught:
        gallery.preview(**asked)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert gallery.state()["pending"] is None


def test_pictures_small_and_big(gallery: Gallery) -> None:
    made = gallery.pictures([_image(1), _image(1, "rival")])
    assert list(made) == [_image(1), _image(1, "rival")]
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in made.values())
    big = gallery.big(_image(2))
    assert (big["image"], big["width"], big["height"]) == (_image(2), 400, 300)
    assert big["src"].startswith("data:image/jpeg;base64,")


def test_sheets_of_the_selected_character(gallery: Gallery) -> None:
    write_image(gallery.folder / "rival" / "coverage.png", np.full((90, 120, 3), 9, np.uint8))
    assert gallery.sheet("coverage") == {"name": "coverage", "character": "hero", "src": ""}
    gallery.select("rival")
    found = gallery.sheet("coverage")
    assert found["src"].startswith("data:image/jpeg;base64,")
    assert found["character"] == "rival"
    # much higher than wide: still as wide as it is
    write_image(gallery.folder / "rival" / "subsets.png", np.full((3000, 200, 3), 9, np.uint8))
    with Image.open(io.BytesIO(base64.b64decode(gallery.sheet("subsets")["src"].split(",")[1]))) as shown:
        assert shown.size == (200, 3000)
    with pytest.raises(InputError, match="one of coverage, subsets"):
        gallery.sheet("../cast")


def test_a_picture_that_is_gone_or_broken_is_empty(gallery: Gallery) -> None:
    (gallery.folder / _image(1)).unlink()
    (gallery.folder / _image(2)).write_bytes(b"no picture")
    assert gallery.pictures([_image(1), _image(2)]) == {_image(1): "", _image(2): ""}
    assert gallery.big(_image(1))["src"] == ""


def test_a_picture_of_another_run_is_made_anew(gallery: Gallery) -> None:
    first = gallery.pictures([_image(1)])
    path = gallery.folder / _image(1)
    write_image(path, np.full((300, 400, 3), 250, dtype=np.uint8))
    os.utime(path, (1, 1))
    gallery.pictures([_image(2), _image(3), _image(1, "rival")])
    assert gallery.pictures([_image(1)]) != first


@pytest.mark.parametrize(
    "image",
    [
        "../secret.png",
        "hero/dataset/images/../../../../secret.png",
        "hero/dataset/images/..",
        "hero/dataset/captions/hero_0001.txt",
        "hero/dataset/images/hero_0001.txt",
        "hero/dataset/images/.hidden.png",
        "hero/dataset/images/a\0.png",
        "hero\\dataset\\images\\hero_0001.png",
        "C:/dataset/images/a.png",
        "/etc/dataset/images/x.png",
        "/dataset/images/x.png",
        "outside/dataset/images/x.png",
        "hero/dataset/images/link.png",
        "",
        None,
        7,
        ["a"],
    ],
)
def test_no_path_leaves_the_film_folder(gallery: Gallery, tmp_path: Path, image: object) -> None:
    write_image(tmp_path / "secret.png", np.zeros((8, 8, 3), dtype=np.uint8))
    (tmp_path / "elsewhere" / "dataset" / "images").mkdir(parents=True)
    write_image(tmp_path / "elsewhere" / "dataset" / "images" / "x.png", np.zeros((8, 8, 3), dtype=np.uint8))
    (gallery.folder / "outside").symlink_to(tmp_path / "elsewhere")
    (gallery.folder / "hero/dataset/images/link.png").symlink_to(tmp_path / "secret.png")
    asks: list[Callable[[], object]] = [
        lambda: gallery.pictures([image]),  # type: ignore[list-item]
        lambda: gallery.big(image),  # type: ignore[arg-type]
        lambda: gallery.set_caption(image, "hero"),  # type: ignore[arg-type]
        lambda: gallery.preview("add", tags="x", images=[image]),  # type: ignore[list-item]
    ]
    for ask in asks:
        with pytest.raises(InputError, match="is no picture of film"):
            ask()


def test_published_folders_newest_first_and_only_ours(tmp_path: Path) -> None:
    old, new = _publish(tmp_path, "old"), _publish(tmp_path, "new")
    os.utime(old / "animeset.json", (1_000, 1_000))
    (tmp_path / "output" / "mine").mkdir()
    assert published_folders(tmp_path / "output") == [
        {"folder": "new", "film": "new.mkv"},
        {"folder": "old", "film": "old.mkv"},
    ]
    assert published_folders(tmp_path / "nowhere") == []
    results = Results(tmp_path, tmp_path / "output")
    for hostile in ("mine", "../output/old", "", str(new)):
        results.open(None, "old")
        assert results.gallery.folder == old
        results.open(None, hostile)
        with pytest.raises(InputError, match="no dataset to look at"):
            _ = results.gallery


def test_a_film_without_characters_says_why(tmp_path: Path) -> None:
    readme = (
        "# f\n\n**No character set could be made from this film.**\n\nNo face. Lower `detect.score_min`.\n\nMore.\n"
    )
    gallery = Gallery(_publish(tmp_path, sets={}, readme=readme))
    state = gallery.state()
    assert (state["characters"], state["selected"], state["pictures"], state["total"]) == ([], None, [], 0)
    assert state["why"] == "No face. Lower detect.score_min."


def test_expressions_are_words_that_captions_know() -> None:
    assert {emotion_of({word: 1.0}) for word in EXPRESSIONS} == set(EXPRESSIONS)
