"""Whole steps of NRC, AaD and CoWA-JMDS against loops in the order of the authors' code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor, nn

from sfda_kit import AdaptConfig, Network, Recipe, RecipeMethod
from sfda_kit.plugins.discovery import registry
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import CLASSES, small_network

from .steps import RecordingView, assert_same_weights, recording_target

pytestmark = pytest.mark.needs_plugin("sfda-kit-neighbors")
RATE, DECAY, IMAGES, BATCH, FILLED = 0.05, 5e-4, 11, 4, 6


def recipe_of(method: str, **changes: Any) -> Recipe:
    data = registry().get("method", method).load().model_dump(exclude_defaults=True)
    for name, change in changes.items():
        data["phases"][0]["aligners"][name.replace("_", "-")] |= change
    return Recipe.model_validate(data)


def run(folder: Path, recipe: Recipe, target: RecordingView, epochs: int = 1, **settings: Any) -> Network:
    """Adapt a small network through the shipped recipe and return it; the last batch of an epoch is incomplete."""
    config = AdaptConfig(
        epochs=epochs,
        batch_size=BATCH,
        lr=RATE,
        backbone_lr_factor=0.1,
        weight_decay=DECAY,
        steps_per_epoch="pass",
        drop_last=False,
        evaluation_batch_size=FILLED,
        **settings,
    )
    network = small_network()
    context = small_context(folder, recipe=recipe, target=target, config=config, network=network, pairs=None)
    assert list(RecipeMethod().adapt(context))
    return network


class Trainer:
    """The optimiser of the authors: each part of the network at its own rate, Nesterov momentum 0.9."""

    def __init__(self, network: Network, classifier: float, steps: int, is_decayed: bool) -> None:
        parts: list[tuple[nn.Module, float]] = [
            (network.backbone, 0.1 * RATE),
            (network.bottleneck, RATE),
            (network.classifier, classifier * RATE),
        ]
        groups = [{"params": list(part.parameters()), "lr": rate, "first": rate} for part, rate in parts]
        self.sgd = torch.optim.SGD(groups, lr=RATE, momentum=0.9, nesterov=True, weight_decay=DECAY)
        self.steps, self.is_decayed, self.done = steps, is_decayed, 0

    def step(self, loss: Tensor) -> None:
        """Make one step; a schedule counts it from 1."""
        self.done += 1
        for group in self.sgd.param_groups:
            factor = (1 + 10 * self.done / self.steps) ** -0.75 if self.is_decayed else 1.0
            group["lr"] = group["first"] * factor
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()


class Banks:
    """Features of unit length and softmax outputs of all images, filled once from the augmented images."""

    @torch.no_grad()
    def __init__(self, network: Network, drawn: list[tuple[Tensor, Tensor]]) -> None:
        self.features, self.answers = torch.zeros(IMAGES, 6), torch.zeros(IMAGES, CLASSES)
        network.eval()
        for rows, images in drawn:
            self.renew(rows, *network(images))
        network.train()

    def renew(self, rows: Tensor, features: Tensor, logits: Tensor) -> None:
        self.features[rows] = (features / features.norm(dim=1, keepdim=True)).detach()
        self.answers[rows] = logits.softmax(dim=1).detach()

    def near(self, row: int, count: int) -> list[int]:
        """The rows that are most like ``row``, less the first, which is the image itself."""
        order = (self.features @ self.features[row]).argsort(descending=True).tolist()
        assert order[0] == row
        return order[1 : count + 1]

    def kl(self, row: int, prediction: Tensor) -> Tensor:
        """As the authors write it: the prediction is not in a logarithm."""
        answer = self.answers[row]
        return (answer * (answer.log() - prediction)).sum()


def nrc_loss(banks: Banks, rows: Tensor, p: Tensor, counts: tuple[int, int], variant: str) -> Tensor:
    loss = torch.zeros(())
    for i, prediction in zip(rows.tolist(), p, strict=True):
        for k in banks.near(i, counts[0]):
            beyond = banks.near(k, counts[1])
            weight = 1.0 if i in beyond and variant == "reciprocal" else 0.1
            loss = loss + weight * banks.kl(k, prediction) + sum(0.1 * banks.kl(m, prediction) for m in beyond)
    q = p.mean(dim=0)
    return loss / len(rows) + (q * (q + 1e-5).log()).sum()


@pytest.mark.parametrize(("variant", "schedule"), [("reciprocal", "constant"), ("flat", "inverse")])
def test_three_steps_of_nrc(variant: str, schedule: Any, tmp_path: Path) -> None:
    """K and M change after half of the steps, as on Office-Home."""
    options = {"neighbors": 3, "expanded": 2, "variant": variant}
    change = {"options": options, "changes": [{"after": 0.5, "options": {"neighbors": 5, "expanded": 4}}]}
    target, expected = recording_target(IMAGES), small_network()
    found = run(tmp_path, recipe_of("nrc", reciprocal_neighbors=change), target, schedule=schedule)
    filled, steps = target.drawn[:2], target.drawn[2:]
    assert [len(rows) for rows, _ in (*filled, *steps)] == [6, 5, 4, 4, 3]
    banks, trainer = Banks(expected, filled), Trainer(expected, 1.0, 3, schedule == "inverse")
    for number, (rows, images) in enumerate(steps):
        features, logits = expected(images)
        banks.renew(rows, features, logits)
        counts = (3, 2) if number == 0 else (5, 4)
        trainer.step(nrc_loss(banks, rows, logits.softmax(dim=1), counts, variant))
    assert_same_weights(found, expected)


@pytest.mark.parametrize("decay", [0.0, 5.0])
def test_three_steps_of_aad(decay: float, tmp_path: Path) -> None:
    target, expected = recording_target(IMAGES), small_network()
    found = run(tmp_path, recipe_of("aad", dispersion={"options": {"decay": decay}}), target)
    filled, steps = target.drawn[:2], target.drawn[2:]
    banks, trainer = Banks(expected, filled), Trainer(expected, 1.0, 3, is_decayed=True)
    for number, (rows, images) in enumerate(steps):
        features, logits = expected(images)
        banks.renew(rows, features, logits)
        p = logits.softmax(dim=1)
        near = sum(banks.kl(k, p[b]) for b, i in enumerate(rows.tolist()) for k in banks.near(i, 3))
        apart = sum(p[a] @ p[b] for a in range(len(rows)) for b in range(len(rows)) if a != b)
        trainer.step((near + (1 + 10 * number / 3) ** -decay * apart) / len(rows))
    assert_same_weights(found, expected)


def jmds(features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Labels and scores, class by class, with SciPy's density."""
    units = features.double().numpy() / np.linalg.norm(features.double().numpy(), axis=1, keepdims=True)
    model = logits.double().softmax(dim=1).numpy()
    membership, spread = model, np.full_like(model, 1 / CLASSES)
    for _ in range(2):
        joint = np.zeros_like(model)
        for c in range(CLASSES):
            mass, mean = membership[:, c].sum(), membership[:, c] @ units / membership[:, c].sum()
            apart = units - mean
            covariance = (spread[:, c, None] * apart).T @ apart / spread[:, c].sum() + 1e-6 * np.eye(units.shape[1])
            joint[:, c] = multivariate_normal(mean, covariance).logpdf(units) + np.log(mass)
        posterior = joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)
        membership = spread = np.exp(posterior)
    labels, ordered = posterior.argmax(axis=1), np.sort(posterior, axis=1)
    gap = ordered[:, -1] - ordered[:, -2]
    scores = gap / gap.max() * model[np.arange(len(model)), labels]
    return torch.from_numpy(labels), torch.from_numpy(scores).float()


