"""A list of classes: what numbers stand for, and which names there are."""

from __future__ import annotations

from pathlib import Path

from sfda_kit.errors import DataError, did_you_mean


class ClassList:
    """``names`` in the order of their numbers; none: every class is taken as it is written."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = names
        self._known = frozenset(names)

    def name_of(self, written: str) -> str | None:
        """The class that a sample means; None where the list has none such."""
        if not self.names or written in self._known:
            return written
        return self.names[int(written)] if written.isdecimal() and int(written) < len(self.names) else None

    def hint(self, written: str) -> str:
        """What is known instead."""
        numbers = f"or a number from 0 to {len(self.names) - 1}"
        return f"{did_you_mean(written, self.names)} Write one of the names in dataset.options.classes, {numbers}."


def read_class_list(path: Path | None) -> ClassList:
    """One class a line, blank lines left out. Raises ``DataError`` where the file cannot be used."""
    if path is None:
        return ClassList()
    path = path.expanduser().absolute()
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"dataset.options.classes {path} cannot be read ({error}). Write one class a line.") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        what = f"names {', '.join(twice)} twice" if twice else "names no class"
        raise DataError(f"dataset.options.classes {path} {what}. Write each class once, in the order of their numbers.")
    return ClassList(tuple(names))
