"""The cache of decoded images: one NPY file holds the pixels of one view, and later runs map it into memory.

An entry is a folder named by a hash of everything that decides its pixels. One process fills it while others wait.
``cache_limit`` keeps the total size of the entries below a limit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sfda_kit.checksums import DamagedFileError, read_sealed, write_sealed
from sfda_kit.data.cache_limit import PIXELS, REASONS, make_room, sole, touch
from sfda_kit.data.checked_array import open_checked, set_damaged_aside, write_rows
from sfda_kit.data.images import read_image
from sfda_kit.data.resize import resize
from sfda_kit.data.stored import Stored
from sfda_kit.data.stored_values import as_dtype, stacked, widest
from sfda_kit.errors import DataError, UserError
from sfda_kit.paths import cache_dir
from sfda_kit.plugins.modalities import modality as modality_of

_DECODER = 2
"""The version of the decoder and of its files. Raise it when the same files decode to other pixels."""
_CHUNK = 256
_WRITING = ".writing-"
ABOUT = "entry.json"
"""The file beside the pixels that describes them for people."""
LISTED = 20
"""The number of bad files that one message names."""


class _WiderError(Exception):
    """An image needs the wider ``dtype``."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        super().__init__(str(dtype))
        self.dtype = dtype


class PixelReader(Protocol):
    """A pixel reader turns one file into pixels, as ``read_image`` does. Its ``repr`` is part of the cache key."""

    def __call__(self, path: Path, modality: str, unit: str) -> NDArray[Any]:
        """Return the pixels of ``path``. Raises ``DataError`` that names the path and what to do."""


@dataclass(frozen=True)
class FileReader:
    """A file reader reads one image per file with ``read_image``. A subclass may find the bytes of a path elsewhere."""

    def stored(self, path: Path) -> Stored:
        """Return where the bytes of ``path`` are."""
        return path

    def __call__(self, path: Path, modality: str, unit: str) -> NDArray[Any]:
        """See ``read_image``."""
        return read_image(self.stored(path), modality, unit)


def stored(path: Path, reader: PixelReader) -> Stored:
    """Return where ``reader`` finds the bytes of ``path``."""
    return reader.stored(path) if isinstance(reader, FileReader) else path


