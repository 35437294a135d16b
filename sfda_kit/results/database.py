"""Run folders as a DuckDB database in memory, with the views ``runs``, ``history`` and ``predictions``.
DuckDB parses the JSON, because pydantic or ``json`` would take seconds for ten thousand records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from sfda_kit.checksums import is_whole
from sfda_kit.results.columns import (
    PREDICTIONS,
    history_columns,
    identifier,
    literal,
    pointer,
    read_columns,
    run_columns,
)
from sfda_kit.results.listing import RECORD, run_folders

FORMAT = 1
EPOCHS = "history.json"
IMAGES = "predictions.parquet"
VIEWS = ("runs", "history", "predictions")
NUMBERS = {"DOUBLE", "BIGINT", "UBIGINT", "NULL", None}

NO_JSON = "CASE WHEN NOT json_valid(content) THEN 'it is not valid JSON' END"
NO_LIST = "CASE WHEN json_type(content) <> 'ARRAY' THEN 'it is no list of epochs' END"
FOREIGN = f"""CASE
    WHEN json_type(content, ['/run_id', '/method']) <> ['VARCHAR', 'VARCHAR'] THEN 'it is no record of a run'
    WHEN json_extract_string(content, '/format') IS DISTINCT FROM '{FORMAT}'
      THEN 'it has another format than {FORMAT}, which this version reads' END"""
NAMELESS = """CASE
    WHEN contains(content, '"":') AND regexp_matches(content, '[^\\\\]"":')
      THEN 'a figure has an empty name' END"""
COPY = """CASE
    WHEN EXISTS (FROM records AS other WHERE other.run_id = mine.run_id AND other.folder > mine.folder)
      THEN 'the same run lies in another folder too' END"""


class Records:
    """A database holds the records below ``folder``; ``DataError`` where there is no such folder.
    ``notices``: a sentence for each file that is left out, with the reason."""

    def __init__(self, folder: Path) -> None:
        self.notices: list[str] = []
        self.folders = run_folders(folder)
        # DuckDB must download no extension without asking; JSON and parquet are built in.
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self._load("records", RECORD)
        self._leave_out("records", RECORD, FOREIGN)
        self._leave_out("records", RECORD, NAMELESS)
        self.connection.execute("ALTER TABLE records ADD COLUMN run_id VARCHAR")
        self.connection.execute("UPDATE records SET run_id = json_extract_string(content, '/run_id')")
        self._leave_out("records", RECORD, COPY)
        self._create_runs()

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def open(self, views: Iterable[str]) -> None:
        """Create those of ``views`` that read other files than records."""
        if "history" in views:
            self._create_history()
        if "predictions" in views:
            self._create_predictions()

    def lock(self) -> None:
        """Keep all further SQL away from files and the network, except the predictions of these runs."""
        paths = _list(str(folder / IMAGES) for folder in self.folders)
        self.connection.execute(f"SET allowed_paths = {paths}")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def _load(self, table: str, file: str) -> None:
        """Create ``table`` with the folder and the content of each JSON file; leave out files that cannot be read."""
        folders, texts = [], []
        for folder in map(str, self.folders):
            try:
                with open(f"{folder}/{file}", "rb", buffering=0) as opened:  # noqa: PTH123 (a Path costs more)
                    texts.append(opened.read().decode())
                folders.append(folder)
            except FileNotFoundError:  # A failed run may have no history.
                continue
            except (OSError, UnicodeDecodeError) as error:
                self._notice(Path(folder) / file, str(error))
        columns = "unnest($1::VARCHAR[]) AS folder, unnest($2::VARCHAR[]) AS content"
        self.connection.execute(f"CREATE TABLE {table} AS SELECT {columns}", [folders, texts])
        self._leave_out(table, file, NO_JSON)

    def _leave_out(self, table: str, file: str, reason: str) -> None:
        """Remove the rows for which the SQL expression ``reason`` is not NULL, each with a notice."""
        found = f"SELECT folder, {reason} AS reason FROM {table} AS mine"
        rows = self.connection.execute(f"FROM ({found}) WHERE reason IS NOT NULL ORDER BY folder").fetchall()
        for folder, why in rows:
            self._notice(Path(folder) / file, why)
        if rows:
            folders = [folder for folder, _ in rows]
            self.connection.execute(f"DELETE FROM {table} WHERE list_contains($1::VARCHAR[], folder)", [folders])

    def _notice(self, path: Path, reason: str) -> None:
        self.notices.append(f"{path} is left out: {reason}")

    def _create_runs(self) -> None:
        baselines = self._keys("records", "content", ["baselines"])["baselines"]
        groups = ["metrics", "cost", *(f"baselines/{name}" for name in baselines)]
        columns = run_columns(self._keys("records", "content", groups))
        source = read_columns(columns, "content", "folder", "records")
        self.connection.execute(f"CREATE VIEW runs AS SELECT * EXCLUDE (folder), folder AS path FROM ({source})")

    def _create_history(self) -> None:
        self._load("histories", EPOCHS)
        self._leave_out("histories", EPOCHS, NO_LIST)
        self._leave_out("histories", EPOCHS, NAMELESS)
        rows = "unnest(from_json(histories.content, '[\"JSON\"]')) AS row_json"
        self.connection.execute(
            f"CREATE TABLE epochs AS SELECT run_id, {rows} FROM histories JOIN records USING (folder)"
        )
        figures = self._keys("epochs", "row_json", ["metrics", "signals"])
        figures["signals"] = self._numbers("epochs", "row_json", "signals", figures["signals"])
        columns = history_columns(figures)
        self.connection.execute(f"CREATE VIEW history AS {read_columns(columns, 'row_json', 'run_id', 'epochs')}")

    def _keys(self, table: str, json: str, groups: Sequence[str]) -> dict[str, list[str]]:
        """Return the sorted keys of the objects at ``groups`` (``metrics``, ``baselines/bridge``) of a JSON column."""
        places = _list(pointer(group.split("/")) for group in groups)
        found = self.connection.execute(f"SELECT DISTINCT json_keys({json}, {places}) FROM {table}").fetchall()
        return {
            group: sorted({key for (row,) in found for key in row[number] or () if key})
            for number, group in enumerate(groups)
        }

    def _numbers(self, table: str, json: str, group: str, keys: Sequence[str]) -> list[str]:
        """Return those of ``keys`` whose values are all numbers or missing."""
        if not keys:
            return []
        places = _list(pointer((group, key)) for key in keys)
        found = self.connection.execute(f"SELECT DISTINCT json_type({json}, {places}) FROM {table}").fetchall()
        return [key for number, key in enumerate(keys) if {row[number] for (row,) in found} <= NUMBERS]

    def _create_predictions(self) -> None:
        files = [path for folder in self.folders if (path := folder / IMAGES).exists()]
        whole = [str(path) for path in files if self._is_whole(path)]
        if not whole:
            columns = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in PREDICTIONS.items())
            self.connection.execute(f"CREATE VIEW predictions AS SELECT NULL::VARCHAR AS run_id, {columns} WHERE false")
            return
        self.connection.read_parquet(whole, union_by_name=True, filename=True).create_view("images")
        self.connection.execute(
            "CREATE VIEW predictions AS SELECT run_id, images.* EXCLUDE (filename) "
            f"FROM images JOIN records ON filename = folder || '/{IMAGES}'"
        )

    def _is_whole(self, path: Path) -> bool:
        whole = is_whole(path.parent, IMAGES)
        if whole is None:  # a run of an earlier version, or of an archive
            whole = self._has_footer(path)
        if not whole:
            self._notice(path, "it is not a whole parquet file")
        return whole

    def _has_footer(self, path: Path) -> bool:
        try:
            self.connection.execute("SELECT count(*) FROM parquet_schema($1)", [str(path)]).fetchall()
        except duckdb.Error:
            return False
        return True


def _list(places: Iterable[str]) -> str:
    return "[" + ", ".join(map(literal, places)) + "]"
