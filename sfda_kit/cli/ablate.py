"""``sfda-kit ablate``: run a grid over parts and weights, and report the effect of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli import bench, completion, flags, options
from sfda_kit.cli.groups import OptionGroup, takes_options
from sfda_kit.cli.options import (
    AdaptationOptions,
    BasicOptions,
    ImageOptions,
    ModelOptions,
    PartOptions,
    SourceOptions,
    TaskOptions,
)
from sfda_kit.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.bench.cells import ResolvedCell
    from sfda_kit.bench.suite import Suite

EXAMPLES = """Examples:
sfda-kit ablate --method tgkt --bridge copy,unet --aligner bn-stats=0,0.1
sfda-kit ablate --method shot,socket --set adapt.lr=0.01,0.02 --seeds 0,1
sfda-kit ablate --config study.yaml --report-only
"""


def _levels(kind: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(
        metavar="A,B,...",
        help="Levels of this part; the first is the baseline.",
        autocompletion=completion.parts(kind, "none"),
    )
    return found


Bridges = Annotated[str | None, _levels("bridge")]


class CellOptions(OptionGroup):
    panel = "Output"
    metric: Annotated[str, typer.Option(help="What effects are measured in.")] = "heldout_accuracy"
    report_only: Annotated[bool, typer.Option("--report-only", help="Run nothing; report what is there.")] = False
    runs_dir: bench.RunsDir
    executor: bench.ExecutorName = "local"
    executor_option: bench.ExecutorOptions
    workers: bench.Workers
    overwrite: bench.OverwriteRule = "never"
    tracker: bench.Trackers


class AblateOptions(
    BasicOptions, TaskOptions, ImageOptions, ModelOptions, SourceOptions, AdaptationOptions, PartOptions, CellOptions
):
    without = ("seed", "select", "on_collapse")
    method: Annotated[
        str | None,
        typer.Option(
            help="Method to take apart; A,B varies the method too.", autocompletion=completion.parts("method")
        ),
    ]
    config: Annotated[Path | None, typer.Option(help="A study: a suite file with a grid.")]
    set_: Annotated[list[str] | None, typer.Option("--set", help="KEY=V1,V2,... varies a setting, KEY=VALUE holds it.")]
    seeds: Annotated[str | None, typer.Option(metavar="0,1,...", help="Seeds of every cell; default: 0,1,2.")]
    one_at_a_time: Annotated[bool, typer.Option("--one-at-a-time", help="Vary factors one by one, not in a grid.")] = (
        False
    )
    name: Annotated[str | None, typer.Option(help="Name of the study; default: ablate-METHOD.")]
    bridge: Bridges
    input_bridge: Bridges
    teacher_bridge: Bridges
    labeler: Annotated[str | None, _levels("labeler")]
    aligner: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=W1,W2,...; 0 removes the term; repeatable.", autocompletion=completion.parts("aligner")
        ),
    ]


@takes_options
def ablate(chosen: AblateOptions) -> None:
    """Run a grid over parts and weights, and report which part earns the points."""
    from sfda_kit.bench.ablation import check_study, keep_study, make_study
    from sfda_kit.bench.suite import read_suite
    from sfda_kit.cli.output import results
    from sfda_kit.cli.predict import check_choice
    from sfda_kit.leaderboard import ACCURACIES

    check_choice("--metric", chosen.metric, ACCURACIES)
    fixed, factors = of_flags(options.given(chosen), chosen.set_ or ())
    file = read_suite(str(chosen.config)) if chosen.config else None
    how = (_seeds(chosen.seeds), chosen.one_at_a_time, chosen.name, chosen.data_root)
    study = make_study(file, fixed, factors, *how)
    check_study(study)
    suite, folder = study.expanded(), bench.runs_folder(study, chosen.runs_dir)
    cells = bench.resolved_cells(suite, None)
    if chosen.report_only:
        report(results(), study, cells, folder, chosen.metric)
        return
    keep_study(study, folder)
    where = (chosen.executor, chosen.executor_option, chosen.workers)
    progress = bench.execute(suite, cells, folder, *where, chosen.overwrite, chosen.tracker)
    report(results(), study, cells, folder, chosen.metric)
    bench.exit_with(progress)


def of_flags(told: dict[str, Any], assignments: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings of every cell, and factors: all parts, and other settings where several values are given."""
    from sfda_kit.config.merging import PARTS, merge_settings
    from sfda_kit.config.yaml import parse_assignments

    factors: dict[str, Any] = {part: levels(told[part]) for part in PARTS if told.get(part)}
    elsewhere = (*PARTS, "aligner", "data_root")
    fixed = flags.settings_of({key: value for key, value in told.items() if key not in elsewhere})
    if len(methods := levels(told.get("method") or "")) > 1:
        factors = {"method": methods, **factors}
        del fixed["method"]
    for text in told.get("aligner") or ():
        part, _, weights = text.partition("=")
        factors[f"aligners.{part}"] = [_weight(text, weight) for weight in levels(weights)]
    for text in assignments:
        key, _, values = text.partition("=")
        if len(found := levels(values)) > 1:
            factors[key.strip()] = [parse_assignments([f"value={value}"])["value"] for value in found]
        else:
            fixed = merge_settings(fixed, parse_assignments([text]))
    return fixed, factors


def levels(text: str) -> list[str]:
    """Split ``a,[b,c],d`` into ``a``, ``[b,c]``, ``d``, but not at commas inside brackets and quotes."""
    found, depth, quote = [""], 0, ""
    for character in text:
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
        depth += (not quote) * ((character in "[{") - (character in "]}"))
        if character == "," and not depth and not quote:
            found.append("")
        else:
            found[-1] += character
    return [level.strip() for level in found if level.strip()]


def _weight(text: str, weight: str) -> float:
    try:
        value = float(weight)
    except ValueError:
        raise UserError(f"--aligner {text!r}: expected NAME=W1,W2, for example --aligner bn-stats=0,0.1") from None
    return int(value) if value.is_integer() else value


def _seeds(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(seed) for seed in levels(text or "")))
    except ValueError:
        raise UserError(f"--seeds {text!r}: expected whole numbers, for example --seeds 0,1,2") from None


def report(console: Console, study: Suite, cells: Sequence[ResolvedCell], folder: Path, metric: str) -> None:
    """Print effects and cells, and write them beside the runs as Markdown, CSV and a picture."""
    from sfda_kit.bench.ablation import build_ablation
    from sfda_kit.leaderboard.render.grid_files import write_files
    from sfda_kit.leaderboard.render.grid_terminal import show_ablation

    found = build_ablation(study, cells, folder, metric)
    show_ablation(console, found)
    for path in write_files(found, folder):
        console.print(f"written: {path}", style="dim", markup=False, soft_wrap=True)
