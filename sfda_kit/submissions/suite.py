"""Checks that runs belong to a suite: they have the same protocol, and every cell has a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfda_kit.config.digest import digest
from sfda_kit.config.models import MOST_CONFIGURATIONS, RunConfig
from sfda_kit.errors import UserError
from sfda_kit.source.backbone_weights import portable_name
from sfda_kit.submissions.layout import SuiteName

NOT_COMPARED = {"device", "threads", "pictures", "deterministic", "checkpoint_activations"}
"""The settings of ``compute`` that change a result by no more than rounding; its precision is compared."""


TUNED = {"preset", "encoding", "adapt", "bridge_training", "recipe", "tuning"}
"""The sections in which configurations of a method differ."""


@dataclass(frozen=True)
class SuiteReport:
    """``strangers`` maps runs that are no cell of the suite to a reason; ``missing`` lists the cells without a run."""

    strangers: Mapping[str, str]
    missing: Sequence[str]


def check_suite(runs: Mapping[str, RunConfig], cells: Sequence[RunConfig]) -> SuiteReport:
    """Compare the configurations of ``runs`` (by run id) with those of a suite's cells.

    The data folder, device and threads are not compared, nor is what a person says of the settings. A method that the
    suite lacks may replace one of the suite if all its settings but the name are those of a cell. ``missing`` lists
    only cells of methods that have a run; a method that the suite lacks should have the cells that most methods of the
    suite have. In a suite whose methods have several configurations it may bring its own, as many as they.
    """
    known = {cell.method for cell in cells}
    tuned = any(cell.tuning for cell in cells)
    brought: dict[str, dict[str, RunConfig]] = defaultdict(dict)
    others: dict[str, RunConfig] = {}
    for run_id, config in runs.items():
        (brought[config.method] if tuned and config.method not in known else others)[run_id] = config
    reports = [_of_suite(others, cells), *(_brought(own, cells) for _, own in sorted(brought.items()))]
    strangers = {run_id: reason for report in reports for run_id, reason in report.strangers.items()}
    return SuiteReport(strangers, [cell for report in reports for cell in report.missing])


def _of_suite(runs: Mapping[str, RunConfig], cells: Sequence[RunConfig]) -> SuiteReport:
    """Compare runs that should be cells of the suite, but for the name of a method that it lacks."""
    methods = sorted({cell.method for cell in cells})
    wanted = {method: {protocol(cell): cell for cell in cells if cell.method == method} for method in methods}
    any_method = {key: cell for found in wanted.values() for key, cell in found.items()}
    strangers, missing = {}, []
    for run_id, config in runs.items():
        if protocol(config) not in wanted.get(config.method, any_method):
            strangers[run_id] = _reason(config, cells)
    for method in sorted({config.method for config in runs.values()}):
        there = {protocol(config) for config in runs.values() if config.method == method}
        whole = wanted.get(method) or _usual(list(wanted.values()))
        missing += [_named(method, cell) for key, cell in whole.items() if key not in there]
    return SuiteReport(strangers, missing)


def _brought(runs: Mapping[str, RunConfig], cells: Sequence[RunConfig]) -> SuiteReport:
    """Compare a method that the suite lacks, with configurations of its own, with the places of the suite's cells."""
    places = {_place(cell): cell for cell in cells}
    by_name: dict[str, dict[str, RunConfig]] = defaultdict(dict)
    for run_id, config in runs.items():
        by_name[config.tuning.configuration if config.tuning else ""][run_id] = config
    strangers = {run_id: _reason(config, cells) for run_id, config in runs.items() if _place(config) not in places}
    missing: list[str] = []
    for name, own in sorted(by_name.items()):
        if len({digest([_task(config), _tuned(config)]) for config in own.values()}) > len(
            set(map(_task, own.values()))
        ):
            reason = f"its configuration {name!r} has not the same settings for all seeds and folds of a task"
            strangers |= dict.fromkeys(own, reason)
        there = set(map(_place, own.values()))
        missing += [
            _named(next(iter(own.values())).method, cell, name) for place, cell in places.items() if place not in there
        ]
    if len(by_name) > MOST_CONFIGURATIONS:
        reason = f"its method has {len(by_name)} configurations, and at most {MOST_CONFIGURATIONS} are allowed"
        strangers |= dict.fromkeys(runs, reason)
    return SuiteReport(strangers, missing)


