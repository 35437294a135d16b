"""Checks of one file of a set: its header, whether it decodes, and its pixels."""

from __future__ import annotations

import logging
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.decode_cache import FileReader, PixelReader, stored
from sfda_kit.data.depth_units import DepthUnit, to_millimetres
from sfda_kit.data.images import read_image
from sfda_kit.data.stored import Stored, sha256_of, source_of
from sfda_kit.data.stored_values import check_container
from sfda_kit.errors import DataError
from sfda_kit.plugins.modalities import modality as modality_of
from sfda_kit.verify.findings import Finding, split_message
from sfda_kit.verify.headers import SUFFIXES, Header, TooLargeError, read_header
from sfda_kit.verify.perceptual_hash import perceptual_hash

_SAMPLED = 1 << 12
"""Pixels from which the median distance is taken."""


@dataclass(frozen=True)
class Look:
    """The way to check files, which is the same for all files of a set. It is sent to worker processes."""

    root: str
    reader: PixelReader
    unit: str
    deep: bool


@dataclass(frozen=True)
class FileCheck:
    """A file, relative to the root, and the modalities taken from it; without any it only has to decode."""

    path: str
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True)
class PixelFacts:
    """Range, median and ``perceptual_hash`` of decoded pixels. ``missing``: share of zeros, where 0 is missing; they
    are not in median and mean. ``full``: the largest value that the pixels could have, None for floats in a unit."""

    least: float
    most: float
    missing: float
    median: float
    perceptual_hash: bytes
    full: int | None = None
    mean: float = 0.0


@dataclass
class FileFacts:
    """What is known of a file after its check. ``sha256`` is "" where it was not read."""

    path: str
    size: int = -1
    sha256: str = ""
    header: Header | None = None
    pixels: dict[str, PixelFacts] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: str, what: str, remedy: str = "") -> None:
        """Note a finding about this file."""
        self.findings.append(Finding(code, self.path, what, remedy))

    @property
    def usable(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.rule.severity != "error" for finding in self.findings)


def look_at(job: FileCheck, look: Look) -> FileFacts:
    """Check header and names; with ``look.deep`` also hash, decoding and statistics. A bad file raises no error."""
    facts = FileFacts(job.path)
    path = Path(look.root) / job.path
    file = stored(path, look.reader)
    if not _is_there(file, facts):
        return facts
    plain = isinstance(look.reader, FileReader)
    if plain:
        _check_header(path, job, look, facts)
    if look.deep:
        facts.sha256 = sha256_of(file)
    if facts.usable and (look.deep or not plain):
        _decode(path, job, look, facts)
    return facts


