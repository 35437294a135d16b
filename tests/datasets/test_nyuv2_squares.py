"""Which objects of a frame become crops, and where: by hand, and the real crops against their own table."""

from __future__ import annotations

import csv
from itertools import combinations, permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from sfda_kit.data.resize import resize
from sfda_kit.datasets.nyuv2_mat import INSIDE
from sfda_kit.datasets.nyuv2_squares import CLASSES, LEAST_FILLED, MOST_RELEVANT, RELEVANT, SCALE, Square, squares
from sfda_kit.datasets.paired_folder import NYU11, NYU11_TI21

pytestmark = pytest.mark.slow

NAMES = {2: "chair", 3: "night_stand", 4: "picture", 5: "door"}
CHAIR, PICTURE = 2, 4


def labelled(*objects: tuple[int, slice, slice]) -> np.ndarray:
    """A wall with rectangles, as large as a frame without its border: label, rows, columns."""
    label = np.ones((426, 560), np.uint16)
    for number, rows, columns in objects:
        label[rows, columns] = number
    return label


def found(*objects: tuple[int, slice, slice], min_side: int = 40) -> list[Square]:
    return squares(labelled(*objects), NAMES, min_side)


def test_classes_are_those_of_the_splits():
    assert set(CLASSES) == {*NYU11_TI21.tr_classes, *NYU11_TI21.ti_classes} and len(set(CLASSES)) == len(CLASSES) == 32
    assert NYU11_TI21.tr_classes == NYU11.tr_classes and set(NYU11.ti_classes) < set(NYU11_TI21.ti_classes)


def test_a_square_is_larger_than_its_object_by_a_tenth_and_has_the_same_centre():
    assert found((CHAIR, slice(100, 150), slice(200, 240))) == [Square(97, 192, 55, "chair")]
    picture = np.arange(426 * 560).reshape(426, 560)
    (square,) = found((CHAIR, slice(100, 150), slice(200, 240)))
    np.testing.assert_array_equal(square.of(picture), picture[97:152, 192:247])


@pytest.mark.parametrize(("longer", "side"), [(44, 48), (46, 51), (75, 82), (200, 220)])
def test_sides_are_rounded_to_whole_pixels(longer, side):
    """48.4, 50.6, 82.5 (a half goes to the even number, as Python rounds) and 220."""
    assert found((CHAIR, slice(100, 144), slice(100, 100 + longer)))[0].side == side


@pytest.mark.parametrize(("rows", "columns"), [(39, 100), (100, 39)])
def test_both_sides_of_an_object_count(rows, columns):
    one = (CHAIR, slice(100, 100 + rows), slice(100, 100 + columns))
    assert found(one) == []
    assert len(found(one, min_side=39)) == 1


@pytest.mark.parametrize(
    ("rows", "columns", "square"),
    [
        (slice(0, 60), slice(0, 41), (0, 0, 66)),
        (slice(366, 426), slice(519, 560), (360, 494, 66)),
        (slice(10, 400), slice(5, 555), (0, 67, 426)),  # 1.1 times 550 is more than the frame is high
    ],
)
def test_squares_are_shifted_into_the_frame(rows, columns, square):
    assert found((CHAIR, rows, columns)) == [Square(*square, "chair")]


@pytest.mark.parametrize(("width", "kept"), [(20, 1), (19, 0)])
def test_an_object_fills_at_least_35_percent_of_its_box(width, kept):
    """An L of two bars, 100 pixels long: 36.0 or 34.4 %."""
    bars = (CHAIR, slice(100, 200), slice(100, 100 + width)), (CHAIR, slice(200 - width, 200), slice(100, 200))
    assert len(found(*bars)) == kept


@pytest.mark.parametrize(("width", "expected"), [(2, 2), (3, 1)])
def test_opening_cuts_thin_bridges(width, expected):
    blocks = (CHAIR, slice(100, 150), slice(100, 150)), (CHAIR, slice(100, 150), slice(170, 220))
    assert len(found(*blocks, (CHAIR, slice(120, 120 + width), slice(150, 170)))) == expected


def test_opening_cuts_tails_and_removes_lines():
    """One pixel of a tail stays: a cross fits there."""
    tailed = (CHAIR, slice(100, 150), slice(100, 150)), (CHAIR, slice(120, 122), slice(150, 300))
    assert found(*tailed) == found((CHAIR, slice(100, 150), slice(100, 151)))
    assert found((CHAIR, slice(100, 102), slice(100, 200)), min_side=1) == []


