"""The conformance suite for methods with a training loop of their own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import torch

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.interfaces.method import AdaptationContext, EpochState, Method
from sfda_kit.testing.conformance_aligner import assert_same_state
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.declaration import PartConformance
from sfda_kit.testing.networks import CLASSES, small_network


class MethodConformance(PartConformance):
    """A test class inherits from this suite and sets ``name`` (and ``options``), as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "method"

    def states(self, context: AdaptationContext) -> list[EpochState]:
        """Return all states that a new method yields."""
        method: Method = self.part()
        return list(method.adapt(context))

    def test_yields_a_model_and_answers_for_every_image(self, tmp_path: Path) -> None:
        """The last state is that of the last epoch; each bank has a finite row for every target image."""
        context = small_context(tmp_path)
        states = self.states(context)
        assert states, "adapt yielded nothing"
        assert states[-1].epoch == states[-1].epochs
        for state in states:
            assert state.bank.logits.shape == (len(context.target), CLASSES)
            assert len(state.bank.features) == len(context.target)
            assert state.bank.logits.isfinite().all()
            assert not state.bank.logits.requires_grad
        assert fill_bank(states[-1].model, context.target).logits.isfinite().all()

    def test_leaves_the_source_network_alone(self, tmp_path: Path) -> None:
        """Every figure is compared with the source network, so it stays as it was."""
        context = small_context(tmp_path)
        before = copy.deepcopy(context.source_network.state_dict())
        self.states(context)
        assert_same_state(context.source_network, before)
        assert not any(module.training for module in context.source_network.modules())

    def test_same_seed_gives_the_same_result(self, tmp_path: Path) -> None:
        """Nothing is drawn from a global random state."""
        first = self.states(small_context(tmp_path / "first"))[-1]
        torch.rand(1)
        again = self.states(small_context(tmp_path / "again"))[-1]
        assert torch.equal(first.bank.logits, again.bank.logits)
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
            assert torch.equal(last.bank.logits, whole[-1].bank.logits)
            assert torch.equal(last.bank.features, whole[-1].bank.features)
            assert_same_state(last.model, whole[-1].model.state_dict())

    def test_continues_after_its_last_epoch(self, tmp_path: Path) -> None:
        """A method that is started again after its last epoch was saved still yields its result."""
        whole = self.states(small_context(tmp_path))
        again = self.states(small_context(tmp_path))
        assert torch.equal(again[-1].bank.logits, whole[-1].bank.logits)
        assert_same_state(again[-1].model, whole[-1].model.state_dict())

    def test_accepts_a_network_with_batch_norm(self) -> None:
        """``check`` finds nothing wrong with an ordinary network."""
        method: Method = self.part()
        method.check(small_network())