def _tuned(config: RunConfig) -> dict[str, Any]:
    return {key: value for key, value in _compared(config).items() if key in TUNED}


def _task(config: RunConfig) -> str:
    """Return a digest of data and network without seed, fold and split."""
    dataset = config.dataset.model_dump(mode="json", exclude={"root", "fold", "split_seed"})
    return digest([dataset, config.model.model_dump(mode="json")])


def _place(config: RunConfig) -> str:
    """Return a digest of what all configurations of all methods of a suite share in one place."""
    found = {key: value for key, value in _compared(config).items() if key not in TUNED}
    chooser, selects = config.adapt.validator, config.adapt.select
    return digest([found, chooser.model_dump(), selects.name == "last" or selects == chooser])


def _usual(found: Sequence[Mapping[str, RunConfig]]) -> Mapping[str, RunConfig]:
    """Return the cells that most methods have, of equally many the most cells."""
    sets = [frozenset(cells) for cells in found]
    return max(found, key=lambda cells: (sets.count(frozenset(cells)), len(cells)), default={})


def protocol(config: RunConfig) -> str:
    """Return a digest of all that a run must share with a cell of the suite, whatever its method is called."""
    return digest(_compared(config))


def comparable(config: RunConfig) -> str:
    """Return a digest of all that decides a result: two runs with the same digest are one run made twice."""
    recipe = config.file_recipe.model_dump(mode="json") if config.file_recipe else None
    return digest({"method": config.method, "file_recipe": recipe, **_compared(config)})


def suite_cells(name: str, expected: SuiteName | None = None) -> list[RunConfig]:
    """Return the configurations of the suite ``name``: a shipped one or, where the user chose it, a YAML file.

    Raises ``UserError`` when the suite is unknown, or has not the name and version of ``expected``.
    """
    from sfda_kit.bench.cells import expand
    from sfda_kit.bench.suite import load_suite

    suite = load_suite(name)
    if expected and (expected.name, expected.version) != (suite.name, suite.version):
        raise UserError(
            f"the archive is of the suite {expected.name} version {expected.version}; "
            f"here it is {suite.name} version {suite.version}"
        )
    return [cell.config for cell in expand(suite, Path("data"))]


def _compared(config: RunConfig) -> dict[str, Any]:
    left_out: Any = {
        **dict.fromkeys(("method", "file_recipe", "tuned_with_labels"), True),
        "compute": NOT_COMPARED,
        "dataset": {"root"},
    }
    found = config.model_dump(mode="json", exclude=left_out)
    if cards := [card.name for card in config.source.cards]:
        found["source"]["card"] = cards[0] if len(cards) == 1 else cards
    if config.model.backbone_weights:
        found["model"]["backbone_weights"] = portable_name(config.model.backbone_weights)
    return found


def _reason(config: RunConfig, cells: Iterable[RunConfig]) -> str:
    """Name the settings in which a run differs from the closest cell."""
    mine = _flat(_compared(config))
    differences = [
        sorted(key for key, value in _flat(_compared(cell)).items() if mine.get(key) != value) for cell in cells
    ]
    closest = min(differences, key=len, default=[])
    return "no cell of the suite has its settings; closest but for " + (", ".join(closest[:6]) or "its method")


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        key: item for name, part in value.items() for key, item in _flat(part, f"{path}.{name}".lstrip(".")).items()
    }


def _named(method: str, cell: RunConfig, configuration: str | None = None) -> str:
    """Name a cell. ``configuration``: which one it should be, None: that of the cell."""
    own = cell.tuning.configuration if cell.tuning else ""
    name = own if configuration is None else configuration
    method = f"{method} ({name})" if name else method
    fold = "" if cell.dataset.fold is None else f"fold {cell.dataset.fold}, "
    task = f"{cell.dataset.name} {cell.dataset.source} -> {cell.dataset.target}"
    return f"{method}, {task}, {cell.model.backbone}, {fold}seed {cell.seed}"
