"""``sfda-kit bench``: run a suite of methods, tasks, networks and seeds; see, retry and clean it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sfda_kit.cli import completion

if TYPE_CHECKING:
    from sfda_kit.bench.cells import ResolvedCell
    from sfda_kit.bench.progress import Progress
    from sfda_kit.bench.runner import Overwrite
    from sfda_kit.bench.suite import Suite


class _RunByDefault(TyperGroup):
    """``bench SUITE`` means ``bench run SUITE``."""

    default = "run"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not {"-h", "--help"} & {args[0]}:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Offer the suites beside the commands."""
        item = type(super().shell_complete(ctx, "")[0])  # Typer brings its own click, or needs that of its version.
        return [*super().shell_complete(ctx, incomplete), *map(item, completion.suites(incomplete))]


app = typer.Typer(
    cls=_RunByDefault,
    help="Run a suite: `sfda-kit bench SUITE` runs what is missing of it.",
    no_args_is_help=True,
)

SuiteName = Annotated[
    str,
    typer.Argument(
        metavar="SUITE", help="A shipped suite (`bench list`) or a YAML file.", autocompletion=completion.suites
    ),
]
RunsDir = Annotated[Path | None, typer.Option(help="Where run folders are made; default: runs/NAME.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the suite's data set on this disk.")]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", help="Only this method; repeatable.", autocompletion=completion.parts("method")),
]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Only this task; repeatable.")]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Only this seed; repeatable.")]
Folds = Annotated[list[int] | None, typer.Option("--fold", help="Only this fold; repeatable.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY.KEY=VALUE for every cell, which makes it another suite; repeatable."),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        help="Where cells run: local, ray, slurm or a plugin's.",
        autocompletion=completion.parts("executor"),
    ),
]
ExecutorOptions = Annotated[list[str] | None, typer.Option("--executor-option", help="NAME=VALUE; repeatable.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Cells at once; default: what the place has room for.")]
OverwriteRule = Annotated[
    str, typer.Option("--overwrite", help="never, failed or always: which ended cells run again.")
]
Trackers = Annotated[
    list[str] | None,
    typer.Option("--tracker", help="Follow each cell, e.g. tensorboard.", autocompletion=completion.parts("tracker")),
]


@app.command("run")
def run(
    suite: SuiteName,
    runs_dir: RunsDir = None,
    data_root: DataRoot = None,
    method: Methods = None,
    task: Tasks = None,
    seed: Seeds = None,
    fold: Folds = None,
    set_: Changes = None,
    executor: ExecutorName = "local",
    executor_option: ExecutorOptions = None,
    workers: Workers = None,
    overwrite: OverwriteRule = "never",
    tracker: Trackers = None,
) -> None:
    """Run what is missing of a suite; started again it continues where it stopped."""
    chosen = (method, task, seed, fold)
    _run_and_show(suite, set_, chosen, runs_dir, data_root, executor, executor_option, workers, overwrite, tracker)


@app.command("retry")
def retry(
    suite: SuiteName,
    runs_dir: RunsDir = None,
    data_root: DataRoot = None,
    set_: Changes = None,
    executor: ExecutorName = "local",
    executor_option: ExecutorOptions = None,
    workers: Workers = None,
) -> None:
    """Run the failed and timed-out cells again, from where they stopped, and what is missing."""
    _run_and_show(suite, set_, (), runs_dir, data_root, executor, executor_option, workers, "failed", None)


@app.command("status")
def status(suite: SuiteName, runs_dir: RunsDir = None, data_root: DataRoot = None, set_: Changes = None) -> None:
    """Say which cells are done, failed, skipped or missing, and why."""
    from sfda_kit.bench.progress import Progress
    from sfda_kit.cli.bench_view import show_status
    from sfda_kit.cli.output import results

    wanted = _wanted(suite, set_)
    folder = runs_folder(wanted, runs_dir)
    show_status(results(), Progress(resolved_cells(wanted, data_root), folder), wanted)


