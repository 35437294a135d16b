"""What is said of a study's finished cells: rows, marks, several tasks. Records are made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sfda_kit.bench.ablation import build_ablation
from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import Suite, checked_suite
from sfda_kit.leaderboard.effects import Ablation
from sfda_kit.leaderboard.render import grid_figure
from sfda_kit.leaderboard.render.grid_files import cells_csv, effects_csv, markdown, write_files
from sfda_kit.results.record import Record

from .made_runs import right, write_run

Change = Callable[[Any], dict[str, Any] | None]


def study(tasks: list[str], **grid: Any) -> Suite:
    factors = {"bridge": ["copy", "unet"], "labeler": ["none", "centroid"]}
    data = {"name": "made", "version": 1, "title": "made | up", "tasks": tasks, "seeds": [0, 1]}
    return checked_suite({**data, "grid": {"base": {"method": "tgkt"}, "factors": factors, **grid}}, "suite")


def reported(root: Path, suite: Suite, share: Callable[[Any], float], change: Change = lambda cell: {}) -> Ablation:
    """The ablation where a cell has ``share`` correct; ``change`` alters its record, None leaves it out."""
    cells = []
    for cell in expand(suite.expanded()):
        told = change(cell)
        folder = None if told is None else write_run(root, "tgkt", cell.seed, right(share(cell), 1), **told)
        record = folder and Record.model_validate(json.loads((folder / "record.json").read_text()))
        cells.append(
            SimpleNamespace(
                cell=cell,
                folder=lambda _, found=folder: found and SimpleNamespace(path=found),
                record=lambda _, found=record: found,
            )
        )
    return build_ablation(suite, cells, root, "heldout_accuracy")  # type: ignore[arg-type]


def bridge_earns(cell: Any) -> float:
    return 0.5 + 0.3 * ("bridge=unet" in cell.method)


def test_rows_stand_in_the_order_of_the_grid_with_their_costs(tmp_path: Path):
    found = reported(tmp_path, study(["a"]), bridge_earns)
    (block,) = found.blocks
    assert [row.levels for row in block.rows] == [
        {"bridge": b, "labeler": x} for b in ("copy", "unet") for x in ("none", "centroid")
    ]
    assert [row.row.metrics["heldout_accuracy"].mean for row in block.rows] == pytest.approx([50, 50, 80, 80])
    assert block.rows[0].row.cost == {"wall_s": 10.5, "peak_memory_mb": 100.0, "trained_parameters": 5.0}
    bridge, labeler = block.effects
    assert (bridge.comparison.difference, bridge.comparison.different) == (pytest.approx(30), True)
    assert (labeler.comparison.difference, labeler.comparison.adjusted) == (0.0, 1.0)


def test_several_tasks_are_followed_by_their_mean(tmp_path: Path):
    def share(cell: Any) -> float:
        return 0.5 + (0.3 if cell.task == "a" else 0.1) * ("bridge=unet" in cell.method)

    found = reported(tmp_path, study(["a", "b"]), share)
    assert [block.effects[0].comparison.difference for block in found.blocks] == pytest.approx([30, 10, 20])
    assert found.blocks[-1].title == "mean over 2 tasks and networks" and found.blocks[-1].rows == ()


def test_every_panel_of_the_picture_has_numbers_on_its_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[Any] = []
    monkeypatch.setattr(grid_figure, "save_figure", lambda figure, path: drawn.append(figure))
    assert grid_figure.draw_effects(reported(tmp_path, study(["a", "b", "c", "d"]), bridge_earns), tmp_path / "x.png")
    panels = [axis for axis in drawn[0].axes if axis.get_visible()]
    assert len(panels) == 5  # on two lines of three: the last of the first line has none below it
    assert all(axis.xaxis.get_tick_params()["labelbottom"] for axis in panels)


def test_a_cell_without_every_seed_is_marked_and_not_averaged(tmp_path: Path):
    def change(cell: Any) -> dict[str, Any] | None:
        lost = cell.method == "bridge=unet, labeler=centroid" and cell.seed == 1
        return {"status": "failed", "error": "out of memory"} if lost else {}

    found = reported(tmp_path, study(["a"]), bridge_earns, change)
    bridge, _ = found.blocks[0].effects
    assert (bridge.averaged, bridge.planned) == (1, 2)
    page = markdown(found)
    assert "s: missing seeds" in page and "seed 1, failed: out of memory" in page and "| 1 of 2 |" in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"versions": {"torch": "1.0"}}, "v: other versions"),
        ({"metrics": {"heldout_accuracy": 99.9}}, "x: its recorded score is not what its stored predictions give"),
        ({"oracle": True}, "o: made with target labels"),
        ({"predictions": False}, "p: no usable predictions"),
    ],
)
def test_a_cell_that_cannot_be_compared_is_left_out_and_says_why(tmp_path: Path, changed: dict[str, Any], said: str):
    def change(cell: Any) -> dict[str, Any]:
        return changed if cell.method == "bridge=unet, labeler=none" else {}

    found = reported(tmp_path, study(["a"]), bridge_earns, change)
    assert found.blocks[0].effects[0].averaged == 1
    assert said in markdown(found)


def test_source_models_that_should_be_the_same_are_told_apart(tmp_path: Path):
    def change(cell: Any) -> dict[str, Any]:
        return {"source": {"weights_sha256": "0ther"}} if cell.method == "bridge=unet, labeler=none" else {}

    def longer(cell: Any) -> dict[str, Any]:
        return change(cell) | ({"config": {"source": {"epochs": 3}}} if change(cell) else {})

    def in_bf16(cell: Any) -> dict[str, Any]:
        return change(cell) | ({"config": {"compute": {"precision": "bf16"}}} if change(cell) else {})

    said = "Cells of one seed began with different source models although they were trained alike."
    assert said in reported(tmp_path / "a", study(["a"]), bridge_earns, change).blocks[0].notices
    assert said not in reported(tmp_path / "b", study(["a"]), bridge_earns, longer).blocks[0].notices
    assert said not in reported(tmp_path / "c", study(["a"]), bridge_earns, in_bf16).blocks[0].notices


def test_files_are_the_same_for_the_same_records_and_show_no_markup(tmp_path: Path):
    found = reported(tmp_path, study(["<b>task</b>"]), bridge_earns)
    page = markdown(found)
    assert page == markdown(found) and "made \\| up" in page and "<b>" not in page
    assert effects_csv(found).count("\n") == 3 and cells_csv(found).count("\n") == 5
    written = write_files(found, tmp_path / "out")
    assert [path.name for path in written] == ["ablation.md", "effects.csv", "cells.csv", "ablation.png"]


def test_without_a_result_there_is_no_picture(tmp_path: Path):
    found = reported(tmp_path, study(["a"]), bridge_earns, lambda cell: None)
    assert found.blocks[0].effects == ()
    assert [path.name for path in write_files(found, tmp_path)] == ["ablation.md", "effects.csv", "cells.csv"]
    assert "No effect can be told yet" in markdown(found) and "| missing |" in markdown(found)


def test_interactions_are_a_table_for_two_factors_and_named_as_missing_for_more(tmp_path: Path):
    two = markdown(reported(tmp_path / "a", study(["a"]), bridge_earns))
    assert "both factors" in two and "Interactions are not shown" not in two
    factors = {"bridge": ["copy", "unet"], "labeler": ["none", "centroid"], "train": ["bottleneck", "backbone"]}
    three = markdown(reported(tmp_path / "b", study(["a"], factors=factors), bridge_earns))
    assert "both factors" not in three and "Interactions are not shown" in three
