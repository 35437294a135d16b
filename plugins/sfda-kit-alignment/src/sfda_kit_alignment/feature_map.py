"""Linear maps of target features to source features in closed form, and their place in a network.

Notation. x (d): the backbone's pooled features of a target image; f (D): what the classifier sees of it (bottleneck
features; x itself where there is no bottleneck); y (D): what the source network's classifier sees of the source half of
a pair; m, s: mean and standard deviation over all unlabelled target images; mu, sigma: those of source features.

    plain       z = W' (x - m) / s + c                   with W, c = argmin sum |W' (x - m) / s + c - y|^2 + l |W|^2
    residual    z = f^ + W' (x - m) / s + c              with y - f^ in the place of y
                f^ = (f - m_f) / s_f * sigma + mu
    identity    z = f                                    the network as it is

In plain and residual form each dimension of z is then brought to mean mu and deviation sigma over the target training
images. Every form is z = gain * f + weight' x + shift, which ``fold_in`` writes into the last layers of a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from sfda_kit import replace_weights

if TYPE_CHECKING:
    from sfda_kit import Network

FORMS = ("identity", "residual", "plain")
"""From the simplest on, which wins where the next one is not clearly better."""


class Moments(NamedTuple):
    """Moments are mean and standard deviation of each dimension, (D,)."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Moments:
        """Return the moments of ``values`` (N, D); a dimension that is constant has the deviation 1."""
        deviation, mean = torch.std_mean(values, dim=0, correction=0)
        return cls(mean, torch.where(deviation > 0, deviation, 1.0))


class FeatureMap(NamedTuple):
    """A feature map is z = gain * f + weight' x + shift, with gain and shift (D,) and weight (d, D)."""

    gain: Tensor
    weight: Tensor
    shift: Tensor

    def __call__(self, inputs: Tensor, own: Tensor) -> Tensor:
        """Return z (N, D) of x (N, d) and f (N, D)."""
        return self.gain * own + inputs @ self.weight + self.shift

    def scaled(self, factor: Tensor, added: Tensor) -> FeatureMap:
        """Return the map to factor * z + added."""
        return FeatureMap(self.gain * factor, self.weight * factor, self.shift * factor + added)


@dataclass(frozen=True)
class PairFeatures:
    """Pair features hold what maps are fitted on, in float64: x and f of the n target halves, y of the source halves.

    ``target_inputs`` (N, d) and ``target_own`` (N, D): x and f of the target training images. ``source``: mu and sigma.
    """

    inputs: Tensor
    own: Tensor
    wanted: Tensor
    target_inputs: Tensor
    target_own: Tensor
    source: Moments

    def nothing(self) -> FeatureMap:
        """Return the map z = 0."""
        width = self.own.shape[1]
        return FeatureMap(*(self.own.new_zeros(shape) for shape in ((width,), (self.inputs.shape[1], width), (width,))))

    def identity(self) -> FeatureMap:
        """Return the map z = f."""
        return self.nothing()._replace(gain=self.own.new_ones(self.own.shape[1]))

    def maps(self, form: str, ridges: tuple[float, ...], rows: Tensor) -> list[FeatureMap]:
        """Return the map of ``form`` that is fitted on ``rows`` of the pairs, for each ridge l = ridge * pairs."""
        seen = Moments.of(torch.cat([self.target_inputs, self.inputs]))
        start = self._standardised() if form == "residual" else self.nothing()
        inputs = (self.inputs[rows] - seen.mean) / seen.deviation
        wanted = self.wanted[rows] - start(self.inputs[rows], self.own[rows])
        found = []
        for solved, shift in ridge_solutions(inputs, wanted, [ridge * len(rows) for ridge in ridges]):
            weight = solved / seen.deviation[:, None]
            found.append(self._ended(FeatureMap(start.gain, weight, start.shift + shift - seen.mean @ weight)))
        return found

    def _standardised(self) -> FeatureMap:
        """Return the map to f^."""
        own = Moments.of(torch.cat([self.target_own, self.own]))
        factor = self.source.deviation / own.deviation
        return self.identity().scaled(factor, self.source.mean - own.mean * factor)

    def _ended(self, found: FeatureMap) -> FeatureMap:
        """Return the map with the last standardisation, over the target training images."""
        made = Moments.of(found(self.target_inputs, self.target_own))
        factor = self.source.deviation / made.deviation
        return found.scaled(factor, self.source.mean - made.mean * factor)


