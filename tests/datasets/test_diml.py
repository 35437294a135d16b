from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.task import build_task
from sfda_kit.datasets.diml import Diml
from sfda_kit.datasets.diml_frames import DimlFolder, Pair, runs, scene_name
from sfda_kit.datasets.twins import make_twin
from sfda_kit.errors import DataError

pytestmark = pytest.mark.slow

SENSORS = {"source": "rgb@indoor", "target": "depth@indoor"}


def load(root: Path, **changes: object) -> Diml:
    return Diml(DatasetConfig(name="diml", root=root, **{**SENSORS, **changes}))


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("diml") / "twin"
    make_twin("diml", out, per_class=8)
    return out


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("diml") / "twin"
    make_twin("diml-full", out, per_class=20)
    return out


@pytest.fixture
def own(sample, tmp_path) -> Path:
    return Path(shutil.copytree(sample, tmp_path / "own"))


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("01. Warehouse", "warehouse"),
        ("01_Warehouse", "warehouse"),
        ("16. Billiard Hall", "billiard_hall"),
        ("Billiard-Hall", "billiard_hall"),
        ("12_livingroom_2", "livingroom"),
        ("15_restaurant_1", "restaurant"),
        ("1", ""),
        ("16.01.19", ""),
    ],
)
def test_scene_names_of_all_unpackings(folder, name):
    assert scene_name(folder) == name


def test_the_sample_release(sample):
    dataset = load(sample)
    index = dataset.index()
    assert len(index.classes) == 18 and index.domains == ("indoor",) and len(index.names) == 144
    assert dataset.synthetic
    assert all("/LR/" in name for name in index.names)
    depth = dataset.read(np.arange(144), "depth", 32)
    assert depth.dtype == np.uint16 and 500 < np.median(depth) < 8000  # millimetres
    assert any("outdoor" in notice and "names no scene" in notice for notice in index.notices)
    large = load(sample, options={"resolution": "HR"})
    assert len(large.index().names) == 144 and all("/HR/" in name for name in large.index().names)


def test_official_test_frames_are_target_test_and_no_group_is_on_both_sides(sample):
    index = load(sample).index()
    test = np.array(["/test/" in name for name in index.names])
    assert ((index.part == 2) == test).all() and test.sum() == 36
    assert not set(index.group[test]) & set(index.group[~test])
    dealt = load(sample, options={"parts": "groups"}).index()
    assert (dealt.part == -1).all()


def test_groups_are_runs_of_frames_taken_one_after_the_other(sample):
    index = load(sample, options={"parts": "groups"}).index()
    assert len(set(index.group)) == 18 * 4  # two frames each, five minutes apart
    place = DimlFolder("x", "sample", "indoor", "church", "", "")

    def frames(*keys: str) -> list[str]:
        return runs([Pair(place, key, {}) for key in keys])

    a, b, c = frames("in_00_160126_155728", "in_00_160126_155828", "in_00_160126_155929")
    assert a == b != c
    a, b, c, d = frames("in_01_160126_000001", "in_00_160126_000001", "in_00_160127_000001", "in_00_160127_000002")
    assert len({a, b, c}) == 3 and c == d
    a, b, c, d = frames("0007", "0008", "0010", "last")
    assert a == b and len({a, c, d}) == 3


def test_the_full_release(full):
    index = load(full).index()
    assert len(index.classes) == 18 and len(index.names) == 360
    assert (index.part == -1).all() and len(set(index.group)) == 18 * 4
    assert index.notices == ()
    task = build_task(load(full), DatasetConfig(name="diml", root=full, minimum_images=1, **SENSORS))
    assert len(task.classes) == 6 and len(task.ti_classes) == 12
    groups = {part: set(task.groups(part)) for part in task.rows}
    assert not groups["source"] & groups["target-train"]
    assert not (groups["source"] | groups["target-train"] | groups["ti"]) & groups["target-test"]


def test_unpackings_without_indoor_and_with_other_names(own):
    (own / "indoor" / "train").rename(own / "train")
    (own / "indoor" / "test").rename(own / "test")
    shutil.rmtree(own / "indoor")
    for folder in list(own.rglob("01. Warehouse")):
        folder.rename(folder.with_name("01_Warehouse"))
    index = load(own).index()
    assert len(index.names) == 144 and "warehouse" in index.classes and index.domains == ("indoor",)


