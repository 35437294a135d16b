"""Whole steps of PLUE against a loop in the order of the authors' code."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfda_kit import AdaptConfig, Network, RecipeMethod
from sfda_kit.plugins.discovery import registry
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import CLASSES, small_network

from .steps import NaiveSgd, RecordingView, assert_same_weights, recording_target

pytestmark = pytest.mark.needs_plugin("sfda-kit-plue")
RATE, BATCH = 0.05, 4
OPTIONS: dict[str, Any] = {"neighbors": 3, "momentum": 0.9, "bank": 7, "epochs": 2}


class Drawn:
    """What the steps draw besides images, and the term's own state, kept while the method runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from sfda_kit_plue import guided_labels, losses
        from sfda_kit_plue.memories import AnswerBank, KeyQueue, LabelHistory

        self.offsets: list[Tensor] = []
        self.bank_rows: list[Tensor] = []
        self.starts: list[dict[str, Tensor]] = []
        self.labels: list[Tensor] = []
        self.state: Any = None
        draw, fill, own_module = losses.draw_offsets, AnswerBank.fill, guided_labels.GuidedLabels.own_module
        record = LabelHistory.record

        def keep_offsets(*given: Any) -> Tensor:
            self.offsets.append(draw(*given))
            return self.offsets[-1]

        def keep_rows(bank: Any, answers: Any, rows: Tensor) -> None:
            self.bank_rows.append(rows)
            fill(bank, answers, rows)

        def keep_labels(history: Any, rows: Tensor, labels: Tensor, epoch: int) -> None:
            self.labels.append(labels)
            record(history, rows, labels, epoch)

        def keep_state(term: Any, network: Network) -> nn.Module:
            self.state = own_module(term, network)
            return self.state  # type: ignore[no-any-return]

        def keep_start(kind: Any) -> None:
            start = kind.start

            def kept(module: Any, *given: Any) -> None:
                start(module, *given)
                self.starts.append(copy.deepcopy(module.state_dict()))

            monkeypatch.setattr(kind, "start", kept)

        monkeypatch.setattr(losses, "draw_offsets", keep_offsets)
        monkeypatch.setattr(AnswerBank, "fill", keep_rows)
        monkeypatch.setattr(LabelHistory, "record", keep_labels)
        monkeypatch.setattr(guided_labels.GuidedLabels, "own_module", keep_state)
        keep_start(LabelHistory)
        keep_start(KeyQueue)


def run(folder: Path, target: RecordingView, epochs: int) -> Network:
    """Adapt a small network through the shipped recipe, with the optimiser of the published runs."""
    recipe = registry().get("method", "plue").load().model_copy(deep=True)
    recipe.phases[0].aligners["guided-labels"].options.update(OPTIONS)
    config = AdaptConfig(
        epochs=epochs,
        batch_size=BATCH,
        lr=RATE,
        momentum=0.0,
        weight_decay=5e-4,
        schedule="constant",
        steps_per_epoch="pass",
    )
    network = small_network()
    context = small_context(folder, recipe=recipe, target=target, config=config, network=network, pairs=None)
    assert list(RecipeMethod().adapt(context))
    return network


