"""The parts of PLUE against numbers that the authors' code gave: votes, losses, momentum model, memories."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import FeatureBank, NetworkOutput

from .golden import PRECISIONS, close, load, tensor, wanted

pytestmark = pytest.mark.needs_plugin("sfda-kit-plue")


def whole(value: Any) -> Tensor:
    return torch.from_numpy(np.asarray(value))


# Votes.


@PRECISIONS
@pytest.mark.parametrize("case", ["m200_c12_k10", "m90_c31_k5", "m30_c2_k3", "m10_c6_k10_absent"])
def test_votes_labels_and_weights(case: str, double: bool) -> None:
    from sfda_kit_plue.guided_labels import GuidedLabels
    from sfda_kit_plue.losses import neighbour_vote
    from sfda_kit_plue.memories import AnswerBank

    data = load("plue", f"vote_{case}")
    features, others, answers = (
        tensor(data[f"in_{n}"], double) for n in ("features", "bank_features", "bank_probabilities")
    )
    term = GuidedLabels(neighbors=int(data["in_neighbors"]))
    term.bank = AnswerBank()
    term.bank.features, term.bank.probabilities = others, answers
    labels, weights = term._labels(features)
    vote = neighbour_vote(features, others, answers, term.neighbors)
    close(vote, wanted(data, "vote", double), double)
    close(labels, data["out_labels"], double)
    close(weights, wanted(data, "weights", double), double)
    close(-weights.log() * math.log2(vote.shape[1]), wanted(data, "entropy_bits", double), double)


# Losses.


@PRECISIONS
@pytest.mark.parametrize("case", ["b48_c12", "b20_c31", "b7_c2", "b3_c10"])
def test_negative_learning(case: str, double: bool) -> None:
    from sfda_kit_plue.losses import negative_classes, negative_learning

    data = load("plue", f"negative_{case}")
    logits, weights = tensor(data["in_logits"], double, needs_gradient=True), tensor(data["in_weights"], double)
    wrong = negative_classes(whole(data["in_labels"]), whole(data["in_offsets"]), logits.shape[1])
    close(wrong, data["out_negative_classes"], double)
    each = [
        negative_learning(z[None], c[None], torch.ones_like(weights[:1])) for z, c in zip(logits, wrong, strict=True)
    ]
    close(torch.stack(each), wanted(data, "each", double), double)
    loss = negative_learning(logits, wrong, weights)
    loss.backward()
    close(loss, wanted(data, "loss", double), double)
    close(logits.grad, wanted(data, "gradient", double), double)


def test_the_loss_stops_where_the_network_is_certain_of_the_negative_class() -> None:
    assert any(load("plue", f"negative_{case}")["out_each_f64"].max() > 11.5 for case in ("b20_c31", "b3_c10"))


@PRECISIONS
@pytest.mark.parametrize("case", ["b48_c12", "b6_c2", "b4_c31"])
def test_diversity(case: str, double: bool) -> None:
    from sfda_kit_plue.losses import concentration

    data = load("plue", f"diversity_{case}")
    logits = tensor(data["in_logits"], double, needs_gradient=True)
    loss = concentration(logits)
    loss.backward()
    close(loss, wanted(data, "value", double), double)
    close(logits.grad, wanted(data, "gradient", double), double)


# Contrast: the momentum model, the history and the queue of the shipped term around a network of two layers.


class TwoLayers(nn.Module):
    """Features tanh(W x + b) and logits V features."""

    def __init__(self, data: dict[str, Any], name: str, double: bool) -> None:
        super().__init__()
        for part in "WbV":
            setattr(self, part, nn.Parameter(tensor(data[f"in_{name}_{part}"], double)))
        self.feature_width = self.W.shape[0]

    def forward(self, inputs: Tensor) -> NetworkOutput:
        features = torch.tanh(inputs @ self.W.T + self.b)
        return NetworkOutput(features, features @ self.V.T)

    def weighed(self, features: Tensor) -> Tensor:
        return features


def contrast_term(data: dict[str, Any], network: Any, double: bool) -> Any:
    """Return the shipped term with queue, history and momentum model of the case."""
    from sfda_kit_plue.guided_labels import GuidedLabels
    from sfda_kit_plue.momentum import without_parameters

    term = GuidedLabels(epochs=data["in_history"].shape[1])
    term.own_module(network)
    momentum: Any = TwoLayers(data, "momentum", double)
    term.momentum_model.network = without_parameters(momentum)
    term.queue.keys, term.queue.rows = tensor(data["in_queue"], double), whole(data["in_queue_rows"])
    term.history.labels = whole(data["in_history"])
    return term


@PRECISIONS
@pytest.mark.parametrize("case", ["b16_q60", "b5_q20_c2", "b3_q8_c12"])
def test_contrast(case: str, double: bool) -> None:
    data = load("plue", f"contrast_{case}")
    network = TwoLayers(data, "network", double)
    term = contrast_term(data, network, double)
    rows, other = whole(data["in_rows"]), tensor(data["in_other_strong"], double)
    queue = term.queue.keys.clone()
    signals = SimpleNamespace(
        target_rows=rows, epoch=0, draw_target_images=lambda kind: other, answer=lambda images, by: by(images)
    )
    is_negative = term.history.differ(rows, term.queue.rows)
    features = network(tensor(data["in_strong"], double)).features
    features.retain_grad()
    loss = term._contrast(signals, features, torch.zeros_like(rows))
    loss.backward()
    close(loss, wanted(data, "loss", double), double)
    close(features.grad, wanted(data, "feature_gradient", double), double)
    close(network.W.grad, wanted(data, "weight_gradient", double), double)
    close(is_negative.long(), data["out_is_negative"], double)
    for part in "WbV":
        close(getattr(term.momentum_model.network, part), wanted(data, f"momentum_{part}", double), double)
    queries, keys = F.normalize(features, dim=1), term.queue.keys[: len(rows)]  # the first places are written to
    close(queries, wanted(data, "queries", double), double)
    close(keys, wanted(data, "keys", double), double)
    positive = (queries * keys).sum(1, keepdim=True)
    close(torch.cat([positive, queries @ queue.T], 1) / term.temperature, wanted(data, "similarities", double), double)


# What is remembered between steps.


@PRECISIONS
@pytest.mark.parametrize("case", ["t3", "t1"])
def test_queue_history_and_bank(case: str, double: bool) -> None:
    from sfda_kit_plue.memories import AnswerBank, KeyQueue, LabelHistory

    data = load("plue", f"memory_{case}")
    bank, queue, history = AnswerBank(), KeyQueue(data["in_queue"].shape[1]), LabelHistory(data["in_history"].shape[1])
    queue.keys, queue.rows = tensor(data["in_queue"], double), whole(data["in_queue_rows"])
    history.labels = whole(data["in_history"])
    features, probabilities = (tensor(data[f"in_bank_{name}"], double) for name in ("features", "probabilities"))
    bank.fill(FeatureBank(features, probabilities.log()), torch.arange(len(features)))
    for step, epoch in enumerate(data["in_epochs"].tolist()):
        rows = whole(data["in_rows"][step])
        queue.write(tensor(data["in_keys"][step], double), rows)
        history.record(rows, whole(data["in_labels"][step]), epoch)
        bank.write(
            tensor(data["in_weak_features"][step], double), tensor(data["in_weak_logits"][step], double).softmax(1)
        )
        close(history.labels, data["out_history"][step], double)
    close(queue.keys, wanted(data, "queue", double), double)
    close(queue.rows, data["out_queue_rows"], double)
    close(queue.place, data["out_queue_place"], double)
    close(bank.features, wanted(data, "bank_features", double), double)
    close(bank.probabilities, wanted(data, "bank_probabilities", double), double)
    assert bank.place == data["out_bank_place"]
