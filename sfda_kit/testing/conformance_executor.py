"""The conformance suite for executors."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from sfda_kit.interfaces.executor import Executor, Job, Outcome
from sfda_kit.plugins.building import build
from sfda_kit.results.record import read_record
from sfda_kit.testing.declaration import PartConformance
from sfda_kit.testing.jobs import (
    AGES,
    broken_job,
    ended_once,
    run_folders,
    small_job,
    wait_for_epochs,
    wait_until_unlocked,
)


class ExecutorConformance(PartConformance):
    """A test class sets ``name`` and ``options``; a fixture starts the place, with room for two cells at once."""

    kind: ClassVar[str] = "executor"

    def executor(self) -> Executor:
        """Return an executor with room for two cells."""
        found: Executor = build(self.component(), self.options, workers=2)
        return found

    def test_every_job_ends_with_one_outcome(self, sfda_folder: Path) -> None:
        """A job that runs and one that cannot give an outcome each; that of the second says why."""
        good, broken = small_job(sfda_folder), broken_job(sfda_folder)
        outcomes = list(self.executor().run([good, broken]))
        keys, wanted = sorted(outcome.key for outcome in outcomes), sorted([good.key, broken.key])
        assert keys == wanted, f"run yielded outcomes of {keys}; expected one each of {wanted}"
        errors = {outcome.key: outcome.error for outcome in outcomes}
        assert errors[good.key] == "", f"a good cell ended with {errors[good.key]!r}; expected no error"
        assert ended_once(good), "a good cell left no record with status ok; expected one, and each epoch once"
        assert "no-such-method" in errors[broken.key], (
            f"a cell that cannot run ended with {errors[broken.key]!r}; expected the reason, which names its method"
        )

    def test_closing_stops_what_runs(self, sfda_folder: Path) -> None:
        """The cell's process is gone, and its run can be continued."""
        endless, short = small_job(sfda_folder, 1, AGES), small_job(sfda_folder, 2)
        with closing(_outcomes(self.executor(), [endless, short])) as outcomes:
            key = next(outcomes).key
            assert key == short.key, (
                f"the first outcome is of {key!r}; expected {short.key!r}, the cell that ends first"
            )
            wait_for_epochs(endless)
        wait_until_unlocked(endless)
        assert read_record(run_folders(endless)[0]) is None, "a cell that was stopped has a record; expected none"


def _outcomes(executor: Executor, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
    yield from executor.run(jobs)
