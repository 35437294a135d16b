"""The conformance suite for aligners."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from sfda_kit.interfaces.aligner import Aligner
from sfda_kit.models.network import Network
from sfda_kit.plugins.tensors import described
from sfda_kit.testing.comparisons import assert_fixed, assert_same
from sfda_kit.testing.declaration import KnowledgeConformance, PartConformance
from sfda_kit.testing.networks import small_network, small_source_network
from sfda_kit.testing.signals import STEPS, small_step_signals


class AlignerConformance(PartConformance, KnowledgeConformance):
    """A test class inherits from this suite and sets ``name`` (and ``options``), as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "aligner"

    def loss(self, network: Network | None = None, source_network: Network | None = None) -> Tensor:
        """Return the loss of the term on a step in the middle of a phase, after any warm-up has begun."""
        aligner, _ = self.ready()
        signals = small_step_signals(
            network=network, source_network=source_network, reads=aligner.reads, step=STEPS // 2
        )
        return aligner(signals)

    def work_without_pairs(self, folder: Path) -> None:
        """Compute the loss of a step that has no TI pairs."""
        del folder
        aligner, _ = self.ready()
        aligner(small_step_signals(reads=aligner.reads, step=STEPS // 2, with_pairs=False))

    def ready(self) -> tuple[Aligner, nn.Module | None]:
        """Return the term and its own module, where it has one, always with the same initial weights."""
        aligner: Aligner = self.part()
        return aligner, with_own_module(aligner, small_network())

    def test_returns_a_finite_scalar(self) -> None:
        """The loss is 0-d and finite."""
        loss = self.loss()
        assert isinstance(loss, Tensor) and loss.shape == (), f"the loss is {described(loss)}; expected a 0-d tensor"
        assert torch.isfinite(loss), f"the loss is {float(loss)}; expected a finite number"

    def test_trains_the_network(self) -> None:
        """A gradient, finite and not all zero, reaches the adapting network."""
        network = small_network()
        self.loss(network).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert gradients, "no gradient reaches the network; expected one, because the term has to train it"
        assert all(bool(g.isfinite().all()) for g in gradients), "a gradient is not finite; expected finite numbers"
        assert any(bool(g.any()) for g in gradients), "every gradient is zero; expected one that trains the network"

    def test_leaves_the_source_network_alone(self) -> None:
        """The source model is a fixed reference: it gets no gradient, and no buffer changes."""
        source = small_source_network()
        before = copy.deepcopy(source.state_dict())
        self.loss(source_network=source).backward()  # type: ignore[no-untyped-call]
        assert_fixed(source, before)

    def test_same_step_gives_the_same_loss(self) -> None:
        """Nothing is drawn from a global random state."""
        first = self.loss(small_network())
        torch.rand(1)
        where = "when the step is computed again"
        assert_same(self.loss(small_network()), first, "the loss", f"{where} (draw from signals.random)")

    def test_trains_its_own_module(self) -> None:
        """Every parameter of the term's own module gets a finite gradient from the loss."""
        aligner, own = self.ready()
        aligner(small_step_signals(reads=aligner.reads)).backward()  # type: ignore[no-untyped-call]
        for name, parameter in own.named_parameters() if own is not None else ():
            assert parameter.grad is not None, f"no gradient reaches {name} of the own module; expected one"
            assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite; expected numbers"

    def test_accepts_a_network_with_batch_norm(self) -> None:
        """``check`` finds nothing wrong with an ordinary network."""
        aligner: Aligner = self.part()
        aligner.check(small_network())


def with_own_module(aligner: Aligner, network: Network) -> nn.Module | None:
    """Make the own module as the core does before the first step; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return aligner.own_module(network)
