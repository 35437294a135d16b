"""A hash of the code of a part, so that an edited part is never answered from what the old one left."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component

CORE = "sfda_kit"
"""The core's own package. Its algorithm versions stand for what a part imports from it."""


def code_hash(part: Component) -> str:
    """Return 16 hex digits that follow from the code of the part's module and of what it imports of its own package.

    Code is the syntax tree without docstrings, so comments, docstrings and layout do not count, nor whether the
    package is installed from a wheel or from a checkout. A module without source text counts with its bytes, and one
    without a file (made in memory, as in a notebook) with its name alone.
    """
    return _hash_of(part.target.partition(":")[0])


@cache
def _hash_of(module: str) -> str:
    found = hashlib.sha256()
    for name, code in sorted(_with_imports(module).items()):
        found.update(f"{name}\n".encode() + code)
    return found.hexdigest()[:16]


def _with_imports(module: str) -> dict[str, bytes]:
    """Return the code of ``module`` and of all modules of its package that it imports, by name."""
    package, code, waiting = module.partition(".")[0], dict[str, bytes](), [module]
    while waiting:
        name = waiting.pop()
        if name in code:
            continue
        path = source_path(name)
        if path is None:
            code |= {name: b""} if name == module else {}
            continue
        if path.suffix != ".py":
            code[name] = path.read_bytes()
            continue
        tree = ast.parse(path.read_bytes())
        code[name] = ast.dump(_without_docstrings(tree)).encode()
        if package != CORE:
            waiting += [found for found in _imported(tree, name, path) if found.partition(".")[0] == package]
    return code


def source_path(name: str) -> Path | None:
    """Return the file of a module, None where there is none of this name (it is then a name inside a module).

    Only the top package is looked up by Python; a look-up of a module in it would import the modules above it.
    """
    top, *below = name.split(".")
    try:
        spec = find_spec(top)
    except ValueError:  # a module that was made in memory
        return None
    if spec is None:
        return None
    if not below:
        return Path(spec.origin) if spec.origin and Path(spec.origin).is_file() else None
    folders = [Path(folder).joinpath(*below[:-1]) for folder in spec.submodule_search_locations or ()]
    endings = ("/__init__.py", ".py", *EXTENSION_SUFFIXES)
    files = (folder / f"{below[-1]}{ending}" for folder in folders for ending in endings)
    return next((file for file in files if file.is_file()), None)


def _imported(tree: ast.AST, module: str, path: Path) -> Iterator[str]:
    """Yield the full names of what ``module`` imports, each with the names that may be modules in it."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")
            start = ".".join(above[: len(above) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, (start, node.module)))
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and _is_text(node.body):
            node.body = node.body[1:]
    return tree


def _is_text(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def part_identity(kind: str, name: str) -> list[str]:
    """Return owner, name and code of an installed part, for the identity of what it takes part in.

    The name is the declared one, so that it is the same part whether or not others declare that name too.
    """
    from sfda_kit.plugins.discovery import registry

    part = registry().get(kind, name)
    return [part.owner, part.declared_name, code_hash(part)]
