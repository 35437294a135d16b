"""The quick part of benchmarks/robustness: kills, damaged files, hostile and fuzzed input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "robustness" / "robustness.py"


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_nothing_is_lost_corrupt_silent_or_a_traceback(tmp_path):
    command = [sys.executable, str(SCRIPT), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:] + (tmp_path / "robustness.json").read_text()[-5000:]
    assert "| fuzz settings |" in (tmp_path / "robustness.md").read_text()
