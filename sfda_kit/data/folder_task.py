"""The task of a practitioner: unlabelled target images, optional TI pairs, and no labels."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import InitVar, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.checked_array import checked
from sfda_kit.data.task import LEAST_IMAGES
from sfda_kit.data.unlabelled_folder import find_pairs, find_unlabelled, load_pairs
from sfda_kit.data.views import ImageView, Normalisation, PairView, TargetView, stored_size
from sfda_kit.data.walk import require_folder
from sfda_kit.errors import DataError, RenamedWarning
from sfda_kit.plugins.modalities import modality

if TYPE_CHECKING:
    import torch

    from sfda_kit.data.decode_cache import ImageFiles
    from sfda_kit.interfaces.encoding import Encoding

_ORDER_SEED = 1


@dataclass(frozen=True)
class ImageFolders:
    """The folders of the images and their modalities. Without ``ti_dir`` there are no pairs.

    ``unit``: what the files hold, as ``--unit`` says. ``source_modality`` is the modality of the source card; the
    folder of the source halves has its name (``rgb/``).
    """

    target_dir: Path | None
    ti_dir: Path | None
    target_modality: str
    unit: str = "mm"
    skip_bad: bool = False
    source_modality: str = "rgb"
    depth_unit: InitVar[str | None] = None

    def __post_init__(self, depth_unit: str | None) -> None:
        """Take ``unit`` by its older name."""
        if depth_unit is not None:
            warnings.warn("depth_unit is called unit now", RenamedWarning, stacklevel=3)
            object.__setattr__(self, "unit", depth_unit)


@dataclass(frozen=True)
class FolderTask:
    """The decoded images of ``folders``. Row i of the target is ``names[i]``; the rows are shuffled.

    ``fingerprint`` changes with any name or pixel, but not when a folder is moved or copied.
    """

    folders: ImageFolders
    names: tuple[str, ...]
    pixels: NDArray[Any]
    pair_pixels: tuple[NDArray[Any], NDArray[Any]] | None
    notices: tuple[str, ...]
    fingerprint: str

    def target(self, encoding: Encoding, size: int, normalisation: Normalisation, device: torch.device) -> TargetView:
        """Return the unlabelled images as a method sees them."""
        kind = modality(self.folders.target_modality)
        return TargetView(self.pixels, kind, encoding, size, normalisation, device)

    def pairs(
        self, encoding: Encoding, size: int, normalisation: Normalisation, device: torch.device
    ) -> PairView | None:
        """Return the TI pairs, or None without ``--ti-dir``."""
        if self.pair_pixels is None:
            return None
        kinds = (self.folders.source_modality, self.folders.target_modality)
        source, target = (
            ImageView(pixels, modality(kind), encoding, size, normalisation, device)
            for pixels, kind in zip(self.pair_pixels, kinds, strict=True)
        )
        return PairView(source, target)


def open_folders(folders: ImageFolders, image_size: int) -> FolderTask:
    """Find and decode the images. Raises ``DataError`` naming what is missing or cannot be read."""
    modality(folders.target_modality)
    unit, skip_bad = folders.unit, folders.skip_bad
    target_dir = require_folder(folders.target_dir, "--target-dir")
    found = find_unlabelled(target_dir, folders.target_modality, unit, skip_bad=skip_bad)
    files, notices = _shuffled(found[0]), found[1]
    pixels = checked(files.load(stored_size(image_size)))  # all are read for the fingerprint
    _enough(len(pixels), "--target-dir", target_dir)
    pair_pixels = None
    hashed = [pixels]
    if folders.ti_dir is not None:
        pairs = find_pairs(folders.ti_dir, folders.source_modality, folders.target_modality, unit, skip_bad)
        source_pixels, target_pixels = load_pairs(pairs, stored_size(image_size))
        pair_pixels = checked(source_pixels), checked(target_pixels)
        _enough(len(pair_pixels[0]), "--ti-dir", folders.ti_dir)
        notices += pairs.notices
        hashed += pair_pixels
    fingerprint = _fingerprint(folders, files.files, hashed)
    return FolderTask(folders, tuple(files.files), pixels, pair_pixels, notices, fingerprint)


def _shuffled(files: ImageFiles) -> ImageFiles:
    """Shuffle the rows, because subfolders are often classes and the order must not reveal them."""
    order = np.random.default_rng(_ORDER_SEED).permutation(len(files.files))
    return replace(files, files=[files.files[row] for row in order])


def _enough(count: int, option: str, folder: Path) -> None:
    if count < LEAST_IMAGES:
        raise DataError(f"{option} {folder} holds {count} image; training needs at least {LEAST_IMAGES}.")


def _fingerprint(folders: ImageFolders, names: Iterable[str], arrays: Iterable[NDArray[Any]]) -> str:
    total = hashlib.sha256(repr((folders.source_modality, folders.target_modality, list(names))).encode())
    for pixels in arrays:
        total.update(f"{pixels.dtype}{pixels.shape}".encode())
        for start in range(0, len(pixels), 256):
            total.update(np.ascontiguousarray(pixels[start : start + 256]).data)
    return total.hexdigest()[:16]
