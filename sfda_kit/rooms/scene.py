"""Draws scenes: a main solid on a floor before walls, clutter, an occluder, a camera and lights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfda_kit.rooms.shapes import SHAPES, Part, Shape, turn_about
from sfda_kit.rooms.solids import Array, Frustum, Sphere, box

Generator = np.random.Generator
PATTERNS = ("plain", "stripes", "checker", "marble")


@dataclass(frozen=True)
class Material:
    """A solid texture mixing two colours; ``nir`` are the two reflectances beyond the visible.

    ``waves`` (2, 3) are the texture's wave vectors in radians per metre.
    """

    pattern: str
    colours: Array
    nir: Array
    waves: Array
    gloss: float


@dataclass(frozen=True)
class Scene:
    """World frame: z up, metres. The camera looks along the third column of ``camera_turn``.

    ``walls``: planes (normal (3,), offset) facing the room, the floor first. ``materials`` belong to
    the walls, then to the ``objects``. ``light``: unit direction towards the lamp.
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
    """A scene whose main solid is of ``class_name``; ``clutter`` 1 is usual, 0 leaves the solid alone."""
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
    """A camera that looks about the main solid, from 1.9 to 2.8 m away, slightly rolled."""
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
    """Floor, back wall and two side walls; the back wall is turned a little."""
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
    """Small pieces round the main solid, and often one that hides a part of it."""
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
    """A piece between camera and main solid, off to one side."""
    towards = camera[:2] / np.hypot(*camera[:2])
    aside = np.array([-towards[1], towards[0]]) * rng.choice([-1, 1]) * rng.uniform(0.2, 0.5)
    place = np.append(towards * rng.uniform(0.75, 0.95) + aside, 0) * size
    return _placed(_piece(rng, 0.28), place, rng.uniform(0, np.pi), rng.uniform(0.8, 1.4))


def _piece(rng: Generator, edge: float) -> Shape:
    """A box, ball, post or tapered pot of about ``edge`` metres."""
    a, b, c = edge * rng.uniform(0.5, 1.3, 3)
    solids = (box(a, b, c), Sphere(c / 2), Frustum(a / 2, a / 2, c), Frustum(a / 2, a / 3, c))
    return [Part(solids[int(rng.integers(4))], np.array([0, 0, c / 2]))]


def _material(rng: Generator) -> Material:
    """Colours, texture and infrared reflectances, all independent of each other and of the class."""
    base = rng.uniform(0.15, 0.95, 3)
    other = np.clip(base * rng.uniform(0.75, 1.2), 0.05, 1)
    pattern = PATTERNS[int(rng.choice(4, p=[0.64, 0.12, 0.12, 0.12]))]
    waves = rng.standard_normal((2, 3)) * rng.uniform(8, 22)
    gloss = float(rng.choice([0, 0.2, 0.4]))
    return Material(pattern, np.stack([base, other]), _reflectances(rng), waves, gloss)


def _standing_out(rng: Generator, behind: list[Material]) -> Material:
    """A material whose colour is not that of the floor or the back wall."""
    while True:
        material = _material(rng)
        if all(np.abs(material.colours[0] - other.colours[0]).max() > 0.25 for other in behind):
            return material


def _wall_material(rng: Generator) -> Material:
    """Rooms are painted in muted colours, with weak patterns."""
    base = np.clip(rng.uniform(0.3, 0.85) + rng.uniform(-0.12, 0.12, 3), 0, 1)
    other = np.clip(base * rng.uniform(0.88, 1.1), 0, 1)
    pattern = PATTERNS[int(rng.choice(4, p=[0.4, 0.2, 0.2, 0.2]))]
    waves = rng.standard_normal((2, 3)) * rng.uniform(6, 16)
    return Material(pattern, np.stack([base, other]), _reflectances(rng), waves, 0.0)


def _reflectances(rng: Generator) -> Array:
    """Both near-infrared reflectances: many dyes are transparent there, so textures show weakly."""
    reflectance = rng.uniform(0.25, 0.9)
    return np.clip([reflectance, reflectance * rng.uniform(0.8, 1.2)], 0.05, 1)
