"""Builds a record's task again to check that samples, labels and groups are those of the data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sfda_kit.config.models import DatasetConfig
from sfda_kit.errors import SfdaKitError
from sfda_kit.submissions.findings import listed
from sfda_kit.submissions.predictions import PARTS, Predictions
from sfda_kit.submissions.schema import Facts

if TYPE_CHECKING:
    from sfda_kit.data.task import Task

EMBEDDED = ("rooms",)
"""Data sets that need no file: their tasks can be built anywhere, without rendering anything."""


class Rebuilder:
    """A rebuilder builds each task only once. ``roots``: folders of data sets on this disk, by name."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self.roots = roots
        self._tasks: dict[str, Task] = {}

    def can_open(self, facts: Facts) -> bool:
        """Return whether the data set of the record is available here."""
        return facts.task.dataset in EMBEDDED or facts.task.dataset in self.roots

    def task(self, config: DatasetConfig) -> Task:
        """Return the task that ``config`` asks for, with the data set's folder on this disk."""
        from sfda_kit.data.task import build_task
        from sfda_kit.plugins.discovery import build_part

        key = config.model_dump_json()
        if key not in self._tasks:
            here = config.model_copy(update={"root": self.roots.get(config.name)})
            self._tasks[key] = build_task(build_part("dataset", config.name, config=here), here)
        return self._tasks[key]

    def wrong_task(self, facts: Facts, found: Predictions | None) -> Iterator[str]:
        """Yield one line for everything that differs from the task built here."""
        try:
            task = self.task(facts.config.dataset)
        except SfdaKitError as error:
            yield f"no task can be built from its configuration: {error}"
            return
        yield from _wrong_description(facts, task)
        if facts.record.synthetic != task.dataset.synthetic:
            yield f"the data set is {'' if task.dataset.synthetic else 'not '}synthetic, the record says otherwise"
        if found is not None:
            for part, role in PARTS.items():
                yield from _wrong_part(found, part, task, role)


def _wrong_description(facts: Facts, task: Task) -> Iterator[str]:
    stated = facts.task
    pairs = {
        "fingerprint": (stated.fingerprint, task.fingerprint),
        "source": (stated.source, str(task.source)),
        "target": (stated.target, str(task.target)),
        "classes": (stated.classes, task.classes),
        "ti_classes": (stated.ti_classes, task.ti_classes),
        "folds": (stated.folds.model_dump() if stated.folds else {}, dict(task.folds)),
        "images": (stated.images.model_dump(by_alias=True), {part: len(rows) for part, rows in task.rows.items()}),
    }
    for name, (said, built) in pairs.items():
        if said != built:
            yield f"its task.{name} is not that of the data set here: {listed([said, built])}"


def _wrong_part(found: Predictions, part: str, task: Task, role: str) -> Iterator[str]:
    rows = np.flatnonzero(found.part == part)
    names, labels, groups = task.names(role), task.labels(role), task.groups(role)
    expected = {name: (int(label), group) for name, label, group in zip(names, labels, groups, strict=True)}
    if strangers := sorted({str(found.name[row]) for row in rows} - set(expected)):
        yield f"{part}: samples that the data set's {role} does not have: {listed(strangers, 3)}"
    if missing := sorted(set(expected) - {str(found.name[row]) for row in rows}):
        yield f"{part}: samples of the data set's {role} are missing: {listed(missing, 3)}"
    known = [row for row in rows if found.name[row] in expected]
    if wrong := [found.name[row] for row in known if expected[found.name[row]][0] != found.label[row]]:
        yield f"{part}: labels that are not the data set's: {listed(wrong, 3)}"
    if wrong := [found.name[row] for row in known if expected[found.name[row]][1] != found.group[row]]:
        yield f"{part}: groups that are not the data set's: {listed(wrong, 3)}"
