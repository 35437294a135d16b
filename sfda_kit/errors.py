"""Mistakes a user can mend. They are shown as one message, without a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SfdaKitError(Exception):
    """Base of all expected errors; the message says what, where, what was expected and what to do."""


class UserError(SfdaKitError):
    """The command, configuration or input is wrong; nothing was computed (exit code 2)."""


class DataError(UserError):
    """Files on disk are missing, unreadable or not what the layout promises (exit code 2)."""


class BusyError(UserError):
    """Another process is working on this run; it can be asked for again later (exit code 2)."""


class RunError(SfdaKitError):
    """A run that had started could not finish (exit code 1)."""


class InterruptError(SfdaKitError):
    """The user pressed Ctrl-C (exit code 130)."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Sentence naming the known names closest to ``name`` (or all of them when none is close)."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "Known: " + (", ".join(names) or "none") + "."


def printable(text: str) -> str:
    """``text`` fit for a terminal: what does not print (newlines, escapes, other directions) becomes ``\\x1b``."""
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")
