"""Who plays which role: groups are never cut, shares hold, classes without images are left out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.group_split import SHARES, split_groups
from sfda_kit.data.task import build_task
from sfda_kit.datasets.paired_folder import PairedFolder
from sfda_kit.errors import DataError, UserError
from sfda_kit.interfaces.dataset import PARTS, Index
from sfda_kit.rooms.dataset import Rooms

from ..conftest import TI, TR


def an_index(groups: list[int], labels: list[int], domains: list[int]) -> Index:
    count = len(groups)
    return Index(
        names=[f"sample{i}" for i in range(count)],
        domain=np.array(domains, np.int16),
        label=np.array(labels, np.int16),
        group=np.array(groups, np.int32),
        part=np.full(count, -1, np.int8),
        domains=("a", "b"),
        classes=("x", "y", "z"),
    )


rows = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=80)


@pytest.mark.slow
@given(rows=rows, seed=st.integers(0, 5))
def test_a_group_is_never_cut_even_across_domains(rows, seed):
    groups, labels, domains = map(list, zip(*rows, strict=True))
    part = split_groups(an_index(groups, labels, domains), seed)
    assert set(part.tolist()) <= {0, 1, 2}
    for group in set(groups):
        assert len({int(p) for p, g in zip(part, groups, strict=True) if g == group}) == 1


def test_shares_hold_for_each_class_with_single_groups():
    count = 400
    index = an_index(list(range(count)), [i % 3 for i in range(count)], [0] * count)
    part = split_groups(index, 0)
    for code, share in enumerate(SHARES):
        for label in range(3):
            found = ((part == code) & (index.label == label)).sum() / (index.label == label).sum()
            assert found == pytest.approx(share, abs=0.02)


def test_shares_are_those_asked_for():
    count = 400
    index = an_index(list(range(count)), [0] * count, [0] * count)
    part = split_groups(index, 0, DatasetConfig(shares="60,20,20").shares)
    assert np.bincount(part).tolist() == [240, 80, 80]


def test_shares_are_a_setting_that_older_digests_do_not_know():
    assert DatasetConfig(shares="45,30,25") == DatasetConfig() and "shares" not in DatasetConfig().model_dump()
    for wrong in ("60,40", "1,2,x", (0.5, 0.5, 0), 7):
        with pytest.raises(ValueError, match="expected three numbers above 0"):
            DatasetConfig(shares=wrong)


def in_groups(pairs_root: Path, tmp_path: Path, group_of: Callable[[str], str]) -> DatasetConfig:
    """The set of pairs with other groups."""
    root = Path(shutil.copytree(pairs_root, tmp_path / "pairs"))
    stems = sorted({path.stem for path in root.rglob("*.png")})
    lines = [f"{stem},{group_of(stem)}" for stem in stems]
    (root / "groups.csv").write_text("\n".join(["stem,group", *lines]) + "\n")
    sensors = {"source": "rgb@cam", "target": "depth@cam"}
    return DatasetConfig(name="paired-folder", root=root, tr_classes=TR, ti_classes=TI, **sensors)


def test_a_class_that_was_filmed_in_one_go_is_an_error_that_names_it(pairs_root, tmp_path):
    config = in_groups(pairs_root, tmp_path, lambda stem: "one go" if stem.startswith("disc") else stem)
    with pytest.raises(DataError) as refused:
        build_task(PairedFolder(config), config)
    said = str(refused.value)
    assert (
        "leaves target-train and target-test without class 'disc'" in said and "its 24 images lie in the group" in said
    )
    assert "'one go'" in said and "--group-pattern" in said and "--tr-classes" in said


def test_fewer_images_than_a_part_needs_leave_a_class_out_as_before(pairs_root, tmp_path):
    config = in_groups(pairs_root, tmp_path, lambda stem: "one go" if stem.startswith("disc") else stem)
    config = config.model_copy(update={"minimum_images": 25})
    with pytest.raises(DataError, match="Fewer than two TR classes"):
        build_task(PairedFolder(config), config)


def test_a_rare_class_reaches_every_part():
    groups = list(range(63))
    index = an_index(groups, [0] * 60 + [1] * 3, [0] * 63)
    for seed in range(5):
        part = split_groups(index, seed)
        assert set(part[60:].tolist()) == {0, 1, 2}


def test_official_parts_stay_and_the_seed_decides_the_rest():
    index = an_index(list(range(90)), [0] * 90, [0] * 90)
    index.part[:10] = 2
    assert (split_groups(index, 0)[:10] == 2).all()
    assert (split_groups(index, 0) == split_groups(index, 0)).all()
    assert (split_groups(index, 0) != split_groups(index, 1)).any()


def config(pairs_root, **changed) -> DatasetConfig:
    values = {"name": "paired-folder", "root": pairs_root, "source": "rgb@cam", "target": "depth@cam"}
    return DatasetConfig(**{**values, "tr_classes": TR, "ti_classes": TI, **changed})


def test_parts_of_a_task_are_disjoint_in_groups(pairs_root):
    wanted = config(pairs_root)
    task = build_task(PairedFolder(wanted), wanted)
    groups = {part: set(task.groups(part)) for part in PARTS}
    for a, b in (("source", "target-train"), ("source", "target-test"), ("target-train", "target-test")):
        assert not groups[a] & groups[b]
    assert not groups["ti"] & groups["target-test"]
    assert set(task.classes) == set(TR) and set(task.ti_classes) == set(TI)
    labels = task.labels("target-test")
    names = task.names("target-test")
    assert all(task.classes[label] in name for label, name in zip(labels, names, strict=True))


def test_rooms_parts_are_official_and_pairs_come_from_the_target_sensor():
    wanted = DatasetConfig(target="depth@xtion")
    task = build_task(Rooms(wanted), wanted)
    domains = {part: {name.split("/")[0] for name in task.names(part)} for part in PARTS}
    assert domains == {"source": {"kv1"}, "target-train": {"xtion"}, "target-test": {"xtion"}, "ti": {"xtion"}}
    assert len(task.classes) >= 12 and len(task.ti_classes) >= 6


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"tr_classes": ("bar", "corner")}, UserError, "both TR and TI"),
        ({"tr_classes": ("bar", "nothing")}, UserError, "no class 'nothing'"),
        ({"tr_classes": ("bar", "disc", "bar")}, UserError, r"\['bar'\] are named twice"),
        ({"tr_classes": ("bar",)}, DataError, "Fewer than two TR classes"),
        ({"minimum_images": 1000}, DataError, "fewer than 1000 images"),
        ({"source": "rgb"}, None, ""),
        ({"target": "nir@cam"}, (UserError, DataError), "nir"),
    ],
)
def test_a_task_that_cannot_be_says_why(pairs_root, changed, error, message):
    wanted = config(pairs_root, **changed)
    if error is None:
        assert str(build_task(PairedFolder(wanted), wanted).source) == "rgb@cam"
        return
    with pytest.raises(error, match=message):
        build_task(PairedFolder(wanted), wanted)


def test_no_ti_classes_can_be_asked_for():
    wanted = DatasetConfig(ti_classes=())
    task = build_task(Rooms(wanted), wanted)
    assert len(task.rows["ti"]) == 0 and task.ti_classes == ()


def test_a_single_pair_is_left_out_with_a_notice(pairs_root):
    wanted = config(pairs_root)
    full = PairedFolder(wanted).index()
    corner = full.classes.index("corner")
    label = full.label.copy()
    label[np.flatnonzero(np.isin(label, [corner, full.classes.index("stripe")]))[1:]] = full.classes.index("bar")

    class Sparse(PairedFolder):
        def index(self) -> Index:
            return replace(full, label=label)

    task = build_task(Sparse(wanted), wanted)
    assert len(task.rows["ti"]) == 0 and any("single TI pair" in notice for notice in task.notices)


def skewed(pairs_root, lacking: str, kept_part: int | None) -> type[PairedFolder]:
    """The class ``lacking`` has one image, in ``kept_part``; all parts are official."""
    full = PairedFolder(config(pairs_root)).index()
    part = np.arange(len(full.label), dtype=np.int8) % 3
    rows = np.flatnonzero(full.label == full.classes.index(lacking))
    part[rows] = 3  # no role in this task
    if kept_part is not None:
        part[rows[0]] = kept_part

    class Skewed(PairedFolder):
        def index(self) -> Index:
            return replace(full, part=part)

    return Skewed


@pytest.mark.parametrize(
    ("minimum", "kept_part", "kept"), [(1, 0, False), (0, 0, True), (0, 1, False), (0, None, False)]
)
def test_a_class_that_the_target_lacks_is_kept_if_asked_for(pairs_root, minimum, kept_part, kept):
    wanted = config(pairs_root, minimum_images=minimum)
    task = build_task(skewed(pairs_root, "ring", kept_part)(wanted), wanted)
    assert ("ring" in task.classes) == kept
    assert any("'ring' is not seen in every part (source 1, target-train 0" in one for one in task.notices) == kept
    assert any("'ring' left out: fewer than 1 images" in one for one in task.notices) == (not kept)


def test_a_part_without_any_image_is_no_task(pairs_root):
    wanted = config(pairs_root, minimum_images=0)
    full = PairedFolder(wanted).index()

    class Sources(PairedFolder):
        def index(self) -> Index:
            return replace(full, part=np.zeros(len(full.label), np.int8))

    with pytest.raises(DataError, match="is not seen in every part"):
        build_task(Sources(wanted), wanted)
