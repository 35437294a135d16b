"""How many steps an epoch of a recipe has."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sfda_kit.adapt.recipe_method import RecipeMethod
from sfda_kit.config import AdaptConfig, load_config
from sfda_kit.events import Event
from sfda_kit.interfaces import Recipe
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.signals import small_pairs, small_target

TWO_PHASES = Recipe.model_validate(
    {
        "phases": [
            {"name": "pairs", "aligners": {"ti-features": 1.0}, "length": 0.5},
            {"name": "target", "aligners": {"infomax": 1.0}},
        ]
    }
)


def steps(folder: Path, **settings: int) -> Counter[tuple[str, int]]:
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


def test_an_epoch_is_one_pass_over_the_target_images(tmp_path: Path):
    assert steps(tmp_path) == {("pairs", 0): 2, ("target", 0): 2, ("target", 1): 2}


@pytest.mark.parametrize("wanted", [1, 7])
def test_an_epoch_has_as_many_steps_as_are_asked_for(tmp_path: Path, wanted: int):
    found = steps(tmp_path, steps_per_epoch=wanted)
    assert found == {("pairs", 0): wanted, ("target", 0): wanted, ("target", 1): wanted}


def test_settings_without_it_keep_their_digest():
    plain = load_config({"method": "shot"})
    assert "steps_per_epoch" not in plain.model_dump()["adapt"]
    changed = load_config({"method": "shot", "adapt": {"steps_per_epoch": 14}})
    assert changed.model_dump()["adapt"]["steps_per_epoch"] == 14 and changed.digest() != plain.digest()
