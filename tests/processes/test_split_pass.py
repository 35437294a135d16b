"""A pass that several processes share answers, learns and keeps statistics as that of one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sfda_kit import captured_statistics, fill_bank, processes
from sfda_kit.models.network import AdaptedModel
from sfda_kit.models.shallow import shallow_features
from sfda_kit.models.split_pass import average_gradients, shares, split_pass
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.testing.networks import SIDE, small_network
from sfda_kit.testing.signals import small_bridge_signals, small_step_signals, small_target

Together = Callable[[int, Callable[[], Any]], list[Any]]


def plain(values: Any) -> Any:
    """Tensors as arrays, which cross processes without shared memory."""
    if isinstance(values, Tensor):
        return values.detach().numpy()
    if isinstance(values, dict):
        return {key: plain(value) for key, value in values.items()}
    return [plain(value) for value in values] if isinstance(values, (list, tuple)) else values


def gradients(*modules: nn.Module) -> dict[str, Tensor]:
    named = [(f"{place}.{name}", p) for place, m in enumerate(modules) for name, p in m.named_parameters()]
    average_gradients([{"params": [p for _, p in named]}])
    return {name: p.grad for name, p in named if p.grad is not None}


def assert_same(found: Any, expected: Any, **tolerance: float) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, **tolerance)
        return
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-9, "atol": 1e-11, **tolerance})


def assert_close(found: Any, expected: Any) -> None:
    """Single precision: a loss, and gradients to a thousandth of the largest one."""
    (loss, slopes, *more), (known, exact, *others) = found, expected
    largest = max(float(np.abs(one).max()) for one in exact.values())
    assert_same(loss, known, rtol=1e-4, atol=1e-6)
    assert_same(slopes, exact, rtol=1e-3, atol=1e-3 * largest)
    assert_same(more, others, rtol=1e-4, atol=1e-5)


def test_shares_differ_by_one_and_the_first_are_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfda_kit.processes.count", lambda: 3)
    assert [shares(size) for size in (6, 7, 8, 2)] == [[2, 2, 2], [3, 2, 2], [3, 3, 2], [1, 1, 0]]


def images(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    made = torch.randn(count, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return made.contiguous(memory_format=torch.channels_last).requires_grad_()


def step(count: int) -> Any:
    """A loss of features, logits, statistics, maps, weights and a gradient of the images, as hard as a term may be."""
    network, given = small_network().double(), images(count)
    with captured_statistics(network) as statistics:
        output = network(given)
    maps, _ = shallow_features(network, given + 1)
    spread = output.features.var(dim=0).sum() + (output.logits @ output.logits.T).softmax(1).square().sum()
    (seen,) = torch.autograd.grad(spread, given, create_graph=False, retain_graph=True)
    of_layers = sum(one.mean.square().sum() + one.variance.sum() for one in statistics)
    decay = sum(weight.square().sum() for weight in network.parameters())
    loss = spread + of_layers + decay + maps.mean(0).square().sum() + (seen * output.logits.sum()).sum()
    loss.backward()
    state = {name: value for name, value in network.state_dict().items() if "running" in name}
    return plain([loss, output.logits, seen, given.grad, gradients(network), state])


@pytest.mark.parametrize(("count", "many"), [(8, 2), (7, 2), (7, 3), (2, 3)])
def test_a_step_is_that_of_one_process(together: Together, count: int, many: int) -> None:
    alone = step(count)
    for found in together(many, lambda: step(count)):
        assert_same(found, alone)


def aligner_step(name: str) -> Any:
    aligner, network = build_part("aligner", name), small_network()
    torch.manual_seed(0)
    own = aligner.own_module(network)
    loss = aligner(small_step_signals(network=network, reads=aligner.reads, bridges=bridges()))
    loss.backward()
    return plain([loss, gradients(network, *([own] if own is not None else []))])


def bridges() -> dict[str, nn.Module]:
    torch.manual_seed(1)
    return {"input": build_part("bridge", "copy"), "teacher": build_part("bridge", "affine").requires_grad_(False)}


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_every_aligner_is_a_term_of_the_whole_batch(together: Together) -> None:
    names = [part.name for part in registry().of_kind("aligner")]

    def steps() -> Any:
        return {name: aligner_step(name) for name in names}

    alone = steps()
    for found in together(2, steps):
        for name in names:
            assert_close(found[name], alone[name])


def bridge_step(name: str) -> Any:
    torch.manual_seed(2)
    bridge, source = build_part("bridge", name).train(), small_network().eval().requires_grad_(False)
    objective = bridge.objective(source)
    signals = small_bridge_signals(bridge, source_network=source)
    terms = objective.terms()
    loss = torch.stack([weight * terms[term](signals) for term, weight in bridge.default_objective.items()]).sum()
    loss.backward()
    state = {key: value for key, value in bridge.state_dict().items() if "running" in key}
    return plain([loss, gradients(bridge, objective), state])


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_every_bridge_learns_from_the_whole_batch(together: Together) -> None:
    parts = [part.name for part in registry().of_kind("bridge")]
    names = [name for name in parts if build_part("bridge", name).trained]

    def steps() -> Any:
        return {name: bridge_step(name) for name in names}

    alone = steps()
    for found in together(2, steps):
        for name in names:
            assert_close(found[name], alone[name])


def test_a_bank_has_all_rows_in_order(together: Together) -> None:
    def bank() -> Any:
        model = AdaptedModel(build_part("bridge", "copy"), small_network())
        filled = fill_bank(model, small_target(images=7), batch_size=2)
        return plain([filled.features, filled.logits])

    alone = bank()
    for found in together(3, bank):
        assert_same(found, alone, rtol=1e-5, atol=1e-6)


def test_a_hook_sees_the_whole_batch(together: Together) -> None:
    def seen() -> list[int]:
        network, rows = small_network(), []
        network.backbone.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
        network(torch.rand(6, 3, SIDE, SIDE))
        return rows

    assert together(2, seen) == [[6], [6]]


def test_random_numbers_in_a_pass_are_refused(together: Together) -> None:
    def dropped() -> Tensor:
        return split_pass(nn.Dropout(0.5), torch.rand(6, 4))

    for error in together(2, dropped):
        assert "draws random numbers" in str(error)


def test_a_gradient_that_is_not_finite_in_one_process_is_so_in_all(together: Together) -> None:
    def averaged() -> list[float]:
        weight = nn.Parameter(torch.zeros(2))
        weight.grad = torch.tensor([float(processes.group().rank), torch.inf if processes.is_first() else 1.0])
        average_gradients([{"params": [weight]}])
        return weight.grad.tolist()

    assert together(2, averaged) == [[0.5, float("inf")]] * 2


def test_half_precision_takes_whole_statistics(together: Together) -> None:
    def answered() -> Any:
        network = small_network()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = network(images(8).float())
        output.logits.square().mean().backward()
        return plain([output.logits, gradients(network)])

    alone = answered()
    for found in together(2, answered):
        assert_same(found, alone, rtol=0.1, atol=0.02)
