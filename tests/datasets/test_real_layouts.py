"""Whole runs on data as it lies on a user's disk: a synthetic twin of SUN RGB-D, and real pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..conftest import FAST, last_json

pytestmark = pytest.mark.slow


def record_of(summary: dict) -> dict:
    return json.loads((Path(summary["run_dir"]) / "record.json").read_text())


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sfda_kit.datasets.twins import make_twin

    out = tmp_path_factory.mktemp("twin") / "sun"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFDA_KIT_CACHE", str(out.parent / "cache"))
        make_twin("sun-rgbd", out, per_class=8)
    return out


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_twin_of_sun_rgbd_runs_across_sensors(sfda_kit, twin):
    layout = ["--dataset", "sun-rgbd", "--data-root", twin, "--split", "socket17"]
    sensors = ["--source", "rgb@kv1", "--target", "depth@xtion"]
    rest = ["--set", "dataset.minimum_images=1", "--source-floor", "0", "--json"]
    result = sfda_kit("run", "--method", "tgkt", *layout, *sensors, *FAST, *rest)
    assert result.exit_code == 0, result.exception
    record = record_of(last_json(result))
    assert record["synthetic"] is True
    assert any("left out" in notice for notice in record["notices"])  # socket17 classes the twin lacks
    assert record["task"]["images"]["ti"] > record["task"]["images"]["target-test"]  # pairs of all sensors


def test_real_object_crops_run(sfda_kit, real_pictures):
    layout = ["--dataset", "paired-folder", "--data-root", real_pictures / "nyuv2-objects", "--split", "nyu11"]
    sensors = ["--source", "rgb@kinect1", "--target", "depth@kinect1"]
    result = sfda_kit("run", "--method", "tgkt", *layout, *sensors, *FAST, "--source-floor", "0", "--json")
    assert result.exit_code == 0, result.exception
    record = record_of(last_json(result))
    assert record["synthetic"] is False
    assert len(record["task"]["classes"]) == 11 and len(record["task"]["ti_classes"]) == 6
    assert sum(record["task"]["images"].values()) > 1900


def test_real_frames_run_and_missing_classes_are_noticed(sfda_kit, real_pictures):
    layout = ["--dataset", "sun-rgbd", "--data-root", real_pictures / "sunrgbd-kv1-sample", "--split", "socket17"]
    result = sfda_kit("run", "--method", "shot", *layout, *FAST, "--source-floor", "0", "--json")
    assert result.exit_code == 0, result.exception
    record = record_of(last_json(result))
    assert {"living_room", "office"} <= set(record["task"]["classes"])
    assert any("'corridor' left out" in notice for notice in record["notices"])
