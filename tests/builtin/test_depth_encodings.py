"""Disparity, normals and HHA of planes computed by hand, and what must not change them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfda_kit.builtin.depth_encodings import Disparity, Hha, Normals
from sfda_kit.data.depth_geometry import back_project, fill_nearest, surface_normals, up_direction
from sfda_kit.errors import UserError
from sfda_kit.plugins.modalities import modality

DEPTH, RGB, NIR = modality("depth"), modality("rgb"), modality("nir")
FOCAL = (0.9, 1.2)
UNHURRIED = settings(deadline=None, max_examples=30)


def plane(normal: tuple[float, float, float], distance: float, height: int = 24, width: int = 32) -> Tensor:
    """Depth (1, 1, H, W) of the plane ``normal . p = -distance``, ``normal`` a unit vector towards the camera."""
    rays = back_project(torch.ones(1, 1, height, width), FOCAL)
    along = torch.einsum("bchw,c->bhw", rays, torch.tensor(normal))
    return (-distance / along)[:, None]


def unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def room(pitch: float, height: int = 48, width: int = 64) -> Tensor:
    """Floor 1.4 m below the camera, which looks down by ``pitch`` degrees, and a wall 3 m ahead."""
    rays = back_project(torch.ones(1, 1, height, width), FOCAL)[0]
    up = up_of(pitch)
    ahead = torch.linalg.cross(up, torch.tensor([1.0, 0.0, 0.0]))
    rise, forward = torch.einsum("chw,c->hw", rays, up), torch.einsum("chw,c->hw", rays, ahead)
    floor = torch.where(rise < 0, -1.4 / rise, torch.inf)
    return torch.minimum(floor, 3.0 / forward)[None, None]


def up_of(pitch: float) -> Tensor:
    return torch.tensor([0.0, -math.cos(math.radians(pitch)), -math.sin(math.radians(pitch))])


@pytest.mark.parametrize("normal", [(0, 0, -1), (1, 0, -1), (-1, 2, -3), (0, -2, -1)])
@pytest.mark.parametrize("radius", [1, 3])
def test_a_plane_has_one_normal_everywhere(normal, radius):
    expected = torch.tensor(unit(*normal))
    found, valid = surface_normals(plane(unit(*normal), 2.0), FOCAL, radius, jump=10.0)
    assert valid.all()
    torch.testing.assert_close(found, expected[None, :, None, None].expand_as(found), rtol=0, atol=1e-3)


def test_a_wall_faces_the_camera_whatever_its_colour_code():
    encoded = Normals()(torch.full((1, 1, 8, 8), 2.0), DEPTH)
    torch.testing.assert_close(encoded[0, :, 4, 4], torch.tensor([0.5, 0.5, 0.0]))


def test_a_step_between_two_walls_is_no_surface():
    depth = torch.full((1, 1, 8, 16), 2.0)
    depth[..., 8:] = 4.0
    normals, valid = surface_normals(depth, FOCAL)
    assert valid.all()
    assert torch.allclose(normals[0, 2], torch.tensor(-1.0))
    melted, _ = surface_normals(depth, FOCAL, jump=2.0)
    assert (melted[0, 2, :, 7:9] > -0.9).all()


def test_a_pixel_without_neighbours_has_no_normal():
    depth = torch.zeros(1, 1, 5, 5)
    depth[..., 2, 2] = 1.0
    normals, valid = surface_normals(depth, FOCAL)
    assert not valid.any() and not normals.any()
    depth[..., 2, 3] = 1.0
    assert not surface_normals(depth, FOCAL)[1].any()
    depth[..., 3, 2] = 1.0
    assert surface_normals(depth, FOCAL)[1][0, 0].nonzero().tolist() == [[2, 2]]


def test_a_hole_changes_no_pixel_of_a_plane_beside_it():
    whole = plane(unit(1, 2, -4), 2.0)
    holed = whole.clone()
    holed[..., 10:14, 10:20] = 0
    for encoding in (Normals(), Disparity(), Hha(gravity="level", camera_height=1.0)):
        before, after = encoding(whole, DEPTH), encoding(holed, DEPTH)
        hole = (holed == 0).expand_as(after)
        assert not after[hole].any()
        torch.testing.assert_close(after[~hole], before[~hole], rtol=0, atol=1e-3)


def test_disparity_by_hand():
    depth = torch.tensor([0.0, 0.25, 0.5, 1.0, 4.0])[None, None, None]
    assert Disparity(near=0.5)(depth, DEPTH)[0, 1, 0].tolist() == [0.0, 1.0, 1.0, 0.5, 0.125]


def test_the_mask_is_the_third_channel():
    depth = torch.tensor([0.0, 1.0])[None, None, None]
    assert Disparity(missing="mask")(depth, DEPTH)[0, :, 0].T.tolist() == [[0, 0, 0], [0.5, 0.5, 1]]
    holed = torch.full((1, 1, 6, 6), 2.0)
    holed[..., 3, 3] = 0
    normals = Normals(missing="mask")(holed, DEPTH)
    assert torch.equal(normals[:, 2:] == 1, holed > 0)
    assert normals[0, :, 3, 3].tolist() == [0, 0, 0]


def test_filled_holes_take_the_nearest_measured_pixel():
    depth = torch.tensor([[1.0, 0, 0, 0, 3.0]])[None, None]
    assert fill_nearest(depth)[0, 0, 0].tolist()[:2] == [1.0, 1.0] and fill_nearest(depth)[0, 0, 0, 3] == 3.0
    assert depth[0, 0, 0, 1] == 0
    assert Disparity(missing="inpaint")(depth, DEPTH)[0, 0, 0, 1] == 0.5
    assert not fill_nearest(torch.zeros(1, 1, 3, 3)).any()


def test_the_focal_length_of_the_whole_image_is_that_of_the_crop_times_its_share():
    """56 of 64 pixels: what the crop sees has a focal length 8/7 times as large over its side."""
    whole = plane(unit(0, 1, -1), 2.0, 64, 64)
    crop = whole[..., 4:60, 4:60]
    encoded = Normals(focal_x=FOCAL[0], focal_y=FOCAL[1])(crop, DEPTH)
    expected = (torch.tensor(unit(0, 1, -1)) + 1) / 2
    torch.testing.assert_close(encoded[0, :, 20, 20], expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("pitch", [0.0, 10.0, 25.0])
def test_up_is_found_in_a_room_though_the_camera_looks_down(pitch):
    normals, _ = surface_normals(room(pitch), FOCAL)
    found = up_direction(normals, up_of(0))[0]
    assert math.degrees(math.acos(min(1.0, float(found @ up_of(pitch))))) < 1


def test_before_a_single_wall_or_nothing_the_camera_counts_as_level():
    for depth in (plane((0.0, 0.0, -1.0), 2.0), torch.zeros(1, 1, 24, 32)):
        normals, _ = surface_normals(depth, FOCAL)
        torch.testing.assert_close(up_direction(normals, up_of(0))[0], up_of(0), rtol=0, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"gravity": "level", "pitch": 20.0}, {"camera_height": 1.4}])
def test_hha_of_floor_and_wall(options):
    depth = room(20.0, 64, 64)
    seen = 8 / 9  # 64 pixels are a crop of 72
    encoded = Hha(FOCAL[0] * seen, FOCAL[1] * seen, max_height=2.0, near=1.0, **options)(depth, DEPTH)[0]
    floor, wall = encoded[:, 60, 32], encoded[:, 4, 32]
    assert float(floor[0]) == pytest.approx(float(1 / depth[0, 0, 60, 32]))
    assert float(floor[1]) == pytest.approx(0, abs=0.01) and float(wall[1]) > 0.5
    assert float(floor[2]) == pytest.approx(0, abs=0.01) and float(wall[2]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("encoding", [Disparity(), Normals(), Hha()])
def test_rgb_stays_and_other_sensors_are_refused(encoding):
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(encoding(images, RGB), images)
    with pytest.raises(UserError, match=r"is of depth, not of nir\. Use --encoding copy or jet"):
        encoding(images[:, :1], NIR)


@pytest.mark.parametrize(
    ("encoding", "options", "says"),
    [
        (Disparity, {"near": 0}, "near is 0; expected a number greater than 0"),
        (Normals, {"focal_x": -1}, "focal_x is -1"),
        (Normals, {"radius": 0}, "radius is 0"),
        (Normals, {"missing": "drop"}, "missing is 'drop'; expected one of zero, mask, inpaint"),
        (Hha, {"missing": "mask"}, "expected one of zero, inpaint"),
        (Hha, {"gravity": "down"}, "gravity is 'down'; expected estimate or level"),
        (Hha, {"pitch": 95}, "pitch is 95; expected degrees"),
        (Hha, {"camera_height": -1}, "camera_height is -1"),
    ],
)
def test_options_that_cannot_be(encoding, options, says):
    with pytest.raises(UserError, match=says):
        encoding(**options)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_run_on_another_sensor_stops_before_any_work(sfda_kit):
    refused = sfda_kit("run", "--method", "shot", "--target", "nir@kv1", "--encoding", "hha")
    assert refused.exit_code == 2 and "hha is of depth, not of nir" in str(refused.exception)


@given(st.integers(0, 10**6), st.floats(0.3, 3.0))
@UNHURRIED
def test_normals_do_not_change_with_the_scale_of_the_scene(seed, factor):
    depth = bumpy(seed)
    near, near_valid = surface_normals(depth, FOCAL)
    far, far_valid = surface_normals(depth * factor, FOCAL)
    agree = near_valid & far_valid
    assert (near_valid != far_valid).float().mean() < 0.02  # a jump just at the limit
    change = (near - far).abs() * agree
    assert (change > 1e-2).float().mean() < 0.02


@given(st.integers(0, 10**6))
@UNHURRIED
def test_a_mirrored_scene_has_mirrored_normals_and_the_same_hha(seed):
    depth = bumpy(seed)
    normals, _ = surface_normals(depth, FOCAL)
    mirrored, _ = surface_normals(depth.flip(3), FOCAL)
    turned = mirrored.flip(3) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    torch.testing.assert_close(normals, turned, rtol=0, atol=1e-4)
    level = Hha(gravity="level", camera_height=1.0)
    torch.testing.assert_close(level(depth, DEPTH), level(depth.flip(3), DEPTH).flip(3), rtol=0, atol=1e-4)


@given(st.integers(0, 10**6))
@UNHURRIED
def test_missing_pixels_change_nothing_farther_than_the_radius(seed):
    depth = bumpy(seed)
    holed = depth.clone()
    holed[..., 8, 8] = 0
    before, after = Normals()(depth, DEPTH), Normals()(holed, DEPTH)
    far = torch.ones(1, 1, *depth.shape[2:], dtype=torch.bool)
    far[..., 7:10, 7:10] = False
    assert torch.equal(before[far.expand_as(before)], after[far.expand_as(after)])


@given(st.floats(0.2, 20.0), st.floats(0.2, 20.0))
@UNHURRIED
def test_nearer_is_never_darker(one, other):
    near, far = sorted((one, other))
    encoded = Disparity()(torch.tensor([near, far])[None, None, None], DEPTH)[0, 0, 0]
    assert encoded[0] >= encoded[1] > 0


def bumpy(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    depth = 2.0 + 0.3 * torch.rand(1, 1, 16, 20, generator=generator)
    return depth * (torch.rand(1, 1, 16, 20, generator=generator) > 0.1)
