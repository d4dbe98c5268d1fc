"""Files on their way through a section of the page: what the page sends and what it is answered, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from animeset_lib.dashboard.receiving import Inbox, film_inbox
from animeset_lib.dashboard.upload import UploadSection
from animeset_lib.dashboard.view_model import ViewModel
from animeset_lib.errors import InputError
from tests.dashboard.browser import make_film

Request = dict[str, Any]


class Sender:
    """A section and its page: what the page is told is in `told`, what arrived in `arrived`."""

    def __init__(self, inbox_for: Callable[[Request], Inbox], *, name: str = "film") -> None:
        self.told: list[dict[str, Any]] = []
        self.arrived: list[tuple[str, bool]] = []
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.section = UploadSection(
            name,
            {},
            {},
            lambda message: None,
            inbox_for=inbox_for,
            arrived=lambda path, already, request: self.arrived.append((path.name, already)),
        )
        self.section.tell = self._tell

    def _tell(self, method: str, *values: Any) -> None:
        assert method == "upload_state"
        self.told += values

    def begin(self, name: str, data: bytes, ticket: str = "1", **more: Any) -> dict[str, Any]:
        request = {"name": name, "size": len(data), "fingerprint": f"{len(data)}-{name}", "ticket": ticket, **more}
        return self._call(lambda: self.section.vue_begin_upload(request))

    def chunk(self, offset: int, data: bytes, ticket: str = "1") -> dict[str, Any]:
        return self._call(
            lambda: self.section.vue_upload_chunk({"ticket": ticket, "offset": offset}, [memoryview(data)])
        )

    def stop(self, ticket: str = "1") -> dict[str, Any]:
        return self._call(lambda: self.section.vue_stop_upload({"ticket": ticket}))

    def _call(self, message: Callable[[], None]) -> dict[str, Any]:
        """The last answer to one message, once all that it set off is done; empty when there was none."""

        async def deliver() -> None:
            message()
            while self.section._tasks:
                await asyncio.gather(*self.section._tasks)

        before = len(self.told)
        self.loop.run_until_complete(deliver())
        return self.told[-1] if len(self.told) > before else {}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_film(tmp_path_factory.mktemp("films") / "a.mkv", seconds=2, width=160, height=90).read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "input"


@pytest.fixture
def sender(folder: Path) -> Iterator[Callable[..., Sender]]:
    made: list[Sender] = []

    def make(inbox_for: Callable[[Request], Inbox] | None = None) -> Sender:
        made.append(Sender(inbox_for or (lambda request: film_inbox(folder, 10**9))))
        return made[-1]

    yield make
    for one in made:
        one.loop.close()
    asyncio.set_event_loop(None)


def test_a_film_arrives_slice_by_slice(sender: Callable[..., Sender], film: bytes, folder: Path) -> None:
    page = sender()
    half = len(film) // 2
    assert page.begin("Ein Film.mkv", film) == {"ticket": "1", "begun": True, "offset": 0}
    assert page.chunk(0, film[:half]) == {"ticket": "1", "offset": half}
    assert page.arrived == []
    assert page.chunk(half, film[half:]) == {"ticket": "1", "done": True}
    assert page.told[-2] == {"ticket": "1", "offset": len(film)}
    assert page.arrived == [("Ein Film.mkv", False)]
    assert (folder / "Ein Film.mkv").read_bytes() == film
    assert [path.name for path in folder.iterdir()] == ["Ein Film.mkv"]
    # the same once more
    page.begin("Ein Film.mkv", film, ticket="2")
    assert page.chunk(0, film, ticket="2") == {"ticket": "2", "done": True}
    assert page.arrived[1:] == [("Ein Film.mkv", True)]


@pytest.mark.parametrize("wrong", [1, 999, 1001, 5000])
def test_a_slice_for_another_place_is_answered_with_the_right_one(
    wrong: int, sender: Callable[..., Sender], film: bytes, folder: Path
) -> None:
    page = sender()
    page.begin("a.mkv", film)
    page.chunk(0, film[:1000])
    assert page.chunk(0, film[:1000]) == {"ticket": "1", "offset": 1000}  # sent twice: it is there
    assert page.chunk(wrong, film[wrong : wrong + 1000]) == {"ticket": "1", "restart": True, "offset": 1000}
    assert page.chunk(1000, film[1000:]) == {"ticket": "1", "done": True}
    assert (folder / "a.mkv").read_bytes() == film


def test_a_new_page_goes_on_where_the_old_one_was_closed(
    sender: Callable[..., Sender], film: bytes, folder: Path
) -> None:
    old, new = sender(), sender()
    old.begin("a.mkv", film)
    old.chunk(0, film[:1000])
    assert old.stop() == {}
    assert old.chunk(1000, film[1000:2000]) == {}  # it was on its way already
    assert new.begin("a.mkv", film, ticket="new") == {"ticket": "new", "begun": True, "offset": 1000}
    assert new.chunk(1000, film[1000:], ticket="new") == {"ticket": "new", "done": True}
    assert (folder / "a.mkv").read_bytes() == film
    assert (old.arrived, new.arrived) == ([], [("a.mkv", False)])


def test_a_page_that_was_closed_on_the_last_byte_has_only_to_begin(
    sender: Callable[..., Sender], film: bytes, folder: Path
) -> None:
    upload = film_inbox(folder, 10**9).begin("a.mkv", len(film), f"{len(film)}-a.mkv")
    upload.write(0, film)
    page = sender()
    assert page.begin("a.mkv", film) == {"ticket": "1", "done": True}
    assert page.told[0] == {"ticket": "1", "begun": True, "offset": len(film)}
    assert page.arrived == [("a.mkv", False)]


@pytest.mark.parametrize("size", [0, -1, 10**12])
def test_a_file_is_refused_before_its_first_byte(size: int, sender: Callable[..., Sender], folder: Path) -> None:
    page = sender()
    page.section.vue_begin_upload({"name": "a.mkv", "size": size, "fingerprint": "x", "ticket": "1"})
    [answer] = page.told
    assert answer["ticket"] == "1"
    assert "a.mkv was not taken" in answer["refused"]
    assert page.chunk(0, b"x") == {}
    assert not folder.exists()


def test_a_file_of_another_kind_is_refused(sender: Callable[..., Sender], folder: Path) -> None:
    assert "expected a film" in sender().begin("notes.txt", b"words")["refused"]
    assert not folder.exists()


def test_what_turns_out_to_be_no_film_is_refused_with_nothing_left(
    sender: Callable[..., Sender], film: bytes, folder: Path
) -> None:
    text, broken = b"just words, no film\n" * 100, film[:40] + bytes(4000)
    page = sender()
    page.begin("text.mkv", text)
    assert "plain text" in page.chunk(0, text)["refused"]
    assert page.chunk(len(text), b"more") == {}
    page.begin("broken.mkv", broken, ticket="2")
    refused = page.chunk(0, broken, ticket="2")["refused"]
    assert refused.startswith("broken.mkv was not taken")
    assert (page.arrived, list(folder.iterdir())) == ([], [])


def test_a_slice_beyond_the_end_is_refused(sender: Callable[..., Sender], film: bytes) -> None:
    page = sender()
    page.begin("a.mkv", film)
    assert "expected" in page.chunk(0, film + b"more")["refused"]
    assert page.chunk(0, film) == {}
    assert page.arrived == []


def test_unknown_tickets_and_slices_without_data_are_ignored(
    sender: Callable[..., Sender], film: bytes, folder: Path
) -> None:
    page = sender()
    page.begin("a.mkv", film)
    assert page.chunk(0, film, ticket="another") == {}
    assert page.stop("another") == {}
    for buffers in (None, []):
        page.section.vue_upload_chunk({"ticket": "1", "offset": 0}, buffers)
    assert len(page.told) == 1
    assert page.chunk(0, film) == {"ticket": "1", "done": True}
    assert page.chunk(len(film), b"late") == {}
    assert page.stop() == {}


def test_several_files_at_once_do_not_mix(sender: Callable[..., Sender], film: bytes, folder: Path) -> None:
    page = sender()
    other = film + bytes(100)
    page.begin("a.mkv", film, ticket="a")
    page.begin("b.mkv", other, ticket="b")
    assert page.chunk(0, film[:1000], ticket="a")["offset"] == 1000
    assert page.chunk(0, other[:2000], ticket="b")["offset"] == 2000
    assert page.chunk(1000, film[1000:], ticket="a") == {"ticket": "a", "done": True}
    assert page.chunk(2000, other[2000:], ticket="b") == {"ticket": "b", "done": True}
    assert ((folder / "a.mkv").read_bytes(), (folder / "b.mkv").read_bytes()) == (film, other)


# ---------------------------------------------------------------------------------------------------------- references

PICTURE = cv2.imencode(".png", np.full((50, 50, 3), 90, np.uint8))[1].tobytes()


@pytest.fixture
def references(sender: Callable[..., Sender], tmp_path: Path) -> Sender:
    """The section of the cast, as `view.py` makes it."""
    model = ViewModel(tmp_path)
    return sender(lambda request: model.reference_inbox(str(request.get("target", ""))))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("Rem (Re:Zero)", "rem_re_zero"),
        ("character_01", "character_01"),
        ("../../x", "x"),
        ("/etc/cron.d", "etc_cron_d"),
        ("..\\..\\windows", "windows"),
        ("con", "character_con"),
        (".upload", "upload"),
        ("~root", "root"),
        ("a\0b", "a_b"),
    ],
)
def test_reference_pictures_lie_with_their_character(
    target: str, name: str, references: Sender, tmp_path: Path
) -> None:
    references.begin("../../me.png", PICTURE, target=target)
    assert references.chunk(0, PICTURE) == {"ticket": "1", "done": True}
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        f"references/{name}/me.png"
    ]


@pytest.mark.parametrize("target", ["", "..", "../..", "/", "...", None])
def test_a_target_that_is_no_name_is_refused(target: str | None, references: Sender, tmp_path: Path) -> None:
    more = {} if target is None else {"target": target}
    assert "no letter or digit" in references.begin("me.png", PICTURE, **more)["refused"]
    assert list(tmp_path.iterdir()) == []


def test_a_film_is_no_reference_picture(references: Sender, tmp_path: Path) -> None:
    assert "expected a picture" in references.begin("a.mkv", PICTURE, target="rem")["refused"]
    references.begin("a.png", b"no picture", target="rem")
    assert "was not taken" in references.chunk(0, b"no picture")["refused"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_inbox_that_cannot_be_had_is_a_refusal(sender: Callable[..., Sender]) -> None:
    def nowhere(request: Request) -> Inbox:
        raise InputError("there is no such place")

    assert sender(nowhere).begin("a.mkv", b"x") == {"ticket": "1", "refused": "there is no such place"}


@pytest.mark.parametrize("place", ["begin", "write", "finish"])
def test_a_fault_that_nobody_expected_is_answered_too(
    place: str, sender: Callable[..., Sender], film: bytes, folder: Path
) -> None:
    def fault(*given: Any) -> Any:
        raise OSError("the disk is on fire")

    def inbox_for(request: Request) -> Inbox:
        if place == "begin":
            fault()
        accept, look = (fault, None) if place == "finish" else (lambda part: None, fault)
        return Inbox(folder, max_bytes=10**9, reserve_bytes=0, accept=accept, look=look)

    page = sender(inbox_for)
    answer = page.begin("a.mkv", film)
    if place != "begin":
        answer = page.chunk(0, film)
        assert film_inbox(folder, 10**9).pending()[0].offset == len(film)
    assert answer["refused"].startswith("something went wrong inside animeset (OSError: the disk is on fire)")
    assert page.arrived == []


def test_the_template_has_the_methods_that_both_sides_call() -> None:
    vue = Path(__file__).parents[2] / "animeset_lib" / "dashboard" / "vue"
    shared = (vue / "shared.js").read_text(encoding="utf-8")
    for method in ("begin_upload", "upload_chunk", "stop_upload"):
        assert f"this.{method}(" in shared
        assert hasattr(UploadSection, f"vue_{method}")
    assert "jupyter_upload_state(" in shared
    for section in ("film", "cast"):
        assert "mixins: [shared, uploader" in (vue / f"{section}.vue").read_text(encoding="utf-8")
