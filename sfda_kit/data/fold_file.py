"""Fold files: which groups are held out, source or target-train in each fold, fixed once for every row of a table.

A file names the groups, with their numbers of samples by class and the samples' names; it holds no image.
``parts`` has one letter for each fold: ``s`` source, ``t`` target-train, ``h`` held out. The file carries the SHA-256
of its own content, so a file that was edited is refused, and so is one that no longer fits the data on the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from sfda_kit.errors import DataError, UserError, did_you_mean, printable
from sfda_kit.interfaces.dataset import PARTS
from sfda_kit.interfaces.strict_model import StrictModel

if TYPE_CHECKING:
    from sfda_kit.interfaces.dataset import Dataset, Index

OWN = "folds.json"
"""The name of a user's own file, at the root of the data set."""
LETTERS = {"s": PARTS.index("source"), "t": PARTS.index("target-train"), "h": PARTS.index("target-test")}
MOST_TOLD = 8


class FoldGroup(StrictModel):
    """A group has its part in each fold, its number of samples by class, and the sorted names of its samples."""

    parts: str = Field(pattern=r"^[sth]+$")
    classes: dict[str, int]
    samples: tuple[str, ...]


class FoldFile(StrictModel):
    """A fold file holds ``repeats`` times ``folds`` folds; fold ``r * folds + k`` holds out part k of repetition r.

    ``classes``: those that the folds are stratified by. ``sha256``: the hash of everything else in the file.
    """

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    version: int = Field(ge=1)
    about: str = ""
    folds: int = Field(ge=2)
    repeats: int = Field(ge=1)
    seed: int = 0
    classes: tuple[str, ...]
    groups: dict[str, FoldGroup] = Field(min_length=1)
    sha256: str = ""

    @model_validator(mode="after")
    def _one_letter_for_each_fold(self) -> FoldFile:
        for name, group in self.groups.items():
            if len(group.parts) != self.folds * self.repeats:
                raise ValueError(f"the group {name!r} has {len(group.parts)} letters for {self.count} folds")
        return self

    @property
    def count(self) -> int:
        """The number of folds over all repetitions."""
        return self.folds * self.repeats

    def content_hash(self) -> str:
        """Return the SHA-256 of the content without the hash itself."""
        content = json.dumps(self.model_dump(mode="json", exclude={"sha256"}), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def sealed(self) -> FoldFile:
        """Return a copy with its hash."""
        return self.model_copy(update={"sha256": self.content_hash()})

    def text(self) -> str:
        """Return the file's JSON with one line for each group, so that a change is one line of a diff."""
        data = self.model_dump(mode="json")
        groups = ",\n".join(f"  {json.dumps(name)}: {json.dumps(group)}" for name, group in data.pop("groups").items())
        head = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
        return f'{{\n{head},\n "groups": {{\n{groups}\n }}\n}}\n'

    def described(self, fold: int) -> dict[str, Any]:
        """Return what a record says of the fold of its run."""
        facts = {"name": self.name, "version": self.version, "sha256": self.sha256}
        return {"fold": fold, "folds": self.folds, "repeats": self.repeats, **facts}


def shipped_folds() -> list[str]:
    """Return the names of the files that come with the toolkit."""
    folder = resources.files("sfda_kit.data") / "folds"
    return sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))


