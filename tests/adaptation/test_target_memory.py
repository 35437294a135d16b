"""The target memory, and what else a term may read beyond the batch's own answers."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit import Aligner, Component, PseudoLabeler, PseudoLabels, Recipe
from sfda_kit.adaptation.feature_bank import FeatureBank, fill_bank
from sfda_kit.adaptation.recipe_method import PhaseTraining, RecipeMethod
from sfda_kit.adaptation.step_signals import StepSignals
from sfda_kit.adaptation.target_memory import TargetMemory
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import registry
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import CLASSES, small_network
from sfda_kit.testing.signals import small_bank, small_memory, small_step_signals

FILLED: list[TargetMemory] = []
LABELLED: list[int] = []


class Remembers(Aligner):
    """Pulls each prediction to the mean of all remembered ones."""

    reads: ClassVar[tuple[str, ...]] = ("memory",)

    def __call__(self, signals: StepSignals) -> Tensor:
        FILLED.append(signals.memory)
        return F.mse_loss(signals.target_probabilities, signals.memory.probabilities.mean(0).expand(4, -1))


class ReadsLabels(Aligner):
    reads: ClassVar[tuple[str, ...]] = ("pseudo_labels",)

    def __call__(self, signals: StepSignals) -> Tensor:
        return F.cross_entropy(signals.target_logits, signals.pseudo_labels)


class CountedLabels(PseudoLabeler):
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        LABELLED.append(len(bank.logits))
        return PseudoLabels(bank.predictions, torch.ones(len(bank.logits)))


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three parts above, declared by a stranger."""
    FILLED.clear()
    LABELLED.clear()
    by_name = {"remembers": Remembers, "reads-labels": ReadsLabels, "counted": CountedLabels}
    for name, part in by_name.items():
        kind = "labeler" if issubclass(part, PseudoLabeler) else "aligner"
        found = Component(name, "a_stranger:Part", "a part", kind=kind, owner="a-stranger")
        monkeypatch.setitem(registry().components, (kind, name), found)
    load = Component.load
    monkeypatch.setattr(Component, "load", lambda self: by_name.get(self.name) or load(self))


def test_rows_are_of_unit_length_and_only_those_written_change() -> None:
    memory = small_memory(small_network())
    before = memory.features.clone(), memory.probabilities.clone()
    features, probabilities = torch.randn(2, 6, requires_grad=True), torch.rand(2, CLASSES)
    memory.write(torch.tensor([3, 7]), 5 * features, probabilities)
    torch.testing.assert_close(memory.features.norm(dim=1), torch.ones(12))
    torch.testing.assert_close(memory.features[[3, 7]], F.normalize(features.detach(), dim=1))
    assert torch.equal(memory.probabilities[[3, 7]], probabilities)
    others = [row for row in range(12) if row not in (3, 7)]
    assert torch.equal(memory.features[others], before[0][others])
    assert torch.equal(memory.probabilities[others], before[1][others])
    assert not memory.features.requires_grad and not list(memory.parameters())


def test_a_step_sees_its_own_batch_renewed() -> None:
    signals = small_step_signals(reads=("memory",))
    torch.testing.assert_close(signals.memory.features, F.normalize(signals.target_features.detach(), dim=1))
    assert torch.equal(signals.memory.probabilities, signals.target_probabilities.detach())


