"""T3A: test-time classifier adjustment.

Paper: Iwasawa, Matsuo, "Test-Time Classifier Adjustment Module for Model-Agnostic Domain Generalization", NeurIPS 2021,
https://openreview.net/forum?id=e_yvNqkJKAW

Section 4 and the authors' code (our notation). z: feature before the classifier, w_k and b: its weights and bias, p:
the source model's softmax.

    at first each w_k is a member of the set S_c of its own prediction c = argmax of W w_k + b, which need not be k
    each image that comes adds z to the set of its class argmax_k p_k
    S_k keeps the M members of lowest entropy H(p)                        (for w_k: of the classifier's answer to it)
    c_k = sum over S_k of s / |s|, scaled to unit length (0 where S_k is empty),    answer = softmax_k <z, c_k>

There is no gradient. T3A is online: the sets take in a batch, are filtered, and then answer it. **Transductive**
figures are those of these answers; **held-out** figures are those of the final class means, frozen: an ordinary linear
classifier without bias.

Default: M = 20. The batch is the run's ``adapt.batch_size``. Between equal entropies the older member stays. Because
features do not change, they are computed in one pass before the stream begins; the answers are the same. Deviations
stand in the declaration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import (
    AdaptedModel,
    EpochState,
    FeatureBank,
    Method,
    Recipe,
    UserError,
    fill_bank,
    replace_weights,
    seeded_generator,
    zero_rows,
)
from sfda_kit_tta.online import tell_what_is_scored

if TYPE_CHECKING:
    from sfda_kit import AdaptationContext, Network


class T3a(Method):
    """T3A uses class means of confident features (module docstring). Option ``support`` M (20; None keeps all)."""

    shares_passes: ClassVar[bool] = True
    recipe: ClassVar[Recipe] = Recipe(
        summary="class means of confident target features, online",
        paper="https://openreview.net/forum?id=e_yvNqkJKAW",
    )

    def __init__(self, support: int | None = 20) -> None:
        if support is not None and support < 1:
            raise UserError(f"t3a: support is {support!r}, expected a number of at least 1, or null to keep all.")
        self.support = support

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state; nothing is kept to resume, because there is only one pass."""
        tell_what_is_scored(context, "t3a")
        model = AdaptedModel(context.input_bridge, context.network)
        source = fill_bank(model, context.target, context.config.evaluation_batch_size, context.autocast)
        classifier = context.network.classifier
        assert isinstance(classifier, nn.Linear)
        sets = SupportSets(classifier, self.support)
        order = torch.randperm(len(context.target), generator=seeded_generator(context.seed, "t3a"))
        online = zero_rows(tuple(source.logits.shape), source.logits.device, source.logits.dtype)
        for rows in torch.split(order.to(online.device), context.config.batch_size):
            sets.add(source.features[rows], source.logits[rows])
            online[rows] = source.features[rows] @ sets.means().T
        replace_weights(classifier, sets.means(), torch.zeros_like(classifier.bias))
        yield EpochState("t3a", 1, 1, model, FeatureBank(source.features, online))

    def check(self, network: Network) -> None:
        """Raise ``UserError`` when there is not one classifier whose weights class means could replace."""
        if not isinstance(network.classifier, nn.Linear):
            raise UserError(
                "t3a replaces the weights of one classifier, and several source models have one each. Give a single "
                "--source-card, or use the method tent."
            )


class SupportSets:
    """Support sets hold the S_k as one table: ``features`` (S, D), ``labels`` (S,), ``entropies`` (S,)."""

    @torch.no_grad()
    def __init__(self, classifier: nn.Linear, support: int | None) -> None:
        self.support, self.classes = support, classifier.out_features
        self.features = classifier.weight.detach().clone()
        logits = classifier(self.features)
        self.labels, self.entropies = logits.argmax(dim=1), _entropies(logits)

    def add(self, features: Tensor, logits: Tensor) -> None:
        """Add images by features (B, D) and the source model's logits (B, K), and filter."""
        self.features = torch.cat([self.features, features])
        self.labels = torch.cat([self.labels, logits.argmax(dim=1)])
        self.entropies = torch.cat([self.entropies, _entropies(logits)])
        if self.support is not None:
            self._keep(self._rank() < self.support)

    def means(self) -> Tensor:
        """Return c_k, (K, D), of unit length or 0."""
        member = F.one_hot(self.labels, self.classes).to(self.features)
        return F.normalize(member.T @ F.normalize(self.features, dim=1), dim=1)

    def _rank(self) -> Tensor:
        """Return the place of each member within its class by entropy, 0 the lowest, (S,)."""
        order = self.entropies.argsort(stable=True)
        counts = F.one_hot(self.labels[order], self.classes).cumsum(dim=0)
        rank = torch.empty_like(order)
        rank[order] = counts.gather(1, self.labels[order][:, None])[:, 0] - 1
        return rank

    def _keep(self, kept: Tensor) -> None:
        self.features, self.labels = self.features[kept], self.labels[kept]
        self.entropies = self.entropies[kept]


def _entropies(logits: Tensor) -> Tensor:
    surprise = logits.log_softmax(dim=1)
    return -(surprise.exp() * surprise).sum(dim=1)