@app.command("clean")
def clean(
    suite: SuiteName,
    runs_dir: RunsDir = None,
    data_root: DataRoot = None,
    set_: Changes = None,
    everything: Annotated[bool, typer.Option("--all", help="Finished cells too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the folders of failed, skipped and unfinished cells."""
    from sfda_kit.bench.runner import removable, remove, sole_runner
    from sfda_kit.cli.output import results

    wanted = _wanted(suite, set_)
    folder = runs_folder(wanted, runs_dir)
    with sole_runner(folder):
        cells = removable(resolved_cells(wanted, data_root), folder, everything)
        if cells and not yes:
            typer.confirm(f"Remove {len(cells)} of {wanted.name}'s cells from {folder}?", abort=True)
        for cell in cells:
            remove(cell, folder)
    results().print(f"{len(cells)} removed")


@app.command("list")
def list_() -> None:
    """List the suites that come with the toolkit."""
    from sfda_kit.bench.layers import places
    from sfda_kit.bench.suite import load_suite, shipped_suites
    from sfda_kit.cli.output import results
    from sfda_kit.cli.tables import print_table, table_of

    table = table_of("name", "cells", "what it is")
    for name in shipped_suites():
        suite = load_suite(name)
        cells = sum(1 for _ in places(suite))
        table.add_row(name, str(cells), suite.title)
    print_table(results(), table)


def _wanted(name: str, changes: list[str] | None, *chosen: list[Any] | None) -> Suite:
    from sfda_kit.bench.suite import load_suite
    from sfda_kit.config.yaml import parse_assignments

    shipped = load_suite(name)
    suite = shipped.changed(parse_assignments(changes or []))
    if suite.name != shipped.name:
        from sfda_kit.cli.output import results

        told = (
            f"{suite.name}: with --set this is another suite. Its runs cannot be handed in as runs of {shipped.name}."
        )
        results().print(told, soft_wrap=True, markup=False, highlight=False)
    methods, tasks, seeds, folds = chosen or (None, None, None, None)
    return suite.only(tasks or (), methods or (), seeds or (), folds or ())


def runs_folder(suite: Suite, runs_dir: Path | None) -> Path:
    """Return the folder of the suite's runs: ``runs_dir``, else one below ``runs``."""
    return runs_dir or Path("runs") / suite.name


def resolved_cells(suite: Suite, data_root: Path | None) -> list[ResolvedCell]:
    """Return every cell with what it would run; levels of a stress that the data are too few for are left out, and
    said so. Raises ``UserError`` on an invalid setting or an unset variable."""
    from sfda_kit.cli.output import notices

    cells, left_out = _cells_and_left_out(suite, data_root)
    for sentence in left_out:
        notices().print(f"notice: {sentence}", soft_wrap=True, markup=False)
    return cells


def _cells_and_left_out(suite: Suite, data_root: Path | None) -> tuple[list[ResolvedCell], list[str]]:
    from sfda_kit.bench.cells import Resolver, expand, refuse_missing_weights
    from sfda_kit.bench.stress import without_too_much

    cells, resolver = expand(suite, data_root), Resolver()
    refuse_missing_weights(cells)
    return without_too_much(suite, [resolver(cell) for cell in cells])


def _run_and_show(
    name: str,
    changes: list[str] | None,
    chosen: Sequence[Any],
    runs_dir: Path | None,
    data_root: Path | None,
    *how: Any,
) -> None:
    from sfda_kit.cli.bench_view import show_status
    from sfda_kit.cli.output import results

    suite = _wanted(name, changes, *chosen)
    folder = runs_folder(suite, runs_dir)
    progress = execute(suite, resolved_cells(suite, data_root), folder, *how)
    show_status(results(), progress, suite)
    if suite.stress:
        _write_curves(name, changes, folder, data_root)
    exit_with(progress)


def _write_curves(name: str, changes: list[str] | None, folder: Path, data_root: Path | None) -> None:
    """Write the curves of all runs of a stress suite that have ended well, also of those that were not chosen now."""
    from sfda_kit.bench.stress_report import build_stress_page
    from sfda_kit.bench.suite import read_suite
    from sfda_kit.cli.output import results
    from sfda_kit.config.yaml import parse_assignments
    from sfda_kit.leaderboard.render.curve_files import write_curves

    suite = read_suite(name).changed(parse_assignments(changes or []))
    page = build_stress_page(suite, *_cells_and_left_out(suite.expanded(), data_root), folder)
    for path in write_curves(page, folder):
        results().print(f"written: {path}", style="dim", markup=False, soft_wrap=True)


def execute(
    suite: Suite,
    cells: Sequence[ResolvedCell],
    folder: Path,
    executor: str,
    options: list[str] | None,
    workers: int | None,
    overwrite: str,
    trackers: list[str] | None,
) -> Progress:
    """Run the cells that are due in ``folder``, with a live view. Raises ``UserError`` on a wrong option."""
    from sfda_kit.bench.runner import BEGUN_AGAIN, run_cells
    from sfda_kit.cli.bench_view import watching
    from sfda_kit.cli.output import results
    from sfda_kit.config.yaml import parse_assignments
    from sfda_kit.errors import UserError, did_you_mean
    from sfda_kit.plugins.discovery import build_part, registry

    if overwrite not in BEGUN_AGAIN:
        raise UserError(f"--overwrite {overwrite!r}: {did_you_mean(overwrite, BEGUN_AGAIN)}")
    rule: Overwrite = overwrite  # type: ignore[assignment]
    for name in trackers or ():
        registry().get("tracker", name)  # a wrong name must stop the command before any cell
    place = build_part("executor", executor, parse_assignments(options or []), workers=workers)
    limit = suite.timeout_minutes and 60 * suite.timeout_minutes
    with watching(results(), place.workers or 1) as watch:
        return run_cells(cells, folder, place, rule, watch, limit, tuple(trackers or ()))


def exit_with(progress: Progress) -> None:
    """Exit with 1 where a cell failed or was skipped."""
    found = progress.count()
    if found["failed"] or found["skipped"]:
        raise typer.Exit(1)
