"""The method that a recipe describes: phases of weighted terms, all in one training loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit.adaptation.feature_bank import FeatureBank, fill_bank
from sfda_kit.adaptation.joint_bridge import JointBridge
from sfda_kit.adaptation.step_signals import StepSignals, epoch_inputs
from sfda_kit.adaptation.target_memory import TargetMemory
from sfda_kit.interfaces.method import EpochState, Method
from sfda_kit.models.network import AdaptedModel, scope_modules
from sfda_kit.plugins.discovery import build_part
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import (
    Term,
    TrainingStage,
    inverse_decay,
    seeded_generator,
    steps_per_epoch,
    train_stage,
)
from sfda_kit.training.optimizers import CombinedOptimizer

if TYPE_CHECKING:
    from sfda_kit.interfaces.aligner import Aligner
    from sfda_kit.interfaces.method import AdaptationContext
    from sfda_kit.interfaces.pseudo_labeler import PseudoLabeler, PseudoLabels
    from sfda_kit.interfaces.recipe import Phase


class RecipeMethod(Method):
    """This method runs the phases of ``context.recipe`` in order; without phases the source model is the result."""

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield after each epoch with the bank of that moment, so that one pass serves all readers."""
        model = AdaptedModel(context.input_bridge, context.network)
        if not context.recipe.phases:
            bank = fill_bank(model, context.target, context.config.evaluation_batch_size)
            yield EpochState("as-is", 0, 0, model, bank)
        state = training = None
        for phase in context.recipe.phases:
            training = PhaseTraining(context, phase, model)
            for state in training.run():
                yield state
        if state is None and training is not None:  # resumed after the last epoch had been saved
            yield training.state(training.epochs)


