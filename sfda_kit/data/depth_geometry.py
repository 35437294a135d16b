"""Points, surface normals and the up direction, computed from batches of depth images. Missing depth is ignored.

Camera coordinates are in metres: x points to the right, y down, z forward. ``focal`` is the focal length divided by
the width and by the height of the image, so resizing does not change it. The optical axis is the image centre.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_EVERY = 4
"""The up direction and the ground are estimated from every fourth pixel of every fourth row."""
_ROUNDS = (*(45.0,) * 5, *(15.0,) * 5)
"""Degrees within which a normal counts as parallel or perpendicular to the up direction (Gupta et al., section 3)."""
_PRIOR = 0.01
"""Weight of the assumption that the camera is level, as a share of the pixels. It decides before a single wall."""


def rays(depth: Tensor, focal: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Return x of each column (W,) and y of each row (H, 1) for points at a depth of 1 m."""
    height, width = depth.shape[-2:]
    x = ((torch.arange(width, device=depth.device) + 0.5) / width - 0.5) / focal[0]
    y = ((torch.arange(height, device=depth.device) + 0.5) / height - 0.5) / focal[1]
    return x, y[:, None]


def back_project(depth: Tensor, focal: tuple[float, float]) -> Tensor:
    """Turn depth (B, 1, H, W) in metres into points (B, 3, H, W). Missing depth (0) gives the origin."""
    x, y = rays(depth, focal)
    return torch.cat([depth * x, depth * y, depth], dim=1)


def surface_normals(
    depth: Tensor, focal: tuple[float, float], radius: int = 1, jump: float = 0.2
) -> tuple[Tensor, Tensor]:
    """Return unit normals towards the camera, (B, 3, H, W), and which pixels have one, bool (B, 1, H, W); others are 0.

    A normal is the cross product of the differences between the points ``radius`` pixels left and right, above and
    below. The pixel itself replaces a neighbour that is missing or on another surface, where depths differ by more
    than the share ``jump`` of the smaller one. If it replaces both neighbours of a direction, there is no normal.
    """
    x, y = rays(depth, focal)
    step_x, step_y = 1 / (depth.shape[-1] * focal[0]), 1 / (depth.shape[-2] * focal[1])
    # y is constant along a row and x along a column, so each difference has two components, not three.
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
    """Return the next point minus the previous one along ``dim``: sideways, in depth, and where either is usable."""
    before, after = _shifted(depth, radius, dim), _shifted(depth, -radius, dim)
    has_before, has_after = _same_surface(depth, before, jump), _same_surface(depth, after, jump)
    start, end = torch.where(has_before, before, depth), torch.where(has_after, after, depth)
    sideways = end * (ray + radius * step * has_after) - start * (ray - radius * step * has_before)
    return sideways, end - start, has_before | has_after


def _shifted(depth: Tensor, by: int, dim: int) -> Tensor:
    """Shift ``depth`` by ``by`` pixels. Pixels that nothing moves into are missing (0)."""
    by = max(-depth.shape[dim], min(by, depth.shape[dim]))
    pad = (max(by, 0), max(-by, 0))
    padded = F.pad(depth, pad if dim == 3 else (0, 0, *pad))
    return padded.narrow(dim, max(-by, 0), depth.shape[dim])


def _same_surface(near: Tensor, far: Tensor, jump: float) -> Tensor:
    return (near > 0) & (far > 0) & ((near - far).abs() <= jump * torch.minimum(near, far))


def up_direction(normals: Tensor, level: Tensor) -> Tensor:
    """Estimate unit vectors (B, 3) that most normals are parallel or perpendicular to, starting from ``level`` (3,).

    Source: Gupta, Arbelaez, Malik, "Perceptual Organization and Recognition of Indoor Scenes" (CVPR 2013): floors and
    tables are perpendicular to gravity, walls are parallel to it. Deviation: a small weight on ``level`` decides where
    the image does not, for example before a single wall.
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
        # For 3 x 3 matrices the transfer to the CPU costs less than an eigenvalue kernel on the device.
        vector = torch.linalg.eigh(scatter.cpu().double()).eigenvectors[..., 0].to(found)
        found = vector * torch.where((vector * found).sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    return found


def height_above_ground(points: Tensor, valid: Tensor, up: Tensor, camera_height: float | None) -> Tensor:
    """Return metres (B, 1, H, W) above the ground: ``camera_height`` below the camera, or the 1 % quantile seen."""
    height = torch.einsum("bchw,bc->bhw", points, up)[:, None]
    if camera_height is not None:
        return height + camera_height
    seen = torch.where(valid, height, torch.nan)[..., ::_EVERY, ::_EVERY].flatten(1)
    ground = torch.nanquantile(seen, 0.01, dim=1).nan_to_num()
    return height - ground[:, None, None, None]


def fill_nearest(depth: Tensor) -> Tensor:
    """Fill each missing pixel (0) of (B, 1, H, W) with the nearest measured one. An image without any stays missing."""
    from scipy.ndimage import distance_transform_edt

    filled = depth.cpu().clone()
    for image in filled[:, 0].numpy():
        missing = image == 0
        if missing.any() and not missing.all():
            y, x = distance_transform_edt(missing, return_distances=False, return_indices=True)
            image[:] = image[y, x]
    return filled.to(depth.device)
