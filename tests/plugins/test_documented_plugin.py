"""The door is open: the plugin of the documentation, installed with pip from outside, runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "write-a-plugin.md"


def block(language: str, first_line: str) -> str:
    """The fenced block of the page that begins with ``first_line``."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return next(text for text in blocks if text.startswith(first_line))


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


def test_the_term_of_the_page_is_at_most_twelve_lines_with_its_hook():
    code = [line for line in block("python", "# my_sfda.py").splitlines() if line.strip() and "#" not in line]
    aligner = [line for line in code if "METHOD" not in line]
    method = next(i for i, line in enumerate(aligner) if "register_method" in line) - 1
    assert len(aligner[:method]) <= 12
