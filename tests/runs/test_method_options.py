"""Options of a method with a loop of its own, and what it may refuse before any work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sfda_kit import AdaptationContext, Component, EpochState, Method
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.config.loading import load_config
from sfda_kit.errors import UserError
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import registry
from sfda_kit.runs.plan import resolve_method

from ..conftest import last_json

BUILT: list[int] = []


class Counted(Method):
    """Adapts nothing, ``passes`` times."""

    def __init__(self, passes: int = 1) -> None:
        if passes < 1:
            raise UserError(f"counted: passes is {passes}, expected at least 1.")
        self.passes = passes
        BUILT.append(passes)

    def check(self, network: Any) -> None:
        if not network.classifier.in_features > 8:
            raise UserError("counted needs more than 8 features.")

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        model = AdaptedModel(context.input_bridge, context.network)
        for done in range(self.passes):
            yield EpochState("counted", done + 1, self.passes, model, fill_bank(model, context.target))


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    BUILT.clear()
    part = Component("counted", "a_stranger:Counted", "a method", kind="method", owner="a-stranger")
    monkeypatch.setitem(registry().components, ("method", "counted"), part)
    load = Component.load
    monkeypatch.setattr(Component, "load", lambda self: Counted if self.name == "counted" else load(self))


def plan(method: str = "counted", width: int = 16, **options: Any):
    model = {"backbone": "test_resnet", "bottleneck": width, "image_size": 32}
    return resolve_method(load_config({"method": method, "model": model, "recipe": {"options": options}}))


def test_options_reach_the_method_and_tell_runs_apart() -> None:
    assert plan(passes=3).method().passes == 3  # type: ignore[attr-defined]
    assert plan().method().passes == 1  # type: ignore[attr-defined]
    assert plan(passes=3).identity() != plan().identity()
    assert plan(passes=3).recipe.options == {"passes": 3}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"pases": 2}, r"method 'counted' has no option 'pases'.*passes"),
        ({"passes": 0}, "passes is 0, expected at least 1"),
        ({"width": 4}, "counted needs more than 8 features"),
        pytest.param(
            {"method": "shot", "passes": 2},
            r"'shot' has no option 'passes'.*recipe.aligners.NAME.options",
            marks=pytest.mark.needs_plugin("sfda-kit-shot"),
        ),
        ({"method": "oracle", "passes": 2}, "'oracle' has no option 'passes'"),
    ],
)
def test_a_mistake_is_found_before_any_work(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        plan(**given)


def test_options_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(UserError, match=r"recipe.options is 3.*--set recipe.options.KEY=VALUE"):
        resolve_method(load_config({"method": "counted", "recipe": {"options": 3}}))


@pytest.mark.slow
def test_options_are_set_from_the_command_line(sfda_kit, on_pairs) -> None:
    result = sfda_kit("run", "--method", "counted", *on_pairs, "--set", "recipe.options.passes=2", "--json")
    history = (Path(last_json(result)["run_dir"]) / "history.json").read_text()
    assert history.count('"phase": "counted"') == 2
    assert set(BUILT) == {2}


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_term_that_learns_from_labels_asks_for_a_labeler(monkeypatch: pytest.MonkeyPatch) -> None:
    from sfda_kit.builtin.aligners import InfoMax

    monkeypatch.setattr(InfoMax, "reads", ("pseudo_labels",))
    with pytest.raises(UserError, match=r"'infomax' learns from pseudo-labels.*--labeler centroid.*infomax=0"):
        plan("shot-im")
