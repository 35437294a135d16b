"""The walk of one run: task, source model, bridges, adaptation, evaluation, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.adaptation.prepare import baseline_models, fill_baselines, prepare_context
from sfda_kit.data.open_views import ViewOpener
from sfda_kit.data.task import Task, build_task
from sfda_kit.data.views import Normalisation
from sfda_kit.device import autocast, choose_device
from sfda_kit.evaluate.evaluation import Evaluator, flat_scores
from sfda_kit.evaluate.oracle import Oracle
from sfda_kit.events import Listener, reading_progress
from sfda_kit.inference.adapted_model import AdaptedCard, save_adapted
from sfda_kit.interfaces.method import AdaptationContext, EpochState, Method
from sfda_kit.results.cost import trained_parameters
from sfda_kit.results.journal import Journal, in_run_folder, new_record
from sfda_kit.results.predictions import write_predictions
from sfda_kit.results.record import Record
from sfda_kit.results.store import RunFolder
from sfda_kit.results.tracking import find_trackers, tracked
from sfda_kit.runs.adaptation_driver import Watch
from sfda_kit.source.source_cards import load_cards, modality_notices, read_cards, with_weights
from sfda_kit.source.source_stage import source_folders

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.config.models import RunConfig
    from sfda_kit.evaluate.evaluation import Evaluated
    from sfda_kit.plugins.registry import Component
    from sfda_kit.runs.plan import MethodPlan, Plan


def run(plan: Plan, runs_dir: Path, resume: bool, listener: Listener, trackers: Sequence[str] = ()) -> Record:
    """Execute ``plan`` in a run folder and return its record.

    A finished matching run is returned as it is under ``resume``. A ``UserError`` passes through
    (nothing was computed); any other failure becomes a record with status ``failed``. ``trackers``
    names trackers that follow the run; they are no part of what it is.
    """
    following = find_trackers(trackers)
    plan.dataset.progress = reading_progress(listener)
    task = build_task(plan.dataset, plan.config.dataset)
    identity = run_identity(plan, task)

    def work(folder: RunFolder, tell: Listener) -> Record:
        return _Walk(plan, task, identity, folder, tell, following).go()

    return in_run_folder(runs_dir, run_label(plan.config), identity, resume, listener, work)


def run_label(config: RunConfig) -> str:
    """What the name of a run's folder begins with."""
    dataset = config.dataset
    label = f"{config.method}-{dataset.name}-{dataset.source}-{dataset.target}-s{config.seed}"
    return label.replace("@", "_")


def run_identity(plan: MethodPlan, task: Task) -> dict[str, Any]:
    """What decides a run: a card exchanged at its path, or data changed on the disk, make another one."""
    cards = plan.config.source.cards
    source = read_cards(cards).fingerprint() if cards else None
    return {**plan.identity(), "source": source, "data": task.fingerprint}


def describe_task(task: Task, config: RunConfig) -> dict[str, Any]:
    """The task as a record holds it."""
    return {
        "dataset": config.dataset.name,
        "source": str(task.source),
        "target": str(task.target),
        "classes": list(task.classes),
        "ti_classes": list(task.ti_classes),
        "images": {part: len(rows) for part, rows in task.rows.items()},
        "split_seed": config.dataset.split_seed,
        "encoding": config.encoding.model_dump(),
        "fingerprint": task.fingerprint,
    }


