"""A run on a data set whose labels are used for evaluation and are never given to a method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.data.task import Task, build_task
from sfda_kit.events import Listener, logged, reading_progress
from sfda_kit.models.module_factories import trust_backbone
from sfda_kit.plugins.modalities import modality
from sfda_kit.processes import agreed
from sfda_kit.results.journal import in_run_folder
from sfda_kit.results.record import Record
from sfda_kit.results.store import RunFolder
from sfda_kit.results.tracking import find_trackers
from sfda_kit.runs.plan import plan_run
from sfda_kit.source.source_cards import load_joint_card

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.runs.memory import StageMemory
    from sfda_kit.runs.plan import Plan


def run(
    config: RunConfig,
    runs_dir: Path = Path("runs"),
    *,
    resume: bool = False,
    listener: Listener = logged,
    trackers: Sequence[str] = (),
) -> Record:
    """Do what ``sfda-kit run`` does: train or load a source model, adapt it, evaluate it, and return the record.

    The run gets a folder of its own in ``runs_dir``; with ``resume`` a matching unfinished run continues and the record
    of a finished one is returned. ``listener`` receives the events of the run, and ``trackers`` names trackers that
    follow it. Raises ``UserError`` where configuration or data are wrong, and ``RunError`` where the run could not
    finish; its record then has the status ``failed``. A ``model.backbone`` of the form ``package.module:function`` is
    imported and called.
    """
    trust_backbone(config.model.backbone)
    return run_plan(plan_run(config), runs_dir, resume, listener, trackers)


def run_plan(plan: Plan, runs_dir: Path, resume: bool, listener: Listener, trackers: Sequence[str] = ()) -> Record:
    """Execute a plan as ``run`` does. Its parts are checked first, except where the run may have finished already.

    To find a finished run takes no part and no torch. Where there is none after all, the parts are checked then.
    """
    following = find_trackers(trackers)
    may_have_finished = resume and agreed(any(runs_dir.glob(f"{run_label(plan.config)}-*/record.json")))
    if not may_have_finished:
        plan.check()
    plan.dataset.progress = reading_progress(listener)
    task = build_task(plan.dataset, plan.config.dataset)
    identity = run_identity(plan, task)

    def work(folder: RunFolder, tell: Listener) -> Record:
        from sfda_kit.runs.labelled_run import LabelledRun

        if may_have_finished:
            plan.check()
        return LabelledRun(plan, task, identity, folder, tell, following).go()

    return in_run_folder(runs_dir, run_label(plan.config), identity, resume, listener, work)


def memory_of_run(plan: Plan, *, largest: bool = True) -> Iterator[StageMemory]:
    """Yield what each stage of a run takes of memory, without a run: nothing is trained or kept.

    ``largest``: find the largest batch that fits too, which takes as long again.
    """
    from sfda_kit.data.views import stored_size
    from sfda_kit.runs.memory import memory_of

    plan.check()
    task = build_task(plan.dataset, plan.config.dataset)
    size = stored_size(plan.config.model.image_size)
    kinds = {"source": task.source.modality, "target": task.target.modality}
    each = {role: size**2 * modality(kind).dtypes[0].itemsize * modality(kind).channels for role, kind in kinds.items()}
    count = {part: len(rows) for part, rows in task.rows.items()}
    target = (count["target-train"] + count["target-test"]) * each["target"]
    pairs = count["ti"] * sum(each.values())
    images = {"source": count["source"] * each["source"], "adaptation": target + pairs, "bridge": target + pairs}
    yield from memory_of(plan, describe_task(task, plan.config), images | {"passes": target}, largest)


def run_label(config: RunConfig) -> str:
    """Return the beginning of the name of a run's folder; ``owner:name`` of a part is ``owner.name`` in it."""
    dataset = config.dataset
    fold = "" if dataset.fold is None else f"-f{dataset.fold}"
    pairs = "" if dataset.pairs == "matched" else f"-{dataset.pairs}"
    stress = f"-{dataset.stress.label}" if dataset.stress else ""
    label = f"{config.method}-{dataset.name}-{dataset.source}-{dataset.target}{fold}{pairs}{stress}-s{config.seed}"
    return label.replace("@", "_").replace(":", ".")


def run_identity(plan: Plan, task: Task) -> dict[str, Any]:
    """Return everything that identifies a run, including the content of source cards and data on the disk."""
    cards = plan.config.source.cards
    source = load_joint_card(cards).fingerprint() if cards else None
    return {**plan.identity(), "source": source, "data": task.fingerprint}


def describe_task(task: Task, config: RunConfig) -> dict[str, Any]:
    """Return the description of the task for a record. What was added later stands there only where it applies."""
    dataset = config.dataset
    later: dict[str, Any] = {"folds": dict(task.folds)} if task.folds else {}
    later |= {"protocol": dataset.protocol} if dataset.protocol != "grouped" else {}
    later |= {"ti_groups": dataset.ti_groups} if dataset.ti_groups != "training" else {}
    later |= {"stress": dataset.stress.told} if dataset.stress else {}
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
        **later,
    }
