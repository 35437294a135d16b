"""``sfda-kit run``: train a source model, adapt it, and evaluate the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.cli import flags, options
from sfda_kit.cli.groups import takes_options

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.results.record import Record


EXAMPLES = """Examples:
sfda-kit run --method tgkt
sfda-kit run --method shot --pretrained --backbone resnet50 --image-size 224
sfda-kit run --method tgkt --dataset sun-rgbd --data-root FOLDER
"""


@takes_options
def run(chosen: options.RunOptions) -> None:
    """Train (or reuse) a source model, adapt it to another sensor, evaluate and record."""
    from sfda_kit.cli.output import notices
    from sfda_kit.cli.result_table import show_next

    with flags.json_on_failure(chosen.json, chosen.method, chosen.runs_dir):
        wanted = flags.configuration(options.given(chosen), chosen.config, chosen.set_)
        if chosen.memory:
            _tell_memory(wanted, chosen.json)
            return
        record = execute(
            wanted, chosen.runs_dir, chosen.resume, chosen.json, chosen.tracker or (), profile=chosen.profile
        )
        show_next(notices(chosen.json), record)
    if chosen.json:
        flags.print_json(record.summary())


def _tell_memory(config: RunConfig, json: bool) -> None:
    from sfda_kit.cli.memory_table import show_memory
    from sfda_kit.cli.output import results

    found = show_memory(results(json), config)
    if json:
        flags.print_json({"stages": found})


def execute(
    config: RunConfig,
    runs_dir: Path,
    resume: bool,
    json: bool,
    trackers: Sequence[str] = (),
    *,
    profile: bool = False,
) -> Record:
    """Resolve the configuration, run it with a live view, and show the result."""
    from sfda_kit.cli.live import reporting
    from sfda_kit.cli.output import results, tell_failed_plugins
    from sfda_kit.cli.profile_table import profiled
    from sfda_kit.cli.result_table import show_record
    from sfda_kit.events import to_all
    from sfda_kit.processes import is_follower, joined
    from sfda_kit.runs.labelled import run_plan
    from sfda_kit.runs.plan import plan_run

    console = results(json)
    tell_failed_plugins()
    profile = profile and not is_follower()
    with joined():
        plan = plan_run(config)
        with reporting(console) as listener, profiled(profile, console, runs_dir) as told:
            record = run_plan(plan, runs_dir, resume, to_all(listener, told), trackers)
        show_record(console, record)
    return record
