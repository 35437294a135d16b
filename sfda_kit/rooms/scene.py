"""Random scenes: a main solid on a floor before walls, clutter, an occluder, a camera and lights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfda_kit.rooms.shapes import SHAPES, Part, Shape, turn_about
from sfda_kit.rooms.solids import Array, Frustum, Sphere, box

Generator = np.random.Generator
PATTERNS = ("plain", "stripes", "checker", "marble")


@dataclass(frozen=True)
class Material:
    """A solid texture of two colours with two near-infrared reflectances; ``waves`` (2, 3) in radians per metre."""

    pattern: str
    colours: Array
    nir: Array
    waves: Array
    gloss: float


@dataclass(frozen=True)
class Scene:
    """A scene in the world frame: metres, z up. The camera looks along the third column of ``camera_turn``.

    ``walls``: planes (normal (3,), offset) that face the room, the floor first. ``materials``: first those of the
    walls, then those of the ``objects``. ``light``: unit direction towards the lamp.
    """

    walls: list[tuple[Array, float]]
    objects: list[Shape]
    materials: list[Material]
    camera: Array
    camera_turn: Array
    light: Array
    lamp: Array
    ambient: Array


def sample_scene(rng: Generator, class_name: str, clutter: float) -> Scene:
    """Draw a scene with a main solid of ``class_name``. ``clutter`` is usually 1; 0 leaves only the main solid."""
    size = rng.uniform(0.85, 1.25)
    main = _placed(SHAPES[class_name](rng), np.zeros(3), rng.uniform(-1.6, 1.6), size)
    camera, turn = _camera(rng, size)
    objects = [main, *_clutter(rng, clutter, camera, size)]
    walls = _walls(rng, size)
    painted = [_wall_material(rng) for _ in walls]
    materials = [*painted, _standing_out(rng, painted[:2]), *(_material(rng) for _ in objects[1:])]
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.3)
    light = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
    # A lamp behind the back wall would leave the room dark.
    light[1] = -abs(light[1])
    strength = rng.uniform(0.6, 0.9) * rng.uniform(0.9, 1.1, 3)
    ambient = rng.uniform(0.25, 0.38) * rng.uniform(0.9, 1.1, 3)
    return Scene(walls, objects, materials, camera, turn, light, strength, ambient)


def _placed(shape: Shape, place: Array, angle: float, scale: float) -> Shape:
    turn = turn_about(2, angle)
    return [part.moved(place, turn, scale) for part in shape]


def _camera(rng: Generator, size: float) -> tuple[Array, Array]:
    """Draw a slightly rolled camera that looks near the centre of the main solid from 1.9 to 2.8 m away."""
    distance, azimuth = rng.uniform(1.9, 2.8), rng.uniform(-0.5, 0.5)
    height = rng.uniform(0.9, 1.7)
    ground = np.sqrt(max(distance**2 - height**2, 1.0))
    camera = np.array([ground * np.sin(azimuth), -ground * np.cos(azimuth), height])
    aim = np.array([0, 0, 0.45 * size]) + rng.uniform(-0.18, 0.18, 3)
    forward = (aim - camera) / np.sqrt(((aim - camera) ** 2).sum())
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.sqrt((right**2).sum())
    down = np.cross(forward, right)
    return camera, np.stack([right, down, forward], axis=1) @ turn_about(2, rng.uniform(-0.07, 0.07))


def _walls(rng: Generator, size: float) -> list[tuple[Array, float]]:
    """Draw the floor, the back wall and two side walls. The walls are turned a little."""
    turn = turn_about(2, rng.uniform(-0.25, 0.25))
    back = rng.uniform(0.8, 2.2) + 0.3 * size
    left, right = rng.uniform(1.6, 3.5, 2)
    return [
        (np.array([0.0, 0.0, 1.0]), 0.0),
        (turn @ np.array([0.0, -1.0, 0.0]), -back),
        (turn @ np.array([1.0, 0.0, 0.0]), -left),
        (turn @ np.array([-1.0, 0.0, 0.0]), -right),
    ]


def _clutter(rng: Generator, level: float, camera: Array, size: float) -> list[Shape]:
    """Draw small pieces around the main solid, and often a piece that hides a part of it."""
    shapes = []
    for _ in range(rng.poisson(1.5 * level)):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.6) * size
        place = np.array([reach * np.cos(angle), reach * np.sin(angle), 0])
        if np.dot(place[:2], camera[:2]) < 0.3 * reach * np.hypot(*camera[:2]):
            shapes.append(_placed(_piece(rng, 0.3), place, rng.uniform(0, np.pi), rng.uniform(0.7, 1.3)))
    if rng.random() < 0.35 * level:
        shapes.append(_occluder(rng, camera, size))
    return shapes


def _occluder(rng: Generator, camera: Array, size: float) -> Shape:
    """Draw a piece between the camera and the main solid, shifted to one side."""
    towards = camera[:2] / np.hypot(*camera[:2])
    aside = np.array([-towards[1], towards[0]]) * rng.choice([-1, 1]) * rng.uniform(0.2, 0.5)
    place = np.append(towards * rng.uniform(0.75, 0.95) + aside, 0) * size
    return _placed(_piece(rng, 0.28), place, rng.uniform(0, np.pi), rng.uniform(0.8, 1.4))


def _piece(rng: Generator, edge: float) -> Shape:
    """Draw a box, ball, post or tapered pot of about ``edge`` metres."""
    a, b, c = edge * rng.uniform(0.5, 1.3, 3)
    solids = (box(a, b, c), Sphere(c / 2), Frustum(a / 2, a / 2, c), Frustum(a / 2, a / 3, c))
    return [Part(solids[int(rng.integers(4))], np.array([0, 0, c / 2]))]


def _material(rng: Generator) -> Material:
    """Draw colours, texture and infrared reflectances, all independent of each other and of the class."""
    base = rng.uniform(0.15, 0.95, 3)
    other = np.clip(base * rng.uniform(0.75, 1.2), 0.05, 1)
    pattern = PATTERNS[int(rng.choice(4, p=[0.64, 0.12, 0.12, 0.12]))]
    waves = rng.standard_normal((2, 3)) * rng.uniform(8, 22)
    gloss = float(rng.choice([0, 0.2, 0.4]))
    return Material(pattern, np.stack([base, other]), _reflectances(rng), waves, gloss)


def _standing_out(rng: Generator, behind: list[Material]) -> Material:
    """Draw a material whose colour differs from those of the floor and the back wall (``behind``)."""
    while True:
        material = _material(rng)
        if all(np.abs(material.colours[0] - other.colours[0]).max() > 0.25 for other in behind):
            return material


def _wall_material(rng: Generator) -> Material:
    """Draw a wall material with muted colours and weak patterns."""
    base = np.clip(rng.uniform(0.3, 0.85) + rng.uniform(-0.12, 0.12, 3), 0, 1)
    other = np.clip(base * rng.uniform(0.88, 1.1), 0, 1)
    pattern = PATTERNS[int(rng.choice(4, p=[0.4, 0.2, 0.2, 0.2]))]
    waves = rng.standard_normal((2, 3)) * rng.uniform(6, 16)
    return Material(pattern, np.stack([base, other]), _reflectances(rng), waves, 0.0)


def _reflectances(rng: Generator) -> Array:
    """Draw both near-infrared reflectances. They differ little, as many dyes are transparent in the near-infrared."""
    reflectance = rng.uniform(0.25, 0.9)
    return np.clip([reflectance, reflectance * rng.uniform(0.8, 1.2)], 0.05, 1)
