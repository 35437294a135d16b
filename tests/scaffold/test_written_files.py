"""What ``plugins new`` writes: files that parse, declarations that lead somewhere, and no folder twice."""

from __future__ import annotations

import ast
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from typer.testing import Result

from sfda_kit import INTERFACE_VERSION, Job, Outcome, Recipe, __version__
from sfda_kit.plugins.declarations import declared_parts
from sfda_kit.scaffold.kinds import PART_KINDS
from sfda_kit.scaffold.new_plugin import new_plugin
from sfda_kit.scaffold.writing import rendered, requirement

AUTHOR = 'Ä. "Nick" Person \\ Sons'


def files(kind: str, name: str = "mine") -> dict[str, str]:
    return dict(rendered(new_plugin("my-sfda", {kind: [name]}, AUTHOR)))


def as_module(code: str) -> ModuleType:
    module = ModuleType("written")
    exec(compile(code, "written", "exec"), vars(module))
    return module


@pytest.mark.parametrize("kind", PART_KINDS)
def test_the_files_of_each_kind_alone_parse(kind: str):
    written = files(kind)
    for name, text in written.items():
        assert "{%" not in text and "{{" not in text.replace("${{", ""), name
        if name.endswith(".py"):
            ast.parse(text, name)
    assert yaml.safe_load(written[".github/workflows/ci.yml"])["jobs"]["tests"]["steps"]
    assert AUTHOR in written["LICENSE"]
    if sys.version_info >= (3, 11):
        import tomllib

        project = tomllib.loads(written["pyproject.toml"])["project"]
        assert project["authors"] == [{"name": AUTHOR}]
        assert project["entry-points"]["sfda_kit"] == {"my-sfda": "my_sfda"}


