"""The training of a source model: how long, which weights are the result, and what is said of it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import ModelConfig, SourceConfig
from sfda_kit.data.views import LabelledView, Normalisation, stored_size
from sfda_kit.events import Event, silent
from sfda_kit.metrics import accuracy
from sfda_kit.models.network import build_network
from sfda_kit.plugins.modalities import modality
from sfda_kit.source import source_training
from sfda_kit.source.held_out import Course
from sfda_kit.source.source_training import EVALUATIONS, SupervisedTrainer, channel_statistics, train_network

MODEL = ModelConfig(backbone="test_resnet", image_size=32, bottleneck=8)
SIDE, CLASSES, IMAGES = 32, 3, 30


def view() -> LabelledView:
    """Images of three colours, which are their classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    pixels = rng.integers(0, 90, (IMAGES, stored_size(SIDE), stored_size(SIDE), 3))
    pixels[np.arange(IMAGES), ..., labels] += 120
    middle = Normalisation((0.5,) * 3, (0.5,) * 3)
    images = pixels.astype(np.uint8)
    return LabelledView(images, modality("rgb"), ChannelCopy(), SIDE, middle, labels=torch.from_numpy(labels))


def trained(folder: Path, listener: Any = silent, seed: int = 0, **settings: Any) -> tuple[nn.Module, float, int]:
    config = SourceConfig(**{"batch_size": 8, "lr": 1e-3, "held_out": 0.2} | settings)
    return train_network(view(), torch.arange(IMAGES) // 2, MODEL, config, CLASSES, seed, folder, listener, nullcontext)


def trainer(images: int = IMAGES, **settings: Any) -> SupervisedTrainer:
    network = build_network(MODEL, CLASSES)
    return SupervisedTrainer(network, view(), torch.arange(images), SourceConfig(**settings), 0, nullcontext)


def state(network: nn.Module) -> list[float]:
    return [float(value.double().sum()) for value in network.state_dict().values()]


@pytest.mark.parametrize(
    ("settings", "epochs", "steps"),
    [
        ({"steps": 1500}, EVALUATIONS, 75),  # whatever the size of the set
        ({"steps": 10, "batch_size": 2}, EVALUATIONS, 8),  # ten passes of 15 batches, in 20 parts
        ({"epochs": 14, "batch_size": 8}, 14, 3),
        ({"epochs": 14, "batch_size": 8, "drop_last": False}, 14, 4),
        ({"epochs": 3, "batch_size": 64}, 3, 1),
    ],
)
def test_a_training_is_counted_in_steps_or_in_epochs(settings, epochs, steps):
    stage = trainer(**settings).stage("source")
    assert (stage.epochs, stage.steps) == (epochs, steps)
    assert len(list(stage.signals(0, torch.Generator()))) == steps


def test_the_incomplete_last_batch_is_kept_on_request():
    for kept, sizes in ((True, [8, 8]), (False, [8, 8, 4])):
        stage = trainer(20, epochs=1, batch_size=8, drop_last=kept).stage("source")
        assert [len(batch.labels) for batch in stage.signals(0, torch.Generator())] == sizes


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.5, True), (0.0, False)])
def test_sgd_has_the_momentum_of_the_configuration(momentum: float, nesterov: bool):
    groups = trainer(epochs=1, optimizer="sgd", momentum=momentum).stage("source").optimizer.param_groups
    assert all((group["momentum"], group["nesterov"]) == (momentum, nesterov) for group in groups)


def test_a_constant_schedule_never_changes_the_rate():
    factor = trainer(epochs=1, schedule="constant").stage("source").lr_factor
    assert [factor(share) for share in (0, 0.5, 0.99)] == [1, 1, 1]


@pytest.mark.parametrize(("epochs", "looks"), [(3, [1, 2, 3]), (20, [*range(1, 21)]), (50, [*range(3, 50, 3), 50])])
def test_held_out_images_are_looked_at_about_twenty_times(epochs: int, looks: list[int]):
    one = trainer(epochs=epochs)
    assert [epoch for epoch in range(1, epochs + 1) if one.evaluated(epoch)] == looks


