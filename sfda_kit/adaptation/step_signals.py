"""The signals that the loss terms of one step share; each is computed when first read, and kept for the step."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfda_kit.adaptation.step_inputs import StepImages, StepInputs
from sfda_kit.errors import UserError
from sfda_kit.models.bridging import bridged
from sfda_kit.models.network import frozen_running_statistics
from sfda_kit.models.shallow import shallow_features
from sfda_kit.models.statistics import BatchNormStatistics, captured_statistics, stored_statistics
from sfda_kit.profiling import region

if TYPE_CHECKING:
    from torch import nn

    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.adaptation.target_memory import TargetMemory
    from sfda_kit.data.views import GeometryKind
    from sfda_kit.interfaces.pseudo_labeler import PseudoLabels
    from sfda_kit.models.network import Network, NetworkOutput


class _Signals:
    """The base of all signals: it holds the images of a step, which other signals of the step may share."""

    def __init__(self, images: StepInputs | StepImages) -> None:
        self._images = images if isinstance(images, StepImages) else StepImages(images)

    @property
    def target_rows(self) -> Tensor:
        """Rows of the target view in this batch, int64 (B,)."""
        return self._images.inputs.target_rows

    @property
    def progress(self) -> float:
        """Share of the phase's steps done before this one, in [0, 1)."""
        return self._images.inputs.progress

    @property
    def epoch(self) -> int:
        """Number of the phase's epoch, from 0."""
        return self._images.inputs.epoch

    @property
    def step(self) -> int:
        """Number of the phase's step, from 0."""
        return self._images.inputs.step

    @property
    def steps(self) -> int:
        """How many steps the phase has in all its epochs."""
        return self._images.inputs.steps

    @property
    def random(self) -> torch.Generator:
        """The random numbers of this step: what its terms draw changes nothing for later steps."""
        return self._images.random

    @property
    def target_images(self) -> Tensor:
        """Encoded, normalised target images, (B, 3, H, W)."""
        return self._images.target_images

    def draw_target_images(self, kind: GeometryKind | None = None, rows: Tensor | None = None) -> Tensor:
        """Return another view of the target batch, or of target ``rows``, with crops and flips drawn from ``random``.

        It is encoded and normalised, (B, 3, H, W); each call draws anew. ``kind``: that of the run by default.
        """
        inputs = self._images.inputs
        rows = inputs.target_rows if rows is None else rows
        geometry = inputs.target.draw_geometry(len(rows), kind or inputs.geometry, self.random)
        return inputs.target.batch(rows, geometry)

    @property
    def ti_target_images(self) -> Tensor:
        """Target halves of TI pairs, encoded and normalised, (B', 3, H, W)."""
        return self._images.ti_target_images

    @property
    def ti_source_images(self) -> Tensor:
        """Source halves of the same TI pairs with the same geometry, normalised, (B', 3, H, W)."""
        return self._images.ti_source_images


