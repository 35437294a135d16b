"""Every kind of method gives the same result in two processes as in one."""

from __future__ import annotations

import json
import os
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import Tensor

from sfda_kit import AdaptationContext, Aligner, Component, EpochState, Method, Recipe, processes
from sfda_kit.plugins.discovery import registry

from ..folders import write_card, write_folders

pytestmark = pytest.mark.slow

Together = Callable[[int, Callable[[], Any]], list[Any]]
METHODS = {
    "tgkt-joint": ["--set", "bridge_training.lr=1e-4"],  # a bridge that learns beside the network
    "shot-plus-plus": [],
    "tent": [],
    "t3a": [],
    "adabn": [],
    "oracle": ["--set", "source.optimizer=sgd", "--set", "source.lr=1e-4"],
}
QUICK = ["--device", "cpu", "--set", "compute.pictures=false"]


def answers(name: str) -> np.ndarray[Any, Any]:
    (run,) = Path(name).iterdir()
    return pd.read_parquet(run / "predictions.parquet").select_dtypes("number").to_numpy(float)


@pytest.mark.needs_plugin("sfda-kit-tgkt", "sfda-kit-tta", "sfda-kit-shot")
def test_two_processes_end_as_one(together: Together, on_pairs: list[str], sfda_kit: Callable[..., Any]) -> None:
    common = [*on_pairs, *QUICK, "--epochs", "1", "--set", "adapt.lr=1e-4"]

    def run(method: str) -> int:
        place = f"{method}-{processes.count()}"
        result = sfda_kit("run", "--method", method, *common, *METHODS[method], "--runs-dir", place)
        return int(result.exit_code)

    def run_all() -> list[int]:
        return [run(method) for method in METHODS]

    assert run_all() == [0] * len(METHODS)
    assert together(2, run_all) == [[0] * len(METHODS)] * 2
    for method in METHODS:
        np.testing.assert_allclose(answers(f"{method}-2"), answers(f"{method}-1"), atol=1e-2, err_msg=method)


class TowardsFirst(Aligner):
    """A loss term that asks for class 0, with passes of its own."""

    def __call__(self, signals: Any) -> Tensor:
        logits: Tensor = signals.answer(signals.target_images).logits
        return -logits.log_softmax(dim=1)[:, 0].mean()


@pytest.fixture
def collapsing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("a_stranger")
    module.TowardsFirst = TowardsFirst  # type: ignore[attr-defined]
    module.TERM = Recipe.model_validate({"aligners": {"towards-first": 1.0}})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_stranger", module)
    for kind, name, target in (("method", "collapsing", "TERM"), ("aligner", "towards-first", "TowardsFirst")):
        part = Component(name, f"a_stranger:{target}", "collapses", kind=kind, owner="a-stranger")
        monkeypatch.setitem(registry().components, (kind, name), part)


def test_all_processes_roll_back_together(
    together: Together, on_pairs: list[str], sfda_kit: Callable[..., Any], collapsing: None
) -> None:
    given = [*on_pairs, *QUICK, "--epochs", "2", "--on-collapse", "rollback", "--set", "adapt.lr=0.2"]

    def run() -> int:
        place = f"runs-{processes.count()}"
        return int(sfda_kit("run", "--method", "collapsing", *given, "--runs-dir", place).exit_code)

    assert run() == 0
    assert together(2, run) == [0, 0]
    (one,), (two,) = (list(Path(place).glob("*/record.json")) for place in ("runs-1", "runs-2"))
    alone, shared = (json.loads(path.read_text()) for path in (one, two))
    assert alone["monitor"]["rollbacks"]
    assert shared["monitor"]["rollbacks"] == alone["monitor"]["rollbacks"]
    assert shared["selection"]["result_epoch"] == alone["selection"]["result_epoch"]


class OwnLoop(Method):
    """A method that trains by itself."""

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        raise NotImplementedError


def test_a_method_with_a_loop_of_its_own_is_refused(
    together: Together, on_pairs: list[str], sfda_kit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("a_stranger")
    module.OwnLoop = OwnLoop  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_stranger", module)
    part = Component("own-loop", "a_stranger:OwnLoop", "trains by itself", kind="method", owner="a-stranger")
    monkeypatch.setitem(registry().components, ("method", "own-loop"), part)
    results = together(2, lambda: str(sfda_kit("run", "--method", "own-loop", *on_pairs).exception))
    assert all("'own-loop' has a training loop of its own" in text for text in results)


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_folders_are_adapted_to_together(together: Together, sfda_kit: Callable[..., Any]) -> None:
    write_folders(Path.cwd())
    write_card(Path("card"))
    given = ["--source-card", "card", "--target-dir", "target", "--ti-dir", "ti", "--method", "tgkt", *QUICK]
    given += ["--epochs", "1", "--bridge-epochs", "1", "--batch-size", "8", "--set", "adapt.lr=1e-4"]

    def run() -> int:
        rates = ["--set", "bridge_training.lr=1e-5", "--runs-dir", f"runs-{processes.count()}"]
        return int(sfda_kit("adapt", *given, *rates).exit_code)

    assert run() == 0
    shutil.rmtree(os.environ["SFDA_KIT_CACHE"])  # the bridge is trained again, in two processes
    assert together(2, run) == [0, 0]
    np.testing.assert_allclose(answers("runs-2"), answers("runs-1"), atol=1e-2)
