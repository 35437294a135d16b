"""A server that shows a site to this computer alone, at 127.0.0.1."""

from __future__ import annotations

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sfda_kit.errors import UserError

ADDRESS = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """The handler serves files, prints nothing, and forbids browsers to keep an old board."""

    def log_message(self, format: str, *args: Any) -> None:
        del format, args

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of ``folder`` that is bound and not yet started; port 0 takes any free port.
    Raises ``UserError`` when the port is in use or not allowed."""
    try:
        return ThreadingHTTPServer((ADDRESS, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "is not open to you"}
        reason = reasons.get(error.errno or 0, f"cannot be used ({error.strerror})")
        raise UserError(f"Port {port} of {ADDRESS} {reason}. Name another with --port; 0 takes a free one.") from None
