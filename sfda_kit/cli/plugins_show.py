"""``sfda-kit plugins show``: everything that is known of a part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli import completion, options

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component


def show(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a part, for example nrc, or the YAML file of a method.", autocompletion=completion.any_part
        ),
    ],
    kind: options.Kind = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON: a list with one object for each part.")] = False,
    yaml: Annotated[bool, typer.Option("--yaml", help="Print the recipe of a method as a file for --method.")] = False,
) -> None:
    """Show one part: its options, paper, presets and recipe, and where it differs from its authors' code."""
    from sfda_kit.cli.output import results
    from sfda_kit.config.method_files import is_method_file, read_method
    from sfda_kit.config.part_description import describe_part
    from sfda_kit.plugins.discovery import registry

    parts = [read_method(Path(name))] if is_method_file(name) else registry().named(name, "method" if yaml else kind)
    if yaml:
        typer.echo(_as_file(parts[0]), nl=False)
        return
    found = [describe_part(part) for part in parts]
    if json_:
        typer.echo(json.dumps(found, indent=1, default=str))
        return
    for described in found:
        results().print("\n".join(_lines(described)), markup=False, soft_wrap=True)


def _as_file(method: Component) -> str:
    """Return the text of a file from which ``--method`` runs the same recipe. Raises ``UserError`` where none can."""
    from sfda_kit.config.method_text import method_text
    from sfda_kit.errors import UserError
    from sfda_kit.interfaces.recipe import Recipe
    from sfda_kit.runs.plan import own_recipe

    if not isinstance(method.load(), Recipe):
        raise UserError(
            f"The method {method.name!r} has a training loop of its own, which no file can hold. Begin with a method "
            "that is a recipe, such as shot, or write a plugin: sfda-kit plugins new my-sfda --method my-method"
        )
    return method_text(method, own_recipe(method), f"my-{method.declared_name}")


def _lines(part: Mapping[str, Any]) -> Iterator[str]:
    alias = f" (also called {part['alias']})" if part["alias"] else ""
    origin = f", from {part['owner']} {part['version']}" if part["owner"] else ""
    yield f"{part['kind']} {part['name']}{alias}{origin}: {part['summary']}"
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
    if part["uses"]:
        yield f"uses, beside source model and target images: {', '.join(part['uses'])}"
    if part["tuned_on"]:
        yield f"tuned on: {', '.join(part['tuned_on'])}"
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
