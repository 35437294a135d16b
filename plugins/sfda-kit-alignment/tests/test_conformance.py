"""Every part of this package honours its contract."""

from __future__ import annotations

from typing import ClassVar

from sfda_kit.testing import AlignerConformance


class TestTiPredictions(AlignerConformance):
    name = "ti-predictions"


class TestTiPredictionsWarm(AlignerConformance):
    name = "ti-predictions"
    options: ClassVar = {"temperature": 4.0}


class TestTiMmd(AlignerConformance):
    name = "ti-mmd"


class TestTiMmdUnbiased(AlignerConformance):
    name = "ti-mmd"
    options: ClassVar = {"estimator": "unbiased", "bandwidths": [1.0]}


class TestTiCoral(AlignerConformance):
    name = "ti-coral"


class TestTiAdversarial(AlignerConformance):
    name = "ti-adversarial"


class TestTiAdversarialAtOnce(AlignerConformance):
    name = "ti-adversarial"
    options: ClassVar = {"warm_up": False}
