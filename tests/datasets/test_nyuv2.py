"""The labelled file of NYU Depth V2: as scenes, as crops of objects, and broken in the ways files break."""

from __future__ import annotations

import builtins
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from sfda_kit.config.models import DatasetConfig
from sfda_kit.datasets.nyuv2 import Nyuv2
from sfda_kit.datasets.nyuv2_crops import CropRules, make_crops
from sfda_kit.datasets.nyuv2_mat import FILE, LabelledFrame, open_labelled, room_of
from sfda_kit.datasets.paired_folder import NYU11, NYU11_TI21, PairedFolder
from sfda_kit.datasets.twins import make_twin
from sfda_kit.datasets.twins.nyuv2 import NAMES, SCENE_TYPES, write_texts
from sfda_kit.errors import DataError, UserError

h5py = pytest.importorskip("h5py")
SMALL = CropRules(min_side=20)


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("nyuv2") / "twin"
    make_twin("nyuv2", out, per_class=2)
    return out


@pytest.fixture
def mat(twin, tmp_path) -> Path:
    """A copy to break."""
    return Path(shutil.copy(twin / FILE, tmp_path / FILE))


@pytest.fixture
def edited(mat) -> Callable[[Callable[[h5py.File], None]], Path]:
    def edit(change: Callable[[h5py.File], None]) -> Path:
        with h5py.File(mat, "r+") as file:
            change(file)
        return mat

    return edit


def write_mat(path: Path, rgb: np.ndarray, depth: np.ndarray, label: np.ndarray) -> Path:
    """One frame; all given as (H, W, ...) and stored as MATLAB does."""
    with h5py.File(path, "w") as file:
        for name, plane in (
            ("images", rgb),
            ("depths", depth),
            ("rawDepths", np.zeros_like(depth)),
            ("labels", label),
        ):
            file[name] = plane.transpose()[None]
        write_texts(file, "names", ["wall", "chair", "night stand", "refridgerator"])
        write_texts(file, "scenes", ["office_0001a"])
        write_texts(file, "sceneTypes", ["office"])
    return path


