"""`data make-shards`: any set that lies in files, with the same bytes, labels, groups, parts and splits."""

from __future__ import annotations

import json
import shlex
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.cache_contents import clear, entries
from sfda_kit.data.group_split import split_groups
from sfda_kit.datasets.paired_folder import PairedFolder
from sfda_kit.datasets.sun_rgbd import SunRgbd
from sfda_kit.datasets.twins import make_twin
from sfda_kit.errors import DataError, UserError
from sfda_kit.rooms.dataset import Rooms
from sfda_kit.shards.dataset import WebDataset
from sfda_kit.shards.labels import Labels
from sfda_kit.shards.make import make_shards
from sfda_kit.shards.writer import ShardWriter

pytestmark = pytest.mark.slow

KV1 = {"source": "rgb@kv1", "target": "depth@kv1"}
CAM = {"source": "rgb@cam", "target": "depth@cam"}


def labels_in(folder: Path) -> dict[str, dict[str, str]]:
    """Name of the json member -> what it holds."""
    found = {}
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            for info in tar:
                if info.name.endswith(".json"):
                    file = tar.extractfile(info)
                    assert file is not None
                    found[info.name] = json.load(file)
    return found


@pytest.fixture
def pairs(tmp_path, write_image, rgb, depth) -> Path:
    """Two pairs whose stems differ by a dot alone; suffixes in capitals."""
    for stem in ("img.01", "img_01"):
        write_image(tmp_path / "set" / "cam" / "rgb" / "cat" / f"{stem}.PNG", rgb)
        write_image(tmp_path / "set" / "cam" / "depth" / "cat" / f"{stem}.png", depth)
    return tmp_path / "set"


@pytest.mark.parametrize("parts", ["groups", "allsplit"])
def test_a_public_set_keeps_its_parts_and_splits_in_shards(twin, tmp_path, parts):
    original = SunRgbd(DatasetConfig(name="sun-rgbd", root=twin, options={"parts": parts}, **KV1))
    made = make_shards(original, tmp_path / "out", size=1_000_000)
    assert made.shards > 1 and made.samples == len(original.index().names)
    options = {"splits": str(tmp_path / "out" / "splits.yaml")}
    dataset = WebDataset(
        DatasetConfig(name="webdataset", root=tmp_path / "out", depth_unit="sun-rgbd-bits", options=options, **KV1)
    )
    index, expected = dataset.index(), original.index()
    assert index.names == expected.names and index.classes == expected.classes
    np.testing.assert_array_equal(split_groups(index, 3), split_groups(expected, 3 if parts == "groups" else 0))
    assert made.splits == tuple(original.splits())
    assert {name: dataset.splits()[name] for name in made.splits} == dict(original.splits())
    rows = np.array([5, 40])
    for modality in ("rgb", "depth"):
        np.testing.assert_array_equal(dataset.read(rows, modality, 16), original.read(rows, modality, 16))
    assert dataset.synthetic


def test_merged_classes_are_merged_in_shards_too(twin, tmp_path):
    original = SunRgbd(DatasetConfig(name="sun-rgbd", root=twin, **KV1))
    make_shards(original, tmp_path / "out")
    splits = yaml.safe_load((tmp_path / "out" / "splits.yaml").read_text())["splits"]
    assert splits["ferreri10"]["merge"] == {"office_kitchen": "kitchen"} and "merge" in splits["socket17"]


