"""The one public door: what it promises, what it costs, and that the shipped plugins need nothing else."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sfda_kit

from .public_names import COMMITTED, promise

ROOT = Path(__file__).parents[2]
MODULES = sorted(ROOT.glob("plugins/*/src/*/*.py"))
DECLARATIONS = sorted({path.parent.name for path in MODULES})


def promised() -> dict[str, str]:
    """Public names and the modules they come from, as the stub has them."""
    tree = ast.parse((ROOT / "sfda_kit" / "__init__.pyi").read_text(encoding="utf-8"))
    return {
        alias.name: f"sfda_kit.{node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def python(program: str, *arguments: str) -> str:
    """What ``program`` prints in a process of its own."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_names_and_signatures_are_those_committed():
    assert promise() == COMMITTED.read_text(encoding="utf-8"), (
        "the public door has changed; where that is meant, renew the list: python tests/door/public_names.py"
    )


@pytest.mark.parametrize("name", sorted(sfda_kit.__all__))
def test_every_public_name_says_what_it_is(name: str):
    text = getattr(sfda_kit, name).__doc__
    assert text and not text.startswith(f"{name}("), "a dataclass without a docstring gets its signature"


def test_no_module_has_the_name_of_what_is_public():
    assert not set(sfda_kit.__all__) & {module.name for module in pkgutil.iter_modules(sfda_kit.__path__)}


@pytest.mark.slow
def test_every_name_stays_what_it_is_when_every_module_is_imported():
    program = """
import importlib, pkgutil, sys, sfda_kit
for module in pkgutil.walk_packages(sfda_kit.__path__, "sfda_kit."):
    if module.name != "sfda_kit.__main__":
        importlib.import_module(module.name)
for name, origin in (line.split("=") for line in sys.argv[1:]):
    if getattr(sfda_kit, name) is not getattr(sys.modules[origin], name):
        print(name)
"""
    assert python(program, *(f"{name}={origin}" for name, origin in promised().items())) == ""
    assert set(promised()) == set(sfda_kit.__all__) == set(dir(sfda_kit))


@pytest.mark.parametrize("declaration", ["", *DECLARATIONS])
def test_declaring_parts_loads_nothing_heavy(declaration: str):
    program = """
import importlib, sys, sfda_kit
from sfda_kit import Component, hookimpl
for module in sys.argv[1:]:
    importlib.import_module(module)
print(*{"torch", "timm", "pydantic", "numpy"} & set(sys.modules))
"""
    assert python(program, *filter(None, [declaration])) == ""


def by_another_way(tree: ast.AST) -> Iterator[str]:
    """Whatever a module takes of sfda_kit's inside, by any import or by the name of a module in text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if (node.module or "").startswith("sfda_kit."):
                yield f"line {node.lineno}: from {node.module} import ..."
            if node.module == "sfda_kit":
                yield from (f"line {node.lineno}: {a.name}" for a in node.names if a.name not in sfda_kit.__all__)
        elif isinstance(node, ast.Import):
            yield from (f"line {node.lineno}: {a.name}" for a in node.names if a.name.startswith("sfda_kit."))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"sfda_kit\.[\w.:]+", str(node.value)):
            yield f"line {node.lineno}: {node.value!r}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_shipped_plugins_use_the_door_alone(module: Path):
    assert not list(by_another_way(ast.parse(module.read_text(encoding="utf-8"))))


def examples() -> Iterator[tuple[str, str]]:
    """The Python of the pages, by page."""
    for page in sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/README.md"), ROOT / "README.md"]):
        for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            yield str(page.relative_to(ROOT)), code


@pytest.mark.parametrize(("page", "code"), list(examples()))
def test_examples_of_the_pages_use_the_door_alone(page: str, code: str):
    assert [way for way in by_another_way(ast.parse(code)) if "from sfda_kit.testing import" not in way] == [], page


@pytest.mark.parametrize(
    "code",
    [
        "from sfda_kit.errors import UserError",
        "if TYPE_CHECKING:\n    from sfda_kit.models.network import Network",
        "def late():\n    import sfda_kit.device",
        "from sfda_kit import models",
        "import_module('sfda_kit.device')",
    ],
)
def test_any_other_way_would_be_seen(code: str):
    assert list(by_another_way(ast.parse(code)))


def test_a_misspelt_name_is_refused():
    with pytest.raises(AttributeError, match="Brdge"):
        _ = sfda_kit.Brdge
