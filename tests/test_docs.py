"""Pages that go stale fail: links lead somewhere, commands and settings exist."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from sfda_kit.cli.app import app
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
