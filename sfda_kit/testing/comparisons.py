"""Comparisons that the suites share. What fails is told as one sentence."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def assert_same(found: Tensor, expected: Tensor, what: str, where: str) -> None:
    """Assert that both are equal bit for bit; the message is ``what``, how far they differ, and ``where``."""
    assert found.shape == expected.shape, (
        f"{what} has shape {tuple(found.shape)} {where}; expected {tuple(expected.shape)}"
    )
    assert torch.equal(found, expected), (
        f"{what} differs by up to {_gap(found, expected):.3g} {where}; expected the same"
    )


def assert_close(found: Tensor, expected: Tensor, what: str, where: str, rtol: float, atol: float) -> None:
    """Assert that both are equal but for rounding."""
    assert found.shape == expected.shape, (
        f"{what} has shape {tuple(found.shape)} {where}; expected {tuple(expected.shape)}"
    )
    assert torch.allclose(found, expected, rtol=rtol, atol=atol), (
        f"{what} differs by up to {_gap(found, expected):.3g} {where}; expected the same but for rounding"
    )


def assert_same_state(module: nn.Module, before: Mapping[str, Tensor]) -> None:
    """Assert that every parameter and buffer of ``module`` is as in ``before``, bit for bit."""
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key]), (
            f"{key} of the {type(module).__name__} has changed; expected it as before"
        )


def assert_fixed(network: nn.Module, before: Mapping[str, Tensor]) -> None:
    """Assert that the source network got no gradient and is as ``before``."""
    taught = [name for name, parameter in network.named_parameters() if parameter.grad is not None]
    assert not taught, f"{taught[0]} of the source network got a gradient; expected none, because it is fixed"
    assert_same_state(network, before)


def _gap(found: Tensor, expected: Tensor) -> float:
    return float((found.detach().double() - expected.detach().double()).abs().max())
