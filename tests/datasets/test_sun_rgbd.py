from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.depth_units import decode_sun_rgbd_bits
from sfda_kit.data.task import build_task
from sfda_kit.datasets.named_splits import shipped_splits
from sfda_kit.datasets.sun_rgbd import SunRgbd
from sfda_kit.datasets.sun_rgbd_frames import SunRgbdFrame, runs
from sfda_kit.datasets.sun_rgbd_official import official_parts
from sfda_kit.errors import DataError, UserError

from ..conftest import FAST, last_json

pytestmark = pytest.mark.slow

SENSORS = ("kv1", "kv2", "realsense", "xtion")


def load(root: Path, **changes: object) -> SunRgbd:
    return SunRgbd(DatasetConfig(name="sun-rgbd", root=root, minimum_images=1, **changes))


@pytest.fixture
def broken(twin, tmp_path) -> Path:
    """One sensor of the twin, to be broken."""
    root = tmp_path / "SUNRGBD"
    shutil.copytree(twin / "SUNRGBD" / "kv1" / "NYUdata", root / "kv1" / "NYUdata")
    return root


def frame_of(root: Path) -> Path:
    return sorted((root / "kv1" / "NYUdata").iterdir())[0]


def test_every_frame_of_the_twin_is_found_from_the_root_and_its_parent(twin):
    index = load(twin).index()
    assert len(index.names) == 18 * 4 * 3
    assert index.domains == SENSORS
    assert any(name.startswith("xtion/sun3ddata/") and name.count("/") == 4 for name in index.names)
    assert load(twin / "SUNRGBD").index().names == index.names
    assert load(twin / "SUNRGBD").fingerprint() == load(twin).fingerprint()


def test_pixels_are_those_of_the_files(twin):
    dataset = load(twin, options={"depth": "depth"})
    names = dataset.index().names
    row = next(row for row, name in enumerate(names) if "sun3ddata" in name)
    folder = twin / "SUNRGBD" / names[row]
    stored = np.asarray(Image.open(next((folder / "depth").iterdir()))).astype(np.uint16)
    rows = np.array([row])
    height = stored.shape[0]
    read = dataset.read(rows, "depth", height)
    assert read.dtype == np.uint16
    assert set(np.unique(read)) <= set(range(8001))
    assert abs(int(read[read > 0].mean()) - decode_sun_rgbd_bits(stored)[stored > 0].mean()) < 60
    assert dataset.read(rows, "rgb", 40).shape == (1, 40, 40, 3)
    assert dataset.read(np.array([], np.int64), "rgb", 40).shape == (0, 40, 40, 3)


def test_refined_depth_has_no_holes_and_measured_depth_has(twin):
    rows = np.arange(20)
    assert (load(twin).read(rows, "depth", 48) > 0).all()
    assert (load(twin, options={"depth": "depth"}).read(rows, "depth", 48) == 0).any()
    assert load(twin).fingerprint() != load(twin, options={"depth": "depth"}).fingerprint()


def test_the_default_split_runs_on_the_twin_and_tells_what_it_lacks(twin):
    dataset = load(twin)
    assert next(iter(dataset.splits())) == "socket17"
    split = dataset.splits()["socket17"]
    assert split.tr_classes == shipped_splits("sun-rgbd")["socket17"].tr
    assert len(split.tr_classes) == 17
    assert split.ti_domains == "all"
    assert set(split.ti_classes) == {
        "bedroom",
        "bookstore",
        "cafeteria",
        "dining_area",
        "furniture_store",
        "gym",
    }
    assert "idk" in split.tr_classes
    assert "idk" not in dataset.index().classes


def test_groups_are_runs_of_one_scene_and_whole_videos():
    def frame(path: str, scene: str) -> SunRgbdFrame:
        return SunRgbdFrame(path, scene, {})

    video = "xtion/sun3ddata/hotel/room"
    frames = [
        frame("kv1/NYUdata/NYU0001", "office"),
        frame("kv1/NYUdata/NYU0002", "office"),
        frame("kv1/NYUdata/NYU0003", "lab"),
        frame("kv1/NYUdata/NYU0004", "office"),
        frame("kv1/b3dodata/img_1", "office"),
        frame(f"{video}/1", "office"),
        frame(f"{video}/2", "lab"),
    ]
    groups = runs(frames)
    assert groups[0] == groups[1]
    assert len(set(groups[:5])) == 4
    assert groups[5] == groups[6] == video


def test_a_groups_file_wins_over_runs(broken):
    names = [folder.name for folder in sorted((broken / "kv1" / "NYUdata").iterdir())]
    (broken / "groups.csv").write_text("stem,group\n" + "".join(f"{name},one\n" for name in names[1:]))
    index = load(broken).index()
    assert len(set(index.group)) == 2
    assert any("tells no group for 1 of" in notice for notice in index.notices)


