"""Pictures of a run, which are drawn without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from sklearn.metrics import ConfusionMatrixDisplay
from torch import Tensor

from sfda_kit.files import atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.data.views import ImageView
    from sfda_kit.evaluate.evaluation import Evaluated
    from sfda_kit.interfaces.method import AdaptationContext

DPI = 200
MOST_NUMBERED = 40
"""With more classes a confusion matrix has neither digits nor names, which would be too small to read."""
TILE, GAP = 1.1, 0.06
"""The side of a picture of a sheet, and the space between two of them, in inches."""
SHOWN = 24
"""The number of target images on the sheet of predictions."""
mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "pdf.fonttype": 42})


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG at 200 dpi in 256 colours, and beside it a PDF of vectors, each atomically.

    The layout is computed once. The same figure gives the same bytes.
    """
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    figure.set_layout_engine("none")
    with atomic(path) as work, Image.open(drawn) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(work, format="PNG", optimize=True)
    with atomic(path.with_suffix(".pdf")) as work:
        figure.savefig(work, format="pdf", metadata={"CreationDate": None})


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path, source_only: float | None = None) -> None:
    """Draw accuracy (where there were labels), agreement with the source model and entropy by epoch.

    ``source_only``: held-out accuracy of the source model in percent, a line of its own; None where there is none.
    """
    panels = curves(history)
    figure = Figure(figsize=(3.1 * len(panels), 2.7), layout="constrained")
    for axis, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, values in lines.items():
            axis.plot(range(1, len(history) + 1), values, marker="o", markersize=3, label=name)
        if source_only is not None and "held out" in lines:
            axis.axhline(source_only, color="0.4", linestyle="--", linewidth=1, label="source-only, held out")
        _mark_phases(axis, history)
        _widen(axis, title)
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if len(lines) > 1:
            axis.legend(framealpha=1, edgecolor="none")  # No line may strike through its words.
    save_figure(figure, path)