class PhaseTraining:
    """A phase training builds the terms of one phase, and holds the bank and the labels of the current epoch."""

    def __init__(self, context: AdaptationContext, phase: Phase, model: AdaptedModel) -> None:
        self.context, self.phase, self.model = context, phase, model
        config = context.config
        self.epochs = max(1, round(config.epochs * phase.length))
        self.steps = steps_per_epoch(len(context.target), config.batch_size, config.steps_per_epoch)
        self.aligners: dict[str, Aligner] = {
            name: build_part("aligner", name, aligner.options) for name, aligner in phase.aligners.items()
        }
        self.own_modules = self._own_modules()
        self.reads = frozenset(signal for aligner in self.aligners.values() for signal in aligner.reads)
        wanted = phase.labeler and (phase.labeler.weight or "pseudo_labels" in self.reads)
        labeler = phase.labeler if wanted else None
        self.labeler: PseudoLabeler | None = None
        if labeler:
            self.labeler = build_part("labeler", labeler.name, labeler.options)
        self.bank: FeatureBank | None = None
        self.labels: PseudoLabels | None = None
        self.label_memory = LabelMemory(len(context.target))
        self.memory: TargetMemory | None = None
        if "memory" in self.reads:
            self.memory = TargetMemory.for_network(context.network, len(context.target))
        self.joint = JointBridge(context, phase.name) if phase.train_bridge else None

    def run(self) -> Iterator[EpochState]:
        """Train the phase, and yield one state after each epoch."""
        checkpoint = Checkpoint(self.context.checkpoint_dir / f"{self.phase.name}.pt")
        try:
            for done in train_stage(self._stage(), checkpoint, self.context.listener):
                yield self.state(done)
        finally:
            if self.joint:
                self.joint.freeze()

    def state(self, epoch: int) -> EpochState:
        """Return the state of the network after ``epoch``, which it must have reached."""
        self.bank = self._fill()
        diagnostics = {"churn": float(self.label_memory.churn)} if self.labeler else {}
        diagnostics |= self.joint.figures() if self.joint else {}
        return EpochState(self.phase.name, epoch, self.epochs, self.model, self.bank, diagnostics)

    def _stage(self) -> TrainingStage:
        return TrainingStage(
            name=self.phase.name,
            epochs=self.epochs,
            steps=self.steps,
            modules=self._modules(),
            optimizer=CombinedOptimizer(self._optimizer(), self.joint.optimizer) if self.joint else self._optimizer(),
            signals=self._steps,
            terms=self._terms(),
            lr_factor=inverse_decay,
            seed=self.context.seed,
            autocast=self.context.autocast,
        )

    def _modules(self) -> dict[str, nn.Module]:
        """Return the modules that a checkpoint holds, by name."""
        modules: dict[str, nn.Module] = {"network": self.context.network, "labels": self.label_memory}
        modules |= {"memory": self.memory} if self.memory else {}
        return modules | self.own_modules | (self.joint.modules if self.joint else {})

    def _own_modules(self) -> dict[str, nn.Module]:
        """Return the aligners' own modules, by the names that they have in checkpoints."""
        context, found = self.context, {}
        for name, aligner in self.aligners.items():
            seeded_generator(context.seed, "aligner-initialisation", self.phase.name, name)
            module = aligner.own_module(context.network)
            if module is not None:
                found[f"aligner {name}"] = module.to(context.target.device).train()
        return found

    def _terms(self) -> dict[str, Term]:
        terms: dict[str, Term] = {
            name: (self.phase.aligners[name].weight, aligner) for name, aligner in self.aligners.items()
        }
        if self.phase.labeler and self.phase.labeler.weight:
            terms["pseudo-label"] = (self.phase.labeler.weight, pseudo_label_loss)
        return terms | (self.joint.terms() if self.joint else {})

    def _optimizer(self) -> torch.optim.Optimizer:
        config, network = self.context.config, self.context.network
        network.requires_grad_(False)
        modules = scope_modules(network, self.phase.train)
        groups: list[dict[str, object]] = []
        for module in modules:
            module.requires_grad_(True)
        trained = {id(p) for module in modules for p in module.parameters()}
        for part, factor in ((network.backbone, config.backbone_lr_factor), (network.bottleneck, 1.0)):
            parameters = [p for p in part.parameters() if id(p) in trained]
            if parameters:
                groups.append({"params": parameters, "lr": config.lr * factor})
        if network.mixing is not None:  # no weight decay: it would pull the weights of source models together
            rate = config.lr * config.mixing_lr_factor
            groups.append({"params": [network.mixing.requires_grad_(True)], "lr": rate, "weight_decay": 0.0})
        own = [p for module in self.own_modules.values() for p in module.parameters()]
        if own:
            groups.append({"params": own, "lr": config.lr})
        return torch.optim.SGD(
            groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay, nesterov=True
        )

    def _steps(self, epoch: int, generator: torch.Generator) -> Iterable[StepSignals]:
        context = self.context
        self._refresh_labels()
        if self.memory is not None and not self.memory.is_filled:
            self.memory.fill(self.bank or self._fill())
        context.network.eval()  # what is outside the scope keeps its running statistics too
        for module in scope_modules(context.network, self.phase.train):
            module.train()
        if self.joint:
            self.joint.train()
        size, views = context.config.batch_size, (context.target, context.pairs, context.config.augmentation, generator)
        for inputs in epoch_inputs(*views, size=size, steps=self.steps, epoch=epoch, epochs=self.epochs):
            yield StepSignals(
                inputs,
                context.network,
                context.source_network,
                self.context.bridges(),
                self.reads,
                self.labels,
                self.memory,
                self.joint.role if self.joint else None,
            )

    def _refresh_labels(self) -> None:
        if self.labeler is None:
            return
        self.labels = self.labeler(self.bank or self._fill())
        self.label_memory.renew(self.labels.labels)

    def _fill(self) -> FeatureBank:
        return fill_bank(self.model, self.context.target, self.context.config.evaluation_batch_size)


class LabelMemory(nn.Module):
    """A label memory keeps the labels of the epoch before and the share that has changed since, in the checkpoint.

    So a resumed run counts the same churn as one that was never stopped. The churn is 0 in the first epoch.
    """

    labels: Tensor
    churn: Tensor

    def __init__(self, images: int) -> None:
        super().__init__()
        self.register_buffer("labels", torch.full((images,), -1))
        self.register_buffer("churn", torch.zeros(()))

    def renew(self, labels: Tensor) -> None:
        """Store the labels of an epoch that begins, int64 (N,), and compute the churn."""
        labels = labels.cpu()
        if (self.labels >= 0).all():
            self.churn = (self.labels != labels).float().mean()
        self.labels = labels


def pseudo_label_loss(signals: StepSignals) -> Tensor:
    """Return the cross-entropy on pseudo-labels, each image weighted, averaged over the batch; 0-d."""
    losses = F.cross_entropy(signals.target_logits, signals.pseudo_labels, reduction="none")
    return (losses * signals.pseudo_label_weights).mean()
