"""Scores computed again from the predictions, and held against what the record says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from sfda_kit.evaluate.metrics import accuracy, calibration_error, mean_class_accuracy
from sfda_kit.submissions.predictions import Predictions
from sfda_kit.submissions.schema import Facts, Row

TOLERANCE = 1e-4
"""Percent; accuracies are quotients of counts."""

CALIBRATION_TOLERANCE = 1e-2
"""Percent; means of float32 differ a little between versions of numpy."""


def recomputed(found: Predictions) -> tuple[dict[str, float], dict[str, float]]:
    """Scores in percent of the method and of the source model; the latter's calibration is not stored."""
    method: dict[str, float] = {}
    source: dict[str, float] = {}
    for part in np.unique(found.part.astype(str)):
        rows = found.part == part
        labels = found.label[rows]
        method |= {
            f"{part}_accuracy": accuracy(found.prediction[rows], labels),
            f"{part}_mean_class_accuracy": mean_class_accuracy(found.prediction[rows], labels),
            f"{part}_calibration_error": calibration_error(found.probabilities[rows], labels),
        }
        source |= {
            f"{part}_accuracy": accuracy(found.source_only[rows], labels),
            f"{part}_mean_class_accuracy": mean_class_accuracy(found.source_only[rows], labels),
        }
    return method, source


def wrong_scores(facts: Facts, found: Predictions) -> Iterator[str]:
    """One line for every score of the record that its predictions do not give."""
    method, source = recomputed(found)
    metrics = facts.metrics.model_dump()
    yield from _differences("metrics", metrics, method)
    if "source-only" not in facts.baselines:
        yield "the record has no baseline source-only"
        return
    stated = facts.baselines["source-only"].model_dump()
    yield from _differences("baselines.source-only", stated, source)
    name = "source_only_heldout_accuracy"
    yield from _differences("metrics", metrics, {name: source["heldout_accuracy"]})
    if facts.config.method == "source-only":
        yield from _differences("baselines.source-only", stated, method)
    yield from _wrong_signals(facts.record.signals, found, len(facts.task.classes))


def _differences(where: str, stated: Mapping[str, Any], computed: Mapping[str, float]) -> Iterator[str]:
    for name, value in computed.items():
        tolerance = CALIBRATION_TOLERANCE if name.endswith("calibration_error") else TOLERANCE
        if abs(stated[name] - value) > tolerance:
            yield f"{where}.{name} is {stated[name]:.4f}, the predictions give {value:.4f}"


def _wrong_signals(signals: Mapping[str, Any], found: Predictions, classes: int) -> Iterator[str]:
    """The label-free figures that predictions decide."""
    rows = found.part == "transductive"
    histogram = np.bincount(found.prediction[rows], minlength=classes).tolist()
    if "histogram" in signals and signals["histogram"] != histogram:
        yield "signals.histogram is not that of the predictions"
    agreement = float((found.prediction[rows] == found.source_only[rows]).mean())
    stated = signals.get("source_agreement", agreement)
    if not isinstance(stated, (int, float)) or abs(stated - agreement) > 1e-5:
        yield f"signals.source_agreement is not that of the predictions, {agreement:.5f}"


def wrong_history(facts: Facts, rows: list[Row]) -> Iterator[str]:
    """What in the history contradicts itself or the final scores."""
    if not rows:
        yield "it has no epoch"
        return
    keys = [(row.phase, row.epoch) for row in rows]
    if len(set(keys)) < len(keys):
        yield "an epoch is there twice"
    if any(after.wall_s < before.wall_s for before, after in pairwise(rows)):
        yield "time runs backwards"
    phases = [phase for k, (phase, _) in enumerate(keys) if not k or keys[k - 1][0] != phase]
    epochs = {phase: [epoch for name, epoch in keys if name == phase] for phase in phases}
    if len(set(phases)) < len(phases) or any(found != sorted(found) for found in epochs.values()):
        yield "its epochs are out of order"
    last = rows[-1].metrics.model_dump()
    yield from _differences("metrics", facts.metrics.model_dump(), last)
