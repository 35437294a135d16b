"""The cells of a suite: each is one run, identified by its content, and its run folder tells its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sfda_kit.bench.configurations import as_configuration, check_choice, configurations_of, row_name
from sfda_kit.bench.layers import CellPlace, cell_settings, places
from sfda_kit.bench.placing import stage_keys
from sfda_kit.bench.suite import Suite, data_root
from sfda_kit.config.digest import digest
from sfda_kit.config.loading import load_config
from sfda_kit.config.merging import merge_settings
from sfda_kit.config.models import RunConfig, TuningConfig
from sfda_kit.errors import DataError, TooFewImagesError, UserError
from sfda_kit.results.record import Record, read_record
from sfda_kit.results.store import RunFolder, find_run
from sfda_kit.source.backbone_weights import is_path, locate

if TYPE_CHECKING:
    from sfda_kit.data.task import Task
    from sfda_kit.runs.plan import Plan

State = Literal["done", "failed", "skipped", "unfinished", "missing", "damaged"]


@dataclass(frozen=True)
class Cell:
    """A cell is one run of a suite: its place in the table and what it runs.

    ``configuration``: which one of the method's, empty where it has no other than itself.
    """

    task: str
    method: str
    model: str
    seed: int
    config: RunConfig
    configuration: str = ""

    @property
    def name(self) -> str:
        """A name for people to read."""
        fold = self.config.dataset.fold
        return f"{self.row}, {self.task}, {self.model}, {'' if fold is None else f'fold {fold}, '}seed {self.seed}"

    @property
    def row(self) -> str:
        """The method, and which of its configurations it is where there are several."""
        return row_name(self.method, self.configuration)


@dataclass(frozen=True)
class ResolvedCell:
    """A cell with its run's identity or why it cannot run.

    ``described``: the record's task as far as it is known. ``stages``: keys of what its run trains before it adapts.
    ``asks_too_much``: the reason is that it asks for more images or pairs than the data have.
    """

    cell: Cell
    label: str
    identity: Mapping[str, Any]
    described: Mapping[str, Any]
    reason: str = ""
    stages: tuple[str, ...] = ()
    asks_too_much: bool = False

    @cached_property
    def key(self) -> str:
        """Content address: the digest of everything that decides the run."""
        return digest(dict(self.identity))

    def folder(self, runs_dir: Path) -> RunFolder | None:
        """Return its run folder: a finished one, else the newest, or None before its first start."""
        return find_run(runs_dir, self.label, self.key)

    def record(self, runs_dir: Path) -> Record | None:
        """Return its record, or None while there is none that can be read."""
        folder = self.folder(runs_dir)
        with suppress(DataError):
            return read_record(folder.path) if folder else None
        return None

    def damage(self, runs_dir: Path) -> str:
        """Return what is wrong with its record or history, with the path, or nothing."""
        folder = self.folder(runs_dir)
        try:
            if folder:
                read_record(folder.path)
                folder.history()
        except DataError as error:
            return str(error)
        return ""

    def state(self, runs_dir: Path) -> State:
        """Return its state, which its run folder tells; a cell that cannot run here is skipped."""
        if self.reason:
            return "skipped"
        folder = self.folder(runs_dir)
        if folder is None:
            return "missing"
        if self.damage(runs_dir):
            return "damaged"
        record = read_record(folder.path)
        if record is None:
            return "unfinished"
        return "done" if record.status == "ok" else "failed"


def expand(suite: Suite, root: Path | None = None) -> list[Cell]:
    """Return all cells, methods outermost and seeds innermost, so that workers train different source models.

    Raises ``UserError`` that names the cell where its settings are invalid.
    """
    found = data_root(suite, root)
    common = merge_settings(suite.settings, {"dataset": {"root": str(found)}}) if found else suite.settings
    return [_cell(suite, common, place) for place in places(suite)]


def _cell(suite: Suite, common: Mapping[str, Any], place: CellPlace) -> Cell:
    method, configuration, task, model, _, seed = place
    try:
        config = load_config(cell_settings(suite, common, place))
        if configuration:
            plain = load_config(cell_settings(suite, common, place._replace(configuration="")))
            number = configurations_of(suite.methods[method]).index(configuration)
            config = as_configuration(
                plain, config, TuningConfig(row=method, configuration=configuration, number=number)
            )
        if suite.chosen_by:
            check_choice(suite.chosen_by, config)
    except UserError as error:
        where = row_name(method, configuration)
        raise UserError(f"The suite {suite.name!r}, {where}, {task}, {model}: {error}") from None
    return Cell(task, method, model, seed, config, configuration)


def refuse_missing_weights(cells: Iterable[Cell]) -> None:
    """Raise ``UserError`` where there is no file of weights at the path that cells name: none of them could run."""
    for given in {cell.config.model.backbone_weights for cell in cells}:
        if given and is_path(given):
            locate(given)


class Resolver:
    """Finds what each cell would run, and looks up once what cells share.

    Seeds and folds share the check of their parts, methods and shuffled controls their task.
    """

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}
        self._tasks: dict[str, Task] = {}

    def __call__(self, cell: Cell) -> ResolvedCell:
        """Return the cell with its identity; a cell that cannot run here has the reason instead."""
        from sfda_kit.runs.labelled import describe_task, run_identity, run_label

        label = run_label(cell.config)
        try:
            plan = self._plan(cell.config)
            task = self._task(cell.config)
        except UserError as error:
            known, too_much = self._as_far_as_known(cell.config), isinstance(error, TooFewImagesError)
            return ResolvedCell(cell, label, configured(cell), known, str(error), asks_too_much=too_much)
        identity, stages = run_identity(plan, task), stage_keys(plan.config, plan.recipe)
        return ResolvedCell(cell, label, identity, describe_task(task, cell.config), stages=stages)

    def _plan(self, config: RunConfig) -> Plan:
        from sfda_kit.runs.plan import resolve

        key = digest(config.model_dump(mode="json", exclude={"seed": True, "dataset": {"fold"}}))
        if key not in self._plans:
            self._plans[key] = resolve(config)
        plan = self._plans[key]
        return replace(plan, config=plan.config.model_copy(update={"seed": config.seed, "dataset": config.dataset}))

    def _task(self, config: RunConfig) -> Task:
        from sfda_kit.data.task import build_task
        from sfda_kit.datasets.open_dataset import open_dataset

        key = digest(config.dataset.model_dump(mode="json", exclude={"pairs"}))  # pairs are shuffled later
        if key not in self._tasks:
            self._tasks[key] = build_task(open_dataset(config.dataset), config.dataset)
        return self._tasks[key]

    def _as_far_as_known(self, config: RunConfig) -> dict[str, Any]:
        from sfda_kit.runs.labelled import describe_task

        try:
            return describe_task(self._task(config), config)
        except UserError:
            dataset = config.dataset
            return {"dataset": dataset.name, "source": dataset.source, "target": dataset.target}


def configured(cell: Cell) -> dict[str, Any]:
    """Return the identity of a cell that cannot be resolved: its configuration."""
    return {"config": cell.config.model_dump(mode="json")}
