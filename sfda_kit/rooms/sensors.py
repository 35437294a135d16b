"""The four synthetic sensors: field of view, image tone and depth errors.

They are named after the sensors of SUN RGB-D, which they imitate loosely. No parameter was fitted to recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfda_kit.rooms.solids import Array

WIDTH, HEIGHT = 128, 96
"""The native image size in pixels, the same for all sensors."""

Generator = np.random.Generator


@dataclass(frozen=True)
class RoomsSensor:
    """The parameters of one sensor. Lengths are in metres; ``field_of_view`` is horizontal, in degrees.

    Depth noise has standard deviation ``noise + noise_growth * z**2``. Depth is rounded to steps of ``step * z**2``, at
    least 1 mm. ``baseline`` removes background depth beside near objects (its sign is the side). ``dropout`` is the
    chance of a hole at a depth edge or on a grazing surface. ``blotches`` sets the size of smooth random patches
    without depth. ``flying`` is the share of edge pixels whose depth mixes both sides.
    """

    field_of_view: float
    depth_range: tuple[float, float]
    noise: float
    noise_growth: float
    step: float
    baseline: float
    dropout: float
    blotches: float
    flying: float
    corner: float
    tone: tuple[float, float, float]
    gamma: float
    blur: float
    grain: float
    nir_power: float


SENSORS = {
    "kv1": RoomsSensor(57, (0.5, 7.0), 0.004, 0.0050, 0.0060, 0.075, 0.3, 0.06, 0.0, 0.0,
                  (1.05, 1.0, 0.92), 0.9, 0.5, 0.015, 6.5),
    "kv2": RoomsSensor(70, (0.5, 8.0), 0.006, 0.0020, 0.0, 0.0, 0.3, 0.0, 0.8, 1.25,
                  (1.0, 1.0, 1.0), 0.8, 0.2, 0.008, 6.5),
    "realsense": RoomsSensor(59, (0.6, 5.5), 0.008, 0.0090, 0.001, -0.06, 0.6, 0.16, 0.0, 0.0,
                        (0.93, 1.0, 1.08), 0.95, 0.3, 0.02, 5.5),
    "xtion": RoomsSensor(58, (0.6, 6.5), 0.004, 0.0060, 0.0070, -0.075, 0.35, 0.08, 0.0, 0.0,
                    (0.95, 1.02, 0.95), 1.1, 0.7, 0.015, 6.0),
}  # fmt: skip


def rays(sensor: RoomsSensor) -> Array:
    """Return ray directions (3, HEIGHT * WIDTH) in the camera frame: x right, y down, z forward and equal to 1."""
    half = np.tan(np.radians(sensor.field_of_view) / 2)
    u = ((np.arange(WIDTH) + 0.5) / WIDTH * 2 - 1) * half
    v = ((np.arange(HEIGHT) + 0.5) / HEIGHT * 2 - 1) * half * HEIGHT / WIDTH
    x, y = np.meshgrid(u, v)
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)]).astype(np.float32)


def expose_rgb(sensor: RoomsSensor, radiance: Array, rng: Generator) -> NDArray[np.uint8]:
    """Make an 8-bit image (H, W, 3) from linear radiance (H, W, 3) of about 0..1."""
    toned = np.clip(radiance * np.array(sensor.tone, dtype=np.float32), 0, 1) ** sensor.gamma
    return _to_bytes(_blurred(toned, sensor.blur), sensor.grain, rng)


def expose_nir(sensor: RoomsSensor, irradiance: Array, rng: Generator) -> NDArray[np.uint8]:
    """Make an 8-bit image (H, W) from reflected active light (H, W) that already falls with distance."""
    lit = 1 - np.exp(-sensor.nir_power * irradiance)
    return _to_bytes(_blurred(lit, sensor.blur), sensor.grain, rng)


def measure_depth(sensor: RoomsSensor, depth: Array, facing: Array, rng: Generator) -> NDArray[np.uint16]:
    """Return millimetres (H, W), 0 = missing, from depth in metres and the cosine between ray and surface normal."""
    edge = depth_edges(depth)
    seen = _mixed_at_edges(depth, edge, sensor.flying, rng)
    noise = rng.standard_normal(depth.shape, dtype=np.float32)
    seen = seen + noise * (sensor.noise + sensor.noise_growth * depth**2)
    step = np.maximum(sensor.step * depth**2, 0.001)
    seen = np.round(seen / step) * step
    low, high = sensor.depth_range
    missing = (seen < low) | (seen > high) | _holes(sensor, depth, edge, facing, rng)
    return np.where(missing, 0, np.round(seen * 1000)).astype(np.uint16)


def depth_edges(depth: Array) -> NDArray[np.bool_]:
    """Return which pixels differ in depth from a neighbour by more than 6 % (a jump, not a slope), bool (H, W)."""
    edge = np.zeros(depth.shape, dtype=bool)
    for axis in (0, 1):
        jump = np.abs(np.diff(depth, axis=axis)) > 0.06 * np.take(depth, range(depth.shape[axis] - 1), axis)
        before = [(0, 0), (0, 0)]
        before[axis] = (1, 0)
        after = [(0, 0), (0, 0)]
        after[axis] = (0, 1)
        edge |= np.pad(jump, before) | np.pad(jump, after)
    return edge


def _holes(
    sensor: RoomsSensor, depth: Array, edge: NDArray[np.bool_], facing: Array, rng: Generator
) -> NDArray[np.bool_]:
    chance = rng.random(depth.shape, dtype=np.float32)
    holes = (edge & (chance < sensor.dropout)) | (facing < 0.25 * chance * sensor.dropout)
    holes |= _parallax_shadow(sensor, depth)
    holes |= _patches(rng) < sensor.blotches * np.minimum(depth / 3, 1.5)
    if sensor.corner:
        y, x = np.ogrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
        holes |= np.hypot(x, y) > sensor.corner
    return holes


def _patches(rng: Generator) -> Array:
    """Return a smooth random field (H, W) in 0..1 with features of about 8 pixels."""
    coarse = rng.random((HEIGHT // 8 + 1, WIDTH // 8 + 1), dtype=np.float32)
    for axis in (0, 1):
        place = np.arange((coarse.shape[axis] - 1) * 8) / 8
        whole = place.astype(np.intp)
        share = (place - whole).astype(np.float32)
        share = share[:, None] if axis == 0 else share
        coarse = coarse.take(whole, axis) * (1 - share) + coarse.take(whole + 1, axis) * share
    return coarse


def _parallax_shadow(sensor: RoomsSensor, depth: Array) -> NDArray[np.bool_]:
    """Return where the projector, at ``baseline`` beside the camera, cannot light the background, bool (H, W)."""
    shadow = np.zeros(depth.shape, dtype=bool)
    if not sensor.baseline:
        return shadow
    focal = WIDTH / 2 / np.tan(np.radians(sensor.field_of_view) / 2)
    disparity = focal * abs(sensor.baseline) / depth
    if sensor.baseline < 0:
        disparity, shadow = disparity[:, ::-1], shadow[:, ::-1]
    for shift in range(1, 8):
        shadow[:, :-shift] |= disparity[:, shift:] - disparity[:, :-shift] > shift - 0.5
    return shadow[:, ::-1] if sensor.baseline < 0 else shadow


def _mixed_at_edges(depth: Array, edge: NDArray[np.bool_], share: float, rng: Generator) -> Array:
    if not share:
        return depth
    mixed = edge & (rng.random(depth.shape, dtype=np.float32) < share)
    weight = rng.random(depth.shape, dtype=np.float32)
    return np.where(mixed, weight * depth + (1 - weight) * np.roll(depth, 1, axis=1), depth)


def _blurred(picture: Array, amount: float) -> Array:
    """Apply a separable three-tap blur. ``amount`` in 0..1 sets the weight of the neighbours."""
    side = amount / 3
    for axis in (0, 1):
        padded = np.concatenate([picture.take([0], axis), picture, picture.take([picture.shape[axis] - 1], axis)], axis)
        size = picture.shape[axis]
        ahead, behind = padded.take(range(2, size + 2), axis), padded.take(range(size), axis)
        picture = (1 - 2 * side) * picture + side * (ahead + behind)
    return picture


def _to_bytes(picture: Array, grain: float, rng: Generator) -> NDArray[np.uint8]:
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * grain
    return np.clip(np.round((picture + noise) * 255), 0, 255).astype(np.uint8)
