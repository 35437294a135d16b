"""The method that a recipe describes: phases of weighted terms, all in one training loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import processes
from sfda_kit.adaptation.changing_terms import ChangingTerm, Form, changed_aligners, term_forms
from sfda_kit.adaptation.checked_labels import checked_labels
from sfda_kit.adaptation.checked_terms import CheckedTerm
from sfda_kit.adaptation.feature_bank import FeatureBank, fill_bank
from sfda_kit.adaptation.joint_bridge import JointBridge
from sfda_kit.adaptation.phase_optimizer import phase_optimizer
from sfda_kit.adaptation.step_inputs import StepInputs, epoch_inputs
from sfda_kit.adaptation.step_signals import StepSignals, step_parts
from sfda_kit.adaptation.target_memory import TargetMemory
from sfda_kit.data.augmented_view import AugmentedView
from sfda_kit.interfaces.method import EpochState, Method
from sfda_kit.models.network import AdaptedModel, scope_modules
from sfda_kit.plugins.boundary import call
from sfda_kit.plugins.discovery import build_part
from sfda_kit.profiling import region
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import (
    Term,
    TrainingStage,
    seeded_generator,
    steps_per_epoch,
    train_stage,
)
from sfda_kit.training.optimizers import CombinedOptimizer
from sfda_kit.training.schedules import schedule

if TYPE_CHECKING:
    from sfda_kit.interfaces.aligner import Aligner
    from sfda_kit.interfaces.method import AdaptationContext
    from sfda_kit.interfaces.pseudo_labeler import PseudoLabeler, PseudoLabels
    from sfda_kit.interfaces.recipe import Phase


class RecipeMethod(Method):
    """This method runs the phases of ``context.recipe`` in order; without phases the source model is the result."""

    shares_passes: ClassVar[bool] = True

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield after each epoch with the bank of that moment, so that one pass serves all readers."""
        model = AdaptedModel(context.input_bridge, context.network)
        if not context.recipe.phases:
            bank = fill_bank(model, context.target, context.config.evaluation_batch_size, context.autocast)
            yield EpochState("as-is", 0, 0, model, bank)
        state = training = None
        own_modules: dict[str, nn.Module] = {}
        for phase in context.recipe.phases:
            training = PhaseTraining(context, phase, model, own_modules)
            for state in training.run():
                yield state
            own_modules |= training.own_modules
        if state is None and training is not None:  # resumed after the last epoch had been saved
            yield training.state(training.epochs)