def ridge_solutions(inputs: Tensor, wanted: Tensor, strengths: list[float]) -> list[tuple[Tensor, Tensor]]:
    """Return weight (d, D) and shift (D,) with the least sum of |inputs @ weight + shift - wanted|^2 + l |weight|^2.

    ``inputs`` (n, d), ``wanted`` (n, D); one solution for each l of ``strengths`` (above 0), from one decomposition.
    """
    means = inputs.mean(dim=0), wanted.mean(dim=0)
    left, values, right = torch.linalg.svd(inputs - means[0], full_matrices=False)
    projected = left.T @ (wanted - means[1])
    weights = [right.T @ ((values / (values.square() + one))[:, None] * projected) for one in strengths]
    return [(weight, means[1] - means[0] @ weight) for weight in weights]


def exact(values: Tensor) -> Tensor:
    """Return ``values`` in float64 on the CPU, where some accelerators have no such type."""
    return values.detach().double().cpu()


def source_moments(network: Network, wanted: Tensor) -> Moments:
    """Return mu and sigma of source features: from the bottleneck's BatchNorm, else of the source halves ``wanted``.

    A BatchNorm brings what it was trained on to the mean ``bias`` and the deviation ``|weight|``.
    """
    if not isinstance(network.bottleneck, nn.Sequential):
        return Moments.of(wanted)
    _, norm = _bottleneck(network.bottleneck)
    return Moments(exact(norm.bias), exact(norm.weight).abs())


@torch.no_grad()
def fold_in(network: Network, found: FeatureMap) -> None:
    """Change the last layers of ``network`` so that its classifier sees z.

    With a bottleneck (Linear and BatchNorm), the linear layer becomes the map and the BatchNorm passes it on, so the
    network's features are z. Without one the classifier takes the map in, and the features stay x.
    """
    if isinstance(network.bottleneck, nn.Sequential):
        _into_bottleneck(*_bottleneck(network.bottleneck), found)
        return
    classifier = network.classifier
    assert isinstance(classifier, nn.Linear), "a method checks that there is one classifier"
    weight, whole = exact(classifier.weight), torch.diag(found.gain) + found.weight.T
    bias = exact(classifier.bias) + weight @ found.shift
    replace_weights(classifier, (weight @ whole).to(classifier.bias), bias.to(classifier.bias))


def fold_in_features(network: Network, matrix: Tensor, shift: Tensor) -> None:
    """Change the last layers so that the classifier sees f @ ``matrix`` (D, D) + ``shift`` (D,) in the place of f."""
    weight = matrix
    if isinstance(network.bottleneck, nn.Sequential):
        own_weight, own_shift = _as_one_layer(*_bottleneck(network.bottleneck))
        weight, shift = own_weight.T @ matrix, own_shift @ matrix + shift
    fold_in(network, FeatureMap(torch.zeros_like(shift), weight, shift))


def _bottleneck(layers: nn.Sequential) -> tuple[nn.Linear, nn.BatchNorm1d]:
    linear, norm = layers
    assert isinstance(linear, nn.Linear) and isinstance(norm, nn.BatchNorm1d), "that is what a bottleneck is"
    return linear, norm


def _as_one_layer(linear: nn.Linear, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return weight (D, d) and shift (D,) of the linear map that both layers are in evaluation mode, float64."""
    assert norm.running_mean is not None and norm.running_var is not None, "the bottleneck keeps statistics"
    rate = exact(norm.weight) / (exact(norm.running_var) + norm.eps).sqrt()
    shift = rate * (exact(linear.bias) - exact(norm.running_mean)) + exact(norm.bias)
    return rate[:, None] * exact(linear.weight), shift


def _into_bottleneck(linear: nn.Linear, norm: nn.BatchNorm1d, found: FeatureMap) -> None:
    assert norm.running_mean is not None and norm.running_var is not None, "the bottleneck keeps statistics"
    own_weight, own_shift = _as_one_layer(linear, norm)
    linear.weight.copy_(found.gain[:, None] * own_weight + found.weight.T)
    linear.bias.copy_(found.gain * own_shift + found.shift)
    norm.running_mean.zero_()
    norm.running_var.fill_(1)
    norm.weight.fill_((1 + norm.eps) ** 0.5)
    norm.bias.zero_()
