"""Finished runs on the disk: their records, and their histories and predictions, which are read on first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.checksums import is_whole
from sfda_kit.errors import DataError, printable
from sfda_kit.results.listing import require_folder
from sfda_kit.results.record import Record, read_history, read_record

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class StoredRun:
    """A stored run is a run folder with its record."""

    path: Path
    record: Record

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """One row for each epoch, empty where the file is missing. Raises ``DataError`` where it is damaged."""
        return read_history(self.path)

    @cached_property
    def predictions(self) -> pa.Table | None:
        """The per-sample predictions (``results/predictions.py``), None where there are none.
        Raises ``DataError`` where the file is damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path / "predictions.parquet"
        try:
            return pq.read_table(path) if path.exists() else None
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is damaged ({printable(str(error))[:200]}). Run it again with --resume.") from None

    def check(self) -> None:
        """Raise ``DataError`` where the history or the predictions are damaged."""
        _ = self.history
        if self.predictions is not None and is_whole(self.path, "predictions.parquet") is False:
            raise DataError(f"{self.path} is damaged (its predictions have changed). Run it again with --resume.")


def refuse(error: DataError) -> None:
    """Raise the error of a damaged record; this is the default reaction."""
    raise error


def load_runs(folders: Sequence[Path], damaged: Callable[[DataError], object] = refuse) -> list[StoredRun]:
    """Return every run below ``folders`` by run id; ``damaged`` is called with the error of each unreadable record.
    Raises ``DataError`` where a folder is missing."""
    found: dict[str, StoredRun] = {}
    for folder in folders:
        require_folder(folder)
        for path in sorted(folder.rglob("record.json")):
            try:
                record = read_record(path.parent)
            except DataError as error:
                damaged(error)
                continue
            if record is not None:
                found[record.run_id] = StoredRun(path.parent, record)
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
