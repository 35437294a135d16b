"""The curves of a stress suite from its finished runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from sfda_kit.bench.cells import ResolvedCell
from sfda_kit.bench.stress import stressed_tasks
from sfda_kit.bench.suite import Suite
from sfda_kit.leaderboard.curves import Curve, CurvePoint, CurveSection, Panel, Place, StressPage, point
from sfda_kit.leaderboard.entries import SOURCE_ONLY
from sfda_kit.results.record import Record

METRIC = "heldout_mean_class_accuracy"
"""What the curves show: with unbalanced classes the plain accuracy says little."""

Runs = Mapping[str, Mapping[Place, Record]]
"""The finished runs of one task and network, by method, then by fold and seed."""


def build_stress_page(
    suite: Suite, cells: Sequence[ResolvedCell], left_out: Sequence[str], runs_dir: Path
) -> StressPage:
    """Return the curves of the runs in ``runs_dir``. ``suite``: as it was read, without its stressed tasks.

    ``cells``: those of ``suite.expanded()``. ``left_out``: a sentence for each level that the data are too few for.
    """
    runs: dict[tuple[str, str], dict[str, dict[Place, Record]]] = defaultdict(lambda: defaultdict(dict))
    for cell in cells:
        record = cell.record(runs_dir)
        if record and record.status == "ok":
            place = (cell.cell.config.dataset.fold, cell.cell.seed)
            runs[cell.cell.task, cell.cell.model][cell.cell.method][place] = record
    done = [record for found in runs.values() for own in found.values() for record in own.values()]
    metric = (
        METRIC if not done or any(METRIC in one.metrics for one in done) else METRIC.replace("heldout", "transductive")
    )
    sections = [
        CurveSection(
            f"{task}; {model}",
            tuple(_panels(suite, runs, task, model, metric)),
            any(record.synthetic for record in done),
            tuple(_missing(cells, runs_dir, suite, task, model)),
        )
        for task, model in product(suite.tasks, suite.models)
    ]
    return StressPage(suite.name, suite.title, metric, tuple(sections), tuple(left_out))


def _panels(suite: Suite, runs: Mapping[tuple[str, str], Runs], task: str, model: str, metric: str) -> Iterator[Panel]:
    for name, factor in suite.stress.items():
        tasks = {factor.plain: task}
        tasks |= {one.level: one.name for one in stressed_tasks([task], {name: factor})}
        found = {level: runs.get((key, model), {}) for level, key in tasks.items()}
        levels = [level for level in found if level == factor.plain or found[level]]
        wanted = [one for one in suite.methods if one == SOURCE_ONLY or one in (factor.methods or suite.methods)]
        curves = [Curve(one, tuple(_points(found, levels, one, metric))) for one in wanted]
        yield Panel(name, factor.setting, tuple(levels), tuple(curves))


def _points(found: Mapping[str, Runs], levels: Sequence[str], method: str, metric: str) -> Iterator[CurvePoint]:
    plain = _scores(found[levels[0]], method, metric)
    for level in levels:
        images = next((dict(one.task.get("images", {})) for own in found[level].values() for one in own.values()), {})
        yield point(_scores(found[level], method, metric), plain, images)


def _scores(runs: Runs, method: str, metric: str) -> dict[Place, float]:
    """Return the scores of a method by fold and seed. Every run has scored the source model, as ``source-only``."""
    own = {place: one.metrics[metric] for place, one in runs.get(method, {}).items() if metric in one.metrics}
    if method != SOURCE_ONLY:
        return own
    beside = {
        place: one.baselines[SOURCE_ONLY][metric]
        for records in runs.values()
        for place, one in records.items()
        if metric in one.baselines.get(SOURCE_ONLY, {})
    }
    return beside | own


def _missing(cells: Sequence[ResolvedCell], runs_dir: Path, suite: Suite, task: str, model: str) -> Iterator[str]:
    """Yield a sentence where runs have no result."""
    tasks = {task, *(one.name for one in stressed_tasks([task], suite.stress))}
    own = [cell for cell in cells if cell.cell.model == model and cell.cell.task in tasks]
    states = Counter(cell.state(runs_dir) for cell in own)
    without = [f"{count} {state}" for state, count in sorted(states.items()) if state != "done"]
    if without:
        yield f"{len(own) - states['done']} of {len(own)} runs have no result ({', '.join(without)})."
