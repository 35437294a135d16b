"""What a run must not touch: the source model and the bridges, in weights, statistics and mode."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sfda_kit import AdaptationContext, Recipe
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.adaptation.prepare import baseline_models
from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.builtin.bridges import Copy
from sfda_kit.config.models import AdaptConfig
from sfda_kit.events import Event, silent
from sfda_kit.interfaces.bridge import Bridge
from sfda_kit.models.network import AdaptedModel
from sfda_kit.testing.networks import small_network, small_source_network
from sfda_kit.testing.signals import small_pairs, small_target


class Normed(Bridge):
    """A frozen bridge whose answers depend on its mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(images)  # type: ignore[no-any-return]


def context(recipe: Recipe, folder: Path, **given: object) -> AdaptationContext:
    """A context as the core hands it to a method, on random images."""
    values = {
        "recipe": recipe,
        "config": AdaptConfig(epochs=2, batch_size=4, steps_per_epoch="pass"),
        "seed": 0,
        "target": small_target(),
        "pairs": small_pairs(),
        "source_network": small_source_network(),
        "network": small_network(1),
        "input_bridge": Normed().requires_grad_(False).eval(),
        "teacher_bridge": Normed().requires_grad_(False).eval(),
        "checkpoint_dir": folder,
        "listener": silent,
    }
    return AdaptationContext(**(values | given))  # type: ignore[arg-type]


def modes(module: nn.Module) -> set[bool]:
    return {part.training for part in module.modules()}


@pytest.mark.parametrize("training", [True, False])
def test_a_pass_over_all_images_leaves_every_module_in_its_mode(training: bool):
    network, source = small_network().train(training), small_source_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for model in (AdaptedModel(Copy(), network), AdaptedModel(Normed().eval(), source), source, network):
        fill_bank(model, small_target())
    assert modes(network) == {training} and modes(source) == {False}
    with pytest.raises(TypeError):
        fill_bank(network, small_target(), "many")  # type: ignore[arg-type]
    assert modes(network) == {training}
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_source_model_and_bridges_stay_as_they_are_while_the_network_learns(tmp_path: Path):
    recipe = Recipe.model_validate({"aligners": {"ti-features": 1.0, "infomax": 1.0}, "labeler": "centroid"})
    frozen_in_steps: list[set[bool]] = []
    handed = context(recipe, tmp_path)
    frozen = nn.ModuleDict(
        {"source": handed.source_network, "input": handed.input_bridge, "teacher": handed.teacher_bridge}
    )
    frozen.training = False
    before = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    learned = [parameter.clone() for parameter in handed.network.parameters()]

    def listen(event: Event) -> None:
        if event.kind == "step":
            frozen_in_steps.append(modes(frozen))

    handed.listener = listen
    for model in baseline_models(handed).values():
        fill_bank(model, handed.target)
    for _ in RecipeMethod().adapt(handed):
        pass
    assert frozen_in_steps == [{False}] * 6
    assert all(torch.equal(tensor, before[name]) for name, tensor in frozen.state_dict().items())
    assert any(not torch.equal(a, b) for a, b in zip(learned, handed.network.parameters(), strict=True))


@pytest.mark.parametrize(
    ("scope", "moving"),
    [
        ("backbone+bottleneck", {"backbone", "bottleneck"}),
        ("backbone", {"backbone"}),
        ("bottleneck", {"bottleneck"}),
        ("batch-norm", {"backbone", "bottleneck"}),
    ],
)
def test_what_the_scope_leaves_out_keeps_weights_and_running_statistics(tmp_path: Path, scope: str, moving: set[str]):
    handed = context(Recipe.model_validate({"aligners": {"infomax": 1.0}, "train": scope}), tmp_path)
    before = {name: tensor.clone() for name, tensor in handed.network.state_dict().items()}
    for _ in RecipeMethod().adapt(handed):
        pass
    moved = {name for name, tensor in handed.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name.partition(".")[0] for name in moved} == moving
    if scope == "batch-norm":
        norms = {name for name, module in handed.network.named_modules() if hasattr(module, "running_mean")}
        assert {name.rpartition(".")[0] for name in moved} <= norms