class StepSignals(_Signals):
    """The signals of an adaptation step. Shapes: B target images, B' TI pairs, D features, K classes.

    Gradients flow through the adapting network and a trained bridge only, never through the source network's own
    answers. The adapting network makes one forward pass per view; its passes over TI images use their own batch
    statistics and never touch the running ones. ``trained_bridge``: role of a bridge that learns in this step; its
    ``bridge_signals`` share the images and the bridge's passes.
    """

    def __init__(
        self,
        inputs: StepInputs,
        network: Network,
        source_network: Network,
        bridges: Mapping[str, nn.Module],
        reads: frozenset[str] = frozenset(),
        pseudo_labels: PseudoLabels | None = None,
        memory: TargetMemory | None = None,
        trained_bridge: str | None = None,
        target_bank: FeatureBank | None = None,
    ) -> None:
        super().__init__(inputs)
        self._network = network
        self._source = source_network
        self._bridges = bridges
        self._reads = reads
        self._pseudo_labels = pseudo_labels
        self._memory = memory
        self._trained_bridge = trained_bridge
        self._target_bank = target_bank
        self._statistics: list[BatchNormStatistics] | None = None

    @cached_property
    def bridge_signals(self) -> BridgeSignals:
        """The signals for the terms of the bridge's own objective, where a phase trains the bridge."""
        if self._trained_bridge is None:
            raise RuntimeError("no bridge is trained in this step (Phase.train_bridge)")
        return BridgeSignals(self._images, self._bridges[self._trained_bridge], self._source)

    @property
    def _seen_target_images(self) -> Tensor:
        if self._trained_bridge == "input":
            return self.bridge_signals.bridged_target_images
        return self._bridge("input", self.target_images)

    @property
    def _seen_ti_images(self) -> Tensor:
        if self._trained_bridge == "input":
            return self.bridge_signals.bridged_ti_images
        return self._bridge("input", self.ti_target_images)

    @cached_property
    def _target_output(self) -> NetworkOutput:
        images = self._seen_target_images
        with region("network, target"):
            if "batch_statistics" not in self._reads:
                return self._network(images)  # type: ignore[no-any-return]
            with captured_statistics(self._network) as self._statistics:
                return self._network(images)  # type: ignore[no-any-return]

    @property
    def target_logits(self) -> Tensor:
        """Logits of the adapting network on the target batch, (B, K)."""
        return self._target_output.logits

    @property
    def target_features(self) -> Tensor:
        """Bottleneck features of the adapting network on the target batch, (B, D)."""
        return self._target_output.features

    @cached_property
    def target_probabilities(self) -> Tensor:
        """Softmax of ``target_logits``, (B, K)."""
        return self.target_logits.softmax(dim=1)

    def answer(self, images: Tensor, by: nn.Module | None = None, keep_statistics: bool = False) -> NetworkOutput:
        """Return the adapting network's answer to other images (B', 3, H, W), such as mixed ones.

        The images pass the input bridge, as the target batch does. ``by``: another network instead (a momentum model).
        ``keep_statistics``: the pass uses batch statistics and keeps the running ones, which inference needs.
        """
        network = self._network if by is None else by
        images = self._bridge("input", images)
        with frozen_running_statistics(network) if keep_statistics else nullcontext():
            return network(images)  # type: ignore[no-any-return]

    @cached_property
    def memory(self) -> TargetMemory:
        """Unit features and softmax of all N target images; this batch's rows (``target_rows``) are renewed already."""
        if self._memory is None:
            raise RuntimeError('an aligner that reads memory declares reads = ("memory",)')
        features = self._network.weighed(self.target_features)
        self._memory.write(self.target_rows, features, self.target_probabilities)
        return self._memory

    @property
    def target_bank(self) -> FeatureBank:
        """Answers to all N target images at the start of the epoch, in evaluation mode, no gradient."""
        if self._target_bank is None:
            raise RuntimeError('an aligner that reads target_bank declares reads = ("target_bank",)')
        return self._target_bank

    @property
    def batch_statistics(self) -> list[BatchNormStatistics]:
        """Input mean and biased variance of each BatchNorm2d layer in the target pass, with gradients."""
        if "batch_statistics" not in self._reads:
            raise RuntimeError('an aligner that reads batch_statistics declares reads = ("batch_statistics",)')
        _ = self._target_output
        assert self._statistics is not None
        return self._statistics

    @cached_property
    def source_statistics(self) -> list[BatchNormStatistics]:
        """Running statistics stored in the source network, in the same order as ``batch_statistics``."""
        return stored_statistics(self._source)

    @cached_property
    def teacher_logits(self) -> Tensor:
        """Logits of the frozen source network on the teacher (else input) bridge's images, (B, K), no gradient."""
        role = "teacher" if "teacher" in self._bridges else "input"
        if role == self._trained_bridge:
            return self.bridge_signals.bridged_target_logits.detach()
        with torch.no_grad(), region("source model, bridged target"):
            logits: Tensor = self._source(self._bridge(role, self.target_images)).logits
            return logits

    @cached_property
    def teacher_probabilities(self) -> Tensor:
        """Softmax of ``teacher_logits``, (B, K), no gradient."""
        return self.teacher_logits.softmax(dim=1)

    @cached_property
    def _ti_target_output(self) -> NetworkOutput:
        images = self._seen_ti_images
        with frozen_running_statistics(self._network), region("network, TI target"):
            return self._network(images)  # type: ignore[no-any-return]

    @property
    def ti_target_features(self) -> Tensor:
        """Bottleneck features of the adapting network on the target halves, (B', D)."""
        return self._ti_target_output.features

    @property
    def ti_target_logits(self) -> Tensor:
        """Logits of the adapting network on the target halves, (B', K)."""
        return self._ti_target_output.logits

    @cached_property
    def _ti_source_output(self) -> NetworkOutput:
        images = self.ti_source_images
        with torch.no_grad(), region("source model, TI source"):
            return self._source(images)  # type: ignore[no-any-return]

    @property
    def ti_source_features(self) -> Tensor:
        """Bottleneck features of the frozen source network on the source halves, (B', D)."""
        return self._ti_source_output.features

    @property
    def ti_source_logits(self) -> Tensor:
        """Logits of the frozen source network on the source halves, (B', K)."""
        return self._ti_source_output.logits

    @property
    def pseudo_labels(self) -> Tensor:
        """Pseudo-labels of the target batch, int64 (B,)."""
        return self._labels().labels[self.target_rows].to(self._images.inputs.target.device)

    @property
    def pseudo_label_weights(self) -> Tensor:
        """Weights of the pseudo-labels, (B,)."""
        return self._labels().weights[self.target_rows].to(self._images.inputs.target.device)

    @property
    def all_pseudo_labels(self) -> PseudoLabels:
        """Pseudo-labels and weights of all N target images, as the labeler gave them; the network is not asked."""
        return self._labels()

    def _labels(self) -> PseudoLabels:
        if self._pseudo_labels is None:
            raise UserError("A term reads pseudo-labels and the recipe has no labeler (--labeler centroid).")
        return self._pseudo_labels

    def _bridge(self, role: str, images: Tensor) -> Tensor:
        return bridged(self._bridges[role], images)


