"""How many steps an epoch has."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from sfda_kit import Recipe
from sfda_kit.adaptation.bridge_stage import BridgeTraining
from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import AdaptConfig, BridgeStageConfig
from sfda_kit.errors import UserError
from sfda_kit.events import Event
from sfda_kit.interfaces.recipe import BridgeConfig
from sfda_kit.models.network import frozen_copy
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_pairs, small_target
from sfda_kit.training.loop import steps_per_epoch

TWO_PHASES = Recipe.model_validate(
    {
        "phases": [
            {"name": "pairs", "aligners": {"ti-features": 1.0}, "length": 0.5},
            {"name": "target", "aligners": {"infomax": 1.0}},
        ]
    }
)


def steps(folder: Path, **settings: Any) -> Counter[tuple[str, int]]:
    """Steps of each phase and epoch, with 10 target images in batches of 4."""
    seen: Counter[tuple[str, int]] = Counter()

    def listener(event: Event) -> None:
        if event.kind == "step":
            seen[event.stage, event.data["epoch"]] += 1

    config = AdaptConfig(epochs=2, batch_size=4, evaluation_batch_size=6, **settings)
    target, pairs = small_target(images=10), small_pairs(images=6)
    context = small_context(folder, recipe=TWO_PHASES, config=config, target=target, pairs=pairs, listener=listener)
    assert len(list(RecipeMethod().adapt(context))) == 3
    return seen


@pytest.mark.parametrize(("wanted", "expected"), [("auto", 10), ("pass", 2), (1, 1), (7, 7)])
def test_an_epoch_has_as_many_steps_as_are_asked_for(tmp_path: Path, wanted: Any, expected: int):
    found = steps(tmp_path, steps_per_epoch=wanted)
    assert found == {("pairs", 0): expected, ("target", 0): expected, ("target", 1): expected}


@pytest.mark.parametrize(("images", "expected"), [(1, 10), (639, 10), (640, 10), (703, 10), (704, 11), (900, 14)])
def test_few_images_are_gone_through_more_than_once_and_many_once(images: int, expected: int):
    assert steps_per_epoch(images, 64, AdaptConfig().steps_per_epoch) == expected


@pytest.mark.parametrize("wrong", [0, -1, "passes", 1.5])
def test_a_wrong_number_of_steps_is_named(wrong: Any):
    with pytest.raises(UserError, match="steps_per_epoch"):
        load_config({"method": "shot", "adapt": {"steps_per_epoch": wrong}})


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_few_images_and_pairs_still_train_a_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Steps of a bridge on 3 target images and 5 pairs."""
    monkeypatch.setenv("SFDA_KIT_CACHE", str(tmp_path / "cache"))
    seen: list[Event] = []
    training = BridgeTraining(
        target=small_target(images=3),
        pairs=small_pairs(images=5),
        source_network=frozen_copy(small_network()),
        config=BridgeStageConfig(batch_size=4),
        epochs=2,
        augmentation="crop-flip",
        seed=0,
        identity={"task": "small"},
        listener=seen.append,
        autocast=nullcontext,
    )
    training.prepare(BridgeConfig(name="affine"))
    assert Counter(event.data["epoch"] for event in seen if event.kind == "step") == {0: 10, 1: 10}


def test_settings_without_it_keep_their_digest():
    plain = load_config({"method": "shot"})
    assert "steps_per_epoch" not in plain.model_dump()["adapt"]
    changed = load_config({"method": "shot", "adapt": {"steps_per_epoch": 14}})
    assert changed.model_dump()["adapt"]["steps_per_epoch"] == 14 and changed.digest() != plain.digest()
