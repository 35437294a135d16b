"""The parts of SHOT against numbers that the authors' code gave: labels, losses, rates and optimiser steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sfda_kit import AdaptedModel, Checkpoint, FeatureBank, Network, Phase, TrainingStage, train_stage
from sfda_kit.adaptation.recipe_method import PhaseTraining
from sfda_kit.builtin.aligners import InfoMax
from sfda_kit.builtin.bridges import Copy
from sfda_kit.builtin.centroid import Centroid
from sfda_kit.config.models import AdaptConfig, SourceConfig
from sfda_kit.source.source_training import LabelledBatch, SupervisedTrainer
from sfda_kit.testing.contexts import small_context

from .golden import PRECISIONS, close, load, tensor, wanted

# Pseudo-labels.


@PRECISIONS
@pytest.mark.parametrize(
    "case", ["k5_n60", "k12_n200", "k31_n124_absent", "k12_n73_lost", "k2_n33", "k10_n7", "k12_n130_euclidean"]
)
def test_labels_of_both_rounds(case: str, double: bool) -> None:
    data = load("shot", f"labels_{case}")
    bank = FeatureBank(tensor(data["in_features"], double), tensor(data["in_logits"], double))
    options: dict[str, Any] = {"metric": "euclidean" if case.endswith("euclidean") else "cosine"}
    close(bank.predictions, data["out_predictions"], double)
    close(Centroid(rounds=1, **options)(bank).labels, data["out_labels_round1"], double)
    close(Centroid(rounds=2, **options)(bank).labels, data["out_labels"], double)


def test_the_cases_of_absent_and_lost_classes_are_such() -> None:
    """A labeler that forgets a class too late gives other labels only where a class is absent or lost."""
    absent, lost = load("shot", "labels_k31_n124_absent"), load("shot", "labels_k12_n73_lost")
    assert len(np.unique(absent["out_predictions"])) < 31
    assert set(lost["out_labels_round1"]) < set(lost["out_predictions"])


# Losses.


@PRECISIONS
@pytest.mark.parametrize("case", ["b64_k31", "b36_k12", "b8_k65", "b16_k2", "b5_k10"])
@pytest.mark.parametrize(("name", "diversity"), [("total", 1.0), ("entropy", 0.0)])
def test_information_maximisation(case: str, name: str, diversity: float, double: bool) -> None:
    data = load("shot", f"information_{case}")
    logits = tensor(data["in_logits"], double, needs_gradient=True)
    signals: Any = SimpleNamespace(target_probabilities=logits.softmax(dim=1))
    loss = InfoMax(diversity)(signals)
    loss.backward()
    close(loss, wanted(data, name, double), double)
    close(logits.grad, wanted(data, f"{name}_gradient", double), double)


@PRECISIONS
@pytest.mark.parametrize("case", ["b64_k31", "b10_k2", "b7_k65"])
def test_smoothed_cross_entropy_of_source_training(case: str, double: bool, tmp_path: Path) -> None:
    data = load("shot", f"smoothed_cross_entropy_{case}")
    logits = tensor(data["in_logits"], double, needs_gradient=True)
    network: Any = lambda images: SimpleNamespace(logits=images)  # noqa: E731
    nothing: Any = None
    trainer = SupervisedTrainer(network, nothing, torch.arange(64), SourceConfig(label_smoothing=0.1), 0, nothing)
    loss = trainer._cross_entropy(LabelledBatch(logits, torch.from_numpy(data["in_labels"])))
    loss.backward()
    close(loss, wanted(data, "loss", double), double)
    close(logits.grad, wanted(data, "gradient", double), double)


# The optimiser and the rates that the method gives its phases, in the loop that trains them.


class Vector(nn.Module):
    """A part of the network with one vector of parameters."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)


def stage_of_vectors(
    folder: Path, backbone: Tensor, bottleneck: Tensor, rate: float, steps: int
) -> tuple[Network, TrainingStage]:
    """Return a network of two vectors and the stage in which a phase of SHOT trains it for ``steps``."""
    network = Network(Vector(backbone), width=7, bottleneck=5, classes=2)
    network.bottleneck = Vector(bottleneck)
    config = AdaptConfig(epochs=1, lr=rate, backbone_lr_factor=0.1, schedule="inverse", steps_per_epoch=steps)
    context = small_context(folder, network=network, config=config)
    return network, PhaseTraining(context, Phase(), AdaptedModel(Copy(), network))._stage()


def after_each_step(
    stage: TrainingStage, term: Callable[[int], Tensor], read: Callable[[], Any], folder: Path
) -> list[Any]:
    """Make the steps of ``stage`` on ``term(step)``, and return what ``read()`` gives after each one."""
    seen: list[Any] = []

    def signals(epoch: int, generator: torch.Generator) -> Iterator[int]:
        del epoch, generator
        yield from range(stage.steps)

    def listen(event: Any) -> None:
        if event.kind == "step":
            seen.append(read())

    stage = replace(stage, signals=signals, terms={"term": (1.0, term)})
    assert list(train_stage(stage, Checkpoint(folder / "stage.pt"), listen)) == [1]
    return seen


@pytest.mark.parametrize("steps", [1, 7, 120, 675])
def test_rate_of_every_step(steps: int, tmp_path: Path) -> None:
    """The first step is decayed already."""
    data = load("shot", f"rate_factor_t{steps}")
    network, stage = stage_of_vectors(tmp_path, torch.ones(7), torch.ones(5), rate=1.0, steps=steps)
    vectors = [p for p in network.parameters() if p.requires_grad]

    def rates() -> list[float]:
        return [group["lr"] for group in stage.optimizer.param_groups]

    found = after_each_step(stage, lambda _: 0 * sum(p.sum() for p in vectors), rates, tmp_path)
    factors = np.array(found, dtype=np.float64)
    close(factors[:, 1], data["out_factor_from_1"], double=True)
    close(factors[:, 0], 0.1 * data["out_factor_from_1"], double=True)


@PRECISIONS
@pytest.mark.parametrize("case", ["t1", "t12"])
def test_optimiser_steps(case: str, double: bool, tmp_path: Path) -> None:
    data = load("shot", f"updates_{case}")
    start = [tensor(data[f"in_{part}"], double) for part in ("backbone", "bottleneck")]
    steps = len(data["in_backbone_gradients"])
    network, stage = stage_of_vectors(tmp_path, *start, rate=float(data["in_rate"]), steps=steps)
    vectors: list[Any] = [network.backbone.values, network.bottleneck.values]
    gradients = [tensor(data[f"in_{part}_gradients"], double) for part in ("backbone", "bottleneck")]

    def term(step: int) -> Tensor:
        return sum((vector * rows[step]).sum() for vector, rows in zip(vectors, gradients, strict=True))  # type: ignore[return-value]

    def values() -> list[Tensor]:
        return [vector.detach().clone() for vector in vectors]

    found = after_each_step(stage, term, values, tmp_path)
    for part, rows in zip(("backbone", "bottleneck"), zip(*found, strict=True), strict=True):
        close(torch.stack(rows), wanted(data, part, double), double)
        np.testing.assert_allclose(torch.stack(rows), wanted(data, part, double), rtol=1e-5, atol=1e-6)
