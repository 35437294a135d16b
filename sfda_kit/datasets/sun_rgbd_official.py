"""The official train and test lists of SUN RGB-D (``allsplit.mat``) as parts of a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.group_split import split_around_test
from sfda_kit.datasets.sun_rgbd_frames import SunRgbdFrame
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig

ALLSPLIT = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"


def official_parts(
    root: Path, frames: Sequence[SunRgbdFrame], groups: Sequence[str], config: DatasetConfig
) -> tuple[list[int], list[str], tuple[str, ...]]:
    """Make test frames target-test; split train frames by group into the other parts, per sensor and class.

    Returns parts, groups (cut where the official lists cut them) and notices. Raises ``DataError`` when the file is
    missing or lists none of the frames as test.
    """
    path = _find(root)
    train, test = _lists(path)
    is_test = np.array([frame.path in test for frame in frames])
    if not is_test.any():
        raise DataError(f"{path} lists none of the {len(frames)} frames under {root} as test. Is it of another set?")
    unlisted = sum(frame.path not in train and frame.path not in test for frame in frames)
    strata = [f"{frame.sensor} {frame.scene}" for frame in frames]
    parts, cut = split_around_test(strata, groups, is_test, config.split_seed, config.shares)
    notices = (f"{path} does not list {unlisted} frames; they count as train.",) if unlisted else ()
    return parts, cut, notices


def _find(root: Path) -> Path:
    for folder in (root.parent, root):
        if (folder / ALLSPLIT).is_file():
            return folder / ALLSPLIT
    raise DataError(
        f"{root.parent / ALLSPLIT} is missing: parts=allsplit needs it. Unpack SUNRGBDtoolbox.zip beside "
        "SUNRGBD, or leave the option out."
    )


def _lists(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=["alltrain", "alltest"])
        return _paths(found["alltrain"]), _paths(found["alltest"])
    except Exception as error:
        # Broken bytes make scipy raise many kinds of errors.
        raise DataError(
            f"{path} cannot be read as MATLAB cells alltrain and alltest ({type(error).__name__}: {error}). "
            "Unpack SUNRGBDtoolbox.zip again."
        ) from None


def _paths(cells: NDArray[Any]) -> frozenset[str]:
    """Return the paths below SUNRGBD; the folders before it are of the authors' machine. No path is ever opened."""
    texts = (str(np.asarray(cell).ravel()[0]) for cell in cells.ravel())
    return frozenset(text.rpartition("SUNRGBD/")[2].strip("/") for text in texts)
