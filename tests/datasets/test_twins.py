from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from sfda_kit.config.models import DatasetConfig
from sfda_kit.datasets.sample_sheet import draw_pairs
from sfda_kit.datasets.sun_rgbd import SunRgbd
from sfda_kit.datasets.twins import make_twin
from sfda_kit.datasets.twins.sun_rgbd_layout import SCENE_NAMES
from sfda_kit.errors import UserError

pytestmark = pytest.mark.slow


def test_a_twin_is_made_of_the_files_of_the_official_layout(twin):
    frames = [path.parent for path in (twin / "SUNRGBD").rglob("scene.txt")]
    assert len(frames) == 18 * 4 * 3
    for frame in frames[:20]:
        image, depth = next((frame / "image").iterdir()), next((frame / "depth").iterdir())
        with Image.open(image) as rgb, Image.open(depth) as measured:
            assert (rgb.format, measured.format) == ("JPEG", "PNG")
            assert rgb.size == measured.size
            assert np.asarray(measured).dtype.itemsize >= 2
        assert len((frame / "intrinsics.txt").read_text().split()) == 9
        assert any((frame / "extrinsics").iterdir())
        assert (frame / "scene.txt").read_text() in SCENE_NAMES.values()
    assert any(next((f / "image").iterdir()).stem != next((f / "depth").iterdir()).stem for f in frames)


def test_every_folder_of_the_four_sensors_is_there(twin):
    found = {"/".join(p.relative_to(twin / "SUNRGBD").parts[:2]) for p in twin.rglob("scene.txt")}
    assert found == {
        *("kv1/NYUdata", "kv1/b3dodata", "kv2/kinect2data", "kv2/align_kv2"),
        *("realsense/lg", "realsense/sa", "realsense/sh", "realsense/shr"),
        *("xtion/xtion_align_data", "xtion/sun3ddata"),
    }


def test_the_lists_are_cells_of_foreign_paths(twin):
    lists = loadmat(twin / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat")
    train, test = lists["alltrain"], lists["alltest"]
    assert train.shape[0] == test.shape[0] == 1
    assert train.shape[1] + test.shape[1] == 18 * 4 * 3
    for cell in (train[0, 0], test[0, -1]):
        path = str(cell[0])
        assert path.startswith("/n/fs/sun3d/data/SUNRGBD/")
        assert (twin / "SUNRGBD" / path.removeprefix("/n/fs/sun3d/data/SUNRGBD/")).is_dir()


def test_a_twin_is_the_same_for_the_same_seed_and_called_synthetic(twin, tmp_path):
    make_twin("sun-rgbd", tmp_path / "again", per_class=1, seed=0)
    make_twin("sun-rgbd", tmp_path / "other", per_class=1, seed=1)
    frame = "SUNRGBD/kv1/NYUdata/NYU0001"
    depth = next((tmp_path / "again" / frame / "depth").iterdir()).relative_to(tmp_path / "again")
    assert (tmp_path / "again" / depth).read_bytes() == (twin / depth).read_bytes()
    assert (tmp_path / "other" / depth).read_bytes() != (twin / depth).read_bytes()
    assert SunRgbd(DatasetConfig(root=twin)).synthetic
    assert not SunRgbd.synthetic


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    for taken in ("full", "full/thesis.txt"):
        with pytest.raises(UserError, match="not an empty folder"):
            make_twin("sun-rgbd", tmp_path / taken, per_class=1)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(UserError, match="at least 1"):
        make_twin("sun-rgbd", tmp_path / "none", per_class=0)
    with pytest.raises(UserError, match="cannot be written"):
        make_twin("sun-rgbd", tmp_path / "full" / "thesis.txt" / "twin", per_class=1)


def test_an_interrupted_twin_leaves_nothing(tmp_path):
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    (tmp_path / "empty").mkdir()
    with pytest.raises(KeyboardInterrupt):
        make_twin("sun-rgbd", tmp_path / "empty", 1, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert not any((tmp_path / "empty").iterdir())


def test_a_sheet_shows_pairs_spread_over_the_classes(twin, tmp_path):
    dataset = SunRgbd(DatasetConfig(root=twin, options={"depth": "depth"}))
    rows = draw_pairs(dataset, tmp_path / "out" / "sheet.png", ("rgb", "depth"), "xtion", number=18)
    index = dataset.index()
    assert len(set(index.label[rows])) == 18
    assert {index.domains[code] for code in index.domain[rows]} == {"xtion"}
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        colours = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    assert (colours == (255, 0, 255)).all(axis=1).any()
    with pytest.raises(UserError, match="Known: kv1"):
        draw_pairs(dataset, tmp_path / "b.png", ("rgb",), domain="kv9")
    with pytest.raises(UserError, match="at least one"):
        draw_pairs(dataset, tmp_path / "b.png", ("rgb",), number=0)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        draw_pairs(dataset, tmp_path / "file" / "b.png", ("rgb",), number=1)


def test_a_sheet_shows_an_encoding_below_its_modality(twin, tmp_path, sfda_kit):
    flags = ["--data-root", twin, "--domain", "kv1", "--number", "3", "--set", "encoding.options.near=1"]
    plain, encoded = tmp_path / "plain.png", tmp_path / "encoded.png"
    assert sfda_kit("data", "show", "sun-rgbd", *flags[:-2], "--out", plain).exit_code == 0
    shown = sfda_kit("data", "show", "sun-rgbd", *flags, "--encoding", "disparity", "--out", encoded)
    assert shown.exit_code == 0, shown.exception
    with Image.open(plain) as one, Image.open(encoded) as other:
        assert other.height > one.height * 1.3
    unknown = sfda_kit("data", "show", "sun-rgbd", *flags, "--encoding", "hhaa")
    assert unknown.exit_code == 2 and "hha" in str(unknown.exception)
