"""Loader of shards in the WebDataset convention, for large sets: a few tars instead of millions of files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from sfda_kit.data.walk import require_folder
from sfda_kit.datasets.dataset_options import DatasetOptions, ModalityName
from sfda_kit.datasets.folder_dataset import Scan
from sfda_kit.datasets.role_folder import RoleFolder, part_codes
from sfda_kit.errors import DataError
from sfda_kit.plugins.modalities import EveryModality
from sfda_kit.shards.class_list import read_class_list
from sfda_kit.shards.find import ANY, Found, find_shards
from sfda_kit.shards.index_cache import prepare, shard_index
from sfda_kit.shards.reader import ShardReader
from sfda_kit.shards.scenes import Scenes

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig


class WebDatasetOptions(DatasetOptions):
    """``shards``: the tars to use below the root, with braces, ``*`` and ``?``.

    ``modality``: that of images named by a key and a suffix alone. ``classes``: a text file with one class per line;
    numbers are places in it (from 0), other names are refused.
    """

    shards: str = Field(default=ANY)
    modality: ModalityName = Field(default="rgb")
    classes: Path | None = Field(default=None)


class WebDataset(RoleFolder):
    """Members that share a key are one scene: ``<key>.<modality>.<suffix>``, with its labels in ``<key>.json``."""

    name = "webdataset"
    summary = "tar shards in the WebDataset convention: <key>.rgb.jpg, <key>.depth.png, <key>.json"
    modalities = EveryModality()
    options_model = WebDatasetOptions
    options: WebDatasetOptions

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` is the folder of the shards, or one shard."""
        super().__init__(config)
        root = config.root.expanduser().absolute() if config.root else None
        self._only = root.name if root and root.is_file() else None
        self.root = require_folder(root.parent if root and self._only else root, "--data-root")
        self._damage: set[str] = set()  # the problems that are about shards and members
        self.mark_synthetic()

    def scan(self) -> Scan:
        """Read the index of every shard. What cannot be used is an error, or left out with ``skip_bad``."""
        classes = read_class_list(self.options.classes)
        scenes = Scenes(self.root, self.lacking, classes, self.options.modality)
        found = self._shards()
        for shard in found.shards:
            scenes.take(shard, shard_index)
        rows, problems = scenes.rows, [*found.problems, *scenes.problems]
        self._damage = {*found.problems, *scenes.damage}
        notices = self.settle(problems, len(rows) + len(problems))
        if not rows:
            raise DataError(f"{self.root}: its shards hold no image with a class. Write <key>.rgb.jpg and <key>.json.")
        self.reader = ShardReader(scenes.places.sorted())
        groups, more = self.groups_of(rows, scenes.groups)
        return Scan(rows, groups, part_codes(scenes.roles), (*notices, *scenes.notices(), *more))

    def finding_code(self, problem: str) -> str:
        """Return the rule for a problem: a shard is damaged, or a sample lacks something."""
        return "unusable-file" if problem in self._damage else super().finding_code(problem)

    def sensors(self) -> Counter[tuple[str, str]]:
        """Return the number of images for training, by modality and domain."""
        sensors: Counter[tuple[str, str]] = Counter()
        for shard in self._shards().shards:
            for sample in shard_index(self.root / shard).samples:
                if sample.labels.role != "target-test":
                    sensors.update((name or self.options.modality, sample.labels.domain) for name in sample.images)
        return sensors

    def _shards(self) -> Found:
        """Return all shards, after putting their indices into the cache."""
        found = Found([self._only], []) if self._only else find_shards(self.root, self.options.shards)
        prepare([self.root / shard for shard in found.shards], self._tell)
        return found

    def _tell(self, done: int, total: int) -> None:
        if self.progress:
            self.progress("indexing shards", done, total)
