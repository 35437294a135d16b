"""Scores against naive counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit.metrics import accuracy, auroc, calibration_error, confusion, mean_class_accuracy

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@pytest.mark.slow
@given(pairs)
def test_scores_equal_counting_by_hand(rows: list[tuple[int, int]]):
    predictions, labels = (np.array(column) for column in zip(*rows, strict=True))
    right = [p == t for p, t in rows]
    assert accuracy(predictions, labels) == pytest.approx(100 * sum(right) / len(rows))
    recalls = []
    for label in sorted(set(labels.tolist())):
        of_class = [ok for ok, (_, t) in zip(right, rows, strict=True) if t == label]
        recalls.append(sum(of_class) / len(of_class))
    assert mean_class_accuracy(predictions, labels) == pytest.approx(100 * sum(recalls) / len(recalls))
    table = confusion(predictions, labels, 4)
    assert table.sum() == len(rows) and all(
        table[t, p] == sum(1 for q, u in rows if (u, q) == (t, p)) for t in range(4) for p in range(4)
    )


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])
    # confidence 0.9 with half right, confidence 0.6 with all right: (0.4 + 0.4) / 2
    assert calibration_error(probabilities, labels) == pytest.approx(40.0)
    assert calibration_error(np.eye(2), np.array([0, 1])) == pytest.approx(0.0)


def test_auroc_by_hand():
    """The share of pairs of an image of the class and another one that the probability of the class puts in order."""
    probabilities = np.array([[0.6, 0.3, 0.1], [0.3, 0.3, 0.4], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7]])
    labels = np.array([0, 0, 1, 2])
    # class 0: (0.6 > 0.4, 0.6 > 0.1, 0.3 < 0.4, 0.3 > 0.1) 3/4; class 1: 0.5 above all, 1; class 2: 0.7 above all, 1
    assert auroc(probabilities, labels) == pytest.approx(100 * (0.75 + 1 + 1) / 3)
    tied = np.array([[0.5, 0.5], [0.5, 0.5], [0.2, 0.8]])
    # class 0 (images 0, 1) against image 2: 1; class 1 (image 2): 1. With image 1 of class 1: ties count half.
    assert auroc(tied, np.array([0, 1, 1])) == pytest.approx(100 * (0.5 + 1) / 2)


def test_auroc_leaves_out_classes_without_images_and_says_nothing_of_one_label():
    assert auroc(np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]), np.array([0, 1])) == pytest.approx(100.0)
    assert auroc(np.array([[0.9, 0.1]]), np.array([0])) is None
