from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.task import build_task
from sfda_kit.datasets.paired_folder import PairedFolder
from sfda_kit.errors import DataError, UserError

NAMES = ("a room 1_01", "a room 1_02", "Größe_03")


def load(root: Path, **changes: object) -> PairedFolder:
    sensors = {"source": "rgb@front", "target": "depth@front", "tr_classes": ("cat", "dog")}
    return PairedFolder(DatasetConfig(name="paired-folder", root=root, **{**sensors, **changes}))


@pytest.fixture
def root(tmp_path, write_image, rgb, depth) -> Path:
    folder = tmp_path / "my data"
    for scene_class in ("cat", "dog", "wild cow"):
        for name in NAMES:
            write_image(folder / "front" / "rgb" / scene_class / f"{name}.jpg", rgb)
            write_image(folder / "front" / "depth" / scene_class / f"{name}.png", depth)
    return folder


def test_halves_are_matched_by_stem_also_with_blanks_and_accents(root, depth):
    dataset = load(root)
    index = dataset.index()
    assert index.classes == ("cat", "dog", "wild cow")
    assert len(index.names) == len(set(index.names)) == 9
    assert "front/wild cow/Größe_03" in index.names
    assert (dataset.read(np.arange(9), "depth", 24)[..., 23, 23] > 0).all()
    assert dataset.read(np.arange(9), "rgb", 12).shape == (9, 12, 12, 3)


def test_names_decomposed_by_another_system_still_match(root):
    half = root / "front" / "depth" / "cat" / "Größe_03.png"
    half.rename(half.with_name(unicodedata.normalize("NFD", half.name)))
    assert len(load(root).index().names) == 9


def test_groups_from_a_pattern_a_file_or_each_stem(root):
    alone = load(root).index()
    assert len(set(alone.group)) == 3
    assert any("each stem is its own group" in notice for notice in alone.notices)
    by_pattern = load(root, group_pattern=r"^(\D+)\d").index()
    assert len(set(by_pattern.group)) == 2
    (root / "groups.csv").write_text(
        "stem,group\na room 1_01,r1\na room 1_02,r1\nGröße_03,r2\ncat/Größe_03,r1\n", encoding="utf-8"
    )
    by_file = load(root).index()
    assert by_file.notices == ()
    row = by_file.names.index("front/cat/Größe_03")
    assert by_file.group[row] == by_file.group[by_file.names.index("front/dog/a room 1_01")]
    both = load(root, group_pattern=r"\d$").index()
    assert any("is not used" in notice for notice in both.notices)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name,room\na,b\n", "expected stem,group"),
        ("", "columns none"),
        ("stem,group\na,\n", "line 2 lacks"),
        ("stem,group\na,1\na,2\n", "has groups '1' and '2'"),
    ],
)
def test_groups_files_that_cannot_be_used(root, text, expected):
    (root / "groups.csv").write_text(text)
    with pytest.raises(DataError, match=expected):
        load(root).index()


