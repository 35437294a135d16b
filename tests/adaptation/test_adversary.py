"""The loss that two sides of a gradient reversal share."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sfda_kit.adaptation.adversary import domain_loss, reverse_gradient

seeds = st.integers(0, 2**31 - 1)


def discriminator(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def values(seed: int, images: int = 5) -> tuple[Tensor, Tensor]:
    """Of the reference and of what is moved, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    reference, moved = torch.randn(2, images, 3, generator=generator, dtype=torch.float64).unbind()
    return reference, moved


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.1, 5))
def test_is_the_mean_of_two_cross_entropies(seed: int, factor: float) -> None:
    reference, moved = values(seed)
    told = discriminator()
    expected = 0.0
    for row in reference:
        expected -= math.log(1 / (1 + math.exp(-told(row).item()))) / 5 / 2
    for row in moved:
        expected -= math.log(1 - 1 / (1 + math.exp(-told(row).item()))) / 5 / 2
    assert domain_loss(told, reference, moved, factor).item() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_order_and_number_of_either_side_do_not_matter(seed: int) -> None:
    reference, moved = values(seed)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    expected = domain_loss(discriminator(), reference, moved)
    torch.testing.assert_close(domain_loss(discriminator(), reference[order], moved), expected)
    torch.testing.assert_close(domain_loss(discriminator(), reference, moved[order]), expected)
    torch.testing.assert_close(domain_loss(discriminator(), reference.repeat(3, 1), moved), expected)


def test_an_ordinary_gradient_where_the_reversal_is_undone() -> None:
    reference, moved = (side.requires_grad_() for side in values(1))
    told = discriminator()
    assert torch.autograd.gradcheck(lambda a, b: domain_loss(told, a, b, factor=-1.0), (reference, moved))


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.1, 5))
def test_the_factor_scales_what_is_moved_and_neither_reference_nor_discriminator(seed: int, factor: float) -> None:
    found = []
    for scale in (-1.0, factor):
        told = discriminator()
        reference, moved = (side.requires_grad_() for side in values(seed))
        domain_loss(told, reference, moved, scale).backward()
        found.append((moved.grad, reference.grad, *(p.grad for p in told.parameters())))
    plain, turned = found
    torch.testing.assert_close(turned[0], -factor * plain[0])
    for mine, other in zip(turned[1:], plain[1:], strict=True):
        torch.testing.assert_close(mine, other)


def test_the_reversal_leaves_values_alone() -> None:
    given_values = torch.randn(4, 2)
    assert torch.equal(reverse_gradient(given_values, 3.0), given_values)
