"""Runs one cell in a process of its own: ``python -m sfda_kit.bench.cell`` reads a job from its standard input.

The cell ends when this input closes, so that no cell keeps running after its runner, Ray worker or Slurm job is killed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.bench.cell_group import cell_group
from sfda_kit.errors import BusyError, SfdaKitError
from sfda_kit.files import scarcity
from sfda_kit.parent import end_with_parent
from sfda_kit.processes import is_follower

if TYPE_CHECKING:
    from sfda_kit.interfaces.executor import Job

LOOK_AGAIN_S = 2.0
"""Seconds between two attempts to start a run that another process works on."""


def main() -> None:
    """Run the job; if it fails in an expected way, exit with 1 and one message.

    A number on the command line says in how many processes: this one starts the others.
    """
    count, line = int(sys.argv[1]) if len(sys.argv) > 1 else 1, sys.stdin.readline()
    job = decode(line)
    end_with_parent()
    try:
        with cell_group(count, line):
            execute(job)
    except Exception as error:
        if is_follower() and isinstance(error, SfdaKitError):  # the first process says the same
            sys.exit(1)
        told = error if isinstance(error, SfdaKitError) else scarcity(error)
        if told is None:
            raise
        sys.exit(f"{type(told).__name__}: {told}")


def execute(job: Job) -> None:
    """Run or resume the cell in this process. Raises what ``sfda_kit.run`` raises.

    A killed runner may leave a worker that still holds the run, and a cluster may start a cell again before it has
    ended on a lost node. So this function waits for a locked run, and then finds it finished or continues it.
    """
    from sfda_kit.config.models import RunConfig
    from sfda_kit.events import silent
    from sfda_kit.models.module_factories import trust_backbone
    from sfda_kit.runs.labelled import run_plan
    from sfda_kit.runs.plan import plan_run

    config = RunConfig.model_validate(job.config)
    trust_backbone(config.model.backbone)  # the runner has asked whether the user named it
    plan = plan_run(config)
    told = False
    while True:
        try:
            run_plan(plan, job.runs_dir, resume=True, listener=silent, trackers=job.trackers)
        except BusyError as error:
            if not told:
                sys.stderr.write(f"{error} This cell waits for it.\n")
            told = True
            time.sleep(LOOK_AGAIN_S)
        else:
            return


def encode(job: Job) -> str:
    """Return the job as one line of JSON."""
    return json.dumps({**vars(job), "runs_dir": str(job.runs_dir)}) + "\n"


def decode(line: str) -> Job:
    """Return the job that ``encode`` wrote."""
    from sfda_kit.interfaces.executor import Job

    data = json.loads(line)
    return Job(**{**data, "runs_dir": Path(data["runs_dir"]), "trackers": tuple(data["trackers"])})


if __name__ == "__main__":
    main()
