"""A history has the epochs that the settings of its run ask for, so that nobody ends it at the best one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sfda_kit import Recipe
from sfda_kit.submissions.history import _wrong_length

RECIPE = Recipe.model_validate(
    {
        "phases": [
            {"name": "pairs", "aligners": {"ti-features": 1.0}, "length": 0.5},
            {"name": "adapt", "aligners": {"infomax": 1.0}},
        ]
    }
)


def complaints(epochs: dict[str, list[int]], stopped: bool = False) -> list[str]:
    config = SimpleNamespace(adapt=SimpleNamespace(epochs=4))
    record = SimpleNamespace(monitor=SimpleNamespace(stopped=stopped))
    facts: Any = SimpleNamespace(config=config, recipe=RECIPE, record=record)
    rows: Any = [SimpleNamespace(phase=phase, epoch=epoch) for phase, found in epochs.items() for epoch in found]
    return list(_wrong_length(facts, rows))


def test_a_whole_history_is_fine() -> None:
    assert complaints({"pairs": [1, 2], "adapt": [1, 2, 3, 4]}) == []


@pytest.mark.parametrize("found", [[1, 2, 3], [1, 2, 3, 4, 5], [2, 3, 4], []])
def test_other_epochs_are_told(found: list[int]) -> None:
    (complaint,) = complaints({"pairs": [1, 2], "adapt": found})
    assert f"'adapt' has {len(found)} epochs, but by its settings it has the epochs 1 to 4" in complaint


def test_a_run_that_the_monitor_stopped_is_shorter() -> None:
    assert complaints({"pairs": [1, 2], "adapt": [1]}, stopped=True) == []
