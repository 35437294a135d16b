"""The answers that an online method has given so far, one for each image when it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sfda_kit import Event, FeatureBank, by_row_blocks, zero_rows

if TYPE_CHECKING:
    from sfda_kit import AdaptationContext, Network, NetworkOutput


class OnlineAnswers(nn.Module):
    """``features`` (N, D) and ``logits`` (N, K), as given for each target image; buffers, so checkpoints hold them."""

    features: Tensor
    logits: Tensor

    def __init__(self, images: int, features: int, classes: int, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.register_buffer("features", zero_rows((images, features), device))
        self.register_buffer("logits", zero_rows((images, classes), device))

    @classmethod
    def for_network(cls, network: Network, images: int) -> OnlineAnswers:
        """Return a store without answers, as wide as the network's and on its device."""
        return cls(images, network.feature_width, network.class_count, next(network.parameters()).device)

    @torch.no_grad()
    def write(self, rows: Tensor, output: NetworkOutput) -> None:
        """Store the answers to ``rows`` (B,)."""
        rows = rows.to(self.logits.device)
        self.features[rows] = output.features.detach().to(self.features)
        self.logits[rows] = output.logits.detach().to(self.logits)

    def bank(self) -> FeatureBank:
        """Return a copy of all answers, for evaluation."""
        return FeatureBank(*(by_row_blocks(torch.clone, answers) for answers in (self.features, self.logits)))


def tell_what_is_scored(context: AdaptationContext, method: str) -> None:
    """Send a notice, so that nobody takes one of the two accuracies for the other."""
    text = (
        f"{method} is online: transductive figures are those of the answers given during the pass, held-out figures "
        "those of the final state, frozen"
    )
    context.listener(Event("notice", method, {"text": text}))