def frame(*objects: tuple[int, slice, slice]) -> LabelledFrame:
    """A wall with rectangles, border included: label, rows, columns."""
    label = np.ones((480, 640), np.uint16)
    for number, rows, columns in objects:
        label[rows, columns] = number
    ramp = np.arange(label.size).reshape(label.shape)
    rgb = np.stack([ramp % 251, ramp // 640 % 256, ramp % 7], axis=-1).astype(np.uint8)
    return LabelledFrame(rgb, (1000 + ramp % 3001).astype(np.uint16), label)


def mat_of(path: Path, one: LabelledFrame) -> Path:
    return write_mat(path, one.rgb, (one.depth / 1000).astype(np.float32), one.label)


def load(root: Path, **changes: object) -> Nyuv2:
    return Nyuv2(DatasetConfig(name="nyuv2", root=root, source="rgb", target="depth", **changes))


def test_the_twin_has_the_fields_and_axes_of_matlab(twin):
    with h5py.File(twin / FILE) as file:
        assert file["images"].shape == (36, 3, 128, 96) and file["images"].dtype == np.uint8
        assert file["depths"].shape == file["rawDepths"].shape == file["labels"].shape == (36, 128, 96)
        assert file["depths"].dtype == np.float32 and file["labels"].dtype == np.uint16
        assert file["names"].shape == (1, len(NAMES)) and file["names"].dtype == h5py.ref_dtype
        assert file["accelData"].shape == (4, 36)
        assert bytes(file[file["sceneTypes"][0, 0]][:, 0].astype(np.uint8)) == b"bathroom"


def test_columns_first_becomes_rows_first_and_the_white_border_goes(tmp_path):
    one = frame()
    with open_labelled(mat_of(tmp_path / FILE, one)) as opened:
        read = opened.frame(0)
        assert not opened.depth(0, raw=True).any()
    assert read.rgb.shape == (426, 560, 3)
    np.testing.assert_array_equal(read.rgb, one.rgb[45:471, 41:601])
    np.testing.assert_array_equal(read.depth, one.depth[45:471, 41:601])


@pytest.mark.slow
def test_scenes_are_read_with_types_as_classes_and_videos_as_groups(twin):
    for root in (twin, twin / FILE):
        dataset = load(root)
        index = dataset.index()
        assert set(index.classes) == set(SCENE_TYPES) and index.domains == ("kinect1",)
        assert len(index.names) == 36 and "kitchen/nyu0007" in index.names
        assert dataset.synthetic and len(set(index.group)) == 18
    with open_labelled(twin / FILE) as mat:
        row = index.names.index("kitchen/nyu0007")
        rgb, depth = mat.rgb(6), mat.depth(6)
    assert (dataset.read(np.array([row]), "rgb", 96)[0].shape) == (96, 96, 3)
    assert abs(dataset.read(np.array([row]), "rgb", 48)[0].mean() - rgb.mean()) < 2
    assert abs(dataset.read(np.array([row]), "depth", 48)[0].mean() - depth.mean()) < 60
    raw = load(twin, options={"depth": "raw"})
    assert (raw.read(np.arange(36), "depth", 96) == 0).mean() > (dataset.read(np.arange(36), "depth", 96) == 0).mean()
    assert raw.fingerprint() != dataset.fingerprint()


def test_splits(twin):
    splits = load(twin).splits()
    assert next(iter(splits)) == "common9"
    assert len(splits["common9"].tr_classes) == len(splits["common9"].ti_classes) == 9
    assert len(splits["largest6"].tr_classes) == 6


def test_later_parts_of_a_video_are_one_room():
    assert [room_of(name) for name in ("office_0001a", "furniture_store_0002b", "kitchen_0003", "den_a")] == [
        *("office_0001", "furniture_store_0002", "kitchen_0003", "den_a")
    ]


def test_crops_are_pairs_of_the_same_pixels(tmp_path):
    """55 pixels stay, 256 become the means of 2 x 2."""
    one = frame((2, slice(145, 195), slice(241, 291)), (3, slice(100, 333), slice(300, 400)))
    counts = make_crops(mat_of(tmp_path / FILE, one), tmp_path / "out", CropRules())
    assert counts == {"chair": 1, "night_stand": 1}
    depth = halves(tmp_path / "out", "chair/nyu0001_00", one.rgb[142:197, 238:293])
    np.testing.assert_array_equal(depth, one.depth[142:197, 238:293])
    blocks = one.depth[88:344, 222:478].reshape(128, 2, 128, 2)
    seen = one.rgb[88:344, 222:478].reshape(128, 2, 128, 2, 3)
    depth = halves(tmp_path / "out", "night_stand/nyu0001_01", seen.mean(axis=(1, 3)))
    np.testing.assert_array_equal(depth, np.rint(blocks.mean(axis=(1, 3))))
    assert (tmp_path / "out/groups.csv").read_text() == "stem,group\nnyu0001_00,office_0001\nnyu0001_01,office_0001\n"
    assert (tmp_path / "out/crops.csv").read_text() == (
        "stem,class,frame,top,left,side\nnyu0001_00,chair,1,142,238,55\nnyu0001_01,night_stand,1,88,222,256\n"
    )


def halves(root: Path, name: str, expected: np.ndarray) -> np.ndarray:
    """Depth of a crop, when its RGB half is the expected one as far as JPEG keeps it."""
    with Image.open(root / "kinect1" / "rgb" / f"{name}.jpg") as half:
        assert half.format == "JPEG"
        assert abs(np.asarray(half)[..., 1] - expected[..., 1].astype(float)).mean() < 30
    with Image.open(root / "kinect1" / "depth" / f"{name}.png") as half:
        assert half.mode.startswith("I")
        return np.asarray(half).astype(np.uint16)


def test_missing_depth_is_in_no_mean(tmp_path):
    one = frame((3, slice(100, 333), slice(300, 400)))
    one.depth[88:344:2, 222:478:2] = 0  # one of each 2 x 2
    make_crops(mat_of(tmp_path / FILE, one), tmp_path / "out", CropRules())
    blocks = one.depth[88:344, 222:478].reshape(128, 2, 128, 2)
    with Image.open(tmp_path / "out/kinect1/depth/night_stand/nyu0001_00.png") as half:
        np.testing.assert_array_equal(np.asarray(half), np.rint(blocks.sum(axis=(1, 3)) / 3))


def test_larger_crops_are_scaled_to_the_side_that_is_asked_for(tmp_path):
    path = mat_of(tmp_path / FILE, frame((2, slice(145, 195), slice(241, 291)), (3, slice(100, 333), slice(300, 400))))
    make_crops(path, tmp_path / "out", CropRules(max_side=96))
    sizes = {half.parent.name: Image.open(half).size for half in (tmp_path / "out").rglob("*.png")}
    assert sizes == {"chair": (55, 55), "night_stand": (96, 96)}


def test_the_misspelt_class_has_its_usual_name(tmp_path):
    path = mat_of(tmp_path / FILE, frame((4, slice(145, 195), slice(241, 291))))
    assert make_crops(path, tmp_path / "out", CropRules()) == {"refrigerator": 1}


def test_pairs_without_any_depth_are_left_out(tmp_path):
    path = mat_of(tmp_path / FILE, frame((2, slice(145, 195), slice(241, 291))))
    with pytest.raises(DataError, match=r"holds no object of cabinet, bed, .* at least 40 pixels wide and high"):
        make_crops(path, tmp_path / "out", CropRules(raw=True))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("split", "expected"), [("nyu11", NYU11), ("nyu11-ti21", NYU11_TI21)])
def test_crops_of_the_twin_are_a_task(twin, tmp_path, split, expected):
    counts = make_crops(twin / FILE, tmp_path / "out", SMALL)
    assert sum(counts.values()) == 72 and all(counts[name] == 2 for name in expected.tr_classes)
    config = DatasetConfig(
        root=tmp_path / "out", source="rgb@kinect1", target="depth@kinect1", split=split, minimum_images=0
    )
    dataset = PairedFolder(config)
    assert dataset.splits()[split] == expected and dataset.synthetic
    index = dataset.index()
    assert {*expected.tr_classes, *expected.ti_classes} <= set(index.classes) and len(set(index.group)) == 18
    assert not any("groups.csv" in notice for notice in index.notices)


def test_names_map_to_the_usual_classes_and_one_part_is_taken(twin, tmp_path):
    usual = np.array([["wall", "sofa", "otherprop"]], dtype=object)
    savemat(tmp_path / "map.mat", {"mapClass": [[1, *[2] * (len(NAMES) - 2), 3]], "className": usual})
    savemat(tmp_path / "splits.mat", {"trainNdxs": [[3], [1]], "testNdxs": [[2]]})
    counts = make_crops(twin / FILE, tmp_path / "a", SMALL, tmp_path / "map.mat", tmp_path / "splits.mat")
    assert list(counts) == ["sofa"]
    stems = {path.stem[:7] for path in (tmp_path / "a").rglob("*.jpg")}
    assert stems == {"nyu0001", "nyu0003"}
    make_crops(twin / FILE, tmp_path / "b", SMALL, official=tmp_path / "splits.mat", part="test")
    assert {path.stem[:7] for path in (tmp_path / "b").rglob("*.jpg")} == {"nyu0002"}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"mapClass": [[1, 2]], "className": np.array([["wall"]], dtype=object)}, "maps 2 labels to 1 classes"),
        ({"mapClass": [[1, 2]]}, "lacks className"),
    ],
)
def test_mappings_that_do_not_fit(twin, tmp_path, fields, says):
    savemat(tmp_path / "map.mat", fields)
    with pytest.raises(DataError, match=says):
        make_crops(twin / FILE, tmp_path / "out", SMALL, tmp_path / "map.mat")


