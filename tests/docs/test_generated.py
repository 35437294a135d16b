"""Figures and tables of pages are those of the committed results and of the code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sfda_kit.plugins.shipped import SHIPPED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs_plugin(*sorted({owner for owner in SHIPPED.values() if owner != "sfda-kit"})),
]

ROOT = Path(__file__).parents[2]


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "docs" / "_site" / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_page_says_anything_else_than_results_and_code():
    found = generate(ROOT, "--check")
    assert (found.returncode, found.stderr) == (0, "")


def test_a_changed_figure_is_found_and_made_right_again(tmp_path: Path):
    shutil.copytree(ROOT / "docs" / "_site", tmp_path / "docs" / "_site")
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    page = tmp_path / "README.md"
    page.write_text("TGKT has <!-- generated: accuracy rooms depth@kv1 tgkt -->99.9<!-- end --> %.\n")
    assert "README.md" in generate(tmp_path, "--check").stderr
    assert generate(tmp_path).stdout == "README.md\n"
    assert "99.9" not in page.read_text()
    assert generate(tmp_path, "--check").returncode == 0
