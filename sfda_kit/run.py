"""The walk of one run: task, source model, bridges, adaptation, evaluation, record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.adapt.bank import FeatureBank, fill_bank
from sfda_kit.adapt.prepare import prepare_context
from sfda_kit.config import digest
from sfda_kit.data.open_views import ViewOpener
from sfda_kit.data.task import Task, build_task
from sfda_kit.data.views import Normalisation
from sfda_kit.device import autocast, choose_device
from sfda_kit.errors import SfdaKitError, UserError
from sfda_kit.evaluate.evaluation import Evaluator, flat_scores, label_free_signals
from sfda_kit.evaluate.oracle import Oracle
from sfda_kit.events import Event, Listener, to_all
from sfda_kit.interfaces.method import AdaptationContext, EpochState
from sfda_kit.models.adapted import AdaptedCard, save_adapted
from sfda_kit.models.card import load_source
from sfda_kit.models.network import AdaptedModel
from sfda_kit.models.source_stage import source_folder
from sfda_kit.results.cost import changed_parameters, parameters, peak_memory_mb
from sfda_kit.results.predictions import write_predictions
from sfda_kit.results.record import Record, read_record
from sfda_kit.results.store import RunFolder, now, open_run
from sfda_kit.versions import versions

if TYPE_CHECKING:
    from sfda_kit.evaluate.evaluation import Evaluated
    from sfda_kit.interfaces import Bridge
    from sfda_kit.plan import Plan


def run(plan: Plan, runs_dir: Path, resume: bool, listener: Listener) -> Record:
    """Execute ``plan`` in a run folder and return its record.

    A finished matching run is returned as it is under ``resume``. A ``UserError`` passes through
    (nothing was computed); any other failure becomes a record with status ``failed``.
    """
    dataset = plan.config.dataset
    label = f"{plan.component.name}-{dataset.name}-{dataset.source}-{dataset.target}-s{plan.config.seed}"
    task = build_task(plan.dataset, dataset)
    folder = open_run(runs_dir, label.replace("@", "_"), plan.identity(), resume)
    with folder.locked():
        finished = read_record(folder.path)
        if resume and finished and finished.status == "ok":
            return finished
        return _Walk(plan, task, folder, to_all(folder.log, listener)).go()


class _Walk:
    """One run under way."""

    def __init__(self, plan: Plan, task: Task, folder: RunFolder, listener: Listener) -> None:
        self.plan, self.task, self.folder, self.listener = plan, task, folder, listener
        self.config = plan.config
        self.device = choose_device(plan.config.compute)
        self.autocast = autocast(plan.config.compute, self.device)
        self.opener = ViewOpener(task, plan.encoding, plan.config.model.image_size, self.device)
        self.history = folder.history()
        self.before = self.history[-1]["wall_s"] if self.history else 0.0
        self.started = time.monotonic()
        self.record = self._new_record()

    def go(self) -> Record:
        """Run; the record is written whatever happens, except on a user's mistake or Ctrl-C."""
        self.listener(Event("run", data={"run_id": self.folder.run_id, "task": self.record.task}))
        for notice in self.task.notices:
            self.listener(Event("notice", data={"text": notice}))
        try:
            self._adapt()
            self.record.status = "ok"
        except UserError:
            raise
        except SfdaKitError as error:
            self._end("failed", str(error))
            raise
        except Exception as error:
            self._end("failed", f"{type(error).__name__}: {error}")
            raise
        self._end("ok")
        return self.record

    def _new_record(self) -> Record:
        task, plan = self.task, self.plan
        parts = {part: len(rows) for part, rows in task.rows.items()}
        identity = plan.identity()
        return Record(
            run_id=self.folder.run_id,
            status="failed",
            method=plan.component.name,
            run_dir=str(self.folder.path),
            oracle=plan.labelled,
            synthetic=task.dataset.synthetic,
            seed=self.config.seed,
            task={
                "dataset": self.config.dataset.name,
                "source": str(task.source),
                "target": str(task.target),
                "classes": list(task.classes),
                "ti_classes": list(task.ti_classes),
                "images": parts,
                "split_seed": self.config.dataset.split_seed,
                "encoding": plan.encoding_config,
                "fingerprint": task.fingerprint,
            },
            config=identity["config"],
            recipe=identity["recipe"],
            config_digest=digest(identity),
            notices=list(task.notices),
            versions=versions(),
            started=now(),
        )

    def _end(self, status: Any, error: str = "") -> None:
        self.record.status, self.record.error, self.record.finished = status, error, now()
        self.record.cost["wall_s"] = round(self._elapsed(), 2)
        self.record.cost["peak_memory_mb"] = round(peak_memory_mb(self.device), 1)
        self.folder.write_record(self.record)
        self.listener(Event("done", data={"status": status}))

    def _elapsed(self) -> float:
        return float(self.before + time.monotonic() - self.started)

    def _adapt(self) -> None:
        config = self.config
        source = source_folder(config, self.task, self.opener, self.listener, self.autocast)
        source_network, self.card = load_source(source, self.device)
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
        baselines = self._baselines(context)
        state = self._train(context, normalisation)
        self._finish(context, state, baselines)

    def _open_evaluator(self, normalisation: Normalisation) -> Evaluator:
        transductive = self.opener.evaluation("target-train", normalisation)
        heldout = self.opener.evaluation("target-test", normalisation)
        return Evaluator(transductive, heldout, self.config.adapt.evaluation_batch_size)

    def _baselines(self, context: AdaptationContext) -> Mapping[str, dict[str, Evaluated]]:
        """The source model as it is, and through each trained bridge."""
        from sfda_kit.builtin.bridges import Copy

        models = {"source-only": AdaptedModel(Copy(), context.source_network)}
        bridge: Bridge | None = context.teacher_bridge or context.input_bridge
        if bridge is not None and bridge.trained:
            models["bridge"] = AdaptedModel(bridge, context.source_network)
        evaluated = {name: self.evaluator.evaluate(model) for name, model in models.items()}
        self.record.baselines = {name: flat_scores(result) for name, result in evaluated.items()}
        return evaluated

    def _train(self, context: AdaptationContext, normalisation: Normalisation) -> EpochState:
        if self.plan.labelled:
            labelled = self.opener.labelled_target(normalisation)
            method: Any = Oracle(labelled, self.config.source)
        else:
            method = self.plan.method()
        source_bank = fill_bank(context.source_network, context.target, context.config.evaluation_batch_size)
        state: EpochState | None = None
        for state in method.adapt(context):
            self._epoch(state, source_bank)
        if state is None:
            raise RuntimeError(f"the method {self.plan.component.name!r} yielded no state")
        return state

    def _epoch(self, state: EpochState, source_bank: FeatureBank) -> None:
        evaluated = self.evaluator.evaluate(state.model, state.bank)
        signals = {**label_free_signals(state.bank, source_bank), **state.signals}
        metrics = flat_scores(evaluated)
        row = {
            "phase": state.phase,
            "epoch": state.epoch,
            "metrics": metrics,
            "signals": signals,
            "wall_s": self._elapsed(),
        }
        key = (state.phase, state.epoch)
        self.history = [old for old in self.history if (old["phase"], old["epoch"]) != key] + [row]
        self.folder.write_history(self.history)
        shown = {name: metrics[name] for name in ("transductive_accuracy", "heldout_accuracy")}
        data = {"epoch": state.epoch, "figures": shown, "signals": signals}
        self.listener(Event("epoch", state.phase, data))
        self.evaluated, self.record.signals = evaluated, signals

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
        self.record.source = self.card.model_dump(mode="json", exclude={"versions", "statistics"})
        trained = changed_parameters(context.source_network, context.network)
        bridges = {id(b): b for b in (context.input_bridge, context.teacher_bridge) if b is not None}
        trained += sum(parameters(bridge) for bridge in bridges.values() if bridge.trained)
        self.record.cost["trained_parameters"] = trained
        write_predictions(self.folder.path, self.evaluated, baselines["source-only"], self.task.classes)
        adapted = AdaptedCard.describe(self.card, self.plan, self.task.target.modality, state.epoch)
        save_adapted(state.model, adapted, self.folder.path / "model")
        draw_run(self.folder.path / "pictures", self.history, self.evaluated, self.task.classes, context)
