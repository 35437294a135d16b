"""A bridge that learns in the same steps as the network: what reaches it, what does not, and exact resume."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("sfda_kit_tgkt", reason="sfda-kit-tgkt is not installed")
from sfda_kit_tgkt.distill import Distill
from sfda_kit_tgkt.fcbnconv import FcBnConv
from sfda_kit_tgkt.recipes import TGKT, TGKT_JOINT
from sfda_kit_tgkt.unet import UNet

from sfda_kit import AdaptationContext, Recipe
from sfda_kit.adaptation.bridge_stage import BridgeTraining
from sfda_kit.adaptation.prepare import baseline_models
from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.builtin.aligners import InfoMax
from sfda_kit.builtin.bridges import Copy
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import BridgeStageConfig
from sfda_kit.errors import UserError
from sfda_kit.events import Event, silent
from sfda_kit.interfaces.recipe import BridgeConfig
from sfda_kit.runs.plan import resolve_method
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network, small_source_network
from sfda_kit.testing.signals import small_pairs, small_step_signals, small_target
from sfda_kit.training.loop import seeded_generator
from sfda_kit.training.optimizers import CombinedOptimizer

JOINT = Recipe.model_validate(
    {"teacher_bridge": "unet", "aligners": {"distill": 1.0, "ti-features": 1.0}, "train_bridge": True}
)


def started(bridge: type[UNet] | type[FcBnConv] = UNet) -> Any:
    """A bridge whose answers are not its input's, in training mode."""
    torch.manual_seed(0)
    made = bridge()
    for parameter in made.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return made


def joint_context(folder: Path, epochs: int = 3, **given: Any) -> AdaptationContext:
    context = small_context(folder, **{"recipe": JOINT, "teacher_bridge": frozen(started()), **given})
    context.config = context.config.model_copy(update={"epochs": epochs})
    return context


def frozen(bridge: Any) -> Any:
    return bridge.requires_grad_(False).eval()


def test_one_set_of_images_and_one_pass_of_the_bridge_serve_both_sides() -> None:
    bridge, calls = started(), []
    bridge.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0]))
    source = small_source_network()
    bridges = {"input": Copy(), "teacher": bridge}
    signals = small_step_signals(source_network=source, bridges=bridges, trained_bridge="teacher")
    assert signals.bridge_signals.target_images is signals.target_images
    assert signals.bridge_signals.ti_source_images is signals.ti_source_images
    taught = signals.teacher_logits
    for term in bridge.objective(source).terms().values():
        term(signals.bridge_signals)
    assert len(calls) == 2  # target images and target halves of TI pairs
    torch.testing.assert_close(taught, source(bridge(signals.target_images)).logits)


def test_what_teaches_is_without_gradient_and_the_objective_is_not() -> None:
    bridge, network = started(), small_network()
    bridges = {"input": Copy(), "teacher": bridge}
    signals = small_step_signals(network=network, bridges=bridges, trained_bridge="teacher")
    Distill()(signals).backward()
    assert all(p.grad is None for p in bridge.parameters())
    assert any(p.grad is not None and p.grad.any() for p in network.parameters())
    network.zero_grad()
    for term in bridge.objective(small_source_network()).terms().values():
        term(signals.bridge_signals).backward(retain_graph=True)
    assert all(p.grad is not None for p in bridge.parameters())
    assert all(p.grad is None for p in network.parameters())


def test_an_input_bridge_learns_from_the_networks_terms_too() -> None:
    bridge = started()
    signals = small_step_signals(bridges={"input": bridge}, trained_bridge="input")
    InfoMax()(signals).backward()
    assert any(p.grad is not None and p.grad.any() for p in bridge.parameters())
    assert signals.ti_target_features.requires_grad
    assert not signals.teacher_logits.requires_grad


def test_without_a_trained_bridge_there_are_no_bridge_signals() -> None:
    with pytest.raises(RuntimeError, match="no bridge is trained in this step"):
        _ = small_step_signals().bridge_signals


def test_both_learn_in_one_loop_and_nothing_else_does(tmp_path: Path) -> None:
    terms: set[str] = set()
    training: set[bool] = set()
    context = joint_context(tmp_path)
    bridge = context.teacher_bridge
    assert bridge is not None

    def listen(event: Event) -> None:
        if event.kind == "step":
            terms.update(event.data["terms"])
            training.add(bridge.training)

    context.listener = listen
    before = copy.deepcopy((bridge.state_dict(), context.source_network.state_dict(), context.network.state_dict()))
    list(RecipeMethod().adapt(context))
    assert terms == {
        "distill",
        "ti-features",
        "bridge reconstruction",
        "bridge features",
        "bridge adversarial",
        "bridge infomax",
    }
    assert training == {True} and not bridge.training
    assert not any(p.requires_grad for p in bridge.parameters())
    changed = [
        {name for name, value in now.state_dict().items() if not torch.equal(value, then[name])}
        for now, then in zip((bridge, context.source_network, context.network), before, strict=True)
    ]
    assert changed[0] == {name for name, _ in bridge.named_parameters()}
    assert not changed[1]
    assert changed[2]


