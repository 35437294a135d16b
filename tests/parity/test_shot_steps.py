"""Three whole steps of SHOT and of each phase of SHOT++ against loops in the order of the authors' code."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import AdaptConfig, Network, Recipe, RecipeMethod
from sfda_kit.plugins.discovery import registry
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import CLASSES, small_network

from .steps import NaiveSgd, RecordingView, assert_same_weights, entropy, recording_target

pytestmark = pytest.mark.needs_plugin("sfda-kit-shot")
RATE = 0.05


def recipe_of(method: str) -> Recipe:
    found: Recipe = registry().get("method", method).load()
    return found


def config(epochs: int = 1, batch: int = 4) -> AdaptConfig:
    return AdaptConfig(
        epochs=epochs, batch_size=batch, lr=RATE, backbone_lr_factor=0.1, steps_per_epoch="pass", drop_last=False
    )


def run(folder: Path, recipe: Recipe, target: RecordingView, settings: AdaptConfig) -> Network:
    """Adapt a small network through the shipped method and return it."""
    network = small_network()
    context = small_context(folder, recipe=recipe, target=target, config=settings, network=network, pairs=None)
    assert list(RecipeMethod().adapt(context))
    return network


def centroid_labels(features: Tensor, logits: Tensor) -> Tensor:
    """SHOT's labels, class by class."""
    points = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    points = points / points.norm(dim=1, keepdim=True)
    membership, labels = logits.softmax(1), logits.argmax(1)
    for _ in range(2):
        present = [k for k in range(CLASSES) if (labels == k).any()]
        centroids = torch.stack([(membership[:, k, None] * points).sum(0) / membership[:, k].sum() for k in present])
        nearness = points @ centroids.T / centroids.norm(dim=1)
        labels = torch.tensor(present)[nearness.argmax(1)]
        membership = torch.eye(CLASSES)[labels]
    return labels


@torch.no_grad()
def answers(network: Network, images: Tensor) -> tuple[Tensor, Tensor]:
    network.eval()
    features, logits = network(images)
    return features, logits


def training_mode(network: Network, classifier: bool = False) -> None:
    network.backbone.train()
    network.bottleneck.train()
    network.classifier.train(classifier)


def parameters(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters())


def shot_loss(network: Network, images: Tensor, labels: Tensor | None) -> Tensor:
    logits = network(images).logits
    p = logits.softmax(1)
    loss = entropy(p).mean() - entropy(p.mean(0))
    return loss if labels is None else 0.3 * F.cross_entropy(logits, labels) + loss


@pytest.mark.parametrize(("method", "images"), [("shot", 11), ("shot-im", 12)])
def test_three_steps_of_shot(method: str, images: int, tmp_path: Path) -> None:
    """Two epochs; an incomplete last batch is used."""
    target, expected = recording_target(images), small_network()
    found = run(tmp_path, recipe_of(method), target, config(epochs=2))
    sgd = NaiveSgd([(0.1 * RATE, parameters(expected.backbone)), (RATE, parameters(expected.bottleneck))], steps=6)
    assert [len(rows) for rows, _ in target.drawn] == 2 * [4, 4, images - 8]
    for number, (rows, batch) in enumerate(target.drawn):
        if number % 3 == 0:
            labels = centroid_labels(*answers(expected, target.all_images()))
            training_mode(expected)
        shot_loss(expected, batch, labels[rows] if method == "shot" else None).backward()
        sgd.step()
    assert_same_weights(found, expected)


def test_labels_are_left_out_of_all_but_the_last_step_of_the_first_fifteenth(tmp_path: Path) -> None:
    """As on VisDA-C, for 15 epochs of three steps."""
    data = recipe_of("shot").model_dump(exclude_defaults=True)
    data["phases"][0]["labeler"] |= {"weight": 0.0, "changes": [{"after": 0.0666, "weight": 0.3}]}
    target, expected = recording_target(12), small_network()
    found = run(tmp_path, Recipe.model_validate(data), target, config(epochs=15))
    groups = [(0.1 * RATE, parameters(expected.backbone)), (RATE, parameters(expected.bottleneck))]
    sgd = NaiveSgd(groups, steps=45)
    for number, (rows, batch) in enumerate(target.drawn):
        if number % 3 == 0:
            labels = centroid_labels(*answers(expected, target.all_images()))
            training_mode(expected)
        shot_loss(expected, batch, labels[rows] if number >= 2 else None).backward()
        sgd.step()
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)  # rounding grows over 45 steps


