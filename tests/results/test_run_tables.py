"""A run and a board as data frames say what their files say."""

from __future__ import annotations

from pathlib import Path

import pytest

import sfda_kit
from sfda_kit.errors import DataError, UserError

RECORDS = Path(__file__).parents[2] / "benchmarks" / "results" / "rooms-mini"


def run_folder() -> Path:
    return next(iter(sorted(RECORDS.rglob("record.json")))).parent


def test_a_run_is_record_history_and_predictions():
    found = sfda_kit.load_run(run_folder())
    predicted = found.predictions[found.predictions["part"] == "heldout"]
    right = 100 * (predicted["prediction"] == predicted["label"]).mean()
    assert right == pytest.approx(found.record.metrics["heldout_accuracy"])
    assert found.history["metrics.heldout_accuracy"].iloc[-1] == pytest.approx(right)


def test_a_board_has_the_rows_of_the_command():
    board = sfda_kit.read_board(RECORDS)
    assert {"method", "rank"} <= set(board.columns) and len(board) >= 10
    best = board[board["rank"] == board["rank"].min()]
    assert len(best) >= 1


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no record\.json"):
        sfda_kit.load_run(tmp_path)
    with pytest.raises(DataError, match=r"no record\.json"):
        sfda_kit.read_board(tmp_path)
    with pytest.raises(UserError, match="cannot be ranked by 'acuracy'"):
        sfda_kit.read_board(RECORDS, "acuracy")
