"""Expected errors. They are shown as one message, without a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST_NAMED = 60
"""The largest number of known names that one message lists."""
LONGEST_NAME = 200


class SfdaKitError(Exception):
    """The base of all expected errors. The message says what was wrong, where, what was expected and what to do."""


class UserError(SfdaKitError):
    """The command, the configuration or the input is wrong, and nothing was computed (exit code 2)."""


class DataError(UserError):
    """Files on disk are missing or unreadable, or do not match the layout (exit code 2)."""


class TooFewImagesError(UserError):
    """The settings ask for more images or pairs than the data have (exit code 2)."""


class BusyError(UserError):
    """Another process is working on this run, so try again later (exit code 2)."""


class PartError(UserError):
    """A part of a plugin failed, or returned something else than its contract says (exit code 2)."""


class RunError(SfdaKitError):
    """A run that had started could not finish (exit code 1)."""


class InterruptError(SfdaKitError):
    """The user pressed Ctrl-C (exit code 130)."""


class RenamedWarning(DeprecationWarning):
    """Something has another name now; the command line shows it as a notice."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known names closest to ``name``, or with all of them where none is close."""
    names = sorted(known)
    close = get_close_matches(name[:LONGEST_NAME], names, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(repr(c) for c in close) + "?"
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMED else ""
    return "Known: " + (", ".join(names[:MOST_NAMED]) or "none") + f"{more}."


def printable(text: str) -> str:
    """Return ``text`` with unprintable characters (newlines, escapes, text directions) escaped, such as ``\\x1b``."""
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def brief(value: object, limit: int = 80, *, quoted: bool = True) -> str:
    """Return ``value`` as one printable line of about ``limit`` characters, quoted as ``repr`` does unless told not."""
    text = value[: limit + 1] if isinstance(value, str) else str(value)
    cut = text[:limit] + "..." if len(text) > limit else text
    return repr(cut) if quoted else printable(cut)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")
