"""The conformance suite for methods with a training loop of their own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import torch

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.interfaces.method import AdaptationContext, EpochState, Method
from sfda_kit.plugins.tensors import described
from sfda_kit.testing.comparisons import assert_same, assert_same_state
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.declaration import KnowledgeConformance, PartConformance
from sfda_kit.testing.networks import CLASSES, small_network


class MethodConformance(PartConformance, KnowledgeConformance):
    """A test class inherits from this suite and sets ``name`` (and ``options``), as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "method"

    def states(self, context: AdaptationContext) -> list[EpochState]:
        """Return all states that a new method yields."""
        method: Method = self.part()
        return list(method.adapt(context))

    def work_without_pairs(self, folder: Path) -> None:
        """Adapt on a task that has no TI pairs."""
        self.states(small_context(folder, pairs=None))

    def test_yields_a_model_and_answers_for_every_image(self, tmp_path: Path) -> None:
        """The last state is that of the last epoch; each bank has a finite row for every target image."""
        context = small_context(tmp_path)
        states = self.states(context)
        assert states, "adapt yielded nothing; expected a state after each epoch"
        last = states[-1]
        assert last.epoch == last.epochs, (
            f"the last state is epoch {last.epoch} of {last.epochs}; expected the last epoch"
        )
        for bank in (state.bank for state in states):
            expected = (len(context.target), CLASSES)
            fits = bank.logits.shape == expected and len(bank.features) == len(context.target)
            assert fits, (
                f"the bank has logits {described(bank.logits)}; expected {expected}, a row for each target image"
            )
            assert bank.logits.isfinite().all(), "logits of the bank are not finite; expected finite numbers"
            assert not bank.logits.requires_grad, "logits of the bank carry a gradient; expected them detached"
        finite = bool(fill_bank(last.model, context.target).logits.isfinite().all())
        assert finite, "the last model answers target images with values that are not finite; expected finite logits"

    def test_leaves_the_source_network_alone(self, tmp_path: Path) -> None:
        """Every figure is compared with the source network, so it stays as it was."""
        context = small_context(tmp_path)
        before = copy.deepcopy(context.source_network.state_dict())
        self.states(context)
        assert_same_state(context.source_network, before)
        training = [name for name, module in context.source_network.named_modules() if module.training]
        assert not training, f"{training[0] or 'the source network'} is in training mode; expected evaluation mode"

    def test_same_seed_gives_the_same_result(self, tmp_path: Path) -> None:
        """Nothing is drawn from a global random state."""
        first = self.states(small_context(tmp_path / "first"))[-1]
        torch.rand(1)
        again = self.states(small_context(tmp_path / "again"))[-1]
        where = "when the method runs again with the same seed"
        assert_same(again.bank.logits, first.bank.logits, "the last bank", where)
        assert_same_state(first.model, again.model.state_dict())

    def test_continues_where_it_was_stopped(self, tmp_path: Path) -> None:
        """A method that is stopped after any epoch and started again ends in the same state, bit for bit."""
        whole = self.states(small_context(tmp_path / "whole"))
        for stop in range(1, len(whole) + 1):
            folder = tmp_path / str(stop)
            method: Method = self.part()
            epochs = method.adapt(small_context(folder))
            for _ in range(stop):
                next(epochs)
            last = self.states(small_context(folder))[-1]
            where = f"when the method is stopped after epoch {stop} and started again"
            assert_same(last.bank.logits, whole[-1].bank.logits, "the last bank", where)
            assert_same(last.bank.features, whole[-1].bank.features, "the last bank", where)
            assert_same_state(last.model, whole[-1].model.state_dict())

    def test_continues_after_its_last_epoch(self, tmp_path: Path) -> None:
        """A method that is started again after its last epoch was saved still yields its result."""
        whole = self.states(small_context(tmp_path))
        again = self.states(small_context(tmp_path))
        assert again, "a method that is started again after its last epoch yielded nothing; expected its result"
        assert_same(again[-1].bank.logits, whole[-1].bank.logits, "the last bank", "when the method is started again")
        assert_same_state(again[-1].model, whole[-1].model.state_dict())

    def test_accepts_a_network_with_batch_norm(self) -> None:
        """``check`` finds nothing wrong with an ordinary network."""
        method: Method = self.part()
        method.check(small_network())
