"""Sets in tar shards: the same pixels as in folders, an index that is made once, and every option."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.task import build_task
from sfda_kit.datasets.paired_folder import PairedFolder
from sfda_kit.datasets.twins import make_twin
from sfda_kit.errors import DataError, UserError
from sfda_kit.shards import index_cache
from sfda_kit.shards.dataset import WebDataset
from sfda_kit.shards.make import make_shards
from sfda_kit.shards.shard_index import scan_shard

from .shards import png, write_tar

SENSORS = {"source": "rgb@cam", "target": "depth@cam"}
TASK = {**SENSORS, "tr_classes": ("bar", "disc", "ring", "cross"), "ti_classes": ("corner", "stripe")}


def load(root: Path, **changes: Any) -> WebDataset:
    return WebDataset(DatasetConfig(name="webdataset", root=root, **{**SENSORS, **changes}))


@pytest.fixture
def scene(rgb, depth) -> dict[str, bytes]:
    """Endings of one whole sample of class ``cat``."""
    labels = json.dumps({"class": "cat", "domain": "cam", "group": "kitchen"}).encode()
    return {"depth.png": png(depth), "json": labels, "rgb.png": png(rgb)}


@pytest.fixture
def write_shard(tmp_path) -> Callable[..., Path]:
    """Members by name, as any program writes them; returns the folder."""
    return lambda name, members, **options: write_tar(tmp_path / "shards" / name, members, **options).parent


def named(key: str, endings: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{key}.{ending}": data for ending, data in endings.items()}


@pytest.fixture(scope="module")
def folder(pairs_root) -> PairedFolder:
    return PairedFolder(DatasetConfig(name="paired-folder", root=pairs_root, **TASK))


@pytest.fixture(scope="module")
def shards(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "shards"
    assert make_shards(folder, out, size=150_000).shards > 3
    return out


def test_pixels_labels_groups_and_names_are_those_of_the_folder(folder, shards):
    dataset, index = load(shards, **TASK), folder.index()
    found = dataset.index()
    order = np.array([found.names.index(name) for name in index.names])
    assert sorted(found.names) == sorted(index.names) and found.domains == index.domains
    assert [found.classes[code] for code in found.label[order]] == [index.classes[code] for code in index.label]
    pairs = set(zip(found.group[order].tolist(), index.group.tolist(), strict=True))
    assert len(pairs) == len(set(index.group.tolist())) == 8
    rows = np.arange(len(index.names))
    for modality in ("rgb", "depth"):
        for read in ("read", "peek"):
            expected = getattr(folder, read)(rows, modality, 24)
            np.testing.assert_array_equal(getattr(dataset, read)(order, modality, 24), expected)
    assert not dataset.bad_rows(("rgb", "depth"))


def test_the_task_is_that_of_the_folder(folder, shards):
    dataset = load(shards, **TASK)
    task, expected = build_task(dataset, dataset.config), build_task(folder, folder.config)
    assert task.classes == expected.classes and task.notices == expected.notices
    assert {part: len(rows) for part, rows in task.rows.items()} == {
        part: len(rows) for part, rows in expected.rows.items()
    }


def test_offsets_are_those_of_tarfile_and_bytes_those_of_the_files(shards, pairs_root):
    paths = sorted(shards.glob("*.tar"))
    for path in paths:
        held = {m.name: m for one in scan_shard(path).samples for m in one.images.values()}
        with tarfile.open(path) as tar:
            infos = {info.name: info for info in tar.getmembers() if not info.name.endswith(".json")}
        assert {name: (m.offset, m.size) for name, m in held.items()} == {
            name: (info.offset_data, info.size) for name, info in infos.items()
        }
        member = next(iter(held.values()))
        data = path.read_bytes()[member.offset : member.offset + member.size]
        name, modality, suffix = member.name.split(".")
        scene_class, _, stem = name.partition("/")
        assert data == (pairs_root / "cam" / modality / scene_class / f"{stem}.{suffix}").read_bytes()


@pytest.mark.parametrize("options", [{"format": tarfile.GNU_FORMAT}, {"format": tarfile.PAX_FORMAT}])
def test_long_and_accented_names_in_every_format(write_shard, scene, options):
    key = f"{'Größe' * 30}/" + "k" * 120
    root = write_shard("a.tar", named(f"./{key}", scene), **options)
    dataset = load(root)
    assert dataset.index().names[0] == f"cam/{key}"
    assert dataset.read(np.array([0]), "rgb", 8).shape == (1, 8, 8, 3)


def test_npy_and_tiff_members_are_read_as_files_are(write_shard, scene, depth, rgb, tmp_path):
    npy, tiff = io.BytesIO(), io.BytesIO()
    np.save(npy, depth.astype(np.float32) / 1000)
    Image.fromarray(rgb).save(tiff, "TIFF")
    root = write_shard("a.tar", {"k.depth.npy": npy.getvalue(), "k.json": scene["json"], "k.rgb.TIF": tiff.getvalue()})
    dataset = load(root, depth_unit="m")
    files = tmp_path / "files" / "cam"
    for modality, name, data in (("depth", "k.npy", npy), ("rgb", "k.tif", tiff)):
        (files / modality / "cat").mkdir(parents=True)
        (files / modality / "cat" / name).write_bytes(data.getvalue())
    same = PairedFolder(DatasetConfig(name="paired-folder", root=files.parent, depth_unit="m", **SENSORS))
    for modality in ("rgb", "depth"):
        row = np.array([0])
        np.testing.assert_array_equal(dataset.read(row, modality, 24), same.read(row, modality, 24))


def test_a_pickled_npy_member_is_refused(write_shard, scene):
    bad = io.BytesIO()
    np.save(bad, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    root = write_shard("a.tar", {"k.depth.npy": bad.getvalue(), "k.json": scene["json"], "k.rgb.png": scene["rgb.png"]})
    with pytest.raises(DataError, match=r"a.tar/k.depth.npy \(depth\) is not a plain NPY array"):
        load(root).read(np.array([0]), "depth", 8)


def test_the_second_start_reads_no_shard(shards, monkeypatch):
    before = load(shards).fingerprint()
    monkeypatch.setattr(index_cache, "scan_shard", lambda path: pytest.fail(f"{path} was scanned again"))
    assert load(shards).fingerprint() == before


def test_only_a_shard_that_changed_is_read_again(write_shard, scene, depth, monkeypatch):
    write_shard("a.tar", named("a", scene))
    root = write_shard("b.tar", named("b", scene))
    dataset = load(root)
    before, pixels = dataset.fingerprint(), np.array(dataset.read(np.array([0, 1]), "depth", 8))
    write_shard("b.tar", named("b0", scene) | named("b", {**scene, "depth.png": png(depth // 2)}))
    scanned: list[str] = []
    monkeypatch.setattr(index_cache, "scan_shard", lambda path: scanned.append(path.name) or scan_shard(path))
    changed = load(root)
    assert changed.fingerprint() != before and scanned == ["b.tar"]
    assert list(changed.index().names) == ["cam/a", "cam/b0", "cam/b"]
    after = changed.read(np.array([0, 2]), "depth", 8)
    assert (after[0] == pixels[0]).all() and (after[1] != pixels[1]).any()


def test_a_shard_that_changes_while_it_is_used_is_never_read_at_the_old_places(write_shard, scene):
    root = write_shard("a.tar", named("a", scene))
    dataset = load(root)
    dataset.index()
    write_shard("a.tar", {"0.txt": b"x" * 3000, **named("a", scene)})
    with pytest.raises(DataError, match="its shard changed after it was listed; start again"):
        dataset.read(np.array([0]), "rgb", 8)


def test_a_broken_cache_entry_is_made_again(shards, private_cache):
    before = list(load(shards).index().names)
    entries = list((private_cache / index_cache.FOLDER).glob("*.json"))
    assert len(entries) == len(list(shards.glob("*.tar")))
    for entry, text in zip(entries, ("", "[]", '{"index": {"keys": "a"}}', '{"index"'), strict=False):
        entry.write_text(text)
    content = bytearray(entries[-1].read_bytes())
    content[content.index(b'"index"') + 40] ^= 1
    entries[-1].write_bytes(content)
    assert list(load(shards).index().names) == before


def test_a_cache_that_cannot_be_written_costs_time_alone(shards, private_cache):
    private_cache.write_text("a file where the folder should be")
    assert len(load(shards).index().names) == 144


def test_children_leave_the_same_index(shards, private_cache):
    paths = sorted(shards.glob("*.tar"))
    index_cache._in_children(paths, 2, lambda left: None)
    assert len(list((private_cache / index_cache.FOLDER).glob("*.json"))) == len(paths)
    assert [index_cache.shard_index(path) for path in paths] == [scan_shard(path) for path in paths]


def test_many_shards_are_shared_among_children(shards, monkeypatch):
    paths, shared = sorted(shards.glob("*.tar")), []
    monkeypatch.setattr(index_cache, "_PATIENCE", 0.0)
    monkeypatch.setattr(index_cache, "_in_children", lambda paths, count, left: shared.append((len(paths), count)))
    told: list[tuple[int, int]] = []
    index_cache.prepare(paths, lambda done, total: told.append((done, total)), workers=2)
    assert shared == [(len(paths) - 1, 2)] and told[-1] == (len(paths), len(paths))
    assert len(load(shards).index().names) == 144


def test_a_set_of_one_modality_with_numbers_as_classes(write_shard, rgb, tmp_path):
    image = png(rgb)
    root = write_shard("a.tar", {"0.cls": b"1", "0.png": image, "1.cls": b"0\n", "1.png": image})
    one = {"source": "rgb@default", "target": "rgb@default"}
    assert load(root, **one).index().classes == ("0", "1")
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    options = {"classes": str(tmp_path / "classes.txt")}
    index = load(root, **one, options=options).index()
    assert index.classes == ("cat", "dog") and [index.classes[code] for code in index.label] == ["cat", "dog"]
    thermal = {"source": "thermal@default", "target": "thermal@default", "options": {"modality": "thermal"}}
    assert load(root, **thermal).read(np.arange(2), "thermal", 8).shape == (2, 8, 8)


@pytest.mark.slow
def test_roles_make_the_split_and_need_one_half_only(tmp_path):
    make_twin("webdataset", tmp_path / "twin", per_class=4)
    dataset = load(tmp_path / "twin")
    task = build_task(dataset, dataset.config.model_copy(update={"minimum_images": 1}))
    counts = {part: len(rows) for part, rows in task.rows.items()}
    assert counts == {"source": 24, "target-train": 12, "target-test": 12, "ti": 24} and dataset.synthetic
    assert next(iter(dataset.splits())) == "roles" and len(task.ti_classes) == 6
    assert dataset.read(task.rows["target-test"], "depth", 16).dtype == np.uint16


def test_one_key_in_two_domains_is_two_scenes(write_shard, scene):
    other = {**scene, "json": json.dumps({"label": "cat", "domain": "rear"}).encode()}
    write_shard("front/0.tar", named("0", scene))
    root = write_shard("rear/0.tar", named("0", other)).parent
    index = load(root).index()
    assert list(index.names) == ["cam/0", "rear/0"] and len(set(index.group.tolist())) == 2


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.tar", ["a-0.tar", "a-1.tar", "sub/b.tar"]),
        ("a-{0..1}.tar", ["a-0.tar", "a-1.tar"]),
        ("{a-1,sub/b}.tar", ["a-1.tar", "sub/b.tar"]),
        ("sub/*.tar", ["sub/b.tar"]),
        ("a-?.tar", ["a-0.tar", "a-1.tar"]),
    ],
)
def test_shards_are_chosen_by_a_pattern(write_shard, scene, tmp_path, pattern, names):
    for name in ("a-0.tar", "a-1.tar", "sub/b.tar", "not-a-shard.tar.txt"):
        write_shard(name, named(name.replace(".", "-"), scene))
    index = load(tmp_path / "shards", options={"shards": pattern}).index()
    assert list(index.names) == [f"cam/{name.replace('.', '-')}" for name in names]


def test_one_shard_may_be_the_data_root(write_shard, scene):
    write_shard("a.tar", named("a", scene))
    root = write_shard("b.tar", named("b", scene))
    assert list(load(root / "a.tar").index().names) == ["cam/a"]


@pytest.mark.parametrize("pattern", ["/abs/*.tar", "../*.tar", "", "a-{0..3000000}.tar"])
def test_patterns_that_cannot_be_used(write_shard, scene, pattern):
    root = write_shard("a.tar", named("a", scene))
    with pytest.raises(UserError, match=r"dataset\.options\.shards"):
        load(root, options={"shards": pattern}).index()


def test_groups_come_from_the_samples_or_from_elsewhere(write_shard, scene):
    bare = {**scene, "json": b'{"class": "cat", "domain": "cam"}'}
    root = write_shard("a.tar", named("x/room1_0", bare) | named("x/room1_1", bare) | named("x/room2_0", scene))
    index = load(root).index()
    assert len(set(index.group.tolist())) == 3 and any("its own group" in notice for notice in index.notices)
    assert len(set(load(root, group_pattern=r"^room\d").index().group.tolist())) == 2
    (root / "groups.csv").write_text("stem,group\nroom1_0,here\nroom1_1,here\n")
    assert len(set(load(root).index().group.tolist())) == 2
