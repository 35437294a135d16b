"""The conformance suite for validators."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch

from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks
from sfda_kit.testing.comparisons import assert_same
from sfda_kit.testing.declaration import PartConformance
from sfda_kit.testing.signals import small_bank


class ValidatorConformance(PartConformance):
    """A test class inherits from this suite and sets ``name`` (and ``options``), as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "validator"

    def score(self, bank: FeatureBank, source: FeatureBank, augmented: FeatureBank) -> float:
        """Return a new validator's score; it gets what it reads: ``augmented``, or ``source`` and it as pairs."""
        validator: Any = self.part()
        extra = {"augmented": augmented, "pairs": PairBanks(source, augmented)}
        found = validator(bank, source, **{name: extra[name] for name in validator.reads})
        assert isinstance(found, float), f"the score is a {type(found).__name__}; expected a float"
        assert math.isfinite(found), f"the score is {found}; expected a finite number"
        return found

    def test_says_what_it_uses(self) -> None:
        """A declaration that says what the validator uses names the pairs that it reads."""
        uses, reads = self.component().uses, self.part().reads
        told = f'the validator reads pairs, and its declaration has uses={uses!r}; expected uses=("pairs",)'
        assert uses is None or "pairs" not in reads or "pairs" in uses, told

    def test_gives_a_finite_number_and_changes_no_bank(self) -> None:
        """The score is a finite number, and the banks stay as they are, because others read them too."""
        banks = [small_bank(seed) for seed in range(3)]
        before = [(bank.features.clone(), bank.logits.clone()) for bank in banks]
        self.score(*banks)
        for bank, (features, logits) in zip(banks, before, strict=True):
            assert_same(bank.features, features, "bank.features", "after the call (write into a copy)")
            assert_same(bank.logits, logits, "bank.logits", "after the call (write into a copy)")

    def test_order_of_images_does_not_matter(self) -> None:
        """The same images in another order score the same."""
        banks = [small_bank(seed) for seed in range(3)]
        order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
        permuted = [FeatureBank(bank.features[order], bank.logits[order]) for bank in banks]
        straight, found = self.score(*banks), self.score(*permuted)
        told = f"the score is {found:.6g} where the images come in another order; expected {straight:.6g}"
        assert math.isclose(found, straight, rel_tol=1e-4, abs_tol=1e-5), told

    def test_collapsed_network(self) -> None:
        """The score is a number where all images are predicted as one class and all features are equal."""
        collapsed = FeatureBank(torch.zeros(5, 6), torch.tensor([[90.0, 0.0, 0.0]]).repeat(5, 1))
        self.score(collapsed, small_bank(images=5), collapsed)

    def test_single_image(self) -> None:
        """The score is a number for a bank of one image too."""
        self.score(*(small_bank(seed, images=1) for seed in range(3)))
