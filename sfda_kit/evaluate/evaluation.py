"""Evaluation of a run with target labels, which no adapting code may read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.adaptation.feature_bank import FeatureBank, fill_bank
from sfda_kit.adaptation.information import entropy
from sfda_kit.adaptation.row_blocks import by_row_blocks
from sfda_kit.metrics import accuracy, auroc, calibration_error, confusion, mean_class_accuracy
from sfda_kit.profiling import region

if TYPE_CHECKING:
    from torch import nn

    from sfda_kit.data.views import EvaluationView


@dataclass(frozen=True)
class Evaluated:
    """This holds the outputs of one model on one view: ``logits`` and ``probabilities`` (N, K), ``predictions`` (N,).

    It computes scores in percent.
    """

    view: EvaluationView
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    @classmethod
    def of_bank(cls, view: EvaluationView, bank: FeatureBank) -> Evaluated:
        """Return what a model answers in ``bank`` to the images of ``view``, row by row."""
        return cls(view, bank.logits.cpu().numpy(), bank.probabilities.cpu().numpy())

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The most likely class of each image, int64 (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    def scores(self) -> dict[str, float]:
        """Return accuracy, mean_class_accuracy, calibration_error and auroc in percent.

        There is no auroc where all images have the same label.
        """
        labels = self.view.labels.numpy()
        area = auroc(self.probabilities, labels)
        return {
            "accuracy": accuracy(self.predictions, labels),
            "mean_class_accuracy": mean_class_accuracy(self.predictions, labels),
            "calibration_error": calibration_error(self.probabilities, labels),
        } | ({} if area is None else {"auroc": area})

    def confusion(self) -> NDArray[np.int64]:
        """Return the counts (K, K), with true classes as rows and predicted classes as columns."""
        return confusion(self.predictions, self.view.labels.numpy(), self.probabilities.shape[1])


class Evaluator:
    """An evaluator scores a model on the transductive (unlabelled training) and the held-out target images.

    ``heldout`` is None where the protocol holds nothing out; there are no held-out scores then.
    """

    def __init__(
        self,
        transductive: EvaluationView,
        heldout: EvaluationView | None,
        batch_size: int,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.views = {"transductive": transductive} | ({} if heldout is None else {"heldout": heldout})
        self.reading = batch_size, autocast

    def evaluate(self, model: nn.Module, bank: FeatureBank | None = None) -> dict[str, Evaluated]:
        """Evaluate ``model`` on both parts; a given ``bank`` saves the pass over the training images."""
        found = {}
        if "heldout" in self.views:
            with region("held-out images"):
                found["heldout"] = Evaluated.of_bank(self.views["heldout"], self._fill(model, "heldout"))
        return self.transductive(bank or self._fill(model, "transductive")) | found

    def transductive(self, bank: FeatureBank) -> dict[str, Evaluated]:
        """Evaluate the answers in ``bank`` to the training images. No pass is needed."""
        return {"transductive": Evaluated.of_bank(self.views["transductive"], bank)}

    def _fill(self, model: nn.Module, part: str) -> FeatureBank:
        return fill_bank(model, self.views[part].images, *self.reading)


def flat_scores(evaluated: dict[str, Evaluated]) -> dict[str, float]:
    """Return all scores of all parts by name, such as ``heldout_accuracy``."""
    return {f"{part}_{name}": value for part, result in evaluated.items() for name, value in result.scores().items()}


def label_free_diagnostics(bank: FeatureBank, source_bank: FeatureBank) -> dict[str, Any]:
    """Return the class histogram (K), mean entropy (nats) and agreement with the source model (share in [0, 1])."""
    probabilities = bank.probabilities
    counts = bank.predictions.bincount(minlength=probabilities.shape[1])
    return {
        "histogram": counts.tolist(),
        "entropy": float(by_row_blocks(lambda rows: entropy(rows, epsilon=1e-8), probabilities).mean()),
        "source_agreement": float((bank.predictions == source_bank.predictions).float().mean()),
    }
