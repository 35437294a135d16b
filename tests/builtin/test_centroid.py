"""Centroid labels against loops written from the paper."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfda_kit.adaptation.feature_bank import FeatureBank
from sfda_kit.builtin.centroid import Centroid
from sfda_kit.errors import UserError

Rows = list[list[float]]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(dot(vector, vector))
    return [value / length for value in vector]


def naive_labels(features: Rows, probabilities: Rows, rounds: int, metric: str) -> list[int]:
    classes = len(probabilities[0])
    points = [unit([*f, 1.0]) for f in features] if metric == "cosine" else features
    allowed = {p.index(max(p)) for p in probabilities}
    membership = probabilities
    labels: list[int] = []
    for _ in range(rounds):
        centroids = {}
        for k in allowed:
            mass = sum(m[k] for m in membership)
            sums = [sum(m[k] * f[d] for m, f in zip(membership, points, strict=True)) for d in range(len(points[0]))]
            centroids[k] = [value / mass for value in sums]
        labels = [min(sorted(allowed), key=lambda k: distance(f, centroids[k], metric)) for f in points]
        membership = [[float(k == label) for k in range(classes)] for label in labels]
        allowed = set(labels)
    return labels


def distance(a: list[float], b: list[float], metric: str) -> float:
    return 1 - dot(a, unit(b)) if metric == "cosine" else math.dist(a, b)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 3), st.sampled_from(["cosine", "euclidean"]))
def test_labels_are_the_papers(seed: int, rounds: int, metric: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    logits = 2 * torch.randn(9, 4, generator=generator, dtype=torch.float64)
    bank = FeatureBank(features, logits)
    found = Centroid(rounds, metric)(bank).labels  # type: ignore[arg-type]
    assert found.tolist() == naive_labels(features.tolist(), bank.probabilities.tolist(), rounds, metric)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 3), st.sampled_from(["cosine", "euclidean"]))
def test_neither_order_nor_names_of_classes_nor_axes_of_the_features_matter(
    seed: int, rounds: int, metric: str
) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    logits = 2 * torch.randn(9, 4, generator=generator, dtype=torch.float64)
    images, classes = torch.randperm(9, generator=generator), torch.randperm(4, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    labeler = Centroid(rounds, metric)  # type: ignore[arg-type]
    straight = labeler(FeatureBank(features, logits)).labels
    moved = labeler(FeatureBank(features[images] @ turn, logits[images][:, classes])).labels
    assert torch.equal(classes[moved], straight[images])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.01, 100), st.floats(-50, 50))
def test_distances_see_neither_scale_nor_origin(seed: int, scale: float, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    logits = 2 * torch.randn(9, 4, generator=generator, dtype=torch.float64)
    labeler = Centroid(metric="euclidean")
    moved = labeler(FeatureBank(scale * (features + shift), logits))
    assert torch.equal(moved.labels, labeler(FeatureBank(features, logits)).labels)


def test_corrects_a_wrong_prediction() -> None:
    features = torch.tensor([[5.0, 0.0], [5.0, 0.2], [5.0, -0.2], [0.0, 5.0], [0.2, 5.0]])
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 0.5], [0.0, 2.0], [0.0, 2.0]])
    assert Centroid()(FeatureBank(features, logits)).labels.tolist() == [0, 0, 0, 1, 1]


def test_class_nobody_is_predicted_as_is_dropped() -> None:
    # Class 2 is the second choice of every image, so its soft centroid exists and lies near them all.
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [0.6, 0.8]])
    logits = torch.tensor([[1.0, -3.0, 0.9], [-3.0, 1.0, 0.9], [1.0, -3.0, 0.9], [-3.0, 1.0, 0.9]])
    for rounds in (1, 2):
        assert 2 not in Centroid(rounds)(FeatureBank(features, logits)).labels.tolist()


def test_weights_are_one() -> None:
    labels = Centroid()(FeatureBank(torch.randn(7, 3), torch.randn(7, 2)))
    assert labels.weights.tolist() == [1.0] * 7


@pytest.mark.parametrize("options", [{"rounds": 0}, {"metric": "manhattan"}])
def test_bad_options_say_what_is_expected(options: dict[str, object]) -> None:
    with pytest.raises(UserError, match="rounds of at least 1 and metric one of cosine, euclidean"):
        Centroid(**options)  # type: ignore[arg-type]
