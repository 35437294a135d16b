"""Objects cut out of NYU Depth V2's labelled frames, in the ``paired-folder`` layout.

This is the kind of task that ADDA (Tzeng et al., CVPR 2017) used for RGB to depth: classes of objects instead of
scenes. ``sfda_kit.datasets.nyuv2_squares`` says where to cut.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.resize import resize
from sfda_kit.datasets.folder_dataset import SYNTHETIC_MARK
from sfda_kit.datasets.nyuv2_mat import LabelledMat, open_labelled, room_of
from sfda_kit.datasets.nyuv2_squares import CLASSES, LEAST_FILLED, squares
from sfda_kit.datasets.twins.writing import mark
from sfda_kit.errors import DataError, UserError
from sfda_kit.files import write_whole

DOMAIN = "kinect1"
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class CropRules:
    """``min_side``: least side of a box, pixels; ``max_side``: larger crops shrink to it; ``raw``: depth with holes."""

    min_side: int = 40
    max_side: int = 128
    raw: bool = False

    def __post_init__(self) -> None:
        if self.min_side < 1 or self.max_side < 8:
            raise UserError(f"min side {self.min_side} and max side {self.max_side}: expected at least 1 and 8 pixels.")


class Crop(NamedTuple):
    """A row of ``crops.csv``: name, class, frame (from 1), and its square in the images of the labelled file."""

    stem: str
    folder: str
    frame: int
    top: int
    left: int
    side: int


def make_crops(
    mat: Path,
    out: Path,
    rules: CropRules,
    mapping: Path | None = None,
    official: Path | None = None,
    part: str = "train",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write the crops of ``mat`` to ``out``; return the number of crops of each class.

    ``mapping``: ``classMapping40.mat``, which puts the 894 names of the file into 40 classes; without it, only objects
    whose name is that of a class are used. ``official``: ``splits.mat``, to take only the frames of its ``part``.
    Raises ``DataError`` or ``UserError``; ``out`` appears whole or not at all.
    """
    crops: list[Crop] = []

    def write(work: Path) -> int:
        with open_labelled(mat) as opened:
            wanted = _wanted(opened, mapping)
            frames = range(len(opened)) if official is None else _official(official, part, len(opened))
            for done, number in enumerate(frames, start=1):
                crops.extend(_cut(opened, work, number, wanted, rules))
                if progress:
                    progress(done, len(frames))
            groups = [(crop.stem, room_of(opened.scenes[crop.frame - 1])) for crop in crops]
        if not crops:
            raise DataError(
                f"{mat} holds no object of {', '.join(CLASSES)} that is at least {rules.min_side} pixels wide and "
                f"high and covers {LEAST_FILLED:.0%} of its box, in {len(frames)} frames. Lower --min-side."
            )
        _write_table(work / "crops.csv", ("stem", "class", "frame", "top", "left", "side"), crops)
        _write_table(work / "groups.csv", ("stem", "group"), groups)
        if (mat.parent / SYNTHETIC_MARK).is_file():
            mark(work, "object crops of NYU Depth V2")
        return len(crops)

    write_whole(out, write)
    return dict(sorted(Counter(crop.folder for crop in crops).items()))


def _cut(mat: LabelledMat, out: Path, number: int, wanted: Mapping[int, str], rules: CropRules) -> Iterator[Crop]:
    """Write the crops of frame ``number`` (from 0) and yield them."""
    frame = mat.frame(number, rules.raw)
    kept = 0
    for square in squares(frame.label, wanted, rules.min_side):
        depth = _scaled(square.of(frame.depth), rules.max_side, missing_zero=True)
        if not depth.any():  # the loaders refuse a pair in which the sensor saw nothing
            continue
        stem = f"nyu{number + 1:04d}_{kept:02d}"
        _save(out / DOMAIN / "depth" / square.name / f"{stem}.png", depth)
        rgb = _scaled(square.of(frame.rgb), rules.max_side, missing_zero=False)
        _save(out / DOMAIN / "rgb" / square.name / f"{stem}.jpg", rgb)
        kept += 1
        yield Crop(stem, square.name, number + 1, mat.corner[0] + square.top, mat.corner[1] + square.left, square.side)


def _scaled(pixels: NDArray[Any], max_side: int, *, missing_zero: bool) -> NDArray[Any]:
    return resize(np.ascontiguousarray(pixels), min(len(pixels), max_side), missing_zero=missing_zero, box=True)


def _save(path: Path, pixels: NDArray[Any]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=_JPEG_QUALITY)


def _write_table(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([columns, *rows])


def _wanted(mat: LabelledMat, mapping: Path | None) -> dict[int, str]:
    """Return label -> class for the labels whose class is in ``CLASSES``. The official files misspell one class."""
    names = mat.classes if mapping is None else _mapped(mapping, len(mat.classes))
    spelt = [name.replace("refridgerator", "refrigerator").replace(" ", "_") for name in names]
    return {label: name for label, name in enumerate(spelt, start=1) if name in CLASSES}


def _mapped(path: Path, count: int) -> list[str]:
    """Return each label's class from ``classMapping40.mat``; ``mapClass`` holds places in ``className``, from 1."""
    fields = _load(path, "mapClass", "className")
    numbers = [int(number) for number in fields["mapClass"].ravel()]
    names = [str(np.asarray(cell).ravel()[0]) for cell in fields["className"].ravel()]
    if len(numbers) != count or not all(1 <= number <= len(names) for number in numbers):
        raise DataError(f"{path} maps {len(numbers)} labels to {len(names)} classes; the labelled file has {count}.")
    return [names[number - 1] for number in numbers]


def _official(path: Path, part: str, count: int) -> list[int]:
    """Return the frames of a part, counted from 0; ``splits.mat`` counts from 1 in ``trainNdxs`` and ``testNdxs``."""
    if part not in ("train", "test"):
        raise UserError(f"The official split has no part {part!r}; expected train or test.")
    numbers = [int(number) for number in _load(path, f"{part}Ndxs")[f"{part}Ndxs"].ravel()]
    if not numbers or min(numbers) < 1 or max(numbers) > count:
        raise DataError(f"{path}: {part}Ndxs names frames that the labelled file of {count} frames does not have.")
    return [number - 1 for number in sorted(numbers)]


def _load(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    from scipy.io import loadmat

    try:
        fields: dict[str, NDArray[Any]] = loadmat(path)
    except Exception as error:  # damaged files make scipy raise many kinds of errors
        raise DataError(f"{path} cannot be read as a MATLAB file ({error}). Download it again.") from None
    if lacking := [name for name in names if name not in fields]:
        raise DataError(f"{path} lacks {', '.join(lacking)}. Expected classMapping40.mat or splits.mat.")
    return fields
