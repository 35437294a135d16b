"""Signals of one step over random depth and RGB images held in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from sfda_kit.adaptation.feature_bank import FeatureBank
from sfda_kit.adaptation.step_inputs import StepInputs
from sfda_kit.adaptation.step_signals import BridgeSignals, StepSignals
from sfda_kit.adaptation.target_memory import TargetMemory
from sfda_kit.builtin.bridges import Copy
from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.data.views import ImageView, Normalisation, PairView, TargetView, stored_size
from sfda_kit.interfaces.pseudo_labeler import PseudoLabels
from sfda_kit.plugins.modalities import modality
from sfda_kit.testing.networks import CLASSES, SIDE, small_network, small_source_network

if TYPE_CHECKING:
    from torch import nn

    from sfda_kit.models.network import Network

IMAGES = 12
STEPS = 10
NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def small_target(seed: int = 0, images: int = IMAGES) -> TargetView:
    """Return random depth images of 0.5 to 5 metres with some pixels missing."""
    side = stored_size(SIDE)
    generator = np.random.default_rng(seed)
    pixels = generator.integers(500, 5000, (images, side, side)).astype(np.uint16)
    pixels[generator.random(pixels.shape) < 0.1] = 0
    return TargetView(pixels, modality("depth"), ChannelCopy(), SIDE, NORMALISATION)


def small_pairs(seed: int = 0, images: int = IMAGES) -> PairView:
    """Return random RGB images, and depth images that show the same scene: depth is the red channel."""
    side = stored_size(SIDE)
    rgb = np.random.default_rng(seed).integers(0, 256, (images, side, side, 3)).astype(np.uint8)
    depth = 500 + rgb[..., 0].astype(np.uint16) * 10
    return PairView(
        ImageView(rgb, modality("rgb"), ChannelCopy(), SIDE, NORMALISATION),
        ImageView(depth, modality("depth"), ChannelCopy(), SIDE, NORMALISATION),
    )


def small_inputs(seed: int = 0, images: int = IMAGES, step: int = 0, with_pairs: bool = True) -> StepInputs:
    """Return the inputs of step ``step`` of 10 over all ``images``."""
    rows = torch.arange(images)
    generator = torch.Generator().manual_seed(seed)
    target, pairs = small_target(seed, images), small_pairs(seed, images) if with_pairs else None
    pair_rows = rows if with_pairs else rows[:0]
    return StepInputs(target, rows, pairs, pair_rows, "crop-flip", generator, epoch=0, step=step, steps=STEPS)


def small_step_signals(
    seed: int = 0,
    network: Network | None = None,
    source_network: Network | None = None,
    bridges: Mapping[str, nn.Module] | None = None,
    reads: tuple[str, ...] = (),
    trained_bridge: str | None = None,
    step: int = 0,
    with_pairs: bool = True,
) -> StepSignals:
    """Return the signals of one adaptation step, with random pseudo-labels of weight 1 and, if read, a random memory.

    ``trained_bridge``: role of the bridge among ``bridges`` that learns in the step; ``step``: its number, of 10.
    Without ``with_pairs`` the task has no TI pairs.
    """
    labels = torch.randint(0, CLASSES, (IMAGES,), generator=torch.Generator().manual_seed(seed))
    network = network or small_network()
    return StepSignals(
        small_inputs(seed, step=step, with_pairs=with_pairs),
        network,
        source_network or small_source_network(),
        bridges or {"input": Copy()},
        frozenset(reads),
        PseudoLabels(labels, torch.ones(IMAGES)),
        small_memory(network, seed) if "memory" in reads else None,
        trained_bridge,
        _target_bank(network, seed) if "target_bank" in reads else None,
    )


def _target_bank(network: Network, seed: int) -> FeatureBank:
    return small_bank(seed, IMAGES, network.feature_width, network.class_count)


def small_memory(network: Network, seed: int = 0, images: int = IMAGES) -> TargetMemory:
    """Return a memory of random answers, as wide as those of ``network``."""
    memory = TargetMemory.for_network(network, images)
    width, classes = memory.features.shape[1], memory.probabilities.shape[1]
    memory.fill(small_bank(seed, images, width, classes))
    return memory


def small_bridge_signals(
    bridge: nn.Module, seed: int = 0, source_network: Network | None = None, with_pairs: bool = True
) -> BridgeSignals:
    """Return the signals of one step that trains ``bridge``; without ``with_pairs`` the task has no TI pairs."""
    return BridgeSignals(small_inputs(seed, with_pairs=with_pairs), bridge, source_network or small_source_network())


def small_bank(seed: int = 0, images: int = 40, features: int = 6, classes: int = CLASSES) -> FeatureBank:
    """Return random features around one center per class, and logits that mostly agree with them."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (images,), generator=generator)
    centers = 2 * torch.randn(classes, features, generator=generator)
    noise = torch.randn(images, features, generator=generator)
    logits = torch.randn(images, classes, generator=generator)
    logits[torch.arange(images), truth] += 2
    return FeatureBank(centers[truth] + noise, logits)
