"""``sfda-kit plugins show``: everything that is known of a part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from sfda_kit.cli import completion, options


def show(
    name: Annotated[str, typer.Argument(help="Name of a part, for example nrc.", autocompletion=completion.any_part)],
    kind: options.Kind = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON: a list with one object for each part.")] = False,
) -> None:
    """Show one part: its options, paper, presets and recipe, and where it differs from its authors' code."""
    from sfda_kit.cli.output import results
    from sfda_kit.config.part_description import describe_part
    from sfda_kit.plugins.discovery import registry

    found = [describe_part(part) for part in registry().named(name, kind)]
    if json_:
        typer.echo(json.dumps(found, indent=1, default=str))
        return
    for described in found:
        results().print("\n".join(_lines(described)), markup=False, soft_wrap=True)


def _lines(part: Mapping[str, Any]) -> Iterator[str]:
    alias = f" (also called {part['alias']})" if part["alias"] else ""
    yield f"{part['kind']} {part['name']}{alias}, from {part['owner']} {part['version']}: {part['summary']}"
    if part["paper"]:
        yield f"paper: {part['paper']}"
    if part["functions"]:
        yield f"in a training loop of your own: from {part['package']} import {', '.join(part['functions'])}"
    if part["error"]:
        yield f"cannot be used here: {part['error']}"
    doc = part["doc"].partition("\n\n")[0] if part["options"] else part["doc"]  # the rest is told option by option
    yield from (f"  {line}".rstrip() for line in doc.replace("``", "`").splitlines())
    if part["reads"]:
        yield f"reads: {', '.join(part['reads'])}"
    yield from _options(part)
    yield from (f"sets {key}: {value}" for key, value in part["settings"].items())
    yield from (f"{key}: {value}" for key, value in (part["weights"] or {}).items())
    if part["recipe"]:
        yield from _recipe(part["recipe"])
    for preset in part["presets"]:
        yield f"preset {preset['name']}: {preset['summary']}"
        yield from (f"  {line}" for line in (f"from {preset['origin']}", *preset["notes"].splitlines()))
    for deviation in part["deviations"]:
        yield f"deviation, {deviation['of']}"
        yield from (f"  {key}: {deviation[key]}" for key in ("theirs", "ours", "why", "effect"))


def _options(part: Mapping[str, Any]) -> Iterator[str]:
    if not part["options"]:
        return
    yield "options" + (f" (--set {part['options_key']}.NAME=VALUE):" if part["options_key"] else ":")
    for option in part["options"]:
        kind = f": {option['type']}" if option["type"] else ""
        default = ", required" if option["required"] else f" = {json.dumps(option['default'])}"
        yield f"  {option['name']}{kind}{default}" + (f"  {option['doc']}" if option["doc"] else "")


def _recipe(recipe: Mapping[str, Any]) -> Iterator[str]:
    for role in ("input_bridge", "teacher_bridge"):
        if bridge := recipe[role]:
            yield f"{role.replace('_', ' ')}: {_with_options(bridge)}"
    for phase in recipe["phases"]:
        yield f"phase {phase['name']}: length {phase['length']:g}, trains {phase['train']}"
        for name, aligner in phase["aligners"].items():
            yield f"  aligner {aligner['weight']:g} x {_with_options({'name': name, **aligner})}"
        if labeler := phase["labeler"]:
            yield f"  labeler {labeler['weight']:g} x {_with_options(labeler)}"


def _with_options(part: Mapping[str, Any]) -> str:
    told = [f"{key}={value}" for key, value in part["options"].items()]
    told += [f"objective {part['objective']}"] if part.get("objective") else []
    told += ["changes on the way"] if part.get("changes") else []
    return f"{part['name']}" + (f" ({', '.join(told)})" if told else "")
