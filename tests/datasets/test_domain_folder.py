from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.task import build_task
from sfda_kit.datasets.domain_folder import DomainFolder
from sfda_kit.datasets.named_splits import shipped_splits
from sfda_kit.datasets.twins import make_twin
from sfda_kit.errors import DataError, UserError

pytestmark = pytest.mark.slow

SENSORS = {"source": "rgb@amazon", "target": "rgb@webcam"}


def config(root: Path, **changes: object) -> DatasetConfig:
    return DatasetConfig(name="domain-folder", root=root, **{**SENSORS, **changes})


def load(root: Path, **changes: object) -> DomainFolder:
    return DomainFolder(config(root, **changes))


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("office") / "twin"
    make_twin("domain-folder", out, per_class=5)
    return out


@pytest.fixture
def own(twin, tmp_path) -> Path:
    return Path(shutil.copytree(twin, tmp_path / "own"))


@pytest.fixture
def small(tmp_path, write_image, rgb) -> Path:
    """Two domains of two classes, five images each, without ``images/``."""
    for domain in ("train", "validation"):
        for kind in ("car", "truck"):
            for number in range(5):
                write_image(tmp_path / "visda" / domain / kind / f"{kind}_{number}.jpg", rgb)
    return tmp_path / "visda"


VISDA = {"source": "rgb@train", "target": "rgb@validation"}


@pytest.mark.parametrize(
    ("name", "count"), [("office-31", 31), ("office-home", 65), ("visda-c", 12), ("domainnet-126", 126)]
)
def test_the_class_lists_of_the_known_sets(name, count):
    split = shipped_splits("domain-folder")[name]
    assert len(set(split.tr)) == len(split.tr) == count and split.ti == ()


def test_the_source_domain_is_source_and_the_target_domain_is_divided(twin):
    task = build_task(load(twin), config(twin, minimum_images=1))
    assert len(task.classes) == 18 and task.ti_classes == () and len(task.rows["ti"]) == 0
    counts = {part: len(rows) for part, rows in task.rows.items()}
    assert counts == {"source": 90, "target-train": 72, "target-test": 18, "ti": 0}
    names = {part: task.names(part) for part in task.rows}
    assert all(name.startswith("amazon/images/") for name in names["source"])
    assert all(name.startswith("webcam/images/") for name in names["target-train"] + names["target-test"])
    # Four of the five images of each class are adapted to.
    assert {np.bincount(task.labels("target-train")).tolist()[k] for k in range(18)} == {4}


def test_half_may_be_held_out_and_the_seed_of_the_split_decides_which(twin):
    half = load(twin, options={"held_out": 0.5}).index()
    webcam = half.domain == half.domains.index("webcam")
    assert 36 <= (half.part[webcam] == 2).sum() <= 54
    assert (load(twin).index().part != load(twin, split_seed=1).index().part).any()
    assert (load(twin).index().part == load(twin).index().part).all()


def test_the_published_protocol_adapts_to_all_but_one_image_of_a_class(twin):
    task = build_task(load(twin, options={"held_out": "one"}), config(twin, minimum_images=1))
    labels = {part: np.bincount(task.labels(part), minlength=18).tolist() for part in ("target-train", "target-test")}
    assert labels == {"target-train": [4] * 18, "target-test": [1] * 18}
    assert not set(task.names("target-train")) & set(task.names("target-test"))
    (told,) = [notice for notice in task.notices if "held_out=one" in notice]
    assert "on the 72 of 90 target images" in told and "held-out score is of 18 images" in told
    assert not any("held_out=one" in notice for notice in load(twin).index().notices)


def test_of_a_large_class_too_a_single_image_is_held_out(tmp_path, write_image, rgb):
    (first,) = [write_image(tmp_path / "train" / "car" / "0.png", rgb[:2, :2])]
    for domain, count in (("train", 3), ("validation", 400)):
        for kind in ("car", "truck"):
            for number in range(count):
                path = tmp_path / domain / kind / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                if path != first:
                    path.symlink_to(first)
    index = load(tmp_path, options={"held_out": "one"}, **VISDA).index()
    assert [(index.part[index.label == label] == 2).sum() for label in range(2)] == [1, 1]


@pytest.mark.parametrize("share", [0, 1, "two", -0.1])
def test_other_shares_are_refused(twin, share):
    with pytest.raises(UserError, match="held_out"):
        load(twin, options={"held_out": share})


def test_the_fingerprint_does_not_depend_on_the_target(twin):
    assert load(twin).fingerprint() == load(twin, target="rgb@dslr").fingerprint()


def test_groups_are_never_cut(own):
    index = load(own, group_pattern=r"frame_000(\d)").index()
    webcam = index.domain == index.domains.index("webcam")
    train, test = (set(index.group[webcam & (index.part == code)]) for code in (1, 2))
    assert train and test and not train & test


def test_one_domain_as_source_and_target_is_dealt(twin):
    index = load(twin, target="rgb@amazon").index()
    assert (index.part == -1).all()


def test_classes_of_one_domain_only_are_left_out_with_a_notice(own):
    shutil.rmtree(own / "webcam" / "images" / "bike")
    dataset = load(own)
    assert "bike" not in dataset.splits()["shared"].tr_classes
    assert any("1 classes are not in both amazon and webcam: bike" in notice for notice in dataset.index().notices)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", ["Real World", "Real_World", "RealWorld", "real world"])
