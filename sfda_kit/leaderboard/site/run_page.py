"""The content of a run's page in addition to its record."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.leaderboard.board import LATER_METRICS, METRICS
from sfda_kit.leaderboard.site.confusion import Confusion, confusion_of
from sfda_kit.leaderboard.site.names import page_name
from sfda_kit.leaderboard.site.pictures import pictures_of, reencode
from sfda_kit.results.redaction import without_folders

if TYPE_CHECKING:
    from sfda_kit.results.collection import StoredRun

CURVES = {"heldout_accuracy": "held out", "transductive_accuracy": "transductive"}
CAPTIONS = {
    "pairs": "Pairs of the other classes: what the target sensor saw, what the bridge makes of it where there is one, "
    "and what the source sensor saw",
    "curves": "Accuracy, agreement with the source model and entropy by epoch",
    "confusion": "Confusion matrix of held-out target images",
    "predictions": "Target images from the least to the most certain one, with predicted class and probability",
}
"""Text alternatives of the pictures that every run draws."""


@dataclass(frozen=True)
class Picture:
    """A picture of a run is a file of the site, with its size in pixels."""

    file: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class Curves:
    """Curves are lines by name over the same epochs, between ``low`` and ``high`` percent."""

    lines: Mapping[str, Sequence[float]]
    low: float
    high: float

    @property
    def epochs(self) -> int:
        """The number of epochs of the longest line."""
        return max(len(line) for line in self.lines.values())


@dataclass(frozen=True)
class RunPage:
    """A page shows one run. ``config``: its configuration as JSON, which is also YAML."""

    run: StoredRun
    page: str
    curves: Curves | None
    confusion: Confusion | None
    pictures: tuple[Picture, ...]
    config: str
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def prepare(run: StoredRun, site: Path) -> RunPage:
    """Read what the page of ``run`` needs, and write its pictures below ``site``."""
    page = page_name(run.record.run_id)
    curves, confusion = curves_of(history_of(run)), confusion_of(run)
    shown = {name for name, found in (("curves", curves), ("confusion", confusion)) if found}
    pictures = [_picture(path, site) for path in pictures_of(run.path) if path.stem not in shown]
    config = _sections(without_folders(run.record.config))
    return RunPage(run, page, curves, confusion, tuple(p for p in pictures if p), config, _scores(run))


def _sections(config: Mapping[str, Any]) -> str:
    """Return ``config`` as JSON with one section per line."""
    lines = (f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in config.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def history_of(run: StoredRun) -> list[dict[str, Any]]:
    """Return the epochs of ``run`` with their metrics; rows in another form than a run writes are left out."""
    try:
        rows = run.history
    except (OSError, ValueError):
        return []
    usable = rows if isinstance(rows, list) else []
    return [row for row in usable if isinstance(row, dict) and isinstance(row.get("metrics"), dict)]


def curve(history: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    """Return ``metric`` by epoch, up to the first epoch in which it is missing or no percentage."""
    values: list[float] = []
    for epoch in history:
        value = epoch["metrics"].get(metric)
        if not isinstance(value, (int, float)) or not 0.0 <= value <= 100.0:
            break
        values.append(float(value))
    return values


def curves_of(history: Sequence[Mapping[str, Any]]) -> Curves | None:
    """Return learning curves in percent, None where there are fewer than two epochs with labels."""
    lines = {name: line for metric, name in CURVES.items() if len(line := curve(history, metric)) > 1}
    values = [value for line in lines.values() for value in line]
    if not values:
        return None
    low, high = 10 * math.floor(min(values) / 10), 10 * math.ceil(max(values) / 10)
    return Curves(lines, low, max(high, low + 10))


def _scores(run: StoredRun) -> dict[str, dict[str, float]]:
    """Return the metrics of the source model, the bridge and the adapted model, by the name that the page shows."""
    rows = {**run.record.baselines, "this run": run.record.metrics}
    found = {name: {m: values[m] for m in (*METRICS, *LATER_METRICS) if m in values} for name, values in rows.items()}
    return {name: values for name, values in found.items() if values}


def _picture(path: Path, site: Path) -> Picture | None:
    made = reencode(path, site / "pictures")
    if made is None:
        return None
    name, width, height = made
    caption = CAPTIONS.get(path.stem, f"Picture of the run: {path.stem}")
    return Picture(f"pictures/{name}", caption, width, height)
