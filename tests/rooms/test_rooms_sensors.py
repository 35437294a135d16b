"""Depth that sensors measure: noise, holes, range; and pairs that show the same geometry."""

from __future__ import annotations

import numpy as np
import pytest

from sfda_kit.rooms.render import cast, render
from sfda_kit.rooms.scene import sample_scene
from sfda_kit.rooms.sensors import HEIGHT, SENSORS, WIDTH, depth_edges, measure_depth, rays


def _flat(distance: float) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), distance, dtype=np.float32)


def _measure(name: str, depth: np.ndarray) -> np.ndarray:
    return measure_depth(SENSORS[name], depth, np.ones_like(depth), np.random.default_rng(0))


@pytest.mark.parametrize("name", SENSORS)
def test_noise_grows_with_distance(name):
    spread = []
    for distance in (1.0, 2.0, 4.0):
        seen = _measure(name, _flat(distance))
        spread.append(seen[seen > 0].astype(float).std())
    assert spread[0] * 1.5 < spread[1] < spread[2] / 1.5


@pytest.mark.parametrize("name", SENSORS)
def test_out_of_range_is_zero(name):
    low, high = SENSORS[name].depth_range
    assert not _measure(name, _flat(low / 2)).any()
    assert not _measure(name, _flat(high * 1.5)).any()


@pytest.mark.parametrize("name", SENSORS)
def test_holes_gather_at_depth_edges(name):
    depth = _flat(3.0)
    depth[30:60, 40:80] = 1.5
    holes = _measure(name, depth) == 0
    edge = depth_edges(depth)
    assert holes[edge].mean() > 2 * holes[~edge].mean()


def test_parallax_shadow_falls_on_the_projector_side():
    depth = _flat(4.0)
    depth[:, 60:70] = 1.2
    left, right = (_measure(name, depth) == 0 for name in ("kv1", "xtion"))
    for shaded, open_ in ((left[:, 57], left[:, 72]), (right[:, 72], right[:, 57])):
        assert shaded.mean() > 0.9
        assert open_.mean() < 0.3


def test_rays_span_the_field_of_view():
    for sensor in SENSORS.values():
        x = rays(sensor)[0]
        half = np.degrees(np.arctan(x.max() * WIDTH / (WIDTH - 1)))
        assert 2 * half == pytest.approx(sensor.field_of_view, abs=0.1)


@pytest.mark.parametrize("class_name", ["sphere", "table", "mug"])
def test_pairs_show_the_same_geometry(class_name):
    scene = sample_scene(np.random.default_rng(5), class_name, clutter=0.0)
    sensor = SENSORS["kv2"]
    main = (cast(scene, sensor).surface == len(scene.walls)).reshape(HEIGHT, WIDTH)
    border = np.zeros_like(main)
    border[:, 1:] |= main[:, 1:] != main[:, :-1]
    rgb = render(scene, sensor, "rgb", np.random.default_rng(0)).astype(float)
    nir = render(scene, sensor, "nir", np.random.default_rng(0)).astype(float)
    for picture in (rgb.sum(axis=2), nir):
        step = np.abs(np.diff(picture, axis=1, prepend=picture[:, :1]))
        assert step[border].mean() > 2 * step[~border].mean()
    depth = render(scene, sensor, "depth", np.random.default_rng(0))
    true = cast(scene, sensor).depth.reshape(HEIGHT, WIDTH)
    seen = (depth > 0) & ~depth_edges(true)
    assert np.abs(depth[seen] / 1000 - true[seen]).mean() < 0.05


def test_active_light_falls_off_with_distance():
    scene = sample_scene(np.random.default_rng(8), "sphere", clutter=0.0)
    hits = cast(scene, SENSORS["kv2"])
    nir = render(scene, SENSORS["kv2"], "nir", np.random.default_rng(0)).ravel()
    floor = hits.surface == 0
    near, far = (hits.depth[floor] < np.quantile(hits.depth[floor], q) for q in (0.2, 0.8))
    assert nir[floor][near].mean() > 1.5 * nir[floor][~far].mean()
