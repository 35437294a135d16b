"""`data list`, `data show` and `data stats`: what they tell, and what they leave alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfda_kit.config.models import DatasetConfig
from sfda_kit.datasets.channel_statistics import statistics
from sfda_kit.datasets.paired_folder import PairedFolder
from sfda_kit.datasets.sample_sheet import draw_pairs
from sfda_kit.errors import DataError, UserError
from sfda_kit.plugins.discovery import registry
from sfda_kit.rooms.dataset import Rooms

FEW = ("--set", "dataset.options.scenes=0.01")


def last(result) -> dict:
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_list_tells_modalities_licence_and_citation(sfda_kit):
    shown = sfda_kit("data", "list").stdout
    assert "rgb, nir, swir" in shown and "licence: MIT" in shown and "arXiv 1709.00029" in shown
    sets = {one["name"]: one for one in last(sfda_kit("data", "list", "--json"))["datasets"]}
    assert set(sets) == set(registry().names("dataset"))
    assert sets["sun-rgbd"]["modalities"] == "rgb, depth" and sets["sun-rgbd"]["citation"]


def test_a_set_that_cannot_be_imported_costs_only_its_own_lines(sfda_kit, monkeypatch):
    part = registry().get("dataset", "eurosat")
    broken = type(part)("eurosat", "no.such.module:Set", "a summary", kind="dataset", owner="somebody")
    monkeypatch.setitem(registry().components, ("dataset", "eurosat"), broken)
    shown = sfda_kit("data", "list").stdout
    assert "error: The dataset 'eurosat' of somebody declares" in shown and "sun-rgbd" in shown


def test_show_renders_the_samples_it_draws_and_no_part(sfda_kit, tmp_path, monkeypatch):
    rendered: list[int] = []

    from sfda_kit.rooms import dataset as rooms

    real = rooms.render_scenes
    monkeypatch.setattr(
        rooms, "render_scenes", lambda layout, view, a, b: rendered.append(b - a) or real(layout, view, a, b)
    )
    monkeypatch.setattr(rooms, "cached_part", lambda *_: pytest.fail("a whole part was asked for"))
    assert sfda_kit("data", "show", "rooms", "--out", tmp_path / "s.png", "--number", "3").exit_code == 0
    assert rendered == [1] * 9 and not (Path(os.environ["SFDA_KIT_CACHE"]) / "rooms").exists()


def test_peeking_is_reading(monkeypatch):
    rooms = Rooms(DatasetConfig(options={"scenes": 0.01}))
    rows = np.array([3, 0, 30, 50])
    before = rooms.peek(rows, "depth", 24)
    np.testing.assert_array_equal(before, rooms.read(rows, "depth", 24))
    monkeypatch.setattr("sfda_kit.rooms.dataset.render_scenes", lambda *_: pytest.fail("it is in the cache"))
    np.testing.assert_array_equal(before, rooms.peek(rows, "depth", 24))


def test_peeking_at_files_leaves_the_cache_alone(pairs_root):
    found = PairedFolder(DatasetConfig(name="paired-folder", root=pairs_root, source="rgb@cam", target="depth@cam"))
    rows = np.array([5, 1])
    seen = found.peek(rows, "depth", 16)
    assert not (Path(os.environ["SFDA_KIT_CACHE"]) / "decoded").exists()
    np.testing.assert_array_equal(seen, found.read(rows, "depth", 16))


def test_stats_counts_and_draws(sfda_kit, pairs_root, tmp_path):
    out = tmp_path / "new" / "stats.png"
    result = sfda_kit(
        "data", "stats", "paired-folder", "--data-root", pairs_root, "--out", out, "--number", "5",
        "--modality", "rgb", "--modality", "depth", "--json",
    )  # fmt: skip
    told = last(result)
    assert result.exit_code == 0 and told["classes"]["bar"] == {"cam": 24} and told["groups"] == 8
    by = {one["modality"]: one for one in told["histograms"]}
    assert by["depth"]["images"] == 5 and 1.2 < by["depth"]["mean"] < 2.7 and 0 < by["rgb"]["mean"] < 1
    assert sum(by["rgb"]["shares"]) == pytest.approx(1)
    assert Image.open(out).width > 300


def test_stats_of_a_generated_set(sfda_kit, tmp_path):
    out = tmp_path / "stats.png"
    shown = sfda_kit("data", "stats", "rooms", "--number", "2", "--modality", "nir", "--out", out, *FEW).stdout
    assert "nir@realsense: mean" in shown and "torus" in shown and out.is_file()


def test_missing_depth_is_in_no_bin(tmp_path):
    folder = tmp_path / "cam" / "depth" / "cup"
    folder.mkdir(parents=True)
    depth = np.zeros((64, 64), np.uint16)
    depth[:32] = 2000
    Image.fromarray(depth).save(folder / "a.png")
    (one,) = statistics(
        PairedFolder(DatasetConfig(name="paired-folder", root=tmp_path, source="", target="")), ["depth"]
    ).histograms
    assert (one.mean, one.std, one.missing) == (2.0, 0.0, 0.5) and one.shares[-1] == 1.0


def test_missing_depth_is_counted_in_whole_files(tmp_path):
    folder = tmp_path / "cam" / "depth" / "cup"
    folder.mkdir(parents=True)
    depth = np.full((300, 300), 2000, np.uint16)
    depth[::6, ::6] = 0  # holes of one pixel, which are gone in a small image
    Image.fromarray(depth).save(folder / "a.png")
    config = DatasetConfig(name="paired-folder", root=tmp_path, source="", target="")
    assert statistics(PairedFolder(config), ["depth"]).histograms[0].missing == pytest.approx(1 / 36)


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    """RGB and centikelvin of two scenes, and a thermal image alone."""
    for number, kind in enumerate(("cat", "dog")):
        folders = [tmp_path / "pairs" / "cam" / name / kind for name in ("rgb", "thermal")]
        for folder in folders:
            folder.mkdir(parents=True)
        Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(folders[0] / "walk_7.png")
        for name in ("walk_7", "alone")[: 2 - number]:
            Image.fromarray(np.arange(29315, 29715).reshape(20, 20).astype(np.uint16)).save(folders[1] / f"{name}.png")
    return tmp_path / "pairs"


def test_any_modality_is_looked_at_without_a_target(sfda_kit, cameras, tmp_path):
    flags = ("--data-root", cameras, "--unit", "centikelvin")
    seen = sfda_kit("data", "stats", "paired-folder", *flags, "--out", tmp_path / "s.png")
    assert "thermal@cam: mean 22, standard deviation" in seen.stdout and "degrees Celsius (2 images)" in seen.stdout
    assert "1 incomplete samples left out, such as: " in seen.stderr and "alone.png has no other half" in seen.stderr
    assert "2 drawn" in sfda_kit("data", "show", "paired-folder", *flags, "--out", tmp_path / "x.png").stdout
    alone = sfda_kit("data", "show", "paired-folder", *flags, "--modality", "thermal", "--out", tmp_path / "t.png")
    assert "3 drawn" in alone.stdout and alone.stderr == ""
    wrong = sfda_kit("data", "stats", "paired-folder", "--data-root", cameras, "--out", tmp_path / "s.png")
    assert "--unit centikelvin or decikelvin" in str(wrong.exception)


def test_a_sheet_carries_class_and_file_name(cameras, tmp_path, monkeypatch):
    drawn: list[str] = []
    monkeypatch.setattr("matplotlib.axes.Axes.set_title", lambda axis, text, **more: drawn.append(text))
    config = DatasetConfig(name="paired-folder", root=cameras, source="rgb@", target="rgb@")
    draw_pairs(PairedFolder(config), tmp_path / "x.png", ["rgb"])
    assert drawn == ["cat\nwalk_7", "dog\nwalk_7"]


def test_stats_of_a_modality_that_is_not_there(pairs_root, tmp_path, sfda_kit):
    found = PairedFolder(DatasetConfig(name="paired-folder", root=pairs_root, source="rgb@cam", target="depth@cam"))
    with pytest.raises(DataError, match="No image of thermal was found"):
        statistics(found, ["thermal"])
    (tmp_path / "file").touch()
    flags = ("--data-root", pairs_root, "--number", "1", "--modality", "rgb", "--out", tmp_path / "file" / "x.png")
    refused = sfda_kit("data", "stats", "paired-folder", *flags)
    assert isinstance(refused.exception, UserError) and "cannot be written" in str(refused.exception)


def test_a_sheet_shows_what_a_stress_makes_of_the_target_sensor(sfda_kit, pairs_root: Path, tmp_path: Path):
    """One more row, at the size of a run; what cannot be seen in single images is named."""
    flags = ["data", "show", "paired-folder", "--data-root", pairs_root, "--number", "2", "--out"]
    plain = sfda_kit(*flags, tmp_path / "plain.png")
    stress = ["--set", "dataset.stress={holes: 0.3, pair_shift: 4, wrong_pairs: 0.1}"]
    worse = sfda_kit(*flags, tmp_path / "worse.png", *stress)
    assert plain.exit_code == worse.exit_code == 0, worse.output
    assert "wrong_pairs cannot be seen in single images" in worse.output and "cannot be seen" not in plain.output
    sizes = [Image.open(tmp_path / name).size for name in ("plain.png", "worse.png")]
    assert sizes[1][1] > sizes[0][1], "there is no row of stressed images"
    colours = [np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in ("plain.png", "worse.png")]
    missing = [int((one == (255, 0, 255)).all(axis=-1).sum()) for one in colours]
    assert missing[0] < 50 < missing[1], "the holes are not in the colour of missing pixels"
