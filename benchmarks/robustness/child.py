"""Work in a forked process: it starts at once, because torch is loaded, and may be killed at any moment."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from sfda_kit.errors import SfdaKitError

WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.utime"}
REFUSED, FAILED = 2, 3


class Ended(NamedTuple):
    """``code``: 0, ``REFUSED`` (an expected error), ``FAILED`` (a traceback), or minus the signal. ``text``: stderr."""

    code: int
    text: str


def in_child(work: Callable[[], Any], log: Path, before: Callable[[], None] | None = None) -> int:
    """Start ``work`` in a forked process whose output goes to ``log``, and return its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 0
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if before:
            before()
        work()
    except SfdaKitError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = REFUSED
    except BaseException:
        traceback.print_exc()
        code = FAILED
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int, log: Path, seconds: float | None = None, signal_number: int = signal.SIGKILL) -> Ended:
    """Wait for the process; after ``seconds``, if given, send the signal to it and to its children."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG if deadline else 0)
        if done:
            return Ended(os.waitstatus_to_exitcode(status), log.read_text(errors="replace"))
        if deadline and time.monotonic() >= deadline:
            os.killpg(pid, signal_number)
            deadline = None
        time.sleep(0.005)


def killed_at_write(number: int, counted: Path | None = None) -> Callable[[], None]:
    """Return what makes this process kill itself before its ``number``-th write; 0 only counts, into ``counted``."""

    def watch() -> None:
        seen = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if event in WRITES or (event == "open" and _writes(arguments)):
                seen += 1
                if counted is not None:
                    os.write(counter, b".")
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        counter = os.open(counted, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if counted is not None else -1
        sys.addaudithook(hook)

    return watch


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
