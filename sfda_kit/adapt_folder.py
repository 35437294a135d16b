"""The walk of a run without any label: folders of images, a source card, an adapted model."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.adapt.bank import FeatureBank, fill_bank
from sfda_kit.adapt.prepare import prepare_context
from sfda_kit.config import digest
from sfda_kit.data.folder_task import Folders, FolderTask, open_folders
from sfda_kit.data.views import Normalisation
from sfda_kit.device import autocast, choose_device
from sfda_kit.errors import SfdaKitError, UserError
from sfda_kit.evaluate.evaluation import label_free_signals
from sfda_kit.evaluate.label_free import label_free_report
from sfda_kit.events import Event, Listener, to_all
from sfda_kit.models.adapted import AdaptedCard, save_adapted
from sfda_kit.models.card import SourceCard, load_source, read_card
from sfda_kit.models.network import AdaptedModel
from sfda_kit.models.source_stage import check_floor
from sfda_kit.results.cost import changed_parameters, parameters, peak_memory_mb
from sfda_kit.results.figures import draw_curves, draw_pairs
from sfda_kit.results.record import Record, Status, read_record
from sfda_kit.results.store import RunFolder, now, open_run
from sfda_kit.results.unlabelled_predictions import write_unlabelled_predictions
from sfda_kit.versions import versions

if TYPE_CHECKING:
    from sfda_kit.config import RunConfig
    from sfda_kit.interfaces.method import AdaptationContext, EpochState
    from sfda_kit.plan import MethodPlan

FOLDER_KEYS = {"depth_unit", "skip_bad"}
"""Keys of ``dataset`` that mean something for a folder."""


def adapt_folder(plan: MethodPlan, folders: Folders, runs_dir: Path, resume: bool, listener: Listener) -> Record:
    """Adapt the plan's source card to ``folders`` in a run folder and return the record.

    A finished matching run is returned as it is under ``resume``. A ``UserError`` passes through; any
    other failure becomes a record with status ``failed``.
    """
    _check(plan)
    card_folder = _card_folder(plan.config)
    card = read_card(card_folder)
    check_floor(card, plan.config.source.floor)
    folders = replace(folders, source_modality=card.modality)
    task = open_folders(folders, card.model.image_size)
    identity = _identity(plan, card, task)
    folder = open_run(runs_dir, _label(plan, folders), identity, resume)
    with folder.locked():
        finished = read_record(folder.path)
        if resume and finished and finished.status == "ok":
            return finished
        return _FolderWalk(plan, task, identity, folder, to_all(folder.log, listener)).go()


def _check(plan: MethodPlan) -> None:
    name = plan.component.name
    if plan.labelled:
        raise UserError(
            f"The method {name!r} trains on target labels, and a folder of images has none. Choose a method "
            "that needs no label (tgkt, socket, shot), or use `sfda-kit run` with a labelled data set."
        )
    if foreign := sorted(plan.config.dataset.model_fields_set - FOLDER_KEYS):
        raise UserError(
            f"dataset.{foreign[0]} means nothing for a folder of images. Leave it out, or use `sfda-kit run`."
        )


def _card_folder(config: RunConfig) -> Path:
    if config.source.card is None:
        raise UserError(
            "Which source model? Give --source-card DIR, as `sfda-kit source train` or "
            "`sfda-kit source import` prints it."
        )
    return config.source.card


def _identity(plan: MethodPlan, card: SourceCard, task: FolderTask) -> dict[str, Any]:
    identity = plan.identity()
    del identity["config"]["dataset"]
    del identity["config"]["source"]
    folders = task.folders
    data = {
        "target_dir": str(folders.target_dir),
        "ti_dir": folders.ti_dir and str(folders.ti_dir),
        "source_modality": folders.source_modality,
        "modality": folders.target_modality,
        "depth_unit": folders.depth_unit,
        "fingerprint": task.fingerprint,
    }
    return {**identity, "source": card.weights_sha256, "data": data}


def _label(plan: MethodPlan, folders: Folders) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", Path(folders.target_dir or "").absolute().name)
    pair = f"{folders.source_modality}-{folders.target_modality}"
    return f"{plan.component.name}-{name}-{pair}-s{plan.config.seed}"


class _FolderWalk:
    """One run under way."""

    def __init__(
        self,
        plan: MethodPlan,
        task: FolderTask,
        identity: dict[str, Any],
        folder: RunFolder,
        listener: Listener,
    ) -> None:
        self.plan, self.task, self.folder, self.listener = plan, task, folder, listener
        self.config = plan.config
        self.device = choose_device(plan.config.compute)
        self.autocast = autocast(plan.config.compute, self.device)
        network, self.card = load_source(_card_folder(plan.config), self.device)
        self.network = network
        self.history = folder.history()
        self.before = self.history[-1]["wall_s"] if self.history else 0.0
        self.started = time.monotonic()
        self.record = self._new_record(identity)

    def go(self) -> Record:
        """Run; the record is written whatever happens, except on a user's mistake or Ctrl-C."""
        self.listener(Event("run", data={"run_id": self.folder.run_id, "task": self.record.task}))
        for notice in self.record.notices:
            self.listener(Event("notice", data={"text": notice}))
        try:
            self._adapt()
        except UserError:
            raise
        except SfdaKitError as error:
            self._end("failed", str(error))
            raise
        except Exception as error:
            self._end("failed", f"{type(error).__name__}: {error}")
            raise
        self._end("ok")
        shutil.rmtree(self.folder.checkpoints, ignore_errors=True)
        return self.record

    def _new_record(self, identity: dict[str, Any]) -> Record:
        task, plan = self.task, self.plan
        pairs = len(task.pair_pixels[0]) if task.pair_pixels else 0
        return Record(
            run_id=self.folder.run_id,
            status="failed",
            method=plan.component.name,
            run_dir=str(self.folder.path),
            seed=self.config.seed,
            task={
                "dataset": "folder",
                "source": self.card.modality,
                "target": task.folders.target_modality,
                "classes": list(self.card.classes),
                "images": {"target-train": len(task.names), "ti": pairs},
                "encoding": plan.encoding_config,
                **identity["data"],
            },
            config=identity["config"],
            recipe=identity["recipe"],
            config_digest=digest(identity),
            notices=list(task.notices),
            source=self.card.model_dump(mode="json", exclude={"versions", "statistics"}),
            versions=versions(),
            started=now(),
        )

    def _end(self, status: Status, error: str = "") -> None:
        self.record.status, self.record.error, self.record.finished = status, error, now()
        self.record.cost["wall_s"] = round(self._elapsed(), 2)
        self.record.cost["peak_memory_mb"] = round(peak_memory_mb(self.device), 1)
        self.folder.write_record(self.record)
        self.listener(Event("done", data={"status": status}))

    def _elapsed(self) -> float:
        return float(self.before + time.monotonic() - self.started)

    def _adapt(self) -> None:
        inputs = (
            self.plan.encoding,
            self.card.model.image_size,
            Normalisation(self.card.mean, self.card.std),
            self.device,
        )
        context = prepare_context(
            self.plan,
            self.card,
            self.network,
            self.task.target(*inputs),
            self.task.pairs(*inputs),
            self.task.fingerprint,
            self.folder.checkpoints,
            self.listener,
            self.autocast,
        )
        banks = self._baselines(context)
        state = None
        for state in self.plan.method().adapt(context):
            self._epoch(state, banks["source-only"])
        if state is None:
            raise RuntimeError(f"the method {self.plan.component.name!r} yielded no state")
        self._finish(context, state, banks | {"adapted": state.bank})

    def _baselines(self, context: AdaptationContext) -> dict[str, FeatureBank]:
        """The source model as it is, and through the recipe's bridge if one is trained."""
        from sfda_kit.builtin.bridges import Copy

        models = {"source-only": AdaptedModel(Copy(), context.source_network)}
        bridge = context.teacher_bridge or context.input_bridge
        if bridge.trained:
            models["bridge"] = AdaptedModel(bridge, context.source_network)
        size = self.config.adapt.evaluation_batch_size
        return {name: fill_bank(model, context.target, size) for name, model in models.items()}

    def _epoch(self, state: EpochState, source_bank: FeatureBank) -> None:
        signals = {**label_free_signals(state.bank, source_bank), **state.signals}
        key = (state.phase, state.epoch)
        row = {
            "phase": state.phase,
            "epoch": state.epoch,
            "metrics": {},
            "signals": signals,
            "wall_s": self._elapsed(),
        }
        self.history = [old for old in self.history if (old["phase"], old["epoch"]) != key] + [row]
        self.folder.write_history(self.history)
        figures = {"agreement_with_source": 100 * signals["source_agreement"]}
        self.listener(Event("epoch", state.phase, {"epoch": state.epoch, "figures": figures, "signals": signals}))
        self.record.signals = signals

    def _finish(self, context: AdaptationContext, state: EpochState, banks: dict[str, FeatureBank]) -> None:
        trained = changed_parameters(context.source_network, context.network)
        bridges = {id(b): b for b in (context.input_bridge, context.teacher_bridge) if b is not None}
        trained += sum(parameters(bridge) for bridge in bridges.values() if bridge.trained)
        self.record.cost["trained_parameters"] = trained
        folders, path = self.task.folders, self.folder.path
        write_unlabelled_predictions(path, self.task.names, state.bank, banks["source-only"], self.card.classes)
        adapted = AdaptedCard.describe(self.card, self.plan, folders.target_modality, state.epoch)
        if folders.target_modality == "depth":
            adapted = adapted.model_copy(update={"depth_unit": folders.depth_unit})
        save_adapted(state.model, adapted, path / "model")
        draw_curves(self.history, path / "pictures" / "curves.png")
        draw_pairs(context, path / "pictures" / "pairs.png")
        self.record.signals["models"] = label_free_report(banks)
