"""Pixels that are made worse on purpose: holes, noise, and pairs whose halves are shifted.

They are made from the pixels that were read, after the decode-once cache, so no cache ever holds them. What becomes of
an image follows from the seed and its row in the data set, and is the same in every part. A larger severity holds what
a smaller one has: the same patches grow, the same noise is scaled, and a pair keeps its direction.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.errors import UserError
from sfda_kit.plugins.modalities import is_modality, modality
from sfda_kit.scratch import LARGE_BYTES, scratch_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfda_kit.config.stress import StressConfig
    from sfda_kit.interfaces.modality import Modality

Rows = NDArray[np.int64]
Pixels = NDArray[Any]

_HOLES, _NOISE, _SHIFT = 11, 12, 13
"""Keep the random numbers of one kind of damage apart from the others of the same image and seed."""
_PATCHES = 8
"""Random values along each side of an image, from which its patches are made: a patch is about an eighth wide."""
_MOST_NOISE = 0.25
"""The most noise that is taken, as a share of the range in which scenes lie; more was hardly meant in this unit."""


def check_stress(stress: StressConfig, sensor: str, image_size: int) -> None:
    """Raise ``UserError`` where images of ``sensor`` (``MODALITY@DOMAIN``) cannot be made worse in this way."""
    name = sensor.partition("@")[0]
    if stress.pair_shift >= image_size:
        raise UserError(
            f"dataset.stress.pair_shift is {stress.pair_shift} px and the model sees images of {image_size} px, so "
            "nothing of the scene would be left in its place. Give fewer pixels."
        )
    if not is_modality(name):
        return  # opening the data set gives the better message
    kind = modality(name)
    if stress.holes and not kind.zero_is_missing:
        raise UserError(
            f"dataset.stress.holes needs a sensor that has pixels without a reading, and every pixel of {name} is "
            "measured. Use dataset.stress.noise, or a depth target."
        )
    _check_noise(stress.noise, kind)


def _check_noise(noise: float, kind: Modality) -> None:
    low, high = kind.usual or kind.valid
    if noise > _MOST_NOISE * (high - low):
        raise UserError(
            f"dataset.stress.noise is {noise:g}, and {kind.name} lies in {low:g} to {high:g} ({kind.unit}). The noise "
            f"is a standard deviation in this unit; give at most {_MOST_NOISE * (high - low):g}."
        )


def worse_images(pixels: Pixels, rows: Rows, kind: Modality, stress: StressConfig, seed: int) -> Pixels:
    """Return target images (N, S, S) or (N, S, S, 3) with the holes and the noise of ``stress``; ``rows`` name them.

    Raises ``UserError`` where the noise is too large for what the pixels hold.
    """
    if not stress.touches_images or not len(pixels):
        return pixels
    _check_noise(stress.noise, kind.held_in(pixels.dtype))
    found = _room_for(pixels)
    for number, row in enumerate(rows.tolist()):
        image = pixels[number]
        if stress.noise:
            image = noisy(image, kind, stress.noise, np.random.default_rng([seed, _NOISE, row]))
        if stress.holes:
            missing = patches(image.shape[0], stress.holes, np.random.default_rng([seed, _HOLES, row]))
            image = np.where(missing, image.dtype.type(0), image)
        found[number] = image
    return found


def noisy(image: Pixels, kind: Modality, deviation: float, rng: np.random.Generator) -> Pixels:
    """Return an image with Gaussian noise of ``deviation`` in the unit of ``kind``, in its dtype and valid range.

    A missing pixel stays missing, and no measured pixel becomes missing.
    """
    held, divisor = kind.held_in(image.dtype), kind.divisor(image.dtype)
    values = image.astype(np.float64) / divisor + deviation * rng.standard_normal(image.shape, dtype=np.float32)
    values = values.clip(*held.valid) * divisor
    if image.dtype.kind != "f":
        values = np.rint(values)
    if kind.zero_is_missing:
        least = np.finfo(np.float32).tiny if image.dtype.kind == "f" else 1
        values = np.where(image > 0, np.maximum(values, least), 0)
    return np.asarray(values.astype(image.dtype))


def patches(size: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask (size, size) of which ``share`` is True, in patches: the lowest places of a smooth random field."""
    from PIL import Image

    coarse = rng.standard_normal((_PATCHES, _PATCHES), dtype=np.float32)
    field = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)).ravel()
    missing = np.zeros(size * size, dtype=np.bool_)
    missing[np.argsort(field, kind="stable")[: round(share * size * size)]] = True
    return missing.reshape(size, size)


def shifted_images(pixels: Pixels, rows: Rows, distance: int, seed: int) -> Pixels:
    """Return images (N, S, S, ...) that are each moved by ``distance`` pixels in a direction of its own."""
    if not distance or not len(pixels):
        return pixels
    found = _room_for(pixels)
    for number, row in enumerate(rows.tolist()):
        found[number] = moved(pixels[number], *direction(distance, np.random.default_rng([seed, _SHIFT, row])))
    return found


def direction(distance: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return whole pixels down and to the right, in a random direction, that are about ``distance`` long."""
    angle = 2 * math.pi * rng.random()
    return round(distance * math.sin(angle)), round(distance * math.cos(angle))


def moved(image: Pixels, down: int, right: int) -> Pixels:
    """Return an image (S, S, ...) moved by whole pixels; where nothing comes in, its border is repeated."""
    places = np.arange(image.shape[0])
    high, wide = (np.clip(places - by, 0, len(places) - 1) for by in (down, right))
    return image[high[:, None], wide]


def _room_for(pixels: Pixels) -> Pixels:
    """Return an array like ``pixels`` to be filled; a large one lies in a file."""
    shape: Sequence[int] = pixels.shape
    if pixels.nbytes <= LARGE_BYTES:
        return np.empty(shape, pixels.dtype)
    return np.frombuffer(scratch_memory(pixels.nbytes), pixels.dtype).reshape(shape)
