"""Event files for TensorBoard in the run folder: ``tensorboard --logdir runs`` shows every run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from sfda_kit.interfaces.tracker import Tracker

if TYPE_CHECKING:
    from sfda_kit.events import Event

FOLDER = "tensorboard"
NUMBER = (int, float)


class TensorBoard(Tracker):
    """This tracker writes loss terms by step, figures and label-free signals by epoch, settings and pictures.

    A resumed run goes on in the same folder: what is there for a step or an epoch is not written again.
    """

    def __init__(self, run_dir: Path, described: Mapping[str, Any]) -> None:
        super().__init__(run_dir, described)
        self.written = _written(run_dir / FOLDER)
        self.steps: dict[str, int] = {}

    @cached_property
    def writer(self) -> SummaryWriter:
        """The writer, opened with the first figure, so that a run that stops before it leaves no file behind."""
        writer = SummaryWriter(str(self.run_dir / FOLDER))
        if not self.written:
            for tag in ("config", "recipe", "task"):
                writer.add_text(tag, _as_code(self.described[tag]), 0)
        return writer

    def event(self, event: Event) -> None:
        """Write the figures of ``event``; a step of a stage is counted from the start of its first epoch."""
        if event.kind == "stage":
            self.steps[event.stage] = event.data["steps"]
        elif event.kind == "step":
            step = event.data["epoch"] * self.steps.get(event.stage, 0) + event.data["step"]
            self._scalars(f"{event.stage}/loss", event.data["terms"], step)
        elif event.kind == "epoch":
            self._epoch(event)

    def _epoch(self, event: Event) -> None:
        epoch, signals = event.data["epoch"], event.data.get("signals", {})
        self._scalars(event.stage, {**signals, **event.data["figures"]}, epoch)
        tag = f"{event.stage}/predicted classes"
        if (counts := signals.get("histogram")) and self._is_new(tag, epoch):
            self._class_histogram(tag, counts, epoch)
        self.writer.flush()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the settings beside the final metrics, and the pictures, of a run that has ended well."""
        if summary["status"] == "ok":
            self._settings({name: value for name, value in summary["metrics"].items() if value is not None})
            self._pictures()
        self.writer.close()

    def _scalars(self, group: str, values: Mapping[str, Any], step: int) -> None:
        for name, value in values.items():
            tag = f"{group}/{name}"
            if isinstance(value, NUMBER) and self._is_new(tag, step):
                self.writer.add_scalar(tag, value, step)
                self.written.add((tag, step))

    def _is_new(self, tag: str, step: int) -> bool:
        return (tag, step) not in self.written

    def _class_histogram(self, tag: str, counts: Sequence[int], epoch: int) -> None:
        """Write one bucket per class, from its number - 0.5 to its number + 0.5, empty ones too."""
        number, classes = np.asarray(counts), np.arange(len(counts))
        self.writer.add_histogram_raw(
            tag,
            min=-0.5,
            max=len(counts) - 0.5,
            num=int(np.sum(number)),
            sum=float(np.sum(number * classes)),
            sum_squares=float(np.sum(number * classes**2)),
            bucket_limits=(classes + 0.5).tolist(),
            bucket_counts=number.tolist(),
            global_step=epoch,
        )

    def _settings(self, metrics: Mapping[str, float]) -> None:
        shown = {name: value for name, value in _flat(self.described["config"]) if value is not None}
        last = {f"final/{name}": value for name, value in metrics.items()}
        self.writer.add_hparams(shown, last, run_name=".")

    def _pictures(self) -> None:
        from PIL import Image

        for path in sorted((self.run_dir / "pictures").glob("*.png")):
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self.writer.add_image(f"pictures/{path.stem}", pixels, dataformats="HWC")


def _as_code(value: Any) -> str:
    """Return ``value`` as JSON in an indented block of Markdown."""
    return "    " + json.dumps(value, indent=2).replace("\n", "\n    ")


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str | float | None]]:
    """Turn ``{"a": {"b": 1}}`` into ``[("a.b", 1)]``; what is no number, text or truth value becomes JSON."""
    rows: list[tuple[str, str | float | None]] = []
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, (bool, int, float, str)):
            rows.append((prefix + name, value))
        else:
            rows.append((prefix + name, json.dumps(value)))
    return rows


def _written(folder: Path) -> set[tuple[str, int]]:
    """Return the tags and steps of the event files in ``folder``."""
    if not folder.is_dir():
        return set()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stored = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    stored.Reload()
    tags = stored.Tags()
    found = {(tag, event.step) for tag in tags["scalars"] for event in stored.Scalars(tag)}
    return found | {(tag, event.step) for tag in tags["histograms"] for event in stored.Histograms(tag)}
