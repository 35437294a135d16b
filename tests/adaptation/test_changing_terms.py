"""Terms whose weight or options change while a phase goes on, and the phases that train other parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfda_kit import Aligner, Component, Network, Recipe, RecipeMethod, UserError
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.adaptation.recipe_method import PhaseTraining
from sfda_kit.config.models import AdaptConfig
from sfda_kit.interfaces.recipe import AlignerConfig
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import registry
from sfda_kit.testing.contexts import small_context

SEEN: list[tuple[int, int, float]] = []


class Told(Aligner):
    """Records the step and its option, and is 1 plus nothing."""

    def __init__(self, size: float = 1.0) -> None:
        self.size = size

    def __call__(self, signals: Any) -> Tensor:
        SEEN.append((signals.epoch, signals.step, self.size))
        return 1.0 + 0.0 * signals.target_logits.sum()


class Head(Aligner):
    """Trains a head of its own on the features."""

    head: nn.Module

    def own_module(self, network: Network) -> nn.Module:
        self.head = nn.Linear(network.feature_width, 1)
        return self.head

    def __call__(self, signals: Any) -> Tensor:
        return (self.head(signals.target_features) - 1).square().mean()


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    SEEN.clear()
    classes = {"told": Told, "head": Head}
    for name, part_class in classes.items():
        target = f"{__name__}:{part_class.__name__}"
        part = Component(name, target, "a term", kind="aligner", owner="a-stranger")
        monkeypatch.setitem(registry().components, ("aligner", name), part)
    load = Component.load
    monkeypatch.setattr(Component, "load", lambda self: classes.get(self.name) or load(self))


def context(folder: Path, recipe: dict[str, Any], **config: Any) -> Any:
    settings = {"epochs": 2, "batch_size": 4, "evaluation_batch_size": 6, "steps_per_epoch": 5} | config
    return small_context(folder, recipe=Recipe.model_validate(recipe), config=AdaptConfig(**settings))


def weighted(folder: Path, recipe: dict[str, Any], term: str) -> list[float]:
    """The weighted loss of each step."""
    found: list[float] = []
    made = context(folder, recipe)
    made.listener = lambda event: found.append(event.data["terms"][term]) if event.kind == "step" else None
    list(RecipeMethod().adapt(made))
    return found


def test_weight_and_options_change_after_their_share_of_the_steps(tmp_path: Path):
    changes = [{"after": 0.5, "options": {"size": 2.0}}, {"after": 0.7, "weight": 3.0}]
    recipe = {"aligners": {"told": {"weight": 0.5, "changes": changes}}}
    assert weighted(tmp_path, recipe, "told") == [0.5] * 7 + [3.0] * 3
    assert [size for _, _, size in SEEN] == [1.0] * 5 + [2.0] * 5
    assert [(epoch, step) for epoch, step, _ in SEEN] == [(step // 5, step) for step in range(10)]


def test_the_labels_wait_for_the_end_of_a_warm_up(tmp_path: Path):
    labeler = {"name": "centroid", "weight": 0.0, "changes": [{"after": 0.29, "weight": 0.3}]}
    losses = weighted(tmp_path, {"aligners": {"infomax": 1.0}, "labeler": labeler}, "pseudo-label")
    assert losses[:2] == [0.0, 0.0] and all(loss > 0 for loss in losses[2:])


def test_changes_must_be_in_order():
    with pytest.raises(ValueError, match="in order"):
        AlignerConfig(weight=1.0, changes=({"after": 0.5}, {"after": 0.2}))


def test_a_recipe_without_changes_is_stored_as_before():
    stored = Recipe.model_validate({"aligners": {"infomax": 1.0}, "labeler": "centroid"}).model_dump(mode="json")
    assert stored["phases"][0] == {
        "name": "adapt",
        "aligners": {"infomax": {"weight": 1.0, "options": {}}},
        "labeler": {"name": "centroid", "options": {}, "weight": 0.3},
        "train": "backbone+bottleneck",
        "length": 1.0,
    }


def test_only_the_parts_in_scope_move(tmp_path: Path):
    for scope, moves in (("backbone+bottleneck", False), ("backbone+bottleneck+classifier", True)):
        made = context(tmp_path / scope, {"aligners": {"infomax": 1.0}, "train": scope})
        before = made.network.classifier.weight.detach().clone()
        list(RecipeMethod().adapt(made))
        assert bool((made.network.classifier.weight != before).any()) == moves


def test_the_classifier_has_a_rate_of_its_own(tmp_path: Path):
    recipe = {"aligners": {"infomax": 1.0}, "train": "backbone+bottleneck+classifier"}
    made = context(tmp_path, recipe, lr=0.5, backbone_lr_factor=0.1, classifier_lr_factor=0.2, momentum=0.0)
    training = PhaseTraining(made, made.recipe.phases[0], AdaptedModel(made.input_bridge, made.network))
    groups = training._optimizer().param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.05, 0.5, 0.1])
    assert not any(group["nesterov"] or group["momentum"] for group in groups)


def test_a_phase_may_train_a_module_of_its_own_alone_and_hand_it_on(tmp_path: Path):
    phases = [
        {"name": "head", "aligners": {"head": 1.0}, "train": "none"},
        {"name": "adapt", "aligners": {"head": 1.0}},
    ]
    made = context(tmp_path, {"phases": phases})
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    states = RecipeMethod().adapt(made)
    next(states), next(states)
    torch.testing.assert_close(dict(made.network.state_dict()), before, rtol=0, atol=0)
    next(states)  # the checkpoint of an epoch is written when the next one is asked for
    head = torch.load(tmp_path / "head.pt", weights_only=True)["modules"]["aligner head"]
    first = PhaseTraining(made, made.recipe.phases[1], AdaptedModel(made.input_bridge, made.network), {})
    following = nn.Linear(first.own_modules["aligner head"].in_features, 1)  # type: ignore[arg-type]
    following.load_state_dict(head)
    carried = PhaseTraining(
        made, made.recipe.phases[1], AdaptedModel(made.input_bridge, made.network), {"aligner head": following}
    )
    torch.testing.assert_close(carried.own_modules["aligner head"].state_dict(), following.state_dict())


def test_a_new_classifier_is_random_and_the_same_for_the_same_seed(tmp_path: Path):
    recipe = {"aligners": {"infomax": 1.0}, "train": "backbone+bottleneck+classifier", "new_classifier": True}
    weights = []
    for name in "ab":
        made = context(tmp_path / name, recipe, lr=1e-9)
        before = made.network.classifier.weight.detach().clone()
        list(RecipeMethod().adapt(made))
        weights.append(made.network.classifier.weight.detach().clone())
        assert (weights[-1] - before).abs().max() > 1e-3
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)


def test_a_new_classifier_begins_with_labels_of_the_old_one(tmp_path: Path):
    """Only the first epoch has them, also where a later one is the first after a stop."""
    recipe = {"labeler": "centroid", "train": "backbone+bottleneck+classifier", "new_classifier": True}
    made = context(tmp_path, recipe)
    model = AdaptedModel(made.input_bridge, made.network)
    old = fill_bank(model, made.target).logits
    training = PhaseTraining(made, made.recipe.phases[0], model)
    torch.testing.assert_close(training._label_bank(0).logits, old)
    torch.testing.assert_close(training._label_bank(1).logits, fill_bank(model, made.target).logits)
    assert not torch.allclose(training._label_bank(1).logits, old, atol=1e-2)


def test_labels_may_come_from_augmented_images(tmp_path: Path):
    recipe = {"aligners": {"infomax": 1.0}, "labeler": "centroid"}
    banks = {}
    for view in ("test", "augmented"):
        made = context(tmp_path / view, recipe | {"bank_view": view})
        training = PhaseTraining(made, made.recipe.phases[0], AdaptedModel(made.input_bridge, made.network))
        banks[view] = training._label_bank(0).features, training._label_bank(0).features
        torch.testing.assert_close(*banks[view], rtol=0, atol=0)
    assert not torch.equal(banks["test"][0], banks["augmented"][0])


def test_a_last_batch_is_kept_where_asked_for(tmp_path: Path):
    sizes: dict[bool, list[int]] = {}
    for drop_last in (True, False):
        made = context(tmp_path / str(drop_last), {"aligners": {"told": 1.0}}, drop_last=drop_last, batch_size=5)
        made.config = made.config.model_copy(update={"steps_per_epoch": "pass"})
        training = PhaseTraining(made, made.recipe.phases[0], AdaptedModel(made.input_bridge, made.network))
        inputs = training._inputs(0, torch.Generator().manual_seed(0))
        sizes[drop_last] = [len(one.target_rows) for one in inputs]
    images = len(made.target)
    assert sum(sizes[True]) == images // 5 * 5
    assert sum(sizes[False]) == images if images % 5 != 1 else images - 1


def test_a_phase_that_trains_nothing_is_refused():
    from sfda_kit.config.loading import load_config
    from sfda_kit.runs.plan import resolve_method

    with pytest.raises(UserError, match="trains nothing"):
        resolve_method(load_config({"method": "source-only"} | {"method": "shot", "recipe": {"train": "none"}}))