@pytest.mark.parametrize("kind", PART_KINDS)
def test_a_declaration_leads_to_a_module_that_has_a_test(kind: str):
    written = files(kind)
    declarations = written["src/my_sfda/__init__.py"]
    (part,) = declared_parts(as_module(declarations), "my-sfda", "0.1.0")
    assert (part.kind, part.name) == (kind, "mine")
    module, _, attribute = part.target.partition(":")
    tree = ast.parse(written[f"src/{module.replace('.', '/')}.py"])
    assert f"class {attribute}(" in ast.unparse(tree) or f"{attribute} = " in ast.unparse(tree)
    test = ast.parse(written[f"tests/test_mine_{kind}.py"])
    assert [node for node in test.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    imported = {name for node in ast.walk(ast.parse(declarations)) for name in names_imported(node)}
    assert imported == {"__future__", "sfda_kit"}, "listing has to stay cheap"


def names_imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_the_smallest_plugins_are_small():
    module = files("aligner")["src/my_sfda/mine_aligner.py"]
    code = [node for node in ast.walk(ast.parse(module)) if isinstance(node, ast.stmt) and not is_docstring(node)]
    assert len(code) <= 12
    recipe = [line for line in files("method")["src/my_sfda/mine_method.py"].splitlines() if line]
    assert len(recipe) <= 13, "a docstring and twelve lines"


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_the_versions_that_a_plugin_asks_for_are_those_of_the_interface():
    allowed = Requirement(requirement()).specifier
    assert allowed.contains(Version(__version__), prereleases=True)
    assert not allowed.contains(f"{Version(__version__).major + 1}.0")
    assert f'SFDA_KIT_INTERFACE = "{INTERFACE_VERSION}"' in files("aligner")["src/my_sfda/__init__.py"]


def test_a_method_uses_the_parts_that_are_written_with_it():
    parts = {kind: [f"my-{kind}"] for kind in ("bridge", "aligner", "labeler", "method")}
    code = dict(rendered(new_plugin("my-sfda", parts)))["src/my_sfda/my_method_method.py"]
    recipe = as_module(code).METHOD
    assert recipe.input_bridge.name == "my-bridge"
    assert set(recipe.phases[0].aligners) == {"infomax", "my-aligner"}
    assert recipe.phases[0].labeler.name == "my-labeler"
    assert as_module(files("method")["src/my_sfda/mine_method.py"]).METHOD.phases[0].labeler.name == "centroid"


def test_a_method_in_a_file_becomes_the_recipe_of_the_package():
    summary, paper = 'two "terms" | \\ more', "https://example.org"
    told = {"name": "mine", "summary": summary, "paper": paper, "settings": {"adapt": {"lr": 0.5}, "encoding": "jet"}}
    recipe = {"teacher_bridge": "copy", "phases": [{"name": "a", "aligners": {"infomax": 1}}, {"train": "none"}]}
    Path("mine.yaml").write_text(yaml.safe_dump({**told, **recipe}))
    written = dict(rendered(new_plugin("my-sfda", {"method": ["mine.yaml"], "aligner": ["margin"]})))
    made = as_module(written["src/my_sfda/mine_method.py"]).METHOD
    assert made == Recipe.model_validate({"summary": summary, **recipe})
    declarations = declared_parts(as_module(written["src/my_sfda/__init__.py"]), "my-sfda", "0.1.0")
    (part,) = (part for part in declarations if part.kind == "method")
    assert (part.name, part.summary, part.paper) == ("mine", summary, paper)
    assert part.settings == {"adapt": {"lr": 0.5}, "encoding": {"name": "jet"}}
    assert f"| method | `mine` | {summary.replace('|', chr(92) + '|')} |" in written["README.md"]


def test_the_executor_kills_what_runs_when_it_is_closed(tmp_path: Path):
    """Its conformance suite runs true cells, which take long; here a cell is a thread that waits to be killed."""
    module = as_module(files("executor")["src/my_sfda/mine_executor.py"])

    class Cell:
        def __init__(self) -> None:
            self.killed = threading.Event()
            self.kill = self.killed.set

    def run_job(job: Job, threads: int, started: Callable[[Cell], object]) -> Outcome:
        started(cell := Cell())
        assert job.key == "short" or cell.killed.wait(60)
        return Outcome(job.key)

    vars(module)["run_job"] = run_job
    jobs = [Job(key, key, {}, tmp_path) for key in ("endless", "short", "waiting", "another")]
    outcomes = module.MineExecutor(workers=2).run(jobs)
    assert next(outcomes).key == "short"
    outcomes.close()
    assert [outcome.key for outcome in module.MineExecutor(workers=2).run(jobs[1:2])] == ["short"]


def test_a_plugin_is_written_once(sfda_kit: Callable[..., Result]):
    done = sfda_kit("plugins", "new", "my-sfda", "--aligner", "margin", "--out", "here/it is")
    assert done.exit_code == 0
    assert "cd 'here/it is'" in done.stdout and "sfda-kit plugins check my-sfda" in done.stdout
    before = sorted(Path("here").rglob("*"))
    again = sfda_kit("plugins", "new", "my-sfda", "--method", "margin", "--out", "here/it is")
    assert again.exit_code == 2 and "exists already" in str(again.exception)
    assert sorted(Path("here").rglob("*")) == before


def test_nothing_is_written_where_a_name_is_wrong_or_the_folder_cannot_be_made(sfda_kit: Callable[..., Result]):
    assert sfda_kit("plugins", "new", "my-sfda", "--aligner", "infomax").exit_code == 2
    Path("file").write_text("")
    refused = sfda_kit("plugins", "new", "my-sfda", "--aligner", "margin", "--out", "file/plugin")
    assert refused.exit_code == 2 and "cannot be written" in str(refused.exception)
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_without_a_terminal_it_says_what_to_give(sfda_kit: Callable[..., Result]):
    refused = sfda_kit("plugins", "new", "my-sfda")
    assert refused.exit_code == 2
    assert "--aligner margin --method margin" in str(refused.exception)
    assert all(kind in str(refused.exception) for kind in PART_KINDS)


@pytest.mark.slow
def test_on_a_terminal_it_asks_for_the_parts():
    here, there = pty.openpty()
    answers = "".join("margin\n" if kind in ("aligner", "method") else "\n" for kind in PART_KINDS)
    os.write(here, answers.encode())
    command = [sys.executable, "-m", "sfda_kit", "plugins", "new", "my-sfda"]
    done = subprocess.run(command, stdin=there, capture_output=True, text=True, check=True, timeout=120)
    assert "sfda-kit run --method margin" in done.stdout
    written = {path.name for path in Path("my-sfda/src/my_sfda").iterdir()}
    assert written == {"__init__.py", "py.typed", "margin_aligner.py", "margin_method.py"}