def test_official_lists_that_do_not_fit(twin, tmp_path):
    savemat(tmp_path / "splits.mat", {"trainNdxs": [[1], [999]]})
    with pytest.raises(DataError, match="trainNdxs names frames that the labelled file of 36 frames"):
        make_crops(twin / FILE, tmp_path / "out", SMALL, official=tmp_path / "splits.mat")
    with pytest.raises(UserError, match="no part 'val'; expected train or test"):
        make_crops(twin / FILE, tmp_path / "out", SMALL, official=tmp_path / "splits.mat", part="val")
    (tmp_path / "splits.mat").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="cannot be read as a MATLAB file"):
        make_crops(twin / FILE, tmp_path / "out", SMALL, official=tmp_path / "splits.mat")


@pytest.mark.parametrize("rules", [{"min_side": 0}, {"max_side": 2}])
def test_rules_that_cannot_be(rules):
    with pytest.raises(UserError, match="expected at least 1 and 8 pixels"):
        CropRules(**rules)


@pytest.mark.parametrize("field", ["images", "labels", "names", "sceneTypes"])
def test_missing_fields_are_named(edited, field):
    path = edited(lambda file: file.__delitem__(field))
    with pytest.raises(DataError, match=f"lacks {field}; it holds accelData"):
        load(path).index()


