"""A step of ``guided-labels`` against one written out by hand, and what it keeps between steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from sfda_kit_plue.guided_labels import GuidedLabels
from sfda_kit_plue.plue import PLUE

from sfda_kit import AdaptedModel, Network, RecipeMethod, StepSignals, UserError
from sfda_kit.adaptation.recipe_method import PhaseTraining
from sfda_kit.testing import AlignerConformance, RecipeConformance
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import IMAGES, small_step_signals

NAME = "aligner guided-labels"


class TestGuidedLabels(AlignerConformance):
    name = "guided-labels"


class TestGuidedLabelsAlone(AlignerConformance):
    name = "guided-labels"
    options: ClassVar = {"contrast": 0.0, "diversity": 0.0, "neighbors": 2, "bank": 5}


class TestPlue(RecipeConformance):
    name = "plue"


def term(network: Network, **options: Any) -> GuidedLabels:
    found = GuidedLabels(**options)
    found.own_module(network)
    return found


def signals_of(network: Network, seed: int = 0) -> StepSignals:
    return small_step_signals(seed, network=network, reads=("target_bank",))


def settled_network() -> Network:
    """Its running statistics are those of the images, so that labels differ from image to image."""
    network = small_network()
    for _ in range(40):
        network(small_step_signals().target_images)
    return network


def test_the_terms_add_up() -> None:
    """Each part alone is in the parity tests; here are the weights. Diversity is that of two views."""

    def loss(contrast: float, diversity: float) -> float:
        network = settled_network()
        return term(network, contrast=contrast, diversity=diversity)(signals_of(network)).item()

    base, contrast, diversity = loss(0, 0), loss(1, 0) - loss(0, 0), loss(0, 1) - loss(0, 0)
    assert contrast > 0 > diversity
    assert loss(0.5, 2.0) == pytest.approx(base + 0.5 * contrast + 2 * diversity, rel=1e-4)


def test_gradients_come_from_the_weak_view_too() -> None:
    network = settled_network()
    signals = signals_of(network)
    signals.target_logits.retain_grad()
    term(network)(signals).backward()
    assert signals.target_logits.grad is not None and signals.target_logits.grad.any()


def test_neighbours_are_of_the_bank_before_the_step() -> None:
    """An image's own older answer may be among them."""
    network = settled_network()
    guided, signals = term(network, neighbors=1), signals_of(network)
    guided._begin_epoch(signals)
    guided.bank.features[4] = 3 * signals.target_features[0].detach()
    labels, _ = guided._labels(signals.target_features)
    assert int(labels[0]) == int(guided.bank.probabilities[4].argmax())


def test_bank_and_queue_then_hold_the_answers_of_the_step() -> None:
    network = small_network()
    guided, signals = term(network), signals_of(network)
    guided(signals)
    torch.testing.assert_close(guided.bank.features, signals.target_features)
    torch.testing.assert_close(guided.bank.probabilities, signals.target_probabilities)
    assert guided.queue.rows.tolist() == signals.target_rows.tolist()


def test_without_contrast_there_is_no_pass_of_the_momentum_model() -> None:
    network = small_network()
    guided = term(network, contrast=0.0)
    passes: list[Any] = []
    guided.momentum_model.forward = passes.append  # type: ignore[assignment]
    guided(signals_of(network))
    assert passes == []


