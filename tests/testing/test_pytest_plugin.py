"""The pytest plugin costs nothing until a fixture is used, and its fixtures work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sfda_kit.testing
from sfda_kit.paths import cache_dir


def test_loading_imports_no_torch() -> None:
    program = "import sys, sfda_kit.testing.pytest_plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_suites_do_without_pytest() -> None:
    folder = Path(sfda_kit.testing.__file__).parent
    importing = [file.name for file in folder.glob("*.py") if "import pytest" in file.read_text()]
    assert importing == ["pytest_plugin.py"]


def test_folder_is_empty_beside_a_cache_of_its_own(sfda_folder: Path) -> None:
    assert list(sfda_folder.iterdir()) == [] and cache_dir().parent == sfda_folder.parent


def test_cache_is_the_tests_own(sfda_cache: Path) -> None:
    assert cache_dir() == sfda_cache
    assert os.environ["SFDA_KIT_CACHE"] == str(sfda_cache)


def test_factories(
    sfda_network: Any, sfda_source_network: Any, sfda_step_signals: Callable[..., Any], sfda_bank: Any
) -> None:
    signals = sfda_step_signals(network=sfda_network, source_network=sfda_source_network)
    assert signals.target_logits.shape == (12, 3)
    assert sfda_bank().features.shape == (40, 6)
