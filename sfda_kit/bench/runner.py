"""Runs the missing cells of a suite. The run folders are the only state, so nothing is lost when the runner stops."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from sfda_kit.bench.cells import ResolvedCell, State, configured
from sfda_kit.bench.placing import in_starting_order
from sfda_kit.bench.progress import Progress
from sfda_kit.config.digest import digest
from sfda_kit.errors import UserError
from sfda_kit.files import explain_write_errors
from sfda_kit.interfaces.executor import Executor, Job, Outcome
from sfda_kit.results.record import Record, Status
from sfda_kit.results.store import RunFolder, find_run, now, open_run
from sfda_kit.versions import versions

Overwrite = Literal["never", "failed", "always"]
BEGUN_AGAIN: dict[str, tuple[State, ...]] = {
    "never": ("missing", "unfinished", "damaged"),
    "failed": ("missing", "unfinished", "damaged", "failed"),
    "always": ("missing", "unfinished", "damaged", "failed", "done"),
}
"""The states of the cells to run, for each value of ``--overwrite``."""


def run_cells(
    cells: Sequence[ResolvedCell],
    runs_dir: Path,
    executor: Executor,
    overwrite: Overwrite,
    watch: Callable[[Progress, ResolvedCell | None], object],
    timeout_s: float | None = None,
    trackers: tuple[str, ...] = (),
) -> Progress:
    """Run the cells that are due. Each ends in a record; that of a failed or impossible cell holds the reason.

    ``watch`` is called with the progress at the start (and None) and whenever a cell has ended. ``always`` removes
    earlier runs first. Raises ``UserError`` when another runner works in ``runs_dir``.
    """
    with sole_runner(runs_dir):
        progress = Progress(cells, runs_dir)
        for cell in cells:
            _settle_skipped(cell, runs_dir)
        progress.todo = [cell for cell in cells if progress.states[cell.key] in BEGUN_AGAIN[overwrite]]
        for cell in progress.todo:
            if overwrite == "always":
                remove(cell, runs_dir)
            elif progress.states[cell.key] == "failed":
                _forget_failure(cell, runs_dir)
        watch(progress, None)
        due = {cell.key: cell for cell in progress.todo}
        jobs = [_job(cell, runs_dir, timeout_s, trackers) for cell in in_starting_order(list(due.values()))]
        with closing(_outcomes(executor, jobs)) as outcomes:
            for outcome in outcomes:
                progress.end(due[outcome.key], _record(due[outcome.key], runs_dir, outcome))
                watch(progress, due[outcome.key])
    return progress


@contextmanager
def sole_runner(runs_dir: Path) -> Iterator[None]:
    """Lock ``runs_dir`` for this runner. Raises ``UserError`` when another one works in it."""
    with explain_write_errors(runs_dir, "(--runs-dir)."):
        runs_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(runs_dir / ".bench.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"Another `sfda-kit bench` works in {runs_dir}. Wait for it, or name another --runs-dir."
        ) from None
    try:
        yield
    finally:
        lock.release()


def remove(cell: ResolvedCell, runs_dir: Path) -> None:
    """Remove every run folder of the cell."""
    while folder := cell.folder(runs_dir):
        shutil.rmtree(folder.path)


def removable(cells: Sequence[ResolvedCell], runs_dir: Path, everything: bool) -> list[ResolvedCell]:
    """Return the cells with a run that has not ended well; with ``everything`` all that have a run folder."""
    kept = () if everything else ("done",)
    return [cell for cell in cells if cell.folder(runs_dir) and cell.state(runs_dir) not in kept]


def _forget_failure(cell: ResolvedCell, runs_dir: Path) -> None:
    """Remove the record of the last attempt, which would count for this one; the run continues from its checkpoints."""
    if folder := cell.folder(runs_dir):
        (folder.path / "record.json").unlink(missing_ok=True)


def _outcomes(executor: Executor, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
    if jobs:
        yield from executor.run(jobs)


def _job(cell: ResolvedCell, runs_dir: Path, timeout_s: float | None, trackers: tuple[str, ...]) -> Job:
    config = cell.cell.config.model_dump(mode="json")
    return Job(cell.key, cell.cell.name, config, runs_dir.absolute(), timeout_s, trackers)


def _record(cell: ResolvedCell, runs_dir: Path, outcome: Outcome) -> Record:
    """Return the record that the run wrote; if it wrote none or its time ran out, write one with the reason."""
    folder = cell.folder(runs_dir) or open_run(runs_dir, cell.label, dict(cell.identity), resume=False)
    record = cell.record(runs_dir)
    if record is None or (outcome.timed_out and record.status != "ok"):
        status: Status = "timed_out" if outcome.timed_out else "failed"
        reason = outcome.error or "it did not end within the suite's limit of time; it can be continued"
        record = _write_record(cell, folder, status, reason)
    return record


def _settle_skipped(cell: ResolvedCell, runs_dir: Path) -> None:
    """Write a record for a cell that cannot run here, or remove such a record once the cell can run."""
    before = find_run(runs_dir, cell.label, digest(configured(cell.cell)))
    if cell.reason:
        folder = before or open_run(runs_dir, cell.label, dict(cell.identity), resume=False)
        _write_record(cell, folder, "skipped", cell.reason)
    elif before:
        shutil.rmtree(before.path)


def _write_record(cell: ResolvedCell, folder: RunFolder, status: Status, reason: str) -> Record:
    config: dict[str, Any] = cell.cell.config.model_dump(mode="json")
    recipe = dict(cell.identity.get("recipe") or {})
    record = Record(
        run_id=folder.run_id,
        status=status,
        method=cell.cell.config.method,
        run_dir=str(folder.path),
        error=reason,
        seed=cell.cell.seed,
        task=dict(cell.described),
        config=config,
        recipe=recipe,
        config_digest=digest({"config": config, "recipe": recipe}),
        versions=versions(),
        started=now(),
        finished=now(),
    )
    folder.write_record(record)
    return record
