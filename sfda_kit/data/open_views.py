"""Opening of the views of a task. A run on labelled data reads its pixels only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from sfda_kit.data.checked_dataset import checked_pixels
from sfda_kit.data.copies import refuse_copies
from sfda_kit.data.stressed_pixels import shifted_images, worse_images
from sfda_kit.data.views import (
    EvaluationView,
    ImageView,
    LabelledView,
    Normalisation,
    PairView,
    TargetView,
    stored_size,
)
from sfda_kit.plugins.modalities import modality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfda_kit.config.stress import StressConfig
    from sfda_kit.data.task import Task
    from sfda_kit.interfaces.encoding import Encoding
    from sfda_kit.interfaces.modality import Modality

_SOURCE_HALVES = "ti-source"
_OF_TARGET = ("target-train", "target-test", "ti")
"""The parts whose pictures of the target sensor a stress makes worse."""


class ViewOpener:
    """A view opener opens the views of one task at one image size, encoding and device.

    ``source_halves``: rows of the source halves of TI pairs, where they are not those of the target halves.
    ``stress``: what is made worse in images of the target sensor, with the seed that draws it.
    """

    def __init__(
        self,
        task: Task,
        encoding: Encoding,
        image_size: int,
        device: torch.device,
        source_halves: NDArray[np.int64] | None = None,
        stress: tuple[StressConfig, int] | None = None,
    ) -> None:
        self._source_halves = task.rows["ti"] if source_halves is None else source_halves
        self.task, self.encoding, self.image_size, self.device = task, encoding, image_size, device
        self._stress = stress
        self._kept: dict[tuple[str, str], NDArray[np.generic]] = {}

    def read_target(self) -> None:
        """Read all target images and pairs. Raises ``DataError`` for bad files, before anything is trained."""
        source, target = self.task.source.modality, self.task.target.modality
        for part, kind in (("target-train", target), ("target-test", target), ("ti", target), (_SOURCE_HALVES, source)):
            pixels = self._pixels(part, kind)
            if len(pixels):  # an encoding that does not fit the values should stop before anything is trained
                ImageView(pixels, modality(kind), self.encoding, self.image_size).encoded(torch.tensor([0]))
        refuse_copies(self.task)

    def source(self) -> LabelledView:
        """Return the labelled source images, not yet normalised."""
        kind = self.task.source.modality
        labels = torch.from_numpy(self.task.labels("source"))
        pixels = self._pixels("source", kind)
        return LabelledView(pixels, modality(kind), self.encoding, self.image_size, device=self.device, labels=labels)

    def target(self, normalisation: Normalisation) -> TargetView:
        """Return the unlabelled target training images."""
        kind = self.task.target.modality
        return TargetView(self._pixels("target-train", kind), *self._rest(kind, normalisation))

    def labelled_target(self, normalisation: Normalisation) -> LabelledView:
        """Return the labelled target training images, which only bounds of the core use."""
        kind = self.task.target.modality
        labels = torch.from_numpy(self.task.labels("target-train"))
        pixels = self._pixels("target-train", kind)
        return LabelledView(pixels, *self._rest(kind, normalisation), labels=labels)

    def labelled_rows(self, rows: NDArray[np.int64], normalisation: Normalisation) -> LabelledView:
        """Return the labelled target images of ``rows`` of the data set, which only bounds of the core use."""
        kind = self.task.target.modality
        pixels = self._stressed(self._read(rows, kind), rows, kind)
        labels = torch.from_numpy(self.task.labels_of(rows))
        return LabelledView(pixels, *self._rest(kind, normalisation), labels=labels)

    def read_source_halves(self) -> None:
        """Read the source sensor's pictures of all target images. Raises ``DataError`` where one is missing."""
        for part in ("target-train", "target-test"):
            self._pixels(part, self.task.source.modality)

    def evaluation(self, part: str, normalisation: Normalisation, kind: str | None = None) -> EvaluationView:
        """Return the labelled target images of ``part`` with their names, for evaluation.

        ``kind``: the modality of their pictures, None for that of the target.
        """
        task = self.task
        kind = kind or task.target.modality
        images = ImageView(self._pixels(part, kind), *self._rest(kind, normalisation))
        return EvaluationView(images, torch.from_numpy(task.labels(part)), task.names(part), task.groups(part))

    def pairs(self, normalisation: Normalisation) -> PairView | None:
        """Return the TI pairs, or None where the task has none."""
        if not len(self.task.rows["ti"]):
            return None
        source, target = self.task.source.modality, self.task.target.modality
        return PairView(
            ImageView(self._pixels(_SOURCE_HALVES, source), *self._rest(source, normalisation)),
            ImageView(self._pixels("ti", target), *self._rest(target, normalisation)),
            self.task.groups("ti"),
        )

    def _pixels(self, part: str, kind: str) -> NDArray[np.generic]:
        """Return the pixels of a part. All but source images stay in memory, so that they are read once."""
        if (part, kind) in self._kept:
            return self._kept[part, kind]
        rows = self._source_halves if part == _SOURCE_HALVES else self.task.rows[part]
        pixels = self._read(rows, kind)
        if part in _OF_TARGET and kind == self.task.target.modality:
            pixels = self._stressed(pixels, rows, kind, are_pairs=part == "ti")
        if part != "source":
            self._kept[part, kind] = pixels
        return pixels

    def _read(self, rows: NDArray[np.int64], kind: str) -> NDArray[np.generic]:
        return checked_pixels(self.task.dataset, rows, kind, stored_size(self.image_size))

    def _stressed(
        self, pixels: NDArray[np.generic], rows: NDArray[np.int64], kind: str, are_pairs: bool = False
    ) -> NDArray[np.generic]:
        """Return pixels of the target sensor as the stress makes them; those of pairs are shifted first."""
        if self._stress is None:
            return pixels
        stress, seed = self._stress
        seen = shifted_images(pixels, rows, stress.pair_shift, seed) if are_pairs else pixels
        return worse_images(seen, rows, modality(kind), stress, seed)

    def _rest(
        self, kind: str, normalisation: Normalisation
    ) -> tuple[Modality, Encoding, int, Normalisation, torch.device]:
        return modality(kind), self.encoding, self.image_size, normalisation, self.device
