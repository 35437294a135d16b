"""The steps of a run: source model, bridges, adaptation, evaluation and record. ``labelled.py`` adds labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sfda_kit import processes
from sfda_kit.adaptation.prepare import baseline_models, fill_banks, prepare_context
from sfda_kit.data.views import Normalisation
from sfda_kit.device import autocast, choose_device
from sfda_kit.events import to_all
from sfda_kit.files import is_out_of_memory
from sfda_kit.inference.adapted_card import AdaptedCard
from sfda_kit.inference.adapted_model import save_adapted
from sfda_kit.models.recomputed import recompute_activations
from sfda_kit.results.cost import trained_parameters
from sfda_kit.results.journal import Journal, new_record
from sfda_kit.results.tracking import tracked
from sfda_kit.runs.adaptation_driver import AdaptationDriver
from sfda_kit.runs.out_of_memory import StageInProgress, out_of_memory
from sfda_kit.source.source_models import with_weights

if TYPE_CHECKING:
    from sfda_kit.data.views import PairView, TargetView
    from sfda_kit.events import Listener
    from sfda_kit.interfaces.method import EpochState, Method
    from sfda_kit.models.network import Network
    from sfda_kit.plugins.component import Component
    from sfda_kit.results.record import Record
    from sfda_kit.results.store import RunFolder
    from sfda_kit.runs.plan import MethodPlan
    from sfda_kit.source.source_card import SourceCard


class Run(ABC):
    """This is a run in progress. Subclasses define where the images come from and how a state is evaluated."""

    card: SourceCard
    task_fingerprint: str
    target_modality: str

    def __init__(
        self,
        plan: MethodPlan,
        identity: Mapping[str, Any],
        folder: RunFolder,
        listener: Listener,
        trackers: Sequence[Component],
    ) -> None:
        self.plan, self.config, self.folder = plan, plan.config, folder
        self.device = choose_device(plan.config.compute)
        self.autocast = autocast(plan.config.compute, self.device)
        self.record = new_record(folder, plan, identity, **self.facts(identity))
        self._stage = StageInProgress()
        trackers = trackers if processes.is_first() else ()
        self.listener = to_all(self._stage, tracked(trackers, folder.path, self.record, listener))
        self.journal = Journal(folder, self.record, self.device, self.listener)

    @abstractmethod
    def facts(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that the record has from the start: ``task``, ``notices`` and others."""

    @abstractmethod
    def source_model(self) -> tuple[Network, SourceCard]:
        """Return the source model, which is given, cached or trained now, and its card."""

    @abstractmethod
    def views(self, normalisation: Normalisation) -> tuple[TargetView, PairView | None]:
        """Return the unlabelled target images, and the TI pairs or None."""

    def method(self) -> Method:
        """Return a new method; this is called again after a rollback."""
        return self.plan.method()

    @abstractmethod
    def evaluate_baselines(self) -> None:
        """Evaluate the source model, and the source model behind its bridge."""

    @abstractmethod
    def evaluate_epoch(
        self, state: EpochState, diagnostics: Mapping[str, Any]
    ) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Return figures to show, and metrics, which are empty where there are no labels."""

    @abstractmethod
    def evaluate_result(self, state: EpochState) -> None:
        """Write the evaluation of the resulting state into the record and the run folder."""

    @property
    def unit(self) -> str | None:
        """What the files hold that the adapted model takes, None where it is not configured."""
        return self.plan.unit

    def go(self) -> Record:
        """Run to the end and return the record."""
        return self.journal.keep(self._adapt_in_memory)

    def _adapt_in_memory(self) -> None:
        """Adapt. Raises ``RunError`` with the batch that fits where memory runs out in a stage of training."""
        try:
            self._adapt()
        except (MemoryError, RuntimeError) as error:
            if not self._stage.name or not is_out_of_memory(error):
                raise
            told = out_of_memory(error, self.plan, self.record.task, self._stage.name)
            raise told from None

    def _adapt(self) -> None:
        network, self.card = self.source_model()
        if self.config.compute.checkpoint_activations:
            recompute_activations(network)
        self.context = prepare_context(
            self.plan,
            self.card,
            network,
            *self.views(Normalisation(self.card.mean, self.card.std)),
            self.task_fingerprint,
            self.folder.checkpoints,
            self.listener,
            self.autocast,
        )
        self.baselines = baseline_models(self.context)
        self.banks = fill_banks(self.context, self.baselines)
        self.evaluate_baselines()
        self.driver = AdaptationDriver(self.context, self.banks, self.journal)
        state = self.driver.run(self.method, self.evaluate_epoch)
        self._keep(state)
        self.evaluate_result(state)

    def _keep(self, state: EpochState) -> None:
        """Keep the adapted model, its cost, and the pictures that need no label."""
        source = with_weights(self.card, state.model.network)
        self.record.source = described_source(source)
        self.record.cost["trained_parameters"] = trained_parameters(self.context)
        card = AdaptedCard(
            method=self.plan.component.name,
            source=source,
            input_bridge=self.plan.recipe.input_bridge,
            encoding=self.config.encoding,
            modality=self.target_modality,
            unit=self.unit,
            epochs=state.epoch,
        )
        if processes.count() > 1:
            self.record.cost["processes"] = processes.count()
        processes.by_first(lambda: self._write_model(state, card))

    def _write_model(self, state: EpochState, card: AdaptedCard) -> None:
        if self.plan.leaves_model:
            save_adapted(state.model, card, self.folder.path / "model")
        if self.config.compute.pictures:
            self._draw(state)

    def _draw(self, state: EpochState) -> None:
        from sfda_kit.results.figures import draw_curves, draw_pairs, draw_predictions

        pictures = self.folder.path / "pictures"
        source_only = self.record.baselines.get("source-only", {}).get("heldout_accuracy")
        draw_curves(self.journal.history, pictures / "curves.png", source_only)
        draw_pairs(self.context, pictures / "pairs.png")
        draw_predictions(self.context.target, state.bank, self.card.classes, pictures / "predictions.png")


def described_source(card: SourceCard) -> dict[str, Any]:
    """Return the description of a source card for a record."""
    return card.model_dump(mode="json", exclude={"versions", "statistics"})
