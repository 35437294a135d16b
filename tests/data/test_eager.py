"""The batched augmentation against torchvision one image at a time: the same pixels, the same distribution."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare, ks_2samp, kstest
from torch import Tensor
from torchvision.transforms import v2

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.data.augment import RESIZED_CROP_SCALE, Geometry, WholePixels, color_jitter, crop_flip, resized_crop
from sfda_kit.data.eager import Boxes, crop_flip_boxes, resized_boxes
from sfda_kit.data.views import ImageView, Normalisation
from sfda_kit.plugins.modalities import modality

from ..conftest import last_json

pytestmark = pytest.mark.slow

LEAST = 1e-4
"""Seeds are fixed, so a p-value changes with torch's generator alone; this low one then fails once in 10,000 times."""
KINDS = ("crop-flip", "strong", "eager-crop-flip", "eager-strong")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def view(kind: str, pixels: np.ndarray, size: int, normalisation: Normalisation | None = None) -> ImageView:
    return ImageView(pixels, modality(kind), ChannelCopy(), size, normalisation)


def smooth(count: int, stored: int) -> np.ndarray:
    """uint8 (N, S, S, 3) without fine detail, of which antialiasing would take some."""
    coarse = torch.rand(count, 3, 4, 4, generator=seeded(0))
    fine = torch.nn.functional.interpolate(coarse, (stored, stored), mode="bicubic").clamp(0, 1)
    return (fine.movedim(1, 3) * 255).to(torch.uint8).numpy()


# The same geometry gives the same pixels.


@pytest.mark.parametrize(("kind", "dtype"), [("rgb", np.uint8), ("nir", np.uint8), ("depth", np.uint16)])
def test_crops_at_whole_pixels_are_the_same_pixels(kind: str, dtype: type):
    shape = (30, 12, 12, 3) if kind == "rgb" else (30, 12, 12)
    shown = view(kind, np.random.default_rng(0).integers(0, 250, shape).astype(dtype), 8)
    boxes, rows = crop_flip_boxes(30, 12, 8, seeded(1)), torch.arange(30)
    whole = WholePixels(12, 8, boxes.boxes[:, 0], boxes.boxes[:, 1], boxes.mirrored)
    assert torch.equal(shown.sensor(rows, boxes), shown.sensor(rows, Geometry(boxes.theta, whole)))


def test_resized_crops_of_depth_are_the_same_pixels():
    # No pixel lies half way between two others: 32 holds more factors of two than any side up to 36.
    depth = np.random.default_rng(0).integers(0, 3, (40, 36, 36)).astype(np.uint16) * 1000
    shown, boxes, rows = view("depth", depth, 32), resized_boxes(40, 36, seeded(1)), torch.arange(40)
    assert torch.equal(shown.sensor(rows, boxes), shown.sensor(rows, Geometry(boxes.theta)))


def test_resized_crops_of_colours_differ_by_antialiasing_alone():
    shown, boxes, rows = view("rgb", smooth(40, 72), 64), resized_boxes(40, 72, seeded(1)), torch.arange(40)
    one, other = shown.sensor(rows, boxes), shown.sensor(rows, Geometry(boxes.theta))
    # The outermost pixels of an enlarged crop: torchvision cuts first, so it does not know what lies beyond.
    inside = (..., slice(1, -1), slice(1, -1))
    enlarged = boxes.boxes[:, 2] <= 64
    assert 0 < int(enlarged.sum()) < 40
    torch.testing.assert_close(one[enlarged][inside], other[enlarged][inside], rtol=0, atol=1e-5)
    torch.testing.assert_close(one, other, rtol=0, atol=0.02)


def test_normalisation_is_that_of_torchvision():
    normal = Normalisation((0.5, 0.4, 0.3), (0.2, 0.1, 0.3))
    images = torch.rand(5, 3, 6, 6, generator=seeded(0))
    torch.testing.assert_close(normal(images), v2.Normalize(list(normal.mean), list(normal.std))(images))


@pytest.mark.parametrize("seed", range(5))
def test_boxes_are_what_the_transforms_of_torchvision_cut(seed: int):
    image = torch.rand(3, 24, 24, generator=seeded(seed))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=seeded(seed))))
        cut = v2.RandomResizedCrop(16, RESIZED_CROP_SCALE, (1.0, 1.0), antialias=True)(image)
    box = resized_boxes(1, 24, seeded(seed))
    found = Boxes(box.theta, boxes=box.boxes, mirrored=torch.tensor([False])).apply(image[None], 16, nearest=False)
    torch.testing.assert_close(found[0], cut)


