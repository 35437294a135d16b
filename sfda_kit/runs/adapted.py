"""The result of ``sfda_kit.adapt``: the adapted model, its report without labels, and predictions."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sfda_kit.data.given_images import kept_side, read_series
from sfda_kit.files import write_whole
from sfda_kit.inference.adapted_card import AdaptedCard
from sfda_kit.inference.adapted_model import load_model
from sfda_kit.inference.predictor import Predictor
from sfda_kit.results.record import Record
from sfda_kit.source.module_card import adapted_module

if TYPE_CHECKING:
    import pandas as pd

    from sfda_kit.models.network import AdaptedModel


class LogitsModel(nn.Module):
    """Maps encoded, normalised target images (B, 3, S, S) to logits (B, K): the input bridge, then the network."""

    def __init__(self, adapted: AdaptedModel, network: nn.Module | None = None) -> None:
        super().__init__()
        self.input_bridge = adapted.input_bridge
        self.network = network or adapted.network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        output = self.network(self.input_bridge(images))
        found: Tensor = getattr(output, "logits", output)
        return found


@dataclass(frozen=True)
class Adapted:
    """``folder`` is the run's folder, ``record`` its record, and ``module`` the torch module that was adapted, if any.

    Everything is read from the run's folder when it is first used, and the models are on the CPU.
    """

    folder: Path
    record: Record
    module: nn.Module | None = None

    @cached_property
    def _loaded(self) -> tuple[AdaptedModel, AdaptedCard]:
        return load_model(self.folder)

    @property
    def card(self) -> AdaptedCard:
        """What the model takes and predicts: classes, encoding, normalisation, side of the images."""
        return self._loaded[1]

    @cached_property
    def model(self) -> nn.Module:
        """The adapted model in evaluation mode; it maps encoded, normalised images (B, 3, S, S) to logits (B, K).

        Where a torch module was adapted and the method has no trained input bridge, it is a copy of this module with
        the new weights.
        """
        adapted, card = self._loaded
        if self.module is None:
            return LogitsModel(adapted).eval()
        own = adapted_module(adapted.network, card.source.model.classifier or "").eval()
        return LogitsModel(adapted, own).eval() if list(adapted.input_bridge.parameters()) else own

    @property
    def report(self) -> pd.DataFrame:
        """What can be said without labels: a column for the source model, the bridge (if any) and the adapted model.

        Rows: mean ``entropy`` (nats), agreements (shares in [0, 1]), the score of each validator (higher is better),
        and the number of images predicted as each class.
        """
        import pandas as pd

        classes = self.record.task["classes"]
        return pd.DataFrame({name: _rows(entry, classes) for name, entry in self.record.signals["models"].items()})

    @property
    def alarms(self) -> list[str]:
        """The warnings of the monitor, with their epochs; empty where nothing looked wrong."""
        found = self.record.monitor.alarms if self.record.monitor else []
        return [f"{alarm.phase}, epoch {alarm.epoch}: {alarm.text}" for alarm in found]

    def predict(self, images: Any, batch_size: int = 64) -> pd.DataFrame:
        """Return ``name``, ``class`` and ``probability`` of each image, in order.

        ``images``: as the target of ``sfda_kit.adapt``. The name is the path below a folder, else the number of the
        image.
        """
        import pandas as pd

        model, card = self._loaded
        series = read_series(images, card.modality, card.unit or "", "images")
        pixels = series.load(kept_side(series.side, card.source.model.image_size))
        predictor = Predictor(model, card, card.unit, torch.device("cpu"))
        rows = [
            (one.path, one.label, one.probability)
            for start in range(0, len(pixels), batch_size)
            for one in predictor.classify(series.names[start : start + batch_size], pixels[start : start + batch_size])
        ]
        return pd.DataFrame(rows, columns=["name", "class", "probability"])

    def save(self, folder: str | Path) -> Path:
        """Copy model and card to a new folder, which ``load_model`` and ``sfda-kit predict --run`` read.

        Raises ``UserError`` where the folder is not empty or cannot be written.
        """

        def copied(work: Path) -> int:
            shutil.copytree(self.folder / "model", work, dirs_exist_ok=True)
            return 0

        write_whole(Path(folder), copied)
        return Path(folder)

    def __repr__(self) -> str:
        """Return method and folder."""
        return f"Adapted(method={self.record.method!r}, folder={str(self.folder)!r})"


def _rows(entry: dict[str, Any], classes: list[str]) -> dict[str, float | None]:
    figures = {name: value for name, value in entry.items() if name not in ("histogram", "validators")}
    scores = {f"validator {name}": value for name, value in entry["validators"].items()}
    counts = {f"predicted as {name}": count for name, count in zip(classes, entry["histogram"], strict=True)}
    return figures | scores | counts
