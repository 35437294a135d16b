"""``sfda-kit adapt``: a folder of unlabelled images, a source card, an adapted model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import flags

if TYPE_CHECKING:
    from sfda_kit.config import RunConfig
    from sfda_kit.results.record import Record


def adapt(
    source_card: Annotated[Path | None, typer.Option(help="Folder of the source model's card.")] = None,
    target_dir: Annotated[Path | None, typer.Option(help="Folder of unlabelled target images.")] = None,
    ti_dir: Annotated[
        Path | None, typer.Option(help="Pairs of other subjects: DIR/rgb and DIR/target, matched by stem.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Method; `sfda-kit plugins list` shows all.")] = None,
    modality: Annotated[str, typer.Option(help="What the target images are: depth, nir, thermal, ...")] = "depth",
    depth_unit: Annotated[str | None, typer.Option(help="mm (default), m or sun-rgbd-bits.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with any of the settings below.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Sensor values to three channels: copy, jet, ...")] = None,
    source_floor: Annotated[float | None, typer.Option(help="Least source accuracy in percent.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the main adaptation phase.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step of the adaptation.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes everything random.")] = None,
    bridge_epochs: Annotated[int | None, typer.Option(help="Epochs of bridge training.")] = None,
    bridge: Annotated[str | None, typer.Option(help="Teacher bridge if the method has one, else input.")] = None,
    input_bridge: Annotated[str | None, typer.Option(help="What the adapted network sees.")] = None,
    teacher_bridge: Annotated[str | None, typer.Option(help="What the frozen source model sees.")] = None,
    labeler: Annotated[str | None, typer.Option(help="Pseudo-labeler, or none.")] = None,
    aligner: Annotated[list[str] | None, typer.Option(help="NAME=WEIGHT; 0 removes the term.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting: KEY.KEY=VALUE.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, mps, ...")] = None,
    runs_dir: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the matching unfinished run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Last line of stdout: one JSON object.")] = False,
) -> None:
    """Adapt a source model to your own unlabelled images; no label is needed anywhere."""
    given = {name: value for name, value in locals().items() if name in flags.PATHS}
    with flags.json_on_failure(json, method, runs_dir):
        wanted = flags.configuration(given, config, aligner, set_)
        record = execute(wanted, (target_dir, ti_dir, modality), runs_dir, resume, json)
    if json:
        flags.print_json(record.summary())


def execute(
    config: RunConfig, where: tuple[Path | None, Path | None, str], runs_dir: Path, resume: bool, json: bool
) -> Record:
    """Resolve, adapt with a live view, and show the report."""
    from sfda_kit.adapt_folder import adapt_folder
    from sfda_kit.cli.label_free_table import show_label_free
    from sfda_kit.cli.live import reporting
    from sfda_kit.cli.output import results
    from sfda_kit.data.folder_task import Folders
    from sfda_kit.plan import resolve_method

    console = results(json)
    plan = resolve_method(config)
    target_dir, ti_dir, modality = where
    data = config.dataset
    folders = Folders(target_dir, ti_dir, modality, data.depth_unit or "mm", data.skip_bad)
    with reporting(console) as listener:
        record = adapt_folder(plan, folders, runs_dir, resume, listener)
    show_label_free(console, record)
    return record
