"""Gradient accumulation: one optimiser step over parts of a batch."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sfda_kit import Aligner, Phase, Recipe
from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.adaptation.step_inputs import StepImages
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import AdaptConfig
from sfda_kit.errors import UserError
from sfda_kit.events import Event
from sfda_kit.models.network import Network
from sfda_kit.runs.plan import plan_run
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import SmallBackbone, small_network
from sfda_kit.testing.signals import small_inputs

STEP = AdaptConfig(epochs=2, batch_size=6, evaluation_batch_size=6, steps_per_epoch=3)


class _Means(Aligner):
    """A mean over target images and one over pairs."""

    def __call__(self, signals: Any) -> Tensor:
        self.seen = [*getattr(self, "seen", ()), len(signals.target_rows)]
        pairs = (signals.ti_target_features - signals.ti_source_features).square().mean()
        return signals.target_logits.square().mean() + pairs  # type: ignore[no-any-return]


def without_norm() -> Network:
    torch.manual_seed(0)
    return Network(SmallBackbone(batch_norm=False), 8, bottleneck=0, classes=3)


def adapted(folder: Path, count: int, network: Network, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[int], Any]:
    aligner = _Means()
    monkeypatch.setattr("sfda_kit.adaptation.recipe_method.build_part", lambda *_: aligner)
    losses: list[dict[str, float]] = []

    def listener(event: Event) -> None:
        if event.kind == "step":
            losses.append(event.data["terms"])

    recipe = Recipe(phases=(Phase(aligners={"means": 1.0}, train="backbone"),))  # type: ignore[dict-item]
    config = STEP.model_copy(update={"accumulate": count})
    context = small_context(folder, recipe=recipe, network=network, config=config, listener=listener)
    for _ in RecipeMethod().adapt(context):
        pass
    return network.state_dict(), aligner.seen, losses


@pytest.mark.parametrize("count", [2, 3])
def test_means_over_images_without_batch_norm_are_equal_to_the_plain_step(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = without_norm().state_dict()
    plain, seen, losses = adapted(tmp_path / "1", 1, without_norm(), monkeypatch)
    parts, seen_in_parts, losses_of_parts = adapted(tmp_path / "n", count, without_norm(), monkeypatch)
    assert seen == [6] * 6
    assert seen_in_parts == [6 // count] * 6 * count
    for key, value in plain.items():
        torch.testing.assert_close(parts[key], value, rtol=1e-5, atol=1e-7)
    assert any((plain[key] - start[key]).abs().max() > 1e-4 for key in plain)
    for one, other in zip(losses, losses_of_parts, strict=True):
        assert one["means"] == pytest.approx(other["means"], rel=1e-5)


def test_batch_norm_sees_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is another run."""
    plain, *_ = adapted(tmp_path / "1", 1, small_network(), monkeypatch)
    parts, *_ = adapted(tmp_path / "2", 2, small_network(), monkeypatch)
    assert not torch.allclose(plain["backbone.stem.1.running_var"], parts["backbone.stem.1.running_var"])


def test_parts_are_those_of_the_step_and_none_has_a_single_image() -> None:
    whole = StepImages(small_inputs(images=7))
    for count, sizes in ((1, [7]), (2, [4, 3]), (3, [3, 2, 2]), (9, [3, 2, 2])):
        parts = list(whole.parts(count))
        assert [len(part.inputs.target_rows) for _, part in parts] == sizes
        assert sum(share for share, _ in parts) == pytest.approx(1.0)
        for name in ("target_images", "ti_target_images", "ti_source_images"):
            joined = torch.cat([getattr(part, name) for _, part in parts])
            torch.testing.assert_close(joined, getattr(whole, name), rtol=0, atol=0)


def test_each_part_draws_random_numbers_of_its_own() -> None:
    drawn = [torch.rand(1, generator=part.random) for _, part in StepImages(small_inputs(images=6)).parts(3)]
    assert all(one != other for one, other in itertools.combinations(drawn, 2))


def test_it_is_in_the_identity_of_a_run_only_where_it_is_used() -> None:
    assert "accumulate" not in AdaptConfig().model_dump()
    assert AdaptConfig(accumulate=2).model_dump()["accumulate"] == 2


def test_a_method_with_a_loop_of_its_own_is_told() -> None:
    plan = plan_run(load_config({"method": "oracle", "adapt": {"accumulate": 2}}))
    with pytest.raises(UserError, match="'oracle' has a loop of its own, which makes no parts"):
        plan.check()