def test_keys_have_no_dots_and_none_is_taken_twice(pairs, tmp_path):
    dataset = PairedFolder(DatasetConfig(name="paired-folder", root=pairs, **CAM))
    make_shards(dataset, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    assert set(found) == {"cat/img_01.json", "cat/img_01-2.json"}
    # Each stem is its own group: nobody said so, and a pattern may yet.
    assert all(one == {"class": "cat", "domain": "cam"} for one in found.values())
    shards = WebDataset(DatasetConfig(name="webdataset", root=tmp_path / "out", **CAM))
    assert shards.read(np.arange(2), "rgb", 8).shape == (2, 8, 8, 3)


def test_sets_without_a_file_for_each_image_are_refused(tmp_path):
    with pytest.raises(UserError, match="rooms has no file for each image"):
        make_shards(Rooms(DatasetConfig(options={"scenes": 0.01})), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_goes_missing_leaves_nothing_behind(pairs, tmp_path):
    dataset = PairedFolder(DatasetConfig(name="paired-folder", root=pairs, **CAM))
    dataset.index()
    (pairs / "cam" / "rgb" / "cat" / "img_01.PNG").unlink()
    with pytest.raises(DataError, match=r"img_01.PNG cannot be read \(No such file or directory\)"):
        make_shards(dataset, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["set"]


def test_skip_bad_leaves_out_what_does_not_decode(pairs, tmp_path):
    (pairs / "cam" / "depth" / "cat" / "img_01.png").write_bytes(b"")
    dataset = PairedFolder(DatasetConfig(name="paired-folder", root=pairs, skip_bad=True, **CAM))
    assert make_shards(dataset, tmp_path / "out").samples == 1


def test_the_same_samples_give_the_same_bytes_and_none_is_cut(tmp_path):
    for out in ("a", "b"):
        (tmp_path / out).mkdir()
        with ShardWriter(tmp_path / out, size=5000) as writer:
            for number in range(5):
                writer.write(str(number), Labels("cat", "cam", "", ""), {"rgb.png": bytes(1000), "depth.png": b"x"})
    shards = sorted((tmp_path / "a").iterdir())
    assert len(shards) == 3
    for path in shards:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        with tarfile.open(path) as tar:
            assert len(tar.getnames()) % 3 == 0


def test_a_shard_of_small_images_is_full_at_a_number_of_samples(tmp_path, monkeypatch):
    monkeypatch.setattr("sfda_kit.shards.writer.MOST_SAMPLES", 2)
    with ShardWriter(tmp_path) as writer:
        for number in range(5):
            writer.write(str(number), Labels("cat", "cam", "", ""), {"rgb.png": b"x"})
    keys = []
    for path in sorted(tmp_path.iterdir()):
        with tarfile.open(path) as tar:
            keys.append(sorted({name.partition(".")[0] for name in tar.getnames()}))
    assert keys == [["0", "1"], ["2", "3"], ["4"]]


def test_the_command_prints_one_that_runs(sfda_kit, pairs_root, tmp_path):
    out = tmp_path / "my shards"
    made = sfda_kit("data", "make-shards", "paired-folder", out, "--data-root", pairs_root)
    assert made.exit_code == 0, made.exception
    assert "144 samples written to" in made.stdout and "shards: 1" in made.stdout
    words = shlex.split(made.stdout.split("try: sfda-kit ")[1])
    assert words[words.index("--source") + 1] == "rgb@cam" and words[words.index("--target") + 1] == "depth@cam"
    assert words[words.index("--tr-classes") + 1] == "A,B"
    stats = sfda_kit("data", "stats", "webdataset", "--data-root", out, "--modality", "depth", "--json")
    assert stats.exit_code == 0 and json.loads(stats.stdout.splitlines()[-1])["groups"] == 8
    again = sfda_kit("data", "make-shards", "paired-folder", out, "--data-root", pairs_root)
    assert again.exit_code == 2 and "is not an empty folder" in str(again.exception)


def test_shards_are_made_of_shards(sfda_kit, tmp_path):
    make_twin("webdataset", tmp_path / "twin", per_class=2)
    made = sfda_kit("data", "make-shards", "webdataset", tmp_path / "out", "--data-root", tmp_path / "twin")
    assert made.exit_code == 0 and "36 samples" in made.stdout and "shards: 1" in made.stdout
    assert sorted(labels_in(tmp_path / "out").items()) == sorted(labels_in(tmp_path / "twin").items())


def test_show_draws_only_samples_that_have_both_halves(sfda_kit, tmp_path):
    make_twin("webdataset", tmp_path / "twin", per_class=2)
    show = ("data", "show", "webdataset", "--data-root", tmp_path / "twin", "--out", tmp_path / "sheet.png")
    shown = sfda_kit(*show, "--number", "30")
    assert shown.exit_code == 0 and "36 samples of 18 classes by cam; 12 drawn" in shown.stdout
    assert Image.open(tmp_path / "sheet.png").width > 500
    refused = sfda_kit(*show, "--modality", "depth", "--modality", "nir")
    assert refused.exit_code == 2 and "No sample has depth and nir. Ask for other modalities" in str(refused.exception)


def test_indices_are_listed_and_cleared_with_the_cache(sfda_kit, tmp_path):
    make_twin("webdataset", tmp_path / "twin", per_class=1)
    WebDataset(DatasetConfig(name="webdataset", root=tmp_path / "twin", **CAM)).index()
    (entry,) = entries(["shards"])
    assert entry.what == "places of images; shards: 1" and entry.size > 100 and not entry.in_use
    assert "indices of shards" in sfda_kit("cache", "info").stdout
    assert sfda_kit("cache", "clear", "--shards", "--yes").exit_code == 0
    assert not entries(["shards"]) and clear([entry])[0]
