"""Computes scores again from the predictions and compares them with those in the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sfda_kit.metrics import accuracy, auroc, calibration_error, mean_class_accuracy
from sfda_kit.submissions.predictions import Predictions
from sfda_kit.submissions.schema import Facts

TOLERANCE = 1e-4
"""Allowed difference of accuracies in percent; they are quotients of counts."""

CALIBRATION_TOLERANCE = 1e-2
"""Allowed difference in percent; means of float32 differ a little between versions of numpy."""

LATER = ("auroc",)
"""Scores that records of older versions do not have; they are compared where a record states them."""


def recomputed(found: Predictions) -> tuple[dict[str, float], dict[str, float]]:
    """Return the scores in percent of the method, and of the source model, whose probabilities are not stored."""
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
        if (area := auroc(found.probabilities[rows], labels)) is not None:
            method[f"{part}_auroc"] = area
        source |= {
            f"{part}_accuracy": accuracy(found.source_only[rows], labels),
            f"{part}_mean_class_accuracy": mean_class_accuracy(found.source_only[rows], labels),
        }
    return method, source


def wrong_scores(facts: Facts, found: Predictions) -> Iterator[str]:
    """Yield one line for every score of the record that its predictions do not give."""
    method, source = recomputed(found)
    metrics = facts.metrics.model_dump()
    yield from differences("metrics", metrics, method)
    if "source-only" not in facts.baselines:
        yield "the record has no baseline source-only"
        return
    stated = facts.baselines["source-only"].model_dump()
    yield from differences("baselines.source-only", stated, source)
    if "heldout_accuracy" in source:
        yield from differences("metrics", metrics, {"source_only_heldout_accuracy": source["heldout_accuracy"]})
    if facts.config.method == "source-only":
        yield from differences("baselines.source-only", stated, method)
    yield from _wrong_signals(facts.record.signals, found, len(facts.task.classes))


def differences(where: str, stated: Mapping[str, Any], computed: Mapping[str, float]) -> Iterator[str]:
    """Yield one line for every value of ``computed`` from which ``stated`` differs by more than the tolerance."""
    for name, value in computed.items():
        if stated[name] is None:
            if not name.endswith(LATER):
                yield f"{where}.{name} is missing, the predictions give {value:.4f}"
            continue
        tolerance = CALIBRATION_TOLERANCE if name.endswith("calibration_error") else TOLERANCE
        if abs(stated[name] - value) > tolerance:
            yield f"{where}.{name} is {stated[name]:.4f}, the predictions give {value:.4f}"


def _wrong_signals(signals: Mapping[str, Any], found: Predictions, classes: int) -> Iterator[str]:
    """Yield the label-free figures that are not those of the predictions."""
    rows = found.part == "transductive"
    histogram = np.bincount(found.prediction[rows], minlength=classes).tolist()
    if "histogram" in signals and signals["histogram"] != histogram:
        yield "signals.histogram is not that of the predictions"
    agreement = float((found.prediction[rows] == found.source_only[rows]).mean())
    stated = signals.get("source_agreement", agreement)
    if not isinstance(stated, (int, float)) or abs(stated - agreement) > 1e-5:
        yield f"signals.source_agreement is not that of the predictions, {agreement:.5f}"
