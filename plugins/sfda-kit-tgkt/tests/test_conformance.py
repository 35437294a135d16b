"""Every part of this package honours its contract."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from sfda_kit_tgkt.unet import UNet

from sfda_kit.testing import AlignerConformance, BridgeConformance, RecipeConformance


class TestAffine(BridgeConformance):
    name = "affine"


class TestFcBnConv(BridgeConformance):
    name = "fcbnconv"


class TestUNet(BridgeConformance):
    name = "unet"

    def bridge(self) -> UNet:
        bridge = super().bridge()
        assert isinstance(bridge, UNet)
        bridge.head.weight.data.fill_(0.01)  # at its start, exactly zero, no inner layer has a gradient
        return bridge


class TestAffinePixels(BridgeConformance):
    name = "affine"
    options: ClassVar = {"level": "pixels"}


class TestAffineBottleneck(BridgeConformance):
    name = "affine"
    options: ClassVar = {"level": "bottleneck"}


class TestVqGan(BridgeConformance):
    name = "vqgan"

    @pytest.fixture(autouse=True)
    def same_images(self) -> None:
        torch.manual_seed(0)  # of images drawn at random one in thousands lies between two codes


class TestDistill(AlignerConformance):
    name = "distill"


class TestDistillWarm(AlignerConformance):
    name = "distill"
    options: ClassVar = {"temperature": 2.0}


class TestTgmb(RecipeConformance):
    name = "tgmb"


class TestTgmbPaper(RecipeConformance):
    name = "tgmb-paper"


class TestTgktJoint(RecipeConformance):
    name = "tgkt-joint"


class TestTgkt(RecipeConformance):
    name = "tgkt"
