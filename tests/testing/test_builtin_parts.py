"""The built-in parts honour the contracts that every plugin's parts do."""

from __future__ import annotations

from typing import ClassVar

from sfda_kit.testing import (
    AlignerConformance,
    BridgeConformance,
    EncodingConformance,
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


class TestCopyEncoding(EncodingConformance):
    name = "copy"


class TestJet(EncodingConformance):
    name = "jet"


class TestDisparity(EncodingConformance):
    name = "disparity"


class TestDisparityWithMask(EncodingConformance):
    name = "disparity"
    options: ClassVar = {"missing": "mask"}


class TestNormals(EncodingConformance):
    name = "normals"


class TestNormalsFilled(EncodingConformance):
    name = "normals"
    options: ClassVar = {"missing": "inpaint", "radius": 2}


class TestHha(EncodingConformance):
    name = "hha"


class TestHhaLevel(EncodingConformance):
    name = "hha"
    options: ClassVar = {"gravity": "level", "pitch": 20.0, "camera_height": 1.3}
