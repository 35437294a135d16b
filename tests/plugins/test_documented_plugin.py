"""The door is open: the plugins of the documentation are written, and the smallest, installed from outside, runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "write-a-plugin.md"


def block(language: str, first_line: str) -> str:
    """The fenced block of the page that begins with ``first_line``."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return next(text for text in blocks if text.startswith(first_line))


@pytest.mark.slow
def test_the_plugin_of_the_documentation_runs_from_outside(on_pairs, tmp_path: Path):
    package, site = tmp_path / "my-sfda", tmp_path / "site"
    package.mkdir()
    (package / "pyproject.toml").write_text(block("toml", "# pyproject.toml"))
    (package / "my_sfda.py").write_text(block("python", "# my_sfda.py"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(package)], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def sfda_kit(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sfda_kit", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert "gap between the two" in sfda_kit("plugins", "list", "--kind", "aligner").stdout
    done = sfda_kit("run", "--method", "margin", *on_pairs, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["status"] == "ok" and "margin" in done.stderr


def test_the_smallest_term_and_the_smallest_method_have_at_most_twelve_lines():
    of_import, interface, term, method, term_hook, method_hook = re.split(r"\n\n+", block("python", "# my_sfda.py"))
    for part in ((term, term_hook), (method, method_hook)):
        code = "\n".join((of_import, interface, *part)).splitlines()
        assert len([line for line in code if line and not line.startswith("#")]) <= 12
    toml = block("toml", "# pyproject.toml").splitlines()
    assert len([line for line in toml if not line.startswith("#")]) <= 12


def test_the_path_of_the_page_writes_the_files_and_prints_the_commands_that_it_shows(sfda_kit):
    page = PAGE.read_text()
    (command,) = re.findall(r"^sfda-kit (plugins new .*)$", page, flags=re.MULTILINE)
    done = sfda_kit(*command.split())
    written = {str(path.relative_to("my-sfda")) for path in Path("my-sfda").rglob("*") if path.is_file()}
    path = page.partition("## The smallest")[0]
    rows = "".join(line.partition(" | ")[0] for line in path.splitlines() if line.startswith("| "))
    assert written == set(re.findall(r"`(.*?)`", rows))
    assert [line for line in done.stdout.splitlines()[1:] if line.strip() not in path] == []
