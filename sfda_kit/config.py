"""The configuration of one run: pydantic models, unknown keys refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DatasetConfig(_Strict):
    """Which scenes, which sensors, and which classes play which role.

    ``source`` and ``target`` are ``modality@domain``. ``split_seed`` alone decides how groups are
    dealt to parts; the run's ``seed`` never does.
    """

    name: str = "rooms"
    root: Path | None = None
    source: str = "rgb@kv1"
    target: str = "depth@kv1"
    split: str | None = None
    tr_classes: tuple[str, ...] | None = None
    ti_classes: tuple[str, ...] | None = None
    split_seed: int = 0
    group_pattern: str | None = None
    depth_unit: Literal["mm", "m", "sun-rgbd-bits"] | None = None
    skip_bad: bool = False
    minimum_images: int = Field(default=5, ge=1)
    options: dict[str, Any] = Field(default_factory=dict)
