"""The built-in parts honour the contracts that every plugin's parts do."""

from __future__ import annotations

from typing import ClassVar

from sfda_kit.testing import (
    AlignerConformance,
    BridgeConformance,
    LabelerConformance,
    RecipeConformance,
    ValidatorConformance,
)


class TestInfoMax(AlignerConformance):
    name = "infomax"


class TestTiFeatures(AlignerConformance):
    name = "ti-features"


class TestTiFeaturesFrobenius(AlignerConformance):
    name = "ti-features"
    options: ClassVar = {"reduction": "frobenius"}


class TestCopy(BridgeConformance):
    name = "copy"


class TestCentroid(LabelerConformance):
    name = "centroid"


class TestCentroidEuclidean(LabelerConformance):
    name = "centroid"
    options: ClassVar = {"rounds": 1, "metric": "euclidean"}


class TestSourceOnly(RecipeConformance):
    name = "source-only"


class TestSnd(ValidatorConformance):
    name = "snd"


class TestKnnAgreement(ValidatorConformance):
    name = "knn-agreement"


class TestBnm(ValidatorConformance):
    name = "bnm"


class TestSourceDrift(ValidatorConformance):
    name = "source-drift"


class TestAugmentationConsistency(ValidatorConformance):
    name = "augmentation-consistency"
