"""A list of classes: the known names, in the order of the numbers that stand for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sfda_kit.errors import DataError, did_you_mean
from sfda_kit.files import read_text

MAX_BYTES = 100_000_000


class ClassList:
    """``names`` are in the order of their numbers. Without names, every class is taken as it is written."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = names
        self._known = frozenset(names)

    def name_of(self, written: str) -> str | None:
        """Return the class that a sample gives by name or number; None where the list has no such class."""
        if not self.names or written in self._known:
            return written
        return self.names[int(written)] if written.isdecimal() and int(written) < len(self.names) else None

    def hint(self, written: str) -> str:
        """Return a sentence with the nearest known name, and what to write."""
        numbers = f"or a number from 0 to {len(self.names) - 1}"
        return f"{did_you_mean(written, self.names)} Write one of the names in dataset.options.classes, {numbers}."


def read_class_list(path: Path | None) -> ClassList:
    """Read a list with one class per line; blank lines are skipped. Raises ``DataError`` where it cannot be used."""
    if path is None:
        return ClassList()
    path = path.expanduser().absolute()
    try:
        lines = read_text(path, MAX_BYTES).removeprefix("\ufeff").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"dataset.options.classes {path} cannot be read ({error}). Write one class a line.") from None
    names = [line.strip() for line in lines if line.strip()]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice or not names:
        what = f"names {', '.join(twice[:5])} twice" if twice else "names no class"
        raise DataError(f"dataset.options.classes {path} {what}. Write each class once, in the order of their numbers.")
    return ClassList(tuple(names))
