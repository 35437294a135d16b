"""SQL queries over run folders, and export of the views as files. This module imports neither torch nor pydantic."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.files import atomic
from sfda_kit.results.columns import identifier, literal
from sfda_kit.results.database import VIEWS, Records

T = TypeVar("T")
ORDER = {"runs": "run_id", "history": "run_id, phase, epoch", "predictions": "run_id, name"}
FORMATS = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet"}

PLAIN_CELL = "CASE WHEN {text} SIMILAR TO '[=+@-].*' THEN concat(chr(39), {text}) ELSE {text} END"


@dataclass(frozen=True)
class Answer:
    """An answer holds the rows of a query; ``notices`` name the files that were left out."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    notices: list[str] = field(default_factory=list)


def query(sql: str, folder: Path) -> Answer:
    """Return the answer to ``sql`` over the records below ``folder``; ``DataError`` where there is no such folder.
    Raises ``UserError`` with DuckDB's message where the SQL is wrong."""
    with Records(folder) as records:
        # A match that names no view, such as one in a string, only costs time, so there is no need to parse the SQL.
        records.open([view for view in VIEWS if re.search(rf"\b{view}\b", sql, flags=re.IGNORECASE)])
        records.lock()
        found = _explained(lambda: records.connection.execute(sql))
        columns = [column[0] for column in found.description or ()]
        return Answer(columns, _explained(found.fetchall) if columns else [], records.notices)


def export(view: str, folder: Path, out: Path, file_format: str) -> Answer:
    """Write all of ``view`` to ``out`` as ``csv`` or ``parquet``; the answer holds the number of rows.
    Raises ``UserError`` for an unknown view or format and where ``out`` cannot be written."""
    for what, given, known in (("view", view, VIEWS), ("format", file_format, FORMATS)):
        if given not in known:
            raise UserError(f"There is no {what} {given!r}. {did_you_mean(given, known)}")
    with Records(folder) as records, atomic(out, "with --out.") as work:
        records.open([view])
        cells = _without_formulas(records, view) if file_format == "csv" else "*"
        rows = f"SELECT {cells} FROM (FROM {view} ORDER BY {ORDER[view]})"
        copy = f"COPY ({rows}) TO {literal(str(work))} ({FORMATS[file_format]})"
        found = _explained(lambda: records.connection.execute(copy).fetchall())
        return Answer(["rows"], found, records.notices)


def _without_formulas(records: Records, view: str) -> str:
    """Select all columns, with an apostrophe before each text that a spreadsheet would take for a formula."""
    kinds = records.connection.execute(f"DESCRIBE {view}").fetchall()
    texts = [identifier(name) for name, kind, *_ in kinds if kind == "VARCHAR"]
    cells = [f"{PLAIN_CELL.format(text=text)} AS {text}" for text in texts]
    return f"* REPLACE ({', '.join(cells)})" if cells else "*"


def _explained(work: Callable[[], T]) -> T:
    try:
        return work()
    except duckdb.Error as error:
        raise UserError(f"The query failed. {error}") from None
