"""The base of folder data sets whose TR/TI splits have names, from YAML files of the kit and of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from sfda_kit.datasets.dataset_options import DatasetOptions, parse_options
from sfda_kit.datasets.folder_dataset import FolderDataset
from sfda_kit.datasets.named_splits import all_splits
from sfda_kit.interfaces.dataset import Split

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig


class SplitFolder(FolderDataset):
    """A ``FolderDataset`` with options and named splits; a subclass sets ``name`` and ``options_model``."""

    name: ClassVar[str]
    options_model: ClassVar[type[DatasetOptions]] = DatasetOptions
    options: DatasetOptions

    def __init__(self, config: DatasetConfig) -> None:
        """Read options and splits. Raises ``UserError`` on a wrong option or a splits file that cannot be used."""
        super().__init__(config)
        self.options = parse_options(self.options_model, config.options, self.name)
        self._named = all_splits(self.name, self.options.splits)
        chosen = None if config.tr_classes else self._named.get(config.split or next(iter(self._named)))
        self.merged_classes = chosen.merge if chosen else {}

    def splits(self) -> Mapping[str, Split]:
        """Return the named splits over the classes on the disk; the first is the default."""
        index = self.index()
        counts = dict.fromkeys(index.classes, 0)
        for label in index.label:
            counts[index.classes[label]] += 1
        classes = self.shared_classes()
        return {name: named.resolve(classes, counts) for name, named in self._named.items()}

    def merges(self, split: str) -> Mapping[str, str]:
        """Return class on the disk -> class it counts as, under the named split ``split``."""
        return self._named[split].merge if split in self._named else {}

    def shared_classes(self) -> Sequence[str]:
        """Return the classes that ``tr: shared`` and ``ti: rest`` stand for: all on the disk."""
        return self.index().classes
