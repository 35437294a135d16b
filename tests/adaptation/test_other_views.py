"""Other views of the target batch and answers of other networks, as terms may ask for them."""

from __future__ import annotations

import torch
from torch import nn

from sfda_kit.builtin.bridges import Copy
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_step_signals


class Halved(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images / 2


def test_another_view_shows_the_same_images_with_other_crops() -> None:
    signals = small_step_signals()
    first, second = signals.draw_target_images(), signals.draw_target_images()
    assert first.shape == second.shape == signals.target_images.shape
    assert not torch.equal(first, second) and not torch.equal(first, signals.target_images)
    stored = signals.target_images.mean(), signals.target_images.std()
    torch.testing.assert_close(torch.stack([first.mean(), first.std()]), torch.stack(stored), rtol=0.1, atol=0.02)


def test_the_same_step_draws_the_same_views_and_its_own_batch_is_as_it_was() -> None:
    plain, drawn = small_step_signals(), small_step_signals()
    view = drawn.draw_target_images("strong")
    assert torch.equal(view, small_step_signals().draw_target_images("strong"))
    assert torch.equal(drawn.target_images, plain.target_images)


def test_a_view_of_some_rows() -> None:
    rows = torch.tensor([5, 2])
    signals = small_step_signals()
    view = signals.draw_target_images(rows=rows)
    inputs = small_step_signals()._images.inputs
    geometry = inputs.target.draw_geometry(2, "crop-flip", small_step_signals().random)
    assert torch.equal(view, inputs.target.batch(rows, geometry))


def test_kept_statistics_are_kept_and_the_answer_is_the_same() -> None:
    network, other = small_network(), small_network()
    images = small_step_signals().draw_target_images()
    before = [buffer.clone() for buffer in network.buffers()]
    kept = small_step_signals(network=network).answer(images, keep_statistics=True).logits
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))
    assert torch.equal(kept, small_step_signals(network=other).answer(images).logits)
    assert any(not torch.equal(a, b) for a, b in zip(before, other.buffers(), strict=True))
    assert all(m.track_running_stats for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def test_another_network_answers_behind_the_same_input_bridge() -> None:
    other = small_network(seed=3).eval()
    bridged = small_step_signals(bridges={"input": Halved()})
    images = bridged.target_images
    assert torch.equal(bridged.answer(images, by=other).logits, other(images / 2).logits)
    plain = small_step_signals(bridges={"input": Copy()}).answer(images, by=other)
    assert torch.equal(plain.logits, other(images).logits)
