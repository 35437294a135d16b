"""``sfda-kit run``: one adaptation, end to end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli import flags, options

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.results.record import Record


def run(
    method: Annotated[str | None, typer.Option(help="Method to run; `sfda-kit plugins list` shows all.")] = None,
    config: options.Config = None,
    dataset: options.Dataset = None,
    data_root: options.DataRoot = None,
    source: options.Source = None,
    target: options.Target = None,
    split: options.Split = None,
    tr_classes: options.TrClasses = None,
    ti_classes: options.TiClasses = None,
    split_seed: options.SplitSeed = None,
    group_pattern: options.GroupPattern = None,
    depth_unit: options.DepthUnit = None,
    skip_bad: options.SkipBad = False,
    encoding: options.Encoding = None,
    source_card: options.SourceCard = None,
    source_floor: options.SourceFloor = None,
    backbone: options.Backbone = None,
    pretrained: options.Pretrained = False,
    image_size: options.ImageSize = None,
    source_epochs: options.SourceEpochs = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    seed: options.Seed = None,
    bridge_epochs: options.BridgeEpochs = None,
    bridge: options.Bridge = None,
    input_bridge: options.InputBridge = None,
    teacher_bridge: options.TeacherBridge = None,
    labeler: options.Labeler = None,
    aligner: options.Aligner = None,
    select: options.Select = None,
    on_collapse: options.OnCollapse = None,
    set_: options.Assignments = None,
    device: options.Device = None,
    runs_dir: options.RunsDir = Path("runs"),
    resume: options.Resume = False,
    tracker: options.Tracker = None,
    json: options.AsJson = False,
) -> None:
    """Train (or reuse) a source model, adapt it to another sensor, evaluate and record."""
    given = {name: value for name, value in locals().items() if name in flags.PATHS}
    with flags.json_on_failure(json, method, runs_dir):
        wanted = flags.configuration(given, config, aligner, set_)
        record = execute(wanted, runs_dir, resume, json, tracker or ())
    if json:
        flags.print_json(record.summary())


def execute(config: RunConfig, runs_dir: Path, resume: bool, json: bool, trackers: Sequence[str] = ()) -> Record:
    """Resolve, run with a live view, and show the result."""
    from sfda_kit.cli.live import reporting
    from sfda_kit.cli.output import results
    from sfda_kit.cli.result_table import show_record
    from sfda_kit.runs.labelled import run_plan
    from sfda_kit.runs.plan import resolve

    console = results(json)
    plan: Any = resolve(config)
    with reporting(console) as listener:
        record = run_plan(plan, runs_dir, resume, listener, trackers)
    show_record(console, record)
    return record
