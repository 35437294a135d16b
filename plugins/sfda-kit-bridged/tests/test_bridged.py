"""The composition, its alias and the settings it brings."""

from __future__ import annotations

from sfda_kit_bridged.bridged import BRIDGED

from sfda_kit import load_config
from sfda_kit.runs.plan import resolve
from sfda_kit.testing import RecipeConformance


class TestBridged(RecipeConformance):
    name = "bridged"


def test_recommended_is_the_same_run() -> None:
    assert load_config({"method": "recommended"}) == load_config({"method": "bridged"})


def test_crops_are_strong_unless_the_user_says_otherwise() -> None:
    assert load_config({"method": "bridged"}).adapt.augmentation == "strong"
    gentle = load_config({"method": "bridged", "adapt": {"augmentation": "crop-flip"}})
    assert resolve(gentle).config.adapt.augmentation == "crop-flip"


def test_pairs_come_first_and_stay() -> None:
    first, main = BRIDGED.phases
    pairs = {"ti-features", "ti-predictions"}
    assert pairs < set(first.aligners) and pairs < set(main.aligners)
    assert first.labeler is None and first.aligners["infomax"].weight < 0.1


def test_the_alias_takes_changes_of_the_recipe() -> None:
    config = load_config({"method": "recommended", "recipe": {"aligners": {"infomax": 0.1}}})
    first, main = resolve(config).recipe.phases
    assert main.aligners["infomax"].weight == 0.1 and first == BRIDGED.phases[0]