def test_official_parts_of_the_twin(twin):
    index = load(twin, options={"parts": "allsplit"}).index()
    test = index.part == 2
    assert 0.3 < test.mean() < 0.7
    assert not set(index.group[test]) & set(index.group[~test])
    assert not index.notices


def test_train_frames_are_dealt_by_group_to_source_and_target(tmp_path):
    frames = [SunRgbdFrame(f"kv1/NYUdata/NYU{n:04d}", scene, {}) for scene in ("lab", "office") for n in range(100)]
    frames = [frame._replace(path=f"{frame.path}{frame.scene}") for frame in frames]
    groups = [f"run {n // 4}" for n in range(200)]
    lists = tmp_path / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    lists.parent.mkdir(parents=True)
    cells = {"alltrain": range(10, 198), "alltest": range(10)}
    savemat(lists, {name: _cells([frames[n].path for n in numbers]) for name, numbers in cells.items()})
    config = DatasetConfig(name="sun-rgbd")
    parts, cut, notices = official_parts(tmp_path / "SUNRGBD", frames, groups, config)
    assert parts[:10] == [2] * 10
    assert "does not list 2 frames" in notices[0]
    for half in (parts[10:100], parts[100:]):
        assert 0.5 < half.count(0) / len(half) < 0.7
        assert set(half) == {0, 1}
    assert all(len({p for p, g in zip(parts, cut, strict=True) if g == group}) == 1 for group in cut)
    assert official_parts(tmp_path / "SUNRGBD", frames, groups, config)[0] == parts
    assert official_parts(tmp_path / "SUNRGBD", frames, groups, config.model_copy(update={"split_seed": 1}))[0] != parts


def _cells(paths: list[str]) -> np.ndarray:
    cells = np.empty((1, len(paths)), dtype=object)
    cells[0, :] = [f"/n/fs/sun3d/data/SUNRGBD/{path}/" for path in paths]
    return cells


def test_official_lists_that_are_missing_damaged_or_of_another_set(broken):
    with pytest.raises(DataError, match=r"allsplit\.mat is missing"):
        load(broken, options={"parts": "allsplit"}).index()
    lists = broken.parent / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    lists.parent.mkdir(parents=True)
    lists.write_bytes(b"MATLAB 5.0 MAT-file, not really")
    with pytest.raises(DataError, match="Unpack SUNRGBDtoolbox"):
        load(broken, options={"parts": "allsplit"}).index()
    savemat(lists, {"alltrain": _cells(["kv1/a"]), "alltest": _cells(["kv1/b"])})
    with pytest.raises(DataError, match="lists none of the"):
        load(broken, options={"parts": "allsplit"}).index()


def test_incomplete_frames_are_all_listed_or_left_out(broken):
    folders = sorted((broken / "kv1" / "NYUdata").iterdir())
    shutil.rmtree(folders[0] / "depth_bfx")
    shutil.rmtree(folders[1] / "image")
    (folders[2] / "scene.txt").unlink()
    shutil.copy(next((folders[3] / "image").iterdir()), folders[3] / "image" / "second.jpg")
    (folders[4] / "scene.txt").write_text("two words")
    (folders[5] / "image" / "._hidden.jpg").write_bytes(b"left by another system")
    with pytest.raises(DataError) as refused:
        load(broken).index()
    message = str(refused.value)
    assert message.startswith(f"5 of {len(folders)} files cannot be used")
    assert "--skip-bad" in message
    for folder, what in zip(folders, ("depth_bfx", "image", "scene.txt", "exactly one", "one word"), strict=False):
        assert any(str(folder) in line and what in line for line in message.splitlines())
    skipping = load(broken, skip_bad=True)
    assert len(skipping.index().names) == len(folders) - 5
    assert len(skipping.index().notices) == 5


def test_files_that_do_not_decode_are_listed_or_named_by_row(broken):
    frame = frame_of(broken)
    image = next((frame / "image").iterdir())
    image.write_bytes(image.read_bytes()[:300])
    dataset = load(broken, skip_bad=True)
    rows = np.arange(len(dataset.index().names))
    with pytest.raises(DataError, match="truncated") as refused:
        dataset.read(rows, "rgb", 16)
    assert str(image) in str(refused.value)
    bad = dataset.bad_rows(("rgb", "depth"))
    assert [dataset.index().names[row] for row in bad] == [f"kv1/NYUdata/{frame.name}"]
    good = np.array([row for row in rows if row not in bad])
    assert len(dataset.read(good, "rgb", 16)) == len(good)


def test_swapped_halves_are_refused(broken):
    frame = frame_of(broken)
    (frame / "depth_bfx").rename(frame / "kept")
    (frame / "image").rename(frame / "depth_bfx")
    (frame / "kept").rename(frame / "image")
    dataset = load(broken)
    for modality, what in (("rgb", "depth half"), ("depth", "RGB half")):
        with pytest.raises(DataError, match=what):
            dataset.read(np.arange(3), modality, 16)


