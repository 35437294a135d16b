"""The dataset ``rooms``: parts, labels, options, rendering on demand, and the frozen pixels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sfda_kit.config.models import DatasetConfig
from sfda_kit.errors import DataError, UserError
from sfda_kit.interfaces.dataset import PARTS
from sfda_kit.parent import ORPHANED
from sfda_kit.rooms.dataset import Rooms
from sfda_kit.rooms.generate import render_scenes
from sfda_kit.rooms.layout import DOMAINS, Layout, RoomsOptions, View

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).with_name("rooms_golden.json")


def _rooms(seed: int = 0, **options: object) -> Rooms:
    return Rooms(DatasetConfig(split_seed=seed, options={"scenes": 0.05, **options}))


def _rows(rooms: Rooms, domain: str, part: str) -> np.ndarray:
    index = rooms.index()
    chosen = (index.domain == DOMAINS.index(domain)) & (index.part == PARTS.index(part))
    return np.flatnonzero(chosen).astype(np.int64)


def test_index_has_disjoint_parts_and_unique_names():
    index = Rooms(DatasetConfig()).index()
    assert len(set(index.names)) == len(index.names) == len(set(index.group.tolist()))
    assert len(index.classes) == 18
    split = Rooms(DatasetConfig()).splits()["default"]
    assert len(split.tr_classes) == 12
    assert len(split.ti_classes) == 6
    irrelevant = {index.classes.index(name) for name in split.ti_classes}
    is_ti = np.isin(index.label, list(irrelevant))
    assert (is_ti == (index.part == PARTS.index("ti"))).all()
    assert index.names[0].split("/")[1] == index.classes[index.label[0]]


def test_no_scene_is_in_two_parts():
    layout = Layout(RoomsOptions(clutter=0.0), 0)
    pictures = [render_scenes(layout, View(domain, part, "rgb"), 0, 2) for domain in ("kv1", "xtion") for part in PARTS]
    assert len({picture.tobytes() for pair in pictures for picture in pair}) == 16


def test_balanced_by_default_and_skewed_on_request():
    for imbalance, low, high in ((1.0, 1.0, 1.0), (10.0, 8.0, 12.0)):
        rooms = Rooms(DatasetConfig(options={"imbalance": imbalance}))
        for part in ("target-train", "target-test"):
            counts = np.unique(rooms.index().label[_rows(rooms, "kv1", part)], return_counts=True)[1]
            assert len(counts) == 12
            assert low <= counts.max() / counts.min() <= high
        source = np.unique(rooms.index().label[_rows(rooms, "kv1", "source")], return_counts=True)[1]
        assert source.max() == source.min()


def test_read_shapes_and_missing_depth():
    rooms = _rooms()
    rows = np.array([0, len(rooms.index().names) - 1, 3])
    assert rooms.read(rows, "rgb", 40).shape == (3, 40, 40, 3)
    assert rooms.read(rows, "nir", 40).dtype == np.uint8
    depth = rooms.read(rows, "depth", 72)
    assert depth.dtype == np.uint16
    assert 0 < (depth == 0).mean() < 0.5
    assert depth[depth > 0].min() >= 500
    np.testing.assert_array_equal(rooms.read(rows[:1], "depth", 72)[0], depth[0])


def test_only_what_is_asked_for_is_rendered(private_cache):
    rooms = _rooms()
    rooms.read(_rows(rooms, "xtion", "ti")[:2], "nir", 32)
    assert [path.name for path in private_cache.rglob("*.npy")] == ["xtion-ti-nir.npy"]


def test_pixels_do_not_depend_on_chunks():
    layout, view = Layout(RoomsOptions(), 4), View("realsense", "source", "depth")
    whole = render_scenes(layout, view, 0, 6)
    parts = [render_scenes(layout, view, start, start + 2) for start in (4, 0, 2)]
    np.testing.assert_array_equal(whole, np.concatenate([parts[1], parts[2], parts[0]]))


def test_seed_and_options_change_pixels_and_fingerprint():
    rows = np.arange(3)
    same, again, seed, clutter = _rooms(), _rooms(), _rooms(1), _rooms(clutter=3.0)
    np.testing.assert_array_equal(same.read(rows, "rgb", 32), again.read(rows, "rgb", 32))
    for other in (seed, clutter):
        assert other.fingerprint() != same.fingerprint()
        assert (other.read(rows, "rgb", 32) != same.read(rows, "rgb", 32)).any()


def test_worker_processes_render_what_one_process_does(monkeypatch):
    monkeypatch.setattr("sfda_kit.rooms.generate.CHUNK", 9)
    rooms, calls = _rooms(scenes=0.01), []
    rooms.progress = lambda what, done, total: calls.append((what, done, total))
    killed = rooms._folder() / "kv1-source-depth.rendering"
    killed.mkdir(parents=True)
    (killed / "0.npy").write_bytes(b"what a killed process left")
    rows = _rows(rooms, "kv1", "source")
    pixels = rooms.read(rows, "depth", 96)
    layout = Layout(RoomsOptions(scenes=0.01), 0)
    native = render_scenes(layout, View("kv1", "source", "depth"), 0, len(rows))
    cached = rooms._native("kv1", "source", "depth")
    np.testing.assert_array_equal(cached, native)
    assert len(pixels) == calls[-1][1] == calls[-1][2] == len(rows)
    names = {path.name for path in killed.parent.iterdir()}
    assert names <= {"options.json", "kv1-source-depth.npy", "kv1-source-depth.lock"}


def test_a_worker_ends_when_the_process_that_started_it_ends(tmp_path):
    command = [sys.executable, "-m", "sfda_kit.rooms.worker", RoomsOptions(scenes=20).model_dump_json(), "0"]
    command += ["kv1", "source", "rgb", "0", "20000", str(tmp_path / "out.npy")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        worker.stdin.close()
        assert worker.wait(60) == ORPHANED
    assert not list(tmp_path.iterdir())


SCRIPT = """
import numpy as np, hashlib
from sfda_kit.config.models import DatasetConfig
from sfda_kit.rooms.dataset import Rooms
pixels = Rooms(DatasetConfig(options={"scenes": 0.02})).read(np.arange(20), "rgb", 48)
print(hashlib.sha256(pixels.tobytes()).hexdigest())
"""


def test_two_processes_at_once_agree(private_cache):
    jobs = [subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) for _ in "ab"]
    outputs = [job.communicate()[0].strip() for job in jobs]
    assert all(job.returncode == 0 for job in jobs)
    assert outputs[0] == outputs[1] != ""
    assert not list(private_cache.rglob("*.tmp"))


def test_mean_colour_says_nothing_about_the_class():
    rooms = _rooms(scenes=0.15)
    rows = _rows(rooms, "kv1", "source")
    colour = rooms.read(rows, "rgb", 16).mean(axis=(1, 2))
    label = rooms.index().label[rows]
    half = len(rows) // 2
    centroids = np.stack([colour[:half][label[:half] == k].mean(axis=0) for k in range(12)])
    nearest = ((colour[half:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == label[half:]).mean() < 0.2  # chance is 0.083


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluter": 1}, "Did you mean 'clutter'"),
        ({"imbalance": 0.5}, "imbalance"),
        ({"scenes": "many"}, "scenes"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(UserError, match=words):
        Rooms(DatasetConfig(options=options))


def test_unknown_modality_is_named():
    with pytest.raises(UserError, match="no modality 'thermal'"):
        _rooms().read(np.arange(1), "thermal", 32)


@pytest.mark.skipif(os.name == "nt", reason="a file in place of a folder is another error there")
def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("SFDA_KIT_CACHE", str(blocked))
    with pytest.raises(DataError, match="SFDA_KIT_CACHE"):
        _rooms().read(np.arange(1), "rgb", 32)


def statistics_of_fixed_scenes() -> dict[str, list[float]]:
    """Means of 8 x 8 blocks of a few scenes: coarse enough to bear another platform's rounding."""
    layout, found = Layout(RoomsOptions(), 0), {}
    for domain in DOMAINS:
        for modality in ("rgb", "depth", "nir"):
            for part in ("source", "ti"):
                view = View(domain, part, modality)
                pixels = render_scenes(layout, view, 0, 2).astype(float)
                pixels = pixels.reshape(2, 96, 128, -1).mean(axis=3)
                blocks = pixels.reshape(2, 6, 16, 8, 16).mean(axis=(2, 4))
                found["-".join(view)] = blocks.round(2).ravel().tolist()
    return found


def test_the_benchmark_is_frozen():
    """If this fails, results are no longer comparable: raise GENERATOR_VERSION and say so in the log."""
    golden = json.loads(GOLDEN.read_text())
    assert Layout(RoomsOptions(), 0).fingerprint() == golden["fingerprint"]
    for view, blocks in statistics_of_fixed_scenes().items():
        tolerance = 8.0 if view.endswith("depth") else 0.5
        np.testing.assert_allclose(blocks, golden["blocks"][view], atol=tolerance, err_msg=view)
