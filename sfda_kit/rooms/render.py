"""Ray casting of a scene into what a sensor needs: true depth, normals and shaded light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfda_kit.rooms.scene import Material, Scene
from sfda_kit.rooms.sensors import HEIGHT, WIDTH, RoomsSensor, expose_nir, expose_rgb, measure_depth, rays
from sfda_kit.rooms.shapes import Part
from sfda_kit.rooms.solids import Array, dot, rotate, unit

SHADOW = np.float32(0.65)
"""The share of the light of the lamp that a shadow removes. The rest models soft edges and indirect light."""


@dataclass(frozen=True)
class Hits:
    """The first surface that each of N = HEIGHT * WIDTH pixels sees: ``depth`` (N,) in metres along the optical axis,
    world ``points`` and ``normals`` (3, N), material index ``surface`` (N,), unit vector ``towards`` the camera (3, N).
    """

    depth: Array
    points: Array
    normals: Array
    surface: NDArray[np.intp]
    towards: Array


def render(scene: Scene, sensor: RoomsSensor, modality: str, rng: np.random.Generator) -> NDArray[np.generic]:
    """Render one image: rgb uint8 (H, W, 3), depth uint16 (H, W) in mm, or nir uint8 (H, W)."""
    hits = cast(scene, sensor)
    if modality == "depth":
        facing = np.abs(dot(hits.normals, hits.towards))
        return measure_depth(sensor, hits.depth.reshape(HEIGHT, WIDTH), facing.reshape(HEIGHT, WIDTH), rng)
    if modality == "nir":
        return expose_nir(sensor, _active_light(scene, hits).reshape(HEIGHT, WIDTH), rng)
    return expose_rgb(sensor, _room_light(scene, hits).T.reshape(HEIGHT, WIDTH, 3), rng)


def cast(scene: Scene, sensor: RoomsSensor) -> Hits:
    """Cast primary rays through the centres of all pixels."""
    origin = scene.camera.astype(np.float32)[:, None]
    direction = rotate(scene.camera_turn.astype(np.float32), rays(sensor))
    depth, normals, surface = _room(scene, origin, direction)
    for index, shape in enumerate(scene.objects, start=len(scene.walls)):
        for part in shape:
            rows, t, normal = hit_part(part, origin, direction)
            nearer = t < depth[rows]
            rows = rows[nearer]
            depth[rows], surface[rows], normals[:, rows] = t[nearer], index, normal[:, nearer]
    return Hits(depth, origin + depth * direction, normals, surface, -unit(direction))


def hit_part(part: Part, origin: Array, direction: Array) -> tuple[NDArray[np.intp], Array, Array]:
    """Return the rows of rays that meet the bounding ball of ``part``, with distance (M,) and normal (3, M)."""
    place, turn = part.place.astype(np.float32)[:, None], part.turn.astype(np.float32)
    offset = place - origin
    along = dot(offset, direction)
    square = dot(direction, direction)
    reach = np.float32((part.solid.radius * part.scale) ** 2)
    rows = np.flatnonzero((dot(offset, offset) * square - along * along < reach * square) & (along > 0))
    scale = np.float32(part.scale)
    start = offset if offset.shape[1] == 1 else offset[:, rows]
    local_origin = rotate(turn.T, -start) / scale
    local_direction = rotate(turn.T, direction[:, rows]) / scale
    t, normal = part.solid.first_hit(local_origin, local_direction)
    return rows, t, rotate(turn, normal)


def _room(scene: Scene, origin: Array, direction: Array) -> tuple[Array, Array, NDArray[np.intp]]:
    count = direction.shape[1]
    depth = np.full(count, np.inf, dtype=np.float32)
    normals, surface = np.zeros((3, count), dtype=np.float32), np.zeros(count, dtype=np.intp)
    for index, (normal, offset) in enumerate(scene.walls):
        face = normal.astype(np.float32)
        speed = dot(face, direction)
        gap = np.float32(offset) - dot(face, origin)
        t = np.where(speed < -1e-6, gap / np.minimum(speed, -1e-6), np.inf)
        nearer = t < depth
        depth[nearer], surface[nearer] = t[nearer], index
        normals[:, nearer] = face[:, None]
    return depth, normals, surface


def _room_light(scene: Scene, hits: Hits) -> Array:
    """Return radiance (3, N) from ambient light, a lamp with cast shadows, and a highlight."""
    light = scene.light.astype(np.float32)
    facing = np.maximum(dot(light, hits.normals), 0)
    lit = np.flatnonzero(facing > 0)
    facing[lit] *= 1 - SHADOW * _in_shadow(scene, hits, lit, light)
    colour, gloss = _surface_colour(scene, hits)
    halfway = unit(light[:, None] + hits.towards)
    shine = gloss * np.maximum(dot(halfway, hits.normals), 0) ** 24 * (facing > 0)
    # The upper side of things gets more ambient light than the lower side.
    ambient = (0.75 + 0.25 * hits.normals[2]) * scene.ambient[:, None]
    radiance: Array = colour * (ambient + facing * scene.lamp[:, None]) + shine
    return radiance.astype(np.float32)


def _in_shadow(scene: Scene, hits: Hits, lit: NDArray[np.intp], light: Array) -> Array:
    shade = np.zeros(lit.size, dtype=np.float32)
    origin = hits.points[:, lit] + 2e-3 * hits.normals[:, lit]
    direction = np.repeat(light[:, None], lit.size, axis=1)
    for shape in scene.objects:
        for part in shape:
            rows, t, _ = hit_part(part, origin, direction)
            shade[rows[np.isfinite(t)]] = 1
    return shade


def _active_light(scene: Scene, hits: Hits) -> Array:
    """Return the light (N,) of an emitter beside the lens. It falls with the square of the distance."""
    away = hits.points - scene.camera.astype(np.float32)[:, None]
    facing = np.abs(dot(hits.normals, hits.towards))
    reflectance = np.zeros(hits.depth.shape, dtype=np.float32)
    for index, material in enumerate(scene.materials):
        rows = np.flatnonzero(hits.surface == index)
        mix = texture(material, hits.points[:, rows])
        reflectance[rows] = material.nir[0] + (material.nir[1] - material.nir[0]) * mix
    light: Array = reflectance * facing / dot(away, away)
    return light


def _surface_colour(scene: Scene, hits: Hits) -> tuple[Array, Array]:
    colour = np.zeros(hits.points.shape, dtype=np.float32)
    gloss = np.zeros(hits.depth.shape, dtype=np.float32)
    for index, material in enumerate(scene.materials):
        rows = np.flatnonzero(hits.surface == index)
        mix = texture(material, hits.points[:, rows])
        first, second = material.colours.astype(np.float32)[:, :, None]
        colour[:, rows] = first + (second - first) * mix
        gloss[rows] = material.gloss
    return colour, gloss


def texture(material: Material, points: Array) -> Array:
    """Return the share (N,) of the second colour at world points (3, N), 0..1."""
    first, second = (dot(wave, points) for wave in material.waves.astype(np.float32))
    if material.pattern == "stripes":
        return np.clip(0.5 + 3 * np.sin(first), 0, 1)
    if material.pattern == "checker":
        return np.clip(0.5 + 3 * np.sin(first) * np.sin(second), 0, 1)
    if material.pattern == "marble":
        marble: Array = 0.5 + 0.5 * np.sin(0.6 * first + 2 * np.sin(0.4 * second))
        return marble
    return np.zeros_like(first)