def step_parts(signals: StepSignals, count: int) -> Iterator[tuple[float, StepSignals]]:
    """Yield ``count`` parts of a step of which nothing was read yet, with their shares (``StepImages.parts``).

    A step in one part is yielded as it is: it draws crops and flips only for the images that a term reads.
    """
    if count == 1:
        yield 1.0, signals
        return
    for share, images in signals._images.parts(count):
        part = copy.copy(signals)
        part._images = images
        yield share, part


READABLE = frozenset(name for name in dir(StepSignals) if not name.startswith("_"))
"""The names that an aligner may declare in ``reads``; only some need preparation."""


class BridgeSignals(_Signals):
    """The signals of a step that trains a bridge T; the source network F is frozen, and gradients reach T."""

    def __init__(self, images: StepInputs | StepImages, bridge: nn.Module, source_network: Network) -> None:
        super().__init__(images)
        self._bridge = bridge
        self._source = source_network

    @cached_property
    def bridged_target_images(self) -> Tensor:
        """T(x) of the TR target batch, (B, 3, H, W)."""
        return bridged(self._bridge, self.target_images)

    @cached_property
    def bridged_ti_images(self) -> Tensor:
        """T(b) of the target halves of TI pairs, (B', 3, H, W)."""
        return bridged(self._bridge, self.ti_target_images)

    @cached_property
    def _bridged_target(self) -> tuple[Tensor, NetworkOutput]:
        return shallow_features(self._source, self.bridged_target_images)

    @cached_property
    def _ti_source(self) -> tuple[Tensor, NetworkOutput]:
        with torch.no_grad():
            return shallow_features(self._source, self.ti_source_images)

    @cached_property
    def _bridged_ti(self) -> tuple[Tensor, NetworkOutput]:
        return shallow_features(self._source, self.bridged_ti_images)

    @property
    def bridged_target_logits(self) -> Tensor:
        """Logits of the frozen source network on T(x), (B, K)."""
        return self._bridged_target[1].logits

    @property
    def bridged_target_features(self) -> Tensor:
        """Bottleneck features of the frozen source network on T(x), (B, D)."""
        return self._bridged_target[1].features

    @property
    def bridged_target_maps(self) -> Tensor:
        """Shallow feature maps of the frozen source backbone on T(x), (B, C, h, w)."""
        return self._bridged_target[0]

    @property
    def bridged_ti_features(self) -> Tensor:
        """Bottleneck features of the frozen source network on T(b), (B', D)."""
        return self._bridged_ti[1].features

    @property
    def bridged_ti_maps(self) -> Tensor:
        """Shallow feature maps on T(b), (B', C, h, w)."""
        return self._bridged_ti[0]

    @property
    def ti_source_features(self) -> Tensor:
        """Bottleneck features of the frozen source network on source halves, (B', D), no gradient."""
        return self._ti_source[1].features

    @property
    def ti_source_maps(self) -> Tensor:
        """Shallow feature maps on the source halves, (B', C, h, w), no gradient."""
        return self._ti_source[0]
