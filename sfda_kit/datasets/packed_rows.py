"""Texts and rows of an index in few bytes: a list of Python strings takes several times the bytes of its texts."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar, overload

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
    """A read-only sequence whose items are made when they are asked for. It equals any sequence of equal items."""

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

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode(errors="surrogateescape") for text in texts]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        self._ends: NDArray[Any] = ends.astype(np.uint32) if ends[-1] < 2**32 else ends
        self._bytes = b"".join(encoded)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _item(self, number: int) -> str:
        start, end = int(self._ends[number]), int(self._ends[number + 1])
        return self._bytes[start:end].decode(errors="surrogateescape")


class PackedWords(_Packed[str]):
    """Many strings of which few differ, each stored as a code."""

    def __init__(self, words: Sequence[str]) -> None:
        self.known = tuple(dict.fromkeys(words))
        code = {word: number for number, word in enumerate(self.known)}
        self.codes: NDArray[np.int32] = np.fromiter((code[word] for word in words), np.int32, len(words))

    def __len__(self) -> int:
        return len(self.codes)

    def _item(self, number: int) -> str:
        return self.known[int(self.codes[number])]


class PackedRows(_Packed[SceneRow]):
    """Rows of a scan, stored column by column. ``names``, ``domains`` and ``classes`` hold those of all rows."""

    def __init__(self, rows: Sequence[SceneRow]) -> None:
        self.names = PackedTexts(row.name for row in rows)
        self.domains = PackedWords([row.domain for row in rows])
        self.classes = PackedWords([row.scene_class for row in rows])
        modalities = dict.fromkeys(name for row in rows for name in row.files)
        # No path is empty, so an empty one stands for none.
        self._files = {name: PackedTexts(row.files.get(name, "") for row in rows) for name in modalities}

    def __len__(self) -> int:
        return len(self.names)

    def _item(self, number: int) -> SceneRow:
        files = {name: path for name, paths in self._files.items() if (path := paths[number])}
        return SceneRow(self.names[number], self.domains[number], self.classes[number], files)
