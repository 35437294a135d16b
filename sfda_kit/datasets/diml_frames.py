"""Finding the pairs of DIML/CVL RGB-D, which come in three arrangements of folders and under varying names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sfda_kit.data.images import is_image_name
from sfda_kit.data.walk import Folder, list_folder, walk
from sfda_kit.errors import DataError

HALVES = {"sample": ("color", "depth_filled"), "full": ("col", "up_png"), "outdoor": ("outleft", "depthmap")}
"""Arrangement -> folders of its two halves, which lie side by side."""
_STRUCTURE = ("indoor", "outdoor", "train", "test", "hr", "lr")
_PAUSE_SECONDS = 60
"""After a longer pause between two frames a new run begins (our choice; the sequences are not published)."""


class DimlFolder(NamedTuple):
    """A folder with two halves: its path below the root and what that path says. ``scene`` is "" where it says none."""

    folder: str
    arrangement: str
    domain: str
    scene: str
    part: str
    resolution: str


class Pair(NamedTuple):
    """``key`` is the name that both halves share; ``files`` are relative to the root."""

    place: DimlFolder
    key: str
    files: dict[str, str]


def find_places(root: Path) -> list[DimlFolder]:
    """Return every folder below ``root`` that holds the halves of an arrangement, or one of them."""
    places = []
    for folder, enter in walk(root):
        for arrangement, halves in HALVES.items():
            if set(halves) & set(folder.folders):
                enter[:] = [name for name in enter if name not in (*halves, "confidencemap")]
                places.append(_place(root, folder, arrangement))
                break
    return places


def pair_up(root: Path, place: DimlFolder) -> tuple[list[Pair], list[str]]:
    """Return the complete pairs of a folder, and a sentence for each half without its other half."""
    names = dict(zip(("rgb", "depth"), HALVES[place.arrangement], strict=True))
    held = {modality: _by_key(root / place.folder / name, place.arrangement) for modality, name in names.items()}
    pairs, problems = [], []
    for key in sorted(set(held["rgb"]) | set(held["depth"])):
        files = {m: f"{place.folder}/{names[m]}/{found[key]}" for m, found in held.items() if key in found}
        if len(files) == len(names):
            pairs.append(Pair(place, key, files))
            continue
        (lacking,) = set(names) - set(files)
        problems.append(
            f"{root / next(iter(files.values()))} has no other half: expected {key}*.png in "
            f"{root / place.folder / names[lacking]}"
        )
    return pairs, problems


def runs(pairs: Sequence[Pair]) -> list[str]:
    """Return a group per pair: its batch in the full release, else its run of frames, close in time or in number."""
    groups = [pair.place.folder for pair in pairs]
    clocked = []
    for row, (place, key, _) in enumerate(pairs):
        if place.arrangement != "full":
            prefix, clock, pause = _clock(key)
            clocked.append(((place.domain, place.scene, prefix), clock, pause, row))
    before, last, count = None, 0, 0
    for where, clock, pause, row in sorted(clocked):
        count += where != before or clock - last > pause
        before, last = where, clock
        groups[row] = f"{where[0]}/{where[1]}#{count}"
    return groups


def scene_name(folder: str) -> str:
    """Return a folder's scene: ``12_livingroom_2`` -> ``livingroom`` (archives were cut in parts), ``1`` -> ""."""
    words = re.sub(r"^[\d.\s_]+|[\s_]+\d+$", "", folder).lower()
    return re.sub(r"[\s_-]+", "_", words).strip("_")


def _place(root: Path, folder: Folder, arrangement: str) -> DimlFolder:
    parts = folder.path.relative_to(root).parts
    lower = [part.lower() for part in parts]
    named = parts[-3:-2] if arrangement == "full" else parts[-1:]  # <scene>/<date>/<batch>/{col,up_png}
    scene = "".join(scene_name(name) for name in named if name.lower() not in _STRUCTURE)
    domain = "outdoor" if arrangement == "outdoor" or "outdoor" in lower else "indoor"
    told = [next((name for name in names if name in lower), "") for names in (("train", "test"), ("hr", "lr"))]
    return DimlFolder("/".join(parts) or ".", arrangement, domain, scene, told[0], told[1].upper())


def _by_key(folder: Path, arrangement: str) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    names: dict[str, str] = {}
    for name in list_folder(folder).files:
        if is_image_name(name) and names.setdefault(_key(name, arrangement), name) != name:
            raise DataError(f"{folder} holds {names[_key(name, arrangement)]!r} and {name!r} for one frame. Keep one.")
    return names


def _key(name: str, arrangement: str) -> str:
    """Return the name that both halves of a pair share: without the ending that distinguishes them."""
    stem = name.rpartition(".")[0]
    if arrangement == "outdoor":
        return stem
    return stem.removesuffix("_depth_filled") if stem.endswith("_depth_filled") else stem.rpartition("_")[0] or stem


def _clock(key: str) -> tuple[str, int, int]:
    """Return the text before the final time or number, that number (a time in seconds), and a run's largest step."""
    if match := re.fullmatch(r"(.*?\d{6})_(\d\d)(\d\d)(\d\d)", key):
        hours, minutes, seconds = (int(text) for text in match.groups()[1:])
        return match[1], (hours * 60 + minutes) * 60 + seconds, _PAUSE_SECONDS
    match = re.fullmatch(r"(.*?)(\d+)", key)
    return (match[1], int(match[2]), 1) if match else (key, 0, 0)
