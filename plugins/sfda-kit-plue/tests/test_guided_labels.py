"""A step of ``guided-labels`` against one written out by hand, and what it keeps between steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from sfda_kit_plue.guided_labels import GuidedLabels
from sfda_kit_plue.plue import PLUE
from torch import Tensor

from sfda_kit import AdaptedModel, Network, RecipeMethod, StepSignals, UserError, frozen_running_statistics
from sfda_kit.adaptation.recipe_method import PhaseTraining
from sfda_kit.testing import AlignerConformance, RecipeConformance
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import CLASSES, small_network
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
    return small_step_signals(seed, network=network, reads=("memory",))


def settled_network() -> Network:
    """Its running statistics are those of the images, so that labels differ from image to image."""
    network = small_network()
    for _ in range(40):
        network(small_step_signals().target_images)
    return network


def unit(values: Tensor) -> Tensor:
    return F.normalize(values, dim=1)


@pytest.mark.slow
def test_the_step_is_the_papers() -> None:
    """Views, momentum answers, votes, weights and the three losses, image by image."""
    network, other = settled_network(), settled_network()
    found = term(network, neighbors=3, contrast=0.5, diversity=2.0)(signals_of(network))
    fresh = signals_of(other)
    strong, second = fresh.draw_target_images("strong"), fresh.draw_target_images("strong")
    source_labels = [int(row.argmax()) for row in fresh.memory.probabilities]
    momentum = settled_network()
    with torch.no_grad():
        weak, keys = momentum(fresh.target_images), unit(momentum(second).features)
    bank, answers = unit(weak.features), weak.logits.softmax(1)
    labels, weights = [], []
    for i in range(IMAGES):
        near = sorted((j for j in range(IMAGES) if j != i), key=lambda j, i=i: -float(bank[i] @ bank[j]))[:3]
        vote = [sum(float(answers[j, c]) for j in near) / 3 for c in range(CLASSES)]
        labels.append(vote.index(max(vote)))
        weights.append(math.exp(sum(p * math.log(p) for p in vote) / math.log(CLASSES)))
    drawn = torch.randint(CLASSES - 1, (IMAGES,), generator=fresh.random).tolist()
    answer = other(strong)
    p, queries = answer.logits.softmax(1), unit(answer.features)
    learning = contrast = 0.0
    for i in range(IMAGES):
        wrong = [c for c in range(CLASSES) if c != labels[i]][drawn[i]]
        learning -= weights[i] * math.log(1 - p[i, wrong].item()) / IMAGES
        negatives = [j for j in range(IMAGES) if source_labels[j] != source_labels[i]]
        exponents = [(queries[i] @ v).item() / 0.07 for v in (keys[i], *(bank[j] for j in negatives))]
        contrast += math.log(sum(math.exp(e - exponents[0]) for e in exponents)) / IMAGES
    mean = p.mean(0).tolist()
    spread = sum(value * math.log(value + 1e-5) for value in mean)
    assert len(set(source_labels)) > 1 and len(set(labels)) > 1
    assert found.item() == pytest.approx(learning + 0.5 * contrast + 2.0 * spread, rel=1e-4)


def test_the_memory_then_holds_the_momentum_models_answers() -> None:
    network = small_network()
    guided, signals = term(network), signals_of(network)
    guided(signals)
    with frozen_running_statistics(network):
        answer = network(signals.target_images)  # the momentum model is the network in the first step
    torch.testing.assert_close(signals.memory.features, unit(answer.features))
    torch.testing.assert_close(signals.memory.probabilities, answer.logits.softmax(1))


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


def test_running_statistics_follow_the_weak_view_alone() -> None:
    network, reference = small_network(), small_network()
    term(network)(signals_of(network)).backward()
    reference(signals_of(reference).target_images)
    assert all(torch.equal(a, b) for a, b in zip(network.buffers(), reference.buffers(), strict=True))


def test_a_bank_smaller_than_the_set_compares_with_rows_drawn_anew() -> None:
    guided = GuidedLabels(bank=5)
    drawn = [guided._compared(IMAGES, torch.Generator().manual_seed(seed)).tolist() for seed in range(3)]
    assert all(len(set(rows)) == 5 for rows in drawn) and drawn[0] != drawn[1]
    assert GuidedLabels()._compared(IMAGES, torch.Generator()).tolist() == list(range(IMAGES))


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
    assert not any("momentum" in name or "history" in name for name in states[-1].model.state_dict())
    saved = torch.load(tmp_path / "adapt.pt", weights_only=True)["modules"][NAME]
    assert saved["history.past"].shape == (IMAGES, 5) and saved["history.current"].shape == (IMAGES,)


def test_the_history_knows_the_epochs(tmp_path: Path) -> None:
    phase = training(tmp_path)
    list(phase.run())
    history = phase.own_modules[NAME]["history"]  # type: ignore[index]
    assert (history.past[:, :3] >= 0).all() and (history.past[:, 3:] == -1).all()  # the source's, two epochs
    assert (history.current >= 0).all()


@pytest.mark.parametrize("stop", [1, 2])
def test_resumed_after_any_epoch_it_is_the_same_bit_for_bit(tmp_path: Path, stop: int) -> None:
    expected = list(training(tmp_path / "whole").run())[-1]
    epochs = training(tmp_path / "stopped").run()
    for _ in range(stop + 1):  # the epoch is saved when the next one is asked for
        next(epochs)
    assert torch.equal(list(training(tmp_path / "stopped").run())[-1].bank.logits, expected.bank.logits)


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


@pytest.mark.parametrize("options", [{"neighbors": 12}, {"neighbors": 6, "bank": 6}])
def test_too_few_images_for_the_neighbours_names_the_option(options: dict[str, int]) -> None:
    network = small_network()
    count = options["neighbors"]
    message = rf"guided-labels.options.neighbors is {count}, and each image is compared with {count - 1} others"
    with pytest.raises(UserError, match=message):
        term(network, **options)(signals_of(network))


def test_a_single_class_is_refused() -> None:
    with pytest.raises(UserError, match="guided-labels learns what an image is not, and there is one class"):
        GuidedLabels().check(small_network(classes=1))


def test_the_whole_is_in_one_term() -> None:
    (phase,) = PLUE.phases
    assert {name: part.weight for name, part in phase.aligners.items()} == {"guided-labels": 1.0}
    assert phase.labeler is None and phase.train == "backbone+bottleneck"
