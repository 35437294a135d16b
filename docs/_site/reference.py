"""Reference pages that are made from the code: commands, settings, formats and public names."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from tables import table
from typer.cli import get_docs_for_click

from sfda_kit.bench.suite import Suite, load_suite
from sfda_kit.cli.app import app
from sfda_kit.config.merging import merge_settings

PACKAGE = Path(__file__).parents[2] / "sfda_kit"


def commands() -> str:
    """Return all commands with their options, as Typer describes them."""
    group = typer.main.get_command(app)
    _with_whole_summaries(group)
    text = get_docs_for_click(obj=group, ctx=typer.Context(group), name="sfda-kit")
    text = re.sub(r"</?span[^>]*>", "", text).replace("&#x27;", "'").replace("&lt;", "<").replace("&gt;", ">")
    text = re.sub(r" *(?:\[dim\])?\\?\[default: (.*?)\](?:\[/\])?$", r" Default: \1.", text, flags=re.MULTILINE)
    text = re.sub(r"^Examples?:\n((?:sfda-kit .*\n?)+)", r"\n```sh\n\1```\n", text, flags=re.MULTILINE)
    return "\n".join(
        line.rstrip() for line in text.split("\n", 1)[1].replace("\n$ sfda-kit", "\nsfda-kit").splitlines()
    )


def _with_whole_summaries(command: Any) -> None:
    """Let lists of commands say the first sentence of each description, which Click cuts to 45 characters."""
    command.short_help = command.get_short_help_str(limit=1000)
    for below in getattr(command, "commands", {}).values():
        _with_whole_summaries(below)


def model(path: str) -> str:
    """Return the fields of a pydantic model, with what its docstring says."""
    module, _, name = path.partition(":")
    found: type[BaseModel] = getattr(importlib.import_module(module), name)
    rows = [[f"`{key}`", f"`{_type(found, key)}`", _default(field)] for key, field in found.model_fields.items()]
    return f"{_plain(found)}\n\n{table(['key', 'type', 'default'], rows, left=3)}"


def public_names() -> str:
    """Return every public name, for mkdocstrings to describe, by the room in which it is made."""
    described = (PACKAGE.parent / "docs" / "reference" / "interfaces.md").read_text()
    rooms: dict[str, list[str]] = defaultdict(list)
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            rooms[(node.module or "").partition(".")[0]] += [
                f"sfda_kit.{node.module}.{alias.name}" for alias in node.names
            ]
    lines = []
    for room, names in rooms.items():
        elsewhere = [f"`{name.rpartition('.')[2]}`" for name in names if f"::: {name}\n" in described]
        lines.append(f"## {room.replace('_', ' ')}\n")
        lines += [f"On the page [interfaces](interfaces.md): {', '.join(elsewhere)}.\n"] if elsewhere else []
        lines += [f"::: {name}\n" for name in names if f"::: {name}\n" not in described]
    return "\n".join(lines)


def _type(found: type[BaseModel], key: str) -> str:
    text = next(str(one.__annotations__[key]) for one in found.__mro__ if key in one.__annotations__)
    return re.sub(r"^Annotated\[(.+), \w+\(.*\)\]$", r"\1", text).replace("None", "null").replace("|", "\\|")


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default if field.default is not PydanticUndefined else field.default_factory()
    shown = value.model_dump() if isinstance(value, BaseModel) else value
    if isinstance(value, BaseModel) or shown == "":
        return "see there" if shown else "empty"
    return f"`{shown}`".replace("None", "null")


def _plain(found: type) -> str:
    text = inspect.getdoc(found) or ""
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def suites() -> str:
    """Return the shipped suites."""
    found = {path.stem: load_suite(path.stem) for path in sorted((PACKAGE / "bench" / "suites").glob("*.yaml"))}
    rows = [
        [f"`{name}`", suite.title, _data_of(suite), f"{len(suite.tasks)}", f"{len(suite.seeds)}"]
        for name, suite in found.items()
    ]
    return table(["suite", "what it runs", "data", "tasks", "seeds"], rows, left=3)


def _data_of(suite: Suite) -> str:
    """Return where the data of a suite come from: the variable that names their folder, ``--data-root``, or nowhere."""
    if variable := re.match(r"\$(\w+)", suite.data_root or ""):
        return f"`{variable[1]}`"
    settings = (merge_settings(suite.settings, task) for task in suite.tasks.values())
    names = {told.get("dataset", {}).get("name", "rooms") for told in settings}
    return "none needed" if names == {"rooms"} else "`--data-root`"
