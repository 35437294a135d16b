"""Pictures of one run, drawn without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay
from torch import Tensor

from sfda_kit.files import atomic

if TYPE_CHECKING:
    from sfda_kit.data.views import ImageView
    from sfda_kit.evaluate.evaluation import Evaluated
    from sfda_kit.interfaces import AdaptationContext

mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG atomically."""
    with atomic(path) as work:
        figure.savefig(work, format="png", dpi=110, bbox_inches="tight")


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Accuracy where labels were at hand, entropy and agreement with the source model, by epoch."""
    figure = Figure(figsize=(7.5, 2.8))
    epochs = range(1, len(history) + 1)
    panels = [_scores(history)] if history[0].get("metrics") else []
    signals = ("source_agreement", "entropy")
    panels.append({name: [row["signals"][name] for row in history] for name in signals})
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, values in panel.items():
            axis.plot(epochs, values, marker="o", markersize=3, label=name.replace("_", " "))
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False)
    save_figure(figure, path)


def _scores(history: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    names = {"transductive_accuracy": "transductive (%)", "heldout_accuracy": "held out (%)"}
    return {title: [row["metrics"][name] for row in history] for name, title in names.items()}


def draw_pairs(context: AdaptationContext, path: Path, columns: int = 8) -> None:
    """TI pairs: what the target sensor saw, what the bridge makes of it, what the source sensor saw."""
    if context.pairs is None:
        return
    bridge = context.teacher_bridge or context.input_bridge
    rows = torch.arange(min(columns, len(context.pairs)))
    with torch.inference_mode():
        target = context.pairs.target.batch(rows)
        rowwise = {
            "target": target,
            "bridged": bridge(target),
            "true source": context.pairs.source.batch(rows),
        }
    figure = Figure(figsize=(1.1 * len(rows) + 0.8, 3.6))
    axes = figure.subplots(3, len(rows), squeeze=False)
    for line, (title, images) in zip(axes, rowwise.items(), strict=True):
        for axis, image in zip(line, _displayed(images, context.pairs.source), strict=True):
            axis.imshow(image)
            axis.set_xticks([])
            axis.set_yticks([])
        line[0].set_ylabel(title)
    save_figure(figure, path)


def _displayed(images: Tensor, view: ImageView) -> Any:
    shown = view.normalisation.undo(images.float()) if view.normalisation else images
    return shown.cpu().movedim(1, -1).numpy()


def draw_confusion(result: Evaluated, classes: Sequence[str], title: str, path: Path) -> None:
    """Row-normalised confusion matrix in percent."""
    side = 2.5 + 0.38 * len(classes)
    figure = Figure(figsize=(side, side))
    axis = figure.subplots()
    counts = result.confusion()
    percent = 100.0 * counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    display = ConfusionMatrixDisplay(percent, display_labels=list(classes))
    display.plot(ax=axis, values_format=".0f", colorbar=False, cmap="Blues", xticks_rotation="vertical")
    axis.set_title(title)
    save_figure(figure, path)


def draw_run(
    folder: Path,
    history: Sequence[Mapping[str, Any]],
    evaluated: Mapping[str, Evaluated],
    classes: Sequence[str],
    context: AdaptationContext,
) -> None:
    """``curves.png``, ``pairs.png`` and ``confusion.png`` in ``folder``."""
    draw_curves(history, folder / "curves.png")
    draw_pairs(context, folder / "pairs.png")
    title = "held-out target images, % of each class"
    draw_confusion(evaluated["heldout"], classes, title, folder / "confusion.png")