@pytest.mark.parametrize("first_weight", [1.0, 1e-6], ids=["plain", "warm-up"])
def test_three_steps_of_cowa_jmds_in_each_of_two_epochs(
    first_weight: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a warm-up the loss counts 1e-6 in the first epoch, as on VisDA-C."""
    from sfda_kit_neighbors import cowa_jmds

    draws: list[tuple[Tensor, Tensor]] = []
    mixup = cowa_jmds.mixup

    def recording_mixup(values: Tensor, share: Tensor, mate: Tensor) -> Tensor:
        draws.extend([(share, mate)] if values.ndim == 4 else [])  # once in a step, for its images
        return mixup(values, share, mate)

    monkeypatch.setattr(cowa_jmds, "mixup", recording_mixup)
    change = {"weight": first_weight, "changes": [{"after": 0.5, "weight": 1.0}]}
    target, expected = recording_target(IMAGES), small_network()
    settings: dict[str, Any] = {"classifier_lr_factor": 0.1, "schedule": "constant"}
    found = run(tmp_path, recipe_of("cowa-jmds", weighted_mixup=change), target, epochs=2, **settings)
    assert len(target.drawn) == len(draws) == 6
    trainer = Trainer(expected, 0.1, 6, is_decayed=False)
    for number, ((rows, images), (share, order)) in enumerate(zip(target.drawn, draws, strict=True)):
        if number % 3 == 0:
            expected.eval()
            with torch.no_grad():
                labels, scores = jmds(*expected(target.all_images()))
            expected.train()
        hot, w = torch.eye(CLASSES)[labels[rows]], scores[rows]
        part = share[:, None, None, None]
        p = expected(part * images + (1 - part) * images[order]).logits.softmax(1)
        y = share[:, None] * hot + (1 - share)[:, None] * hot[order]
        loss = ((share * w + (1 - share) * w[order]) * -(y * (p + 1e-6).log()).sum(1)).mean()
        trainer.step(loss * (first_weight if number < 3 else 1.0))
    assert_same_weights(found, expected)
