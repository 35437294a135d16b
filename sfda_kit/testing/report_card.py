"""The conformance suites without a test: each check of a part becomes a line of a report card. pytest is not needed."""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pydantic import ValidationError

from sfda_kit.config.explain import explain
from sfda_kit.config.models import DatasetConfig
from sfda_kit.errors import SfdaKitError, UserError
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.plugins.boundary import explained
from sfda_kit.plugins.building import load_or_reason
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.core_requirement import CORE
from sfda_kit.testing.conformance_aligner import AlignerConformance
from sfda_kit.testing.conformance_bridge import BridgeConformance
from sfda_kit.testing.conformance_dataset import DatasetConformance
from sfda_kit.testing.conformance_encoding import EncodingConformance
from sfda_kit.testing.conformance_executor import ExecutorConformance
from sfda_kit.testing.conformance_labeler import LabelerConformance
from sfda_kit.testing.conformance_method import MethodConformance
from sfda_kit.testing.conformance_modality import ModalityConformance
from sfda_kit.testing.conformance_recipe import RecipeConformance
from sfda_kit.testing.conformance_tracker import TrackerConformance
from sfda_kit.testing.conformance_validator import ValidatorConformance
from sfda_kit.testing.conformance_weights import WeightsConformance
from sfda_kit.testing.declaration import DeclarationConformance

SUITES: dict[str, type[DeclarationConformance]] = {
    suite.kind: suite
    for suite in (
        AlignerConformance,
        BridgeConformance,
        DatasetConformance,
        EncodingConformance,
        ExecutorConformance,
        LabelerConformance,
        MethodConformance,
        ModalityConformance,
        TrackerConformance,
        ValidatorConformance,
        WeightsConformance,
    )
}
"""The suite of each kind; that of a method which is a recipe is ``RecipeConformance``."""
FEWER_SCENES = {"scenes": 0.002}
"""The options with which ``rooms`` is checked: it renders whole parts, which takes minutes."""
FOLDERS = ("tmp_path", "sfda_folder")
"""The arguments of a check that are an empty folder."""


@dataclass(frozen=True)
class CheckResult:
    """The result of one check. ``sentence``: what was checked, or what came and what was expected where it failed."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True)
class ReportCard:
    """The results of all checks of one part. ``skipped`` says why none could be made, and is empty where they were."""

    part: Component
    results: tuple[CheckResult, ...] = ()
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(result.passed for result in self.results)


def check_part(
    part: Component,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    data_root: Path | None = None,
) -> ReportCard:
    """Make all checks of the suite of ``part``, in a cache of their own.

    ``options``: those of the part; ``settings`` (keys of ``DatasetConfig``) and ``data_root``: those of a data set.
    Raises ``UserError`` for settings that no data set can have.
    """
    target, error = load_or_reason(part)
    if error:
        return ReportCard(part, (CheckResult("can_be_imported", False, error),))
    if part.owner == CORE and getattr(target, "needs_target_labels", False):
        return ReportCard(part, skipped="it learns from target labels, which no suite has")
    if part.owner == CORE and getattr(target, "opens_views", False):
        return ReportCard(part, skipped="it is a control that is handed the views of a run, which no suite has")
    _check_settings(settings or {})
    suite = RecipeConformance if isinstance(target, Recipe) else SUITES[part.kind]
    if (part.owner, part.kind, part.name) == (CORE, "dataset", "rooms"):
        options = {**FEWER_SCENES, **(options or {})}
    given = {"name": part.name, "options": options or {}, "settings": settings or {}, "root": data_root}
    checks: DeclarationConformance = type(suite.__name__, (suite,), given)()
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, SFDA_KIT_CACHE=f"{folder}/cache"):
        if isinstance(checks, DatasetConformance) and data_root is None and (refused := _refused(checks)):
            return ReportCard(part, skipped=f"it needs a small data set (--data-root): {refused}")
        return ReportCard(part, tuple(run_check(checks, name, Path(folder) / name) for name in check_names(suite)))


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ``UserError`` for keys and values that no configuration of a data set can have."""
    try:
        DatasetConfig.model_validate(dict(settings))
    except ValidationError as error:
        raise UserError(explain(error, "dataset", DatasetConfig)) from None


def check_names(suite: type) -> list[str]:
    """Return the checks of a suite, those of its bases first."""
    return list(dict.fromkeys(name for base in reversed(suite.__mro__) for name in vars(base) if _is_check(name)))


def run_check(suite: DeclarationConformance, name: str, folder: Path) -> CheckResult:
    """Make one check of ``suite``; ``folder`` is made for it. What a part prints goes to stderr."""
    check = getattr(suite, name)
    folder.mkdir(parents=True, exist_ok=True)
    arguments = {argument: folder for argument in inspect.signature(check).parameters if argument in FOLDERS}
    try:
        with redirect_stdout(sys.stderr):
            check(**arguments)
    except (Exception, SystemExit) as error:
        return CheckResult(name, False, _sentence(error, suite))
    return CheckResult(name, True, " ".join((inspect.getdoc(check) or name).split()).replace("``", "`"))


def _is_check(name: str) -> bool:
    return name.startswith("test_")


def _sentence(error: BaseException, suite: DeclarationConformance) -> str:
    if isinstance(error, AssertionError) and str(error):
        return str(error).partition("\n")[0]
    if isinstance(error, SfdaKitError):
        return f"it raised {type(error).__name__}: {error}"
    return f"it raised {explained(error, suite.component().target)}; expected no error"


def _refused(checks: DatasetConformance) -> str:
    """Return why the data set cannot be opened without a root; empty where it can."""
    try:
        with redirect_stdout(sys.stderr):
            checks.opened(Path()).index()
    except Exception as error:
        return _sentence(error, checks)
    return ""
