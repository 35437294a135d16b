"""Stress: each damage against a plain loop or a case computed by hand, and nothing changes that was not asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.builtin.modalities import DEPTH, NIR, RGB, THERMAL
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import DatasetConfig
from sfda_kit.config.stress import StressConfig
from sfda_kit.data.open_views import ViewOpener
from sfda_kit.data.shuffled_pairs import wrong_pairs
from sfda_kit.data.stressed_pixels import (
    check_stress,
    direction,
    moved,
    noisy,
    patches,
    shifted_images,
    worse_images,
)
from sfda_kit.data.stressed_rows import stressed_task, unbalanced, with_leak
from sfda_kit.data.task import Task, build_task
from sfda_kit.data.views import Normalisation
from sfda_kit.datasets.paired_folder import PairedFolder
from sfda_kit.errors import UserError
from sfda_kit.rooms.dataset import Rooms
from sfda_kit.runs.labelled import run_identity, run_label
from sfda_kit.runs.plan import plan_run
from sfda_kit.source.source_stage import source_identity

UNIT = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
PARTS_SEEN = ("target-train", "target-test")


def drawn() -> np.random.Generator:
    return np.random.default_rng(3)


def rooms(**changed: Any) -> tuple[Task, DatasetConfig]:
    config = DatasetConfig(options={"scenes": 0.03}, minimum_images=1, **changed)
    return build_task(Rooms(config), config), config


@pytest.mark.parametrize(("down", "right"), [(2, 0), (-1, 3), (0, -4), (9, 9)])
def test_a_moved_image_is_that_of_a_plain_loop(down: int, right: int):
    image = np.arange(36, dtype=np.uint16).reshape(6, 6)
    expected = np.empty_like(image)
    for y in range(6):
        for x in range(6):
            expected[y, x] = image[min(max(y - down, 0), 5), min(max(x - right, 0), 5)]
    assert (moved(image, down, right) == expected).all()
    colours = np.stack([image] * 3, axis=-1)
    assert (moved(colours, down, right) == expected[..., None]).all()


def test_each_pair_has_a_direction_of_its_own_which_a_larger_shift_keeps():
    short, far = ([direction(by, np.random.default_rng([0, row])) for row in range(200)] for by in (4, 16))
    assert all(abs(np.hypot(*one) - 4) < 0.75 for one in short) and len(set(short)) > 10
    assert all(abs(4 * y - fy) <= 2.5 and abs(4 * x - fx) <= 2.5 for (y, x), (fy, fx) in zip(short, far, strict=True))
    pixels = np.random.default_rng(0).integers(1, 9, (3, 8, 8)).astype(np.uint16)
    rows = np.array([5, 6, 7])
    assert (shifted_images(pixels, rows, 3, 1)[1] == shifted_images(pixels[1:2], rows[1:2], 3, 1)[0]).all()
    assert (shifted_images(pixels, rows, 3, 1) != shifted_images(pixels, rows, 3, 2)).any()
    assert shifted_images(pixels, rows, 0, 1) is pixels


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_holes_have_exactly_their_share_of_the_pixels_and_grow(share: float):
    missing = patches(40, share, drawn())
    assert missing.sum() == round(share * 1600)
    assert (missing <= patches(40, share + 0.3, drawn())).all(), "a larger share does not hold a smaller one"
    alone = missing[1:-1, 1:-1] & ~(missing[:-2, 1:-1] | missing[2:, 1:-1] | missing[1:-1, :-2] | missing[1:-1, 2:])
    assert alone.sum() <= 0.02 * missing.sum(), "these are single pixels and no patches"


def test_noise_has_its_deviation_in_millimetres_and_neither_makes_nor_fills_holes():
    depth = np.full((200, 200), 2000, dtype=np.uint16)
    depth[:50] = 0
    found = noisy(depth, DEPTH, 0.05, drawn())
    assert found.dtype == np.uint16 and (found[:50] == 0).all()
    difference = found[50:].astype(float) - 2000
    assert difference.std() == pytest.approx(50, rel=0.02) and abs(difference.mean()) < 1
    near = noisy(np.full((50, 50), 3, dtype=np.uint16), DEPTH, 1.0, drawn())
    assert near.min() == 1


def test_noise_of_other_modalities_is_that_of_a_plain_loop():
    """Brightness is a fraction of full scale, temperatures are degrees; both stay in their valid range."""
    for kind, image, full in (
        (NIR, np.array([[0, 128], [200, 255]], dtype=np.uint8), 255),
        (NIR, np.array([[0, 300], [40000, 65535]], dtype=np.uint16), 65535),
        (THERMAL, np.array([[20.0, -99.9], [36.5, 90.0]], dtype=np.float32), None),
        (THERMAL, np.array([[0, 3000], [9000, 65535]], dtype=np.uint16), 65535),
        (RGB, np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20, 255),
    ):
        random = drawn().standard_normal(image.shape, dtype=np.float32)
        found = noisy(image, kind, 0.1, drawn())
        assert found.dtype == image.dtype
        for place in np.ndindex(image.shape):
            if full is None:
                expected = max(float(image[place]) + 0.1 * random[place], -100.0)
                assert found[place] == pytest.approx(expected, abs=1e-4)
            else:
                value = min(max(image[place] / full + 0.1 * random[place], 0.0), 1.0) * full
                assert abs(int(found[place]) - value) <= 0.5 + 1e-6


def test_an_image_is_made_worse_in_the_same_way_in_every_part_and_more_noise_is_the_same_noise():
    pixels = np.full((3, 24, 24), 1500, dtype=np.uint16)
    stress = StressConfig(holes=0.25, noise=0.02)
    found = worse_images(pixels, np.array([4, 9, 2]), DEPTH, stress, seed=1)
    assert (found == 0).mean() == 0.25 and (pixels == 1500).all(), "the images themselves were changed"
    assert (found[1] == worse_images(pixels[:1], np.array([9]), DEPTH, stress, seed=1)[0]).all()
    assert (found[0] != found[1]).any() and (found != worse_images(pixels, np.array([4, 9, 2]), DEPTH, stress, 2)).any()
    less, more = (
        worse_images(pixels, np.array([4, 9, 2]), DEPTH, StressConfig(noise=by), 1).astype(float) - 1500
        for by in (0.05, 0.1)
    )
    assert np.abs(2 * less - more).max() <= 1.5
    assert worse_images(pixels, np.array([4, 9, 2]), DEPTH, StressConfig(pair_shift=3), 1) is pixels


def test_large_images_are_made_worse_in_a_file(monkeypatch: pytest.MonkeyPatch):
    pixels = np.full((4, 16, 16), 900, dtype=np.uint16)
    small = worse_images(pixels, np.arange(4), DEPTH, StressConfig(noise=0.1), 0)
    monkeypatch.setattr("sfda_kit.data.stressed_pixels.LARGE_BYTES", 100)
    assert (worse_images(pixels, np.arange(4), DEPTH, StressConfig(noise=0.1), 0) == small).all()


@pytest.mark.parametrize(("share", "moves"), [(0, 0), (0.01, 2), (0.25, 10), (0.5, 20), (1, 40)])
def test_wrong_pairs_are_as_many_as_asked_and_each_has_lost_its_half(share: float, moves: int):
    order = wrong_pairs(40, share, seed=3)
    changed = order != np.arange(40)
    assert changed.sum() == moves and sorted(order) == list(range(40))
    assert (changed <= (wrong_pairs(40, min(1, share + 0.2), seed=3) != np.arange(40))).all()


def test_leaked_pairs_show_tr_classes_of_groups_that_are_not_held_out():
    task, config = rooms(target="depth@xtion", stress={"leaked_pairs": 0.5})
    found = stressed_task(task, config, seed=0)
    before, after = task.rows["ti"], found.rows["ti"]
    is_new = ~np.isin(after, before)
    assert len(after) == len(before) and is_new.sum() == round(0.5 * len(before))
    index = task.index
    assert {index.classes[int(code)] for code in index.label[after[is_new]]} <= set(task.classes)
    assert not set(index.group[after[is_new]]) & set(index.group[task.rows["target-test"]])
    assert {index.domains[int(code)] for code in index.domain[after[is_new]]} == {"xtion"}
    assert found.fingerprint == task.fingerprint and any("show TR classes" in notice for notice in found.notices)
    assert all((found.rows[part] == task.rows[part]).all() for part in ("source", *PARTS_SEEN))
    fewer, _ = with_leak(before, task.relevant_pairs, 0.1, seed=0)
    assert (~np.isin(fewer, before) <= is_new).all(), "a larger leak does not hold a smaller one"


def test_a_leak_keeps_to_the_groups_that_pairs_may_come_from():
    everywhere, own = rooms(target="depth@kv1")[0], rooms(target="depth@kv1", ti_groups="target-train")[0]
    groups = own.index.group
    assert set(groups[own.relevant_pairs]) <= set(groups[own.rows["target-train"]])
    assert set(groups[everywhere.relevant_pairs]) & set(groups[everywhere.rows["source"]])


def test_class_counts_fall_as_computed_by_hand():
    """Shares are 4, 2 and 1 parts of 7; class 7 has the fewest for its share: 12 images for two parts."""
    labels = np.repeat([5, 7, 9], [40, 12, 10])
    kept = unbalanced(labels, 4, seed=0)
    assert np.bincount(labels[kept])[[5, 7, 9]].tolist() == [24, 12, 6] and (np.diff(kept) > 0).all()
    assert np.bincount(labels[unbalanced(labels, 1, seed=0)])[[5, 7, 9]].tolist() == [10, 10, 10]
    assert (unbalanced(labels, 4, seed=0) != unbalanced(labels, 4, seed=1)).any()
    assert np.bincount(labels[unbalanced(labels, 1000, seed=0)])[[5, 7, 9]].tolist() == [40, 1, 1]


def test_imbalance_is_made_in_the_training_images_alone():
    task, config = rooms(stress={"imbalance": 3})
    found = stressed_task(task, config, seed=0)
    counts = np.bincount(found.labels("target-train"))
    assert counts.max() == pytest.approx(3 * counts.min(), abs=2)
    assert all((found.rows[part] == task.rows[part]).all() for part in ("source", "target-test", "ti"))


@pytest.mark.parametrize("key", ["pair_shift", "wrong_pairs", "leaked_pairs"])
def test_a_task_without_pairs_has_no_pairs_to_stress(key: str):
    task, config = rooms(ti_pairs=0, stress={key: 1})
    with pytest.raises(UserError, match=f"stress.{key} changes TI pairs, and this task has none"):
        stressed_task(task, config, 0)


def test_too_large_a_leak_says_what_there_is():
    with pytest.raises(UserError, match="asks for 4 pairs of TR classes, and this task has 2 in groups"):
        with_leak(np.arange(8), np.array([20, 21]), 0.5, 0)


def test_only_what_the_target_sensor_saw_is_stressed_and_the_cache_holds_plain_images_alone(pairs_root: Path):
    def task(**changed: Any) -> Task:
        told = {"name": "paired-folder", "root": pairs_root, "source": "rgb@cam", "target": "depth@cam"}
        config = DatasetConfig(**told, tr_classes=("bar", "disc", "ring"), ti_classes=("corner", "stripe"), **changed)
        return build_task(PairedFolder(config), config)

    def opener(stress: StressConfig | None) -> ViewOpener:
        told = None if stress is None else (stress, 0)
        return ViewOpener(task(), ChannelCopy(), 32, torch.device("cpu"), stress=told)

    stressed = opener(StressConfig(holes=0.3, noise=0.02, pair_shift=5))
    seen = {part: stressed.evaluation(part, UNIT).images for part in PARTS_SEEN}
    pairs = stressed.pairs(UNIT)
    plain = opener(None)  # reads what the first one has left in the cache
    expected = {part: plain.evaluation(part, UNIT).images for part in PARTS_SEEN}
    plain_pairs = plain.pairs(UNIT)
    assert pairs is not None and plain_pairs is not None
    for part, view in seen.items():
        found, before = view._pixels, expected[part]._pixels
        assert ((found == 0).mean(axis=(1, 2)) >= 0.29).all() and (np.asarray(before) > 0).all()
    read = PairedFolder(task().dataset.config).read(task().rows["ti"], "depth", 36)
    assert (plain_pairs.target._pixels == read).all() and (pairs.target._pixels != read).any()
    assert (pairs.source._pixels == plain_pairs.source._pixels).all()
    assert (stressed.source()._pixels == plain.source()._pixels).all()
    shift = opener(StressConfig(pair_shift=5))
    assert (shift.evaluation("target-test", UNIT).images._pixels == expected["target-test"]._pixels).all()


def identity(**dataset: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    plan = plan_run(
        load_config({"method": "source-only", "dataset": {"options": {"scenes": 0.03}, "minimum_images": 1, **dataset}})
    )
    task = build_task(plan.dataset, plan.config.dataset)
    return run_identity(plan, task), source_identity(plan.config, task, plan.encoding)


def test_severity_0_is_the_plain_run_and_each_other_one_is_another_with_the_same_source_model():
    plain, source = identity()
    nothing = {"pair_shift": 0, "wrong_pairs": 0, "leaked_pairs": 0, "holes": 0, "noise": 0, "imbalance": None}
    assert identity(stress=nothing) == (plain, source) == identity(stress={})
    runs = [identity(stress={key: 1 if key == "imbalance" else 0.25}) for key in list(nothing)[1:]]
    assert all(one[0] != plain and one[1] == source for one in runs) and runs[0] != runs[1]
    assert "stress" not in plain["config"]["dataset"]


def test_the_name_of_a_run_tells_its_stress():
    config = load_config({"method": "shot", "dataset": {"stress": {"holes": 0.2, "pair_shift": 4}}})
    assert "-pair_shift-4-holes-0.2-s0" in run_label(config)


@pytest.mark.parametrize(
    ("stress", "sensor", "words"),
    [
        ({"holes": 0.1}, "nir@kv1", "every pixel of nir is measured"),
        ({"noise": 50}, "depth@kv1", "depth lies in 0.2 to 20 .metres.*give at most 4.95"),
        ({"noise": 0.5}, "nir@kv1", "give at most 0.25"),
        ({"pair_shift": 64}, "depth@kv1", "the model sees images of 64 px"),
    ],
)
def test_what_a_sensor_cannot_have_is_refused(stress: dict[str, Any], sensor: str, words: str):
    with pytest.raises(UserError, match=words):
        check_stress(StressConfig(**stress), sensor, 64)
    with pytest.raises(UserError, match=words):
        plan_run(load_config({"method": "source-only", "dataset": {"target": sensor, "stress": stress}}))


def test_noise_is_checked_against_what_thermal_pixels_hold():
    """Files may hold degrees or brightness; 20 is a noise in degrees alone."""
    check_stress(StressConfig(noise=20), "thermal@cam", 64)
    with pytest.raises(UserError, match="thermal lies in 0 to 1"):
        worse_images(np.ones((1, 4, 4), np.uint16), np.array([0]), THERMAL, StressConfig(noise=20), 0)


def test_pairs_are_mixed_in_one_way():
    with pytest.raises(UserError, match="pairs is shuffled, so wrong_pairs has no effect"):
        load_config({"method": "shot", "dataset": {"pairs": "shuffled", "stress": {"wrong_pairs": 0.1}}})
    with pytest.raises(UserError, match="Did you mean 'holes'"):
        load_config({"method": "shot", "dataset": {"stress": {"hole": 0.1}}})
