"""Methods beyond the shipped ones, through the registry: a recipe of two phases, and a loop of one's own."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sfda_kit import AdaptationContext, Component, EpochState, Method, Recipe
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import registry
from sfda_kit.results.journal import Journal

from ..conftest import last_json

TWO = Recipe.model_validate(
    {
        "teacher_bridge": "affine",
        "phases": [
            {"name": "pairs", "aligners": {"ti-features": 1.0}, "train": "bottleneck", "length": 0.5},
            {"name": "adapt", "aligners": {"infomax": 1.0, "distill": 0.5}, "labeler": "centroid"},
        ],
    }
)
ROWS = [("pairs", 1), ("pairs", 2), ("adapt", 1), ("adapt", 2), ("adapt", 3), ("adapt", 4)]


class OwnLoop(Method):
    """Re-estimates the BatchNorm statistics on the target, two passes, nothing to train."""

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        import torch

        model = AdaptedModel(context.input_bridge, context.network)
        for epoch in (1, 2):
            context.network.train()
            with torch.no_grad():
                model(context.target.batch(torch.arange(len(context.target))))
            bank = fill_bank(model, context.target)
            yield EpochState("statistics", epoch, 2, model, bank, {"passes": float(epoch)})


@pytest.fixture(autouse=True)
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin package with both, as if it were installed."""
    module = types.ModuleType("a_stranger")
    module.TWO, module.OwnLoop = TWO, OwnLoop  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_stranger", module)
    for name, target in (("two", "a_stranger:TWO"), ("own-loop", "a_stranger:OwnLoop")):
        part = Component(name, target, "a method", kind="method", owner="a-stranger")
        monkeypatch.setitem(registry().components, ("method", name), part)


@pytest.fixture
def two(sfda_kit, on_pairs) -> Callable[..., Path]:
    """Run the recipe of two phases; its run folder."""

    def run(*more: str) -> Path:
        result = sfda_kit("run", "--method", "two", *on_pairs, "--epochs", "4", "--resume", "--json", *more)
        return Path(last_json(result)["run_dir"])

    return run


def outcome(folder: Path) -> tuple[list, dict, bytes]:
    """All that two equal runs share: history without times, metrics, predictions."""
    rows = [{k: v for k, v in row.items() if k != "wall_s"} for row in history(folder)]
    return rows, json.loads((folder / "record.json").read_text())["metrics"], predictions(folder)


def history(folder: Path) -> list[dict]:
    return json.loads((folder / "history.json").read_text())  # type: ignore[no-any-return]


def predictions(folder: Path) -> bytes:
    return (folder / "predictions.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.pictures
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_phases_run_in_order_and_keep_their_proportion(two):
    folder = two()
    rows = history(folder)
    assert [(row["phase"], row["epoch"]) for row in rows] == ROWS
    assert ["churn" in row["signals"] for row in rows] == [False, False, True, True, True, True]
    assert rows[2]["signals"]["churn"] == 0
    assert (folder / "pictures" / "curves.png").stat().st_size > 1000
    assert [len(history(two("--epochs", epochs))) for epochs in ("1", "2")] == [1 + 1, 1 + 2]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 3, 6])
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_stopped_in_either_phase_and_resumed_is_the_same_run(two, sfda_kit, on_pairs, monkeypatch, stop):
    undisturbed = outcome(two("--runs-dir", "undisturbed"))
    record = Journal.epoch

    def stopped(self: Journal, *arguments: object) -> None:
        record(self, *arguments)  # type: ignore[arg-type]
        if len(self.history) == stop:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "epoch", stopped)
        assert sfda_kit("run", "--method", "two", *on_pairs, "--epochs", "4", "--resume").exit_code != 0
    (left,) = Path("runs").iterdir()
    assert len(history(left)) == stop
    assert two() == left
    assert outcome(left) == undisturbed


@pytest.mark.slow
def test_a_loop_of_ones_own_is_evaluated_and_recorded_by_the_core(sfda_kit, on_pairs):
    summary = last_json(sfda_kit("run", "--method", "own-loop", *on_pairs, "--json"))
    folder = Path(summary["run_dir"])
    assert summary["status"] == "ok" and summary["cost"]["trained_parameters"] == 0
    assert [(row["phase"], row["epoch"], row["signals"]["passes"]) for row in history(folder)] == [
        ("statistics", 1, 1.0),
        ("statistics", 2, 2.0),
    ]
    table = pq.read_table(folder / "predictions.parquet").to_pydict()
    assert table["prediction"] != table["source_only_prediction"]
    again = last_json(sfda_kit("run", "--method", "own-loop", *on_pairs, "--json", "--resume"))
    assert again == summary


def test_a_loop_of_ones_own_takes_no_aligner(sfda_kit, on_pairs):
    result = sfda_kit("run", "--method", "own-loop", *on_pairs, "--aligner", "infomax=1")
    assert result.exit_code == 2 and "takes no aligner" in str(result.exception)


@pytest.mark.slow
def test_the_interfaces_import_no_torch():
    code = (
        "import sys\nimport sfda_kit\nfrom sfda_kit import Aligner, Dataset, Encoding, Method, Recipe\n"
        "print([name for name in ('torch', 'timm') if name in sys.modules])\n"
        "from sfda_kit import Bridge, BridgeObjective\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "True"]
