"""The presets of the published runs: what stands in settings and recipes."""

from __future__ import annotations

from typing import Any

import pytest

from sfda_kit import Recipe, RunConfig, load_config
from sfda_kit.plugins.discovery import registry
from sfda_kit.runs.plan import recipe_of

# method, preset: rate, weight decay, schedule, epochs
ADAPTATION: dict[tuple[str, str], tuple[float, float, str, int]] = {
    ("nrc", "office-31"): (1e-3, 1e-3, "inverse", 50),
    ("nrc", "office-home"): (1e-3, 5e-4, "constant", 40),
    ("nrc", "visda-c"): (1e-3, 1e-3, "inverse", 15),
    ("aad", "office-31"): (1e-3, 5e-4, "constant", 50),
    ("aad", "office-home"): (1e-3, 5e-4, "constant", 40),
    ("aad", "visda-c"): (1e-3, 1e-3, "inverse", 15),
    ("cowa-jmds", "office-home"): (1e-2, 1e-3, "constant", 30),
    ("cowa-jmds", "visda-c"): (1e-2, 1e-3, "constant", 15),
}
PRESETS = pytest.mark.parametrize(("method", "preset"), ADAPTATION)


def loaded(method: str, preset: str) -> RunConfig:
    return load_config({"method": method, "preset": preset})


def recipe(method: str, preset: str) -> Recipe:
    return recipe_of(registry().get("method", method), loaded(method, preset))


def options(method: str, preset: str, aligner: str) -> dict[str, Any]:
    (phase,) = recipe(method, preset).phases
    found: dict[str, Any] = phase.aligners[aligner].options
    return found


@PRESETS
def test_settings_of_the_published_runs(method: str, preset: str) -> None:
    config = loaded(method, preset)
    adapt, model = config.adapt, config.model
    assert model.backbone == f"resnet{101 if preset == 'visda-c' else 50}.tv_in1k" and model.pretrained
    assert (adapt.lr, adapt.weight_decay, adapt.schedule, adapt.epochs) == ADAPTATION[method, preset]
    assert (adapt.backbone_lr_factor, adapt.classifier_lr_factor) == (0.1, 0.1 if method == "cowa-jmds" else 1.0)
    assert (adapt.batch_size, adapt.drop_last, adapt.steps_per_epoch, adapt.momentum) == (64, False, "pass", 0.9)


@PRESETS
def test_source_training_of_the_published_runs(method: str, preset: str) -> None:
    source = loaded(method, preset).source
    assert (source.batch_size, source.optimizer, source.backbone_lr_factor) == (64, "sgd", 0.1)
    assert source.label_smoothing == 0.1
    if preset == "visda-c":
        wanted = (10, 1e-3, "inverse", 1e-3)
    else:
        wanted = (50, 1e-2, "inverse", 1e-3) if method == "cowa-jmds" else (20, 1e-2, "constant", 5e-4)
    assert (source.epochs, source.lr, source.schedule, source.weight_decay) == wanted


def test_neighbours_of_nrc() -> None:
    found = {preset: options("nrc", preset, "reciprocal-neighbors") for method, preset in ADAPTATION if method == "nrc"}
    assert found == {
        "office-31": {"neighbors": 2, "expanded": 3, "variant": "reciprocal"},
        "office-home": {"neighbors": 3, "expanded": 2, "variant": "reciprocal"},
        "visda-c": {"neighbors": 5, "expanded": 5, "variant": "flat"},
    }
    (change,) = recipe("nrc", "office-home").phases[0].aligners["reciprocal-neighbors"].changes
    assert (change.after, change.options) == (0.5, {"neighbors": 5, "expanded": 4})


def test_neighbours_and_decay_of_aad() -> None:
    for preset, neighbors, decay in (("office-31", 3, 1), ("office-home", 3, 0), ("visda-c", 5, 5)):
        assert options("aad", preset, "attraction") == {"neighbors": neighbors}
        assert options("aad", preset, "dispersion") == {"decay": decay}
    (change,) = recipe("aad", "office-home").phases[0].aligners["attraction"].changes
    assert (change.after, change.options) == (0.5, {"neighbors": 2})


def test_the_first_epoch_of_cowa_jmds_on_visda_counts_next_to_nothing() -> None:
    mixup = recipe("cowa-jmds", "visda-c").phases[0].aligners["weighted-mixup"]
    (change,) = mixup.changes
    assert (mixup.weight, change.weight, mixup.options) == (1e-6, 1.0, {"alpha": 2.0})
    for steps in (7, 866, 900):  # of an epoch
        assert next(s for s in range(1, 2 * steps) if s / (15 * steps) > change.after) == steps + 1
    home = recipe("cowa-jmds", "office-home").phases[0].aligners["weighted-mixup"]
    assert (home.weight, home.options, home.changes) == (1.0, {"alpha": 0.2}, ())


def test_without_a_preset_cowa_jmds_trains_the_classifier_slowly_at_a_constant_rate() -> None:
    adapt = load_config({"method": "cowa-jmds"}).adapt
    assert (adapt.classifier_lr_factor, adapt.schedule) == (0.1, "constant")
