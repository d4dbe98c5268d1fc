"""The page: sections bound to the view-model. Decides nothing; hands actions over and shows the state that comes of them.

Everything a browser is told is told from the kernel's main thread. What is slow runs in a worker thread, one thing at a time, and only its result
comes back here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets
import traitlets

from animeset_lib.dashboard.film_card import RangeKind
from animeset_lib.dashboard.section import Act, Section
from animeset_lib.dashboard.shown_run import BUSY
from animeset_lib.dashboard.texts import Language, texts
from animeset_lib.dashboard.upload import UploadSection
from animeset_lib.dashboard.view_model import ViewModel
from animeset_lib.export.plan import By

__all__ = ["Dashboard"]

_POLL_S = 1.0
_IDLE_POLL_S = 3.0
_PICTURES_AT_ONCE = 12
Message = dict[str, Any]


class _Header(Section):
    """Title, language and light; tells what the browser prefers when the page opens, and remembers the film that is shown."""

    film = traitlets.Unicode().tag(sync=True)
    beat = traitlets.Int().tag(sync=True)
    """Rises with every look at the run, so that a page sees when nobody answers any more."""

    def vue_opened(self, data: Message) -> None:
        self._act({**data, "do": "opened"})

    def vue_speak(self, language: str) -> None:
        self._act({"do": "speak", "language": language})


class Dashboard:
    """`Dashboard().page` in the last line of a cell is the whole page; its sections (`film`, `settings`, `run`, `cast`, `result`) also work alone."""

    def __init__(self, root: Path | None = None, model: ViewModel | None = None) -> None:
        self.model = model_ = model or ViewModel(root or Path.cwd())
        self._tasks: set[asyncio.Task[Any]] = set()
        self._slowly = asyncio.Lock()
        self._phase = "idle"
        self._sorting = model_.sorting
        self._decided = model_.decided
        self._waiting = ""
        self._preparing = ""
        self._arrived: dict[str, Any] | None = None
        t = texts("en")
        self._states: dict[str, Callable[[], dict[str, Any]]] = {
            "film": lambda: {**model_.film_state(), "note": self._arrived},
            "settings": model_.settings_state,
            "run": lambda: {**model_.run_state(), "waiting": self._waiting},
            "cast": model_.cast_state,
            "result": lambda: {**model_.result_state(), "preparing": self._preparing},
        }

        def make(kind: type[Section], name: str, acts: dict[str, Act], **more: Any) -> Section:
            return kind(name, self._states[name](), t, self._acts(name, acts), **more)

        own: dict[str, Act] = {"opened": self._opened, "speak": self._speak}
        self.header = _Header("header", {}, t, lambda message: own[message["do"]](message))
        self.film = make(
            UploadSection, "film", self._film_acts(), inbox_for=lambda request: model_.films, arrived=self._film_arrived
        )
        self.settings = make(Section, "settings", self._settings_acts())
        self.run = make(Section, "run", self._run_acts())
        self.cast = make(
            UploadSection,
            "cast",
            self._cast_acts(),
            inbox_for=lambda request: model_.reference_inbox(str(request.get("target", ""))),
            arrived=lambda path, already, request: self._show("cast"),
        )
        self.result = make(Section, "result", self._result_acts())
        self._sections: dict[str, Section] = {name: getattr(self, name) for name in self._states}
        self.page = ipywidgets.VBox([self.header, *self._sections.values()])
        self.page.add_class("animeset-page")
        self._start(self._poll())

    # ---- what the page does by itself --------------------------------------------------------------------------------------------

    def _opened(self, message: Message) -> None:
        self._speak(message)
        film = message.get("film")
        self._slow("run", lambda: self.model.opened(str(film) if film else None), then=self._reopen)

    def _reopen(self) -> None:
        self._phase = ""  # so that the next look takes everything anew
        self._look()

    def _speak(self, message: Message) -> None:
        chosen: Language = "de" if message.get("language") == "de" else "en"
        for section in (self.header, *self._sections.values()):
            section.t = texts(chosen)

    async def _poll(self) -> None:
        while True:
            try:
                self.header.beat += 1
                self._look()
            except Exception:  # a page must not stop looking because of one bad moment
                logging.getLogger("animeset").exception("the page could not be brought up to date")
            await asyncio.sleep(_POLL_S if self._phase in BUSY else _IDLE_POLL_S)

    def _look(self) -> None:
        self._show("run")
        state = self.run.state
        self.header.film = state["folder"]
        if state["phase"] != self._phase:
            before, self._phase = self._phase, state["phase"]
            self._show("film", "settings")
            if state["phase"] != "starting":
                self._open_board()
            if state["phase"] not in BUSY and before in (*BUSY, ""):
                self._slow("result", self.model.refresh_result, then=lambda: self._show("result"))
            elif state["phase"] in BUSY:
                self._show("result")
        elif self.model.sorting != self._sorting:
            self._open_board()
        if self.model.decided != self._decided:
            self._show("cast")

    def _open_board(self) -> None:
        self._sorting = self.model.sorting
        self._slow("cast", self.model.open_board, then=lambda: self._show("cast"))

    def _film_arrived(self, path: Path, already: bool, request: dict[str, Any]) -> None:
        self._arrived = {"key": "film.already" if already else "film.arrived", "name": path.name}
        # files dropped together are chosen together
        self.model.choose([path.name] if request.get("first", True) else [*self.model.chosen, path.name])
        self._look_at_chosen()

    def _look_at_chosen(self) -> None:
        self._slow("film", self.model.look_at_chosen, then=lambda: self._show("film", "run"))
        self._slow("film", self.model.examine_chosen, then=lambda: self._show("film"))

    # ---- what a person does ------------------------------------------------------------------------------------------------------

    def _film_acts(self) -> dict[str, Act]:
        model = self.model

        def choose(m: Message) -> None:
            self._arrived = None
            name = str(m["name"])
            # one film, not all that are ticked: a page that was not answered yet does not know what was ticked last
            model.choose([*model.chosen, name] if m["on"] else [one for one in model.chosen if one != name])
            self._reopen()
            self._look_at_chosen()

        def kind(m: Message) -> RangeKind:
            return "only" if m["kind"] == "only" else "skip"

        def ranges(action: Act) -> Act:
            return self._now("film", action, "settings", "run")

        return {
            "refresh": lambda m: self._show("film", "run"),
            "choose": choose,
            "forget": self._now("film", lambda m: model.forget_upload(str(m["id"]))),
            "use_range": ranges(lambda m: model.use_range(kind(m), str(m["range"]))),
            "forget_range": ranges(lambda m: model.forget_range(kind(m), str(m["range"]))),
        }

    def _settings_acts(self) -> dict[str, Act]:
        model = self.model

        def now(action: Act) -> Act:
            def act(m: Message) -> None:
                action(m)
                self._look_at_chosen()  # how a film is read is a setting, too

            return self._now("settings", act, "film", "run")

        def export(m: Message) -> None:
            self.settings.tell("save", {"name": "animeset-settings.toml", "text": model.form.to_toml()})

        return {
            "set": now(lambda m: model.set_setting(str(m["name"]), m["value"])),
            "reset": now(lambda m: model.reset_setting(m.get("name"))),
            "preset": now(lambda m: model.choose_preset(str(m["name"]))),
            "import": now(lambda m: model.read_settings(str(m["text"]))),
            "explore": self._later("settings", lambda m: model.explore(str(m["name"]), float(m["value"]))),
            "export": export,
        }

    def _run_acts(self) -> dict[str, Act]:
        model = self.model

        def follow(m: Message) -> None:
            model.follow(str(m["folder"]))
            self._reopen()

        def log(m: Message) -> None:
            model.log_open = bool(m["open"])

        def option(m: Message) -> None:
            model.option("pause" if m["name"] == "pause" else "keep_work", bool(m["value"]))

        return {
            "start": lambda m: self._run_slowly("run.probing", model.start, self._reopen),
            "resume": lambda m: self._run_slowly("run.probing", model.resume, self._reopen),
            "plan": lambda m: self._run_slowly("run.planning", model.plan, lambda: self._show("run")),
            "cancel": self._now("run", lambda m: model.cancel()),
            "option": self._now("run", option),
            "cast": self._now("run", lambda m: model.take_cast_of(str(m["folder"]))),
            "follow": follow,
            "log": self._now("run", log),
        }

    def _cast_acts(self) -> dict[str, Act]:
        model = self.model

        def decided(action: Callable[[Message], object]) -> Act:
            return self._now("cast", action)

        def faces(m: Message) -> list[str]:
            return [str(face) for face in m["faces"]]

        return {
            "rename": decided(lambda m: model.board.rename(str(m["group"]), str(m["name"]))),
            "merge": decided(lambda m: model.board.merge([str(g) for g in m["groups"]], str(m["into"]))),
            "move": decided(lambda m: model.board.move(faces(m), str(m["to"]))),
            "reject": decided(lambda m: model.board.reject(faces(m))),
            "reject_group": decided(lambda m: model.board.reject([], str(m["group"]))),
            "drop": decided(lambda m: model.board.drop(faces(m))),
            "restore": decided(lambda m: model.board.restore(faces(m))),
            "undo": decided(lambda m: model.board.undo()),
            "redo": decided(lambda m: model.board.redo()),
            "pictures": lambda m: self._pictures("cast", m["ids"], lambda ids: model.board.pictures(ids)),
            "big": lambda m: self._answer("cast", "big", lambda: model.board.big(str(m["id"]))),
            "apply": lambda m: self._run_slowly("run.probing", model.apply_decisions, self._reopen),
        }

    def _result_acts(self) -> dict[str, Act]:
        model = self.model
        results = model.results

        def edited(action: Callable[[Message], object]) -> Act:
            return self._later("result", action)

        def preview(m: Message) -> None:
            results.gallery.preview(**{key: value for key, value in m.items() if key != "do"})

        return {
            "show": edited(lambda m: results.open(None, str(m["folder"]))),
            "character": edited(lambda m: results.gallery.select(str(m["name"]))),
            "caption": edited(lambda m: results.gallery.set_caption(str(m["image"]), str(m["text"]))),
            "preview": edited(preview),
            "apply": edited(lambda m: results.gallery.apply()),
            "discard": edited(lambda m: results.gallery.discard()),
            "undo": edited(lambda m: results.gallery.undo()),
            "redo": edited(lambda m: results.gallery.redo()),
            "pictures": lambda m: self._pictures(
                "result", m["images"], lambda images: results.gallery.pictures(images)
            ),
            "big": lambda m: self._answer("result", "big", lambda: results.gallery.big(str(m["image"]))),
            "sheet": lambda m: self._answer("result", "sheet", lambda: results.gallery.sheet(str(m["name"]))),
            "download": self._download,
        }

    def _download(self, message: Message) -> None:
        what, by = str(message["what"]), message.get("by")
        grouping: By = "outfit" if by == "outfit" else "emotion" if by == "emotion" else "character"
        self._preparing = what if what in ("all", "film") else "export"
        self._show("result")

        def ready(path: str) -> None:
            self._show("result")
            self.result.tell("download", {"path": path})

        def prepared() -> None:
            self._preparing = ""
            self._show("result")

        self._slow("result", lambda: self.model.results.prepare_download(what, grouping), prepared, result=ready)

    # ---- how things are done -----------------------------------------------------------------------------------------------------

    def _now(self, section: str, action: Callable[[Message], object], *also: str) -> Act:
        """`action` here and now; then the section is shown anew, and `also` others."""

        def act(message: Message) -> None:
            action(message)
            self._show(section, *also)

        return act

    def _later(self, section: str, action: Callable[[Message], object]) -> Act:
        """`action` in the worker thread; then the section is shown anew."""
        return lambda m: self._slow(section, lambda: action(m), then=lambda: self._show(section))

    def _answer(self, section: str, method: str, work: Callable[[], Any]) -> None:
        """Tell the page what `work` gives in the worker thread."""
        self._slow(section, work, result=lambda found: self._sections[section].tell(method, found))

    def _pictures(self, section: str, wanted: list[Any], source: Callable[[list[str]], dict[str, str]]) -> None:
        """Small pictures in small portions, so that the first ones are seen early and other things get their turn."""

        tell = partial(self._sections[section].tell, "pictures")
        for start in range(0, len(wanted), _PICTURES_AT_ONCE):
            part = [str(one) for one in wanted[start : start + _PICTURES_AT_ONCE]]
            self._slow("pictures", partial(source, part), result=tell)

    def _acts(self, section: str, acts: dict[str, Act]) -> Act:
        """One function for all a section sends; what cannot be done is said in the section."""

        def act(message: Message) -> None:
            do = acts.get(str(message.get("do")))
            if do is None:
                return
            self.model.fault(section, None)
            try:
                do(message)
            except Exception as error:
                self._fault(section, error)

        return act

    def _slow(
        self,
        section: str,
        work: Callable[[], Any],
        then: Callable[[], None] | None = None,
        *,
        result: Callable[[Any], None] | None = None,
    ) -> None:
        """Do `work` in a worker thread, after what is being done there; then here `result(what it gave)` and, whatever happened, `then()`.

        A fault is said in the section.
        """

        async def do() -> None:
            try:
                async with self._slowly:
                    found = await asyncio.to_thread(work)
                if result is not None:
                    result(found)
            except Exception as error:
                self._fault(section, error)
            finally:
                if then is not None:
                    then()

        self._start(do())

    def _run_slowly(self, waiting: str, work: Callable[[], Any], then: Callable[[], None]) -> None:
        """`work` for the run's section; `waiting` is the key of what is said meanwhile."""

        def done() -> None:
            self._waiting = ""
            then()

        self._waiting = waiting
        self._show("run")
        self._slow("run", work, done)

    def _fault(self, section: str, error: Exception) -> None:
        if not hasattr(error, "exit_code"):
            logging.getLogger("animeset").exception("a fault behind the page", exc_info=error)
        self.model.fault(section, error)
        if section in self._sections:
            self._show(section)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_event_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _show(self, *names: str) -> None:
        for name in names:
            if name == "cast":
                self._decided = self.model.decided
            self._sections[name].state = self._states[name]()