def test_draws_follow_from_the_generator_and_leave_the_global_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, other = crop_flip_boxes(20, 12, 8, seeded(1)), crop_flip_boxes(20, 12, 8, seeded(1))
    assert torch.equal(one.boxes, other.boxes) and torch.equal(one.mirrored, other.mirrored)
    assert not torch.equal(one.boxes, crop_flip_boxes(20, 12, 8, seeded(2)).boxes)
    assert torch.equal(torch.get_rng_state(), before)


# The drawn geometry has the same distribution.


def by_torchvision(count: int, stored: int, size: int) -> Tensor:
    """Top, left and whether mirrored (N, 3), read off the pixels that torchvision's transforms give."""
    rows, columns = torch.meshgrid(torch.arange(stored), torch.arange(stored), indexing="ij")
    places = torch.stack([rows, columns]).float()
    transform = v2.Compose([v2.RandomCrop(size), v2.RandomHorizontalFlip()])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        cut = torch.stack([transform(places) for _ in range(count)])
    ends = cut[:, :, 0, [0, -1]]
    return torch.stack([ends[:, 0, 0], ends[:, 1].amin(1), (ends[:, 1, 0] > ends[:, 1, 1]).float()], dim=1).long()


def cells(top: Tensor, left: Tensor, mirrored: Tensor, side: int) -> np.ndarray:
    """How often each of the side x side x 2 geometries was drawn."""
    return ((top * side + left) * 2 + mirrored.long()).bincount(minlength=2 * side * side).numpy()


def test_offsets_and_flips_are_drawn_as_torchvision_draws_them():
    crop = crop_flip(20_000, 12, 8, seeded(0)).crop
    assert crop is not None
    ours = cells(crop.top, crop.left, crop.mirrored, 5)
    theirs = cells(*by_torchvision(4000, 12, 8).unbind(1), 5)
    assert min(ours) > 0 and min(theirs) > 0
    assert chisquare(ours).pvalue > LEAST  # all of them, and alike
    assert chi2_contingency(np.stack([ours, theirs])).pvalue > LEAST


def test_such_a_test_would_see_another_distribution():
    crop = crop_flip(4000, 13, 8, seeded(0)).crop
    assert crop is not None
    biased = cells(crop.top.clamp(max=4), crop.left, crop.mirrored & (crop.left > 0), 6)
    assert chi2_contingency(np.stack([biased, cells(crop.top, crop.left, crop.mirrored, 6)]) + 1).pvalue < LEAST
    other = (0.4 + 0.6 * torch.rand(2000, generator=seeded(1))).sqrt()
    assert ks_2samp(other, resized_boxes(2000, 512, seeded(1)).theta[:, 1, 1]).pvalue < LEAST


def placed(geometry: Geometry) -> tuple[Tensor, Tensor, Tensor]:
    """Side as a share of the image; where the square lies in the room it has, (N, 2) in [0, 1]; whether mirrored."""
    side = geometry.theta[:, 1, 1]
    return side, (geometry.theta[:, :, 2] / (1 - side)[:, None] + 1) / 2, geometry.theta[:, 0, 0] < 0


def test_squares_are_drawn_as_torchvision_draws_them():
    # Torchvision draws whole pixels: of many, so that rounding is far below what the test can see.
    (side, place, mirrored), (their_side, their_place, their_mirrored) = (
        placed(geometry) for geometry in (resized_crop(20_000, seeded(0)), resized_boxes(3000, 1024, seeded(0)))
    )
    assert ks_2samp(side, their_side).pvalue > LEAST
    low, high = RESIZED_CROP_SCALE
    assert kstest(((side**2 - low) / (high - low)).numpy(), "uniform").pvalue > LEAST
    roomy, their_roomy = side < 0.95, their_side < 0.95
    for axis in (0, 1):
        assert ks_2samp(place[roomy, axis], their_place[their_roomy, axis]).pvalue > LEAST
    assert chi2_contingency(np.stack([joint(place, mirrored), joint(their_place, their_mirrored)])).pvalue > LEAST


def joint(place: Tensor, mirrored: Tensor) -> np.ndarray:
    """How often a square lies in each quarter of its room along x and y, mirrored or not: are they independent?"""
    quarters = (place.clamp(0, 0.999) * 4).long()
    return (quarters[:, 0] * 8 + quarters[:, 1] * 2 + mirrored.long()).bincount(minlength=32).numpy()


# Colour jitter.

GREY = torch.tensor([0.299, 0.587, 0.114])


