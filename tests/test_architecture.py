"""The package is what its map in ``docs/architecture.md`` says: rooms, their order, and no way back up."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sfda_kit"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
LARGEST_ROOM = 0.2
"""Share of the core's lines."""


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module of the core, by its name below ``sfda_kit``."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    return found


def mapped() -> list[str]:
    """Rooms and files of the map from top to bottom, without the ending ``/`` or ``.py``."""
    (block,) = re.findall(r"```\nsfda_kit/\n(.*?)```", PAGE, flags=re.DOTALL)
    return [line.split()[0].removesuffix("/").removesuffix(".py") for line in block.splitlines()]


def imports(node: ast.AST) -> Iterator[str]:
    """Modules of the core that are imported when the module is: not in functions, not for types alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").partition(".")[0] == "sfda_kit":
            inside = (child.module or "").removeprefix("sfda_kit").lstrip(".")
            for alias in child.names:
                longer = f"{inside}.{alias.name}".lstrip(".")
                yield longer if longer in modules() else inside
        yield from imports(child)


def test_the_map_names_every_room_and_file_and_nothing_else():
    there = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    there |= {path.stem for path in PACKAGE.glob("*.py")}
    assert sorted(mapped()) == sorted(there - {"__init__"})


def test_files_that_the_page_names_exist():
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", PAGE)
    assert len(named) > 20
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_no_room_imports_what_stands_above_it():
    floor = {room: -number for number, room in enumerate(mapped())}
    upwards = [
        f"{module} -> {other}"
        for module, tree in modules().items()
        for other in imports(tree)
        if module and other and floor[other.partition(".")[0]] > floor[module.partition(".")[0]]
    ]
    assert upwards == []


def test_no_files_import_each_other_in_a_circle():
    graph = {module: {other for other in imports(tree) if other != module} for module, tree in modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_no_room_holds_much_more_than_others():
    lines: dict[str, int] = defaultdict(int)
    for path in PACKAGE.rglob("*.py"):
        lines[path.relative_to(PACKAGE).parts[0]] += len(path.read_text().splitlines())
    assert max(lines.values()) <= LARGEST_ROOM * sum(lines.values())


def test_each_public_class_has_a_name_of_its_own():
    places: dict[str, list[str]] = defaultdict(list)
    for path in [*PACKAGE.rglob("*.py"), *ROOT.glob("plugins/*/src/**/*.py")]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