# SHOT++. What the steps draw is kept while the method runs.


class Drawn:
    """The quarters of every turned batch, the share and mates of every mixed one, and the new weights."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from sfda_kit_shot import mixmatch, rotation

        self.quarters: list[Tensor] = []
        self.mixes: list[tuple[float, Tensor]] = []
        self.head: nn.Module | None = None
        turn, draw, own_module = rotation.turn, mixmatch.draw, rotation.RelativeRotation.own_module

        def keep_turn(images: Tensor, quarters: Tensor) -> Tensor:
            self.quarters.append(quarters)
            return turn(images, quarters)

        def keep_mix(*given: Any) -> Any:
            self.mixes.append(draw(*given))
            return self.mixes[-1]

        def keep_head(term: Any, network: Network) -> nn.Module:
            head = own_module(term, network)
            self.head = self.head or copy.deepcopy(head)
            return head

        monkeypatch.setattr(rotation, "turn", keep_turn)
        monkeypatch.setattr(mixmatch, "draw", keep_mix)
        monkeypatch.setattr(rotation.RelativeRotation, "own_module", keep_head)


def turned(images: Tensor, quarters: Tensor) -> Tensor:
    return torch.stack([torch.rot90(x, int(q), (1, 2)) for x, q in zip(images, quarters, strict=True)])


def rotation_loss(network: Network, head: nn.Module, images: Tensor, quarters: Tensor) -> Tensor:
    with torch.no_grad():
        upright = network(images).features
    return F.cross_entropy(head(torch.cat([upright, network(turned(images, quarters)).features], 1)), quarters)


def split(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The network's own labels, and who is low in entropy."""
    uncertainty, labels = entropy(logits.softmax(1)), logits.argmax(1)
    share = int((uncertainty < uncertainty.mean()).sum()) / len(labels)
    low = torch.zeros(len(labels), dtype=torch.bool)
    for k in range(CLASSES):
        rows = (labels == k).nonzero()[:, 0]
        low[rows[uncertainty[rows].argsort()[: int(len(rows) * share)]]] = True
    return labels, low


