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
    from sfda_kit.data.views import ImageView
    from sfda_kit.evaluate.evaluation import Evaluated
    from sfda_kit.interfaces.method import AdaptationContext

DPI = 100
mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG atomically, in 256 colours, which need a third of the bytes; every run keeps three such files."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    with atomic(path) as work, Image.open(drawn) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(work, format="PNG", optimize=True)


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw accuracy (where there were labels), agreement with the source model and entropy by epoch."""
    panels = curves(history)
    figure = Figure(figsize=(3.1 * len(panels), 2.7), layout="constrained")
    for axis, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, values in lines.items():
            axis.plot(range(1, len(history) + 1), values, marker="o", markersize=3, label=name)
        _mark_phases(axis, history)
        _widen(axis, title)
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if len(lines) > 1:
            axis.legend(frameon=False)
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
    count = len(next(iter(shown.values())))
    figure = Figure(figsize=(1.15 * count, 1.2 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), count, squeeze=False)
    for line, (title, images) in zip(axes, shown.items(), strict=True):
        for axis, image in zip(line, _displayed(images, context.pairs.source), strict=True):
            axis.imshow(image)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(title)
    save_figure(figure, path)


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


def _displayed(images: Tensor, view: ImageView) -> Any:
    shown = view.normalisation.undo(images.float()) if view.normalisation else images
    return shown.cpu().movedim(1, -1).numpy()


def draw_confusion(result: Evaluated, classes: Sequence[str], title: str, path: Path) -> None:
    """Draw the confusion matrix, normalised by row, in percent; cells that round to 0 are blank."""
    side = 2.5 + 0.38 * len(classes)
    figure = Figure(figsize=(side, side))
    axis = figure.subplots()
    counts = result.confusion()
    percent = 100.0 * counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    display = ConfusionMatrixDisplay(percent, display_labels=list(classes))
    scale = {"vmin": 0, "vmax": 100}
    display.plot(ax=axis, values_format=".0f", colorbar=False, cmap="Blues", xticks_rotation="vertical", im_kw=scale)
    for text in display.text_.flat:
        if text.get_text() == "0":
            text.set_text("")
    axis.set(title=title, xlabel="predicted", ylabel="true")
    axis.spines[:].set_visible(False)
    save_figure(figure, path)
