"""``sfda-kit ablate``: a grid over parts and weights, and which of them earns the points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli import bench, flags, options

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.bench.cells import ResolvedCell
    from sfda_kit.bench.suite import Suite

PARTS = ("bridge", "input_bridge", "teacher_bridge", "labeler")

Levels = Annotated[str | None, typer.Option(metavar="A,B,...", help="Levels of this part; the first is the baseline.")]


def ablate(
    method: Annotated[str | None, typer.Option(help="Method to take apart; A,B varies the method too.")] = None,
    config: Annotated[Path | None, typer.Option(help="A study: a suite file with a grid.")] = None,
    bridge: Levels = None,
    input_bridge: Levels = None,
    teacher_bridge: Levels = None,
    labeler: Levels = None,
    aligner: Annotated[list[str] | None, typer.Option(help="NAME=W1,W2,...; 0 removes the term; repeatable.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=V1,V2,... varies a setting, KEY=VALUE holds it for all.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(metavar="0,1,...", help="Seeds of every cell; default: 0,1,2.")] = None,
    one_at_a_time: Annotated[
        bool, typer.Option("--one-at-a-time", help="Vary each factor by itself round the recipe's own settings.")
    ] = False,
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
    bridge_epochs: options.BridgeEpochs = None,
    device: options.Device = None,
    metric: Annotated[str, typer.Option(help="What effects are measured in.")] = "heldout_accuracy",
    name: Annotated[str | None, typer.Option(help="Name of the study; default: ablate-METHOD.")] = None,
    runs_dir: bench.RunsDir = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="Run nothing; report what is there.")] = False,
    executor: bench.ExecutorName = "local",
    executor_option: bench.ExecutorOptions = None,
    workers: bench.Workers = None,
    overwrite: bench.OverwriteRule = "never",
    tracker: bench.Trackers = None,
) -> None:
    """Run a grid over parts and weights, and report which part earns the points."""
    from sfda_kit.bench.ablation import check_study, keep_study, make_study
    from sfda_kit.bench.suite import read_suite
    from sfda_kit.cli.output import results
    from sfda_kit.cli.predict import check_choice
    from sfda_kit.leaderboard import RANKING_METRICS

    told = {key: value for key, value in locals().items() if key in flags.PATHS}
    check_choice("--metric", metric, RANKING_METRICS)
    fixed, factors = of_flags(told, aligner or (), set_ or ())
    study = make_study(
        read_suite(str(config)) if config else None, fixed, factors, _seeds(seeds), one_at_a_time, name, data_root
    )
    check_study(study)
    suite, folder = study.expanded(), bench.runs_folder(study, runs_dir)
    cells = bench.resolved_cells(suite, None)
    if report_only:
        report(results(), study, cells, folder, metric)
        return
    keep_study(study, folder)
    progress = bench.execute(suite, cells, folder, executor, executor_option, workers, overwrite, tracker)
    report(results(), study, cells, folder, metric)
    bench.exit_with(progress)


def of_flags(
    told: dict[str, Any], aligners: Sequence[str], assignments: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of every cell, and factors: parts always vary, other settings where several values are given."""
    from sfda_kit.config.merging import merge_settings
    from sfda_kit.config.yaml import parse_assignments

    factors: dict[str, Any] = {part: levels(told[part]) for part in PARTS if told.get(part)}
    fixed = flags.settings_of({key: value for key, value in told.items() if key not in (*PARTS, "data_root")})
    if len(methods := levels(told.get("method") or "")) > 1:
        factors = {"method": methods, **factors}
        del fixed["method"]
    for text in aligners:
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
    """``a,[b,c],d`` -> ``a``, ``[b,c]``, ``d``: commas inside brackets and quotes do not part."""
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
    from sfda_kit.errors import UserError

    try:
        value = float(weight)
    except ValueError:
        raise UserError(f"--aligner {text!r}: expected NAME=W1,W2, for example --aligner bn-stats=0,0.1") from None
    return int(value) if value.is_integer() else value


def _seeds(text: str | None) -> tuple[int, ...]:
    from sfda_kit.errors import UserError

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
