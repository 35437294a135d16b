"""A child process that ends when the process that started it does."""

from __future__ import annotations

import os
import threading

ORPHANED = 143
"""The exit code of a process whose parent has ended."""


def end_with_parent() -> None:
    """End this process when its standard input closes, which happens when its parent ends in any way."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    while os.read(0, 4096):  # without the lock of ``sys.stdin``, which could block the end of the process
        pass
    os._exit(ORPHANED)
