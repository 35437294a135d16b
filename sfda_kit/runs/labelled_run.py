"""The run of ``labelled.py`` in progress: it scores its states with labels that it gives to no method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfda_kit import processes
from sfda_kit.data.open_views import ViewOpener
from sfda_kit.data.shuffled_pairs import pair_notices, source_halves
from sfda_kit.data.stressed_rows import stressed_task
from sfda_kit.data.task import Task, refuse_single_image
from sfda_kit.data.views import Normalisation
from sfda_kit.evaluate.core_method import CoreMethod
from sfda_kit.evaluate.evaluation import Evaluator, flat_scores
from sfda_kit.results.predictions import write_predictions
from sfda_kit.runs.labelled import describe_task
from sfda_kit.runs.run import Run
from sfda_kit.source.source_cards import load_joint_card, modality_notices
from sfda_kit.source.source_models import load_joint_source_model
from sfda_kit.source.source_stage import refuse_missing_weights, source_folders

if TYPE_CHECKING:
    from sfda_kit.data.views import PairView, TargetView
    from sfda_kit.evaluate.evaluation import Evaluated
    from sfda_kit.interfaces.method import EpochState, Method
    from sfda_kit.models.network import Network
    from sfda_kit.runs.plan import Plan
    from sfda_kit.source.source_card import SourceCard


FIGURES = ("transductive_accuracy", "heldout_accuracy")
"""The metrics that are shown after each epoch."""


class LabelledRun(Run):
    """A labelled run scores its states with target labels. The scores go to the record and never to the method."""

    plan: Plan
    latest: EpochState | None = None
    evaluated: dict[str, Evaluated]

    def __init__(self, plan: Plan, task: Task, *rest: Any) -> None:
        dataset, seed = plan.config.dataset, plan.config.seed
        self.task = task = stressed_task(task, dataset, seed)
        self.task_fingerprint, self.target_modality = task.fingerprint, task.target.modality
        if plan.is_scored_on_source_halves:
            self.target_modality = task.source.modality
        stress = (dataset.stress, seed) if dataset.stress else None
        halves = source_halves(task, dataset.pairs, seed, dataset.stress.wrong_pairs if dataset.stress else 0.0)
        super().__init__(plan, *rest)
        self.opener = ViewOpener(task, plan.encoding, plan.config.model.image_size, self.device, halves, stress)

    def facts(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        del identity
        cards = self.config.source.cards
        pairs = pair_notices(self.task, self.config.dataset.pairs)
        return {
            "task": describe_task(self.task, self.config),
            "notices": [
                *self.task.notices,
                *pairs,
                *(modality_notices(load_joint_card(cards)) if cards else ()),
                *(one for method in self._core_method() for one in method.notices(self.task)),
            ],
            "oracle": self.plan.labelled,
            "synthetic": self.task.dataset.synthetic,
        }

    def source_model(self) -> tuple[Network, SourceCard]:
        refuse_missing_weights(self.config, self.task, self.plan.encoding)
        processes.first_before_others(self.opener.read_target)
        for method in self._core_method():
            method.check_task(self.opener, self.config)
        refuse_single_image(self.task.rows)
        sources = source_folders(self.config, self.task, self.opener, self.listener, self.autocast)
        return load_joint_source_model(sources, self.device)

    def views(self, normalisation: Normalisation) -> tuple[TargetView, PairView | None]:
        self.normalisation = normalisation
        self.evaluator = self.judge = self._evaluator(normalisation, self.task.target.modality)
        if self.plan.is_scored_on_source_halves:
            self.judge = self._evaluator(normalisation, self.task.source.modality)
        return self.opener.target(normalisation), self.opener.pairs(normalisation)

    def _evaluator(self, normalisation: Normalisation, kind: str) -> Evaluator:
        train = self.opener.evaluation("target-train", normalisation, kind)
        held_out = len(self.task.rows["target-test"]) > 0
        test = self.opener.evaluation("target-test", normalisation, kind) if held_out else None
        return Evaluator(train, test, self.config.adapt.evaluation_batch_size, self.autocast)

    def _core_method(self) -> list[CoreMethod]:
        """Return a new method of the core in a list, which is empty for all other methods."""
        made = self.plan.method() if self.plan.opens_views else None
        return [made] if isinstance(made, CoreMethod) else []

    def method(self) -> Method:
        made = super().method()
        if isinstance(made, CoreMethod):
            made.open_views(self.opener, self.normalisation, self.config)
        return made

    def evaluate_baselines(self) -> None:
        evaluate, banks = self.evaluator.evaluate, self.banks
        self.evaluated_baselines = {name: evaluate(model, banks[name]) for name, model in self.baselines.items()}
        self.record.baselines = {name: flat_scores(result) for name, result in self.evaluated_baselines.items()}

    def evaluate_epoch(
        self, state: EpochState, diagnostics: Mapping[str, Any]
    ) -> tuple[Mapping[str, float], Mapping[str, float]]:
        del diagnostics
        if self.config.adapt.evaluate == "last":
            metrics = flat_scores(self.judge.transductive(state.bank))
        else:
            self.latest, self.evaluated = state, self.judge.evaluate(state.model, state.bank)
            metrics = flat_scores(self.evaluated)
        return {name: metrics[name] for name in FIGURES if name in metrics}, metrics

    def evaluate_result(self, state: EpochState) -> None:
        if state is not self.latest:  # The result is another epoch than the last, or no epoch was evaluated.
            self.evaluated = self.judge.evaluate(state.model, state.bank)
        self.record.metrics = flat_scores(self.evaluated)
        source_only = self.record.baselines["source-only"].get("heldout_accuracy")
        if source_only is not None:
            self.record.metrics["source_only_heldout_accuracy"] = source_only
        if self.card.accuracy is not None:
            self.record.metrics["source_accuracy"] = self.card.accuracy
        processes.by_first(self._write_predictions)

    def _write_predictions(self) -> None:
        classes, folder = self.task.classes, self.folder.path
        write_predictions(folder, self.evaluated, self.evaluated_baselines["source-only"], classes)
        if self.config.compute.pictures:
            from sfda_kit.results.figures import draw_confusion

            part, name = ("heldout", "held-out") if "heldout" in self.evaluated else ("transductive", "unlabelled")
            title = f"{name} target images, % of each class"
            draw_confusion(self.evaluated[part], classes, title, folder / "pictures" / "confusion.png")
