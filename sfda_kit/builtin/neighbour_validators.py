"""Label-free scores that compare every image with every other, exactly and a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit.adaptation.information import entropy
from sfda_kit.adaptation.row_blocks import by_row_blocks
from sfda_kit.errors import UserError
from sfda_kit.interfaces.validator import Validator

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank

BLOCK = 1024
"""The most rows of the N x N matrix in memory at a time."""
CELLS = 2**24
"""The most values of the N x N matrix in memory at a time: 64 MiB, and a few times as much while they are worked on."""


def cosine_blocks(vectors: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows (B,) and their cosine similarity (B, N) to all of ``vectors`` (N, D), to themselves -inf."""
    unit = by_row_blocks(lambda rows: F.normalize(rows, dim=1), vectors)
    block = max(1, min(BLOCK, CELLS // len(unit)))
    for rows in torch.split(torch.arange(len(unit), device=unit.device), block):
        similarity = unit[rows] @ unit.T
        similarity[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
        yield rows, similarity


class Snd(Validator):
    """Soft neighbourhood density, up to log N nats: the mean entropy of the softmax over neighbours.

    Similarity is the cosine of softmax outputs over ``temperature``. As in the authors' code an image is not left out
    of its own neighbours but has the least similarity, -1, and the entropy is - sum_j r_j log(r_j + 1e-5). Many equally
    near neighbours score high. A model that answers the same for every image scores the maximum, so this score needs
    the collapse guard. Source: Saito et al., ICCV 2021 (https://arxiv.org/abs/2108.10860), temperature 0.05.
    """

    pairwise: ClassVar[bool] = True

    def __init__(self, temperature: float = 0.05) -> None:
        if temperature <= 0:
            raise UserError(f"The temperature of snd is {temperature}; it must be above 0 (the paper's is 0.05).")
        self.temperature = temperature

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        if len(bank.logits) == 1:
            return 0.0
        found = [self._entropy(similarity) for _, similarity in cosine_blocks(bank.probabilities)]
        return float(torch.cat(found).cpu().double().mean())

    def _entropy(self, similarity: Tensor) -> Tensor:
        shares = (similarity.clamp_min(-1) / self.temperature).softmax(dim=1)  # the image itself has -inf before
        return entropy(shares)


class KnnAgreement(Validator):
    """Mean share, in [0, 1], of an image's nearest neighbours that are predicted as the same class.

    ``neighbours``: how many others, by cosine of bottleneck features (fewer where there are no more). A collapsed model
    scores 1.
    """

    pairwise: ClassVar[bool] = True

    def __init__(self, neighbours: int = 5) -> None:
        if neighbours < 1:
            raise UserError(f"knn-agreement asks {neighbours} neighbours; it needs 1 or more.")
        self.neighbours = neighbours

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        predicted = bank.predictions
        count = min(self.neighbours, len(predicted) - 1)
        if count == 0:
            return 1.0
        same = 0
        for rows, similarity in cosine_blocks(bank.features):
            nearest = similarity.topk(count, dim=1).indices
            same += int((predicted[nearest] == predicted[rows, None]).sum())
        return same / (count * len(predicted))