class PhaseTraining:
    """A phase training builds the terms of one phase, and holds the bank and the labels of the current epoch.

    ``earlier``: the aligners' own modules at the end of the phases before, by their names in checkpoints.
    """

    def __init__(
        self,
        context: AdaptationContext,
        phase: Phase,
        model: AdaptedModel,
        earlier: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.context, self.phase, self.model = context, phase, model
        config = context.config
        self.epochs = phase.epochs(config.epochs)
        self.steps = steps_per_epoch(len(context.target), config.batch_size, config.steps_per_epoch, config.drop_last)
        self.aligners: dict[str, Aligner] = {
            name: build_part("aligner", name, aligner.options) for name, aligner in phase.aligners.items()
        }
        self.own_modules = self._own_modules(earlier or {})
        self.bank_before = self._renew_classifier() if phase.new_classifier else None
        self.reads = frozenset(signal for aligner in self.aligners.values() for signal in aligner.reads)
        wanted = phase.labeler and (phase.labeler.is_weighted or "pseudo_labels" in self.reads)
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
            lr_factor=schedule(self.context.config.schedule, self.epochs * self.steps),
            seed=self.context.seed,
            autocast=self.context.autocast,
            parts=lambda signals: step_parts(signals, self.context.config.accumulate),
        )

    def _modules(self) -> dict[str, nn.Module]:
        """Return the modules that a checkpoint holds, by name."""
        modules: dict[str, nn.Module] = {"network": self.context.network, "labels": self.label_memory}
        modules |= {"memory": self.memory} if self.memory else {}
        return modules | self.own_modules | (self.joint.modules if self.joint else {})

    def _own_modules(self, earlier: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        """Return the aligners' own modules by their names in checkpoints; those of earlier phases keep their state."""
        context, found = self.context, {}
        for name, aligner in self.aligners.items():
            seeded_generator(context.seed, "aligner-initialisation", self.phase.name, name)
            module = call(aligner, aligner.own_module, context.network)
            if module is None:
                continue
            found[f"aligner {name}"] = module.to(context.target.device).train()
            if f"aligner {name}" in earlier:
                module.load_state_dict(earlier[f"aligner {name}"].state_dict())
        return found

    def _renew_classifier(self) -> FeatureBank:
        """Give the network a new classifier. Return its answers with the old one, which label the first epoch."""
        bank = self._fill()
        seeded_generator(self.context.seed, "classifier-initialisation", self.phase.name)
        self.context.network.renew_classifier()
        return bank

    def _terms(self) -> dict[str, Term]:
        forms, labeler = {}, self.phase.labeler
        for name, config in self.phase.aligners.items():
            aligners = changed_aligners(name, config, self.aligners[name])
            forms[name] = term_forms(config.weight, config.changes, [CheckedTerm(one, one) for one in aligners])
        if labeler and labeler.is_weighted:
            losses = [pseudo_label_loss] * (1 + len(labeler.changes))
            forms["pseudo-label"] = term_forms(labeler.weight, labeler.changes, losses)
        return {name: _term(found) for name, found in forms.items()} | (self.joint.terms() if self.joint else {})

    def _optimizer(self) -> torch.optim.Optimizer:
        context = self.context
        return phase_optimizer(context.network, self.phase.train, context.config, self.own_modules.values())

    def _steps(self, epoch: int, generator: torch.Generator) -> Iterable[StepSignals]:
        context = self.context
        with region("pseudo-labels"):
            bank = self._prepare(epoch)
        context.network.eval()  # what is outside the scope keeps its running statistics too
        for module in scope_modules(context.network, self.phase.train):
            module.train()
        if self.joint:
            self.joint.train()
        for inputs in self._inputs(epoch, generator):
            yield StepSignals(
                inputs,
                context.network,
                context.source_network,
                self.context.bridges(),
                self.reads,
                self.labels,
                self.memory,
                self.joint.role if self.joint else None,
                bank,
            )

    def _prepare(self, epoch: int) -> FeatureBank | None:
        """Renew the labels and fill the memory from one bank. Return it where a term reads it, else None."""
        unfilled = self.memory if self.memory is not None and not self.memory.is_filled else None
        if self.labeler is None and unfilled is None and "target_bank" not in self.reads:
            return None
        bank = self._label_bank(epoch)
        if self.labeler is not None:
            self.labels = _agreed(checked_labels(self.labeler, bank))
            self.label_memory.renew(self.labels.labels)
        if unfilled is not None:
            unfilled.fill(bank)
        return bank if "target_bank" in self.reads else None

    def _inputs(self, epoch: int, generator: torch.Generator) -> Iterator[StepInputs]:
        context, config = self.context, self.context.config
        return epoch_inputs(
            context.target,
            context.pairs,
            config.augmentation,
            generator,
            size=config.batch_size,
            steps=self.steps,
            epoch=epoch,
            epochs=self.epochs,
            drop_last=config.drop_last,
        )

    def _label_bank(self, epoch: int) -> FeatureBank:
        """Return the bank of the images that the phase's ``bank_view`` names, at the start of an epoch."""
        if self.bank_before and epoch == 0:
            return self.bank_before
        if self.phase.bank_view == "test":
            return self.bank or self._fill()
        context = self.context
        seed = seeded_generator(context.seed, "bank-view", self.phase.name, epoch).initial_seed()
        view = AugmentedView(context.target, context.config.augmentation, seed)
        return fill_bank(self.model, view, context.config.evaluation_batch_size, context.autocast)

    def _fill(self) -> FeatureBank:
        context = self.context
        with region("target images, no gradient"):
            return fill_bank(self.model, context.target, context.config.evaluation_batch_size, context.autocast)


def _agreed(labels: PseudoLabels) -> PseudoLabels:
    """Return the labels that process 0 has found, because those of another computer may differ in a near tie."""
    if processes.count() == 1:
        return labels
    values = processes.agreed((labels.labels.cpu(), labels.weights.cpu()))
    return replace(labels, labels=values[0].to(labels.labels.device), weights=values[1].to(labels.weights.device))


def _term(forms: list[Form]) -> Term:
    return (1.0, ChangingTerm(forms)) if len(forms) > 1 else (forms[0].weight, forms[0].term)


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
