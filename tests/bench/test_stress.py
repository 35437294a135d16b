"""Suites with a stress: their tasks, what is left out, and the page of curves."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sfda_kit.bench.cells import Cell, expand
from sfda_kit.bench.stress_report import build_stress_page
from sfda_kit.bench.suite import Suite, checked_suite, load_suite, read_suite
from sfda_kit.errors import UserError
from sfda_kit.leaderboard.curves import StressPage
from sfda_kit.leaderboard.render import curve_figure
from sfda_kit.leaderboard.render.curve_files import curves_csv, markdown, write_curves
from sfda_kit.results.record import Record

from ..leaderboard.made_runs import made_record

METRIC = "heldout_mean_class_accuracy"
SHIFT = {
    "setting": "dataset.stress.pair_shift",
    "plain": "0 px",
    "levels": {"4 px": 4, "8 px": 8},
    "methods": ["socket"],
}
HOLES = {"setting": "dataset.stress.holes", "plain": "0 %", "levels": {"20 %": 0.2}}


def stressed(**changes: Any) -> Suite:
    methods, stress = ["source-only", "shot", "socket"], {"shift": SHIFT, "holes": HOLES}
    data = {"name": "made", "version": 1, "title": "made | up", "tasks": ["a"], "seeds": [0, 1]}
    return checked_suite({**data, "methods": methods, "stress": stress, **changes}, "suite")


def test_each_level_is_a_task_of_its_own_for_the_methods_it_can_change():
    found = {(cell.task, cell.method, cell.seed): cell.config.dataset.stress for cell in expand(stressed().expanded())}
    told = {key: None if stress is None else stress.told for key, stress in found.items()}
    assert len(told) == (3 + 2 + 3) * 2
    assert told["a", "shot", 0] is None and told["a, shift 8 px", "socket", 1] == {"pair_shift": 8}
    assert told["a, holes 20 %", "shot", 0] == {"holes": 0.2}
    assert ("a, shift 4 px", "shot", 0) not in told


def test_a_task_may_name_its_methods():
    suite = checked_suite(
        {"name": "made", "version": 1, "title": "x", "methods": ["shot", "socket"]}
        | {"tasks": {"a": {"methods": ["shot"]}, "b": {}}, "seeds": [0]},
        "suite",
    ).expanded()
    assert [(cell.task, cell.method) for cell in expand(suite)] == [("a", "shot"), ("b", "shot"), ("b", "socket")]
    with pytest.raises(UserError, match="task 'a': there is no method 'sh0t'"):
        stressed(tasks={"a": {"methods": ["sh0t"]}}).expanded()


def test_a_level_keeps_the_methods_of_its_task():
    suite = stressed(tasks={"a": {"methods": ["shot", "socket"]}}, stress={"holes": HOLES}).expanded()
    assert {cell.method for cell in expand(suite)} == {"shot", "socket"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"setting": "dataste.stress.holes"}, "no setting 'dataste.stress.holes'.*Did you mean 'dataset'"),
        ({"plain": "20 %"}, "'20 %' is also the label of the plain task"),
        ({"levels": {}}, "levels"),
    ],
)
def test_a_factor_that_makes_no_sense_is_refused(change: Mapping[str, Any], words: str):
    with pytest.raises(UserError, match=words):
        stressed(stress={"holes": {**HOLES, **change}})


def test_a_suite_has_a_grid_or_a_stress():
    grid = {"base": {"method": "tgkt"}, "factors": {"bridge": ["copy", "unet"]}}
    with pytest.raises(UserError, match="a `grid` or a `stress`, not both"):
        stressed(grid=grid)


@pytest.mark.parametrize(("name", "count"), [("stress", 9), ("stress-objects", 9)])
def test_the_shipped_suites_vary_each_factor_alone(name: str, count: int):
    suite, plain = load_suite(name), read_suite(name)
    assert len(plain.stress) == count - 1 and len(plain.tasks) == 1
    cells = expand(suite, Path("/data"))
    base = next(cell for cell in cells if cell.task in plain.tasks and cell.method == "tgkt").config
    for cell in cells:
        if cell.method == "tgkt" and cell.seed == base.seed and cell.task not in plain.tasks:
            told = cell.config.dataset.stress.told if cell.config.dataset.stress else {}
            fewer = [key for key in ("ti_pairs", "target_images") if getattr(cell.config.dataset, key) is not None]
            assert len(told) + len(fewer) == 1, cell.name
            plainly = {"stress": None, "ti_pairs": None, "target_images": None}
            rest = cell.config.model_copy(update={"dataset": cell.config.dataset.model_copy(update=plainly)})
            assert rest == base, cell.name


def reported(share: Callable[[Cell], float | None], **changes: Any) -> StressPage:
    """The page where a cell has a score of ``share``, and no result where that is None."""
    suite, cells = stressed(**changes), []
    for cell in expand(suite.expanded()):
        value = share(cell)
        baseline = {METRIC: 20.0 + cell.seed - 5 * ("holes" in cell.task)}
        images = {"images": {"target-train": 90 - 40 * ("holes" in cell.task), "ti": 60}}
        made = made_record("x", cell.method, cell.seed, {METRIC: value or 0.0}, baseline)
        made["task"] = {**made["task"], **images}
        record = None if value is None else Record.model_validate(made)
        cells.append(
            SimpleNamespace(
                cell=cell,
                record=lambda _, found=record: found,
                state=lambda _, found=record: "done" if found else "missing",
            )
        )
    return build_stress_page(suite, cells, ["a, shift 99 px: left out. Too many."], Path())  # type: ignore[arg-type]


def falling(cell: Cell) -> float | None:
    stress = cell.config.dataset.stress.told if cell.config.dataset.stress else {}
    loss = 2 * stress.get("pair_shift", 0) + 100 * stress.get("holes", 0)
    return 80 + 4 * cell.seed - loss


def test_points_are_means_over_seeds_with_the_paired_change():
    (section,) = reported(falling).sections
    shift, holes = section.panels
    socket = next(curve for curve in shift.curves if curve.method == "socket")
    assert shift.levels == ("0 px", "4 px", "8 px")
    scores = [one.score for one in socket.points]
    assert [one.mean for one in scores if one] == [82, 74, 66] and [one.change for one in socket.points] == [0, -8, -16]
    assert scores[0] and scores[0].std == pytest.approx(8**0.5) and scores[0].n == 2
    assert [curve.method for curve in shift.curves] == ["source-only", "socket"]
    assert [curve.method for curve in holes.curves] == ["source-only", "shot", "socket"]


def test_the_source_model_has_a_point_wherever_any_method_ran():
    """Every record holds the score of the source model, also where nobody ran ``source-only``."""
    (section,) = reported(lambda cell: None if cell.method == "source-only" else falling(cell)).sections
    points = [one.score.mean for curve in section.panels[1].curves for one in curve.points[:2] if one.score]
    assert points[:2] == [20.5, 15.5]


def test_the_page_says_what_is_missing_and_left_out(tmp_path: Path):
    page = reported(lambda cell: None if cell.task == "a, shift 8 px" else falling(cell))
    text = markdown(page, [""])
    assert "made \\| up" in text and "2 of 16 runs have no result (2 missing)." in text
    assert "* a, shift 99 px: left out. Too many." in text
    assert "| method | 0 px | 4 px |" in text, "a level without any run has a column"
    assert "| socket | 82.0 ± 2.8 | 74.0 ± 2.8 (-8.0) |" in text
    assert "| target training images | 90 | 50 |" in text and "| TI pairs |" not in text


def test_the_table_of_numbers_has_a_line_for_each_point():
    rows = list(csv.DictReader(curves_csv(reported(falling)).splitlines()))
    assert len(rows) == 2 * 3 + 3 * 2
    found = next(row for row in rows if row["method"] == "socket" and row["level"] == "8 px")
    assert float(found["mean"]) == 66 and float(found["minus_plain"]) == -16 and found["runs"] == "2"
    assert found["setting"] == "dataset.stress.pair_shift" and found["target_train"] == "90"


@pytest.mark.pictures
def test_the_picture_has_a_panel_for_each_factor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    figures: list[Any] = []
    monkeypatch.setattr(curve_figure.figures, "save_figure", lambda figure, path: figures.append(figure))
    page = reported(falling)
    assert curve_figure.draw_curves(page.sections[0], page.metric, tmp_path / "stress.png")
    axes = [axis for axis in figures[0].axes if axis.get_visible()]
    assert [axis.get_title() for axis in axes] == ["shift", "holes"]
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["0 px", "4 px", "8 px"]
    (bars,) = [one for one in axes[0].containers if one.get_label() == "socket"]
    assert bars.lines[0].get_ydata().tolist() == [82, 74, 66]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["source-only", "shot", "socket"]


def test_without_any_result_there_is_a_page_and_no_picture(tmp_path: Path):
    written = write_curves(reported(lambda cell: None), tmp_path)
    assert [path.name for path in written] == ["stress.md", "stress.csv"]
    assert "16 of 16 runs have no result" in (tmp_path / "stress.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
def test_one_command_runs_what_is_missing_and_writes_the_page(sfda_kit: Any, suite_file: Callable[..., Path]):
    stress = {
        "noise": {"setting": "dataset.stress.noise", "plain": "0 mm", "levels": {"50 mm": 0.05}},
        "target images": {"setting": "dataset.target_images", "plain": "all", "levels": [1000]},
    }
    suite = suite_file(methods=["source-only"], stress=stress)
    result = sfda_kit("bench", suite, "--task", "to depth")
    assert result.exit_code == 0, result.output
    assert "1 of 2 runs have no result" in Path("runs/tiny/stress.md").read_text()
    result = sfda_kit("bench", suite)
    assert result.exit_code == 0 and "to depth, target images 1000: left out." in result.output, result.output
    assert "1 to run" in result.output, "the plain run was made again"
    text = Path("runs/tiny/stress.md").read_text()
    assert "have no result" not in text and "target images 1000: left out. dataset.target\\_images is 1000" in text
    records = [json.loads(path.read_text()) for path in Path("runs/tiny").glob("*/record.json")]
    (record,) = [one for one in records if "stress" in one["task"]]
    assert record["task"]["stress"] == {"noise": 0.05} and len(records) == 2
    assert any("made worse on purpose (dataset.stress): noise 0.05" in notice for notice in record["notices"])
    assert Path("runs/tiny/stress.png").exists()
