"""Predictions for images without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sfda_kit.files import atomic
from sfda_kit.results.predictions import list_rows

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank


def write_unlabelled_predictions(
    folder: Path, names: Sequence[str], adapted: FeatureBank, source: FeatureBank, classes: Sequence[str]
) -> None:
    """Write ``predictions.parquet``, sorted by name: prediction, probability, source_only_prediction, probabilities."""
    taken = pa.array(classes)
    table = pa.table(
        {
            "name": pa.array(list(names)),
            "prediction": taken.take(pa.array(adapted.predictions.cpu().numpy(), pa.int64())),
            "probability": pa.array(adapted.probabilities.amax(1).cpu().numpy(), pa.float32()),
            "source_only_prediction": taken.take(pa.array(source.predictions.cpu().numpy(), pa.int64())),
            "probabilities": list_rows(adapted.probabilities.cpu().numpy()),
        }
    )
    with atomic(folder / "predictions.parquet") as work:
        pq.write_table(table.sort_by("name"), work)
