"""The built-in parts honour the contracts that every plugin's parts do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from sfda_kit.testing import (
    AlignerConformance,
    BridgeConformance,
    DatasetConformance,
    EncodingConformance,
    LabelerConformance,
    ModalityConformance,
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


class TestRgb(ModalityConformance):
    name = "rgb"


class TestDepth(ModalityConformance):
    name = "depth"


class TestNir(ModalityConformance):
    name = "nir"


class TestThermal(ModalityConformance):
    name = "thermal"


@pytest.mark.slow
class TestRooms(DatasetConformance):
    name = "rooms"
    options: ClassVar = {"scenes": 0.002}


class TestPairedFolder(DatasetConformance):
    name = "paired-folder"
    settings: ClassVar[dict[str, Any]] = {
        "source": "rgb@cam",
        "target": "depth@cam",
        "tr_classes": ("cup", "pan"),
        "skip_bad": True,
    }

    def make(self, folder: Path) -> Path:
        rng = np.random.default_rng(0)
        for name in ("cup", "pan"):
            for number in range(3):
                rgb, depth = rng.integers(0, 256, (20, 24, 3)), rng.integers(500, 3000, (20, 24))
                for modality, pixels in (("rgb", rgb.astype(np.uint8)), ("depth", depth.astype(np.uint16))):
                    file = folder / "cam" / modality / name / f"{name}{number}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(pixels).save(file)
        return folder
