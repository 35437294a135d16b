"""AdaBN: adaptive batch normalisation.

Paper: Li, Wang, Shi, Liu, Hou, "Revisiting Batch Normalization For Practical Domain Adaptation", 2016 (Pattern
Recognition 80, 2018), https://arxiv.org/abs/1603.04779

Algorithm 1: for each neuron j, its mean mu_j and variance sigma_j^2 over all target images replace those of the source
in (x_j - mu_j) / sigma_j; scale and shift stay those of the source. There is no gradient, no rate and no option, and
the result does not depend on the seed.

The variance is the biased one, as it is in the paper's formula. Deviations stand in the declaration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from sfda_kit import AdaptedModel, EpochState, Method, Recipe, UserError, fill_bank
from sfda_kit_tta.norms import adopt_target_statistics, batch_norms

if TYPE_CHECKING:
    from sfda_kit import AdaptationContext, Network


class AdaBn(Method):
    """AdaBN replaces the BatchNorm statistics by those of the target (module docstring)."""

    shares_passes: ClassVar[bool] = True
    recipe: ClassVar[Recipe] = Recipe(
        summary="BatchNorm statistics of the target, nothing trained", paper="https://arxiv.org/abs/1603.04779"
    )

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state; nothing is kept to resume, because there is only one pass."""
        model = AdaptedModel(context.input_bridge, context.network)
        size = context.config.evaluation_batch_size
        adopt_target_statistics(model, context.target, size, "adabn")
        yield EpochState("adabn", 1, 1, model, fill_bank(model, context.target, size, context.autocast))

    def check(self, network: Network) -> None:
        """Raise ``UserError`` when the backbone has no BatchNorm statistics to replace."""
        if not batch_norms(network.backbone):
            raise UserError(
                "adabn replaces the BatchNorm statistics of the backbone, and this backbone has none (LayerNorm "
                "takes its own from each image). Use a backbone with BatchNorm (for example resnet10t or resnet50), "
                "or the method tent, which can adapt LayerNorm."
            )
