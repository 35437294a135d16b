"""Writing shards as ``webdataset.ShardWriter`` does, so that each of the two reads the shards of the other."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from sfda_kit.shards.labels import FIELDS, Labels

PATTERN = "shard-{:06d}.tar"
DEFAULT_BYTES = 10**9
"""Bytes of one shard: large enough for quick reading, small enough to copy again."""

MOST_SAMPLES = 50_000
"""The most samples of one shard. Small images would fill a shard of the usual size with millions, and whoever lists a
shard holds about 1.3 kB for each of its samples."""


class ShardWriter:
    """Writes samples to shards of about ``size`` bytes, without times and owners: equal samples give equal bytes."""

    def __init__(self, folder: Path, size: int = DEFAULT_BYTES) -> None:
        self.folder, self.size, self.shards, self._samples = folder, size, 0, 0
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tar is not None:
            self._tar.close()

    def write(self, key: str, labels: Labels, images: Mapping[str, bytes]) -> None:
        """Write one sample. ``images``: ending (``rgb.jpg``) -> the bytes of the file."""
        tar = self._room()
        self._samples += 1
        told = {name: value for name, value in zip(FIELDS, labels, strict=True) if value}
        files = {**images, "json": json.dumps(told, ensure_ascii=False).encode()}
        for ending, data in sorted(files.items()):
            member = tarfile.TarInfo(f"{key}.{ending}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        tar.members = []  # type: ignore[attr-defined]  # it would keep them all

    def _room(self) -> tarfile.TarFile:
        """Return the shard of the next sample; a sample is never cut."""
        if self._tar is not None and (self._tar.offset >= self.size or self._samples >= MOST_SAMPLES):
            self._tar.close()
            self._tar = None
        if self._tar is None:
            path = self.folder / PATTERN.format(self.shards)
            self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # closed when it is full
            self.shards, self._samples = self.shards + 1, 0
        return self._tar
