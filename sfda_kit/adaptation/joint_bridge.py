"""A bridge that learns in the same steps as the network, where a phase has ``train_bridge``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sfda_kit.adaptation.bridge_stage import bridge_optimizer, objective_terms, objective_weights
from sfda_kit.plugins.boundary import call
from sfda_kit.training.loop import Term, seeded_generator

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sfda_kit.adaptation.step_signals import BridgeSignals, StepSignals
    from sfda_kit.interfaces.method import AdaptationContext


class JointBridge:
    """A joint bridge is the recipe's bridge with its objective, as parts of one phase.

    It has the optimiser of a bridge's stage (AdamW, ``bridge_training.lr`` and ``weight_decay``), so the difference
    from training it beforehand is that both learn at once. Batch size and rate schedule are those of the phase.
    """

    def __init__(self, context: AdaptationContext, phase: str) -> None:
        role = context.recipe.joint_bridge
        assert role is not None, "a phase trains the bridge, so the recipe names its role"
        self.role, self.bridge = role, context.bridges()[role]
        seeded_generator(context.seed, "bridge-objective", phase)
        self.objective = call(self.bridge, self.bridge.objective, context.source_network).to(context.target.device)
        self.weights = objective_weights(self.bridge, context.recipe.bridges()[role])
        self.optimizer = bridge_optimizer(self.bridge, self.objective, context.bridge_training)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules that a checkpoint holds, by name."""
        return {"bridge": self.bridge, "objective": self.objective}

    def terms(self) -> dict[str, Term]:
        """Return the objective's weighted terms over the signals of an adaptation step, as ``bridge NAME``."""
        terms = objective_terms(self.bridge, self.objective, self.weights)
        return {f"bridge {name}": (weight, _of_step(term)) for name, (weight, term) in terms.items()}

    def figures(self) -> dict[str, float]:
        """Return the bridge's own figures, as ``bridge_NAME``."""
        return {f"bridge_{name}": value for name, value in call(self.bridge, self.bridge.figures).items()}

    def train(self) -> None:
        """Let the bridge and its objective be trained: unfrozen and in training mode."""
        self.bridge.requires_grad_(True).train()
        self.objective.train()

    def freeze(self) -> None:
        """Freeze the bridge in evaluation mode, its state outside the phases that train it."""
        self.bridge.requires_grad_(False).eval()


def _of_step(term: Callable[[BridgeSignals], Tensor]) -> Callable[[StepSignals], Tensor]:
    return lambda signals: term(signals.bridge_signals)