@dataclass(frozen=True)
class ImageFiles:
    """The image files of one modality. ``files`` are paths relative to ``root``, in the order of the rows.

    ``unit``: what they hold, a name of ``Modality.units``; "" is the modality's default. ``reader`` turns a file into
    pixels, (H, W) or (H, W, 3), as ``Modality`` describes them; by default it reads PNG, JPEG, TIFF, NPY and others.
    """

    root: Path
    files: Sequence[str]
    modality: str
    unit: str = ""
    reader: PixelReader = FileReader()

    def load(self, size: int) -> NDArray[Any]:
        """Return read-only pixels like ``Dataset.read``, cached. Raises ``DataError`` listing the unusable files."""
        entry = cache_dir() / "decoded" / self._key(size) / PIXELS
        cached = self._kept(entry, size)
        if cached is None:
            with _filling(entry):
                cached = self._kept(entry, size)  # another process may have filled it meanwhile
                if cached is None:
                    self._fill(entry, size)
                    cached = self._kept(entry, size)
        if cached is None:
            raise UserError(f"The cache entry {entry} cannot be read back. Check the disk and try again.")
        return cached

    def _made_again(self, entry: Path, size: int) -> NDArray[Any]:
        with _filling(entry):
            set_damaged_aside(entry)  # unless another process has done so
        return self.load(size)

    def _kept(self, entry: Path, size: int) -> NDArray[Any] | None:
        cached = open_checked(entry, lambda: self._made_again(entry, size))
        if cached is None or cached.shape != self._shape(size) or cached.dtype not in modality_of(self.modality).dtypes:
            return None
        touch(entry)
        return cached

    def _fill(self, entry: Path, size: int) -> None:
        set_damaged_aside(entry)
        dtype = self._first_dtype(size)
        make_room(entry.parent.parent, int(np.prod(self._shape(size))) * dtype.itemsize)
        about = {
            "root": str(self.root),
            "images": len(self.files),
            "size": size,
            "modality": self.modality,
            "unit": self.unit,
        }
        _write_whole(entry.with_name(ABOUT), lambda path: path.write_text(json.dumps(about), encoding="utf-8"))
        while (wider := self._filled(entry, size, dtype)) is not None:
            dtype = wider

    def _filled(self, entry: Path, size: int, dtype: np.dtype[Any]) -> np.dtype[Any] | None:
        """Write the entry; where an image needs a wider dtype, write nothing and return that dtype."""
        try:
            _write_whole(entry, lambda path: write_rows(path, self._squares(size, dtype), self._shape(size), dtype))
        except _WiderError as found:
            return found.dtype
        return None

    def decode(self, size: int) -> NDArray[Any]:
        """Return pixels as ``load`` does, without the cache, for a few files needed once. Raises ``DataError``."""
        with _pool() as pool:
            decoded = list(pool.map(lambda name: self._square(name, size), self.files))
        if bad := [one for one in decoded if isinstance(one, str)]:
            raise DataError(listing(bad, len(self.files)))
        squares = [one for one in decoded if not isinstance(one, str)]
        return stacked(squares) if squares else np.zeros(self._shape(size), modality_of(self.modality).dtypes[0])

    def whole(self) -> Iterator[NDArray[Any]]:
        """Yield the pixels of each file at its full resolution. Raises ``DataError`` on a file that cannot be used."""
        for name in self.files:
            yield self.reader(self.root / name, self.modality, self.unit)

    def bad(self) -> dict[int, str]:
        """Return the reason for each row whose file cannot be decoded. The cache keeps it until a file changes."""
        entry = cache_dir() / "decoded" / self._key(0) / REASONS
        reasons = _kept_reasons(entry)
        if reasons is None:
            with _filling(entry):
                reasons = _kept_reasons(entry)
                if reasons is None:
                    reasons = self._reasons()
                    write_sealed(entry, json.dumps(reasons).encode())
        touch(entry)
        return reasons

    def _shape(self, size: int) -> tuple[int, ...]:
        channels = (3,) if modality_of(self.modality).channels == 3 else ()
        return (len(self.files), size, size, *channels)

    def _meaning(self) -> tuple[object, str]:
        """Return the modality, which is compared by value, and its unit."""
        kind = modality_of(self.modality)
        return kind, kind.chosen_unit(self.unit)

    def _first_dtype(self, size: int) -> np.dtype[Any]:
        """Return the only dtype of the modality, else that of the first file."""
        allowed = modality_of(self.modality).dtypes
        first = self._square(self.files[0], size) if self.files and len(allowed) > 1 else ""
        return allowed[0] if isinstance(first, str) else first.dtype

    def _key(self, size: int) -> str:
        digest = hashlib.sha256(
            repr((_DECODER, self.reader, str(self.root.resolve()), *self._meaning(), size)).encode()
        )
        for name in self.files:
            state = _state_of(stored(self.root / name, self.reader))
            digest.update(f"{name}\0{state}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:32]

    def _squares(self, size: int, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
        """Yield the pixels of each file in order, as ``dtype``.

        Raises ``_WiderError`` where an image needs a wider one, and ``DataError`` at the end where files are bad.
        """
        bad: list[str] = []
        with _pool() as pool:
            for start in range(0, len(self.files), _CHUNK):
                names = self.files[start : start + _CHUNK]
                for one in pool.map(lambda name: self._square(name, size), names):  # written while others decode
                    if isinstance(one, str):
                        bad.append(one)
                    elif (wider := widest([one], dtype)) != dtype:
                        raise _WiderError(wider)
                    elif not bad:
                        yield as_dtype(one, dtype)
        if bad:
            raise DataError(listing(bad, len(self.files)))

    def _square(self, name: str, size: int) -> NDArray[Any] | str:
        missing_zero = modality_of(self.modality).zero_is_missing
        try:
            pixels = self.reader(self.root / name, self.modality, self.unit)
        except DataError as error:
            return str(error)
        return resize(pixels, size, missing_zero=missing_zero)

    def _reasons(self) -> dict[int, str]:
        def reason(name: str) -> str | None:
            try:
                self.reader(self.root / name, self.modality, self.unit)
            except DataError as error:
                return str(error)
            return None

        with _pool() as pool:
            return {row: why for row, why in enumerate(pool.map(reason, self.files)) if why}


def _kept_reasons(entry: Path) -> dict[int, str] | None:
    with suppress(DamagedFileError):  # a missing one too
        return {int(row): str(why) for row, why in json.loads(read_sealed(entry)).items()}
    return None


def listing(bad: Sequence[str], total: int) -> str:
    """Return one message for all bad files of a read. It names the first ``LISTED`` of them."""
    lines = [f"{len(bad)} of {total} files cannot be used:", *(f"  - {why}" for why in sorted(bad)[:LISTED])]
    if len(bad) > LISTED:
        lines.append(f"  ... and {len(bad) - LISTED} more")
    return "\n".join([*lines, "Mend or remove them, or leave such samples out with --skip-bad."])


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))


def _state_of(file: Stored) -> str:
    try:
        status = file.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


@contextmanager
def _filling(entry: Path) -> Iterator[None]:
    """Hold the lock of the entry, and remove files that a killed process left half written."""
    with _explained(entry), sole(entry.parent):
        for left in entry.parent.glob(f"{_WRITING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _write_whole(entry: Path, write: Callable[[Path], object]) -> None:
    """Write ``entry`` so that a reader sees the whole file or none, however this process ends."""
    work: Path | None = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=_WRITING, dir=entry.parent))
        write(work / entry.name)
        os.replace(work / entry.name, entry)  # noqa: PTH105
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _explained(entry: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The cache {entry.parent} cannot be written ({error.strerror}). Free some space there "
            "(sfda-kit cache info), or point SFDA_KIT_CACHE at a folder that can be written."
        ) from None
