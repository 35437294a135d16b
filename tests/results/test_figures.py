"""Pictures of a run: one unit a panel, and no panel without values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfda_kit.results.figures import curves, draw_curves

ACCURACY, AGREEMENT, ENTROPY = "accuracy (%)", "agreement with source (%)", "mean entropy (nats)"


def history(epochs: int, labelled: bool) -> list[dict[str, Any]]:
    metrics = {"transductive_accuracy": 99.5, "heldout_accuracy": 99.0} if labelled else {}
    signals = {"source_agreement": 0.5, "entropy": 1.25}
    phases = ["distil"] + ["adapt"] * epochs
    return [{"phase": phases[i], "epoch": i + 1, "metrics": metrics, "signals": signals} for i in range(epochs)]


def test_entropy_and_agreement_have_panels_of_their_own():
    panels = curves(history(3, labelled=True))
    assert list(panels) == [ACCURACY, AGREEMENT, ENTROPY]
    assert panels[ACCURACY] == {"transductive": [99.5] * 3, "held out": [99.0] * 3}
    assert panels[AGREEMENT] == {"agreement": [50.0] * 3}
    assert panels[ENTROPY] == {"entropy": [1.25] * 3}


def test_without_labels_there_are_two_panels():
    assert list(curves(history(3, labelled=False))) == [AGREEMENT, ENTROPY]


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("labelled", [True, False])
def test_curves_are_drawn(tmp_path: Path, epochs: int, labelled: bool):
    draw_curves(history(epochs, labelled), tmp_path / "curves.png")
    pixels = np.asarray(Image.open(tmp_path / "curves.png").convert("L"))
    assert pixels.shape[1] > 200 * (3 if labelled else 2) and pixels.min() < 100