def test_a_groups_file_in_another_encoding(root):
    (root / "groups.csv").write_bytes("stem,group\nGröße_03,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="Save it as UTF-8"):
        load(root).index()


def test_patterns_that_cannot_be_used(root):
    with pytest.raises(UserError, match="no regular expression"):
        load(root, group_pattern="(").index()
    with pytest.raises(UserError, match="matches none of the 9 stems"):
        load(root, group_pattern="xyz").index()


def test_a_pattern_that_matches_in_too_many_ways_ends_with_a_message(root):
    for half, ending in (("rgb", "jpg"), ("depth", "png")):
        file = root / "front" / half / "cat" / f"{NAMES[0]}.{ending}"
        file.rename(file.with_stem("ab" * 30 + "!"))
    with pytest.raises(UserError, match="can match in too many ways"):
        load(root, group_pattern=r"^((a|b|ab)+)+$").index()


def test_splits_ask_for_classes_and_list_those_found(root):
    with pytest.raises(UserError, match=r"--tr-classes A,B --ti-classes C,D\. Classes found: cat, dog, wild cow"):
        load(root, tr_classes=None).splits()
    split = load(root, ti_classes=("wild cow",)).splits()["default"]
    assert (split.tr_classes, split.ti_classes) == (("cat", "dog"), ("wild cow",))


def test_half_a_pair_is_listed_with_the_path_expected_or_left_out(root):
    lost = root / "front" / "depth" / "dog" / f"{NAMES[0]}.png"
    lost.unlink()
    with pytest.raises(DataError) as refused:
        load(root).index()
    assert str(lost.with_suffix("")) in str(refused.value)
    assert "--skip-bad" in str(refused.value)
    index = load(root, skip_bad=True).index()
    assert len(index.names) == 8
    assert any("left out" in notice and "no other half" in notice for notice in index.notices)


@pytest.mark.parametrize("suffix", [".exr", ".npz", ".mat"])
def test_a_half_in_a_format_that_is_not_read_is_not_said_to_be_missing(root, suffix):
    half = root / "front" / "depth" / "dog" / f"{NAMES[0]}.png"
    half.rename(half.with_suffix(suffix))
    with pytest.raises(DataError) as refused:
        load(root).index()
    assert f"{half.with_suffix(suffix)} has a format that is not read. Convert it to" in str(refused.value)
    assert "no other half" not in str(refused.value)


def test_a_third_camera_may_have_gaps(root, write_image, rgb):
    write_image(root / "front" / "thermal" / "cat" / f"{NAMES[0]}.png", rgb[..., 0])
    assert len(load(root).index().names) == 9
    with pytest.raises(DataError, match="no other half"):
        load(root, source="thermal@front").index()


def test_two_files_with_one_stem(root, write_image, rgb):
    write_image(root / "front" / "rgb" / "cat" / f"{NAMES[0]}.png", rgb)
    with pytest.raises(DataError, match="with one stem"):
        load(root).index()


def test_empty_classes_and_other_folders_are_told(root):
    for half in ("rgb", "depth"):
        (root / "front" / half / "ghost").mkdir()
    (root / "front" / "labels").mkdir()
    index = load(root).index()
    assert "ghost" not in index.classes
    assert any("'ghost' left out" in notice for notice in index.notices)
    assert any("left out labels" in notice for notice in index.notices)


def test_a_folder_in_another_layout(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"<domain>/<modality>/<class>.*found cat"):
        load(tmp_path).index()
    with pytest.raises(UserError, match="no options"):
        load(tmp_path, options={"a": 1})


def test_a_link_to_its_own_parent_does_no_harm(root):
    (root / "front" / "rgb" / "cat" / "loop").symlink_to(root)
    (root / "front" / "again").symlink_to(root)
    assert len(load(root).index().names) == 9


def test_every_kind_of_bad_file_is_in_one_message(root, rgb, write_image):
    depth = root / "front" / "depth"
    write_image(depth / "cat" / f"{NAMES[0]}.png", rgb)
    (depth / "cat" / f"{NAMES[1]}.png").write_bytes(b"")
    write_image(depth / "dog" / f"{NAMES[0]}.png", rgb[..., 0])
    write_image(depth / "dog" / f"{NAMES[1]}.png", np.zeros((5, 5), np.uint16))
    dataset = load(root)
    with pytest.raises(DataError) as refused:
        dataset.read(np.arange(9), "depth", 16)
    assert str(refused.value).startswith("4 of 9 files cannot be used")
    for reason in ("RGB half", "zero bytes", "Eight-bit", "every pixel"):
        assert reason in str(refused.value)
    assert len(dataset.bad_rows(("rgb", "depth"))) == 4
    with pytest.raises(DataError, match="no nir images in domain front"):
        dataset.read(np.arange(9), "nir", 16)


def test_the_fingerprint_follows_samples_labels_groups_and_unit(root):
    before = load(root).fingerprint()
    copy = shutil.copytree(root, root.with_name("copy"))
    assert load(copy).fingerprint() == before
    assert load(root, depth_unit="m").fingerprint() != before
    assert load(root, group_pattern=r"^\D").fingerprint() != before
    for half in ("rgb", "depth"):
        (copy / "front" / half / "dog").rename(copy / "front" / half / "wolf")
    assert load(copy).fingerprint() != before


def test_named_splits_are_offered_where_their_classes_lie(root):
    for modality in ("rgb", "depth"):
        for old, new in (("cat", "bed"), ("dog", "chair"), ("wild cow", "window")):
            (root / "front" / modality / old).rename(root / "front" / modality / new)
    with pytest.raises(UserError, match=r"--ti-classes C,D or --split nyu11-ti21\. Classes found"):
        load(root, tr_classes=None).splits()
    splits = load(root).splits()
    assert list(splits) == ["default", "nyu11-ti21"]
    for modality in ("rgb", "depth"):
        (root / "front" / modality / "window").rename(root / "front" / modality / "door")
    assert list(load(root).splits()) == ["default", "nyu11", "nyu11-ti21"]


@pytest.mark.slow
@pytest.mark.parametrize(("split", "pairs"), [("nyu11", 6), ("nyu11-ti21", 21)])
def test_real_crops(real_pictures, split, pairs):
    config = DatasetConfig(
        name="paired-folder",
        root=real_pictures / "nyuv2-objects",
        source="rgb@kinect1",
        target="depth@kinect1",
        split=split,
    )
    dataset = PairedFolder(config)
    index = dataset.index()
    assert len(index.names) == 3598
    assert len(set(index.group)) == 139
    task = build_task(dataset, config)
    assert len(task.classes) == 11
    assert len(task.ti_classes) == pairs
    groups = {part: set(task.groups(part)) for part in task.rows}
    assert not groups["source"] & groups["target-train"]
    assert not (groups["source"] | groups["target-train"] | groups["ti"]) & groups["target-test"]
    depth = dataset.read(np.arange(0, 3598, 10), "depth", 48)
    assert np.percentile(depth, 0.1) >= 400
    assert np.percentile(depth, 99.9) <= 10_000