def test_office_home_in_all_spellings(tmp_path, write_image, rgb, name, wrapped):
    root = tmp_path / "OfficeHomeDataset_10072016" if wrapped else tmp_path
    for domain in ("Art", name):
        for kind in ("Alarm_Clock", "TV"):
            write_image(root / domain / kind / "00001.jpg", rgb)
    dataset = load(tmp_path, source="rgb@Art", target="rgb@RealWorld", split="office-home")
    assert dataset.index().domains == ("Art", "RealWorld") and len(dataset.index().names) == 4
    assert dataset.read(np.arange(4), "rgb", 16).shape == (4, 16, 16, 3)


def test_visda_lists_restrict_a_domain(small):
    (small / "train" / "image_list.txt").write_text("car/car_0.jpg 3\ntruck/truck_1.jpg 11\n\n")
    index = load(small, **VISDA).index()
    assert sorted(name for name in index.names if name.startswith("train")) == [
        "train/car/car_0.jpg",
        "train/truck/truck_1.jpg",
    ]
    assert any("2 images of train are taken from this list" in notice for notice in index.notices)
    everything = load(small, options={"lists": False}, **VISDA).index()
    assert len(everything.names) == 20


def test_visda_test_images_have_their_class_by_number(small, write_image, rgb):
    for number in range(2):
        write_image(small / "test" / f"trunk0{number}" / f"{number}.jpg", rgb)
    (small / "test" / "image_list.txt").write_text("trunk00/0.jpg 3\ntrunk01/1.jpg 11\n")
    index = load(small, source="rgb@train", target="rgb@test").index()
    found = {name: index.classes[label] for name, label in zip(index.names, index.label, strict=True)}
    assert found["test/trunk00/0.jpg"] == "car" and found["test/trunk01/1.jpg"] == "truck"
    (small / "test" / "image_list.txt").write_text("trunk00/0.jpg 3\ntrunk01/1.jpg 12\n")
    with pytest.raises(DataError, match=r"trunk01/1.jpg lies in no folder of a class and has no known number"):
        load(small, source="rgb@train", target="rgb@test").index()


def test_domainnet_lists_name_paths_from_the_root(tmp_path, write_image, rgb):
    for domain in ("real", "sketch"):
        lines = []
        for number, kind in enumerate(("ant", "teddy-bear", "zigzag")):
            write_image(tmp_path / domain / kind / f"{domain}_{number}.jpg", rgb)
            lines.append(f"{domain}/{kind}/{domain}_{number}.jpg {number}")
        (tmp_path / f"{domain}_list.txt").write_text("\n".join(lines[:2]))
    dataset = load(tmp_path, source="rgb@real", target="rgb@sketch", split="domainnet-126")
    assert dataset.index().classes == ("ant", "teddy-bear") and len(dataset.index().names) == 4
    for path in tmp_path.glob("*.txt"):
        path.unlink()
    assert "zigzag" in load(tmp_path, source="rgb@real", target="rgb@sketch").index().classes
    assert "zigzag" not in load(tmp_path, source="rgb@real", target="rgb@sketch").splits()["domainnet-126"].tr_classes


def test_lines_of_a_list_that_cannot_be_used_are_named_or_left_out(small):
    lines = ["car/car_0.jpg 3", "car/gone.jpg 3", "../../secret.jpg 3", "/home/me/car_1.jpg 3", "truck/truck_1.jpg 11"]
    (small / "train" / "image_list.txt").write_text("\n".join(lines))
    with pytest.raises(DataError) as refused:
        load(small, **VISDA).index()
    message = str(refused.value)
    assert "line 2: 'car/gone.jpg' is not on the disk" in message
    assert "line 3: '../../secret.jpg' leads out of the data root" in message
    assert "line 4: '/home/me/car_1.jpg' leads out of the data root" in message
    index = load(small, skip_bad=True, **VISDA).index()
    assert len(index.names) == 12 and sum("left out: " in notice for notice in index.notices) == 3
    (small / "train" / "image_list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as a list of images"):
        load(small, **VISDA).index()


def test_what_is_passed_over_is_told(small, write_image, rgb):
    (small / "train" / "ghost").mkdir()
    (small / "train" / "loop").symlink_to(small)
    write_image(small / "train" / "loose.jpg", rgb)
    index = load(small, **VISDA).index()
    assert len(index.names) == 20
    notices = " ".join(index.notices)
    for told in (
        "ghost: class left out",
        "loop: class left out",
        "left out 1 images in no class, such as loose.jpg",
    ):
        assert told in notices


def test_another_modality_and_its_bad_files(tmp_path, write_image, depth):
    for domain in ("old", "new"):
        for kind in ("cat", "dog"):
            write_image(tmp_path / domain / kind / "1.png", depth)
    sensors = {"source": "depth@old", "target": "depth@new", "options": {"modality": "depth"}}
    dataset = load(tmp_path, **sensors)
    assert dataset.modalities == ("depth",) and DomainFolder.modalities == ("rgb",)
    assert dataset.read(np.arange(4), "depth", 16).dtype == np.uint16
    (tmp_path / "old" / "cat" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"old/cat/1.png \(depth\) is empty"):
        load(tmp_path, **sensors).read(np.arange(4), "depth", 16)
    assert len(load(tmp_path, **sensors).bad_rows(("depth",))) == 1


def test_folders_that_cannot_be_used(tmp_path, small):
    (tmp_path / "empty" / "cats").mkdir(parents=True)
    with pytest.raises(DataError, match=r"holds no image laid out as <domain>/<class>.*found cats"):
        load(tmp_path / "empty").index()
    with pytest.raises(UserError, match="needs the domains of the task"):
        load(small, source="rgb")
    with pytest.raises(UserError, match="no domain 'amazon'"):
        build_task(load(small), config(small))
    with pytest.raises(UserError, match="no modality 'depth'"):
        build_task(load(small, target="depth@validation"), config(small, source="rgb@train", target="depth@validation"))
