"""Controls that learn nothing: the most frequent class of the source, and the source model on the source sensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.errors import DataError, UserError
from sfda_kit.evaluate.core_method import CoreMethod
from sfda_kit.interfaces.method import EpochState
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.models.network import AdaptedModel, replace_weights

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.data.open_views import ViewOpener
    from sfda_kit.data.views import ImageView, Normalisation
    from sfda_kit.interfaces.method import AdaptationContext
    from sfda_kit.models.network import Network


class Majority(CoreMethod):
    """It answers each image with the shares of the classes among the source images: the most frequent one wins.

    Of equally frequent classes the first one wins. It reads source labels and no image.
    """

    recipe: ClassVar[Recipe] = Recipe()

    def open_views(self, opener: ViewOpener, normalisation: Normalisation, config: RunConfig) -> None:
        """Count the labels of the source images."""
        del normalisation, config
        self.counts = torch.from_numpy(opener.task.labels("source")).bincount(minlength=len(opener.task.classes))

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state."""
        answer_always(context.network, self.counts / self.counts.sum())
        model = AdaptedModel(context.input_bridge, context.network)
        bank = fill_bank(model, context.target, context.config.evaluation_batch_size, context.autocast)
        yield EpochState("majority", 1, 1, model, bank)


class RgbCeiling(CoreMethod):
    """It is the source model on the source sensor's pictures of the target images: what it knows of these scenes."""

    is_scored_on_source_halves: bool = True
    recipe: ClassVar[Recipe] = Recipe()

    def check_task(self, opener: ViewOpener, config: RunConfig) -> None:
        """Raise ``UserError`` where the target images have no other halves."""
        del config
        refuse_missing_halves(opener, "rgb-ceiling")

    def open_views(self, opener: ViewOpener, normalisation: Normalisation, config: RunConfig) -> None:
        """Take the source sensor's pictures of the target training images."""
        del config
        self.view: ImageView = opener.evaluation("target-train", normalisation, opener.task.source.modality).images

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state: the source model as it is."""
        model = AdaptedModel(context.input_bridge, context.network)
        bank = fill_bank(model, self.view, context.config.evaluation_batch_size, context.autocast)
        yield EpochState("rgb-ceiling", 1, 1, model, bank)


def refuse_missing_halves(opener: ViewOpener, method: str) -> None:
    """Raise ``UserError`` where ``method`` lacks the source sensor's pictures of the target images."""
    task = opener.task
    if task.source.modality == task.target.modality:
        raise UserError(
            f"{method}: source and target are both {task.target.modality}, so the target images have no other halves "
            "to score."
        )
    try:
        opener.read_source_halves()
    except DataError as error:
        raise UserError(
            f"{method}: the data set has no {task.source.modality} half of some target images, so it cannot score "
            f"them: {error}"
        ) from None


@torch.no_grad()
def answer_always(network: Network, shares: Tensor) -> None:
    """Change the classifier so that each image gets the probabilities ``shares`` (K,); a share of 0 becomes 1e-6."""
    bias = shares.clamp_min(1e-6).log()
    for layer in network.classifier.modules():
        if isinstance(layer, nn.Linear):
            replace_weights(
                layer, torch.zeros(layer.out_features, layer.in_features).to(layer.bias), bias.to(layer.bias)
            )
