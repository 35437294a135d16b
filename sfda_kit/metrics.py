"""Scores of predictions against labels. Only these numbers in the toolkit use target labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, roc_auc_score

Array = NDArray[np.generic]


def accuracy(predictions: Array, labels: Array) -> float:
    """Return the percentage of correct predictions."""
    return float(100.0 * accuracy_score(labels, predictions))


def mean_class_accuracy(predictions: Array, labels: Array) -> float:
    """Return the mean percentage of correct predictions over the classes that occur in ``labels``."""
    recall = recall_score(labels, predictions, labels=np.unique(labels), average="macro", zero_division=0)
    return float(100.0 * recall)


def auroc(probabilities: NDArray[np.floating], labels: Array) -> float | None:
    """Return the area under the ROC curve of each class against the rest, as the mean over classes, in percent.

    ``probabilities``: (N, K). It measures how well a class's probabilities order the images, whatever the threshold: 50
    is chance. Classes that are the label of no image or of every image have no curve and are left out; None where none
    is left. Equal probabilities count as half (the statistic of Mann and Whitney).
    """
    areas = [roc_auc_score(labels == k, probabilities[:, k]) for k in np.unique(labels) if (labels != k).any()]
    return float(100.0 * np.mean(areas)) if areas else None


def calibration_error(probabilities: NDArray[np.floating], labels: Array, bins: int = 15) -> float:
    """Return the expected calibration error in percent: |confidence - accuracy| by confidence bin (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[bin_of == b].mean() - correct[bin_of == b].mean()) * (bin_of == b).mean()
        for b in np.unique(bin_of)
    ]
    return float(100.0 * sum(gaps))


def confusion(predictions: Array, labels: Array, classes: int) -> NDArray[np.int64]:
    """Return counts (K, K). Rows are true classes, columns are predicted classes."""
    return np.asarray(confusion_matrix(labels, predictions, labels=np.arange(classes)), dtype=np.int64)
