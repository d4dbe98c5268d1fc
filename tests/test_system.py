"""Windows' forms, with stand-ins for it; and that nothing else in the package is for Linux and macOS alone."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import animeset_lib
from animeset_lib import system

ROOT = Path(animeset_lib.__file__).parent
SYSTEM = ROOT / "system.py"
FILES = sorted(ROOT.rglob("*.py"))

# ------------------------------------------------------------------------------------------------------- Windows' forms


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Windows lacks is not there, and `system` takes this for Windows."""
    monkeypatch.setattr(system, "WINDOWS", True)
    for module, names in ((os, ("sched_getaffinity", "killpg", "fork", "setsid")), (signal, ("SIGKILL", "SIGHUP"))):
        for name in names:
            monkeypatch.delattr(module, name)


@pytest.mark.usefixtures("windows")
def test_cores_are_counted() -> None:
    assert system.cores() == os.cpu_count()


@pytest.mark.usefixtures("windows")
def test_a_program_of_its_own_has_its_own_group_and_no_window() -> None:
    assert system.own_session() == {"creationflags": 0x08000200}


@pytest.mark.usefixtures("windows")
def test_a_program_is_ended_with_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:

        def taskkill(words: list[str], **options: Any) -> None:
            called.append(words)
            process.kill()

        with monkeypatch.context() as patch:
            patch.setattr(signal, "SIGKILL", 9, raising=False)  # only so that the stand-in can end it
            patch.setattr(subprocess, "run", taskkill)
            system.end_tree(process)
            system.end_tree(process)
    assert called == [["taskkill", "/T", "/F", "/PID", str(process.pid)]]


@pytest.mark.usefixtures("windows")
def test_a_command_keeps_its_backslashes_and_loses_its_quotes() -> None:
    words = system.split_command(r'"C:\Program Files\up.exe" -i {input} C:\models')
    assert words == [r"C:\Program Files\up.exe", "-i", "{input}", r"C:\models"]


def _opened_by_another(times: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """`os.replace` is refused so many times; returns how often it was asked."""
    real, asked = os.replace, [0]

    def refusing(source: Path, target: Path) -> None:
        asked[0] += 1
        if asked[0] <= times:
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        real(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    return asked


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("new", encoding="utf-8")
    old.write_text("old", encoding="utf-8")
    return new, old


@pytest.mark.usefixtures("windows")
def test_a_file_that_is_open_for_a_moment_is_replaced_after_it(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _opened_by_another(3, monkeypatch)
    system.replace_path(*files)
    assert (asked, files[1].read_text(encoding="utf-8")) == ([4], "new")


@pytest.mark.usefixtures("windows")
def test_a_file_that_stays_open_is_an_error(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_PATIENCE_S", 0.1)
    _opened_by_another(10**6, monkeypatch)
    with pytest.raises(PermissionError):
        system.replace_path(*files)


def test_elsewhere_a_refusal_is_an_error_at_once(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _opened_by_another(1, monkeypatch)
    with pytest.raises(PermissionError):
        system.replace_path(*files)
    assert asked == [1]


@pytest.mark.usefixtures("windows")
def test_folders_are_not_synced_and_files_are_opened_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, real, opened = tmp_path / "file", os.open, []
    file.write_text("x", encoding="utf-8")

    def open_as_windows_does(path: Path, flags: int) -> int:
        assert not path.is_dir(), "Windows opens no folders"
        opened.append(flags)
        return real(path, flags)

    monkeypatch.setattr(os, "open", open_as_windows_does)
    system.sync(tmp_path)
    system.sync(file)
    assert opened == [os.O_RDWR]


def test_output_to_a_pipe_is_utf8_whatever_the_system_prefers(tmp_path: Path) -> None:
    """Windows gives a program whose output is not a window the code page of its country, which has no kana."""
    (tmp_path / "work" / "映画-0123456789ab").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "animeset_lib", "run", "映画.mkv"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, "映画.mkv" in done.stderr.decode("utf-8")) == (1, True)


# ----------------------------------------------------------------------------------------------------------- the rules

# What is missing on Windows, needs special rights there, or has another form in `system`.
ATTRIBUTES = {
    "os": {
        *("name", "replace", "rename", "symlink", "O_BINARY", "uname", "nice", "mkfifo", "chown", "chroot", "statvfs"),
        *(
            "fork",
            "forkpty",
            "setsid",
            "kill",
            "killpg",
            "getpgid",
            "getpgrp",
            "wait",
            "waitpid",
            "wait4",
            "sched_getaffinity",
        ),
        *("getuid", "geteuid", "getgid", "getloadavg", "posix_fallocate", "pread", "pwrite", "sendfile", "sysconf"),
    },
    "signal": {
        *("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGCONT"),
        *("alarm", "setitimer", "pause", "pthread_kill", "pthread_sigmask", "sigwait", "set_wakeup_fd"),
    },
    "sys": {"platform"},
    "platform": {"system"},
    "shlex": {"split"},
    "time": {"tzset"},
}
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog", "curses", "readline"}
KEYWORDS = {"start_new_session", "preexec_fn", "pass_fds", "process_group", "shell"}
PLACES = ("/tmp", "/dev/", "/proc/", "/usr/", "/var/", "/etc/")


def _faults(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in ATTRIBUTES.get(node.value.id, ()):
                yield f"{node.lineno}: {node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import):
            yield from (f"{node.lineno}: import {one.name}" for one in node.names if one.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in {*MODULES, *ATTRIBUTES}:
            taken = {one.name for one in node.names} & ATTRIBUTES.get(node.module or "", set())
            if node.module in MODULES or taken:
                yield f"{node.lineno}: from {node.module}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(PLACES):
            yield f"{node.lineno}: {node.value}"
        elif isinstance(node, ast.Call):
            yield from _faults_of_call(node)


def _faults_of_call(call: ast.Call) -> Iterator[str]:
    given = {word.arg for word in call.keywords}
    yield from (f"{call.lineno}: {word}=" for word in sorted(KEYWORDS & {word for word in given if word}))
    if not isinstance(call.func, ast.Attribute):
        return
    name = call.func.attr
    if name in ("replace", "rename", "symlink_to") and len(call.args) == 1 and not given:
        on = ast.unparse(call.func.value)
        if not on.endswith(("sorting", "board")):  # whose `rename` gives a character another name
            yield f"{call.lineno}: {on}.{name}(): a file is renamed by system.replace_path"
    mode = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else ""
    text = name == "open" and isinstance(mode, str) and mode != "" and set(mode) <= set("rwax+t")
    if (text or name in ("read_text", "write_text")) and "encoding" not in given:
        yield f"{call.lineno}: {name} without encoding"
    if (name == "write_text" or (text and mode != "r")) and "newline" not in given:
        yield f"{call.lineno}: {name} without newline: Windows would write others"


@pytest.mark.parametrize("path", [path for path in FILES if path != SYSTEM], ids=lambda p: str(p.relative_to(ROOT)))
def test_only_one_place_asks_which_system_this_is(path: Path) -> None:
    assert list(_faults(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "line",
    [
        "os.kill(1, 0)",
        "from signal import SIGKILL",
        "import fcntl",
        "Popen(x, start_new_session=True)",
        "run(x, shell=True)",
        "path.replace(other)",
        "open_at = '/tmp/x'",
        "path.write_text(text, encoding='utf-8')",
        "path.read_text()",
        "path.open('w', encoding='utf-8')",
        "if os.name == 'nt': pass",
    ],
)
def test_the_rule_sees_it(line: str) -> None:
    assert list(_faults(ast.parse(line))) != []
