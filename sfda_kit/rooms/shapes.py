"""The classes of the benchmark. Each is a function that builds a shape from solids with random proportions.

A shape is a list of parts that stand on ``z = 0`` and fit roughly into a cube of edge one. Proportions vary within a
class. Colour, texture and light are drawn elsewhere and do not depend on the class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from sfda_kit.rooms.solids import Array, Cutout, Frustum, Polyhedron, Solid, Sphere, Torus, box

Generator = np.random.Generator


def _upright() -> Array:
    return np.eye(3)


@dataclass(frozen=True)
class Part:
    """A part is a solid placed in a frame: first ``scale``, then ``turn`` (3, 3), then ``place`` (3,)."""

    solid: Solid
    place: Array
    turn: Array = field(default_factory=_upright)
    scale: float = 1.0

    def moved(self, place: Array, turn: Array, scale: float) -> Part:
        """Return the same part after moving its parent frame."""
        centre = place + scale * (turn @ self.place)
        return replace(self, place=centre, turn=turn @ self.turn, scale=scale * self.scale)


Shape = list[Part]


def turn_about(axis: int, angle: float) -> Array:
    """Return the rotation matrix about a coordinate axis, for an angle in radians."""
    first, second = [k for k in range(3) if k != axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def _at(solid: Solid, x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: Array | None = None) -> Part:
    return Part(solid, np.array([x, y, z]), np.eye(3) if turn is None else turn)


def _pyramid(edge: float, height: float) -> Polyhedron:
    slanted = [[height, 0, edge / 2], [-height, 0, edge / 2], [0, height, edge / 2], [0, -height, edge / 2]]
    normals = np.array([*slanted, [0, 0, -1]], dtype=float)
    offsets = np.array([edge * height / 4] * 4 + [height / 2])
    return Polyhedron(normals, offsets, float(np.hypot(edge / np.sqrt(2), height / 2)))


def _legs(width: float, depth: float, height: float, thick: float) -> Shape:
    leg = box(thick, thick, height)
    inset = thick / 2
    return [_at(leg, x * (width / 2 - inset), y * (depth / 2 - inset), height / 2) for x in (-1, 1) for y in (-1, 1)]


def sphere(rng: Generator) -> Shape:
    """Build a ball."""
    radius = rng.uniform(0.38, 0.5)
    return [_at(Sphere(radius), z=radius)]


def cube(rng: Generator) -> Shape:
    """Build a box with nearly equal edges."""
    a, b, c = rng.uniform(0.62, 0.85, 3)
    return [_at(box(a, b, c), z=c / 2)]


def cylinder(rng: Generator) -> Shape:
    """Build an upright cylinder."""
    radius, height = rng.uniform(0.26, 0.4), rng.uniform(0.65, 1.0)
    return [_at(Frustum(radius, radius, height), z=height / 2)]


def cone(rng: Generator) -> Shape:
    """Build a pointed cone."""
    radius, height = rng.uniform(0.35, 0.5), rng.uniform(0.75, 1.05)
    return [_at(Frustum(radius, 0.0, height), z=height / 2)]


def pyramid(rng: Generator) -> Shape:
    """Build a square pyramid."""
    edge, height = rng.uniform(0.7, 0.95), rng.uniform(0.7, 1.0)
    return [_at(_pyramid(edge, height), z=height / 2)]


def torus(rng: Generator) -> Shape:
    """Build a ring that lies, leans or stands."""
    ring, tube = rng.uniform(0.3, 0.38), rng.uniform(0.09, 0.15)
    tilt = rng.uniform(0, 1.4)
    height = tube + ring * np.sin(tilt)
    return [_at(Torus(ring, tube), z=height, turn=turn_about(0, tilt))]


def table(rng: Generator) -> Shape:
    """Build a top on four legs."""
    width, depth, height = rng.uniform(0.9, 1.2), rng.uniform(0.6, 0.9), rng.uniform(0.55, 0.8)
    thick = rng.uniform(0.06, 0.1)
    return [_at(box(width, depth, thick), z=height - thick / 2), *_legs(width, depth, height - thick, 0.09)]


def chair(rng: Generator) -> Shape:
    """Build a seat on four legs with a back."""
    width, seat, height = rng.uniform(0.5, 0.65), rng.uniform(0.4, 0.5), rng.uniform(0.95, 1.15)
    back = _at(box(width, 0.08, height - seat), y=width / 2 - 0.04, z=(height + seat) / 2)
    plate = _at(box(width, width, 0.09), z=seat - 0.045)
    return [plate, back, *_legs(width, width, seat - 0.09, 0.09)]


def stairs(rng: Generator) -> Shape:
    """Build three to five steps."""
    steps = int(rng.integers(3, 6))
    run, rise, width = rng.uniform(0.9, 1.1) / steps, rng.uniform(0.65, 0.9) / steps, rng.uniform(0.5, 0.8)
    depth = run * steps
    return [_at(box(width, depth - k * run, rise), y=k * run / 2, z=(k + 0.5) * rise) for k in range(steps)]


def arch(rng: Generator) -> Shape:
    """Build two pillars under a block with a round cut."""
    radius, side, depth = rng.uniform(0.24, 0.32), rng.uniform(0.15, 0.22), rng.uniform(0.25, 0.5)
    pillar, top = rng.uniform(0.25, 0.5), radius + rng.uniform(0.1, 0.18)
    tunnel = Frustum(radius, radius, depth * 2)
    cut = Cutout(box(2 * (radius + side), depth, top), tunnel, (0, 0, -top / 2), turn_about(0, np.pi / 2))
    leg = box(side, depth, pillar)
    x = radius + side / 2
    return [_at(cut, z=pillar + top / 2), _at(leg, -x, 0, pillar / 2), _at(leg, x, 0, pillar / 2)]


def dumbbell(rng: Generator) -> Shape:
    """Build two balls joined by a rod, lying or standing on one ball."""
    radius, rod, length = rng.uniform(0.2, 0.27), rng.uniform(0.06, 0.1), rng.uniform(0.6, 0.75)
    lying = rng.random() < 0.5
    turn = turn_about(0, np.pi / 2) if lying else np.eye(3)
    axis = turn @ np.array([0.0, 0.0, length / 2])
    centre = np.array([0, 0, radius if lying else radius + length / 2])
    ends = [Part(Sphere(radius), centre + sign * axis) for sign in (-1, 1)]
    return [*ends, Part(Frustum(rod, rod, length), centre, turn)]


def mug(rng: Generator) -> Shape:
    """Build an open cup with a square handle."""
    radius, height, wall = rng.uniform(0.3, 0.38), rng.uniform(0.65, 0.85), rng.uniform(0.04, 0.07)
    hole = Frustum(radius - wall, radius - wall, height)
    cup = Cutout(Frustum(radius, radius, height), hole, (0, 0, 0.1))
    reach, grip, thick = rng.uniform(0.25, 0.33), rng.uniform(0.35, 0.45) * height, 0.09
    bar = box(reach, thick, thick)
    x = radius + reach / 2 - 0.02
    ends = [_at(bar, x, 0, height / 2 + s * (grip - thick / 2)) for s in (-1, 1)]
    return [
        _at(cup, z=height / 2),
        *ends,
        _at(box(thick, thick, 2 * grip), x + reach / 2 - thick / 2, 0, height / 2),
    ]


def dome(rng: Generator) -> Shape:
    """Build a half ball with the flat side down."""
    radius = rng.uniform(0.42, 0.55)
    below = Polyhedron(np.array([[0.0, 0, 1]]), np.array([0.0]), radius)
    return [_at(Cutout(Sphere(radius), below, (0, 0, 0)))]


def wedge(rng: Generator) -> Shape:
    """Build a ramp with a triangular side."""
    width, depth, height = rng.uniform(0.5, 0.8), rng.uniform(0.8, 1.1), rng.uniform(0.5, 0.8)
    normals = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, -1], [0, -height, depth]], dtype=float)
    offsets = np.array([width / 2, width / 2, depth / 2, height / 2, 0.0])
    radius = float(np.sqrt(width**2 + depth**2 + height**2) / 2)
    return [_at(Polyhedron(normals, offsets, radius), z=height / 2)]


def stool(rng: Generator) -> Shape:
    """Build a round seat on three legs."""
    radius, height, thick = rng.uniform(0.3, 0.4), rng.uniform(0.6, 0.85), rng.uniform(0.07, 0.12)
    leg = Frustum(0.05, 0.05, height - thick)
    angles = rng.uniform(0, 2 * np.pi) + np.arange(3) * 2 * np.pi / 3
    reach = radius - 0.07
    legs = [_at(leg, reach * np.cos(a), reach * np.sin(a), (height - thick) / 2) for a in angles]
    return [_at(Frustum(radius, radius, thick), z=height - thick / 2), *legs]


def snowman(rng: Generator) -> Shape:
    """Build three balls, each on a larger one."""
    radius, shape, z = rng.uniform(0.28, 0.34), list[Part](), 0.0
    for _ in range(3):
        shape.append(_at(Sphere(radius), z=z + radius))
        z, radius = z + 1.8 * radius, radius * rng.uniform(0.65, 0.78)
    return shape


def tube(rng: Generator) -> Shape:
    """Build a pipe that lies on the floor."""
    radius, length, wall = rng.uniform(0.28, 0.36), rng.uniform(0.7, 1.0), rng.uniform(0.05, 0.09)
    hole = Frustum(radius - wall, radius - wall, length * 2)
    pipe = Cutout(Frustum(radius, radius, length), hole, (0, 0, 0))
    return [_at(pipe, z=radius, turn=turn_about(0, np.pi / 2))]


def shelf(rng: Generator) -> Shape:
    """Build boards between two sides."""
    width, depth, height = rng.uniform(0.7, 0.9), rng.uniform(0.3, 0.4), rng.uniform(0.9, 1.1)
    boards, thick = int(rng.integers(3, 5)), 0.06
    sides = [_at(box(thick, depth, height), s * (width - thick) / 2, 0, height / 2) for s in (-1, 1)]
    levels = np.linspace(thick / 2, height - thick / 2, boards)
    return [*sides, *(_at(box(width - 2 * thick, depth, thick), z=float(z)) for z in levels)]


TR_SHAPES: dict[str, Callable[[Generator], Shape]] = {
    shape.__name__: shape
    for shape in (arch, chair, cone, cube, cylinder, dumbbell, mug, snowman, sphere, stairs, table, torus)
}
TI_SHAPES: dict[str, Callable[[Generator], Shape]] = {
    shape.__name__: shape for shape in (dome, pyramid, shelf, stool, tube, wedge)
}
SHAPES = {**TR_SHAPES, **TI_SHAPES}
CLASSES = tuple(SHAPES)
