"""Boards that are ranked by the area under the ROC curve of each class against the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sfda_kit.errors import UserError
from sfda_kit.leaderboard.group_areas import pseudo_values
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.metrics import auroc

from .made_runs import board, kinds, only_table, right, row, write_run

METRIC = "heldout_auroc"


def made(seed: int = 0, images: int = 240, classes: int = 3, groups: int = 24, signal: float = 0.5):
    """Probabilities, labels and groups; images of a group share a part of their noise."""
    rng = np.random.default_rng(seed)
    labels, group = rng.integers(0, classes, images), rng.integers(0, groups, images)
    group[:groups] = np.arange(groups)
    logits = signal * np.eye(classes)[labels] + 0.5 * rng.normal(size=(groups, classes))[group]
    logits = logits + rng.normal(size=(images, classes))
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels, group


def test_the_mean_of_the_pseudo_values_is_the_area_with_ties_as_half():
    probabilities, labels, group = made()
    for table in (probabilities, probabilities.round(1), np.full_like(probabilities, 1 / 3)):
        found = pseudo_values(table, labels, group)
        assert found is not None and found.shape == (24,)
        assert 100 * found.mean() == pytest.approx(auroc(table, labels))


def test_labels_of_one_class_have_no_area():
    assert pseudo_values(np.full((4, 2), 0.5), np.zeros(4, int), np.arange(4)) is None


def test_their_spread_is_that_of_new_groups():
    """The variance of the mean (Obuchowski) against that of the area over many sets of groups."""
    found = [pseudo_values(*made(seed)) for seed in range(300)]
    areas = [one.mean() for one in found if one is not None]
    stated = np.mean([one.var(ddof=1) / len(one) for one in found if one is not None])
    assert stated == pytest.approx(np.var(areas, ddof=1), rel=0.2)


def with_probabilities(folder: Path, ahead: np.ndarray) -> None:
    """Let the run give each image's own class 0.9 where ``ahead``, else 0.3, and keep its predictions."""
    table = pq.read_table(folder / "predictions.parquet")
    labels = np.array(table["label"].to_pylist()) == "chair"
    own = np.where(np.tile(ahead, 2), 0.9, 0.3)
    chair = np.where(labels, own, 1 - own)
    place = table.column_names.index("probabilities")
    column = pa.array(np.stack([1 - chair, chair], axis=1).tolist())
    pq.write_table(table.set_column(place, "probabilities", column), folder / "predictions.parquet")
    record = json.loads((folder / "record.json").read_text())
    half = len(chair) // 2
    record["metrics"][METRIC] = auroc(np.stack([1 - chair, chair], axis=1)[half:], labels[half:].astype(int))
    (folder / "record.json").write_text(json.dumps(record))


def write(root: Path, method: str, accuracy: float, area: float) -> None:
    for seed in range(3):
        folder = write_run(root, method, seed, right(accuracy), right(0.3))
        with_probabilities(folder, right(area, seed=seed))


def test_a_board_ranks_by_areas_with_accuracies_beside_them(tmp_path: Path):
    write(tmp_path, "accurate", 0.9, 0.6)
    write(tmp_path, "in-order", 0.4, 0.95)
    write(tmp_path, "source-only", 0.3, 0.5)
    table = only_table(tmp_path, METRIC)
    best, other = row(table, "in-order"), row(table, "accurate")
    assert (best.rank, other.rank) == (1, 2) and not best.marks and not other.marks
    assert best.metrics[METRIC].mean > other.metrics[METRIC].mean
    behind, source = other.versus_best, best.versus_source
    assert behind is not None and behind.difference == pytest.approx(
        other.metrics[METRIC].mean - best.metrics[METRIC].mean
    )
    assert source is not None and source.different
    assert source.difference == pytest.approx(
        best.metrics[METRIC].mean - row(table, "source-only").metrics[METRIC].mean
    )
    shown = markdown(board(tmp_path, METRIC))
    assert "| AUROC, held out | held out | held out, mean over classes | minus best | seeds |" in shown
    assert "ranked by AUROC, held out" in shown


def test_without_a_run_of_the_source_model_nothing_is_said_of_it(tmp_path: Path):
    write(tmp_path, "a", 0.9, 0.6)
    write(tmp_path, "b", 0.4, 0.95)
    assert [one.versus_source for one in only_table(tmp_path, METRIC).ranked] == [None, None]


def test_a_record_without_the_area_is_marked(tmp_path: Path):
    write(tmp_path, "a", 0.9, 0.6)
    for seed in range(3):
        write_run(tmp_path, "older", seed)
    assert "mismatch" in kinds(row(only_table(tmp_path, METRIC), "older"))


def test_folds_have_areas_too(tmp_path: Path):
    for fold in range(4):
        root = tmp_path / str(fold)
        write(root, "a", 0.9, 0.6)
        write(root, "b", 0.4, 0.95)
        write(root, "source-only", 0.3, 0.5)
        for path in root.glob("*/record.json"):
            record = json.loads(path.read_text())
            record["run_id"] += f"-{fold}"
            record["task"]["folds"] = {"name": "made", "fold": fold, "folds": 4, "sha256": "0" * 64}
            record["task"]["fingerprint"] = f"{fold}" * 16
            path.write_text(json.dumps(record))
    table = only_table(tmp_path, METRIC)
    assert table.folds == (0, 1, 2, 3)
    assert [(one.label, one.rank) for one in table.ranked] == [("b", 1), ("a", 2)]
    assert all(one.versus_source is not None for one in table.ranked)


def test_a_calibration_error_ranks_no_board(tmp_path: Path):
    write(tmp_path, "a", 0.9, 0.6)
    with pytest.raises(UserError, match="cannot be ranked by 'heldout_calibration_error'"):
        board(tmp_path, "heldout_calibration_error")
