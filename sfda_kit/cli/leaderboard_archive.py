"""``sfda-kit leaderboard pack``, ``verify`` and ``add``: pack runs into an archive, check it, and add it to a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.submissions.findings import ArchiveFindings
    from sfda_kit.submissions.verify import Rules

Archive = Annotated[Path, typer.Argument(help="Archive of `sfda-kit leaderboard pack`.", show_default=False)]
Suite = Annotated[str | None, typer.Option(help="Refuse runs that are not of this suite (name or YAML file).")]
Roots = Annotated[
    list[str] | None,
    typer.Option("--data-root", help="DATASET=FOLDER: compare samples and labels with the data set there."),
]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds after which a check is given up.")]
AsJson = Annotated[bool, typer.Option("--json", help="Last line of stdout: one JSON object.")]


def pack(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or folders of them.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Zip file to write.")],
    suite: Annotated[str | None, typer.Option(help="Suite of the runs (name or YAML file).")] = None,
    submitter: Annotated[str | None, typer.Option(help="Name of the submitter, as the board shows it.")] = None,
    link: Annotated[str | None, typer.Option(help="https address of code or paper.")] = None,
    notes: Annotated[str | None, typer.Option(help="One line for those who read the board.")] = None,
    with_failed: Annotated[bool, typer.Option("--with-failed", help="Take runs in that did not end well.")] = False,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Take diagrams in, and pictures of synthetic images.")
    ] = False,
) -> None:
    """Pack finished runs into one archive for a leaderboard, without weights and without paths of this disk."""
    from sfda_kit.cli.output import results
    from sfda_kit.submissions.pack import pack as write

    about = {"suite": suite, "submitter": submitter, "link": link, "notes": notes}
    packed = write(runs, out, about, with_failed, pictures)
    console = results()
    _show_notices(console, packed.findings)
    for text in packed.damaged:
        console.print(f"left out: {text}", soft_wrap=True, markup=False, emoji=False)
    count = len(packed.findings.runs)
    line = f"{count} run{'s' if count != 1 else ''} packed to {out} ({packed.size / 2**20:.1f} MiB)"
    console.print(line, soft_wrap=True, markup=False, emoji=False)
    console.print(f"sha256 {packed.findings.sha256}", soft_wrap=True, markup=False)


def verify(
    archives: Annotated[
        list[Path], typer.Argument(help="Archives of `sfda-kit leaderboard pack`.", show_default=False)
    ],
    suite: Suite = None,
    data_root: Roots = None,
    timeout: Timeout = 900,
    as_json: AsJson = False,
) -> None:
    """Check archives of strangers: say what was checked, or every reason to refuse them (exit code 1)."""
    from sfda_kit.cli.output import results
    from sfda_kit.submissions.add import read_archive_file
    from sfda_kit.submissions.sandbox import verify_in_sandbox

    rules, console = _rules(suite, data_root), results(as_json)
    reports = {path: verify_in_sandbox(read_archive_file(path), rules, timeout) for path in archives}
    for path, findings in reports.items():
        show_findings(console, path, findings)
    if as_json:
        import json

        found = [{"archive": str(path), "accepted": f.accepted, **f.model_dump()} for path, f in reports.items()]
        typer.echo(json.dumps({"archives": found}))
    if not all(findings.accepted for findings in reports.values()):
        raise typer.Exit(1)


def add(
    archive: Archive,
    records: Annotated[Path, typer.Option(help="Folder of the board's records.")],
    suite: Suite = None,
    data_root: Roots = None,
) -> None:
    """Check an archive and, when nothing speaks against it, copy its runs to the board's records."""
    from sfda_kit.cli.output import results
    from sfda_kit.submissions.add import add as take_in

    added = take_in(archive, records, _rules(suite, data_root))
    console = results()
    show_findings(console, archive, added.findings)
    if not added.findings.accepted:
        raise typer.Exit(1)
    for run_id in added.known:
        console.print(f"notice: {run_id} is there already, and the same", soft_wrap=True, markup=False, emoji=False)
    count = len(added.added)
    line = f"{count} run{'s' if count != 1 else ''} added to {records}"
    console.print(line, soft_wrap=True, markup=False, emoji=False)


def show_findings(console: Console, path: Path, findings: ArchiveFindings) -> None:
    """Print the report; all text from the archive is escaped, and no line begins with it."""
    from sfda_kit.submissions.findings import shown

    verdict = "accepted" if findings.accepted else "refused"
    name = shown(path, 300)
    console.print(f"{verdict}: {name} ({len(findings.runs)} runs)", soft_wrap=True, markup=False, emoji=False)
    _show_checks(console, findings)
    _show_notices(console, findings)
    for problem in findings.problems:
        console.print(f"refused ({problem.check}): {problem}", soft_wrap=True, markup=False, emoji=False)
    if findings.left_out:
        console.print(f"and {findings.left_out} more reasons or notices")


def _show_checks(console: Console, findings: ArchiveFindings) -> None:
    """Print what was checked; this table holds no text from the archive, so it may wrap."""
    from rich.table import Table

    from sfda_kit.submissions.findings import CHECKS

    table = Table("check", "times", "problems", "what", box=None, header_style="bold", pad_edge=False)
    for check, what in CHECKS.items():
        problems = sum(problem.check == check for problem in findings.problems)
        if check in findings.checked or problems:
            table.add_row(check, str(findings.checked.get(check, 0)), str(problems or "none"), what)
    if table.row_count:
        console.print(table)


def _show_notices(console: Console, findings: ArchiveFindings) -> None:
    for notice in findings.notices:
        console.print(f"notice ({notice.check}): {notice}", soft_wrap=True, markup=False, emoji=False)


def _rules(suite: str | None, data_root: list[str] | None) -> Rules:
    from sfda_kit.errors import UserError
    from sfda_kit.submissions.verify import Rules

    roots = {}
    for text in data_root or []:
        name, equals, folder = text.partition("=")
        if not (equals and name and Path(folder).is_dir()):
            raise UserError(f"--data-root {text!r}: expected DATASET=FOLDER of a folder that is there.")
        roots[name] = Path(folder)
    return Rules(suite=suite, roots=roots)
