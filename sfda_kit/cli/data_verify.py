"""``sfda-kit data verify``: check every file of a data set before any training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import flags, options

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.verify.dataset import Progress
    from sfda_kit.verify.findings import Finding
    from sfda_kit.verify.report import Report


def verify(
    dataset: options.DatasetName,
    data_root: options.DataRoot = None,
    quick: Annotated[
        bool,
        typer.Option("--quick/--deep", help="Names, headers and pairs; deep (default): all pixels too."),
    ] = False,
    source: Annotated[str | None, typer.Option(help="MODALITY@DOMAIN, to check that task alone.")] = None,
    target: Annotated[str | None, typer.Option(help="MODALITY@DOMAIN, with --source.")] = None,
    split: options.Split = None,
    tr_classes: Annotated[str | None, typer.Option(help="Task-relevant classes: A,B,...")] = None,
    ti_classes: Annotated[str | None, typer.Option(help="Task-irrelevant classes: C,D,...")] = None,
    split_seed: options.SplitSeed = None,
    shares: options.Shares = None,
    group_pattern: options.GroupPattern = None,
    unit: options.Unit = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count what --skip-bad would leave out as no error.")
    ] = False,
    manifest: Annotated[
        Path | None, typer.Option(help="Sizes and hashes to compare with; default: in the cache, written once.")
    ] = None,
    fix_manifest: Annotated[
        bool, typer.Option("--fix-manifest", help="Accept what is on the disk: write the manifest again.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Findings of each kind that are printed.")] = 20,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; 0: in this one. Default: one a core.")] = None,
    set_: options.Assignments = None,
    json: options.AsJson = False,
) -> None:
    """Check a data set: every finding with its path and what to do. Exit code 1 where a run would stop or be wrong."""
    from sfda_kit.cli.output import results
    from sfda_kit.verify.dataset import Request
    from sfda_kit.verify.dataset import verify as look

    given = {name: value for name, value in locals().items() if name in options.SETTINGS and name != "skip_bad"}
    with flags.json_of_error(json, status="failed", dataset=dataset):
        config = flags.without_method(given, set_).dataset
        told = source is not None and target is not None
        request = Request(config, told, not quick, skip_bad, fix_manifest, manifest, workers)
        with _progress(results(True)) as progress:
            report = look(request, progress)
    show(results(json), report, limit)
    if json:
        flags.print_json(report.as_dict())
    if report.errors:
        raise typer.Exit(1)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    """Show a progress bar on a terminal, and nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from sfda_kit.cli.output import is_interactive

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not is_interactive(console)) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)


def show(console: Console, report: Report, limit: int) -> None:
    """Print the findings by kind, errors first; names of files are escaped."""
    for code, found in report.by_code().items():
        _show_kind(console, code, found, limit, report.skip_bad)
    wrong, told = _counted(report.errors, "error"), _counted(report.notices, "notice")
    looked = f"{report.samples:,} samples, {report.files:,} files, {report.bytes / 1e6:,.1f} MB"
    line = f"{report.dataset}: {looked}, in {report.seconds:.1f} s: {wrong}, {told}"
    console.print(line, soft_wrap=True, markup=False)
    if report.synthetic:
        console.print("The pictures are synthetic: no figure on them is one of the real set.", markup=False)
    if report.left_out:
        advice = "a run with --skip-bad leaves" if not report.skip_bad else "such a run leaves"
        console.print(f"{advice} {report.left_out} samples out", markup=False)
    if report.manifest:
        what = "written to" if report.manifest_written else "at"
        console.print(f"manifest {what} {_shown(str(report.manifest))}", soft_wrap=True, markup=False)


def _show_kind(console: Console, code: str, found: list[Finding], limit: int, skip_bad: bool) -> None:
    rule = found[0].rule
    kind = "left out" if skip_bad and rule.skippable else rule.severity
    style = "bold red" if kind == "error" else "bold yellow"
    remedies = {one.remedy or rule.remedy for one in found}
    common = f" {remedies.pop()}" if len(remedies) == 1 else ""
    console.print(
        _shown(f"{kind}: {rule.title} ({len(found)}, {code}).{common}"), style=style, soft_wrap=True, markup=False
    )
    for one in found[:limit]:
        own = "" if common else f". {one.remedy or rule.remedy}"
        where = "" if one.path == "." else f"{one.path}: "
        line = _shown(f"{where}{one.what}{own}")
        console.print(f"  {line}", soft_wrap=True, markup=False)
    if len(found) > limit:
        console.print(f"  ... and {len(found) - limit} more (--limit, --json)", markup=False)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _shown(text: str) -> str:
    from sfda_kit.errors import printable

    return printable(text)