class Script:
    """Accuracies that are told in advance, and the weights that the network had at each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, figures: list[float]) -> None:
        self.figures, self.weights = iter(figures), []

        def told(one: SupervisedTrainer, rows: torch.Tensor) -> float:
            self.weights.append(state(one.network))
            return next(self.figures)

        monkeypatch.setattr(SupervisedTrainer, "accuracy", told)


def test_the_best_weights_are_the_result_and_a_tie_goes_to_the_later(tmp_path, monkeypatch):
    script = Script(monkeypatch, [40, 80, 60, 80, 70])
    network, found, _ = trained(tmp_path, epochs=5, checkpoint="best")
    assert found == 80 and state(network) == script.weights[3] != script.weights[1]


@pytest.mark.parametrize("checkpoint", [None, "last"])
def test_epochs_that_are_asked_for_are_all_trained_and_the_last_weights_stay(tmp_path, monkeypatch, checkpoint):
    script = Script(monkeypatch, [80.0] * 24 + [70.0])
    network, found, _ = trained(tmp_path, epochs=25, checkpoint=checkpoint)
    assert found == 80 and len(script.weights) == 13  # every second of 25, and the last
    assert state(network) == script.weights[-1]


def test_the_accuracy_of_the_card_is_that_of_its_weights(tmp_path):
    network, found, count = trained(tmp_path, steps=60, patience=3)
    rows = source_training.hold_out(torch.arange(IMAGES) // 2, 0.2, 0)[1]
    images = view()
    with torch.inference_mode():
        answers = network(images.batch(rows)).logits.argmax(1).numpy()
    assert count == len(rows) and found == pytest.approx(accuracy(answers, images.labels[rows].numpy()))


def course(accuracies: list[float], losses: list[float] | None = None, epochs: int = 20) -> Course:
    made = Course(epochs, None)
    for number, figure in enumerate(accuracies):
        made.note(number + 1, losses[number] if losses else 1.0, figure, build_network(MODEL, CLASSES))
    return made


@pytest.mark.parametrize(
    ("accuracies", "flat"),
    [
        ([90.0] * 14, False),  # only evaluations of the second half count
        ([90.0] * 15, True),
        ([*[50.0] * 10, 60, 60, 60, 60, 60], False),
        ([*[50.0] * 10, 60, 60, 60, 60, 60, 60], True),  # equal is no better
        ([*[50.0] * 10, 60, 60, 60, 60, 60, 61], False),
        ([*[50.0] * 10, 60, 40, 40, 40, 40, 40], True),
    ],
)
def test_accuracies_are_flat_after_patience_without_a_better_one(accuracies, flat):
    assert course(accuracies).flat(5) is flat


@pytest.mark.parametrize("patience", [10, 11, 24])
def test_a_patience_of_half_the_training_or_more_never_ends_it_early(patience: int):
    assert not any(course([90.0] * looks).flat(patience) for looks in range(1, EVALUATIONS))


def falling(rate: float, count: int = 20) -> list[float]:
    return [max(1.0, 3 - rate * number) for number in range(count)]


@pytest.mark.parametrize(
    ("losses", "still"),
    [(falling(0.1), True), (falling(0.2), False), (falling(0.1, 2), True), ([1.0], False), ([1.0] * 20, False)],
)
def test_a_loss_that_falls_at_the_end_is_known_from_one_that_is_flat(losses, still):
    assert course([50.0] * len(losses), losses).still_falling() is still


def test_a_training_that_stops_while_its_loss_falls_says_so(tmp_path):
    events: list[Event] = []
    trained(tmp_path, events.append, epochs=2)
    assert ["still falling" in event.data["text"] for event in events if event.kind == "notice"] == [True]


def test_a_training_ends_early_only_when_accuracy_and_loss_are_flat(tmp_path, monkeypatch):
    for falls, epochs in ((False, 15), (True, EVALUATIONS)):
        monkeypatch.setattr(Course, "still_falling", lambda _, falls=falls: falls)
        script = Script(monkeypatch, [90.0] * EVALUATIONS)
        trained(tmp_path, steps=20, schedule="constant")
        assert len(script.weights) == epochs


def test_a_cycle_of_the_rate_runs_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(Course, "still_falling", lambda _: False)
    script = Script(monkeypatch, [90.0] * EVALUATIONS)
    trained(tmp_path, steps=20)
    assert len(script.weights) == EVALUATIONS


class KilledError(Exception):
    """Ends a training from outside."""


def killed_after(epoch: int) -> Any:
    def listener(event: Event) -> None:
        if event.kind == "epoch" and event.data["epoch"] == epoch:
            raise KilledError

    return listener


FIGURES = [10, 20, 70, 30, 50, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 99, 99, 99, 99, 99.0]


@pytest.mark.parametrize("epoch", [1, 4, 15])
def test_a_killed_training_gives_what_an_undisturbed_one_does(tmp_path, monkeypatch, epoch):
    monkeypatch.setattr(Course, "still_falling", lambda _: False)

    whole, again = tmp_path / "whole", tmp_path / "again"
    whole.mkdir()
    again.mkdir()
    Script(monkeypatch, FIGURES)
    expected, best, _ = trained(whole, steps=20, schedule="constant")
    assert best == 70  # epoch 3; it ended before the figures of 99
    Script(monkeypatch, FIGURES[:epoch])
    with pytest.raises(KilledError):
        trained(again, killed_after(epoch), steps=20, schedule="constant")
    Script(monkeypatch, FIGURES[epoch - 1 :])  # the epoch that was not saved is trained again
    network, found, _ = trained(again, steps=20, schedule="constant")
    assert found == best and state(network) == state(expected)
    assert not list(again.iterdir())


def test_older_settings_are_stored_as_they_were():
    older = {"epochs": 14, "batch_size": 64}
    assert SourceConfig(**older).model_dump(mode="json") == {
        **older,
        "optimizer": "adamw",
        "schedule": "one-cycle",
        "lr": 0.003,
        "backbone_lr_factor": 1.0,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "augmentation": "crop-flip",
        "color_jitter": 0.4,
        "held_out": 0.1,
        "floor": None,
        "card": None,
    }


@pytest.mark.parametrize("settings", [{}, {"epochs": 3}, {"steps": 9, "checkpoint": "last"}, {"momentum": 0.0}])
def test_what_is_stored_gives_the_same_settings_again(settings):
    config = SourceConfig(**settings)
    stored = config.model_dump(mode="json")
    assert SourceConfig.model_validate(stored) == config
    assert ("steps" in stored) == ("patience" in stored) == (config.epochs is None)


def test_the_defaults_of_both_presets_are_counted_in_steps():
    scratch = load_config({"method": "source-only"}).source
    pretrained = load_config({"method": "source-only", "preset": "pretrained"}).source
    assert scratch.epochs is None and scratch.steps == 1500 and scratch.keeps_best
    assert pretrained.epochs is None and pretrained.backbone_lr_factor < 1 and pretrained.keeps_best


def test_statistics_of_channels_hold_few_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = view(), list[int]()
    exact = whole.encoded(torch.arange(len(whole))).double()
    monkeypatch.setattr("sfda_kit.source.source_training.CPU_BATCH", 5)
    encoded = whole.encoded

    def noted(rows: torch.Tensor) -> torch.Tensor:
        seen.append(len(rows))
        return encoded(rows)

    monkeypatch.setattr(whole, "encoded", noted)
    mean, std = channel_statistics(whole)
    assert max(seen) == 5
    torch.testing.assert_close(torch.tensor(mean).double(), exact.mean(dim=(0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.tensor(std).double(), exact.std(dim=(0, 2, 3), correction=0), rtol=1e-4, atol=1e-6)
