"""Checks of classes: folders without images, and the roles that a split gives to classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sfda_kit.datasets.folder_dataset import SceneRow
from sfda_kit.errors import UserError
from sfda_kit.verify.findings import Finding, split_message
from sfda_kit.verify.tree import Tree

if TYPE_CHECKING:
    from sfda_kit.interfaces.dataset import Dataset, Index


def empty_classes(rows: Sequence[SceneRow], tree: Tree) -> Iterator[Finding]:
    """Yield the folders that lie beside those of classes and hold no image at any depth.

    The samples show where the folders of classes are: at the part of a path that is the class.
    """
    holders = {holder for row in rows for holder in _holders(row)}
    images = (path for row in rows for path in row.files.values())  # some lie in containers, not in the tree
    filled = {parent for image in (*tree.images, *images) for parent in _parents(image)}
    for holder in sorted(holders & set(tree.folders)):
        for folder in tree.folders[holder]:
            if folder not in filled:
                yield Finding("empty-class", folder, "holds no image")


def _holders(row: SceneRow) -> Iterator[str]:
    for path in set(row.files.values()):
        parts = path.split("/")[:-1]
        for depth, part in enumerate(parts):
            if _plain(part) == _plain(row.scene_class):
                yield "/".join(parts[:depth])
                break


def _plain(name: str) -> str:
    """Return the name in a form in which ``01. Computer Room`` and ``computer_room`` are one class."""
    return re.sub(r"^[\d.\s_]+|[\W_]", "", name).casefold() or name


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def check_split(dataset: Dataset, index: Index) -> Iterator[Finding]:
    """Yield findings where a class is relevant and irrelevant at once, or this set does not have the split."""
    from sfda_kit.data.task import choose_split

    config = dataset.config
    try:
        choose_split(dataset, config, index)
    except UserError as error:
        if config.tr_classes or config.ti_classes or config.split or _has_splits(dataset):
            yield Finding("split", ".", *split_message(str(error)))
        else:
            what = "relevant and irrelevant classes were not named, so their roles were not checked"
            yield Finding("split-unknown", ".", what, "Name them: --tr-classes A,B --ti-classes C,D, or --split.")


def _has_splits(dataset: Dataset) -> bool:
    """Return whether the set has splits of its own; a user's cameras have none until classes are named."""
    try:
        return bool(dataset.splits())
    except UserError:
        return False
