"""``sfda-kit adapt``: a folder of unlabelled images, a source card, an adapted model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import flags, options

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.results.record import Record


def adapt(
    source_card: Annotated[
        list[Path] | None, typer.Option(help="Folder of the source model's card; repeatable: several are mixed.")
    ] = None,
    target_dir: Annotated[Path | None, typer.Option(help="Folder of unlabelled target images.")] = None,
    ti_dir: Annotated[
        Path | None, typer.Option(help="Pairs of other subjects: DIR/rgb and DIR/target, matched by stem.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Method; `sfda-kit plugins list` shows all.")] = None,
    modality: Annotated[str, typer.Option(help="What the target images are: depth, nir, thermal, ...")] = "depth",
    depth_unit: Annotated[str | None, typer.Option(help="mm (default), m or sun-rgbd-bits.")] = None,
    skip_bad: options.SkipBad = False,
    config: options.Config = None,
    encoding: options.Encoding = None,
    source_floor: options.SourceFloor = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    seed: Annotated[int | None, typer.Option(help="Fixes everything random.")] = None,
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
    """Adapt a source model to your own unlabelled images; no label is needed anywhere."""
    given = {name: value for name, value in locals().items() if name in flags.PATHS}
    with flags.json_on_failure(json, method, runs_dir):
        wanted = flags.configuration(given, config, aligner, set_)
        record = execute(wanted, (target_dir, ti_dir, modality), runs_dir, resume, json, tracker or ())
    if json:
        flags.print_json(record.summary())


def execute(
    config: RunConfig,
    where: tuple[Path | None, Path | None, str],
    runs_dir: Path,
    resume: bool,
    json: bool,
    trackers: Sequence[str] = (),
) -> Record:
    """Resolve, adapt with a live view, and show the report."""
    from sfda_kit.cli.label_free_table import show_label_free
    from sfda_kit.cli.live import reporting
    from sfda_kit.cli.output import results
    from sfda_kit.data.folder_task import Folders
    from sfda_kit.runs.plan import resolve_method
    from sfda_kit.runs.unlabelled import adapt_plan

    console = results(json)
    plan = resolve_method(config)
    target_dir, ti_dir, modality = where
    data = config.dataset
    folders = Folders(target_dir, ti_dir, modality, data.depth_unit or "mm", data.skip_bad)
    with reporting(console) as listener:
        record = adapt_plan(plan, folders, runs_dir, resume, listener, trackers)
    show_label_free(console, record)
    return record
