"""The conformance suite for pseudo-labelers."""

from __future__ import annotations

from typing import ClassVar

import torch

from sfda_kit.adaptation.feature_bank import FeatureBank
from sfda_kit.interfaces.pseudo_labeler import PseudoLabeler, PseudoLabels
from sfda_kit.plugins.tensors import described
from sfda_kit.testing.comparisons import assert_close, assert_same
from sfda_kit.testing.declaration import PartConformance
from sfda_kit.testing.networks import CLASSES
from sfda_kit.testing.signals import small_bank


class LabelerConformance(PartConformance):
    """A test class inherits from this suite and sets ``name`` (and ``options``), as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "labeler"

    def labels(self, bank: FeatureBank) -> PseudoLabels:
        """Return the labels by a new labeler."""
        labeler: PseudoLabeler = self.part()
        return labeler(bank)

    def test_labels_every_image(self) -> None:
        """Each image gets an int64 label in [0, K) and a finite weight >= 0, without gradients."""
        assert_valid(self.labels(small_bank()), 40, CLASSES)

    def test_does_not_change_the_bank(self) -> None:
        """The bank stays as it is, because other readers share it."""
        bank = small_bank()
        features, logits = bank.features.clone(), bank.logits.clone()
        self.labels(bank)
        assert_same(bank.features, features, "bank.features", "after the call (write into a copy)")
        assert_same(bank.logits, logits, "bank.logits", "after the call (write into a copy)")

    def test_order_of_images_does_not_matter(self) -> None:
        """Permuted images get permuted labels."""
        bank = small_bank()
        order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
        straight = self.labels(bank)
        permuted = self.labels(FeatureBank(bank.features[order], bank.logits[order]))
        where = "where the images come in another order"
        assert_same(permuted.labels, straight.labels[order], "an image's label", where)
        assert_close(permuted.weights, straight.weights[order], "an image's weight", where, rtol=1e-4, atol=1e-5)

    def test_collapsed_network(self) -> None:
        """Labels stay valid where all images are predicted as one class and all features are equal."""
        logits = torch.tensor([[9.0, 0.0, 0.0]]).repeat(5, 1)
        assert_valid(self.labels(FeatureBank(torch.zeros(5, 6), logits)), 5, CLASSES)

    def test_single_image(self) -> None:
        """A bank of one image gets valid labels too."""
        assert_valid(self.labels(small_bank(images=1)), 1, CLASSES)


def assert_valid(found: PseudoLabels, images: int, classes: int) -> None:
    """Assert that ``found`` labels ``images`` images with ``classes`` classes as the contract says."""
    assert isinstance(found, PseudoLabels), f"the labeler returned {described(found)}; expected PseudoLabels"
    labels, weights = found.labels, found.weights
    fits = labels.shape == (images,) and labels.dtype == torch.int64
    assert fits, f"labels are {described(labels)}; expected torch.int64 ({images},)"
    least, most = int(labels.min()), int(labels.max())
    assert 0 <= least <= most < classes, f"labels go from {least} to {most}; expected 0 to {classes - 1}"
    fits = weights.shape == (images,) and weights.is_floating_point()
    assert fits, f"weights are {described(weights)}; expected floating point ({images},)"
    least_weight = float(weights.min())
    assert weights.isfinite().all(), "a weight is not finite; expected finite numbers"
    assert least_weight >= 0, f"the least weight is {least_weight:.3g}; expected 0 or more"
    assert not weights.requires_grad, "the weights carry a gradient; expected them detached"
