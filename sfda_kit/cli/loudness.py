"""How much a command says: ``-q`` leaves results and errors, ``-v`` adds what happens inside."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class Loudness(Enum):
    """The loudness of the command line, as the lowest level of the library's log that is shown."""

    QUIET = logging.ERROR
    NORMAL = logging.WARNING
    VERBOSE = logging.DEBUG


class _Said:
    loudness = Loudness.NORMAL


def is_quiet() -> bool:
    """Return whether only results and errors are wanted."""
    return _Said.loudness is Loudness.QUIET


def is_verbose() -> bool:
    """Return whether errors come with their traceback."""
    return _Said.loudness is Loudness.VERBOSE


@contextmanager
def speaking(wanted: Loudness) -> Iterator[None]:
    """Show meanwhile on stderr what the library logs. The loudness stays, because errors are printed at the end."""
    _Said.loudness = wanted
    logger, handler = logging.getLogger("sfda_kit"), _ToStderr()
    before = logger.level
    logger.setLevel(min(wanted.value, logging.WARNING))  # The log of a run hears warnings even with -q.
    handler.setLevel(wanted.value)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _ToStderr(logging.Handler):
    """Shows a warning of the library as a notice, and other records with the name of their module."""

    def emit(self, record: logging.LogRecord) -> None:
        from sfda_kit.cli.output import errors

        sender = "notice" if record.levelno >= logging.WARNING else record.name
        errors().print(f"{sender}: {record.getMessage()}", markup=False, soft_wrap=True)
