"""Surfaces from depth, batched on the device: points, normals, the up direction. Missing depth takes no part.

Camera coordinates: x to the right, y down, z forward, in metres. ``focal`` is the focal length over the
width and over the height of the image, so that it survives resizing; the optical axis is the middle.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_EVERY = 4
"""Up direction and ground are sought on every fourth pixel of a row and column."""
_ROUNDS = (*(45.0,) * 5, *(15.0,) * 5)
"""Degrees within which a normal counts as along or across the up direction (Gupta et al., section 3)."""
_PRIOR = 0.01
"""Share of the pixels that speak for a level camera: decides where the image does not (a single wall)."""


def rays(depth: Tensor, focal: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """x and y of the points of each column (W,) and row (H, 1) at a distance of 1 m."""
    height, width = depth.shape[-2:]
    x = ((torch.arange(width, device=depth.device) + 0.5) / width - 0.5) / focal[0]
    y = ((torch.arange(height, device=depth.device) + 0.5) / height - 0.5) / focal[1]
    return x, y[:, None]


def back_project(depth: Tensor, focal: tuple[float, float]) -> Tensor:
    """(B, 1, H, W) metres -> (B, 3, H, W) points; missing depth (0) gives the origin."""
    x, y = rays(depth, focal)
    return torch.cat([depth * x, depth * y, depth], dim=1)


def surface_normals(
    depth: Tensor, focal: tuple[float, float], radius: int = 1, jump: float = 0.2
) -> tuple[Tensor, Tensor]:
    """Unit normals (B, 3, H, W) towards the camera, 0 where there is none, and where there is one, bool (B, 1, H, W).

    Each is the cross product of the differences to the points ``radius`` pixels to the left and right, above
    and below. A neighbour that is missing, or nearer or farther by more than the share ``jump`` of its distance
    (another surface), is replaced by the pixel itself; where both neighbours are, there is no normal.
    """
    x, y = rays(depth, focal)
    step_x, step_y = 1 / (depth.shape[-1] * focal[0]), 1 / (depth.shape[-2] * focal[1])
    # Along a row y is constant and along a column x, so each difference has two numbers, not three.
    width, depth_across, has_across = _difference(depth, x, step_x, radius, jump, dim=3)
    height, depth_down, has_down = _difference(depth, y, step_y, radius, jump, dim=2)
    normal_x = depth_across * (height - y * depth_down)
    normal_y = depth_down * (width - x * depth_across)
    normal_z = x * y * depth_across * depth_down - height * width
    length = (normal_x.square() + normal_y.square() + normal_z.square()).sqrt()
    valid = has_across & has_down & (length > 0)
    towards = torch.where(x * normal_x + y * normal_y + normal_z > 0, -length, length)
    scale = torch.where(valid, 1 / towards, torch.zeros_like(length))
    return torch.cat([normal_x * scale, normal_y * scale, normal_z * scale], dim=1), valid


def _difference(
    depth: Tensor, ray: Tensor, step: float, radius: int, jump: float, dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Point after minus point before along ``dim``: sideways, in depth, and whether one of them is there."""
    before, after = _shifted(depth, radius, dim), _shifted(depth, -radius, dim)
    has_before, has_after = _same_surface(depth, before, jump), _same_surface(depth, after, jump)
    start, end = torch.where(has_before, before, depth), torch.where(has_after, after, depth)
    sideways = end * (ray + radius * step * has_after) - start * (ray - radius * step * has_before)
    return sideways, end - start, has_before | has_after


def _shifted(depth: Tensor, by: int, dim: int) -> Tensor:
    """Moved by ``by`` pixels, missing (0) where nothing moves in. By more than the image: all missing."""
    by = max(-depth.shape[dim], min(by, depth.shape[dim]))
    pad = (max(by, 0), max(-by, 0))
    padded = F.pad(depth, pad if dim == 3 else (0, 0, *pad))
    return padded.narrow(dim, max(-by, 0), depth.shape[dim])


def _same_surface(near: Tensor, far: Tensor, jump: float) -> Tensor:
    return (near > 0) & (far > 0) & ((near - far).abs() <= jump * torch.minimum(near, far))


def up_direction(normals: Tensor, level: Tensor) -> Tensor:
    """Unit vectors (B, 3): the direction that normals are along or across, sought from ``level`` (3,) on.

    Gupta, Arbelaez, Malik: Perceptual Organization and Recognition of Indoor Scenes (CVPR 2013): floors and
    tables are across gravity, walls along it. Deviation: a small weight on ``level`` decides where the image
    does not, as before a single wall.
    """
    chosen = normals[..., ::_EVERY, ::_EVERY].flatten(2)
    found = level.expand(len(normals), 3)
    prior = _PRIOR * chosen.shape[2] * torch.outer(level, level)
    for degrees in _ROUNDS:
        cosine = torch.einsum("bcn,bc->bn", chosen, found).abs()
        along = cosine > math.cos(math.radians(degrees))
        across = (cosine < math.sin(math.radians(degrees))) & (chosen != 0).any(dim=1)
        weight = across.float() - along.float()
        scatter = torch.einsum("bcn,bdn,bn->bcd", chosen, chosen, weight) - prior
        # The smallest eigenvector; three by three, so the way to the CPU costs less than a kernel there.
        vector = torch.linalg.eigh(scatter.cpu().double()).eigenvectors[..., 0].to(found)
        found = vector * torch.where((vector * found).sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    return found


def height_above_ground(points: Tensor, valid: Tensor, up: Tensor, camera_height: float | None) -> Tensor:
    """Metres (B, 1, H, W) above the ground: ``camera_height`` below the camera, else the lowest hundredth seen."""
    height = torch.einsum("bchw,bc->bhw", points, up)[:, None]
    if camera_height is not None:
        return height + camera_height
    seen = torch.where(valid, height, torch.nan)[..., ::_EVERY, ::_EVERY].flatten(1)
    ground = torch.nanquantile(seen, 0.01, dim=1).nan_to_num()
    return height - ground[:, None, None, None]


def fill_nearest(depth: Tensor) -> Tensor:
    """(B, 1, H, W) with each missing pixel (0) as the nearest measured one; images without any stay missing."""
    from scipy.ndimage import distance_transform_edt

    filled = depth.cpu().clone()
    for image in filled[:, 0].numpy():
        missing = image == 0
        if missing.any() and not missing.all():
            y, x = distance_transform_edt(missing, return_distances=False, return_indices=True)
            image[:] = image[y, x]
    return filled.to(depth.device)
