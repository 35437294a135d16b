"""The codebook: nearest codes, straight-through gradient, its loss, its update by hand, dead codes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_tgkt.codebook import DECAY, REVIVED_BELOW, Codebook
from torch import Tensor

seeds = st.integers(0, 2**31 - 1)


def codebook(codes: Tensor) -> Codebook:
    made = Codebook(*codes.shape).to(codes.dtype)
    made.codes.data = codes.clone()
    return made


def random(seed: int, codes: int = 5, size: int = 3) -> tuple[Codebook, Tensor]:
    """A codebook and encoder outputs (2, size, 2, 3) in double precision."""
    generator = torch.Generator().manual_seed(seed)
    made = codebook(torch.randn(codes, size, generator=generator, dtype=torch.float64))
    return made, torch.randn(2, size, 2, 3, generator=generator, dtype=torch.float64)


def positions(encoded: Tensor) -> list[list[float]]:
    images, _, height, width = encoded.shape
    return [encoded[i, :, y, x].tolist() for i in range(images) for y in range(height) for x in range(width)]


def square(u: list[float], v: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(u, v, strict=True))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_each_position_becomes_its_nearest_code(seed: int) -> None:
    made, encoded = random(seed)
    codes = made.codes.tolist()
    quantised = made(encoded)
    assert quantised.shape == encoded.shape
    for point, found in zip(positions(encoded), positions(quantised.detach()), strict=True):
        assert found == pytest.approx(min(codes, key=lambda code: square(point, code)))


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0, 2))
def test_loss_is_the_formula(seed: int, commitment: float) -> None:
    made, encoded = random(seed)
    codes = made.codes.tolist()
    errors = [min(square(point, code) for code in codes) for point in positions(encoded)]
    expected = (1 + commitment) * sum(errors) / (len(errors) * 3)
    assert made.loss(encoded, commitment).item() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_order_of_images_and_codes_does_not_matter(seed: int) -> None:
    made, encoded = random(seed)
    shuffled = codebook(made.codes.detach()[torch.randperm(5, generator=torch.Generator().manual_seed(seed))])
    torch.testing.assert_close(made(encoded.flip(0)).flip(0), made(encoded))
    torch.testing.assert_close(shuffled(encoded), made(encoded))
    torch.testing.assert_close(shuffled.loss(encoded, 0.25), made.loss(encoded, 0.25))


def test_gradient_passes_straight_through() -> None:
    made, encoded = random(0)
    encoded.requires_grad_()
    wanted = torch.randn_like(encoded)
    (made(encoded) * wanted).sum().backward()
    assert torch.equal(encoded.grad, wanted)
    assert made.codes.grad is None, "what follows the codebook trains the encoder, not the codes"


def test_each_part_of_the_loss_trains_its_side() -> None:
    made, encoded = random(1)
    encoded.requires_grad_()
    quantised = made(encoded).detach()
    made.loss(encoded, 0.25).backward()
    torch.testing.assert_close(encoded.grad, 0.25 * 2 * (encoded - quantised).detach() / encoded.numel())
    index = made.nearest(encoded.movedim(1, 3).reshape(-1, 3))
    expected = torch.zeros_like(made.codes)
    points = encoded.detach().movedim(1, 3).reshape(-1, 3)
    expected.index_add_(0, index, 2 * (made.codes.detach()[index] - points) / encoded.numel())
    torch.testing.assert_close(made.codes.grad, expected)


def test_gradients_are_those_of_the_loss() -> None:
    made, encoded = random(2)
    codes, index = made.codes.detach(), made.nearest(encoded.movedim(1, 3).reshape(-1, 3))
    fixed = codes[index].reshape(2, 2, 3, 3).movedim(3, 1)

    def commitment(values: Tensor) -> Tensor:
        return 0.25 * (values - fixed).square().mean()

    encoded.requires_grad_()
    assert torch.autograd.gradcheck(commitment, encoded)
    (expected,) = torch.autograd.grad(commitment(encoded), encoded)
    (found,) = torch.autograd.grad(made.loss(encoded, 0.25), encoded)
    torch.testing.assert_close(found, expected)


def test_one_step_of_descent_moves_a_code_towards_the_mean_of_its_points() -> None:
    """By hand: code 0 has points 1 and 3, code 10 has 12; mean over 3 numbers, rate 0.3."""
    made = codebook(torch.tensor([[0.0], [10.0]]))
    encoded = torch.tensor([1.0, 3.0, 12.0]).reshape(1, 1, 1, 3)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.3)
    made.loss(encoded, 0.25).backward()
    optimizer.step()
    # gradients 2 ((0 - 1) + (0 - 3)) / 3 and 2 (10 - 12) / 3
    torch.testing.assert_close(made.codes.detach(), torch.tensor([[0.8], [10.4]]))


def test_first_batch_puts_every_code_on_an_encoder_output() -> None:
    made, encoded = random(3, codes=4)
    made.renew(encoded, torch.Generator().manual_seed(0))
    points = {tuple(point) for point in positions(encoded)}
    assert {tuple(code) for code in made.codes.tolist()} <= points
    assert len({tuple(code) for code in made.codes.tolist()}) == 4
    torch.testing.assert_close(made.usage, torch.full((4,), 0.25, dtype=made.usage.dtype))


def test_usage_is_a_moving_average_and_a_living_code_stays() -> None:
    made = codebook(torch.tensor([[0.0], [10.0]]))
    made.usage.fill_(0.5)
    encoded = torch.tensor([1.0, 3.0, 2.0, 12.0]).reshape(1, 1, 2, 2)
    made.renew(encoded, torch.Generator())
    torch.testing.assert_close(made.usage, torch.tensor([0.5 * DECAY + 0.75 * (1 - DECAY), 0.5 * DECAY + 0.0125]))
    assert made.codes.tolist() == [[0.0], [10.0]]


def test_a_dead_code_is_put_back_to_use() -> None:
    made = codebook(torch.tensor([[0.0], [1000.0]]))
    made.usage.fill_(0.5)
    encoded, generator = torch.tensor([1.0, -1.0]).reshape(1, 1, 1, 2), torch.Generator().manual_seed(0)
    rounds = 0
    while made.codes[1].item() == 1000.0:
        assert rounds < 200
        made.renew(encoded, generator)
        rounds += 1
    assert rounds == math.ceil(math.log(REVIVED_BELOW) / math.log(DECAY))
    assert abs(made.codes[1].item()) == 1.0 and made.codes[0].item() == 0.0
    assert float(made.usage[1]) == 0.5


def test_fewer_positions_than_codes_are_shared() -> None:
    made = codebook(torch.full((6, 1), 1000.0))
    made.renew(torch.tensor([1.0, 2.0]).reshape(1, 1, 1, 2), torch.Generator().manual_seed(0))
    assert sorted(made.codes.flatten().tolist()) == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]


def test_figures_tell_how_many_codes_are_used_and_how_evenly() -> None:
    made = codebook(torch.randn(4, 2))
    made.usage.copy_(torch.tensor([0.5, 0.5, 0.0, 0.0]))
    assert made.figures() == pytest.approx({"codes_used": 50.0, "code_perplexity": 50.0})
    made.usage.fill_(0.25)
    assert made.figures() == pytest.approx({"codes_used": 100.0, "code_perplexity": 100.0})


def test_a_forward_pass_changes_nothing() -> None:
    made, encoded = random(4)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made.train()(encoded)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_nearest_codes_keep_their_digits_under_autocast() -> None:
    made = codebook(torch.tensor([[1.0], [1.001]]))
    points = torch.tensor([[1.0004], [1.0006]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert made.nearest(points).tolist() == [0, 1]
