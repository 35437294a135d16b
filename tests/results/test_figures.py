"""Pictures of a run: one unit a panel, and no panel without values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from sfda_kit.adaptation.feature_bank import FeatureBank
from sfda_kit.results import figures
from sfda_kit.results.figures import MOST_NUMBERED, curves, draw_confusion, draw_curves, draw_predictions

pytestmark = pytest.mark.pictures

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


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are drawn in place of being written."""
    found: list[Figure] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: found.append(figure))
    return found


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_a_figure_is_a_png_at_200_dpi_and_a_pdf_and_both_are_the_same_again(tmp_path: Path):
    for name in ("one.png", "other.png"):
        draw_curves(history(3, labelled=True), tmp_path / name, source_only=40.0)
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (1860, 540)
    for suffix in (".png", ".pdf"):
        one, other = ((tmp_path / name).with_suffix(suffix).read_bytes() for name in ("one", "other"))
        assert one == other and one[:4] in (b"%PDF", b"\x89PNG")


def test_the_source_model_is_a_line_of_the_accuracies_alone(drawn: list[Figure]):
    draw_curves(history(3, labelled=True), Path("any.png"), source_only=40.0)
    lines = [{str(line.get_label()): line.get_ydata() for line in axis.lines} for axis in drawn[0].axes]
    assert {"transductive", "held out", "source-only, held out"} < set(lines[0]) and len(lines[0]) - len(lines[1]) == 2
    assert list(lines[0]["source-only, held out"]) == [40.0, 40.0]


class View:
    """Target images whose brightness is their row."""

    normalisation = None

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        return (rows / 100)[:, None, None, None].expand(-1, 3, 4, 4)


def test_predictions_are_shown_from_the_least_to_the_most_certain(drawn: list[Figure]):
    certain = torch.linspace(0.5, 1.0, 47).flip(0)
    bank = FeatureBank(torch.zeros(47, 2), torch.stack([certain.log(), (1 - certain).log()], dim=1))
    draw_predictions(View(), bank, ["cost$", "cup"], Path("any.png"))  # type: ignore[arg-type]
    shown = texts(drawn[0])
    assert len(shown) == 24 and shown[-1] == r"cost\$ 100 %" and shown[0].endswith(" 50 %")
    images = [float(image.get_array().max()) for image in drawn[0].axes[0].images]
    assert images == pytest.approx([row / 100 for row in range(46, -1, -2)])


class Matrix:
    def __init__(self, classes: int) -> None:
        self.classes = classes

    def confusion(self) -> np.ndarray[Any, Any]:
        return 7 * np.eye(self.classes, dtype=int)


@pytest.mark.parametrize(("classes", "digits"), [(3, 3), (MOST_NUMBERED + 1, 0)])
def test_digits_are_left_out_where_they_would_be_too_small(classes: int, digits: int, drawn: list[Figure]):
    draw_confusion(Matrix(classes), [f"c{k}" for k in range(classes)], "title", Path("any.png"))  # type: ignore[arg-type]
    assert texts(drawn[0]).count("100") == digits and drawn[0].get_figwidth() < 19
