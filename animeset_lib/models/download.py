"""Bytes from the network into a file: with patience, going on where an earlier try stopped, and one sentence when it cannot be.

huggingface_hub knows the hub's addresses, tokens and answers; the bytes of hub and release files alike come through one loop here, because
`hf_hub_download` (2.4) drops what had arrived when it is interrupted and `pooch.retrieve` (1.9) begins every try from an empty file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeset_lib.errors import ModelError, SpaceError
from animeset_lib.models.spec import HubFile

__all__ = [
    "Line",
    "OfflineError",
    "Origin",
    "Paced",
    "Progress",
    "ask_hub",
    "came_from",
    "download",
    "endpoint",
    "need",
]

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that are there so far, and all its bytes or None; at most about ten times a second, and at the end."""

_CONNECT_S = 5.0
_SILENCE_S = 10.0
_PATIENCE_S = 15.0
"""Seconds: to connect, to wait for the next byte, and all tries together that brought no new byte."""
_WAITS_S = (0.5, 2.0)
"""Before the second and the third try."""
_CHUNK = 1 << 16
"""Small, so that a slow line shows progress and little is lost when it breaks."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


class OfflineError(ModelError):
    """The network was needed, but it cannot be reached or the environment forbids it."""


@dataclass(frozen=True)
class Origin:
    """Where the bytes of a file are, and what the server says about them: `sha256` only where the hub states it (LFS files)."""

    url: str
    headers: Mapping[str, str]
    size: int | None
    commit: str | None
    sha256: str | None


class Paced:
    """Hands progress on at most ten times a second, and always when all bytes are there."""

    def __init__(self, progress: Progress, name: str, total: int | None) -> None:
        self.total = total
        self._progress = progress
        self._name = name
        self._next = 0.0

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now >= self._next or done == self.total:
            self._next = now + 0.1
            self._progress(self._name, done, self.total)


class Line:
    """The patience with one server: a few tries, not longer than `_PATIENCE_S` in all, counted anew whenever it came further than before."""

    def __init__(self, words: Callable[[str], str]) -> None:
        self._words = words
        self._furthest = -1
        self._tries = 0
        self._since = time.monotonic()

    def moved(self, done: int) -> None:
        """`done` bytes are here. Only more than ever count: a server that cannot go on and is cut each time would be asked for ever."""
        if done > self._furthest:
            self._furthest = done
            self._tries = 0
            self._since = time.monotonic()

    @property
    def silence_s(self) -> float:
        """How long the next try may wait for a byte."""
        return max(1.0, min(_SILENCE_S, _PATIENCE_S - (time.monotonic() - self._since)))

    def failed(self, why: str) -> None:
        """Sleep before the next try, or raise `OfflineError` when there is none."""
        waited = time.monotonic() - self._since
        if self._tries == len(_WAITS_S) or waited + _WAITS_S[self._tries] >= _PATIENCE_S:
            raise OfflineError(self._words(why))
        time.sleep(_WAITS_S[self._tries])
        self._tries += 1


def endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def ask_hub(file: HubFile, revision: str, line: Line, advice: str) -> Origin:
    """What the hub says about a file, without its bytes. Raises `OfflineError` or `ModelError`."""
    # its first request would tell the hub which program is asking
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    url = hf_hub_url(file.repo, file.path, revision=revision, endpoint=endpoint())
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    while True:
        try:
            facts = get_hf_file_metadata(url, token=token or False, timeout=_CONNECT_S)
            break
        except HfHubHTTPError as error:
            _refused(url, error.response.status_code, line, advice)
        except OfflineModeIsEnabled as error:
            # read from the environment when huggingface_hub was imported, so it may hold where the environment says otherwise by now
            line.failed(f"huggingface_hub is in offline mode ({error})")
        except Exception as error:
            # huggingface_hub passes on what its HTTP library raises, which was requests (0.x), is httpx (1.x) and httpx2 (2.x)
            if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "requests"):
                raise
            line.failed(_reason(error))
    line.moved(0)
    if facts.commit_hash is None:
        raise ModelError(
            f"{url}: expected the answer of a Hugging Face hub, got one that names no commit; check HF_ENDPOINT, or whether a proxy or a "
            "login page answers in its place"
        )
    stated = facts.etag if facts.etag and _SHA256.fullmatch(facts.etag) else None
    pinned = hf_hub_url(file.repo, file.path, revision=facts.commit_hash, endpoint=endpoint())
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Origin(pinned, headers, facts.size, facts.commit_hash, stated)


def download(origin: Origin, size: int | None, part: Path, tell: Paced, line: Line, advice: str) -> None:
    """All bytes of `origin` into `part`, going on where an earlier try for the same address stopped.

    `size` is what the table of models expects. Raises `OfflineError` (what arrived stays), `ModelError` or `SpaceError`.
    """
    import requests

    if size is not None and origin.size is not None and origin.size != size:
        raise _other_size(origin.url, size, origin.size, advice)
    while True:
        have, etag = _kept(part, origin.url)
        if origin.size is not None and have >= origin.size:
            if have == origin.size:
                tell.total = origin.size
                tell(have)
                return
            have = 0
        # identity: lengths and ranges are to be those of the file
        headers = {**origin.headers, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with requests.get(origin.url, headers=headers, stream=True, timeout=(_CONNECT_S, line.silence_s)) as answer:
                if have and answer.status_code in (206, 416) and not _goes_on(answer, have, etag):
                    # another file by now, or more than there is: begin anew
                    part.unlink()
                    continue
                if answer.status_code not in (200, 206):
                    _refused(origin.url, answer.status_code, line, advice)
                    continue
                if answer.status_code == 200:
                    have = 0
                length = answer.headers.get("Content-Length", "")
                total = have + int(length) if length.isdecimal() else origin.size
                if None not in (total, origin.size) and total != origin.size:
                    raise _other_size(origin.url, origin.size, total, advice)
                need(part.parent, (total or 0) - have)
                tell.total = total
                note = {"url": origin.url, "etag": answer.headers.get("ETag", "")}
                came_from(part).write_text(json.dumps(note), encoding="utf-8", newline="\n")
                with part.open("ab" if have else "wb") as file:
                    for chunk in answer.iter_content(_CHUNK):
                        file.write(chunk)
                        have += len(chunk)
                        line.moved(have)
                        tell(have)
            if total is None or have == total:
                return
            line.failed(f"the connection was cut after {have} of {total} bytes; the next fetch goes on from there")
        except requests.RequestException as error:
            so_far, _ = _kept(part, origin.url)
            kept = f" after {so_far} bytes, which are kept for the next fetch" if so_far else ""
            line.failed(_reason(error) + kept)


def _goes_on(answer: Any, have: int, etag: str) -> bool:
    """Whether a partial answer continues the very file whose first `have` bytes are here."""
    begins = str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-")
    return begins and str(answer.headers.get("ETag", "")) == etag


def came_from(part: Path) -> Path:
    return part.with_suffix(".from")


def _kept(part: Path, url: str) -> tuple[int, str]:
    """How many bytes of this address lie in `part`, and the ETag they came with; 0 when they are another address's."""
    try:
        note = json.loads(came_from(part).read_text(encoding="utf-8"))
        return (part.stat().st_size, str(note["etag"])) if note["url"] == url else (0, "")
    except (OSError, ValueError, TypeError, KeyError):
        return 0, ""