class Naive:
    """Networks and memories of the authors' loop, in lists."""

    def __init__(self, target: RecordingView, drawn: Drawn, epochs: int) -> None:
        self.network, self.momentum = small_network(), small_network()
        history, queue = drawn.starts
        self.history, self.slot = history["labels"].clone(), 0
        self.queue, self.owners = list(queue["keys"].clone()), queue["rows"].tolist()
        self.bank: list[tuple[Tensor, Tensor]] = []
        self.queue_place = self.bank_place = 0
        self.labels: list[list[int]] = []
        sgd = NaiveSgd([(RATE, list(self.network.parameters()))], steps=None, momentum=0.0, decay=5e-4)
        views, offsets = iter(target.drawn), iter(drawn.offsets)
        steps = len(drawn.offsets) // epochs
        for epoch in range(epochs):
            self.fill(target.all_images(), drawn.bank_rows[epoch])
            for _ in range(steps):
                (rows, weak), (_, strong), (_, other) = (next(views) for _ in range(3))
                self.step(epoch, rows, weak, strong, other, next(offsets)).backward()
                sgd.step()

    @torch.no_grad()
    def fill(self, images: Tensor, rows: Tensor) -> None:
        features, logits = self.network.eval()(images)
        self.bank, self.bank_place = [(features[i], logits[i].softmax(0)) for i in rows.tolist()], 0
        self.network.train()

    def vote(self, feature: Tensor) -> Tensor:
        near = sorted(self.bank, key=lambda entry: -float(torch.cosine_similarity(feature, entry[0], dim=0)))
        return sum(p for _, p in near[: OPTIONS["neighbors"]]) / OPTIONS["neighbors"]  # type: ignore[no-any-return]

    def step(self, epoch: int, rows: Tensor, weak: Tensor, strong: Tensor, other: Tensor, offsets: Tensor) -> Tensor:
        features, logits = self.network(weak)
        votes = [self.vote(f) for f in features.detach()]
        self.labels.append([int(v.argmax()) for v in votes])
        strong_features, strong_logits = self.network(strong)
        with torch.no_grad():
            for mine, its in zip(self.momentum.parameters(), self.network.parameters(), strict=True):
                mine.copy_(0.9 * mine + 0.1 * its)
            keys = [k / k.norm() for k in self.momentum.train()(other).features]
        loss = torch.zeros(())
        for i, row in enumerate(rows.tolist()):
            bits = -sum(float(v) * math.log2(float(v) + 1e-5) for v in votes[i])
            certain = strong_logits[i].softmax(0)[(self.labels[-1][i] + int(offsets[i])) % CLASSES]
            loss = loss - math.exp(-bits / math.log2(CLASSES)) * (1 - certain).clamp(1e-5, 1).log() / len(rows)
            query = strong_features[i] / strong_features[i].norm()
            negatives = [z for z, j in zip(self.queue, self.owners, strict=True) if self.never_same(row, j)]
            similar = torch.stack([query @ z for z in (keys[i], *negatives)]) / 0.07
            loss = loss - similar.log_softmax(0)[0] / len(rows)
        for answers in (logits, strong_logits):
            mean = answers.softmax(1).mean(0)
            loss = loss + (mean * (mean + 1e-8).log()).sum()
        self.remember(epoch, rows, keys, features.detach(), logits.detach())
        return loss

    def never_same(self, row: int, other: int) -> bool:
        return all(int(a) != int(b) for a, b in zip(self.history[row], self.history[other], strict=True))

    def remember(self, epoch: int, rows: Tensor, keys: list[Tensor], features: Tensor, logits: Tensor) -> None:
        for i, row in enumerate(rows.tolist()):
            self.queue[self.queue_place], self.owners[self.queue_place] = keys[i], row
            self.queue_place = (self.queue_place + 1) % len(self.queue)
            self.history[row, self.slot] = self.labels[-1][i]
            self.bank[self.bank_place] = features[i], logits[i].softmax(0)
            self.bank_place = (self.bank_place + 1) % len(self.bank)
        self.slot = epoch % OPTIONS["epochs"]


@pytest.mark.parametrize(("images", "epochs"), [(12, 1), (8, 3)])
def test_three_steps_or_epochs_of_plue(
    images: int, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of both networks, running statistics, labels, bank, queue and history."""
    drawn, target = Drawn(monkeypatch), recording_target(images)
    found = run(tmp_path, target, epochs)
    expected, state = Naive(target, drawn, epochs), drawn.state
    assert len(expected.labels) == epochs * images // BATCH
    assert [labels.tolist() for labels in drawn.labels] == expected.labels
    assert_same_weights(found, expected.network)
    assert_same_weights(state["momentum"].network, expected.momentum)
    assert state["history"].labels.tolist() == expected.history.tolist()
    assert int(state["history"].slot) == expected.slot
    torch.testing.assert_close(state["queue"].keys, torch.stack(expected.queue), rtol=1e-5, atol=1e-5)
    assert state["queue"].rows.tolist() == expected.owners and int(state["queue"].place) == expected.queue_place
    features, probabilities = (torch.stack(values) for values in zip(*expected.bank, strict=True))
    torch.testing.assert_close(state["bank"].features, features, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state["bank"].probabilities, probabilities, rtol=1e-5, atol=1e-5)


def test_the_labels_of_the_steps_are_not_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal labels would hide a wrong history."""
    drawn = Drawn(monkeypatch)
    run(tmp_path, recording_target(12), 1)
    assert len({int(y) for labels in drawn.labels for y in labels}) > 1
