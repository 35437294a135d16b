"""The conformance suite for recipes: their parts exist, take their options and train the network together."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit.adaptation.bridge_stage import objective_weights
from sfda_kit.interfaces.bridge import Bridge
from sfda_kit.interfaces.recipe import BridgeConfig, Phase, Recipe
from sfda_kit.models.network import Network
from sfda_kit.plugins.discovery import build_part
from sfda_kit.testing.conformance_aligner import with_own_module
from sfda_kit.testing.declaration import DeclarationConformance
from sfda_kit.testing.networks import small_network, small_source_network
from sfda_kit.testing.signals import small_bank, small_step_signals


class RecipeConformance(DeclarationConformance):
    """A test class inherits from this suite and sets ``name``, as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "method"

    def recipe(self) -> Recipe:
        """Return the recipe under test."""
        recipe = self.component().load()
        assert isinstance(recipe, Recipe), (
            f"the target of {self.name!r} is a {type(recipe).__name__}; expected a Recipe"
        )
        return recipe

    def bridges(self) -> dict[str, Bridge]:
        """Return the recipe's bridges by role, untrained."""
        wanted = self.recipe().bridges()
        return {r: build_part("bridge", b.name, b.options) for r, b in wanted.items()}

    def test_is_data(self) -> None:
        """A recipe that is written as JSON and read back is the same, and it has a summary."""
        recipe = self.recipe()
        same = Recipe.model_validate_json(recipe.model_dump_json()) == recipe
        assert same, "the recipe read back from JSON is another one; expected plain values, such as numbers and text"
        assert recipe.summary, "the recipe has no summary; expected one sentence"

    def test_bridges_and_their_objectives_exist(self) -> None:
        """Every overridden objective weight belongs to a term of its bridge."""
        bridges = self.bridges()
        for role, config in self.recipe().bridges().items():
            bridge = bridges[role]
            terms = bridge.objective(small_source_network()).terms() if bridge.trained else {}
            unknown = sorted(set(config.objective) - set(terms))
            assert not unknown, f"the {role} bridge has no terms {unknown}; expected some of {sorted(terms)}"

    def test_each_phase_trains(self) -> None:
        """One step of each phase gives a finite loss and a gradient, also to a bridge that the phase trains."""
        for phase in self.recipe().phases:
            network, bridges = small_network(), self.bridges()
            role = self.recipe().joint_bridge if phase.train_bridge else None
            loss = phase_loss(phase, network, bridges, self.recipe().bridges()[role] if role else None, role)
            assert loss.isfinite(), f"the loss of phase {phase.name!r} is {float(loss)}; expected a finite number"
            loss.backward()  # type: ignore[no-untyped-call]
            for name, part in [("network", network), *([("bridge", bridges[role])] if role else [])]:
                trains = any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
                assert trains, f"phase {phase.name!r} gives the {name} no gradient; expected one from its terms"


def phase_loss(
    phase: Phase,
    network: Network,
    bridges: dict[str, Bridge],
    trained: BridgeConfig | None = None,
    role: str | None = None,
) -> Tensor:
    """Return the weighted sum of a phase's terms on one small step, those of the bridge that it trains included."""
    aligners = {n: build_part("aligner", n, a.options) for n, a in phase.aligners.items()}
    reads = tuple(signal for aligner in aligners.values() for signal in aligner.reads)
    signals = small_step_signals(network=network, bridges=bridges, reads=reads, trained_bridge=role)
    loss = torch.zeros(())
    for name, aligner in aligners.items():
        aligner.check(network)
        with_own_module(aligner, network)
        loss = loss + phase.aligners[name].weight * aligner(signals)
    if trained is not None and role is not None:
        terms = bridges[role].objective(small_source_network()).terms()
        for name, weight in objective_weights(bridges[role], trained).items():
            loss = loss + weight * terms[name](signals.bridge_signals)
    if phase.labeler:
        build_part("labeler", phase.labeler.name, phase.labeler.options)(small_bank())
        loss = loss + phase.labeler.weight * F.cross_entropy(signals.target_logits, signals.pseudo_labels)
    return loss