def _refused(url: str, status: int, line: Line, advice: str) -> None:
    """Waits where such an answer is a trouble of the server that may pass: overload, too many requests, a bad gateway. Else raises."""
    if status >= 500 or status in (408, 429):
        line.failed(f"it answered HTTP {status}")
        return
    expected, got = "a file", f"HTTP {status}; {advice}"
    if status == 404:
        got = f"HTTP 404: there is none (any more); {advice}"
    elif status in (401, 403):
        expected = "a file that may be fetched"
        got = (
            f"HTTP {status}: the repository is gated, private or gone; accept its terms on its page if it has any, "
            "log in with `hf auth login`, and fetch again"
        )
    raise ModelError(f"{url}: expected {expected}, got {got}")


def _other_size(url: str, expected: int | None, got: int | None, advice: str) -> ModelError:
    return ModelError(f"{url} is not the file it should be: expected {expected} bytes, got {got}; {advice}")


def _reason(error: Exception) -> str:
    """A connection's failure in a few words; the libraries' own texts are chains of class names."""
    kind, text = type(error).__name__, str(error)
    if "Proxy" in kind:
        return "the proxy named in HTTPS_PROXY or HTTP_PROXY does not answer"
    if "SSL" in kind or "CERTIFICATE" in text:
        return "its certificate is not accepted (behind an inspecting proxy set REQUESTS_CA_BUNDLE and SSL_CERT_FILE)"
    if "Timeout" in kind or "timed out" in text:
        return "it does not answer in time"
    if any(sign in text for sign in ("NameResolution", "getaddrinfo", "ame or service", "name resolution")):
        return "its name cannot be resolved"
    return "the connection was refused" if "refused" in text else "the connection broke"


def need(folder: Path, size: int) -> None:
    """Raises `SpaceError` when `size` more bytes do not fit."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise SpaceError(
            f"{folder}: expected {size / 1e6:.0f} MB of free disk space, got {free / 1e6:.0f} MB; "
            "free some, or set ANIMESET_MODELS to a folder on another disk"
        )
