"""A leaderboard as a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.leaderboard.build import build_board
from sfda_kit.leaderboard.render.csv_table import csv_text
from sfda_kit.results.collection import found_runs

if TYPE_CHECKING:
    import pandas as pd


def read_board(
    records: str | Path | Sequence[str | Path], metric: str | None = None, configurations: bool = False
) -> pd.DataFrame:
    """Return the leaderboard of all runs below the folders ``records``, a row for each variant of a method.

    The columns are those of ``sfda-kit leaderboard show --format csv``: accuracies in percent, times in seconds.
    ``metric`` None: as ``build_board`` chooses it. ``configurations``: with a row for each configuration of a method
    that has several.

    Raises ``DataError`` where there is no run, and ``UserError`` for a metric that a board cannot be ranked by.
    """
    import pandas as pd

    folders = [records] if isinstance(records, (str, Path)) else records
    runs = found_runs([Path(one) for one in folders])
    return pd.read_csv(StringIO(csv_text(build_board(runs, metric, configurations))))