class _Walk:
    """One run under way."""

    def __init__(
        self,
        plan: Plan,
        task: Task,
        identity: dict[str, Any],
        folder: RunFolder,
        listener: Listener,
        trackers: Sequence[Component],
    ) -> None:
        self.plan, self.task = plan, task
        self.config = plan.config
        self.device = choose_device(plan.config.compute)
        self.autocast = autocast(plan.config.compute, self.device)
        self.opener = ViewOpener(task, plan.encoding, plan.config.model.image_size, self.device)
        self.record = self._new_record(folder, identity)
        self.listener = tracked(trackers, folder.path, self.record, listener)
        self.journal = Journal(folder, self.record, self.device, self.listener)
        self.folder = folder

    def go(self) -> Record:
        """Run to the end and return the record."""
        return self.journal.keep(self._adapt)

    def _new_record(self, folder: RunFolder, identity: dict[str, Any]) -> Record:
        task = self.task
        described = describe_task(task, self.config)
        cards = self.config.source.cards
        notices = [*task.notices, *(modality_notices(read_cards(cards)) if cards else ())]
        synthetic = task.dataset.synthetic
        return new_record(
            folder, self.plan, identity, described, oracle=self.plan.labelled, synthetic=synthetic, notices=notices
        )

    def _adapt(self) -> None:
        config = self.config
        self.opener.read_target()
        sources = source_folders(config, self.task, self.opener, self.listener, self.autocast)
        source_network, self.card = load_cards(sources, self.device)
        normalisation = Normalisation(self.card.mean, self.card.std)
        self.evaluator = self._open_evaluator(normalisation)
        context = prepare_context(
            self.plan,
            self.card,
            source_network,
            self.opener.target(normalisation),
            self.opener.pairs(normalisation),
            self.task.fingerprint,
            self.folder.checkpoints,
            self.listener,
            self.autocast,
        )
        banks = fill_baselines(context)
        baselines = self._baselines(context, banks)
        state = Watch(context, banks, self.journal).run(lambda: self._method(normalisation), self._evaluate)
        if state is not self.latest:  # another epoch than the last is the result
            self.evaluated = self.evaluator.evaluate(state.model, state.bank)
        self._finish(context, state, baselines)

    def _open_evaluator(self, normalisation: Normalisation) -> Evaluator:
        transductive = self.opener.evaluation("target-train", normalisation)
        heldout = self.opener.evaluation("target-test", normalisation)
        return Evaluator(transductive, heldout, self.config.adapt.evaluation_batch_size)

    def _baselines(
        self, context: AdaptationContext, banks: Mapping[str, FeatureBank]
    ) -> Mapping[str, dict[str, Evaluated]]:
        models = baseline_models(context)
        evaluated = {name: self.evaluator.evaluate(model, banks[name]) for name, model in models.items()}
        self.record.baselines = {name: flat_scores(result) for name, result in evaluated.items()}
        return evaluated

    def _method(self, normalisation: Normalisation) -> Method:
        if self.plan.labelled:
            return Oracle(self.opener.labelled_target(normalisation), self.config.source)
        return self.plan.method()

    def _evaluate(self, state: EpochState, signals: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
        del signals
        self.latest, self.evaluated = state, self.evaluator.evaluate(state.model, state.bank)
        metrics = flat_scores(self.evaluated)
        return {name: metrics[name] for name in ("transductive_accuracy", "heldout_accuracy")}, metrics

    def _finish(
        self, context: AdaptationContext, state: EpochState, baselines: Mapping[str, dict[str, Evaluated]]
    ) -> None:
        from sfda_kit.results.figures import draw_run

        scores = flat_scores(self.evaluated)
        self.record.metrics = scores | {
            "source_only_heldout_accuracy": self.record.baselines["source-only"]["heldout_accuracy"]
        }
        if self.card.accuracy is not None:
            self.record.metrics["source_accuracy"] = self.card.accuracy
        source = with_weights(self.card, state.model.network)
        self.record.source = source.model_dump(mode="json", exclude={"versions", "statistics"})
        self.record.cost["trained_parameters"] = trained_parameters(context)
        write_predictions(self.folder.path, self.evaluated, baselines["source-only"], self.task.classes)
        adapted = AdaptedCard.describe(source, self.plan, self.task.target.modality, state.epoch)
        save_adapted(state.model, adapted, self.folder.path / "model")
        draw_run(self.folder.path / "pictures", self.journal.history, self.evaluated, self.task.classes, context)
