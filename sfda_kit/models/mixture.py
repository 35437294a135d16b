"""Several source models as one network: their predictions mixed with learned weights.

Sources: DECISION (Ahmed, Raychaudhuri, Paul, Oymak, Roy-Chowdhury, "Unsupervised Multi-source Domain Adaptation
Without Access to Source Data", CVPR 2021, https://arxiv.org/abs/2104.01845) and the multi-source variant of SOCKET
(ECCV 2022, https://arxiv.org/abs/2209.04027). For source models j = 1..n with features F_j and classifiers C_j:

    p(x) = sum_j alpha_j softmax(C_j(F_j(x))),    alpha = softmax(w),    w = 0 at first

Every F_j and w adapt, the classifiers stay. Nearest-centroid labels weigh the sources' squared distances by alpha:
``Mixture.weighed`` joins sqrt(alpha_j) F_j(x), whose squared Euclidean distances are these sums.

Deviations: the centroids of the first round are means weighted by the mixed prediction p, not by each source's own;
with the cosine metric of ``shot`` and ``socket`` it is the joined feature that is scaled to unit length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from sfda_kit.models.network import Network, NetworkOutput, single_precision

if TYPE_CHECKING:
    from collections.abc import Iterator


class MixtureMember(NamedTuple):
    """A source model and how it fits the others.

    ``order`` (K,): its output for each class of the mixture; ``scale`` and ``shift`` (3,): from the mixture's
    normalised input to its own.
    """

    network: Network
    order: Tensor
    scale: Tensor
    shift: Tensor


class Mixture(Network):
    """Predicts with sum_j alpha_j p_j of its n members (module docstring).

    ``logits`` (B, K) are logarithms of the mixed probabilities. ``features`` (B, D) are the members' own, joined and
    divided by sqrt(n), so that a squared distance is the mean of the members' squared distances and n copies of one
    model are like that model. What compares target images reads them ``weighed``.
    """

    backbone: nn.ModuleList
    bottleneck: nn.ModuleList
    classifier: nn.ModuleList
    mixing: nn.Parameter
    orders: Tensor
    scales: Tensor
    shifts: Tensor

    def __init__(self, members: Sequence[MixtureMember]) -> None:
        nn.Module.__init__(self)  # its parts are its members': nothing is made anew
        networks = [member.network for member in members]
        self.image_size = networks[0].image_size
        self.backbone = nn.ModuleList(network.backbone for network in networks)
        self.bottleneck = nn.ModuleList(network.bottleneck for network in networks)
        self.classifier = nn.ModuleList(network.classifier for network in networks)
        self._widths = [network.feature_width for network in networks]
        self.mixing = nn.Parameter(torch.zeros(len(networks)))
        self.register_buffer("orders", torch.stack([member.order for member in members]))
        self.register_buffer("scales", torch.stack([member.scale for member in members]))
        self.register_buffer("shifts", torch.stack([member.shift for member in members]))

    def forward(self, images: Tensor) -> NetworkOutput:
        """(B, 3, H, W), normalised -> features (B, D), logits (B, K)."""
        outputs = list(self.member_outputs(images))
        features = torch.cat([output.features for output in outputs], dim=1) / math.sqrt(len(outputs))
        each = torch.stack([output.logits.log_softmax(dim=1) for output in outputs])
        return NetworkOutput(features, (each + self.mixing.log_softmax(dim=0)[:, None, None]).logsumexp(dim=0))

    def member_outputs(self, images: Tensor) -> Iterator[NetworkOutput]:
        """Each member's own answer, its classes in the mixture's order."""
        parts = zip(self.backbone, self.bottleneck, self.classifier, strict=True)
        for number, (backbone, bottleneck, classifier) in enumerate(parts):
            scale, shift = (values[number][:, None, None] for values in (self.scales, self.shifts))
            features = bottleneck(backbone(images * scale + shift))
            logits = classifier(features)[:, self.orders[number]]
            yield NetworkOutput(single_precision(features), single_precision(logits))

    @property
    def alpha(self) -> Tensor:
        """Weights of the members, (n,), positive, sum 1."""
        return self.mixing.softmax(dim=0)

    @property
    def feature_width(self) -> int:
        """Number D of features, those of all members."""
        return sum(self._widths)

    @property
    def class_count(self) -> int:
        """Number K of classes."""
        return self.orders.shape[1]

    def backbones(self) -> list[nn.Module]:
        """Each member's backbone."""
        return list(self.backbone)

    def weighed(self, features: Tensor) -> Tensor:
        """``features`` (B, D) with each member's part multiplied by sqrt(n alpha_j)."""
        factors = (len(self._widths) * self.alpha).sqrt()
        parts = torch.split(features, self._widths, dim=1)
        return torch.cat([part * factor for part, factor in zip(parts, factors, strict=True)], dim=1)


def mixing_weights(network: Network) -> tuple[float, ...]:
    """alpha of a ``Mixture``, in the order of its members; nothing for a single source model."""
    return tuple(network.alpha.tolist()) if isinstance(network, Mixture) else ()