def read_folds(name: str | None, root: Path | None) -> FoldFile:
    """Return the shipped file ``name``; without a name, ``folds.json`` at the ``root`` of the data.

    Raises ``UserError`` where there is none, and ``DataError`` where it is damaged or was edited.
    """
    if name is not None:
        if name not in (known := shipped_folds()):
            raise UserError(
                f"There are no shipped folds {name!r}. {did_you_mean(name, known)} Leave the name out to use {OWN} at "
                "the root of your data (`sfda-kit data folds` writes it)."
            )
        file = resources.files("sfda_kit.data") / "folds" / f"{name}.json"
        return parse_folds(file.read_text(encoding="utf-8"), f"the shipped folds {name}")
    path = None if root is None else root.expanduser() / OWN
    if path is None or not path.is_file():
        raise UserError(
            f"A fold was asked for, and {path or 'a data set without a folder'} holds no folds. Write them once with "
            f"`sfda-kit data folds`, or name shipped ones with --folds: {', '.join(shipped_folds())}."
        )
    try:
        return parse_folds(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({printable(str(error))}). Check its permissions.") from None


def parse_folds(text: str, where: str) -> FoldFile:
    """Return the file in ``text``. Raises ``DataError`` where it is damaged, or its hash is not that of its content."""
    try:
        found = FoldFile.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise DataError(f"{where}: no folds that can be used ({printable(place)}: {problem['msg']}).") from None
    if found.sha256 != (actual := found.content_hash()):
        raise DataError(
            f"{where}: its sha256 is {printable(found.sha256[:16])}..., and its content gives {actual[:16]}... It was "
            "changed after it was made. Take the file as it was, or make a new one with `sfda-kit data folds`."
        )
    return found


def groups_on_disk(dataset: Dataset, index: Index) -> tuple[list[str], NDArray[np.int64]]:
    """Return the sorted names of all groups, and the number of the group of each row."""
    codes, first, inverse = np.unique(index.group, return_index=True, return_inverse=True)
    names = [dataset.group_name(int(row)) for row in first]
    order = sorted(range(len(codes)), key=names.__getitem__)
    place = np.empty(len(codes), dtype=np.int64)
    place[order] = np.arange(len(codes))
    return [names[code] for code in order], place[inverse]


GroupContents = tuple[dict[str, int], tuple[str, ...]]
"""The number of samples of a group by class, and their sorted names."""


def contents(index: Index, names: list[str], member: NDArray[np.int64]) -> dict[str, GroupContents]:
    """Return what each group holds on the disk."""
    rows: list[list[int]] = [[] for _ in names]
    for row, group in enumerate(member.tolist()):
        rows[group].append(row)
    found = {}
    for name, own in zip(names, rows, strict=True):
        counts = Counter(index.classes[int(index.label[row])] for row in own)
        found[name] = dict(sorted(counts.items())), tuple(sorted(index.names[row] for row in own))
    return found


def parts_of_fold(file: FoldFile, fold: int, dataset: Dataset, index: Index) -> NDArray[np.int8]:
    """Return the part of each row in ``fold``. Raises ``UserError`` for an unknown fold, and ``DataError`` that tells
    the difference where the file does not fit the data on the disk."""
    if fold >= file.count:
        raise UserError(f"There is no fold {fold} in {file.name}; it has the folds 0 to {file.count - 1}.")
    names, member = groups_on_disk(dataset, index)
    if lines := differences(file, contents(index, names, member)):
        told = [f"  - {line}" for line in lines[:MOST_TOLD]]
        told += [f"  ... and {len(lines) - MOST_TOLD} more"] if len(lines) > MOST_TOLD else []
        raise DataError(
            f"The folds {file.name} (version {file.version}) are of other data than lies on the disk:\n"
            + "\n".join(told)
            + "\nUse the data that the folds were made of, or make folds of these with `sfda-kit data folds`. Where "
            "only the groups have other names, take those of shipped folds: `sfda-kit data fold-groups`."
        )
    letters = np.array([LETTERS[file.groups[name].parts[fold]] for name in names], dtype=np.int8)
    return np.asarray(letters[member])


def differences(file: FoldFile, found: dict[str, GroupContents]) -> list[str]:
    """Return one line for each group that is not the same in ``file`` and on the disk."""
    lines = [f"group {name!r} is in the folds and not on the disk" for name in sorted(set(file.groups) - set(found))]
    lines += [f"group {name!r} is on the disk and not in the folds" for name in sorted(set(found) - set(file.groups))]
    for name in sorted(set(found) & set(file.groups)):
        there, (counts, samples) = file.groups[name], found[name]
        if there.classes != counts:
            changed = sorted(c for c in {*there.classes, *counts} if there.classes.get(c, 0) != counts.get(c, 0))
            told = ", ".join(f"{c} {there.classes.get(c, 0)} -> {counts.get(c, 0)}" for c in changed)
            lines.append(f"group {name!r}, samples by class (folds -> disk): {told}")
        elif there.samples != samples:
            lacking, more = sorted({*there.samples} - {*samples}), sorted({*samples} - {*there.samples})
            lines.append(f"group {name!r} lacks {lacking[0]!r} and has {more[0]!r} ({len(lacking)} samples differ)")
    return lines
