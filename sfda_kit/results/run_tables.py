"""A finished run as a program reads it: its record, and its history and predictions as data frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sfda_kit.errors import DataError
from sfda_kit.results.collection import StoredRun
from sfda_kit.results.record import Record, read_record

if TYPE_CHECKING:
    import pandas as pd


class RunTables(NamedTuple):
    """What a run left.

    ``history``: a row for each epoch, with nested keys as ``metrics.heldout_accuracy``. ``predictions``: a row for each
    image, None where the run has none; the columns are those of ``predictions.parquet``.
    """

    record: Record
    history: pd.DataFrame
    predictions: pd.DataFrame | None


def load_run(folder: str | Path) -> RunTables:
    """Read the folder of a run. Raises ``DataError`` where it holds no run, or a file of it is damaged."""
    import pandas as pd

    path = Path(folder)
    record = read_record(path)
    if record is None:
        raise DataError(f"{path} holds no run (no record.json). Name a run folder, such as runs/shot-...")
    stored = StoredRun(path, record)
    stored.check()
    predictions = stored.predictions
    return RunTables(
        record, pd.json_normalize(stored.history), predictions.to_pandas() if predictions is not None else None
    )
