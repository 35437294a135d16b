"""A run on folders of images without labels; it reports what can be measured without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit import processes
from sfda_kit.data.folder_task import ImageFolders, open_folders
from sfda_kit.errors import UserError
from sfda_kit.evaluate.label_free import label_free_report
from sfda_kit.events import Listener, logged
from sfda_kit.results.journal import in_run_folder
from sfda_kit.results.tracking import find_trackers
from sfda_kit.results.unlabelled_predictions import write_unlabelled_predictions
from sfda_kit.runs.plan import resolve_method
from sfda_kit.runs.run import Run, described_source
from sfda_kit.source.source_cards import load_joint_card, modality_notices
from sfda_kit.source.source_models import load_joint_source_model
from sfda_kit.source.source_stage import check_floors

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.data.unlabelled_task import UnlabelledTask
    from sfda_kit.data.views import Normalisation, PairView, TargetView
    from sfda_kit.interfaces.method import EpochState
    from sfda_kit.models.network import Network
    from sfda_kit.results.record import Record
    from sfda_kit.runs.plan import MethodPlan
    from sfda_kit.source.source_card import SourceCard

FOLDER_KEYS = {"unit", "skip_bad"}
"""The keys of ``dataset`` that apply to a folder."""


def adapt_folders(
    config: RunConfig,
    folders: ImageFolders,
    runs_dir: Path = Path("runs"),
    *,
    resume: bool = False,
    listener: Listener = logged,
    trackers: Sequence[str] = (),
) -> Record:
    """Do what ``sfda-kit adapt`` does: adapt the model of one or several source cards to ``folders`` of images.

    Returns the record, which holds no accuracy, because no label is read. ``runs_dir``, ``resume``, ``listener``,
    ``trackers`` and the errors are as in ``run``.
    """

    def opened(card: SourceCard) -> UnlabelledTask:
        return open_folders(replace(folders, source_modality=card.modality), card.model.image_size)

    return adapt_task(resolve_method(config), opened, runs_dir, resume, listener, trackers)


def adapt_task(
    plan: MethodPlan,
    opened: Callable[[SourceCard], UnlabelledTask],
    runs_dir: Path,
    resume: bool,
    listener: Listener,
    trackers: Sequence[str] = (),
) -> Record:
    """Adapt the model of the plan's source cards to the images that ``opened`` returns for their card."""
    following = find_trackers(trackers)
    _check(plan)
    cards = _cards(plan.config)
    card = load_joint_card(cards)
    task = opened(card)
    check_floors(cards, plan.config.source.floor)
    identity = _identity(plan, card, task)
    return in_run_folder(
        runs_dir,
        _label(plan, task),
        identity,
        resume,
        listener,
        lambda folder, tell: UnlabelledRun(plan, card, task, identity, folder, tell, following).go(),
    )


def _check(plan: MethodPlan) -> None:
    name = plan.component.name
    if plan.labelled:
        raise UserError(
            f"The method {name!r} trains on target labels, and a folder of images has none. Choose a method "
            "that needs no label (tgkt, socket, shot), or use `sfda-kit run` with a labelled data set."
        )
    if plan.opens_views:
        raise UserError(f"The method {name!r} is a control on a labelled data set: use `sfda-kit run`.")
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


def _identity(plan: MethodPlan, card: SourceCard, task: UnlabelledTask) -> dict[str, Any]:
    identity = plan.identity()
    del identity["config"]["dataset"]
    del identity["config"]["source"]
    data = {
        **task.origin,
        "source_modality": task.source_modality,
        "modality": task.target_modality,
        "unit": task.unit,
        "fingerprint": task.fingerprint,
    }
    return {**identity, "source": card.fingerprint(), "data": data}


def _label(plan: MethodPlan, task: UnlabelledTask) -> str:
    pair = f"{task.source_modality}-{task.target_modality}"
    return f"{plan.component.name.replace(':', '.')}-{task.title}-{pair}-s{plan.config.seed}"


class UnlabelledRun(Run):
    """An unlabelled run describes its states without labels."""

    def __init__(self, plan: MethodPlan, card: SourceCard, task: UnlabelledTask, *rest: Any) -> None:
        self.card, self.task = card, task
        self.task_fingerprint, self.target_modality = task.fingerprint, task.target_modality
        super().__init__(plan, *rest)

    @property
    def unit(self) -> str | None:
        return self.task.unit

    def facts(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        task, card = self.task, self.card
        described = {
            "dataset": "folder",
            "source": card.modality,
            "target": self.target_modality,
            "classes": list(card.classes),
            "images": {"target-train": len(task.names), "ti": len(task.pair_pixels[0]) if task.pair_pixels else 0},
            "encoding": self.plan.encoding_config,
            **identity["data"],
        }
        notices = [*task.notices, *modality_notices(card)]
        return {"task": described, "notices": notices, "source": described_source(card)}

    def source_model(self) -> tuple[Network, SourceCard]:
        return load_joint_source_model(_cards(self.config), self.device)

    def views(self, normalisation: Normalisation) -> tuple[TargetView, PairView | None]:
        inputs = (self.plan.encoding, self.card.model.image_size, normalisation, self.device)
        return self.task.target(*inputs), self.task.pairs(*inputs)

    def evaluate_baselines(self) -> None:
        """Do nothing, because the baselines are described together with the result."""

    def evaluate_epoch(
        self, state: EpochState, diagnostics: Mapping[str, Any]
    ) -> tuple[Mapping[str, float], Mapping[str, float]]:
        del state
        return {"agreement_with_source": 100 * diagnostics["source_agreement"]}, {}

    def evaluate_result(self, state: EpochState) -> None:
        source_bank, classes = self.banks["source-only"], self.card.classes
        written = (self.folder.path, self.task.names, state.bank, source_bank, classes)
        processes.by_first(lambda: write_unlabelled_predictions(*written))
        driver, models = self.driver, {**self.baselines, "adapted": state.model}
        pairs = {name: driver.pairs(model) for name, model in models.items()} if driver.pairs else {}
        report = label_free_report({**self.banks, "adapted": state.bank}, pairs, driver.score.of_bank)
        self.record.signals["models"] = report
