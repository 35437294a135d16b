"""Pages that go stale fail: links lead somewhere, commands and settings exist."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

import sfda_kit
from sfda_kit.cli.app import app
from sfda_kit.config.models import RunConfig
from sfda_kit.config.yaml import parse_assignments
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.hookspecs import KINDS
from sfda_kit.plugins.shipped import SHIPPED

from .conftest import is_installed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md"), *ROOT.glob("benchmarks/*.md")]
)
PLACEHOLDERS = {"margin", "none", "...", "NAME"}  # margin: what the page on plugins adds


def commands(page: Path) -> list[list[str]]:
    """Words of every ``sfda-kit`` line in the page's fenced blocks, continued lines joined."""
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", page.read_text(), flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("sfda-kit ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http", "mailto")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_parts_exist(page: Path):
    absent = set()
    for words in commands(page):
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands"):
            by_default = getattr(command, "default", None) if words[0] not in command.commands else None
            command = command.commands[by_default or words.pop(0)]
        flags = {option for parameter in command.params for option in parameter.opts}
        for flag, value in pairwise([*words, ""]):
            if not flag.startswith("--"):
                continue
            assert flag in flags, f"{page.name}: sfda-kit {command.name} has no {flag}"
            kind = {"--input-bridge": "bridge", "--teacher-bridge": "bridge"}.get(flag, flag.lstrip("-"))
            for name in value.partition("=")[0].split(","):
                if (owner := SHIPPED.get((kind, name))) and not is_installed(owner):
                    absent.add(owner)
                elif kind in KINDS and name not in PLACEHOLDERS:
                    assert registry().canonical(kind, name) in registry().names(kind), f"{page.name}: no {kind} {name}"
            if flag == "--set":
                parse_assignments([value])
    if absent:
        pytest.skip(f"its parts were not looked at, because these are not installed: {', '.join(sorted(absent))}")


def test_every_method_has_a_page():
    pages = {path.parent.name: path.read_text() for path in ROOT.glob("plugins/*/README.md")}
    for kind in ("method", "bridge", "aligner"):
        for part in registry().of_kind(kind):
            if part.owner in pages:
                assert f"`{part.name}`" in pages[part.owner], f"{part.owner} does not describe {part.name}"


def text_of(*patterns: str) -> str:
    return "\n".join(page.read_text() for pattern in patterns for page in sorted(ROOT.glob(pattern)))


def test_every_method_has_a_page_of_the_site_that_says_what_it_is():
    parts = {part.name for part in registry().of_kind("method") if part.owner.startswith("sfda-kit")}
    pages = {page.stem: page.read_text() for page in ROOT.glob("docs/methods/*.md")}
    assert parts <= set(pages)
    overview = (ROOT / "docs" / "methods.md").read_text()
    for name in parts:
        assert f"(methods/{name}.md)" in overview
        for section in ("## What it computes", "## What was measured", "## When it fails"):
            assert section in pages[name], f"docs/methods/{name}.md has no {section!r}"
        assert re.search(rf"run --method {name}\s", pages[name]), f"docs/methods/{name}.md has no command to run it"


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_and_every_shipped_part_is_described(kind: str):
    text = text_of("docs/**/*.md", "plugins/*/README.md")
    assert f"`sfda_kit_register_{kind}`" in text
    shipped = [part.name for part in registry().of_kind(kind) if part.owner.startswith("sfda-kit")]
    assert [name for name in shipped if f"`{name}`" not in text] == []


def test_every_suite_and_data_set_is_described():
    suites = (ROOT / "docs" / "benchmarks.md").read_text()
    assert [path.stem for path in ROOT.glob("sfda_kit/bench/suites/*.yaml") if f"`{path.stem}`" not in suites] == []
    your_data = text_of("docs/your-data.md", "docs/rooms.md")
    assert [name for name in registry().names("dataset") if f"`{name}`" not in your_data] == []


def leaves(command: Any, words: tuple[str, ...] = ("sfda-kit",)) -> list[tuple[str, Any]]:
    if hasattr(command, "commands"):
        return [leaf for name, below in command.commands.items() for leaf in leaves(below, (*words, name))]
    return [(" ".join(words), command)]


def test_every_command_and_option_is_described():
    sections = re.split(r"^#+ `", (ROOT / "docs" / "reference" / "cli.md").read_text(), flags=re.MULTILINE)
    by_command = {section.partition("`")[0]: section for section in sections}
    for name, command in leaves(typer.main.get_command(app)):
        options = [option for one in command.params for option in one.opts if option.startswith("--")]
        assert [option for option in options if option not in by_command[name]] == [], name


def test_every_setting_is_described():
    text = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for key, field in RunConfig.model_fields.items():
        assert f"`{key}`" in text
        for inner in getattr(field.annotation, "model_fields", {}):
            assert f"| `{inner}` |" in text, f"{key}.{inner}"


def test_every_public_name_is_on_a_reference_page():
    text = text_of("docs/reference/api.md", "docs/reference/interfaces.md")
    assert [
        name for name in sfda_kit.__all__ if not re.search(rf"^::: sfda_kit\.[\w.]*\b{name}$", text, re.MULTILINE)
    ] == []


OPENINGS = [page for page in PAGES if page.parent.name in ("docs", "methods", "datasets", "reference")]
EXPLANATIONS = {"architecture.md", "write-a-plugin.md"}


@pytest.mark.parametrize(
    "page", [page for page in OPENINGS if page.name not in EXPLANATIONS], ids=lambda page: page.stem
)
def test_a_page_opens_with_a_command(page: Path):
    assert "```" in page.read_text()[:1200]
