"""Captured BatchNorm statistics equal torch's own, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfda_kit.errors import UserError
from sfda_kit.models.statistics import captured_statistics, require_batch_norm, stored_statistics
from sfda_kit.testing.networks import small_network

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def capture(images: Tensor) -> tuple[Tensor, Tensor]:
    layer = nn.BatchNorm2d(images.shape[1], dtype=images.dtype)
    with captured_statistics(layer) as collected:
        layer(images)
    return collected[0].mean, collected[0].variance


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1000.0, 1.0), (-50.0, 0.01)])
def test_values(offset: float, scale: float, layout: torch.memory_format) -> None:
    images = (offset + scale * torch.randn(6, 5, 7, 8)).contiguous(memory_format=layout)
    mean, variance = capture(images)
    exact = images.double()
    torch.testing.assert_close(mean.double(), exact.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(variance.double(), exact.var((0, 2, 3), correction=0), rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_gradients(offset: float, layout: torch.memory_format) -> None:
    images = (offset + torch.randn(4, 3, 5, 6)).contiguous(memory_format=layout)
    ours, torchs = images.clone().requires_grad_(), images.clone().double().requires_grad_()
    weights = torch.randn(2, 3)
    mean, variance = capture(ours)
    (weights[0] @ mean + weights[1] @ variance).backward()
    exact = weights[0].double() @ torchs.mean((0, 2, 3))
    (exact + weights[1].double() @ torchs.var((0, 2, 3), correction=0)).backward()
    assert ours.grad is not None
    assert torchs.grad is not None
    torch.testing.assert_close(ours.grad.double(), torchs.grad, rtol=1e-3, atol=1e-5)


def test_gradcheck() -> None:
    images = torch.randn(3, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(capture, images)


def test_mixed_precision_keeps_the_variance() -> None:
    images = (3 + torch.randn(8, 4, 9, 9)).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mean, variance = capture(images.float())
        _, from_half = capture(images)
    torch.testing.assert_close(variance, images.float().var((0, 2, 3), correction=0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(from_half, variance)
    assert mean.dtype is torch.float32


def test_layers_are_in_tree_order_whatever_order_they_run_in() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, images: Tensor) -> Tensor:
            return self.last(self.first(images + 7) + 5)  # type: ignore[no-any-return]

    network = Backwards()
    with captured_statistics(network) as collected:
        network(torch.randn(4, 3, 5, 5))
    assert [round(found.mean.mean().item()) for found in collected] == [5, 7]


def test_hooks_are_gone_afterwards_even_after_an_error() -> None:
    network = small_network()
    with captured_statistics(network):
        network(torch.randn(2, 3, 16, 16))
    with pytest.raises(ZeroDivisionError), captured_statistics(network):
        raise ZeroDivisionError
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_stored_statistics_are_the_running_ones() -> None:
    network = small_network()
    stored = stored_statistics(network)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(s.mean is n.running_mean for s, n in zip(stored, norms, strict=True))


def test_network_without_batch_norm_is_refused_with_a_way_out() -> None:
    network = small_network(batch_norm=False)
    with pytest.raises(UserError, match=r"no BatchNorm2d layer.*resnet10t.*--aligner bn-stats=0"):
        require_batch_norm(network, "bn-stats")
