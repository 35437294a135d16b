"""What a stranger who knows the format can do: change files, sign them again, build zips by hand."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from sfda_kit.config.digest import digest
from sfda_kit.submissions.pack import zipped

MANIFEST = "manifest.json"


class Files(dict[str, bytes]):
    """Contents by name; ``run`` and the others speak of the run of one method (source-only unless told)."""

    def __repr__(self) -> str:
        return f"{len(self)} files"

    def run(self, method: str = "source-only") -> str:
        """Run id."""
        return next(name.partition("/")[0] for name in self if name.startswith(f"{method}-"))

    def path(self, file: str, method: str = "source-only") -> str:
        """Name in the archive."""
        return f"{self.run(method)}/{file}"

    def read(self, file: str, method: str = "source-only") -> Any:
        """A JSON file."""
        return json.loads(self[self.path(file, method)])

    def write(self, file: str, value: Any, method: str = "source-only") -> None:
        """A JSON file."""
        self[self.path(file, method)] = json.dumps(value).encode()

    def edit(self, change: Callable[[Any], object], file: str = "record.json", method: str = "source-only") -> None:
        """Change a JSON file; a record's digest and config.yaml are made to match."""
        value = self.read(file, method)
        change(value)
        if file == "record.json":
            value["config_digest"] = digest({"config": value["config"], "recipe": value["recipe"]})
            identity = {"config": value["config"], "recipe": value["recipe"], "source": None}
            identity["data"] = value["task"].get("fingerprint")
            self[self.path("config.yaml", method)] = yaml.safe_dump(identity).encode()
        self.write(file, value, method)

    def table(self, method: str = "source-only") -> pa.Table:
        """The predictions."""
        return pq.read_table(pa.BufferReader(self[self.path("predictions.parquet", method)]))

    def predict(self, change: Callable[[list[dict[str, Any]]], object], method: str = "source-only") -> None:
        """Change the rows of the predictions."""
        table = self.table(method)
        rows = table.to_pylist()
        change(rows)
        self.write_table(pa.Table.from_pylist(rows, schema=table.schema), method)

    def write_table(self, table: pa.Table, method: str = "source-only", **options: Any) -> None:
        """Replace the predictions."""
        stream = io.BytesIO()
        pq.write_table(table, stream, **options)
        self[self.path("predictions.parquet", method)] = stream.getvalue()


def manifest_of(files: Files) -> bytes:
    """The manifest with the hashes of the files as they are now."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {n: hashlib.sha256(c).hexdigest() for n, c in sorted(files.items()) if n != MANIFEST}
    return json.dumps(manifest).encode()


def signed(files: Files) -> bytes:
    """An archive of ``files`` with a manifest that fits."""
    return zipped({**files, MANIFEST: manifest_of(files)})


def by_hand(entries: Iterable[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    """A zip of any entries, as `zipfile` writes them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in entries:
            archive.writestr(info, content, info.compress_type)
    return stream.getvalue()


def entry(name: str, mode: int = 0o100644, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    """A header."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr, info.compress_type = 3, mode << 16, method
    return info


def stored(files: Files) -> bytes:
    """``signed`` without compression: what compresses too well is refused before anyone reads it."""
    full = {MANIFEST: manifest_of(files), **{n: c for n, c in files.items() if n != MANIFEST}}
    return by_hand([(entry(name, method=zipfile.ZIP_STORED), content) for name, content in full.items()])


def entries(files: Files) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """All files with a manifest that fits."""
    full = {**files, MANIFEST: manifest_of(files)}
    return [(entry(name), content) for name, content in full.items()]
