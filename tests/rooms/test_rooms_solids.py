"""Ray intersections against distances worked out by hand, and properties that hold for any ray."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfda_kit.rooms.shapes import SHAPES, Part, turn_about
from sfda_kit.rooms.solids import Cutout, Frustum, Sphere, Torus, box, dot

CASES = [
    (Sphere(0.5), (-2, 0, 0), (1, 0, 0), 1.5, (-1, 0, 0)),
    (Sphere(0.5), (-2, 0.3, 0), (2, 0, 0), 0.8, (-0.8, 0.6, 0)),
    (box(1, 2, 3), (-2, 0.5, 1), (1, 0, 0), 1.5, (-1, 0, 0)),
    (box(1, 1, 1), (-2, -2, 0), (1, 1.1, 0), 1.5, (-1, 0, 0)),
    (Frustum(0.5, 0.5, 1), (0, -3, 0.4), (0, 1, 0), 2.5, (0, -1, 0)),
    (Frustum(0.5, 0.5, 1), (0.2, 0.1, 3), (0, 0, -1), 2.5, (0, 0, 1)),
    (Frustum(1, 0, 1), (-3, 0, 0), (1, 0, 0), 2.5, (-np.sqrt(0.5), 0, np.sqrt(0.5))),
    (Frustum(1, 0, 1), (0.25, 0, 3), (0, 0, -1), 2.75, (np.sqrt(0.5), 0, np.sqrt(0.5))),
    (Frustum(1, 0, 1), (0.5, 0, -3), (0, 0, 1), 2.5, (0, 0, -1)),
    (Torus(1, 0.25), (-3, 0, 0), (1, 0, 0), 1.75, (-1, 0, 0)),
    (Torus(1, 0.25), (1, 0, 3), (0, 0, -1), 2.75, (0, 0, 1)),
    (Cutout(box(1, 1, 1), box(0.5, 0.5, 1), (0, 0, 0.25)), (0, 0, 3), (0, 0, -1), 3.25, (0, 0, 1)),
    (Cutout(box(1, 1, 1), box(0.5, 0.5, 1), (0, 0, 0.25)), (0.4, 0, 3), (0, 0, -1), 2.5, (0, 0, 1)),
]
MISSES = [
    (Sphere(0.5), (-2, 0.6, 0), (1, 0, 0)),
    (Sphere(0.5), (2, 0, 0), (1, 0, 0)),
    (box(1, 1, 1), (-2, 0, 2), (1, 0, 0)),
    (Frustum(1, 0, 1), (-3, 0, 0.7), (1, 0, 0)),
    (Torus(1, 0.25), (0, 0, 3), (0, 0, -1)),
    (Cutout(box(1, 1, 1), box(0.5, 0.5, 2), (0, 0, 0)), (0, 0, 3), (0, 0, -1)),
]


def _column(values: object) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


@pytest.mark.parametrize(("solid", "origin", "direction", "distance", "normal"), CASES)
def test_distance_and_normal_by_hand(solid, origin, direction, distance, normal):
    t, found = solid.first_hit(_column(origin), _column(direction))
    assert t[0] == pytest.approx(distance, abs=1e-3)
    np.testing.assert_allclose(found[:, 0], normal, atol=2e-3)


@pytest.mark.parametrize(("solid", "origin", "direction"), MISSES)
def test_a_miss_is_infinite(solid, origin, direction):
    assert solid.first_hit(_column(origin), _column(direction))[0][0] == np.inf


@given(
    st.sampled_from([Sphere(0.5), box(0.8, 0.6, 0.7), Frustum(0.5, 0.2, 0.9), Frustum(0.1, 0.5, 0.4)]),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=60)
def test_hits_lie_between_inside_and_outside(solid, seed):
    rng = np.random.default_rng(seed)
    origin = rng.standard_normal((3, 50))
    origin *= 2 / np.sqrt(dot(origin, origin))
    direction = rng.uniform(-0.4, 0.4, (3, 50)) - origin
    t, normal = solid.first_hit(origin, direction)
    hit = np.isfinite(t)
    inward = origin[:, hit] + (t[hit] + 1e-5) * direction[:, hit]
    assert (dot(normal[:, hit], direction[:, hit]) <= 1e-9).all()
    near, far = solid.span(inward, direction[:, hit])
    assert ((near <= 1e-6) & (far >= -2e-5)).all()


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_moving_a_part_moves_its_points(seed):
    rng = np.random.default_rng(seed)
    part = Part(Sphere(0.2), rng.standard_normal(3), turn_about(0, rng.uniform(0, 6)))
    place, turn, scale = rng.standard_normal(3), turn_about(2, rng.uniform(0, 6)), rng.uniform(0.5, 2)
    moved = part.moved(place, turn, scale)
    point = rng.standard_normal(3)
    once = place + scale * (turn @ (part.place + part.scale * (part.turn @ point)))
    np.testing.assert_allclose(moved.place + moved.scale * (moved.turn @ point), once, atol=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_stands_on_the_floor(name):
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.linspace(-0.8, 0.8, 60), np.linspace(-0.8, 0.8, 60))).reshape(2, -1)
    lowest = min(_lowest_point(part, grid) for part in SHAPES[name](rng))
    assert lowest == pytest.approx(0, abs=0.02)


def _lowest_point(part: Part, grid: np.ndarray) -> float:
    origin = np.stack([grid[0], grid[1], np.full(grid.shape[1], -2.0)])
    up = np.repeat(_column((0, 0, 1)), grid.shape[1], axis=1)
    t, _ = part.solid.first_hit(part.turn.T @ (origin - part.place[:, None]), part.turn.T @ up)
    return float(t.min() - 2)
