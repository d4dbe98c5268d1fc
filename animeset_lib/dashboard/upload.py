"""A section that files can be sent to: the page slices a file, each slice is a message with a buffer, and every one is answered.

The answer (the template's `jupyter_upload_state`) holds `ticket` and one of: `begun` or `restart` with the `offset` to send from, `offset` alone for
a slice that was taken, `done`, or `refused` with a sentence. A page sends a few slices ahead at most, so neither the server nor the kernel
ever holds more than those. What arrived lies on the disk (`receiving.py`); a page that is closed and opened again goes on there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from animeset_lib.dashboard.receiving import Inbox, Upload
from animeset_lib.dashboard.section import Act, Section
from animeset_lib.errors import AnimesetError, sentence_of

__all__ = ["UploadSection"]


class UploadSection(Section):
    """`inbox_for(request)` says where a file goes (`request` has `name`, `size`, perhaps `target`); `arrived(path, already, request)` is
    told when one is there. Both are called in the kernel's main thread."""

    def __init__(
        self,
        name: str,
        state: Mapping[str, Any],
        t: Mapping[str, str],
        act: Act,
        *,
        inbox_for: Callable[[dict[str, Any]], Inbox],
        arrived: Callable[[Path, bool, dict[str, Any]], None],
    ) -> None:
        self._inbox_for = inbox_for
        self._arrived = arrived
        self._running: dict[str, tuple[Upload, dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        super().__init__(name, state, t, act)

    def vue_begin_upload(self, request: dict[str, Any]) -> None:
        ticket = str(request["ticket"])
        try:
            upload = self._inbox_for(request).begin(
                str(request["name"]), int(request["size"]), str(request["fingerprint"])
            )
        except Exception as error:
            self._refuse(ticket, error)
            return
        self._running[ticket] = (upload, request)
        self._answer(ticket, begun=True, offset=upload.offset)
        if upload.offset == int(request["size"]):  # all of it had arrived before the page was closed
            self._finish(ticket)

    def vue_upload_chunk(self, slice_: dict[str, Any], buffers: Sequence[memoryview] | None = None) -> None:
        ticket, offset = str(slice_["ticket"]), int(slice_["offset"])
        if ticket not in self._running or not buffers:
            return  # stopped meanwhile; slices that were on their way are of no interest
        upload, request = self._running[ticket]
        try:
            reached = upload.write(offset, buffers[0])
        except Exception as error:
            del self._running[ticket]
            self._refuse(ticket, error)
            return
        if reached != offset + len(buffers[0]):
            self._answer(ticket, restart=True, offset=reached)
            return
        self._answer(ticket, offset=reached)
        if reached == int(request["size"]):
            self._finish(ticket)

    def vue_stop_upload(self, request: dict[str, Any]) -> None:
        """The part that arrived stays, so that the same file can be sent on later."""
        self._running.pop(str(request["ticket"]), None)

    def _finish(self, ticket: str) -> None:
        task = asyncio.get_event_loop().create_task(self._finished(ticket))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finished(self, ticket: str) -> None:
        upload, request = self._running.pop(ticket)
        try:
            # flushing and comparing gigabytes takes seconds, in which the page should go on living
            path = await asyncio.to_thread(upload.finish)
        except Exception as error:
            self._refuse(ticket, error)
            return
        self._answer(ticket, done=True)
        self._arrived(path, upload.already_here, request)

    def _refuse(self, ticket: str, error: Exception) -> None:
        """Also for what nobody expected (a broken disk): a page that is not answered waits for ever."""
        if not isinstance(error, AnimesetError):
            logging.getLogger("animeset").error("a fault behind an upload", exc_info=error)
        self._answer(ticket, refused=sentence_of(error, "what has arrived is kept"))

    def _answer(self, ticket: str, **answer: Any) -> None:
        self.tell("upload_state", {"ticket": ticket, **answer})