def replaced(name: str, values: np.ndarray) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = values

    return change


def two_scenes(file: h5py.File) -> None:
    cells = file["scenes"][:, :2]
    del file["scenes"]
    file["scenes"] = cells


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (replaced("images", np.zeros((36, 96, 128, 3), np.uint8)), r"images have the shape \(36, 96, 128, 3\)"),
        (replaced("images", np.zeros((0, 3, 128, 96), np.uint8)), "images have the shape"),
        (replaced("labels", np.zeros((36, 96, 128), np.uint16)), r"labels have the shape .* expected \(36, 128, 96\)"),
        (replaced("depths", np.zeros((35, 128, 96), np.float32)), "depths have the shape"),
        (replaced("depths", np.zeros((36, 128, 96), np.uint16)), "depths are stored as uint16"),
        (replaced("scenes", np.zeros((1, 36))), "scenes is no cell array of words"),
        (two_scenes, "36 images, 2 scenes"),
    ],
)
def test_wrong_shapes_and_types_are_named(edited, change, says):
    path = edited(change)
    with pytest.raises(DataError, match=says):
        load(path).index()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_an_error_not_a_crash(mat, tmp_path, share):
    content = mat.read_bytes()
    mat.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"download it again|Download the file again"):
        make_crops(mat, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()


def test_an_old_matlab_file_is_refused(tmp_path):
    savemat(tmp_path / FILE, {"images": np.zeros((4, 4, 3, 1))})
    with pytest.raises(DataError, match=r"cannot be opened as a MATLAB 7\.3 file"):
        load(tmp_path).index()


@pytest.mark.slow
def test_damaged_pixels_are_named_by_frame(mat):
    with h5py.File(mat) as file:
        start = file["images"].id.get_chunk_info(3).byte_offset
    with mat.open("r+b") as out:
        out.seek(start)
        out.write(b"\xff" * 40)
    dataset = load(mat)
    with pytest.raises(DataError, match=r"images of frame 4 cannot be read"):
        dataset.read(np.arange(36), "rgb", 16)
    assert list(dataset.bad_rows(("rgb",))) == [3]


def test_no_such_file(tmp_path):
    with pytest.raises(DataError, match=f"expected {FILE} or the folder that holds it"):
        load(tmp_path)
    with pytest.raises(UserError, match="nyuv2 needs --data-root"):
        Nyuv2(DatasetConfig(name="nyuv2"))


def test_without_h5py_one_is_told_what_to_install(twin, tmp_path, monkeypatch):
    original = builtins.__import__

    def refuse(name: str, *rest: object, **more: object) -> object:
        if name == "h5py":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=r"needs the package h5py.*sfda-kit\[hdf5\]"):
        load(twin).index()
    with pytest.raises(UserError, match=r"This twin needs the package h5py"):
        make_twin("nyuv2", tmp_path / "twin", per_class=1)


@pytest.mark.slow
def test_the_command(sfda_kit, twin, tmp_path):
    made = sfda_kit("data", "make-crops", "nyuv2", twin / FILE, tmp_path / "out", "--min-side", "20")
    assert made.exit_code == 0, made.exception
    assert "72 crops written" in made.stdout and "--split nyu11-ti21" in made.stdout
    again = sfda_kit("data", "make-crops", "nyuv2", twin / FILE, tmp_path / "out")
    assert again.exit_code == 2 and "not an empty folder" in str(again.exception)
    other = sfda_kit("data", "make-crops", "sun-rgbd", twin / FILE, tmp_path / "b")
    assert other.exit_code == 2 and "No objects can be cut out of 'sun-rgbd'" in str(other.exception)
    verified = sfda_kit("data", "verify", "nyuv2", "--data-root", twin)
    assert verified.exit_code == 0, verified.stdout


@pytest.mark.slow
def test_frames_changed_within_the_file_are_read_anew(mat):
    rows = np.array([0, 1])
    before = load(mat).read(rows, "rgb", 16)
    with h5py.File(mat, "r+") as file:
        file["images"][0] = 255 - file["images"][0]
    changed = load(mat).read(rows, "rgb", 16)
    assert (changed[0] != before[0]).any() and (changed[1] == before[1]).all()
