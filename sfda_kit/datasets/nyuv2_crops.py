"""Objects cut out of NYU Depth V2's labelled frames, in the ``paired-folder`` layout.

The kind of task that ADDA (Tzeng et al., CVPR 2017) used for RGB to depth: classes of objects instead of
scenes. Rules (``CropRules``) are those of the crops behind the table of real objects in ``benchmarks``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.resize import resize_to
from sfda_kit.datasets.folder_dataset import SYNTHETIC_MARK
from sfda_kit.datasets.nyuv2_mat import LabelledFrame, LabelledMat, open_labelled, room_of
from sfda_kit.datasets.twins.writing import mark, write_whole
from sfda_kit.errors import DataError, UserError

CLASSES = (
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "bookshelf",
    "counter",
    "desk",
    "dresser",
    "pillow",
    "television",
    "box",
    "night stand",
    "toilet",
    "sink",
    "lamp",
    "bathtub",
)
"""The classes of split ``nyu11``, in the order of the usual 40 classes (Gupta et al., CVPR 2013)."""
DOMAIN = "kinect1"
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class CropRules:
    """``min_side``: least width and height of an object's box in pixels; ``margin``: share of its sides added on
    each side, rounded down; ``short_side``: larger crops are scaled down to it; ``raw``: depth with holes."""

    min_side: int = 40
    margin: float = 0.1
    short_side: int = 96
    raw: bool = False

    def __post_init__(self) -> None:
        if self.min_side < 1 or self.short_side < 8 or not 0 <= self.margin <= 1:
            raise UserError(
                f"min side {self.min_side}, short side {self.short_side} and margin {self.margin}: expected at least "
                "1 and 8 pixels, and a share from 0 to 1."
            )


class Box(NamedTuple):
    """Rows and columns of a crop, and what it shows."""

    rows: slice
    columns: slice
    name: str


def make_crops(
    mat: Path,
    out: Path,
    rules: CropRules,
    mapping: Path | None = None,
    official: Path | None = None,
    part: str = "train",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write the crops of ``mat`` to ``out``; returns the number of each class.

    ``mapping``: ``classMapping40.mat``, which puts the 894 names of the file into 40 classes; without it, an
    object counts whose name is that of a class. ``official``: ``splits.mat``, to take only the frames of its
    ``part``. Raises ``DataError`` or ``UserError``; ``out`` appears whole or not at all.
    """
    counts: dict[str, int] = {}

    def write(work: Path) -> int:
        with open_labelled(mat) as opened:
            wanted = _wanted(opened, mapping)
            frames = range(len(opened)) if official is None else _official(official, part, len(opened))
            rows = list(_cut(opened, work, frames, wanted, rules, counts, progress))
        if not rows:
            raise DataError(
                f"{mat} holds no object of {', '.join(CLASSES)} of at least {rules.min_side} pixels in "
                f"{len(frames)} frames. Lower --min-side."
            )
        _write_groups(work / "groups.csv", rows)
        if (mat.parent / SYNTHETIC_MARK).is_file():
            mark(work, "object crops of NYU Depth V2")
        return len(rows)

    write_whole(out, write)
    return dict(sorted(counts.items()))


def boxes(frame: LabelledFrame, wanted: dict[int, str], rules: CropRules) -> list[Box]:
    """Crops of a frame: classes in the order of ``CLASSES``, objects of a class by their instance number."""
    found: list[tuple[int, int, Box]] = []
    for label in (int(value) for value in np.unique(frame.label) if int(value) in wanted):
        of_label = frame.label == label
        for instance in (int(value) for value in np.unique(frame.instance[of_label]) if value > 0):
            box = _box(of_label & (frame.instance == instance), wanted[label], rules)
            if box:
                found.append((CLASSES.index(wanted[label]), instance, box))
    return [box for _, _, box in sorted(found, key=lambda entry: entry[:2])]


def _box(mask: NDArray[np.bool_], name: str, rules: CropRules) -> Box | None:
    sides = []
    for axis in (1, 0):
        seen = np.flatnonzero(mask.any(axis=axis))
        start, stop = int(seen[0]), int(seen[-1]) + 1
        if stop - start < rules.min_side:
            return None
        margin = int(rules.margin * (stop - start))
        sides.append(slice(max(0, start - margin), min(mask.shape[1 - axis], stop + margin)))
    return Box(sides[0], sides[1], name)


def _cut(
    mat: LabelledMat,
    out: Path,
    frames: Collection[int],
    wanted: dict[int, str],
    rules: CropRules,
    counts: dict[str, int],
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[str, str]]:
    """Write crop after crop; yields stem and group of each."""
    for done, number in enumerate(frames, start=1):
        frame = mat.frame(number, rules.raw)
        kept = 0
        for box in boxes(frame, wanted, rules):
            depth = _scaled(frame.depth[box.rows, box.columns], rules.short_side, missing_zero=True)
            if not depth.any():  # the loaders refuse a pair in which the sensor saw nothing
                continue
            stem, folder = f"nyu{number + 1:04d}_{kept:02d}", box.name.replace(" ", "_")
            _save(out / DOMAIN / "depth" / folder / f"{stem}.png", depth)
            rgb = _scaled(frame.rgb[box.rows, box.columns], rules.short_side, missing_zero=False)
            _save(out / DOMAIN / "rgb" / folder / f"{stem}.jpg", rgb)
            counts[folder] = counts.get(folder, 0) + 1
            kept += 1
            yield stem, room_of(mat.scenes[number])
        if progress:
            progress(done, len(frames))


def _scaled(pixels: NDArray[Any], short_side: int, *, missing_zero: bool) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    if min(height, width) <= short_side:
        return np.ascontiguousarray(pixels)
    factor = short_side / min(height, width)
    return resize_to(
        np.ascontiguousarray(pixels), round(height * factor), round(width * factor), missing_zero=missing_zero
    )


def _save(path: Path, pixels: NDArray[Any]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=_JPEG_QUALITY)


def _write_groups(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([("stem", "group"), *rows])


def _wanted(mat: LabelledMat, mapping: Path | None) -> dict[int, str]:
    """Label -> class, of the labels that count."""
    names = mat.classes if mapping is None else _mapped(mapping, len(mat.classes))
    return {label: name for label, name in enumerate(names, start=1) if name in CLASSES}


def _mapped(path: Path, count: int) -> list[str]:
    """``classMapping40.mat``: ``mapClass`` gives each label a number from 1 into ``className``."""
    fields = _load(path, "mapClass", "className")
    numbers = [int(number) for number in fields["mapClass"].ravel()]
    names = [str(np.asarray(cell).ravel()[0]) for cell in fields["className"].ravel()]
    if len(numbers) != count or not all(1 <= number <= len(names) for number in numbers):
        raise DataError(f"{path} maps {len(numbers)} labels to {len(names)} classes; the labelled file has {count}.")
    return [names[number - 1] for number in numbers]


def _official(path: Path, part: str, count: int) -> list[int]:
    """Frames of ``splits.mat``, which counts from 1 in ``trainNdxs`` and ``testNdxs``."""
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
    except Exception as error:  # scipy answers damaged files with whatever it trips over
        raise DataError(f"{path} cannot be read as a MATLAB file ({error}). Download it again.") from None
    if lacking := [name for name in names if name not in fields]:
        raise DataError(f"{path} lacks {', '.join(lacking)}. Expected classMapping40.mat or splits.mat.")
    return fields
