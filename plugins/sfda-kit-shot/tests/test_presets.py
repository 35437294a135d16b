"""The presets of the published runs: what stands in recipes and settings."""

from __future__ import annotations

from typing import Any

import pytest

from sfda_kit import RunConfig, load_config

EPOCHS = {"office-31": 100, "office-home": 50, "visda-c": 10}
METHODS = ("shot", "shot-im", "shot-plus-plus")


def loaded(method: str, preset: str) -> RunConfig:
    return load_config({"method": method, "preset": preset})


@pytest.mark.parametrize("preset", EPOCHS)
@pytest.mark.parametrize("method", METHODS)
def test_settings_of_the_published_runs(method: str, preset: str) -> None:
    found, is_large = loaded(method, preset), preset == "visda-c"
    rate = 1e-3 if is_large else 1e-2
    assert found.model.backbone == ("resnet101.tv_in1k" if is_large else "resnet50.tv_in1k") and found.model.pretrained
    adapt, source = found.adapt, found.source
    assert (adapt.epochs, adapt.batch_size, adapt.lr, adapt.backbone_lr_factor) == (15, 64, rate, 0.1)
    assert (adapt.schedule, adapt.drop_last, adapt.steps_per_epoch) == ("inverse", False, "pass")
    assert (adapt.momentum, adapt.weight_decay, adapt.augmentation) == (0.9, 1e-3, "crop-flip")
    assert (source.epochs, source.batch_size, source.lr, source.backbone_lr_factor) == (EPOCHS[preset], 64, rate, 0.1)
    assert (source.optimizer, source.schedule, source.label_smoothing) == ("sgd", "inverse", 0.1)
    kept = "last" if method == "shot-plus-plus" else "best"
    assert (source.momentum, source.drop_last, source.checkpoint) == (0.9, False, kept)


def test_labels_wait_for_the_end_of_the_first_epoch_on_visda() -> None:
    wanted = {"weight": 0.0, "changes": [{"after": 0.0666, "weight": 0.3}]}
    shot = loaded("shot", "visda-c").recipe["labeler"]
    later = loaded("shot-plus-plus", "visda-c").recipe["phases"]["adapt"]["labeler"]
    for labeler in (shot, later):
        assert {key: labeler[key] for key in wanted} == wanted
    steps = 866  # of an epoch
    (change,) = shot["changes"]
    assert next(k for k in range(1, 2 * steps) if k / (15 * steps) > change["after"]) == steps


@pytest.mark.parametrize(("preset", "batch"), [("office-31", 36), ("office-home", 36), ("visda-c", 24)])
def test_labeling_transfer_is_as_long_as_the_source_training(preset: str, batch: int) -> None:
    found = loaded("shot-plus-plus", preset)
    phase: dict[str, Any] = found.recipe["phases"]["labeling-transfer"]
    assert round(phase["length"] * found.adapt.epochs) == EPOCHS[preset]
    assert phase["aligners"]["mixmatch"]["options"]["batch"] == batch