@contextmanager
def quiet() -> Iterator[None]:
    """Silence decoders, which print raw names of broken files: the findings describe these files better."""
    loggers = [logging.getLogger(name) for name in ("PIL", "tifffile")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def _is_there(file: Stored, facts: FileFacts) -> bool:
    try:
        status = file.stat()
    except OSError as error:
        facts.add("unusable-file", f"cannot be opened ({error.strerror})", "Put the file there.")
        return False
    facts.size = status.st_size
    if not stat.S_ISREG(status.st_mode):
        facts.add("special-file", "is no regular file")
    elif not status.st_size:
        facts.add("empty-file", "is empty (zero bytes)")
    return facts.usable


def _check_header(path: Path, job: FileCheck, look: Look, facts: FileFacts) -> None:
    try:
        header = read_header(stored(path, look.reader))
    except TooLargeError as error:
        facts.add("too-large", str(error))
        return
    except Exception:
        # Broken bytes make decoders raise any error. A run would end with the loader's message, so that is used.
        _refused(path, job, look, facts)
        return
    facts.header = header
    if path.suffix.lower() not in SUFFIXES[header.format]:
        facts.add("wrong-suffix", f"is a {header.format} inside")
    _check_form(header, facts)
    for modality in job.modalities:
        _check_modality(header, modality, look, facts)


def _refused(path: Path, job: FileCheck, look: Look, facts: FileFacts) -> None:
    try:
        look.reader(path, next(iter(job.modalities), "rgb"), look.unit)
    except DataError as error:
        _tell(error, path, facts)
    else:
        facts.add("unusable-file", "has a header that cannot be read")


def _check_form(header: Header, facts: FileFacts) -> None:
    if header.frames > 1:
        facts.add("many-frames", "holds more than one frame; only the first is used")
    if header.mode == "CMYK":
        facts.add("print-colours", "is in print colours (CMYK)")
    if header.mode == "1":
        facts.add("one-bit", "has one bit a pixel")
    if header.transparent:
        facts.add("alpha", "has transparent parts, which are dropped")


def _check_modality(header: Header, modality: str, look: Look, facts: FileFacts) -> None:
    try:
        if modality == "depth":
            _check_depth(header, modality_of(modality).chosen_unit(look.unit))
        elif modality != "rgb" and modality_of(modality).decode is None:
            check_container(header.dtype, modality_of(modality), look.unit)
    except DataError as error:
        facts.add("unusable-file", *split_message(f"({modality}) {error}"))
    if modality == "rgb" and header.channels == 1 and header.mode != "P":
        if header.dtype == np.uint8:
            facts.add("grey-as-rgb", "is a grey picture, but rgb has three channels")
        else:
            what = f"(rgb) holds one channel of {header.dtype}, but rgb has three of 8 bits"
            facts.add("unusable-file", what, "Is it the depth half of the pair? Swap the two.")


def _check_depth(header: Header, unit: str) -> None:
    """Raise ``DataError`` where one pixel of the stored dtype does not meet the rules of the whole file."""
    shape = (1, 1) if header.channels == 1 else (1, 1, header.channels)
    value = min(1000, np.iinfo(header.dtype).max) if header.dtype.kind in "iu" else 1000
    if unit == "m" and header.dtype.kind == "f":
        value = 1
    to_millimetres(np.full(shape, value).astype(header.dtype), cast("DepthUnit", unit))


def _decode(path: Path, job: FileCheck, look: Look, facts: FileFacts) -> None:
    for modality in job.modalities or ("",):
        try:
            pixels = _pixels(path, modality, look)
        except DataError as error:
            _tell(error, path, facts)
            return
        if look.deep and modality:
            facts.pixels[modality] = facts_of(pixels, modality)
            check_values(modality, facts)
            _check_stored(stored(path, look.reader), modality, facts)
        if not look.deep:
            return


def _pixels(path: Path, modality: str, look: Look) -> NDArray[Any]:
    if modality:
        return look.reader(path, modality, look.unit)
    try:
        return read_image(path, "nir")
    except DataError as error:
        if "floats" in str(error) or "values" in str(error):  # the range of another modality
            return np.zeros((1, 1), np.uint8)
        raise


def facts_of(pixels: NDArray[Any], modality: str) -> PixelFacts:
    """Return the facts of decoded pixels (H, W) or (H, W, 3); depth is in millimetres."""
    kind, missing = modality_of(modality), 0.0
    step = max(1, int(np.sqrt(pixels.size / _SAMPLED)))
    measured = pixels[::step, ::step]
    if kind.zero_is_missing:
        measured = measured[measured > 0]
        missing = 1 - np.count_nonzero(pixels) / pixels.size
    median = float(np.median(measured)) if measured.size and kind.channels == 1 else 0.0
    full = None if pixels.dtype.kind == "f" or kind.scale is not None else int(np.iinfo(pixels.dtype).max)
    mean = float(measured.mean()) if measured.size else 0.0
    return PixelFacts(pixels.min().item(), pixels.max().item(), missing, median, perceptual_hash(pixels), full, mean)


def check_values(modality: str, facts: FileFacts) -> None:
    """Note findings about decoded images that show nothing."""
    found = facts.pixels[modality]
    if found.least == found.most:
        facts.add("constant", f"({modality}) has the value {found.most} in every pixel")
    if modality == "depth" and found.missing > 0.9:
        facts.add("mostly-missing", f"misses {found.missing:.0%} of its depth")


def _check_stored(file: Stored, modality: str, facts: FileFacts) -> None:
    """Check what is only visible in the values as they are stored, before they are converted."""
    header = facts.header
    if header is None:
        return
    if header.dtype.kind == "f" and (count := _not_finite(file)):
        facts.add("not-finite", f"holds {count} values that are NaN or infinite")
    if modality not in ("rgb", "depth") and header.channels == 3 and header.mode != "P" and _is_coloured(file):
        facts.add("colour-as-one", f"({modality}) has three channels that differ")


def _pixels_as_stored(file: Stored) -> NDArray[Any]:
    from PIL import Image

    with source_of(file) as source:
        if file.suffix.lower() == ".npy":
            return np.asarray(np.load(source, mmap_mode="r" if isinstance(source, Path) else None, allow_pickle=False))
        with Image.open(source) as image:
            return np.asarray(image)


def _not_finite(file: Stored) -> int:
    return int(np.count_nonzero(~np.isfinite(_pixels_as_stored(file))))


def _is_coloured(file: Stored) -> bool:
    pixels = _pixels_as_stored(file)
    return pixels.ndim == 3 and bool((pixels != pixels[..., :1]).any())


def _tell(error: DataError, path: Path, facts: FileFacts) -> None:
    """Note the loader's message, without the path that the finding has anyway."""
    facts.add("unusable-file", *split_message(str(error).removeprefix(f"{path} ")))
