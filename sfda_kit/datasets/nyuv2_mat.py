"""The official labelled file of NYU Depth V2, ``nyu_depth_v2_labeled.mat`` (MATLAB 7.3, which is HDF5).

MATLAB stores columns first, so HDF5 shows every array with its axes reversed: ``images`` is H x W x 3 x N in
MATLAB and (N, 3, W, H) here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.decode_cache import FileReader
from sfda_kit.data.depth_units import to_millimetres
from sfda_kit.data.stored import Stored
from sfda_kit.errors import DataError, UserError

if TYPE_CHECKING:
    import h5py

FILE = "nyu_depth_v2_labeled.mat"
FULL_FRAME = (480, 640)
INSIDE = (slice(45, 471), slice(41, 601))
"""Rows and columns that hold a picture: images are rectified and white around it."""
_FRAMES = {"images": 4, "depths": 3, "rawDepths": 3, "labels": 3}
_TEXTS = ("names", "scenes", "sceneTypes")


@dataclass(frozen=True)
class LabelledFrame:
    """One frame. ``rgb``: uint8 (H, W, 3); ``depth``: uint16 (H, W) mm; ``label``: integers (H, W)."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    label: NDArray[np.integer[Any]]


@dataclass(frozen=True)
class LabelledMat:
    """The opened file. ``classes``: name of label 1, 2, ...; ``scenes``, ``scene_types``: one per frame."""

    path: Path
    file: h5py.File
    classes: tuple[str, ...]
    scenes: tuple[str, ...]
    scene_types: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of a frame's first pixel in the images of the file, which have a border around it."""
        bordered = self.file["images"].shape[:1:-1] == FULL_FRAME
        return (INSIDE[0].start, INSIDE[1].start) if bordered else (0, 0)

    def frame(self, number: int, raw: bool = False) -> LabelledFrame:
        """Return frame ``number`` (from 0), without the white border; ``raw``: depth as measured, with holes."""
        return LabelledFrame(self.rgb(number), self.depth(number, raw), self._plane("labels", number))

    def rgb(self, number: int) -> NDArray[np.uint8]:
        """Return the picture of frame ``number`` (from 0), uint8 (H, W, 3)."""
        with self._told(f"images of frame {number + 1}"):
            return np.ascontiguousarray(_inside(self.file["images"][number].transpose(2, 1, 0)))

    def depth(self, number: int, raw: bool = False) -> NDArray[np.uint16]:
        """Return the depth of frame ``number`` (from 0), uint16 (H, W) in millimetres, 0 = missing."""
        return to_millimetres(self._plane("rawDepths" if raw else "depths", number), "m")

    def _plane(self, name: str, number: int) -> NDArray[Any]:
        with self._told(f"{name} of frame {number + 1}"):
            return np.ascontiguousarray(_inside(self.file[name][number].T))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            raise DataError(f"{self.path}: {what} cannot be read ({error}). Download the file again.") from None


@contextmanager
def open_labelled(path: Path) -> Iterator[LabelledMat]:
    """Open the file and check its fields. Raises ``DataError``, and ``UserError`` where h5py is not installed."""
    h5py = _library()
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(
            f"{path} cannot be opened as a MATLAB 7.3 file ({str(error).splitlines()[0]}). Expected {FILE}, 2.8 GB, "
            "as the page of NYU Depth V2 offers it; download it again."
        ) from None
    with file:
        _check(path, file)
        classes, scenes, types = (_texts(path, file, name) for name in _TEXTS)
        count = len(file["images"])
        if len(scenes) != count or len(types) != count:
            raise DataError(f"{path} holds {count} images, {len(scenes)} scenes and {len(types)} scene types.")
        yield LabelledMat(path, file, classes, scenes, types)


def room_of(scene: str) -> str:
    """Return the video of a scene: ``furniture_store_0002b`` is a later part of ``furniture_store_0002``."""
    return re.sub(r"(?<=\d)[a-z]$", "", scene)


def _library() -> Any:
    try:
        import h5py
    except ImportError:
        raise UserError(
            f"Reading {FILE} needs the package h5py. Install it with: pip install 'sfda-kit[hdf5]'"
        ) from None
    return h5py


def _check(path: Path, file: h5py.File) -> None:
    import h5py

    missing = [name for name in (*_FRAMES, *_TEXTS) if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        found = ", ".join(sorted(name for name in file if not name.startswith("#"))) or "nothing"
        raise DataError(f"{path} lacks {', '.join(missing)}; it holds {found}. Expected the labelled file, {FILE}.")
    images = file["images"].shape
    if len(images) != 4 or images[1] != 3 or 0 in images:
        raise DataError(f"{path}: images have the shape {images}; expected (frames, 3, width, height).")
    expected = (images[0], *images[2:])
    for name, axes in _FRAMES.items():
        if axes == 3 and file[name].shape != expected:
            raise DataError(f"{path}: {name} have the shape {file[name].shape}; expected {expected}, as images have.")
    for name, kinds in (("images", "u"), ("depths", "f"), ("rawDepths", "f"), ("labels", "iu")):
        if file[name].dtype.kind not in kinds:
            raise DataError(f"{path}: {name} are stored as {file[name].dtype}, which they are not in {FILE}.")


def _texts(path: Path, file: h5py.File, name: str) -> tuple[str, ...]:
    """Return the words of a cell array, which holds references to columns of character codes."""
    import h5py

    if h5py.check_ref_dtype(file[name].dtype) is not h5py.Reference:
        raise DataError(f"{path}: {name} is no cell array of words. Expected the labelled file, {FILE}.")
    try:
        return tuple("".join(map(chr, np.asarray(file[cell]).ravel())) for cell in np.asarray(file[name]).ravel())
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: {name} cannot be read ({error}). Download the file again.") from None


def _inside(picture: NDArray[Any]) -> NDArray[Any]:
    return picture[INSIDE] if picture.shape[:2] == FULL_FRAME else picture


@dataclass(frozen=True)
class MatReader(FileReader):
    """Reads rows of ``Nyuv2`` as if each frame were a file ``<mat>/<frame>``. ``size``: bytes of the whole file."""

    size: int
    raw: bool

    def stored(self, path: Path) -> Stored:
        """Return the whole file, so that decoded pixels of a frame are dropped when the file changes."""
        return path.parent

    def __call__(self, path: Path, modality: str, unit: str) -> NDArray[Any]:
        """Return a frame's pixels as ``sfda_kit.data.decode_cache.PixelReader`` says; frames are numbered from 1."""
        del unit
        with open_labelled(path.parent) as mat:
            number = int(path.name) - 1
            if modality == "rgb":
                return mat.rgb(number)
            depth = mat.depth(number, self.raw)
        if not depth.any():
            raise DataError(f"{path} (depth) is missing (zero) in every pixel. Leave it out with --skip-bad.")
        return depth
