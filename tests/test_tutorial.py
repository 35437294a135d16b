"""The tutorial runs from its first line to its last, and the notebook is made from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")

DOCS = Path(__file__).parents[1] / "docs"


def cells(name: str) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source.strip()) for cell in jupytext.read(DOCS / name).cells]


def test_the_notebook_shows_the_script():
    assert cells("tutorial.ipynb") == cells("tutorial.py")


def test_the_notebook_was_run_to_its_end():
    code = [cell for cell in jupytext.read(DOCS / "tutorial.ipynb").cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-bridged")
def test_every_line_runs(tmp_path):
    variables = os.environ | {"TUTORIAL_SMALL": "1", "MPLBACKEND": "agg"}
    ran = subprocess.run(
        [sys.executable, DOCS / "tutorial.py"], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "of 40 target images (synthetic)" in ran.stdout
