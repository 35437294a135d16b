"""Opening the data set that a configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfda_kit.plugins.discovery import build_part

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig
    from sfda_kit.interfaces.dataset import Dataset


def open_dataset(config: DatasetConfig) -> Dataset:
    """Return the data set ``config.name``. Raises ``UserError`` on an unknown name or settings that do not fit."""
    opened: Dataset = build_part("dataset", config.name, config=config)
    return opened
