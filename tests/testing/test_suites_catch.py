"""Every check of the conformance suites fails for a part that breaks the contract in that point, and says how."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import sfda_kit.testing
from sfda_kit.testing import MethodConformance
from sfda_kit.testing.report_card import SUITES, check_names, run_check

from .broken_parts import methods, places, sets, terms, weights
from .broken_parts.broken import Broken, broken

PARTS = [*terms.BROKEN, *methods.BROKEN, *places.BROKEN, *sets.BROKEN, *weights.BROKEN]


def defined_in(suite: type, check: str) -> tuple[str, str]:
    """The suite that has the check, and the check."""
    return next(base.__name__ for base in suite.__mro__ if check in vars(base)), check.removeprefix("test_")


@pytest.mark.parametrize("one", PARTS, ids=str)
def test_a_broken_part_is_caught(one: Broken, install, sfda_folder: Path):
    if one.plugin:
        install("broken_plugin", one.plugin)
    result = run_check(one.suite(), f"test_{one.check}", sfda_folder)
    assert not result.passed and re.search(one.says, result.sentence), result.sentence


def test_every_check_of_every_suite_has_a_broken_part():
    suites = [getattr(sfda_kit.testing, name) for name in sfda_kit.testing.__all__ if name.endswith("Conformance")]
    checks = {defined_in(suite, name) for suite in suites for name in check_names(suite)}
    assert set(SUITES.values()) < set(suites)
    assert checks - {defined_in(one.suite, f"test_{one.check}") for one in PARTS} == set()


def test_every_assertion_has_a_sentence():
    folder = Path(sfda_kit.testing.__file__).parent
    for file in [*folder.glob("conformance_*.py"), folder / "declaration.py", folder / "comparisons.py"]:
        asserts = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Assert)]
        assert [f"{file.name}:{node.lineno}" for node in asserts if node.msg is None] == []


def test_a_method_without_that_fault_continues(tmp_path: Path):
    kept = broken(MethodConformance, methods.Kept, "continues_after_its_last_epoch", "")
    assert run_check(kept.suite(), f"test_{kept.check}", tmp_path).passed