def test_outdoor_frames_in_folders_of_scenes_are_a_domain(own):
    for part in ("train", "test"):
        halves = own / "outdoor" / part / "LR"
        for half in ("outleft", "depthmap", "confidencemap"):
            (halves / "01. Street").mkdir(exist_ok=True)
            (halves / half).rename(halves / "01. Street" / half)
    index = load(own).index()
    assert index.domains == ("indoor", "outdoor")
    outdoor = index.domain == index.domains.index("outdoor")
    assert outdoor.sum() == 4 and {index.classes[label] for label in index.label[outdoor]} == {"street"}


def test_the_largest_six_are_counted_on_the_disk(own):
    for name in ("07. Library", "11. Bedroom"):
        for folder in own.rglob(name):
            shutil.rmtree(folder)
    for path in [p for p in own.rglob("*.png") if "Warehouse" in str(p) and "_09" in p.name]:
        path.unlink()
    index = load(own).index()
    assert "library" not in index.classes
    split = load(own).splits()["largest6"]
    assert len(split.tr_classes) == 6 and len(split.ti_classes) == len(index.classes) - 6
    assert "warehouse" not in split.tr_classes and set(split.tr_classes).isdisjoint(split.ti_classes)


def test_half_a_pair_is_named_or_left_out(own):
    lost = next((own / "indoor" / "train" / "LR" / "04. Church" / "depth_filled").iterdir())
    lost.unlink()
    alone = next((own / "indoor" / "test" / "LR" / "04. Church" / "color").iterdir())
    alone.unlink()
    with pytest.raises(DataError) as refused:
        load(own).index()
    message = str(refused.value)
    assert message.startswith("2 of 144 files")
    assert lost.name.replace("_depth_filled", "_c") in message and "test/LR/04. Church/depth_filled" in message
    assert "--skip-bad" in message
    index = load(own, skip_bad=True).index()
    assert len(index.names) == 142 and sum("no other half" in notice for notice in index.notices) == 2


def test_two_files_for_one_frame(full, tmp_path):
    own = Path(shutil.copytree(full, tmp_path / "own"))
    depth = own / "indoor" / "04. Church" / "16.01.19" / "1" / "up_png"
    shutil.copy(depth / "1_ud.png", depth / "1_vi.png")
    with pytest.raises(DataError, match=r"holds '1_ud.png' and '1_vi.png' for one frame"):
        load(own).index()


def test_a_missing_folder_of_halves_names_every_frame(own):
    shutil.rmtree(own / "indoor" / "train" / "LR" / "04. Church" / "depth_filled")
    with pytest.raises(DataError, match=r"(?s)6 of 144 files cannot be used.*04. Church/depth_filled"):
        load(own).index()


def test_empty_scenes_and_loops_do_no_harm(own):
    empty = own / "indoor" / "train" / "LR" / "19. Garage"
    (empty / "color").mkdir(parents=True)
    (own / "indoor" / "again").symlink_to(own)
    index = load(own).index()
    assert "garage" not in index.classes and len(index.names) == 144
    assert any("19. Garage: left out" in notice for notice in index.notices)


def test_folders_that_cannot_be_used(own, tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(DataError, match=r"cats is not DIML.*found no folder\. Unpack"):
        load(tmp_path / "cats").index()
    with pytest.raises(DataError, match="no frame lies in a folder of a scene"):
        load(own / "outdoor").index()
    with pytest.raises(DataError, match="holds no complete pair"):
        (tmp_path / "lost" / "01. Store" / "color").mkdir(parents=True)
        load(tmp_path / "lost").index()
    for folder in list((own / "indoor").rglob("LR")):
        shutil.rmtree(folder)
    shutil.rmtree(own / "outdoor")
    with pytest.raises(DataError, match=r"holds HR only.*--set dataset.options.resolution=HR"):
        load(own).index()


def test_bad_files_are_named_with_what_to_do(own):
    folder = own / "indoor" / "train" / "LR" / "04. Church"
    depth = sorted((folder / "depth_filled").iterdir())
    depth[0].write_bytes(b"")
    depth[1].write_bytes(depth[1].read_bytes()[:200])
    Image.fromarray(np.full((9, 9), 7, np.uint8)).save(depth[2])
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(depth[3])
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(depth[4])
    dataset = load(own)
    with pytest.raises(DataError) as refused:
        dataset.read(np.arange(144), "depth", 16)
    message = str(refused.value)
    assert message.startswith("5 of 144 files cannot be used")
    for reason in ("zero bytes", "truncated or damaged", "Eight-bit depth", "every pixel", "RGB half"):
        assert reason in message
    assert len(dataset.bad_rows(("rgb", "depth"))) == 5
