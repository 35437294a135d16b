"""Depth as three channels that show its geometry: disparity, surface normals, HHA. RGB stays as it is.

Missing depth (0) is never differentiated or averaged. The option ``missing`` says what replaces it: ``zero`` (black),
``inpaint`` (the nearest measured pixel, before anything is computed), and for ``disparity`` and ``normals`` ``mask``
(the third channel is 1 where there is a value).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from sfda_kit.data.depth_geometry import (
    back_project,
    fill_nearest,
    height_above_ground,
    surface_normals,
    up_direction,
)
from sfda_kit.data.views import stored_size
from sfda_kit.errors import UserError
from sfda_kit.interfaces.encoding import Encoding, not_of

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.interfaces.modality import Modality

Missing = Literal["zero", "mask", "inpaint"]
FOCAL_X, FOCAL_Y = 0.81, 1.08
"""Kinect v1: about 519 pixels over a width of 640 and a height of 480 (NYU Depth V2, SUN RGB-D kv1)."""
NEAR = 0.5
"""In metres; most depth cameras measure nothing that is nearer."""


class DepthEncoding(Encoding):
    """An encoding of depth in metres. ``handles``: the values that it allows for the option ``missing``."""

    modalities: ClassVar[tuple[str, ...]] = ("depth",)
    handles: ClassVar[tuple[str, ...]] = ("zero", "mask", "inpaint")

    def __init__(self, missing: Missing) -> None:
        if missing not in self.handles:
            raise UserError(f"Encoding option missing is {missing!r}; expected one of {', '.join(self.handles)}.")
        self.missing = missing

    def __call__(self, images: Tensor, modality: Modality) -> Tensor:
        """Encode metres (B, 1, H, W), 0 = missing, as (B, 3, H, W) in [0, 1]; RGB stays; others raise ``UserError``."""
        if images.shape[1] == 3:
            return images
        if modality.name not in self.modalities:
            raise UserError(not_of(type(self).__name__.lower(), self.modalities, modality.name))
        depth = fill_nearest(images) if self.missing == "inpaint" else images
        channels, valid = self.of_depth(depth)
        channels = channels.clamp(0, 1) * valid
        return torch.cat([channels[:, :2], valid.to(channels)], dim=1) if self.missing == "mask" else channels

    @abstractmethod
    def of_depth(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Return three channels (B, 3, H, W) of metres (B, 1, H, W), and where they have a value, bool (B, 1, H, W)."""


class Disparity(DepthEncoding):
    """``near / metres`` in all channels: near differences count more, and far noise less, than in ``copy``.

    Option ``near``: the metres that are shown as full scale.
    """

    def __init__(self, near: float = NEAR, missing: Missing = "zero") -> None:
        super().__init__(missing)
        self.near = _positive("near", near)

    def of_depth(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        valid = depth > 0
        return disparity(depth, self.near).expand(-1, 3, -1, -1), valid


class Normals(DepthEncoding):
    """Surface normals (x right, y down, z forward; they point towards the camera) as ``(n + 1) / 2``.

    Options: ``focal_x``, ``focal_y``: focal length over width and height of the whole image (default: Kinect v1); the
    crop that the network sees is assumed to be as large as the test transform's. ``radius``: pixels to the neighbours
    whose differences are taken. ``jump``: the share of its distance by which a neighbour may differ. With
    ``missing: mask`` the mask replaces z, which follows from x and y.
    """

    def __init__(
        self,
        focal_x: float = FOCAL_X,
        focal_y: float = FOCAL_Y,
        radius: int = 1,
        jump: float = 0.2,
        missing: Missing = "zero",
    ) -> None:
        super().__init__(missing)
        self.focal = (_positive("focal_x", focal_x), _positive("focal_y", focal_y))
        self.radius, self.jump = int(_positive("radius", radius)), _positive("jump", jump)

    def of_depth(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        normals, valid = self.normals(depth)
        return (normals + 1) / 2, valid

    def normals(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit normals (B, 3, H, W), and where there are any, bool (B, 1, H, W)."""
        return surface_normals(depth, self.seen_focal(depth), self.radius, self.jump)

    def seen_focal(self, depth: Tensor) -> tuple[float, float]:
        """Return the focal lengths over the sides of what the network sees, a crop of the stored image."""
        x, y = (stored_size(side) / side for side in (depth.shape[-1], depth.shape[-2]))
        return self.focal[0] * x, self.focal[1] * y


class Hha(Normals):
    """Horizontal disparity, height above the ground, and angle of the normal with the up direction.

    Source: Gupta, Girshick, Arbelaez, Malik: Learning Rich Features from RGB-D Images (ECCV 2014,
    https://arxiv.org/abs/1407.5736). This is an approximation:

    * disparity is ``near / metres``, height is metres over ``max_height``, the angle is degrees over 180 (floor 0, wall
      90, ceiling 180); theirs are bytes of other scales.
    * ``gravity: estimate`` seeks the up direction in each image as theirs does (Gupta et al., CVPR 2013), on every
      fourth pixel and with a small weight on ``pitch``; ``gravity: level`` takes ``pitch`` as it is.
    * the ground is ``camera_height`` metres below the camera. By default it is the lowest hundredth of what is seen.
    * the optical axis is the middle of what the network sees, although random crops move it.

    ``pitch``: degrees by which the camera looks down. Where a measured pixel has no normal, the angle is 90.
    """

    handles: ClassVar[tuple[str, ...]] = ("zero", "inpaint")

    def __init__(
        self,
        focal_x: float = FOCAL_X,
        focal_y: float = FOCAL_Y,
        gravity: Literal["estimate", "level"] = "estimate",
        pitch: float = 0.0,
        camera_height: float | None = None,
        near: float = NEAR,
        max_height: float = 2.55,
        radius: int = 1,
        jump: float = 0.2,
        missing: Missing = "zero",
    ) -> None:
        super().__init__(focal_x, focal_y, radius, jump, missing)
        if gravity not in ("estimate", "level"):
            raise UserError(f"Encoding option gravity is {gravity!r}; expected estimate or level.")
        if not -90 < pitch < 90:
            raise UserError(f"Encoding option pitch is {pitch}; expected degrees between -90 and 90.")
        self.gravity, self.pitch = gravity, math.radians(pitch)
        self.camera_height = None if camera_height is None else _positive("camera_height", camera_height)
        self.near, self.max_height = _positive("near", near), _positive("max_height", max_height)

    def of_depth(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        valid = depth > 0
        normals, has_normal = self.normals(depth)
        up = self.up(normals)
        points = back_project(depth, self.seen_focal(depth))
        height = height_above_ground(points, valid, up, self.camera_height)
        cosine = torch.einsum("bchw,bc->bhw", normals, up)[:, None].clamp(-1, 1)
        angle = torch.where(has_normal, torch.arccos(cosine) / math.pi, torch.full_like(cosine, 0.5))
        return torch.cat([disparity(depth, self.near), height / self.max_height, angle], dim=1), valid

    def up(self, normals: Tensor) -> Tensor:
        """Return the up direction in each image, (B, 3)."""
        level = torch.tensor([0.0, -math.cos(self.pitch), -math.sin(self.pitch)], device=normals.device)
        return up_direction(normals, level) if self.gravity == "estimate" else level.expand(len(normals), 3)


def disparity(depth: Tensor, near: float) -> Tensor:
    """Return ``near / depth``, 0 where depth is missing."""
    valid = depth > 0
    return torch.where(valid, near / torch.where(valid, depth, torch.ones_like(depth)), torch.zeros_like(depth))


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise UserError(f"Encoding option {name} is {value}; expected a number greater than 0.")
    return value
