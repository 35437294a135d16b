"""Every shipped aligner and labeler stands on functions of tensors that its package exports for other loops."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from typing import Any

import pytest

from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.shipped import SHIPPED

PARTS = [
    part
    for kind in ("aligner", "labeler")
    for part in registry().of_kind(kind)
    if part.owner in {"sfda-kit", *SHIPPED.values()}
]
each_part = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)


def called(kind: type) -> set[str]:
    """The names that a class calls as functions."""
    tree = ast.parse(inspect.getsource(kind))
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


@each_part
def test_a_part_calls_the_functions_that_its_package_exports(part: Component) -> None:
    package = import_module(part.package)
    assert part.functions, f"{part} declares no functions (Component.functions)"
    assert set(part.functions) <= set(package.__all__), f"{part.package} does not export them in its __init__.pyi"
    assert set(part.functions) <= called(part.load())


@each_part
def test_the_loss_says_its_source(part: Component) -> None:
    text: Any = getattr(import_module(part.package), part.functions[-1]).__doc__
    assert all(word in text for word in ("Return", "Source", "http")), text


def test_a_package_exports_nothing_else() -> None:
    exported: dict[str, set[str]] = {}
    for part in PARTS:
        exported.setdefault(part.package, set()).update(part.functions)
    exported.pop("sfda_kit")
    assert {package: set(import_module(package).__all__) for package in exported} == exported
