"""Intersections of rays with the solids that rooms consist of.

Each solid has its own frame. Rays are ``origin + t * direction`` with both arrays shaped (3, N) or broadcastable to
it; ``t`` is in units of the length of ``direction``. A miss is ``inf``. Components come first in arrays of points. No
BLAS is used, so that results do not depend on thread counts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def dot(a: Array, b: Array) -> Array:
    """Return the inner product of two (3, ...) arrays over the first axis."""
    product: Array = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def rotate(matrix: Array, vectors: Array) -> Array:
    """Return ``matrix @ vectors`` for a (3, 3) and a (3, N) array, without BLAS."""
    return np.stack([dot(matrix[row][:, None], vectors) for row in range(3)])


def unit(vectors: Array) -> Array:
    """Scale vectors (3, ...) to length one."""
    scaled: Array = vectors / np.sqrt(np.maximum(dot(vectors, vectors), 1e-20))
    return scaled


class Solid(ABC):
    """A solid is a body in its own frame. No point of it is farther than ``radius`` from the origin."""

    radius: float

    @abstractmethod
    def first_hit(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """Return distance (N,) and outward normal (3, N) of the first hit at ``t > 0``. A miss is ``inf``."""


class Convex(Solid):
    """A convex solid is one that a ray crosses in one interval."""

    @abstractmethod
    def span(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """Return entry and exit distance, each (N,). Entry > exit where the line of the ray misses."""

    @abstractmethod
    def normal(self, points: Array) -> Array:
        """Return outward unit normals (3, N) at points (3, N) on the surface."""

    def first_hit(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """See ``Solid``. A ray that starts inside counts as a miss."""
        near, far = self.span(origin, direction)
        t = np.where((near < far) & (near > 0), near, np.inf)
        return t, self.normal(_points(origin, direction, t))


@dataclass(frozen=True)
class Sphere(Convex):
    """A ball around the origin."""

    radius: float

    def span(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """See ``Convex``."""
        a, b = dot(direction, direction), dot(origin, direction)
        c = dot(origin, origin) - self.radius**2
        return _roots(a, b, c)

    def normal(self, points: Array) -> Array:
        """See ``Convex``."""
        return unit(points)


class Polyhedron(Convex):
    """An intersection of half-spaces ``normal . x <= offset``."""

    def __init__(self, normals: Array, offsets: Array, radius: float) -> None:
        """Take ``normals`` (F, 3), which need not have unit length, and their ``offsets`` (F,)."""
        length = np.sqrt((normals**2).sum(axis=1))
        self.normals: Array = (normals / length[:, None]).astype(np.float32)
        self.offsets: Array = (offsets / length).astype(np.float32)
        self.radius = radius

    def span(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """See ``Convex``."""
        far = np.full(direction.shape[1:], np.inf, dtype=direction.dtype)
        near = -far
        for face, offset in zip(self.normals, self.offsets, strict=True):
            speed = dot(face, direction)
            gap = offset - dot(face, origin)
            # A ray parallel to a face crosses it at about plus or minus infinity, so it needs no case of its own.
            t = gap / np.where(np.abs(speed) < 1e-9, 1e-9, speed)
            near = np.where(speed < 0, np.maximum(near, t), near)
            far = np.where(speed >= 0, np.minimum(far, t), far)
        return near, far

    def normal(self, points: Array) -> Array:
        """See ``Convex``."""
        gaps = np.stack([dot(f, points) - o for f, o in zip(self.normals, self.offsets, strict=True)])
        best: Array = self.normals[gaps.argmax(axis=0)].T
        return best


def box(width: float, depth: float, height: float) -> Polyhedron:
    """Return a box around the origin with the given edges along x, y, z."""
    half = np.array([width, depth, height]) / 2
    faces = np.concatenate([np.eye(3), -np.eye(3)])
    return Polyhedron(faces, np.concatenate([half, half]), float(np.sqrt((half**2).sum())))


@dataclass(frozen=True)
class Frustum(Convex):
    """An upright truncated cone from ``z = -height / 2`` (radius ``bottom``) to ``height / 2`` (radius ``top``)."""

    bottom: float
    top: float
    height: float

    @property
    def radius(self) -> float:  # type: ignore[override]
        """Bound of the distance from the origin."""
        return float(np.hypot(max(self.bottom, self.top), self.height / 2))

    def span(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """See ``Convex``. The span is the slab between the caps, cut by one nappe of the cone."""
        slope = (self.top - self.bottom) / self.height
        middle = (self.top + self.bottom) / 2
        reach, growth = middle + slope * origin[2], slope * direction[2]
        a = direction[0] ** 2 + direction[1] ** 2 - growth**2
        b = origin[0] * direction[0] + origin[1] * direction[1] - reach * growth
        c = origin[0] ** 2 + origin[1] ** 2 - reach**2
        rise = np.where(np.abs(direction[2]) < 1e-9, 1e-9, direction[2])
        caps = ((-self.height / 2 - origin[2]) / rise, (self.height / 2 - origin[2]) / rise)
        low, high = np.minimum(*caps), np.maximum(*caps)
        near, far = _cone_span(a, b, c, low, high)
        return np.maximum(near, low), np.minimum(far, high)

    def normal(self, points: Array) -> Array:
        """See ``Convex``."""
        slope = (self.top - self.bottom) / self.height
        distance = np.sqrt(points[0] ** 2 + points[1] ** 2)
        side = (distance - (self.top + self.bottom) / 2 - slope * points[2]) / np.sqrt(1 + slope**2)
        cap = np.abs(points[2]) - self.height / 2 > side
        round_ = unit(np.stack([points[0], points[1], -slope * distance]))
        flat = np.stack([np.zeros_like(side), np.zeros_like(side), np.sign(points[2])])
        return np.where(cap, flat, round_)


@dataclass(frozen=True)
class Torus(Solid):
    """A ring in the x-y plane. Rays march along its exact distance field, which is cheap at this size."""

    ring: float
    tube: float

    @property
    def radius(self) -> float:  # type: ignore[override]
        """Bound of the distance from the origin."""
        return self.ring + self.tube

    def first_hit(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """See ``Solid``."""
        start, end = Sphere(self.radius).span(origin, direction)
        length = np.sqrt(dot(direction, direction))
        t = np.where(start < end, np.maximum(start, 0.0), np.inf)
        alive = np.flatnonzero(t < end)
        origin = np.broadcast_to(origin, direction.shape)
        for _ in range(64):
            gap = self._distance(origin[:, alive] + t[alive] * direction[:, alive])
            t[alive] += gap / length[alive]
            t[alive[t[alive] > end[alive]]] = np.inf
            alive = alive[(gap > 1e-4) & (t[alive] <= end[alive])]
        t[alive] = np.inf
        return t, self._normal(_points(origin, direction, t))

    def _distance(self, points: Array) -> Array:
        across = np.sqrt(points[0] ** 2 + points[1] ** 2) - self.ring
        distance: Array = np.sqrt(across**2 + points[2] ** 2) - self.tube
        return distance

    def _normal(self, points: Array) -> Array:
        flat = np.maximum(np.sqrt(points[0] ** 2 + points[1] ** 2), 1e-9)
        pull = 1 - self.ring / flat
        return unit(np.stack([points[0] * pull, points[1] * pull, points[2]]))


@dataclass(frozen=True)
class Cutout(Solid):
    """A convex ``body`` with a convex ``hole`` cut out, which is moved by ``shift`` and turned by ``turn``."""

    body: Convex
    hole: Convex
    shift: tuple[float, float, float]
    turn: Array | None = None

    @property
    def radius(self) -> float:  # type: ignore[override]
        """Bound of the distance from the origin."""
        return self.body.radius

    def first_hit(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        """See ``Solid``. Rays may start inside the hole."""
        inner_origin, inner_direction = self._into_hole(origin, direction)
        near, far = self.body.span(origin, direction)
        hole_near, hole_far = self.hole.span(inner_origin, inner_direction)
        start = np.maximum(near, 0)
        through = (hole_near <= start) & (start < hole_far) & (near < far)
        outside = np.where((near < far) & (near > 0), near, np.inf)
        t = np.where(through, np.where(hole_far < far, hole_far, np.inf), outside)
        wall = -self.hole.normal(_points(inner_origin, inner_direction, t))
        if self.turn is not None:
            wall = rotate(self.turn, wall)
        return t, np.where(through, wall, self.body.normal(_points(origin, direction, t)))

    def _into_hole(self, origin: Array, direction: Array) -> tuple[Array, Array]:
        moved = origin - np.array(self.shift, dtype=direction.dtype)[:, None]
        if self.turn is None:
            return moved, direction
        return rotate(self.turn.T, moved), rotate(self.turn.T, direction)


def _points(origin: Array, direction: Array, t: Array) -> Array:
    """Return the points at ``t`` along the rays. A miss gives the origin of the ray, so that no infinity spreads."""
    points: Array = origin + np.where(np.isfinite(t), t, 0) * direction
    return points


def _roots(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """Return both roots of ``a t^2 + 2 b t + c`` for a > 0, or an empty interval where there are none."""
    discriminant = b * b - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    near, far = (-b - root) / a, (-b + root) / a
    miss = discriminant < 0
    return np.where(miss, np.inf, near), np.where(miss, -np.inf, far)


def _cone_span(a: Array, b: Array, c: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Return the interval inside the cone between ``low`` and ``high``, where there is only one nappe."""
    a = np.where(np.abs(a) < 1e-9, 1e-9, a)
    discriminant = b * b - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    first, second = np.minimum((-b - root) / a, (-b + root) / a), np.maximum((-b - root) / a, (-b + root) / a)
    steep, miss = a < 0, discriminant < 0
    # A ray steeper than the cone is inside it before the first and after the second root.
    before = steep & ~miss & (first >= low)
    near = np.where(steep, np.where(miss | before, low, np.maximum(second, low)), first)
    far = np.where(steep, np.where(before, np.minimum(first, high), high), second)
    outside = miss & ~steep
    return np.where(outside, np.inf, near), np.where(outside, -np.inf, far)
