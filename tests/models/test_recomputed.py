"""Activation checkpointing trains the same weights, with BatchNorm statistics captured and with dropout."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from sfda_kit import Aligner, Phase, Recipe
from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.models.network import Network, build_network, frozen_running_statistics
from sfda_kit.models.recomputed import blocks, recompute_activations
from sfda_kit.models.statistics import captured_statistics
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network

IMAGES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def network(name: str, **given: float) -> Network:
    """A small network of timm in training mode; its bottleneck has a BatchNorm of its own."""
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0, **given)
    return Network(backbone, backbone.num_features, 5, 3).train()


def loss_of(given: Network) -> Tensor:
    """A SOCKET step in small: captured statistics of one pass, and a second pass that keeps the running ones."""
    with captured_statistics(given) as collected:
        loss = given(IMAGES).logits.square().mean()
    for one in collected:
        loss = loss + (one.mean - 0.1).square().mean() + one.variance.log().square().mean()
    with frozen_running_statistics(given):
        return loss + given(IMAGES.flip(3)).features.square().mean()


def trained(given: Network, steps: int = 3) -> dict[str, Tensor]:
    optimizer = torch.optim.SGD(given.parameters(), lr=0.05, momentum=0.9)
    torch.manual_seed(7)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(given).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return given.state_dict() | {"next random number": torch.rand(1)}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("test_resnet", {"drop_path_rate": 0.3}),
        ("test_efficientnet", {"drop_rate": 0.2}),
        ("test_vit", {"img_size": 32, "drop_path_rate": 0.3, "proj_drop_rate": 0.2}),
    ],
)
def test_weights_and_statistics_are_equal_bit_for_bit(name: str, options: dict[str, float]) -> None:
    plain, less = network(name, **options), network(name, **options)
    recompute_activations(less)
    expected, found = trained(plain), trained(less)
    assert list(found) == list(expected)
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


def held_bytes(given: Network) -> int:
    """Bytes that the graph of one pass holds for the backward pass, each storage once."""
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = given(IMAGES)
    del output
    return sum(held.values())


def test_less_is_held_and_copies_do_so_too() -> None:
    given = network("test_resnet")
    plain = held_bytes(given)
    recompute_activations(given)
    assert held_bytes(given) == held_bytes(copy.deepcopy(given)) < plain


def test_passes_without_gradients_are_made_once() -> None:
    given, calls = network("test_resnet"), []
    recompute_activations(given)
    block = blocks(given.backbone)[0]
    next(block.children()).register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        given(IMAGES)
    assert len(calls) == 1


def test_a_second_backward_pass_through_one_graph_is_the_same() -> None:
    given = network("test_resnet")
    recompute_activations(given)
    loss, weight = loss_of(given), next(given.parameters())
    first = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(loss, weight)[0], first, rtol=0, atol=0)


@pytest.mark.parametrize("backbone", [small_network().backbone, timm.create_model("vgg11", num_classes=0)])
def test_a_backbone_without_blocks_is_told_in_one_sentence(backbone: nn.Module) -> None:
    with pytest.raises(UserError, match=r"^The backbone \w+ has no blocks that timm can compute again: leave out --ch"):
        recompute_activations(Network(backbone, 8, 5, 3))


class _Statistics(Aligner):
    """Reads the statistics of the batch and those of TI pairs, as SOCKET's terms do."""

    reads = ("batch_statistics",)

    def __call__(self, signals: object) -> Tensor:
        statistics = sum((one.mean.square().mean() + one.variance.mean() for one in signals.batch_statistics), 0.0)  # type: ignore[attr-defined]
        return statistics + (signals.ti_target_features - signals.ti_source_features).square().mean()  # type: ignore[attr-defined]


def test_an_epoch_of_a_recipe_is_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfda_kit.adaptation.recipe_method.build_part", lambda *_: _Statistics())
    recipe = Recipe(phases=(Phase(aligners={"statistics": 1.0}),))  # type: ignore[dict-item]
    states = []
    for checkpoints in (False, True):
        given = build_network(ModelConfig(backbone="test_resnet", image_size=32, bottleneck=6), classes=3)
        given.load_state_dict(states[0][1] if states else given.state_dict())
        start = copy.deepcopy(given.state_dict())
        if checkpoints:
            recompute_activations(given)
        context = small_context(tmp_path / str(checkpoints), recipe=recipe, network=given)
        for _ in RecipeMethod().adapt(context):
            pass
        states.append((given.state_dict(), start))
    assert [key for key, value in states[0][0].items() if not torch.equal(value, states[1][0][key])] == []
    assert any(not torch.equal(value, states[0][1][key]) for key, value in states[0][0].items())
