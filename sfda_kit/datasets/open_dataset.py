"""The data set that a configuration names, ready to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.registry import build

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig
    from sfda_kit.interfaces import Dataset


def open_dataset(config: DatasetConfig) -> Dataset:
    """The data set called ``config.name``. Raises ``UserError`` on an unknown name or settings that do not fit."""
    opened: Dataset = build(registry().get("dataset", config.name), config=config)
    return opened