def curves(history: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Return the lines of each panel by name; a panel has one unit, and panels without values are left out."""
    panels = {
        "accuracy (%)": {
            "transductive": [row["metrics"].get("transductive_accuracy") for row in history],
            "held out": [row["metrics"].get("heldout_accuracy") for row in history],
        },
        "agreement with source (%)": {
            "agreement": [100 * row["signals"]["source_agreement"] for row in history],
        },
        "mean entropy (nats)": {"entropy": [row["signals"]["entropy"] for row in history]},
    }
    return {title: lines for title, lines in panels.items() if None not in next(iter(lines.values()))}


def _mark_phases(axis: Any, history: Sequence[Mapping[str, Any]]) -> None:
    for epoch, (before, after) in enumerate(pairwise(row["phase"] for row in history), start=1):
        if before != after:
            axis.axvline(epoch + 0.5, color="0.6", linewidth=0.8, linestyle=":")


def _widen(axis: Any, title: str) -> None:
    """Widen the axis to ten points of percent or half a nat, so that noise does not fill the panel."""
    low, high = axis.get_ylim()
    missing = max(0.0, (10.0 if "%" in title else 0.5) - (high - low))
    low = max(0.0, low - missing / 2)
    axis.set_ylim(low, min(high + missing / 2, 102.0 if "%" in title else float("inf")))


def draw_pairs(context: AdaptationContext, path: Path, columns: int = 8) -> None:
    """Draw TI pairs: images of the target sensor, what the bridge makes of them, and images of the source sensor."""
    if not context.pairs:
        return
    shown = _pair_rows(context, torch.arange(min(columns, len(context.pairs))))
    rows = [_displayed(images, context.pairs.source) for images in shown.values()]
    figure, axis = _sheet(rows, left=0.25)
    for place, title in enumerate(shown):
        axis.text(-GAP, place * (TILE + GAP) + TILE / 2, title, rotation=90, ha="right", va="center")
    save_figure(figure, path)


def draw_predictions(view: ImageView, bank: FeatureBank, classes: Sequence[str], path: Path, columns: int = 6) -> None:
    """Draw target images from the least to the most certain one, each with its predicted class and its probability.

    ``bank``: what the model predicts for the images of ``view``, row by row. The images are spread evenly over the
    probabilities. No label is read.
    """
    certainty, codes = bank.probabilities.cpu().max(dim=1)
    order = certainty.argsort(stable=True)
    count = min(SHOWN, len(order))
    chosen = order[torch.linspace(0, len(order) - 1, count).round().long()]
    images = _displayed(view.batch(chosen), view)
    below = 0.17
    figure, axis = _sheet([images[place : place + columns] for place in range(0, count, columns)], below=below)
    for place, row in enumerate(chosen.tolist()):
        x, y = place % columns * (TILE + GAP), place // columns * (TILE + GAP + below)
        name = classes[int(codes[row])].replace("$", r"\$")
        text = f"{name if len(name) <= 14 else name[:13] + '…'} {100 * certainty[row]:.0f} %"
        axis.text(x + TILE / 2, y + TILE + 0.02, text, ha="center", va="top", fontsize=7)
    save_figure(figure, path)


def _sheet(rows: Sequence[NDArray[Any]], left: float = 0.0, below: float = 0.0) -> tuple[Figure, Any]:
    """Return a figure with rows of images (N, H, W, 3), and its axis in inches.

    ``left`` inches are free beside the rows, and ``below`` inches under each.

    One axis for all images is drawn several times faster than one for each.
    """
    columns = max(map(len, rows))
    width, height = columns * (TILE + GAP), len(rows) * (TILE + GAP + below)
    figure = Figure(figsize=(left + width, height))
    axis = figure.add_axes((left / (left + width), 0, width / (left + width), 1))
    axis.axis("off")
    for line, images in enumerate(rows):
        for place, image in enumerate(images):
            x, y = place * (TILE + GAP), line * (TILE + GAP + below)
            axis.imshow(image, extent=(x, x + TILE, y + TILE, y), aspect="auto", interpolation="none")
    axis.set(xlim=(0, width), ylim=(height, 0))
    return figure, axis


def _pair_rows(context: AdaptationContext, rows: Tensor) -> dict[str, Tensor]:
    """Return the images of each row by title; a bridge that changes nothing has no row."""
    assert context.pairs is not None
    pairs, bridge = context.pairs, context.teacher_bridge or context.input_bridge
    with torch.inference_mode():
        target, source = pairs.target.batch(rows), pairs.source.batch(rows)
        bridged = bridge(target)
    shown = {f"target: {pairs.target.modality.name}": target, "bridged": bridged}
    if torch.equal(bridged, target):
        del shown["bridged"]
    return shown | {f"source: {pairs.source.modality.name}": source}


def _displayed(images: Tensor, view: ImageView) -> NDArray[Any]:
    """Return images (N, H, W, 3) in [0, 1]."""
    shown = view.normalisation.undo(images.float()) if view.normalisation else images
    return shown.cpu().movedim(1, -1).clamp(0, 1).numpy()


def draw_confusion(result: Evaluated, classes: Sequence[str], title: str, path: Path) -> None:
    """Draw the confusion matrix, normalised by row, in percent; cells that round to 0 are blank.

    With more than ``MOST_NUMBERED`` classes it is a map without digits and names.
    """
    numbered = len(classes) <= MOST_NUMBERED
    side = 2.5 + 0.38 * len(classes) if numbered else 9.0
    figure = Figure(figsize=(side, side), layout="constrained")
    axis = figure.subplots()
    counts = result.confusion()
    percent = 100.0 * counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    display = ConfusionMatrixDisplay(percent, display_labels=[name.replace("$", r"\$") for name in classes])
    display.plot(
        ax=axis,
        include_values=numbered,
        values_format=".0f",
        colorbar=not numbered,
        cmap="Blues",
        xticks_rotation="vertical",
        im_kw={"vmin": 0, "vmax": 100},
    )
    for text in display.text_.flat if numbered else ():
        if text.get_text() == "0":
            text.set_text("")
    axis.set(title=title, xlabel="predicted", ylabel="true")
    if not numbered:
        axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    save_figure(figure, path)
