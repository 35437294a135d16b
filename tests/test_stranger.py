"""The door is open: a stranger's package, installed with pip from outside, brings a term and a method."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "stranger"
version = "0.1"
[project.entry-points.sfda_kit]
stranger = "stranger"
[tool.setuptools]
py-modules = ["stranger"]
"""

STRANGER = """\
import sfda_kit
from sfda_kit.interfaces import Aligner, Recipe
class Margin(Aligner):
    def __call__(self, signals):
        top = signals.target_probabilities.topk(2, dim=1).values
        return (top[:, 1] - top[:, 0]).mean()
METHOD = Recipe(aligners={"margin": 1.0, "infomax": 1.0}, labeler="centroid")
@sfda_kit.hookimpl
def sfda_kit_register_aligner():
    return [sfda_kit.Component("margin", "stranger:Margin", "gap between the two likeliest classes")]
@sfda_kit.hookimpl
def sfda_kit_register_method():
    return [sfda_kit.Component("stranger", "stranger:METHOD", "margin and information maximisation")]
"""


def test_a_method_from_a_folder_outside_the_repository(on_pairs, tmp_path: Path):
    package, site = tmp_path / "stranger", tmp_path / "site"
    package.mkdir()
    (package / "pyproject.toml").write_text(PYPROJECT)
    (package / "stranger.py").write_text(STRANGER)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(package)], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "sfda_kit"]
    listed = subprocess.run(
        [*command, "plugins", "list"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "margin" in listed and "stranger" in listed
    done = subprocess.run(
        [*command, "run", "--method", "stranger", *on_pairs, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["status"] == "ok" and "margin" in done.stderr
