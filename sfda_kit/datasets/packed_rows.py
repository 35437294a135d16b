"""Texts and rows of an index in few bytes: a list of Python strings takes several times the bytes of its texts."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")


class SceneRow(NamedTuple):
    """One scene on the disk. ``files``: modality -> path relative to the root."""

    name: str
    domain: str
    scene_class: str
    files: dict[str, str]


class _Packed(Sequence[Value]):
    """A sequence whose items are made when they are asked for. It equals any sequence of equal items."""

    def _item(self, number: int) -> Value:
        raise NotImplementedError

    @overload
    def __getitem__(self, number: int) -> Value: ...
    @overload
    def __getitem__(self, number: slice) -> list[Value]: ...
    def __getitem__(self, number: int | slice) -> Value | list[Value]:
        if isinstance(number, slice):
            return [self._item(one) for one in range(*number.indices(len(self)))]
        position = operator.index(number)
        if not -len(self) <= position < len(self):
            raise IndexError(f"{position} of {len(self)}")
        return self._item(position % len(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def __repr__(self) -> str:
        shown = ", ".join(repr(item) for item in self[:3])
        return f"<{len(self)} of {shown}{', ...' if len(self) > 3 else ''}>"


class PackedTexts(_Packed[str]):
    """Strings stored one after the other, with the end of each. File names that are not valid Unicode are kept."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes, self._ends = bytearray(), array("Q", [0])
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Add a string at the end."""
        self._bytes += text.encode(errors="surrogateescape")
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _item(self, number: int) -> str:
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode(errors="surrogateescape")


class PackedWords(_Packed[str]):
    """Many strings of which few differ, each stored as a code."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._code: dict[str, int] = {}
        self._words: list[str] = []
        self._codes = array("i")
        for word in words:
            self.append(word)

    def append(self, word: str) -> None:
        """Add a string at the end."""
        if word not in self._code:
            self._code[word] = len(self._words)
            self._words.append(word)
        self._codes.append(self._code[word])

    @property
    def known(self) -> tuple[str, ...]:
        """The different strings, in the order of their codes."""
        return tuple(self._words)

    @property
    def codes(self) -> NDArray[np.int32]:
        """The place in ``known`` of each string."""
        return np.array(self._codes, np.int32)

    def __len__(self) -> int:
        return len(self._codes)

    def _item(self, number: int) -> str:
        return self._words[self._codes[number]]


class PackedRows(_Packed[SceneRow]):
    """Rows of a scan, stored column by column. ``names``, ``domains`` and ``classes`` hold those of all rows."""

    def __init__(self, rows: Iterable[SceneRow] = ()) -> None:
        self.names, self.domains, self.classes = PackedTexts(), PackedWords(), PackedWords()
        self._files: dict[str, PackedTexts] = {}
        for row in rows:
            self.append(row)

    def append(self, row: SceneRow) -> None:
        """Add a row at the end, so that no list of all rows is needed before."""
        for modality in row.files:
            if modality not in self._files:
                self._files[modality] = PackedTexts("" for _ in range(len(self)))
        for modality, paths in self._files.items():
            paths.append(row.files.get(modality, ""))  # no path is empty, so an empty one stands for none
        self.names.append(row.name)
        self.domains.append(row.domain)
        self.classes.append(row.scene_class)

    def __len__(self) -> int:
        return len(self.names)

    def _item(self, number: int) -> SceneRow:
        files = {name: path for name, paths in self._files.items() if (path := paths[number])}
        return SceneRow(self.names[number], self.domains[number], self.classes[number], files)
