"""Finished runs on the disk: their records, and their histories and predictions, which are read on first use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sfda_kit.errors import DataError
from sfda_kit.results.record import Record

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class StoredRun:
    """A stored run is a run folder with its record."""

    path: Path
    record: Record

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """One row for each epoch, empty where the file is missing."""
        path = self.path / "history.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []

    @cached_property
    def predictions(self) -> pa.Table | None:
        """The per-sample predictions (``results/predictions.py``), None where there are none."""
        import pyarrow.parquet as pq

        path = self.path / "predictions.parquet"
        return pq.read_table(path) if path.exists() else None


def load_runs(folders: Sequence[Path]) -> list[StoredRun]:
    """Return every run below ``folders`` by run id; ``DataError`` names a missing folder or an unreadable record."""
    found: dict[str, StoredRun] = {}
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"There is no folder {folder}. Name one that holds run folders, such as runs/.")
        for path in sorted(folder.rglob("record.json")):
            run = StoredRun(path.parent, _read(path))
            found[run.record.run_id] = run
    return [found[run_id] for run_id in sorted(found)]


def found_runs(folders: Sequence[Path]) -> list[StoredRun]:
    """Return ``load_runs`` of ``folders``, and raise ``DataError`` where there is no run."""
    runs = load_runs(folders)
    if not runs:
        named = ", ".join(map(str, folders))
        raise DataError(
            f"There is no record.json at any depth below {named}. Name the folder that `sfda-kit run` or "
            "`sfda-kit bench run` wrote to (its --runs-dir; runs/ by default)."
        )
    return runs


def _read(path: Path) -> Record:
    try:
        return Record.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is not a record of this version ({reason}). Remove it or its folder.") from None
