"""The page: sections bound to the view-model. Decides nothing; hands actions over and shows the state that comes of them.

Everything a browser is told is told from the kernel's main thread. What is slow runs in a worker thread, one thing at a time, and only its result
comes back here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import ipywidgets
import traitlets

from animeset_lib.dashboard.section import Section
from animeset_lib.dashboard.shown_run import BUSY
from animeset_lib.dashboard.texts import LANGUAGES, Language, texts
from animeset_lib.dashboard.upload import UploadSection
from animeset_lib.dashboard.view_model import ViewModel
from animeset_lib.export.plan import By

__all__ = ["Dashboard"]

_POLL_S = 1.0
_IDLE_POLL_S = 3.0
_PICTURES_AT_ONCE = 12
Handler = Callable[[dict[str, Any]], None]


class _Header(Section):
    """Title, language and light; tells what the browser prefers when the page opens, and remembers the film that is shown."""

    film = traitlets.Unicode().tag(sync=True)
    beat = traitlets.Int().tag(sync=True)
    """Rises with every look at the run, so that a page sees when nobody answers any more."""

    def __init__(self, t: Mapping[str, str], opened: Handler, speak: Callable[[str], None]) -> None:
        self._opened, self._speak = opened, speak
        super().__init__("header", {}, t, lambda message: None)

    def vue_opened(self, data: dict[str, Any]) -> None:
        self._opened(data)

    def vue_speak(self, language: str) -> None:
        self._speak(language)


class Dashboard:
    """`Dashboard().page` in the last line of a cell is the whole page; its sections (`film`, `settings`, `run`, `cast`, `result`) also work alone."""

    def __init__(self, root: Path | None = None, model: ViewModel | None = None) -> None:
        self.model = model or ViewModel(root or Path.cwd())
        self._tasks: set[asyncio.Task[Any]] = set()
        self._slowly = asyncio.Lock()
        self._phase = "idle"
        self._sorting = self.model.sorting
        self._decided = self.model.decided
        self._waiting = ""
        self._preparing = ""
        self._arrived: dict[str, Any] | None = None
        t = texts("en")
        model_ = self.model
        self.header = _Header(t, self._opened, self._speak)
        self.film = UploadSection(
            "film",
            self._film_state(),
            t,
            self._acts("film", self._film_acts()),
            inbox_for=lambda request: model_.films,
            arrived=self._film_arrived,
        )
        self.settings = Section("settings", model_.settings_state(), t, self._acts("settings", self._settings_acts()))
        self.run = Section("run", self._run_state(), t, self._acts("run", self._run_acts()))
        self.cast = UploadSection(
            "cast",
            model_.cast_state(),
            t,
            self._acts("cast", self._cast_acts()),
            inbox_for=lambda request: model_.reference_inbox(str(request.get("target", ""))),
            arrived=lambda path, already, request: self._show("cast"),
        )
        self.result = Section("result", self._result_state(), t, self._acts("result", self._result_acts()))
        self._sections: dict[str, Section] = {
            "film": self.film,
            "settings": self.settings,
            "run": self.run,
            "cast": self.cast,
            "result": self.result,
        }
        self.page = ipywidgets.VBox([self.header, *self._sections.values()])
        self.page.add_class("animeset-page")
        self._start(self._poll())

    # ---- what the page does by itself --------------------------------------------------------------------------------------------

    def _opened(self, data: dict[str, Any]) -> None:
        self._speak(str(data.get("language", "en")))
        film = data.get("film")
        self._slow("run", lambda: self.model.opened(str(film) if film else None), then=self._reopen)

    def _reopen(self) -> None:
        self._phase = ""  # so that the next look takes everything anew
        self._look()

    def _speak(self, language: str) -> None:
        chosen: Language = "de" if language == "de" else LANGUAGES[0]
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
        state = self._run_state()
        self.run.state = state
        self.header.film = state["folder"]
        if state["phase"] != self._phase:
            before, self._phase = self._phase, state["phase"]
            self._show("film", "settings")
            if state["phase"] not in ("starting",):
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
        self._slow("film", self.model.look_at_chosen, then=lambda: self._show("film", "run"))

    # ---- what a person does ------------------------------------------------------------------------------------------------------

    def _film_acts(self) -> dict[str, Handler]:
        model = self.model

        def choose(message: dict[str, Any]) -> None:
            self._arrived = None
            name = str(message["name"])
            # one film, not all that are ticked: a page that was not answered yet does not know what was ticked last
            model.choose([*model.chosen, name] if message["on"] else [one for one in model.chosen if one != name])
            self._reopen()
            self._slow("film", model.look_at_chosen, then=lambda: self._show("film", "run"))

        def forget(message: dict[str, Any]) -> None:
            model.forget_upload(str(message["id"]))
            self._show("film")

        return {"refresh": lambda message: self._show("film", "run"), "choose": choose, "forget": forget}

    def _settings_acts(self) -> dict[str, Handler]:
        model = self.model

        def shown(action: Callable[[dict[str, Any]], None]) -> Handler:
            def act(message: dict[str, Any]) -> None:
                action(message)
                self._show("settings", "run")

            return act

        def explore(message: dict[str, Any]) -> None:
            name, value = str(message["name"]), float(message["value"])
            self._slow("settings", lambda: model.explore(name, value), then=lambda: self._show("settings"))

        def export(message: dict[str, Any]) -> None:
            self.settings.tell("save", {"name": "animeset-settings.toml", "text": model.form.to_toml()})

        return {
            "set": shown(lambda message: model.set_setting(str(message["name"]), message["value"])),
            "reset": shown(lambda message: model.reset_setting(message.get("name"))),
            "preset": shown(lambda message: model.choose_preset(str(message["name"]))),
            "import": shown(lambda message: model.read_settings(str(message["text"]))),
            "explore": explore,
            "export": export,
        }

    def _run_acts(self) -> dict[str, Handler]:
        model = self.model

        def option(message: dict[str, Any]) -> None:
            model.option("pause" if message["name"] == "pause" else "keep_work", bool(message["value"]))
            self._show("run")

        def cast(message: dict[str, Any]) -> None:
            model.take_cast_of(str(message["folder"]))
            self._show("run")

        def cancel(message: dict[str, Any]) -> None:
            model.cancel()
            self._show("run")

        def follow(message: dict[str, Any]) -> None:
            model.follow(str(message["folder"]))
            self._reopen()

        def log(message: dict[str, Any]) -> None:
            model.log_open = bool(message["open"])
            self._show("run")

        return {
            "start": lambda message: self._slow("run", model.start, "run.probing", self._reopen),
            "resume": lambda message: self._slow("run", model.resume, "run.probing", self._reopen),
            "plan": lambda message: self._slow("run", model.plan, "run.planning", lambda: self._show("run")),
            "cancel": cancel,
            "option": option,
            "cast": cast,
            "follow": follow,
            "log": log,
        }

    def _cast_acts(self) -> dict[str, Handler]:
        model = self.model

        def decided(action: Callable[[dict[str, Any]], object]) -> Handler:
            def act(message: dict[str, Any]) -> None:
                action(message)
                self._show("cast")

            return act

        def faces(message: dict[str, Any]) -> list[str]:
            return [str(face) for face in message["faces"]]

        def big(message: dict[str, Any]) -> None:
            self._slow(
                "cast", lambda: model.board.big(str(message["id"])), result=lambda found: self.cast.tell("big", found)
            )

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
            "pictures": lambda m: self._pictures(self.cast, [str(i) for i in m["ids"]], lambda: model.board.pictures),
            "big": big,
            "apply": lambda m: self._slow("run", model.apply_decisions, "run.probing", self._reopen),
        }

    def _result_acts(self) -> dict[str, Handler]:
        model = self.model

        def edited(action: Callable[[dict[str, Any]], object]) -> Handler:
            return lambda message: self._slow("result", lambda: action(message), then=lambda: self._show("result"))

        def download(message: dict[str, Any]) -> None:
            what, by = str(message["what"]), message.get("by")
            grouping: By = "outfit" if by == "outfit" else "emotion" if by == "emotion" else "character"
            self._preparing = what if what in ("all", "film") else "export"
            self._show("result")

            def ready(path: str) -> None:
                self._show("result")
                self.result.tell("download", {"path": path})

            self._slow("result", lambda: model.prepare_download(what, grouping), result=ready, lastly=self._prepared)

        def big(message: dict[str, Any]) -> None:
            self._slow(
                "result",
                lambda: model.gallery.big(str(message["image"])),
                result=lambda found: self.result.tell("big", found),
            )

        def sheet(message: dict[str, Any]) -> None:
            self._slow(
                "result",
                lambda: model.gallery.sheet(str(message["name"])),
                result=lambda found: self.result.tell("sheet", found),
            )

        def preview(m: dict[str, Any]) -> None:
            model.gallery.preview(**{key: value for key, value in m.items() if key != "do"})

        return {
            "show": edited(lambda m: model.show_result(str(m["folder"]))),
            "character": edited(lambda m: model.gallery.select(str(m["name"]))),
            "caption": edited(lambda m: model.gallery.set_caption(str(m["image"]), str(m["text"]))),
            "preview": edited(preview),
            "apply": edited(lambda m: model.gallery.apply()),
            "discard": edited(lambda m: model.gallery.discard()),
            "undo": edited(lambda m: model.gallery.undo()),
            "redo": edited(lambda m: model.gallery.redo()),
            "pictures": lambda m: self._pictures(
                self.result, [str(image) for image in m["images"]], lambda: model.gallery.pictures
            ),
            "big": big,
            "sheet": sheet,
            "download": download,
        }

    def _prepared(self) -> None:
        self._preparing = ""
        self._show("result")

    def _pictures(
        self, section: Section, wanted: list[str], source: Callable[[], Callable[[list[str]], dict[str, str]]]
    ) -> None:
        """Small pictures in small portions, so that the first ones are seen early and other things get their turn."""

        def send(part: list[str]) -> None:
            self._slow("pictures", lambda: source()(part), result=lambda found: section.tell("pictures", found))

        for start in range(0, len(wanted), _PICTURES_AT_ONCE):
            send(wanted[start : start + _PICTURES_AT_ONCE])

    # ---- how things are done -----------------------------------------------------------------------------------------------------

    def _acts(self, section: str, handlers: Mapping[str, Handler]) -> Handler:
        """One function for all a section sends; what cannot be done is said in the section."""

        def act(message: dict[str, Any]) -> None:
            handler = handlers.get(str(message.get("do")))
            if handler is None:
                return
            self.model.fault(section, None)
            try:
                handler(message)
            except Exception as error:
                self._fault(section, error)

        return act

    def _slow(
        self,
        section: str,
        work: Callable[[], Any],
        waiting: str = "",
        then: Callable[[], None] | None = None,
        *,
        result: Callable[[Any], None] | None = None,
        lastly: Callable[[], None] | None = None,
    ) -> None:
        """Do `work` in a worker thread, after what is being done there; then `result(what it gave)` and `then()` here.

        A fault is said in the section. `waiting` is the key of what is said meanwhile; `lastly()` is called whatever happened.
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
                if waiting:
                    self._waiting = ""
                if lastly is not None:
                    lastly()
            if then is not None:
                then()

        if waiting:
            self._waiting = waiting
            self._show("run")
        self._start(do())

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
        makers = {
            "film": self._film_state,
            "settings": self.model.settings_state,
            "run": self._run_state,
            "cast": self.model.cast_state,
            "result": self._result_state,
        }
        for name in names:
            if name == "cast":
                self._decided = self.model.decided
            self._sections[name].state = makers[name]()

    def _film_state(self) -> dict[str, Any]:
        return {**self.model.film_state(), "note": self._arrived}

    def _run_state(self) -> dict[str, Any]:
        return {**self.model.run_state(), "waiting": self._waiting}

    def _result_state(self) -> dict[str, Any]:
        return {**self.model.result_state(), "preparing": self._preparing}
