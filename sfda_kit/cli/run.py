"""``sfda-kit run``: one adaptation, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli import flags

if TYPE_CHECKING:
    from sfda_kit.config import RunConfig
    from sfda_kit.results.record import Record


def run(
    method: Annotated[str | None, typer.Option(help="Method to run; `sfda-kit plugins list` shows all.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with any of the settings below.")] = None,
    dataset: Annotated[str | None, typer.Option(help="rooms, sun-rgbd, paired-folder or a plugin's.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of the data set on this disk.")] = None,
    source: Annotated[str | None, typer.Option(help="Source MODALITY@DOMAIN, e.g. rgb@kv1.")] = None,
    target: Annotated[str | None, typer.Option(help="Target MODALITY@DOMAIN, e.g. depth@xtion.")] = None,
    split: Annotated[str | None, typer.Option(help="Named split of TR and TI classes.")] = None,
    tr_classes: Annotated[str | None, typer.Option(help="Task-relevant classes: A,B,...")] = None,
    ti_classes: Annotated[str | None, typer.Option(help="Task-irrelevant classes: C,D,...")] = None,
    split_seed: Annotated[int | None, typer.Option(help="Fixes how groups are dealt to parts.")] = None,
    group_pattern: Annotated[str | None, typer.Option(help="Regex over the stem: what never is split.")] = None,
    depth_unit: Annotated[str | None, typer.Option(help="mm, m or sun-rgbd-bits.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out.")] = False,
    encoding: Annotated[str | None, typer.Option(help="Sensor values to three channels: copy, jet, ...")] = None,
    source_card: Annotated[Path | None, typer.Option(help="Use this source model instead of training.")] = None,
    source_floor: Annotated[float | None, typer.Option(help="Least source accuracy in percent.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Any timm model.")] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from timm's weights.")] = False,
    image_size: Annotated[int | None, typer.Option(help="Side of the network's input in pixels.")] = None,
    source_epochs: Annotated[int | None, typer.Option(help="Epochs of source training.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the main adaptation phase.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step of the adaptation.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes everything but the split.")] = None,
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
    """Train (or reuse) a source model, adapt it to another sensor, evaluate and record."""
    given = {name: value for name, value in locals().items() if name in flags.PATHS}
    with flags.json_on_failure(json, method, runs_dir):
        wanted = flags.configuration(given, config, aligner, set_)
        record = execute(wanted, runs_dir, resume, json)
    if json:
        flags.print_json(record.summary())


def execute(config: RunConfig, runs_dir: Path, resume: bool, json: bool) -> Record:
    """Resolve, run with a live view, and show the result."""
    from sfda_kit.cli.live import reporting
    from sfda_kit.cli.output import results
    from sfda_kit.cli.result_table import show_record
    from sfda_kit.plan import resolve
    from sfda_kit.run import run as run_plan

    console = results(json)
    plan: Any = resolve(config)
    with reporting(console) as listener:
        record = run_plan(plan, runs_dir, resume, listener)
    show_record(console, record)
    return record