def test_a_weight_of_zero_removes_a_term_of_the_bridge(tmp_path: Path) -> None:
    terms: set[str] = set()
    objective = {"adversarial": 0.0, "infomax": 0.0, "features": 0.0}
    data = {
        "teacher_bridge": {"name": "unet", "objective": objective},
        "aligners": {"distill": 1},
        "train_bridge": True,
    }
    recipe = Recipe.model_validate(data)
    context = joint_context(tmp_path, recipe=recipe, listener=lambda event: terms.update(event.data.get("terms", {})))
    list(RecipeMethod().adapt(context))
    assert terms == {"distill", "bridge reconstruction"}


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 2])
@pytest.mark.parametrize("bridge", [UNet, FcBnConv])
def test_resumed_after_any_epoch_it_is_the_same_bit_for_bit(tmp_path: Path, bridge: Any, stop: int) -> None:
    def context(folder: str) -> AdaptationContext:
        return joint_context(tmp_path / folder, teacher_bridge=frozen(started(bridge)))

    undisturbed = context("whole")
    whole = list(RecipeMethod().adapt(undisturbed))[-1]
    epochs = RecipeMethod().adapt(context("stopped"))
    for _ in range(stop + 1):  # an epoch is saved when the next one is asked for
        next(epochs)
    resumed = context("stopped")
    last = list(RecipeMethod().adapt(resumed))[-1]
    assert torch.equal(last.bank.logits, whole.bank.logits)
    states = [given.teacher_bridge.state_dict() for given in (undisturbed, resumed)]  # type: ignore[union-attr]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    saved = [torch.load(tmp_path / name / "adapt.pt", weights_only=True) for name in ("whole", "stopped")]
    discriminators = [state["modules"]["objective"] for state in saved]
    assert discriminators[0] and all(torch.equal(v, discriminators[1][k]) for k, v in discriminators[0].items())


def test_starting_over_brings_back_the_untrained_bridge_and_the_source_network(tmp_path: Path) -> None:
    context = joint_context(tmp_path, epochs=1)
    first = list(RecipeMethod().adapt(context))[-1].bank.logits
    (tmp_path / "adapt.pt").unlink()
    context.start_over()
    torch.testing.assert_close(context.teacher_bridge.state_dict(), started().state_dict())  # type: ignore[union-attr]
    assert torch.equal(list(RecipeMethod().adapt(context))[-1].bank.logits, first)


def test_no_baseline_shows_a_bridge_that_has_not_learned(tmp_path: Path) -> None:
    assert set(baseline_models(joint_context(tmp_path))) == {"source-only"}
    assert set(baseline_models(joint_context(tmp_path, recipe=TGKT))) == {"source-only", "bridge"}


def test_it_starts_where_the_bridge_of_the_two_stages_starts(private_home: Path) -> None:
    given = (small_target(), small_pairs(), small_source_network(), BridgeStageConfig(), 1, "crop-flip", 5, {})
    training = BridgeTraining(*given, silent, nullcontext)  # type: ignore[arg-type]
    found = training.prepare(BridgeConfig(name="unet"), is_trained_later=True)
    seeded_generator(5, "bridge-initialisation", "unet")
    torch.testing.assert_close(found.state_dict(), UNet().state_dict())
    assert not list(private_home.rglob("*.safetensors"))


def test_two_optimisers_step_as_they_would_alone() -> None:
    def setup() -> tuple[torch.nn.Parameter, torch.nn.Parameter, list[torch.optim.Optimizer]]:
        a, b = (torch.nn.Parameter(torch.full((2,), value)) for value in (1.0, 2.0))
        return a, b, [torch.optim.SGD([a], lr=0.1, momentum=0.9), torch.optim.AdamW([b], lr=0.01)]

    def learn(a: torch.Tensor, b: torch.Tensor, optimizers: list[Any], steps: int = 2) -> None:
        for _ in range(steps):
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            (a.square() + 3 * b).sum().backward()
            for optimizer in optimizers:
                optimizer.step()

    one_by_one, as_one, restored = setup(), setup(), setup()
    learn(*one_by_one)
    together = CombinedOptimizer(*as_one[2])
    assert [group["lr"] for group in together.param_groups] == [0.1, 0.01]
    learn(as_one[0], as_one[1], [together])
    assert torch.equal(as_one[0], one_by_one[0]) and torch.equal(as_one[1], one_by_one[1])
    other = CombinedOptimizer(*restored[2])
    other.load_state_dict(copy.deepcopy(together.state_dict()))
    restored[0].data, restored[1].data = as_one[0].data.clone(), as_one[1].data.clone()
    learn(restored[0], restored[1], [other])
    learn(as_one[0], as_one[1], [together])
    assert torch.equal(restored[0], as_one[0]) and torch.equal(restored[1], as_one[1])
    with pytest.raises(KeyError):
        other.load_state_dict(restored[2][0].state_dict())


def test_a_recipe_without_it_is_written_as_before() -> None:
    assert "train_bridge" not in TGKT.phases[0].model_dump()
    assert TGKT_JOINT.phases[0].model_dump()["train_bridge"] is True
    assert TGKT.joint_bridge is None and TGKT_JOINT.joint_bridge == "teacher"
    assert (
        TGKT.model_copy(
            update={
                "summary": TGKT_JOINT.summary,
                "phases": (TGKT.phases[0].model_copy(update={"train_bridge": True}),),
            }
        )
        == TGKT_JOINT
    )


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_it_is_a_setting_of_any_recipe_whose_bridge_learns() -> None:
    def resolved(**recipe: Any) -> Recipe:
        return resolve_method(load_config({"method": "shot", "recipe": {"train_bridge": True, **recipe}})).recipe

    assert resolved(bridge="unet").joint_bridge == "input"
    with pytest.raises(UserError, match=r"nothing to train in 'copy'.*--bridge unet.*recipe.train_bridge=false"):
        resolved()