def test_memory_begins_with_a_pass_in_evaluation_mode(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    expected = fill_bank(AdaptedModel(context.input_bridge, context.network), context.target)
    phase = Recipe.model_validate({"aligners": {"remembers": 1.0}}).phases[0]
    training = PhaseTraining(context, phase, AdaptedModel(context.input_bridge, context.network))
    next(iter(training._steps(0, torch.Generator().manual_seed(0))))
    assert training.memory is not None
    torch.testing.assert_close(training.memory.probabilities, expected.probabilities)
    torch.testing.assert_close(training.memory.features, F.normalize(expected.features, dim=1))


def test_no_term_reads_it_no_memory_is_kept(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    phase = Recipe.model_validate({"aligners": {"infomax": 1.0}}).phases[0]
    assert PhaseTraining(context, phase, AdaptedModel(context.input_bridge, context.network)).memory is None
    with pytest.raises(RuntimeError, match=r'declares reads = \("memory",\)'):
        _ = small_step_signals().memory


def test_the_bank_of_an_epoch_holds_the_answers_at_its_start(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    model = AdaptedModel(context.input_bridge, context.network)
    training = PhaseTraining(context, Recipe.model_validate({"aligners": {"infomax": 1.0}}).phases[0], model)
    training.reads = frozenset({"target_bank"})
    for epoch in range(2):
        expected = fill_bank(model, context.target)
        for signals in training._steps(epoch, torch.Generator().manual_seed(epoch)):
            context.network(signals.target_images)  # running statistics change, the bank does not
            torch.testing.assert_close(signals.target_bank.logits, expected.logits)
        training.state(epoch + 1)


def test_the_bank_of_an_epoch_must_be_declared() -> None:
    with pytest.raises(RuntimeError, match=r'declares reads = \("target_bank",\)'):
        _ = small_step_signals().target_bank


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_resumed_after_any_epoch_it_is_the_same_bit_for_bit(tmp_path: Path, stop: int) -> None:
    recipe = Recipe.model_validate({"aligners": {"remembers": 1.0}})

    def context(folder: str):
        given = small_context(tmp_path / folder, recipe=recipe)
        given.config = given.config.model_copy(update={"epochs": 3})
        return given

    whole = list(RecipeMethod().adapt(context("whole")))[-1]
    memory = {name: value.clone() for name, value in FILLED[-1].state_dict().items()}
    epochs = RecipeMethod().adapt(context("stopped"))
    for _ in range(stop):
        next(epochs)
    next(epochs, None)  # the epoch is saved when the next one is asked for
    last = list(RecipeMethod().adapt(context("stopped")))[-1]
    assert torch.equal(last.bank.logits, whole.bank.logits)
    assert all(torch.equal(value, memory[name]) for name, value in FILLED[-1].state_dict().items())


def test_labels_are_made_for_a_term_that_reads_them_without_their_own_loss(tmp_path: Path) -> None:
    labeler = {"name": "counted", "weight": 0.0}
    for aligner, passes in (("reads-labels", [12, 12]), ("infomax", [])):
        LABELLED.clear()
        recipe = Recipe.model_validate({"aligners": {aligner: 1.0}, "labeler": labeler})
        terms: set[str] = set()
        listener = lambda event, terms=terms: terms.update(event.data.get("terms", {}))  # noqa: E731
        states = list(RecipeMethod().adapt(small_context(tmp_path / aligner, recipe=recipe, listener=listener)))
        assert passes == LABELLED
        assert terms == {aligner}
        assert ("churn" in states[-1].diagnostics) == bool(passes)


def test_random_numbers_of_a_step_are_its_own() -> None:
    first, again = small_step_signals(), small_step_signals()
    torch.rand(3, generator=first._images.inputs.generator)
    assert torch.equal(torch.rand(4, generator=first.random), torch.rand(4, generator=again.random))
    other = small_step_signals(seed=1)
    assert not torch.equal(torch.rand(4, generator=small_step_signals().random), torch.rand(4, generator=other.random))


def test_an_answer_to_other_images_is_the_adapting_networks() -> None:
    network = small_network()
    signals = small_step_signals(network=network)
    images = torch.randn(3, 3, 16, 16)
    expected = small_network()(images)
    found = signals.answer(images)
    assert torch.equal(found.logits, expected.logits)
    assert found.features.requires_grad


def test_a_memory_survives_its_state_dict() -> None:
    memory = small_memory(small_network())
    empty = TargetMemory.for_network(small_network(), 12)
    assert not empty.is_filled
    empty.load_state_dict(memory.state_dict())
    assert empty.is_filled and torch.equal(empty.features, memory.features)


def test_bank_of_another_width_is_refused() -> None:
    with pytest.raises(RuntimeError):
        TargetMemory(5, 6, 3).fill(small_bank(images=5, features=7))