def test_symlink_loops_and_linked_folders(broken, twin):
    count = len(load(broken).index().names)
    (broken / "kv1" / "NYUdata" / "back").symlink_to(broken / "kv1")
    (broken / "kv1" / "again").symlink_to(broken / "kv1" / "NYUdata")
    (broken / "kv2").symlink_to(twin / "SUNRGBD" / "kv2")
    index = load(broken).index()
    assert sum(name.startswith("kv1/") for name in index.names) == count
    assert "kv2" in index.domains


def test_places_that_are_not_sun_rgbd(tmp_path):
    with pytest.raises(DataError, match="--data-root DIR"):
        SunRgbd(DatasetConfig())
    with pytest.raises(DataError, match="nearest existing folder"):
        load(tmp_path / "missing" / "deeper")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="found a file"):
        load(tmp_path / "file")
    with pytest.raises(DataError, match=r"found file\. Unpack"):
        load(tmp_path)
    (tmp_path / "kv1").mkdir()
    with pytest.raises(DataError, match="holds no frame"):
        load(tmp_path).index()


def test_unknown_options_name_the_known_ones(twin):
    for options in ({"depths": "depth"}, {"depth": "raw"}):
        with pytest.raises(UserError, match="Known: splits, depth, parts"):
            load(twin, options=options)


def test_real_frames(real_pictures):
    dataset = load(real_pictures / "sunrgbd-kv1-sample")
    index = dataset.index()
    assert len(index.names) == 795
    assert index.domains == ("kv1",)
    assert index.notices == ()
    depth = dataset.read(np.arange(0, 795, 5), "depth", 64)
    assert np.percentile(depth, 0.1) >= 400
    assert np.percentile(depth, 99.9) <= 10_000
    task = build_task(dataset, DatasetConfig(minimum_images=1))
    groups = {part: set(task.groups(part)) for part in ("source", "target-train", "target-test", "ti")}
    assert not groups["source"] & groups["target-train"]
    assert not (groups["source"] | groups["target-train"] | groups["ti"]) & groups["target-test"]


@pytest.fixture
def official(twin, tmp_path) -> Path:
    """A twin with the 17 scenes; as in SUN RGB-D, realsense saw one ``lab`` and one ``home_office``."""
    root = tmp_path / "official"
    shutil.copytree(twin / "SUNRGBD", root, copy_function=shutil.copyfile)
    scenes = shipped_splits("sun-rgbd")["socket17"].tr
    for sensor in SENSORS:
        for number, name in enumerate(sorted((root / sensor).rglob("scene.txt"))):
            again = number >= len(scenes) and sensor == "realsense"
            scene = [*scenes, "bedroom"][number % 18]
            name.write_text("bedroom" if again and scene in ("lab", "home_office") else scene)
    return root


def test_the_official_task_keeps_all_its_classes_and_images(official):
    tasks = {}
    for source in SENSORS:
        for target in SENSORS:
            told = {"source": f"rgb@{source}", "target": f"depth@{target}", "split": "socket17", "minimum_images": 0}
            wanted = DatasetConfig(name="sun-rgbd", root=official, **told)
            tasks[source, target] = build_task(SunRgbd(wanted), wanted)
    assert {task.classes for task in tasks.values()} == {shipped_splits("sun-rgbd")["socket17"].tr}
    index = tasks["kv1", "kv1"].index
    for sensor in SENSORS:
        relevant = (index.label != index.classes.index("bedroom")) & (index.domain == index.domains.index(sensor))
        kept = tasks[sensor, sensor].rows
        assert sum(len(kept[part]) for part in ("source", "target-train", "target-test")) == relevant.sum()
    notices = tasks["kv1", "realsense"].notices
    assert sum("is not seen in every part" in notice for notice in notices) >= 2
    fewer = build_task(load(official), load(official).config.model_copy(update={"target": "depth@realsense"}))
    assert not {"lab", "home_office"} & set(fewer.classes)


def test_a_run_with_classes_that_the_target_lacks(sfda_kit, official):
    flags = ["--dataset", "sun-rgbd", "--data-root", official, "--source", "rgb@kv1", "--target", "depth@realsense"]
    kept = ["--split", "socket17", "--set", "dataset.minimum_images=0", "--source-floor", "0", "--json"]
    for frame in [path.parent for path in (official / "kv1").rglob("scene.txt")]:
        shutil.copytree(frame, frame.with_name(f"{frame.name}b"))  # one image a class cannot be held out
    result = sfda_kit("run", "--method", "source-only", *flags, *kept, *FAST)
    assert result.exit_code == 0, result.exception
    record = json.loads((Path(last_json(result)["run_dir"]) / "record.json").read_text())
    assert len(record["task"]["classes"]) == 17 and any("'lab' is not seen" in one for one in record["notices"])
