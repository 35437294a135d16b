"""Classification of image files by an adapted model, with the same pixels as in its adaptation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.config.models import ComputeConfig
from sfda_kit.data.images import read_image
from sfda_kit.data.resize import resize
from sfda_kit.data.stored_values import stacked
from sfda_kit.data.unlabelled_folder import find_images
from sfda_kit.data.views import ImageView, Normalisation, stored_size
from sfda_kit.device import choose_device
from sfda_kit.errors import DataError, RenamedWarning
from sfda_kit.inference.adapted_card import AdaptedCard
from sfda_kit.inference.adapted_model import load_model
from sfda_kit.inference.run_parts import require_part
from sfda_kit.plugins.discovery import build_part
from sfda_kit.plugins.modalities import modality

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sfda_kit.models.network import AdaptedModel

BadImage = Callable[[DataError], None]


@dataclass(frozen=True)
class Prediction:
    """A prediction is the most likely class of an image; ``probability`` is in [0, 1]."""

    path: str
    label: str
    probability: float


def refuse(error: DataError) -> None:
    """Raise the error of an image that cannot be read; this is the default reaction."""
    raise error


class Predictor:
    """A predictor reads images as ``card`` describes, applies the test transform, and classifies them in batches."""

    def __init__(self, model: AdaptedModel, card: AdaptedCard, unit: str | None, device: torch.device) -> None:
        self.model, self.card, self.device = model, card, device
        self.unit = unit or card.unit or ""
        self.encoding = build_part("encoding", card.encoding.name, card.encoding.options)
        self.modality = modality(card.modality)
        self.normalisation = Normalisation(card.source.mean, card.source.std)

    @classmethod
    def of_run(cls, run: Path, unit: str | None, device: torch.device) -> Predictor:
        """Return the predictor of a run folder. Raises ``UserError`` where it holds no model or a part is missing."""
        model, card = load_model(run, device)
        require_part(run, "encoding", card.encoding.name)
        require_part(run, "modality", card.modality)
        return cls(model, card, unit, device)

    def predict(self, paths: Iterable[Path], batch_size: int = 64, bad: BadImage = refuse) -> Iterator[Prediction]:
        """Yield a prediction for each readable image, in order; call ``bad`` with the error of each unreadable one."""
        readable = self._readable(paths, bad)
        while chunk := list(islice(readable, batch_size)):
            names = [path for path, _ in chunk]
            yield from self.classify(list(map(str, names)), stacked([pixels for _, pixels in chunk]))

    def _readable(self, paths: Iterable[Path], bad: BadImage) -> Iterator[tuple[Path, NDArray[np.generic]]]:
        for path in paths:
            try:
                yield path, self._pixels(path)
            except DataError as error:
                bad(error)

    def _pixels(self, path: Path) -> NDArray[Any]:
        image = read_image(path, self.card.modality, self.unit)
        size = stored_size(self.card.source.model.image_size)
        return resize(image, size, missing_zero=self.modality.zero_is_missing)

    def classify(self, names: Sequence[str], pixels: NDArray[Any]) -> Iterator[Prediction]:
        """Yield a prediction for each row of ``pixels`` (B, S, S) or (B, S, S, 3), which are as ``Dataset.read``'s."""
        size = self.card.source.model.image_size
        view = ImageView(pixels, self.modality, self.encoding, size, self.normalisation, self.device)
        best = fill_bank(self.model, view, len(view)).probabilities.max(dim=1)
        for name, code, probability in zip(names, best.indices.tolist(), best.values.tolist(), strict=True):
            yield Prediction(name, self.card.source.classes[code], probability)


def predict(
    run: str | Path,
    images: Sequence[str | Path],
    *,
    unit: str | None = None,
    batch_size: int = 64,
    device: str = "auto",
    bad: BadImage = refuse,
    depth_unit: str | None = None,
) -> Iterator[Prediction]:
    """Do what ``sfda-kit predict`` does: classify ``images``, files or folders, with the model of a run folder.

    ``unit`` None: the unit that the model was adapted with (``depth_unit`` is its older name). ``bad`` is called with
    the error of each image that cannot be read; by default it is raised. Raises ``UserError`` where the run folder
    holds no model, and ``DataError`` where a folder of ``images`` is empty.
    """
    if depth_unit is not None:
        warnings.warn("depth_unit is called unit now", RenamedWarning, stacklevel=2)
    chosen = choose_device(ComputeConfig(device=device))
    found = find_images([Path(one) for one in images])
    return Predictor.of_run(Path(run), unit or depth_unit, chosen).predict(found, batch_size, bad)
