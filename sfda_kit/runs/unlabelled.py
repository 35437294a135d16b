"""The walk of a run without any label: folders of images, a source card, an adapted model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.adaptation.prepare import baseline_models, fill_baselines, prepare_context
from sfda_kit.data.folder_task import Folders, FolderTask, open_folders
from sfda_kit.data.views import Normalisation
from sfda_kit.device import autocast, choose_device
from sfda_kit.errors import UserError
from sfda_kit.evaluate.label_free import label_free_report
from sfda_kit.events import Listener
from sfda_kit.inference.adapted_model import AdaptedCard, save_adapted
from sfda_kit.results.cost import trained_parameters
from sfda_kit.results.figures import draw_curves, draw_pairs
from sfda_kit.results.journal import Journal, in_run_folder, new_record
from sfda_kit.results.record import Record
from sfda_kit.results.store import RunFolder
from sfda_kit.results.tracking import find_trackers, tracked
from sfda_kit.results.unlabelled_predictions import write_unlabelled_predictions
from sfda_kit.runs.adaptation_driver import Watch
from sfda_kit.source.source_card import SourceCard
from sfda_kit.source.source_cards import load_cards, modality_notices, read_cards, with_weights
from sfda_kit.source.source_stage import check_floors

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.config.models import RunConfig
    from sfda_kit.interfaces.method import AdaptationContext, EpochState
    from sfda_kit.plugins.registry import Component
    from sfda_kit.runs.plan import MethodPlan

FOLDER_KEYS = {"depth_unit", "skip_bad"}
"""Keys of ``dataset`` that mean something for a folder."""


def adapt_folder(
    plan: MethodPlan,
    folders: Folders,
    runs_dir: Path,
    resume: bool,
    listener: Listener,
    trackers: Sequence[str] = (),
) -> Record:
    """Adapt the plan's source card, or several, to ``folders`` in a run folder and return the record.

    A finished matching run is returned as it is under ``resume``. A ``UserError`` passes through; any
    other failure becomes a record with status ``failed``. ``trackers`` names trackers that follow the run.
    """
    following = find_trackers(trackers)
    _check(plan)
    cards = _cards(plan.config)
    card = read_cards(cards)
    folders = replace(folders, source_modality=card.modality)
    task = open_folders(folders, card.model.image_size)
    check_floors(cards, plan.config.source.floor)
    identity = _identity(plan, card, task)

    def work(folder: RunFolder, tell: Listener) -> Record:
        return _FolderWalk(plan, task, identity, folder, tell, following).go()

    return in_run_folder(runs_dir, _label(plan, folders), identity, resume, listener, work)


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


def _cards(config: RunConfig) -> tuple[Path, ...]:
    if not config.source.cards:
        raise UserError(
            "Which source model? Give --source-card DIR, as `sfda-kit source train` or "
            "`sfda-kit source import` prints it."
        )
    return config.source.cards


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
    return {**identity, "source": card.fingerprint(), "data": data}


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
        trackers: Sequence[Component],
    ) -> None:
        self.plan, self.task = plan, task
        self.config = plan.config
        self.device = choose_device(plan.config.compute)
        self.autocast = autocast(plan.config.compute, self.device)
        self.network, self.card = load_cards(_cards(plan.config), self.device)
        self.record = self._new_record(folder, identity)
        self.listener = tracked(trackers, folder.path, self.record, listener)
        self.journal = Journal(folder, self.record, self.device, self.listener)
        self.folder = folder

    def go(self) -> Record:
        """Run to the end and return the record."""
        return self.journal.keep(self._adapt)

    def _new_record(self, folder: RunFolder, identity: dict[str, Any]) -> Record:
        task, card = self.task, self.card
        pairs = len(task.pair_pixels[0]) if task.pair_pixels else 0
        described = {
            "dataset": "folder",
            "source": card.modality,
            "target": task.folders.target_modality,
            "classes": list(card.classes),
            "images": {"target-train": len(task.names), "ti": pairs},
            "encoding": self.plan.encoding_config,
            **identity["data"],
        }
        source = card.model_dump(mode="json", exclude={"versions", "statistics"})
        notices = [*task.notices, *modality_notices(card)]
        return new_record(folder, self.plan, identity, described, notices=notices, source=source)

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
        banks = fill_baselines(context)
        watch = Watch(context, banks, self.journal)
        state = watch.run(self.plan.method, _agreement)
        self._finish(context, state, banks["source-only"])
        models = {**baseline_models(context), "adapted": state.model}
        pairs = {name: watch.pairs(model) for name, model in models.items()} if watch.pairs else {}
        self.record.signals["models"] = label_free_report(banks | {"adapted": state.bank}, pairs, watch.score.of_bank)

    def _finish(self, context: AdaptationContext, state: EpochState, source_bank: FeatureBank) -> None:
        self.record.cost["trained_parameters"] = trained_parameters(context)
        folders, path = self.task.folders, self.folder.path
        write_unlabelled_predictions(path, self.task.names, state.bank, source_bank, self.card.classes)
        source = with_weights(self.card, state.model.network)
        self.record.source = source.model_dump(mode="json", exclude={"versions", "statistics"})
        adapted = AdaptedCard.describe(source, self.plan, folders.target_modality, state.epoch)
        if folders.target_modality == "depth":
            adapted = adapted.model_copy(update={"depth_unit": folders.depth_unit})
        save_adapted(state.model, adapted, path / "model")
        draw_curves(self.journal.history, path / "pictures" / "curves.png")
        draw_pairs(context, path / "pictures" / "pairs.png")


def _agreement(state: EpochState, signals: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Figures of an epoch; there are no labels, so no metrics."""
    del state
    return {"agreement_with_source": 100 * signals["source_agreement"]}, {}
