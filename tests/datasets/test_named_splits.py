from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from sfda_kit.config.models import DatasetConfig
from sfda_kit.datasets.named_splits import Largest, NamedSplit, read_splits, shipped_splits
from sfda_kit.datasets.sun_rgbd import SunRgbd
from sfda_kit.errors import UserError

pytestmark = pytest.mark.slow

SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "sfda_kit/datasets/splits").glob("*.yaml"))


@pytest.mark.parametrize("dataset", SHIPPED)
def test_shipped_splits_are_valid_and_say_what_they_are(dataset):
    assert all(split.about for split in shipped_splits(dataset).values())


@pytest.mark.parametrize(("dataset", "relevant"), [("eurosat", 6), ("rgb-nir", 6)])
def test_random_splits_follow_the_rule_in_their_file(dataset, relevant):
    splits = {name: split for name, split in shipped_splits(dataset).items() if name.startswith("random")}
    assert len(splits) == 5
    for name, split in splits.items():
        seed = name.rpartition("seed")[2]
        classes = sorted([*split.tr, *split.ti], key=lambda c: hashlib.sha256(f"{seed} {c}".encode()).hexdigest())
        assert sorted(split.tr) == sorted(classes[:relevant])


def test_largest_rest_and_shared_are_taken_from_the_disk():
    counts = {"a": 3, "b": 9, "c": 5, "d": 5}
    split = NamedSplit(tr=Largest(largest=2), ti="rest").resolve(list(counts), counts)
    assert (split.tr_classes, split.ti_classes) == (("b", "c"), ("a", "d"))
    assert NamedSplit(tr="shared").resolve(list(counts), counts).tr_classes == tuple(counts)


def test_a_file_of_the_user_adds_splits(twin, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("splits:\n  two: {tr: [lab, office], ti: [gym], merge: {home_office: office}}\n")
    config = DatasetConfig(root=twin, split="two", options={"splits": str(own)})
    dataset = SunRgbd(config)
    assert dataset.splits()["two"].tr_classes == ("lab", "office")
    assert "socket17" in dataset.splits()
    assert "home_office" not in dataset.index().classes
    assert "class 'home_office' counts as 'office' in this split" in dataset.index().notices
    assert dataset.fingerprint() != SunRgbd(DatasetConfig(root=twin)).fingerprint()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("splits: {socket17: {tr: [a, b]}}", "exist already"),
        ("splits: {x: {ti: [a]}}", r"splits.x.tr: Field required"),
        ("splits: {x: {tr: [a, b], ti: [b]}}", "named twice in tr and ti: b"),
        ("splits: {x: {tr: [a, b], merge: {a: b}}}", "no class of its own: a"),
        ("splits: {x: {tr: [a, b], ty: [b]}}", "x.ty: Extra inputs"),
        ("splits: {", "not valid YAML"),
        ("- a", "holds no splits that can be used"),
    ],
)
def test_files_that_cannot_be_used_are_named(twin, tmp_path, text, expected):
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(UserError, match=expected) as refused:
        SunRgbd(DatasetConfig(root=twin, options={"splits": str(own)}))
    assert "own.yaml" in str(refused.value)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"splits .*none.yaml cannot be read"):
        read_splits(tmp_path / "none.yaml")


def test_the_splits_of_sun_rgbd(twin):
    splits = shipped_splits("sun-rgbd")
    assert (len(splits["socket17"].tr), len(splits["ferreri10"].tr), len(splits["scenes19"].tr)) == (17, 10, 19)
    frame = next(path for path in twin.rglob("scene.txt") if path.read_text() == "kitchen")
    config = DatasetConfig(root=twin, split="ferreri10")
    names = SunRgbd(config).index().classes
    assert "kitchen" in names and frame.is_file()
    assert set(SunRgbd(config).splits()["ferreri10"].ti_classes) == set(names) - set(splits["ferreri10"].tr)


def test_ferreri10_counts_office_kitchen_as_kitchen(twin, tmp_path):
    import shutil

    root = Path(shutil.copytree(twin / "SUNRGBD" / "kv1", tmp_path / "SUNRGBD" / "kv1")).parent
    for scene in root.rglob("scene.txt"):
        if scene.read_text() == "gym":
            scene.write_text("office_kitchen")
    before = SunRgbd(DatasetConfig(root=root))
    after = SunRgbd(DatasetConfig(root=root, split="ferreri10"))
    assert "office_kitchen" in before.index().classes
    assert "office_kitchen" not in after.index().classes
    kitchen = after.index().classes.index("kitchen")
    assert (after.index().label == kitchen).sum() == 6
    assert list(after.index().group) == list(before.index().group)