@pytest.mark.parametrize(("extra", "kept"), [(0, ["picture"]), (1, [])])
def test_pairs_in_whose_square_relevant_objects_fill_more_than_2_percent_are_left_out(extra, kept):
    """The square has 110 x 110 pixels, of which 242 are 2 %: here 11 x 22, and one more."""
    around = (PICTURE, slice(100, 200), slice(100, 200))
    relevant = (CHAIR, slice(150, 161), slice(150, 172)), (CHAIR, slice(161, 162), slice(150, 150 + extra))
    assert [one.name for one in found(around, *relevant)] == kept


def test_relevant_crops_may_show_anything():
    around, inside = (CHAIR, slice(100, 200), slice(100, 200)), (3, slice(130, 170), slice(130, 170))
    assert [one.name for one in found(around, inside)] == ["chair", "night_stand"]


def test_pairs_may_show_each_other():
    beside = (5, slice(100, 200), slice(200, 300))
    assert [one.name for one in found((PICTURE, slice(100, 200), slice(100, 200)), beside)] == ["door", "picture"]


def test_order_is_that_of_the_usual_classes_then_from_top_to_bottom():
    names = [
        (one.name, one.top)
        for one in found(
            (4, slice(0, 50), slice(0, 50)),
            (3, slice(0, 50), slice(300, 350)),
            (2, slice(200, 250), slice(100, 150)),
            (2, slice(100, 150), slice(400, 450)),
            (9, slice(300, 400), slice(300, 400)),  # of no class that counts
        )
    ]
    assert names == [("chair", 97), ("chair", 197), ("picture", 0), ("night_stand", 0)]


class Crop(NamedTuple):
    """A row of ``crops.csv``."""

    stem: str
    name: str
    frame: int
    top: int
    left: int
    side: int

    def overlap(self, other: Crop) -> tuple[slice, slice]:
        """Rows and columns, counted from this crop's corner, of what both show."""
        return self._span(other, "top"), self._span(other, "left")

    def _span(self, other: Crop, edge: str) -> slice:
        mine, its = getattr(self, edge), getattr(other, edge)
        return slice(max(its - mine, 0), max(min(its + other.side - mine, self.side), 0))

    def holds(self, other: Crop) -> bool:
        rows, columns = self.overlap(other)
        return rows.stop - rows.start == columns.stop - columns.start == other.side


@pytest.fixture(scope="module")
def real(real_pictures) -> Path:
    root = real_pictures / "nyuv2-objects"
    if not root.is_dir():
        pytest.skip("SFDA_KIT_NYU_DIR holds no nyuv2-objects")
    return root


@pytest.fixture(scope="module")
def frames(real) -> dict[int, list[Crop]]:
    """Crops of each frame, in the order of ``crops.csv``."""
    with (real / "crops.csv").open(newline="") as table:
        rows = list(csv.reader(table))
    assert rows[0] == ["stem", "class", "frame", "top", "left", "side"]
    crops = [Crop(stem, name, *map(int, numbers)) for stem, name, *numbers in rows[1:]]
    assert [crop.stem for crop in crops] == sorted({crop.stem for crop in crops})
    by_frame: dict[int, list[Crop]] = {}
    for crop in crops:
        by_frame.setdefault(crop.frame, []).append(crop)
    return by_frame


@pytest.fixture(scope="module")
def depths(real, frames) -> dict[str, np.ndarray]:
    """Depth of each crop, int32 millimetres."""
    read: dict[str, np.ndarray] = {}
    for crop in (crop for crops in frames.values() for crop in crops):
        with Image.open(real / "kinect1" / "depth" / crop.name / f"{crop.stem}.png") as half:
            assert half.mode.startswith("I")
            read[crop.stem] = np.asarray(half).astype(np.int32)
    return read


def test_real_crops_are_numbered_and_ordered_like_these(frames):
    assert {crop.name for crops in frames.values() for crop in crops} == set(CLASSES)
    for frame, crops in frames.items():
        assert 1 <= frame <= 1449
        assert [crop.stem for crop in crops] == [f"nyu{frame:04d}_{place:02d}" for place in range(len(crops))]
        order = [CLASSES.index(crop.name) for crop in crops]
        assert order == sorted(order)


