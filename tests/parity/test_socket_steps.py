"""Three whole steps of SOCKET's official form against a loop in the order of the authors' code."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import AdaptConfig, Network, PairView, Recipe, RecipeMethod
from sfda_kit.plugins.discovery import registry
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network, small_source_network
from sfda_kit.testing.signals import small_pairs

from .steps import NaiveSgd, RecordingView, assert_same_weights, entropy, recording_target

pytestmark = pytest.mark.needs_plugin("sfda-kit-socket")
RATE, IMAGES, BATCH = 0.01, 12, 4


@torch.no_grad()
def labels_of(network: Network, images: Tensor) -> Tensor:
    """The labels of augmented images, in evaluation mode: one round, no class left out."""
    network.eval()
    features, logits = network(images)
    points = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    points, membership = points / points.norm(dim=1, keepdim=True), logits.softmax(1)
    centroids = [(column[:, None] * points).sum(0) / (1e-8 + column.sum()) for column in membership.T]
    distances = [[(point - centroid).norm().item() for centroid in centroids] for point in points]
    return torch.tensor(distances).argmin(dim=1)


def statistics_gap(network: Network, source: Network, images: Tensor) -> tuple[Tensor, Tensor]:
    """The plain sum over layers, and the network's logits on the images."""
    inputs: list[Tensor] = []
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [norm.register_forward_pre_hook(lambda _, given: inputs.append(given[0])) for norm in norms]
    logits = network(images).logits
    for handle in handles:
        handle.remove()
    total = torch.zeros(())
    stored = [module for module in source.modules() if isinstance(module, nn.BatchNorm2d)]
    for number, (entering, norm) in enumerate(zip(inputs, stored, strict=True)):
        mean, variance = entering.mean((0, 2, 3)), entering.var((0, 2, 3), correction=0)
        gap = (mean - norm.running_mean).norm() + (variance - norm.running_var).norm()
        total = total + (10 if number == 0 else 1) * gap
    return total, logits


def without_statistics(network: Network, images: Tensor) -> Tensor:
    """The features of a pass that leaves the running statistics as they are."""
    kept = copy.deepcopy(dict(network.named_buffers()))
    features = network(images).features
    for name, value in network.named_buffers():
        value.data.copy_(kept[name])
    return features


def test_three_steps_of_the_official_form(tmp_path: Path) -> None:
    target, drawn = recording_target(IMAGES), small_pairs()
    pairs = PairView(RecordingView(drawn.source), RecordingView(drawn.target))  # type: ignore[arg-type]
    recipe: Recipe = registry().get("method", "socket-official").load()
    config = AdaptConfig(epochs=1, batch_size=BATCH, lr=RATE, backbone_lr_factor=0.1, steps_per_epoch="pass")
    found, source = small_network(), small_source_network()
    context = small_context(
        tmp_path, recipe=recipe, target=target, pairs=pairs, config=config, network=found, source_network=source
    )
    assert list(RecipeMethod().adapt(context))

    expected, scalar = small_network(), nn.Parameter(torch.tensor(1.0))
    groups = [(0.1 * RATE, list(expected.backbone.parameters())), (RATE, list(expected.bottleneck.parameters()))]
    sgd = NaiveSgd([*groups, (RATE, [scalar])], steps=3)
    (labelled_rows, labelled), *steps = target.drawn
    assert labelled_rows.tolist() == list(range(IMAGES)) and len(steps) == 3
    labels = labels_of(expected, labelled)
    expected.backbone.train(), expected.bottleneck.train()
    halves = zip(pairs.source.drawn, pairs.target.drawn, strict=True)  # type: ignore[attr-defined]
    for (rows, images), ((a_rows, a), (b_rows, b)) in zip(steps, halves, strict=True):
        assert torch.equal(a_rows, b_rows)
        gap, logits = statistics_gap(expected, source, images)
        p = logits.softmax(1)
        loss = entropy(p).mean() - entropy(p.mean(0)) + 0.3 * F.cross_entropy(logits, labels[rows])
        loss = loss + 0.5 * scalar.sigmoid() * gap
        with torch.no_grad():
            wanted = source(a).features
        loss = loss + 0.5 * (without_statistics(expected, b) - wanted).norm()
        loss.backward()
        sgd.step()
    assert_same_weights(found, expected)
    assert scalar.item() < 1


def test_the_factor_goes_on_where_a_stopped_run_left_it(tmp_path: Path) -> None:
    recipe: Recipe = registry().get("method", "socket-official").load()
    networks = []
    for stop in (None, 1):
        folder = tmp_path / str(stop)
        for begin in range(2 if stop else 1):
            network = small_network()
            config = AdaptConfig(epochs=3, batch_size=BATCH, steps_per_epoch="pass")
            states = RecipeMethod().adapt(small_context(folder, recipe=recipe, config=config, network=network))
            if stop and begin == 0:
                next(states), next(states)
                states.close()  # type: ignore[attr-defined]
            else:
                assert list(states)
        networks.append(network)
    assert_same_weights(*networks)