def test_the_momentum_model_follows_in_every_step() -> None:
    network = small_network()
    guided = term(network, momentum=0.75)
    guided(signals_of(network))
    before = {name: value.clone() for name, value in network.named_parameters()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    guided(signals_of(network, seed=1))
    found = guided.momentum_model.network.state_dict()
    for name, value in before.items():
        torch.testing.assert_close(found[name], value + 0.25)


def test_running_statistics_take_in_the_weak_and_the_first_strong_view() -> None:
    network, reference = small_network(), small_network()
    term(network)(signals_of(network)).backward()
    signals = signals_of(reference)
    _ = signals.target_logits
    guided = term(reference)
    guided._begin_epoch(signals)
    reference(signals.draw_target_images("strong"))
    assert all(torch.equal(a, b) for a, b in zip(network.buffers(), reference.buffers(), strict=True))


def test_bank_and_queue_have_at_most_so_many_entries_and_one_for_each_image() -> None:
    network = small_network()
    for given, expected in ((5, 5), (100, IMAGES)):
        guided = term(network, bank=given, neighbors=2)
        guided(signals_of(network))
        assert len(guided.bank.features) == len(guided.queue.keys) == expected
    assert guided.history.labels.shape == (IMAGES, 5)


def training(folder: Path, epochs: int = 3, **options: Any) -> PhaseTraining:
    recipe = PLUE.model_copy(deep=True)
    recipe.phases[0].aligners["guided-labels"].options.update({"neighbors": 3, "momentum": 0.5, **options})
    context = small_context(folder, recipe=recipe)
    context.config = context.config.model_copy(update={"epochs": epochs})
    return PhaseTraining(context, recipe.phases[0], AdaptedModel(context.input_bridge, context.network))


def test_nothing_of_its_own_is_trained_or_part_of_the_model(tmp_path: Path) -> None:
    phase = training(tmp_path)
    trained = {id(p) for group in phase._optimizer().param_groups for p in group["params"]}
    assert trained == {id(p) for p in phase.context.network.parameters() if p.requires_grad}
    states = list(phase.run())
    assert not any(own in name for own in ("momentum", "history", "queue") for name in states[-1].model.state_dict())
    saved = torch.load(tmp_path / "adapt.pt", weights_only=True)["modules"][NAME]
    assert saved["history.labels"].shape == (IMAGES, 5) and saved["queue.keys"].shape == (IMAGES, 6)
    assert not any("bank" in name for name in saved)  # each epoch begins with a new one


def test_each_epoch_begins_with_a_new_bank_of_all_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled: list[list[int]] = []
    monkeypatch.setattr(
        GuidedLabels,
        "_begin_epoch",
        lambda term, signals, do=GuidedLabels._begin_epoch: _keep(term, signals, do, filled),
    )
    list(training(tmp_path, epochs=3).run())
    assert len(filled) == 3


def _keep(term: GuidedLabels, signals: StepSignals, begin: Any, filled: list[Any]) -> None:
    begin(term, signals)
    expected = sorted(map(tuple, signals.target_bank.features.tolist()))
    assert sorted(map(tuple, term.bank.features.tolist())) == expected
    filled.append(signals.epoch)


@pytest.mark.parametrize("stop", [1, 2])
def test_resumed_after_any_epoch_it_is_the_same_bit_for_bit(tmp_path: Path, stop: int) -> None:
    expected = list(training(tmp_path / "whole").run())[-1]
    epochs = training(tmp_path / "stopped").run()
    for _ in range(stop + 1):  # the epoch is saved when the next one is asked for
        next(epochs)
    continued = training(tmp_path / "stopped")
    assert torch.equal(list(continued.run())[-1].bank.logits, expected.bank.logits)
    saved = [
        torch.load(tmp_path / folder / "adapt.pt", weights_only=True)["modules"] for folder in ("whole", "stopped")
    ]
    for name, value in saved[0][NAME].items():
        assert torch.equal(value, saved[1][NAME][name]), name


def test_a_network_without_batch_norm_adapts(tmp_path: Path) -> None:
    context = small_context(tmp_path, recipe=training(tmp_path).context.recipe, network=small_network(batch_norm=False))
    before = [p.clone() for p in context.network.parameters()]
    list(RecipeMethod().adapt(context))
    assert any(not torch.equal(a, b) for a, b in zip(before, context.network.parameters(), strict=True))


def test_wrong_options_are_named() -> None:
    for options in ({"neighbors": 0}, {"epochs": 0}, {"bank": 1}, {"momentum": 1.0}, {"contrast": -1.0}):
        ((name, value),) = options.items()
        with pytest.raises(UserError, match=rf"guided-labels: got .*{name}={value}.*expected neighbors and epochs"):
            GuidedLabels(**options)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="guided-labels: temperature is 0"):
        GuidedLabels(temperature=0)


@pytest.mark.parametrize(("options", "size"), [({"neighbors": 13}, 12), ({"neighbors": 7, "bank": 6}, 6)])
def test_too_few_images_for_the_neighbours_names_the_option(options: dict[str, int], size: int) -> None:
    network = small_network()
    message = rf"guided-labels.options.neighbors is {options['neighbors']}, and the bank has {size} images"
    with pytest.raises(UserError, match=message):
        term(network, **options)(signals_of(network))


def test_a_single_class_is_refused() -> None:
    with pytest.raises(UserError, match="guided-labels learns what an image is not, and there is one class"):
        GuidedLabels().check(small_network(classes=1))


def test_the_whole_is_in_one_term() -> None:
    (phase,) = PLUE.phases
    assert {name: part.weight for name, part in phase.aligners.items()} == {"guided-labels": 1.0}
    assert phase.labeler is None and phase.train == "backbone+bottleneck+classifier"
