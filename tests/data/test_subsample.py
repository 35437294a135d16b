"""Fewer TI pairs or target images: as many as asked, whole groups first, and a smaller task within a larger one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfda_kit.config.loading import load_config
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.task import Task, build_task
from sfda_kit.datasets.paired_folder import PairedFolder
from sfda_kit.errors import UserError
from sfda_kit.interfaces.dataset import PARTS
from sfda_kit.rooms.dataset import Rooms


def rooms(**changed: Any) -> Task:
    config = DatasetConfig(**changed)
    return build_task(Rooms(config), config)


def pairs(root: Path, **changed: Any) -> Task:
    told = {"name": "paired-folder", "root": root, "source": "rgb@cam", "target": "depth@cam", "minimum_images": 1}
    config = DatasetConfig(**told, tr_classes=("bar", "disc"), ti_classes=("corner", "stripe"), **changed)
    return build_task(PairedFolder(config), config)


def test_only_the_part_that_was_asked_for_becomes_smaller():
    full, few = rooms(), rooms(ti_pairs=50, target_images=120)
    assert {part: len(few.rows[part]) for part in PARTS} == {
        "source": 2400,
        "target-train": 120,
        "target-test": 600,
        "ti": 50,
    }
    for part in ("source", "target-test"):
        assert few.names(part) == full.names(part)
    assert few.fingerprint != full.fingerprint
    assert "50 of 600 TI pairs are used (dataset.ti_pairs)" in few.notices
    assert "120 of 900 target training images are used (dataset.target_images)" in few.notices


def test_a_smaller_number_is_part_of_a_larger_one_and_the_split_seed_draws_it():
    small, large = rooms(ti_pairs=20), rooms(ti_pairs=200)
    assert set(small.names("ti")) < set(large.names("ti"))
    in_order = [name for name in large.names("ti") if name in set(small.names("ti"))]
    assert in_order == small.names("ti")
    other = rooms(ti_pairs=20, split_seed=1)
    assert [name.split("-")[-1] for name in other.names("ti")] != [name.split("-")[-1] for name in small.names("ti")]


@pytest.mark.slow
def test_whole_groups_are_taken_and_only_the_last_is_cut(pairs_root: Path):
    full = pairs(pairs_root)
    sizes = {group: full.groups("ti").count(group) for group in set(full.groups("ti"))}
    for count in range(2, len(full.rows["ti"])):
        few = pairs(pairs_root, ti_pairs=count)
        assert len(few.rows["ti"]) == count
        cut = [g for g in set(few.groups("ti")) if few.groups("ti").count(g) < sizes[g]]
        assert len(cut) <= 1


def test_all_and_the_whole_number_change_nothing():
    full = rooms()
    for same in (rooms(ti_pairs="all"), rooms(ti_pairs=600)):
        assert same.fingerprint == full.fingerprint and same.notices == full.notices


def test_no_pairs_can_be_asked_for():
    task = rooms(ti_pairs=0)
    assert len(task.rows["ti"]) == 0 and task.ti_classes == ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ti_pairs": 601}, "dataset.ti_pairs is 601, and this task has 600 TI pairs. Ask for at most 600"),
        ({"target_images": 901}, "dataset.target_images is 901, and this task has 900 target training images"),
    ],
)
def test_more_than_there_are_is_refused(changed: dict[str, int], message: str):
    with pytest.raises(UserError, match=message):
        rooms(**changed)


@pytest.mark.parametrize(("key", "value"), [("ti_pairs", 1), ("ti_pairs", -1), ("target_images", 1)])
def test_a_number_that_cannot_be_trained_on_is_refused(key: str, value: int):
    with pytest.raises(UserError, match=f"dataset.{key}"):
        load_config({"method": "shot", "dataset": {key: value}})


def test_it_is_recorded_where_it_was_asked_for_only():
    """Otherwise every run made before would be another one."""
    assert not {"ti_pairs", "target_images"} & set(load_config({"method": "shot"}).model_dump()["dataset"])
    config = load_config({"method": "shot", "dataset": {"ti_pairs": 0, "target_images": 9}})
    told = config.model_dump(mode="json")["dataset"]
    assert (told["ti_pairs"], told["target_images"]) == (0, 9)
    assert load_config(config.model_dump(mode="json")) == config


def test_the_rows_are_the_same_whatever_the_run():
    assert np.array_equal(rooms(ti_pairs=30).rows["ti"], rooms(ti_pairs=30).rows["ti"])
