"""Folders of unlabelled target images and of TI pairs become a task."""

from __future__ import annotations

import re
import warnings
from dataclasses import InitVar, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.data.checked_array import checked
from sfda_kit.data.unlabelled_folder import find_pairs, find_unlabelled, load_pairs
from sfda_kit.data.unlabelled_task import UnlabelledTask, fingerprint_of, require_enough, shuffled_order
from sfda_kit.data.views import stored_size
from sfda_kit.data.walk import require_folder
from sfda_kit.errors import RenamedWarning
from sfda_kit.plugins.modalities import modality

if TYPE_CHECKING:
    from sfda_kit.data.decode_cache import ImageFiles


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


def open_folders(folders: ImageFolders, image_size: int) -> UnlabelledTask:
    """Find and decode the images. Raises ``DataError`` naming what is missing or cannot be read."""
    modality(folders.target_modality)
    unit, skip_bad = folders.unit, folders.skip_bad
    target_dir = require_folder(folders.target_dir, "--target-dir")
    found = find_unlabelled(target_dir, folders.target_modality, unit, skip_bad=skip_bad)
    files, notices = _shuffled(found[0]), found[1]
    pixels = checked(files.load(stored_size(image_size)))  # all are read for the fingerprint
    require_enough(len(pixels), f"--target-dir {target_dir}")
    pair_pixels = None
    hashed = [pixels]
    if folders.ti_dir is not None:
        pairs = find_pairs(folders.ti_dir, folders.source_modality, folders.target_modality, unit, skip_bad)
        source_pixels, target_pixels = load_pairs(pairs, stored_size(image_size))
        pair_pixels = checked(source_pixels), checked(target_pixels)
        require_enough(len(pair_pixels[0]), f"--ti-dir {folders.ti_dir}")
        notices += pairs.notices
        hashed += pair_pixels
    modalities = (folders.source_modality, folders.target_modality)
    return UnlabelledTask(
        *modalities,
        unit,
        tuple(files.files),
        pixels,
        pair_pixels,
        fingerprint_of(modalities, files.files, hashed),
        title=re.sub(r"[^A-Za-z0-9_]+", "_", target_dir.absolute().name),
        origin={
            "target_dir": str(folders.target_dir),
            "ti_dir": folders.ti_dir and str(folders.ti_dir),
        },
        notices=notices,
    )


def _shuffled(files: ImageFiles) -> ImageFiles:
    """Shuffle the rows, because subfolders are often classes and the order must not reveal them."""
    return replace(files, files=[files.files[row] for row in shuffled_order(len(files.files))])
