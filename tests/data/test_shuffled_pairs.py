"""Shuffled pairs: no pair keeps its halves where it can lose them, and nothing but the pairs changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.cli import flags
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.open_views import ViewOpener
from sfda_kit.data.shuffled_pairs import other_pairs, pair_notices, source_halves
from sfda_kit.data.task import Task, build_task
from sfda_kit.data.views import Normalisation
from sfda_kit.errors import UserError
from sfda_kit.rooms.dataset import Rooms


def rooms(**changed: Any) -> Task:
    config = DatasetConfig(options={"scenes": 0.03}, minimum_images=1, **changed)
    return build_task(Rooms(config), config)


@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 2**31 - 1))
def test_each_row_moves_within_its_code_unless_it_is_alone(codes: list[int], seed: int):
    given_codes = np.array(codes, dtype=np.int64)
    found = other_pairs(given_codes, seed)
    assert sorted(found) == list(range(len(codes)))
    assert (given_codes[found] == given_codes).all()
    stays = found == np.arange(len(codes))
    assert all(stays[row] == (codes.count(code) == 1) for row, code in enumerate(codes))


def test_the_seed_draws_the_order():
    codes = np.zeros(30, dtype=np.int64)
    assert (other_pairs(codes, 3) == other_pairs(codes, 3)).all()
    assert (other_pairs(codes, 3) != other_pairs(codes, 4)).any()


def test_within_a_class_halves_keep_their_class_and_without_some_do_not():
    task = rooms()
    label, rows = task.index.label, task.rows["ti"]
    assert (source_halves(task, "matched", 0) == rows).all()
    within, free = (source_halves(task, kind, 0) for kind in ("shuffled-within-class", "shuffled"))
    assert (label[within] == label[rows]).all() and (within != rows).all()
    assert (label[free] != label[rows]).any() and (free != rows).all()


def test_source_halves_alone_change_and_other_views_stay():
    task, unit = rooms(), Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    order = source_halves(task, "shuffled", 5)
    device = torch.device("cpu")
    matched = ViewOpener(task, ChannelCopy(), 32, device)
    shuffled = ViewOpener(task, ChannelCopy(), 32, device, order)
    before, after = matched.pairs(unit), shuffled.pairs(unit)
    assert before is not None and after is not None and before.groups == after.groups
    rows = torch.arange(len(before))
    torch.testing.assert_close(after.target.batch(rows), before.target.batch(rows))
    place = {int(row): number for number, row in enumerate(task.rows["ti"])}
    moved = torch.tensor([place[int(row)] for row in order])
    torch.testing.assert_close(after.source.batch(rows), before.source.batch(moved))


def test_a_default_is_not_in_the_configuration_and_a_control_is_another_run():
    plain = flags.configuration({"method": "shot"})
    control = flags.configuration({"method": "shot", "pairs": "shuffled"})
    assert "pairs" not in plain.model_dump()["dataset"]
    assert control.model_dump()["dataset"]["pairs"] == "shuffled" and control.digest() != plain.digest()


def test_a_task_without_pairs_has_no_such_control():
    with pytest.raises(UserError, match="has no TI pairs"):
        source_halves(rooms(ti_pairs=0), "shuffled", 0)


def test_the_record_says_that_the_run_is_a_control():
    task = rooms()
    assert pair_notices(task, "matched") == []
    assert pair_notices(task, "shuffled") == [
        "a control: each target half of the TI pairs has the source half of another pair (dataset.pairs)"
    ]


@pytest.mark.parametrize("pairs", ["shuffled", "shuffled-within-class"])
def test_a_method_that_reads_no_pairs_has_no_control_with_shuffled_pairs(sfda_kit, pairs: str):
    result = sfda_kit("run", "--method", "source-only", "--pairs", pairs)
    assert result.exit_code == 2 and "'source-only' reads no TI pairs" in str(result.exception)
    assert not Path("runs").exists()
