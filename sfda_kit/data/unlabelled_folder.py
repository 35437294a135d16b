"""Folders without labels: the target images of a practitioner, and task-irrelevant (TI) pairs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sfda_kit.data.decode_cache import ImageFiles, listing
from sfda_kit.data.images import IMAGE_SUFFIXES, is_image_name, missing_half
from sfda_kit.data.walk import require_folder, walk
from sfda_kit.errors import DataError


@dataclass(frozen=True)
class PairFiles:
    """The files of pairs. Row i of ``source`` and ``target`` show the same scene. ``notices`` name what is left out."""

    source: ImageFiles
    target: ImageFiles
    notices: tuple[str, ...] = ()


def list_images(folder: Path) -> list[str]:
    """Return the image files below ``folder`` at any depth, as relative POSIX paths in natural order."""
    return [
        (found.path / name).relative_to(folder).as_posix()
        for found, _ in walk(folder)
        for name in found.files
        if is_image_name(name)
    ]


def find_images(given: Sequence[Path]) -> list[Path]:
    """Return the given files, and all images below the given folders. Raises ``DataError`` for an empty folder."""
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        names = list_images(path)
        if not names:
            raise DataError(f"{path} holds no image. Give image files, or a folder with some.")
        found += [path / name for name in names]
    return found


def find_unlabelled(
    folder: Path,
    modality: str,
    unit: str = "mm",
    option: str = "--target-dir",
    skip_bad: bool = False,
) -> tuple[ImageFiles, tuple[str, ...]]:
    """Find all images below ``folder``, and return notices. ``ImageFiles.load(size)`` decodes them later.

    With ``skip_bad`` this decodes every image once, and leaves out each that cannot be decoded with a notice. Raises
    ``DataError`` where the folder is missing or holds no image.
    """
    root = require_folder(folder, option)
    files = ImageFiles(root, list_images(root), modality, unit)
    notices: tuple[str, ...] = ()
    if skip_bad:
        bad = files.bad()
        kept = [name for row, name in enumerate(files.files) if row not in bad]
        files = ImageFiles(root, kept, modality, unit)
        notices = tuple(f"left out: {reason}" for reason in bad.values())
    if not files.files:
        raise DataError(_no_image(root, option))
    return files, notices


def find_pairs(
    folder: Path,
    source_modality: str,
    target_modality: str,
    unit: str = "mm",
    skip_bad: bool = False,
) -> PairFiles:
    """Find TI pairs ``<folder>/<source modality>/**`` and ``<folder>/target/**`` with the same relative stem.

    Raises ``DataError`` listing halves without a partner. With ``skip_bad`` this leaves them out with notices, and
    also pairs with a half that cannot be decoded.
    """
    root = require_folder(folder, "--ti-dir")
    halves = [_by_stem(require_folder(root / name, "--ti-dir")) for name in (source_modality, "target")]
    lonely = _lonely(root, (source_modality, "target"), halves)
    stems = sorted(halves[0].keys() & halves[1].keys())
    if lonely and not skip_bad:
        raise DataError(listing(lonely, len(stems) + len(lonely)))
    pairs = PairFiles(
        ImageFiles(root / source_modality, [halves[0][s] for s in stems], source_modality, unit),
        ImageFiles(root / "target", [halves[1][s] for s in stems], target_modality, unit),
        tuple(f"left out: {reason}" for reason in lonely),
    )
    pairs = _without_bad(pairs) if skip_bad else pairs
    if not pairs.source.files:
        raise DataError(_no_image(root, "--ti-dir"))
    return pairs


def load_pairs(pairs: PairFiles, size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the pixels of both halves as ``Dataset.read`` does."""
    return pairs.source.load(size), pairs.target.load(size)


def _by_stem(folder: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for name in list_images(folder):
        stem = unicodedata.normalize("NFC", name[: name.rindex(".")])
        if stem in names:
            raise DataError(f"{folder} holds {names[stem]!r} and {name!r} with one stem. Keep one of them.")
        names[stem] = name
    return names


def _lonely(root: Path, folders: tuple[str, str], halves: list[dict[str, str]]) -> list[str]:
    found = []
    for here, there in ((0, 1), (1, 0)):
        for stem in sorted(halves[here].keys() - halves[there].keys()):
            held, expected = root / folders[here] / halves[here][stem], root / folders[there] / stem
            found.append(missing_half(held, expected))
    return found


def _without_bad(pairs: PairFiles) -> PairFiles:
    bad = {**pairs.target.bad(), **pairs.source.bad()}
    kept = [row for row in range(len(pairs.source.files)) if row not in bad]
    halves = [
        ImageFiles(half.root, [half.files[row] for row in kept], half.modality, half.unit)
        for half in (pairs.source, pairs.target)
    ]
    notices = tuple(f"left out: {reason}" for reason in bad.values())
    return PairFiles(halves[0], halves[1], pairs.notices + notices)


def _no_image(root: Path, option: str) -> str:
    return f"{option} {root} holds no usable image ({', '.join(IMAGE_SUFFIXES)}). Put some there."