def test_real_crops_are_squares_of_these_sides_within_the_frame(real, frames, depths):
    longest = INSIDE[1].stop - INSIDE[1].start
    height = INSIDE[0].stop - INSIDE[0].start
    sides = {min(round(SCALE * longer), height) for longer in range(40, longest + 1)}
    assert len(sides) < height - 44 + 1  # so some sides cannot be
    for crop in (crop for crops in frames.values() for crop in crops):
        assert crop.side in sides
        for start, inside in zip((crop.top, crop.left), INSIDE, strict=True):
            assert inside.start <= start and start + crop.side <= inside.stop
        size = (min(crop.side, 128),) * 2
        assert depths[crop.stem].shape == size
        with Image.open(real / "kinect1" / "rgb" / crop.name / f"{crop.stem}.jpg") as half:
            assert half.size == size and half.mode == "RGB"


def test_real_crops_have_no_other_files_and_one_group_a_frame(real, frames):
    expected = sorted(f"{crop.name}/{crop.stem}" for crops in frames.values() for crop in crops)
    for modality in ("rgb", "depth"):
        folder = real / "kinect1" / modality
        files = [str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*") if path.is_file()]
        assert sorted(files) == expected
    with (real / "groups.csv").open(newline="") as table:
        groups = {row["stem"]: row["group"] for row in csv.DictReader(table)}
    assert list(groups) == [crop.stem for crops in frames.values() for crop in crops]
    for crops in frames.values():
        assert len({groups[crop.stem] for crop in crops}) == 1


def test_real_crops_of_one_frame_show_the_same_pixels_where_they_overlap(frames, depths):
    """So ``top``, ``left`` and ``side`` of the table are those of the pictures."""
    overlapping = 0
    for crops in frames.values():
        for one, other in combinations([crop for crop in crops if crop.side <= 128], 2):
            mine, its = depths[one.stem][one.overlap(other)], depths[other.stem][other.overlap(one)]
            np.testing.assert_array_equal(mine, its)
            overlapping += mine.size > 0
    assert overlapping > 200


def test_large_real_crops_are_means_of_the_pixels_under_them(frames, depths):
    """A small crop tells pixels before scaling. The real ones were clipped to 8,191 mm after it."""
    compared = exact = 0
    for large, small in (pair for crops in frames.values() for pair in permutations(crops, 2)):
        shown = depths[small.stem][small.overlap(large)]
        if not large.side > 128 >= small.side or not shown.size:
            continue
        frame = np.zeros((large.side, large.side), np.uint16)
        frame[large.overlap(small)] = shown
        known = ((frame > 0) & (frame < 8191)).astype(np.float32)
        whole = np.asarray(Image.fromarray(known).resize((128, 128), Image.Resampling.BOX)) == 1
        scaled = resize(frame, 128, missing_zero=True, box=True)
        difference = scaled[whole] - depths[large.stem][whole]
        compared += difference.size
        exact += np.count_nonzero(difference == 0)
        assert abs(difference).max(initial=0) <= 1
    assert compared > 1_000_000 and exact > 0.9 * compared


def test_objects_of_one_class_may_lie_from_top_to_bottom(frames):
    """An object begins within its square: at most half its longer side above the centre, at least 20 pixels above."""
    several = 0
    for crops in frames.values():
        for name in {crop.name for crop in crops}:
            same = [crop for crop in crops if crop.name == name]
            several += len(same) > 1
            begun = 0.0
            for crop in same:
                begun = max(begun, crop.top)
                assert begun <= _last_first_row(crop)
    assert several > 600


def _last_first_row(crop: Crop) -> float:
    """The last row in which an object of at least 40 rows in this square can begin."""
    bottom = INSIDE[0].stop
    if crop.top + crop.side == bottom:  # shifted up, perhaps
        return bottom - 40
    return crop.top + crop.side / 2 + 1 - 20


def test_no_real_pair_holds_so_large_a_relevant_object(frames):
    """A relevant crop wholly within a pair's square shows at least 40 pixels times 35 % of its longer side."""
    relevant = 0
    for holder, held in (pair for crops in frames.values() for pair in permutations(crops, 2)):
        if held.name not in RELEVANT or not holder.holds(held):
            continue
        longer = int((held.side - 0.5) / SCALE)
        if LEAST_FILLED * 40 * longer > MOST_RELEVANT * holder.side**2:
            assert holder.name in RELEVANT, f"{holder.stem} holds {held.stem}"
            relevant += 1
    assert relevant > 50
