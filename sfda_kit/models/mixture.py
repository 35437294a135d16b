"""A mixture of several source models: one network that mixes their predictions with learned weights.

Sources: DECISION (Ahmed, Raychaudhuri, Paul, Oymak, Roy-Chowdhury, "Unsupervised Multi-source Domain Adaptation
Without Access to Source Data", CVPR 2021, https://arxiv.org/abs/2104.01845) and the multi-source variant of SOCKET
(ECCV 2022, https://arxiv.org/abs/2209.04027). For source models j = 1..n with features F_j and classifiers C_j:

    p(x) = sum_j alpha_j softmax(C_j(F_j(x))),    alpha = softmax(w),    w = 0 at first

Every F_j and w adapt; the classifiers do not. Nearest-centroid labels sum the squared distances of the sources with
weights alpha_j: ``Mixture.weighed`` joins sqrt(alpha_j) F_j(x), so its squared Euclidean distances are these sums.

Deviations: the centroids of the first round are means weighted by the mixed prediction p, not by that of each source.
With the cosine metric of ``shot`` and ``socket``, the joined feature is scaled to unit length, not each part.
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
    """A member is a source model with its mapping to the mixture.

    ``order`` (K,): the output of the member for each class of the mixture; ``scale`` and ``shift`` (3,): the map from
    the normalised input of the mixture to that of the member.
    """

    network: Network
    order: Tensor
    scale: Tensor
    shift: Tensor


class Mixture(Network):
    """A mixture predicts with sum_j alpha_j p_j of its n members (see the module docstring).

    ``logits`` (B, K) are logarithms of the mixed probabilities. ``features`` (B, D) are the features of the members,
    joined and divided by sqrt(n). So a squared distance is the mean of those of the members, and n copies of one model
    behave like that model. Code that compares target images uses ``weighed`` features.
    """

    backbone: nn.ModuleList
    bottleneck: nn.ModuleList
    classifier: nn.ModuleList
    mixing: nn.Parameter
    orders: Tensor
    scales: Tensor
    shifts: Tensor

    def __init__(self, members: Sequence[MixtureMember]) -> None:
        nn.Module.__init__(self)  # Network.__init__ would build new parts, but a mixture uses those of its members
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

    def _answer(self, images: Tensor) -> NetworkOutput:
        outputs = list(self.member_outputs(images))
        features = torch.cat([output.features for output in outputs], dim=1) / math.sqrt(len(outputs))
        each = torch.stack([output.logits.log_softmax(dim=1) for output in outputs])
        return NetworkOutput(features, (each + self.mixing.log_softmax(dim=0)[:, None, None]).logsumexp(dim=0))

    def member_outputs(self, images: Tensor) -> Iterator[NetworkOutput]:
        """Yield the output of each member, with the classes in the order of the mixture."""
        parts = zip(self.backbone, self.bottleneck, self.classifier, strict=True)
        for number, (backbone, bottleneck, classifier) in enumerate(parts):
            scale, shift = (values[number][:, None, None] for values in (self.scales, self.shifts))
            features = bottleneck(backbone(images * scale + shift))
            logits = classifier(features)[:, self.orders[number]]
            yield NetworkOutput(single_precision(features), single_precision(logits))

    @property
    def alpha(self) -> Tensor:
        """The weights of the members, (n,), positive with sum 1."""
        return self.mixing.softmax(dim=0)

    @property
    def feature_width(self) -> int:
        """The number D of features of all members together."""
        return sum(self._widths)

    @property
    def class_count(self) -> int:
        """The number K of classes."""
        return self.orders.shape[1]

    def backbones(self) -> list[nn.Module]:
        """Return the backbone of each member."""
        return list(self.backbone)

    def weighed(self, features: Tensor) -> Tensor:
        """Multiply the part of each member in ``features`` (B, D) by sqrt(n alpha_j)."""
        factors = (len(self._widths) * self.alpha).sqrt()
        parts = torch.split(features, self._widths, dim=1)
        return torch.cat([part * factor for part, factor in zip(parts, factors, strict=True)], dim=1)


def mixing_weights(network: Network) -> tuple[float, ...]:
    """Return alpha of a ``Mixture`` in the order of its members, and an empty tuple for a single source model."""
    return tuple(network.alpha.tolist()) if isinstance(network, Mixture) else ()