def factors(jittered: Tensor, image: Tensor, grey: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Brightness, contrast and saturation that made ``jittered`` (N, 3, 1, 2) of ``image`` (3, 1, 2), unclamped.

    The mean grey is scaled by brightness, the spread of grey by contrast too, and colours also by saturation.
    """
    values, before = jittered[:, :, 0], image[:, 0]
    greys, grey_before = torch.einsum("ncx,c->nx", values, grey), grey @ before
    brightness = greys.mean(1) / grey_before.mean()
    spread = (greys[:, 0] - greys[:, 1]) / (grey_before[0] - grey_before[1])
    colour = (values[:, 0] - values[:, 1]).mean(1) / (before[0] - before[1]).mean()
    return brightness, spread / brightness, colour / spread


def test_factors_of_the_jitter_are_drawn_as_torchvision_draws_them():
    image = torch.tensor([[[0.30, 0.40]], [[0.20, 0.30]], [[0.25, 0.35]]])
    ours = factors(color_jitter(image.repeat(4000, 1, 1, 1), 0.4, seeded(0)), image, torch.full((3,), 1 / 3))
    jitter = v2.ColorJitter(0.4, 0.4, 0.4)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        theirs = factors(torch.stack([jitter(image) for _ in range(2000)]), image, GREY / GREY.sum())
    for one, other in zip(ours, theirs, strict=True):
        assert float(one.min()) >= 0.6 - 1e-3 and float(one.max()) <= 1.4 + 1e-3
        assert kstest(one.numpy(), "uniform", (0.6, 0.8)).pvalue > LEAST
        assert ks_2samp(one, other).pvalue > LEAST
    for one, other in pairwise((*ours, ours[0])):
        assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.06


# Both halves of a pair, whatever is drawn.


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    size=st.integers(4, 24),
    margin=st.integers(0, 4),
    batch=st.integers(1, 6),
    seed=st.integers(0, 2**31),
)
def test_both_halves_of_a_pair_show_the_same_place(kind: str, size: int, margin: int, batch: int, seed: int):
    stored = size + min(margin, size // 6)  # an eighth, as a run stores them; small sizes round
    column = np.broadcast_to(np.arange(stored), (stored, stored))
    places = np.stack([column, column.T, column], axis=-1)
    colours = view("rgb", np.broadcast_to(places, (batch, *places.shape)).astype(np.uint8), size)
    codes = 1 + column + 64 * column.T  # of a depth image: each pixel knows where it comes from
    depths = view("depth", np.broadcast_to(codes, (batch, stored, stored)).astype(np.uint16), size)
    rows, geometry = torch.arange(batch), colours.draw_geometry(batch, kind, seeded(seed))
    seen = colours.sensor(rows, geometry)[:, :2] * 255
    measured = (depths.sensor(rows, geometry) * 1000).round().long() - 1
    assert int(measured.min()) >= 0
    where = torch.cat([measured % 64, measured // 64], dim=1).float()
    # Averaged colours lie between pixels, depth is the nearest one; antialiasing shortens a crop's edge a little.
    assert float((seen - where).abs().max()) <= 0.51 + 0.1 * (kind == "eager-strong")
    part = torch.arange(batch)[::2]
    assert torch.equal(depths.sensor(rows[part], geometry.at(part)), depths.sensor(rows, geometry)[part])


@settings(max_examples=40)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**31), missing=st.floats(0.05, 0.95))
def test_missing_depth_is_never_averaged_in(kind: str, seed: int, missing: float):
    rng = np.random.default_rng(seed)
    depth = np.where(rng.random((3, 18, 18)) < missing, 0, rng.choice([700, 2000, 6000], (3, 18, 18))).astype(np.uint16)
    shown = view("depth", depth, 16)
    found = shown.sensor(torch.arange(3), shown.draw_geometry(3, kind, seeded(seed)))
    assert set((found * 1000).round().long().unique().tolist()) <= {0, 700, 2000, 6000}


@pytest.mark.needs_plugin("sfda-kit-socket")
def test_a_run_may_be_trained_so(sfda_kit, on_pairs):
    eager = ["--set", "source.augmentation=eager-crop-flip", "--set", "adapt.augmentation=eager-strong"]
    result = sfda_kit("run", "--method", "socket", *on_pairs, *eager, "--json")
    assert result.exit_code == 0, result.exception
    record = json.loads((Path(last_json(result)["run_dir"]) / "record.json").read_text())
    assert record["config"]["adapt"]["augmentation"] == "eager-strong" and record["metrics"]["heldout_accuracy"] > 0