def mixmatch_loss(
    network: Network, easy: Tensor, labels: Tensor, views: list[Tensor], share: float, mate: Tensor, weight: float
) -> Tensor:
    with torch.no_grad():
        guess = (network(views[0]).logits.softmax(1) + network(views[1]).logits.softmax(1)) / 2
    sharp = guess**2 / (guess**2).sum(1, keepdim=True)
    images, targets = torch.cat([easy, *views]), torch.cat([torch.eye(CLASSES)[labels], sharp, sharp])
    images, targets = share * images + (1 - share) * images[mate], share * targets + (1 - share) * targets[mate]
    size, logits = len(easy), torch.empty(3 * len(easy), CLASSES)
    stacks = [list(range(s * size, (s + 1) * size)) for s in range(3)]
    cuts = np.cumsum([0, *sorted([size // 3 + (n < size % 3) for n in range(3)])]).tolist()
    for stack in (1, 2):
        for place in range(cuts[stack], cuts[stack + 1]):
            stacks[0][place], stacks[stack][place] = stacks[stack][place], stacks[0][place]
    for rows in stacks:
        logits[rows] = network(images[rows]).logits
    supervised = -(targets[:size] * logits[:size].log_softmax(1)).sum(1).mean()
    return supervised + weight * ((logits[size:].softmax(1) - targets[size:]) ** 2).mean()


def after_phases(names: list[str], folder: Path, images: int, monkeypatch: Any) -> tuple[Network, RecordingView, Drawn]:
    """Run the named phases of SHOT++, each of three steps, and return the network with all that was drawn."""
    recipe = recipe_of("shot-plus-plus")
    chosen = recipe.model_copy(update={"phases": tuple(p for p in recipe.phases if p.name in names)})
    drawn, target = Drawn(monkeypatch), recording_target(images)
    return run(folder, chosen, target, config()), target, drawn


def naive_head(network: Network, target: RecordingView, drawn: Drawn) -> nn.Module:
    """The head of relative rotation after three steps alone."""
    assert drawn.head is not None
    head = copy.deepcopy(drawn.head)
    sgd = NaiveSgd([(RATE, parameters(head))], steps=3)
    network.eval()
    for (_, images), quarters in zip(target.drawn[:3], drawn.quarters[:3], strict=True):
        rotation_loss(network, head, images, quarters).backward()
        network.zero_grad()
        sgd.step()
    return head


def naive_adapt(network: Network, head: nn.Module, target: RecordingView, drawn: Drawn) -> None:
    """Three steps of adaptation after the head's three; the losses are back-propagated one after the other."""
    groups = [(0.1 * RATE, parameters(network.backbone)), (RATE, parameters(network.bottleneck))]
    sgd = NaiveSgd([*groups, (RATE, parameters(head))], steps=3)
    labels = centroid_labels(*answers(network, target.all_images()))
    training_mode(network)
    for (rows, images), quarters in zip(target.drawn[3:6], drawn.quarters[3:6], strict=True):
        shot_loss(network, images, labels[rows]).backward()
        (0.6 * rotation_loss(network, head, images, quarters)).backward()
        sgd.step()


def naive_transfer(network: Network, classifier: nn.Module, target: RecordingView, drawn: Drawn) -> None:
    """Three steps of labeling transfer, each with a labelled batch and two views of an unlabelled one."""
    labels, low = split(answers(network, target.all_images())[1])
    network.classifier = copy.deepcopy(classifier).requires_grad_(True)
    groups = [(0.1 * RATE, parameters(network.backbone)), (RATE, parameters(network.bottleneck))]
    sgd = NaiveSgd([*groups, (RATE, parameters(network.classifier))], steps=3)
    training_mode(network, classifier=True)
    for step in range(3):
        (easy, x), (hard, first), (_, second) = target.drawn[3 * step - 9 :][:3]
        assert low[easy].all() and not low[hard].any()
        share, mate = drawn.mixes[step]
        loss = mixmatch_loss(network, x, labels[easy], [first, second], share, mate, 100 * (step + 1) / 3)
        loss.backward()
        sgd.step()


def new_classifier(monkeypatch: pytest.MonkeyPatch) -> Callable[[], nn.Module]:
    """Return a function that gives the classifier with which labeling transfer began."""
    from sfda_kit.adaptation import recipe_method

    kept: list[nn.Module] = []
    stage = recipe_method.PhaseTraining._stage

    def keep(training: Any) -> Any:
        kept.append(copy.deepcopy(training.context.network.classifier))
        return stage(training)

    monkeypatch.setattr(recipe_method.PhaseTraining, "_stage", keep)
    return lambda: kept[-1]


def test_the_head_learns_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sfda_kit_shot import rotation

    heads: list[nn.Module] = []
    own_module = rotation.RelativeRotation.own_module
    monkeypatch.setattr(
        rotation.RelativeRotation, "own_module", lambda term, net: heads.append(own_module(term, net)) or heads[-1]
    )
    found, target, drawn = after_phases(["rotation-head"], tmp_path, 12, monkeypatch)
    expected = small_network()
    assert_same_weights(heads[0], naive_head(expected, target, drawn))
    assert_same_weights(found, expected)


def test_adaptation_with_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, target, drawn = after_phases(["rotation-head", "adapt"], tmp_path, 12, monkeypatch)
    expected = small_network()
    naive_adapt(expected, naive_head(expected, target, drawn), target, drawn)
    assert_same_weights(found, expected)


def test_labeling_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four of each part, so that each pass is over after two or three."""
    begun = new_classifier(monkeypatch)
    names = ["rotation-head", "adapt", "labeling-transfer"]
    found, target, drawn = after_phases(names, tmp_path, 12, monkeypatch)
    expected, classifier = small_network(), begun()
    head = naive_head(expected, target, drawn)
    naive_adapt(expected, head, target, drawn)
    assert len(target.drawn) == 6 + 9
    naive_transfer(expected, classifier, target, drawn)
    assert_same_weights(found, expected)
