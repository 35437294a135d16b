"""Images that a Python program hands over: tensors, arrays, torch ``Dataset``s or folders become a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfda_kit.data.checked_array import checked
from sfda_kit.data.resize import resize
from sfda_kit.data.stored_values import pixels_of, stacked
from sfda_kit.data.unlabelled_folder import find_pairs, find_unlabelled
from sfda_kit.data.unlabelled_task import Pixels, UnlabelledTask, fingerprint_of, require_enough, shuffled_order
from sfda_kit.data.views import stored_size
from sfda_kit.errors import DataError, UserError
from sfda_kit.plugins.modalities import modality

if TYPE_CHECKING:
    from sfda_kit.data.decode_cache import ImageFiles
    from sfda_kit.interfaces.modality import Modality

LABELS_UNREAD = "the items of your data set are tuples; only the images in them were read, no label"


@dataclass(frozen=True)
class ImageSeries:
    """A series of images of one modality: ``names``, ``load(side)`` that reads them, and ``notices``.

    ``side``: that of all images where all are squares of one size, else None.
    """

    names: tuple[str, ...]
    load: Callable[[int], Pixels]
    side: int | None
    notices: tuple[str, ...] = ()


def given_task(
    target: Any,
    ti_pairs: Any,
    modalities: tuple[str, str],
    unit: str,
    image_size: int,
) -> UnlabelledTask:
    """Return the task of ``target`` images and ``ti_pairs`` (None: no pairs), as ``sfda_kit.adapt`` takes them.

    ``modalities``: those of source and target. Raises ``DataError`` naming the image that cannot be used.
    """
    images = read_series(target, modalities[1], unit, "target")
    require_enough(len(images.names), "target")
    halves = () if ti_pairs is None else _halves(ti_pairs, modalities, unit)
    order = shuffled_order(len(images.names))
    names = tuple(images.names[row] for row in order)
    pixels = images.load(kept_side(images.side, image_size))[order]
    side = halves[0].side if halves and halves[0].side == halves[1].side else None
    pair_pixels = tuple(half.load(kept_side(side, image_size)) for half in halves)
    if halves:
        require_enough(len(pair_pixels[0]), "ti_pairs")
    return UnlabelledTask(
        *modalities,
        unit,
        names,
        pixels,
        pair_pixels or None,  # type: ignore[arg-type]
        fingerprint_of(modalities, names, [pixels, *pair_pixels]),
        title="images",
        origin={"target_dir": _place(target), "ti_dir": _place(ti_pairs)},
        notices=tuple(dict.fromkeys(note for series in (images, *halves) for note in series.notices)),
    )


def kept_side(side: int | None, image_size: int) -> int:
    """Return the side at which images are kept. Squares that need no resizing stay as they are."""
    usual = stored_size(image_size)
    return side if side is not None and image_size <= side <= usual else usual


def read_series(images: Any, kind: str, unit: str, what: str) -> ImageSeries:
    """Return ``images``, a folder, an array or tensor, or a ``Dataset``, as a series; ``what`` is for messages."""
    if isinstance(images, (str, Path)):
        files, notices = find_unlabelled(Path(images), kind, unit, what)
        return _of_files(files, notices)
    return _series(images, modality(kind), unit, what, _image_of)


def _of_files(files: ImageFiles, notices: tuple[str, ...]) -> ImageSeries:
    return ImageSeries(tuple(files.files), lambda side: checked(files.load(side)), None, notices)


def _halves(pairs: Any, modalities: tuple[str, str], unit: str) -> tuple[ImageSeries, ImageSeries]:
    if isinstance(pairs, (str, Path)):
        found = find_pairs(Path(pairs), *modalities, unit)
        return _of_files(found.source, found.notices), _of_files(found.target, found.notices)
    if isinstance(pairs, tuple) and len(pairs) == 2:
        source, target = (
            read_series(half, kind, unit, f"ti_pairs[{number}]")
            for number, (half, kind) in enumerate(zip(pairs, modalities, strict=True))
        )
        if len(source.names) != len(target.names):
            raise DataError(
                f"ti_pairs has {len(source.names)} source and {len(target.names)} target images. Row i of "
                "both has to show one scene."
            )
        return source, target
    source, target = (
        _series(pairs, modality(kind), unit, f"half {half} of ti_pairs", partial(_half_of, half=half))
        for half, kind in enumerate(modalities)
    )
    return source, target


def _series(images: Any, kind: Modality, unit: str, what: str, pick: Callable[[Any], Any]) -> ImageSeries:
    try:
        count, first = len(images), images[0]
    except (TypeError, KeyError, IndexError):
        raise UserError(
            f"{what} is {type(images).__name__}; expected a folder, an array or tensor of images, or a Dataset with a "
            "length and items from 0, at least one."
        ) from None
    shape = _stored(pick(first), kind, unit, f"{what}[0]").shape
    is_tensor = hasattr(images, "shape")
    side = shape[0] if is_tensor and shape[0] == shape[1] else None
    notices = (LABELS_UNREAD,) if pick is _image_of and isinstance(first, (tuple, list)) else ()

    def load(wanted: int) -> Pixels:
        return stacked(list(_resized(images, count, kind, unit, what, pick, wanted)))

    return ImageSeries(tuple(f"{row:0{len(str(count - 1))}d}" for row in range(count)), load, side, notices)


def _resized(
    images: Any, count: int, kind: Modality, unit: str, what: str, pick: Callable[[Any], Any], side: int
) -> Iterator[Pixels]:
    for row in range(count):
        pixels = _stored(pick(images[row]), kind, unit, f"{what}[{row}]")
        yield resize(pixels, side, missing_zero=kind.zero_is_missing)


def _image_of(item: Any) -> Any:
    """Return the image of an item of a ``Dataset``; what stands beside it, such as a label, is never read."""
    return item[0] if isinstance(item, (tuple, list)) else item


def _half_of(item: Any, half: int) -> Any:
    if not isinstance(item, (tuple, list)) or len(item) < 2:
        raise DataError(
            f"An item of ti_pairs is {type(item).__name__}; expected (source image, target image). Two arrays or data "
            "sets are given as a tuple of both."
        )
    return item[half]


def _stored(image: Any, kind: Modality, unit: str, where: str) -> Pixels:
    """Return the pixels of one image: a tensor (C, H, W) or (H, W), an array, which may be (H, W, C), or a picture."""
    values = image.detach().cpu().numpy() if hasattr(image, "detach") else np.asarray(image)
    if values.ndim == 3 and values.shape[0] in (1, 3) and (hasattr(image, "detach") or values.shape[-1] not in (1, 3)):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    expected = "(H, W)" if kind.channels == 1 else "(3, H, W)"
    if values.ndim != (2 if kind.channels == 1 else 3):
        raise DataError(
            f"{where} has the shape {tuple(np.shape(image))}; expected {expected} of {kind.name}. Images whose sensor "
            "values are three channels already are given as modality='rgb'."
        )
    try:
        return pixels_of(_fractions(values, kind), kind, unit)
    except DataError as error:
        raise DataError(f"{where} ({kind.name}) {error}") from None


def _fractions(values: Pixels, kind: Modality) -> Pixels:
    """Return floating-point colours in [0, 1] as 8 bits, as files have them. Raises ``DataError``."""
    if kind.channels == 1 or values.dtype.kind != "f":
        return values
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 1:
        raise DataError(
            f"holds values {low:.3g}..{high:.3g}; expected [0, 1], or whole numbers 0..255. Leave the normalisation to "
            "the kit: take Normalize out of your transforms, and give mean= and std= instead."
        )
    return np.asarray(np.rint(values * 255), np.uint8)


def _place(images: Any) -> str | None:
    return str(images) if isinstance(images, (str, Path)) else None
