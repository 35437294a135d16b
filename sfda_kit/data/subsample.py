"""Subsampling of TI pairs and target training images, for studies of how much data a method needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sfda_kit.config.models import DatasetConfig
from sfda_kit.errors import TooFewImagesError
from sfda_kit.interfaces.dataset import PARTS, Index

Rows = NDArray[np.int64]

ASKED = {"ti": ("ti_pairs", "TI pairs"), "target-train": ("target_images", "target training images")}
"""The setting of each part that can be made smaller, and the name of its rows in messages."""


def subsample(rows: Mapping[str, Rows], index: Index, config: DatasetConfig) -> tuple[dict[str, Rows], list[str]]:
    """Return as many ``rows`` of each part as ``config`` asks for, and a notice for each part that became smaller.

    It takes whole groups in a random order drawn from ``split_seed`` and cuts only the last, so few images show few
    places and a larger subsample contains each smaller one. It uses no labels. Raises ``TooFewImagesError`` where the
    task has too few rows.
    """
    found, notices = dict(rows), []
    for part, (key, what) in ASKED.items():
        wanted: int | None = getattr(config, key)
        if wanted is None:
            continue
        there = len(rows[part])
        if wanted > there:
            raise TooFewImagesError(
                f"dataset.{key} is {wanted}, and this task has {there} {what}. Ask for at most {there}, or for all."
            )
        if wanted < there:
            seed = [config.split_seed, PARTS.index(part)]
            found[part] = _first(rows[part], index.group[rows[part]], wanted, np.random.default_rng(seed))
            notices.append(f"{wanted} of {there} {what} are used (dataset.{key})")
    return found, notices


def _first(rows: Rows, groups: NDArray[np.int32], count: int, rng: np.random.Generator) -> Rows:
    """Return ``count`` of ``rows``, in their order, from the first groups of a random order of groups."""
    names, member = np.unique(groups, return_inverse=True)
    place = rng.permutation(len(names))[member]
    chosen = np.argsort(place, kind="stable")[:count]
    return rows[np.sort(chosen)]
