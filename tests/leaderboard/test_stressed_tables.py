"""Stressed runs on a board: tables of their own, named by their stress, which enter no mean over tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .made_runs import board, right, write_run


def stressed(root: Path, method: str, seed: int, share: float, **stress: float) -> None:
    changes: dict[str, Any] = {"config": {"dataset": {"stress": stress}}, "task": {"stress": stress}} if stress else {}
    write_run(root, method, seed, right(share, seed), **changes)


def test_a_stressed_run_never_shares_a_table_with_a_plain_one(tmp_path: Path):
    for seed in (0, 1):
        for method, share in (("shot", 0.5), ("socket", 0.7)):
            stressed(tmp_path, method, seed, share)
            stressed(tmp_path, method, seed, share - 0.2, holes=0.2)
            stressed(tmp_path, method, seed, share - 0.3, holes=0.5, noise=0.05)
    found = board(tmp_path)
    assert [table.task.options.get("stress") for table in found.tables] == [None, "holes=0.2", "holes=0.5, noise=0.05"]
    assert len({table.id for table in found.tables}) == 3
    assert all([row.label for row in table.ranked] == ["socket", "shot"] for table in found.tables)
    assert "stress=holes=0.2" in found.tables[1].task.name
    assert not found.overall, "a mean was taken over plain and stressed tasks"
