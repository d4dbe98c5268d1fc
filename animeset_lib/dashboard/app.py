"""Serves the page: a Jupyter server with a token, and Voila in it as an extension that shows `dashboard.ipynb` without its code.

The notebook and Voila's settings come with animeset; the folder that is served, the project, may be an empty one.
"""

from __future__ import annotations

import ipaddress
import json
import os
import sys
from pathlib import Path
from typing import Any

from animeset_lib.dashboard import MAX_UPLOAD
from animeset_lib.errors import InputError
from animeset_lib.shipped import shipped
from animeset_lib.system import LOCAL_SOCKETS

__all__ = ["NOTEBOOK", "serve"]

NOTEBOOK = "dashboard.ipynb"
_CONFIG = "voila.json"
_CULL_S = 900
"""A kernel nobody is connected to any more (a browser that crashed cannot say goodbye) is ended after this time; runs are no part of it."""
_SOCKET_PATH = 107
"""Longest path of a local socket (sun_path of Linux, less its end); the kernel's is its runtime folder and about 60 characters."""
_ONLY_FROM_HERE = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss: data: blob:; frame-ancestors 'self'"
"""Voila's template names scripts of other sites (MathJax, icons); the page needs none, and what can run programs here loads nothing foreign."""


def serve(root: Path, *, host: str, port: int, browser: bool, max_upload_gb: float | None = None) -> None:
    """Serve until interrupted; prints the address, token included. `root` is the project folder, `max_upload_gb` the most an upload may have.

    Raises `InputError` when there is no such folder or the port cannot be had.
    """
    if not root.is_dir():
        raise InputError(f"{root}: expected a folder for films and results, got none; make it, or name another")
    # jsonschema can do without; only its check of addresses with foreign letters has it, and to load it takes longer than all else
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from jupyter_core.paths import jupyter_runtime_dir
    from jupyter_server.serverapp import ServerApp
    from traitlets.config import Config

    if max_upload_gb is not None:
        os.environ[MAX_UPLOAD] = str(max_upload_gb)  # the page lives in a kernel, a process of its own
    os.chdir(root)
    config = Config(json.loads((shipped() / _CONFIG).read_text(encoding="utf-8")))
    config.ServerApp.contents_manager_class = _contents()
    config.ServerApp.root_dir = str(Path.cwd())
    config.ServerApp.ip = host
    config.ServerApp.port = port
    config.ServerApp.port_retries = 0  # the port that was asked for or none
    config.ServerApp.open_browser = browser
    config.ServerApp.default_url = f"/voila/render/{NOTEBOOK}"
    config.ServerApp.jpserver_extensions = {"voila.server_extension": True}
    config.ServerApp.terminals_enabled = False
    config.ServerApp.allow_root = True  # as in containers and on Colab; the token is what protects
    config.ServerApp.log_level = "ERROR"
    config.MappingKernelManager.cull_idle_timeout = _CULL_S
    config.MappingKernelManager.cull_interval = 60
    config.ServerApp.tornado_settings = {"headers": {"Content-Security-Policy": _ONLY_FROM_HERE}}
    if LOCAL_SOCKETS and len(jupyter_runtime_dir()) + 60 < _SOCKET_PATH:
        config.ConnectionFileMixin.transport = "ipc"  # other users of the machine cannot listen
    _mend_voila()
    app = ServerApp(config=config)
    try:
        app.initialize(argv=[], find_extensions=False)  # Voila alone: no others that happen to be installed
    except SystemExit as end:
        raise InputError(
            f"the port {port} on {host} cannot be had; another program may use it. Name another with --port"
        ) from end
    # said once the server listens, which is the first thing its loop does
    app.io_loop.add_callback(_say_where, app.display_url.splitlines()[0].strip(), host)
    # ... and not a second time
    app.log.addFilter(lambda record: "To access the server" not in record.getMessage())
    app.start()


def _say_where(address: str, host: str) -> None:
    print(f"animeset: {address}", flush=True)
    if not _is_local(host):
        print(
            f"Warning: {host} can be reached by other machines. Whoever knows the address with its token can run programs here; "
            "without encryption everyone on the way can read it. Use it in networks you trust only.",
            flush=True,
        )
    print("Stop with Ctrl-C. Runs that are going on are not stopped by that.", flush=True)


def _contents() -> type[Any]:
    """The project's files as the server sees them: where the page is asked for, the one that comes with animeset is there."""
    from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

    page = AsyncLargeFileManager(root_dir=str(shipped()))

    class Contents(AsyncLargeFileManager):
        async def get(self, path: str, *arguments: Any, **options: Any) -> Any:
            get: Any = page.get if path.strip("/") == NOTEBOOK else super().get
            return await get(path, *arguments, **options)

    return Contents


def _mend_voila() -> None:
    """Two handlers of Voila 0.5: what is on its allow-list goes to everyone who reaches the port, without token and under any host name; and the
    goodbye of a closed page, which ends its kernel, is refused, for the page was never given the cookie that the goodbye is checked by.
    """
    from jupyter_server.base.handlers import JupyterHandler
    from tornado.web import authenticated
    from voila import server_extension
    from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
    from voila.static_file_handler import AllowListFileHandler

    class Downloads(JupyterHandler, AllowListFileHandler):  # type: ignore[misc]
        get = authenticated(AllowListFileHandler.get)  # HEAD goes through it as well

    class Goodbye(VoilaShutdownKernelHandler):  # type: ignore[misc]
        def check_xsrf_cookie(self) -> None:
            """The token is asked for as everywhere, and the kernel's id is a secret of its page."""

    server_extension.AllowListFileHandler = Downloads
    server_extension.VoilaShutdownKernelHandler = Goodbye


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
