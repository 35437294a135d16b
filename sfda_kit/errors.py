"""Expected errors. They are shown as one message, without a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SfdaKitError(Exception):
    """The base of all expected errors. The message says what was wrong, where, what was expected and what to do."""


class UserError(SfdaKitError):
    """The command, the configuration or the input is wrong, and nothing was computed (exit code 2)."""


class DataError(UserError):
    """Files on disk are missing or unreadable, or do not match the layout (exit code 2)."""


class BusyError(UserError):
    """Another process is working on this run, so try again later (exit code 2)."""


class RunError(SfdaKitError):
    """A run that had started could not finish (exit code 1)."""


class InterruptError(SfdaKitError):
    """The user pressed Ctrl-C (exit code 130)."""


class RenamedWarning(DeprecationWarning):
    """Something has another name now; the command line shows it as a notice."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known names closest to ``name``, or with all of them where none is close."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "Known: " + (", ".join(names) or "none") + "."


def printable(text: str) -> str:
    """Return ``text`` with unprintable characters (newlines, escapes, text directions) escaped, such as ``\\x1b``."""
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")
