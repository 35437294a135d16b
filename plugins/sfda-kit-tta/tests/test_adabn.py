"""AdaBN against statistics taken by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_tta.adabn import AdaBn
from sfda_kit_tta.norms import _Pool, batch_norms, even_batches
from torch import nn

from sfda_kit import AdaptConfig, UserError
from sfda_kit.testing import MethodConformance
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_target


class TestAdaBn(MethodConformance):
    name = "adabn"


def adapted(folder: Path, size: int, images: int = 12):
    """Context and state after AdaBN with batches of ``size``."""
    config = AdaptConfig(evaluation_batch_size=size)
    context = small_context(folder, config=config, target=small_target(images=images))
    (state,) = AdaBn().adapt(context)
    return context, state


def test_statistics_of_the_first_layer_are_the_targets_by_hand(tmp_path: Path) -> None:
    for size in (2, 5, 12, 100):
        context, _ = adapted(tmp_path, size)
        maps = context.network.backbone.stem[0](context.target.batch(torch.arange(12)))  # type: ignore[operator, index]
        norm = context.network.backbone.stem[1]  # type: ignore[index]
        for channel in range(4):
            values = maps[:, channel].flatten().tolist()
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            assert float(norm.running_mean[channel]) == pytest.approx(mean, rel=1e-4, abs=1e-5)
            assert float(norm.running_var[channel]) == pytest.approx(variance, rel=1e-4)


def test_in_one_batch_every_layer_has_the_targets_statistics(tmp_path: Path) -> None:
    """Then inference is what the network says when it normalises by all target images at once."""
    context, state = adapted(tmp_path, 12)
    whole = small_network()
    expected = whole.train()(context.target.batch(torch.arange(12)))
    torch.testing.assert_close(state.bank.logits, expected.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(state.bank.features, expected.features, rtol=1e-4, atol=1e-4)


def test_nothing_else_changes(tmp_path: Path) -> None:
    before = small_network().state_dict()
    context, _ = adapted(tmp_path, 5)
    after = context.network.state_dict()
    changed = {name.rpartition(".")[2] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"running_mean", "running_var"}
    assert len(batch_norms(context.network)) == 3


def test_order_of_the_images_does_not_matter(tmp_path: Path) -> None:
    _, state = adapted(tmp_path, 12)
    context = small_context(tmp_path, config=AdaptConfig(evaluation_batch_size=12))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    context.target._pixels = context.target._pixels[order.numpy()]
    (permuted,) = AdaBn().adapt(context)
    torch.testing.assert_close(permuted.bank.logits, state.bank.logits[order], rtol=1e-4, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.floats(-1e3, 1e3))
def test_pooled_batches_are_one(seed: int, sizes: list[int], offset: float) -> None:
    values = torch.randn(sum(sizes), 3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    values = (values + offset).float()
    pool = _Pool()
    for batch in values.split(sizes):
        pool.add(batch)
    variance, mean = torch.var_mean(values.double(), dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(pool.mean, mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(pool.spread / pool.count, variance, rtol=1e-3, atol=1e-4)


@given(st.integers(2, 200), st.integers(1, 64))
def test_batches_hold_every_row_once_and_never_a_single_one(count: int, size: int) -> None:
    batches = even_batches(torch.arange(count), size, "adabn")
    assert torch.equal(torch.cat(batches), torch.arange(count))
    assert min(len(batch) for batch in batches) >= min(count, max(2, size))
    assert max(len(batch) for batch in batches) < 2 * max(2, size) or len(batches) == 1


def test_one_image_has_no_statistics(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"adabn takes statistics.*needs two or more and got 1"):
        adapted(tmp_path, 5, images=1)


def test_backbone_without_batch_norm_is_refused_with_a_reason() -> None:
    with pytest.raises(UserError, match=r"this backbone has none.*resnet10t.*method tent"):
        AdaBn().check(small_network(batch_norm=False))


def test_layer_that_never_runs_keeps_its_statistics(tmp_path: Path) -> None:
    network = small_network()
    network.backbone.unused = nn.BatchNorm2d(4)
    list(AdaBn().adapt(small_context(tmp_path, network=network)))
    assert torch.equal(network.backbone.unused.running_var, torch.ones(4))
