"""The presets of the published runs: what stands in recipes and settings."""

from __future__ import annotations

import pytest

from sfda_kit import load_config

OPTIONS = {
    "neighbors": 10,
    "momentum": 0.999,
    "bank": 16384,
    "temperature": 0.07,
    "epochs": 5,
    "contrast": 1.0,
    "diversity": 1.0,
}


@pytest.mark.parametrize(
    ("preset", "backbone", "rate", "batch", "epochs"),
    [("visda-c", "resnet101.tv_in1k", 0.01, 64, 101), ("domainnet-126", "resnet50.tv_in1k", 0.001, 128, 1001)],
)
def test_settings_of_the_published_runs(preset: str, backbone: str, rate: float, batch: int, epochs: int) -> None:
    found = load_config({"method": "plue", "preset": preset})
    assert found.model.backbone == backbone and found.model.pretrained
    adapt, source = found.adapt, found.source
    assert (adapt.epochs, adapt.batch_size, adapt.lr) == (epochs, batch, rate)
    assert (adapt.backbone_lr_factor, adapt.classifier_lr_factor) == (1.0, 1.0)
    assert (adapt.momentum, adapt.weight_decay, adapt.schedule) == (0.0, 5e-4, "constant")
    assert (adapt.steps_per_epoch, adapt.drop_last) == ("pass", True)
    assert (source.epochs, source.batch_size, source.lr, source.weight_decay) == (301, batch, 1e-3, 5e-4)
    assert (source.momentum, source.schedule, source.drop_last, source.checkpoint) == (0.5, "constant", True, "best")
    assert (source.optimizer, source.backbone_lr_factor, source.label_smoothing) == ("sgd", 1.0, 0.1)
    assert found.recipe["aligners"]["guided-labels"]["options"] == OPTIONS


def test_without_a_preset_the_optimiser_has_momentum() -> None:
    adapt = load_config({"method": "plue"}).adapt
    assert (adapt.momentum, adapt.schedule, adapt.weight_decay, adapt.backbone_lr_factor) == (
        0.9,
        "constant",
        5e-4,
        1.0,
    )
