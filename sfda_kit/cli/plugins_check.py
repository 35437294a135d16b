"""``sfda-kit plugins check``: do installed parts honour their contracts, and is the installation as it should be?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli import completion, options

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component
    from sfda_kit.plugins.discovery import Installation
    from sfda_kit.testing.report_card import ReportCard


def check(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A part or a plugin package; without: all that is installed.", autocompletion=completion.any_part
        ),
    ] = None,
    kind: options.Kind = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Option of the part: KEY=VALUE, or dataset.KEY=VALUE; repeatable.")
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of a small data set, to check a data set on.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check a part against its contract, or all installed plugins for faults. Exit code 1: something is wrong."""
    from sfda_kit.errors import UserError

    if not __debug__:
        raise UserError("Python was started with -O, which leaves out all checks. Start it without.")
    if name is None:
        if kind or set_ or data_root:
            raise UserError("--kind, --set and --data-root are for one part: sfda-kit plugins check NAME")
        passed = _check_installation(json_)
    else:
        passed = _check_parts(_chosen(name, kind), set_ or [], data_root, json_)
    if not passed:
        raise typer.Exit(1)


def _chosen(name: str, kind: str | None) -> list[Component]:
    """Return the parts of the distribution ``name``, or those that are called so. Raises ``UserError``."""
    from packaging.utils import canonicalize_name

    from sfda_kit.errors import UserError
    from sfda_kit.plugins.discovery import installation

    found, wanted = installation(), canonicalize_name(name)
    if failed := next((plugin for plugin in found.failed if canonicalize_name(plugin.owner) == wanted), None):
        raise UserError(f"{failed} could not be loaded. What to do: {failed.remedy}.")
    theirs = [part for part in found.registry.components.values() if canonicalize_name(part.owner) == wanted]
    return [part for part in theirs if kind in (None, part.kind)] or found.registry.named(name, kind)


def _check_parts(parts: Sequence[Component], assignments: list[str], data_root: Path | None, as_json: bool) -> bool:
    from sfda_kit.cli.output import results
    from sfda_kit.config.yaml import parse_assignments
    from sfda_kit.errors import UserError
    from sfda_kit.testing.report_card import check_part

    options = parse_assignments(assignments)
    named = ", ".join(f"{part.kind} {part.name}" for part in parts)
    if options and len(parts) > 1:
        raise UserError(f"--set is for one part, and these are {named}.")
    settings = options.pop("dataset", {})
    if (settings or data_root) and all(part.kind != "dataset" for part in parts):
        raise UserError(f"--data-root and --set dataset.KEY=VALUE are for a data set, and here is {named}.")
    if not isinstance(settings, dict):
        raise UserError(f"--set dataset={settings}: expected dataset.KEY=VALUE, such as dataset.source=rgb@cam")
    options |= settings.pop("options", {})
    console, cards = results(as_json), []
    for part in parts:
        cards.append(check_part(part, options, settings, data_root))
        for line in _card(cards[-1]):
            console.print(line, soft_wrap=True)
    passed = all(card.passed for card in cards)
    if as_json:
        typer.echo(json.dumps({"passed": passed, "parts": [_as_data(card) for card in cards]}, indent=1))
    return passed


def _card(card: ReportCard) -> Iterator[str]:
    """Yield the lines of a report card, in the markup of Rich."""
    from rich.markup import escape

    part, failed = card.part, [result for result in card.results if not result.passed]
    yield f"[bold]{part.kind} {escape(part.name)}[/], from {part.owner} {part.version}"
    for result in card.results:
        word = "[green]pass[/]" if result.passed else "[bold red]FAIL[/]"
        yield f"  {word}  {result.name.removeprefix('test_').replace('_', ' ')}: {escape(result.sentence)}"
    if card.skipped:
        yield f"  [yellow]skip[/]  {escape(card.skipped)}"
    elif failed:
        yield f"  {len(failed)} of {len(card.results)} checks failed"


def _as_data(card: ReportCard) -> dict[str, Any]:
    checks = [
        {"name": one.name.removeprefix("test_"), "passed": one.passed, "sentence": one.sentence} for one in card.results
    ]
    about = {key: getattr(card.part, key) for key in ("kind", "name", "owner", "version")}
    return {**about, "passed": card.passed, "skipped": card.skipped, "checks": checks}


def plugins_as_data(found: Installation) -> list[dict[str, str]]:
    """Return the installed packages as ``--json`` has them."""
    return [{"name": one.owner, "version": one.version, "error": one.error} for one in found.plugins]


def _check_installation(as_json: bool) -> bool:
    from dataclasses import asdict

    from sfda_kit.cli.output import results
    from sfda_kit.plugins.discovery import installation
    from sfda_kit.plugins.faults import all_faults

    found = installation()
    faults, console = all_faults(found), results(as_json)
    for fault in faults:
        word = "[bold red]FAIL[/]  " if fault.is_error else "[yellow]notice[/]"
        console.print(word, end="  ")
        console.print(
            f"{fault}" + (f"; what to do: {fault.remedy}" if fault.remedy else ""), markup=False, soft_wrap=True
        )
    passed = not any(fault.is_error for fault in faults)
    counted = f"{len(found.plugins)} packages, {len(found.registry.components)} parts"
    console.print(f"{counted}: {'no errors' if passed else 'not as they should be'}")
    if as_json:
        told = {"passed": passed, "plugins": plugins_as_data(found), "faults": [asdict(fault) for fault in faults]}
        typer.echo(json.dumps(told, indent=1))
    return passed
