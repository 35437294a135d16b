"""The samples of all shards together, as rows of a data set; every unusable sample is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from sfda_kit.datasets.packed_rows import PackedRows, SceneRow
from sfda_kit.shards.class_list import ClassList
from sfda_kit.shards.naming import UNNAMED
from sfda_kit.shards.reader import PlaceList
from sfda_kit.shards.shard_index import Sample, ShardIndex

Lacking = Callable[[str, str, Collection[str]], list[str]]
"""Modalities that a task needs of a scene, given its domain, its role and those that it has."""


class Scenes:
    """Rows with their roles and groups, and the places of their images.

    ``problems``: a sentence for each shard, member or sample that cannot be used; ``damage``: those that are about
    shards and members. ``unnamed``: the modality of images whose name tells none.
    """

    def __init__(self, root: Path, lacking: Lacking, classes: ClassList, unnamed: str) -> None:
        self.root, self._lacking, self._classes, self._unnamed = root, lacking, classes, unnamed
        self.rows = PackedRows()
        self.roles: list[str] = []
        self.groups: list[str] = []
        self.problems: list[str] = []
        self.damage: set[str] = set()
        self.places = PlaceList(root)
        self._passed_over: Counter[str] = Counter()
        self._empty: list[str] = []
        self._first: dict[str, str] = {}

    def take(self, shard: str, read: Callable[[Path], ShardIndex]) -> None:
        """Add the samples of ``shard``, relative to the root; ``read`` gives its index."""
        path = self.root / shard
        self.places.begin(shard)  # before ``read``, so that an image of a shard that changes is not read
        index = read(path)
        damage = [f"{path}: {what}" for what in index.damage]
        self.damage.update(damage)
        self.problems += damage
        self.problems += [f"{path}: {what}" for what in index.incomplete]
        self._passed_over.update(index.passed_over)
        if not index.members and not damage:
            self._empty.append(shard)
        for sample in index.samples:
            self._take_sample(shard, sample)

    def notices(self) -> Iterator[str]:
        """Yield notices about members and shards that have no effect."""
        if self._passed_over:
            endings = ", ".join(f"{ending} {count:,}" for ending, count in self._passed_over.most_common(8))
            yield f"{self.root}: left out members that are no images or labels of a sample: {endings}"
        if self._empty:
            yield f"{self.root}: {len(self._empty)} shards hold no file, such as {self._empty[0]}; remove them"

    def _take_sample(self, shard: str, sample: Sample) -> None:
        labels = sample.labels
        name = f"{labels.domain}/{sample.key}"
        scene_class = self._classes.name_of(labels.scene_class)
        images = {modality or self._unnamed: member for modality, member in sample.images.items()}
        if why := self._wrong(sample, name, scene_class, images):
            self.problems.append(f"{self.root / shard}: {sample.key} {why}")
            return
        self._first[name] = shard
        files = {modality: f"{shard}/{member.name}" for modality, member in images.items()}
        self.rows.append(SceneRow(name, labels.domain, scene_class or "", files))
        self.roles.append(labels.role)
        self.groups.append(labels.group)
        for modality, member in images.items():
            self.places.add(files[modality], member.offset, member.size)

    def _wrong(self, sample: Sample, name: str, scene_class: str | None, images: Collection[str]) -> str:
        labels = sample.labels
        if name in self._first:
            return (
                f"is a key of {self._first[name]} too. Give each sample of domain {labels.domain} a key of its own, or "
                "choose shards with dataset.options.shards."
            )
        if scene_class is None:
            return f"has the unknown class {labels.scene_class!r}. {self._classes.hint(labels.scene_class)}"
        if len(images) < len(sample.images):
            return f"has {sample.images[UNNAMED].name} and another image as {self._unnamed}. Keep one of them."
        lacking = self._lacking(labels.domain, labels.role, images)
        if lacking:
            return (
                f"has no {' and no '.join(lacking)} half. Add {sample.key}.{lacking[0]} with its suffix, or a role "
                "that needs one half only (source, target-train, target-test)."
            )
        return ""
