"""Finding one image in two places, by its bytes and by how it looks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sfda_kit.verify.file_checks import FileFacts
from sfda_kit.verify.findings import Finding
from sfda_kit.verify.perceptual_hash import BYTES

NEAR = 7
"""Bits of 120 that may differ. Of the eight words of 16 bits, two such hashes share at least one."""
_CROWD = 400
"""Where more images share a word, only neighbours are compared: such images are alike in general, not copies."""


class SamplePlace(NamedTuple):
    """The part, group and class of a sample, and its files by modality."""

    name: str
    part: str
    group: int
    scene_class: str
    files: Mapping[str, str]


def duplicates(places: Sequence[SamplePlace], facts: Mapping[str, FileFacts]) -> Iterator[Finding]:
    """Yield files with the same bytes in two samples of different classes, parts or groups."""
    owners: dict[str, list[tuple[str, SamplePlace]]] = defaultdict(list)
    for place in places:
        for path in dict.fromkeys(place.files.values()):
            if facts[path].sha256:
                owners[facts[path].sha256].append((path, place))
    for shared in owners.values():
        first_path, first = shared[0]
        for path, other in shared[1:]:
            if path != first_path and (code := _code(first, other)):
                yield Finding(code, path, f"is the same as {first_path}{_between(code, first, other)}")


def _code(first: SamplePlace, other: SamplePlace) -> str:
    if first.scene_class != other.scene_class:
        return "duplicate-across-classes"
    if first.part != other.part:
        return "duplicate-across-parts"
    return "duplicate" if first.group != other.group else ""


def _between(code: str, first: SamplePlace, other: SamplePlace) -> str:
    if code == "duplicate-across-classes":
        return f" (classes {other.scene_class} and {first.scene_class})"
    return f" ({other.part} and {first.part})" if code == "duplicate-across-parts" else ""


def near_duplicates(places: Sequence[SamplePlace], facts: Mapping[str, FileFacts]) -> Iterator[Finding]:
    """Yield images of one modality, in different parts, that differ by little more than how they were saved."""
    for modality in sorted({name for place in places for name in place.files}):
        held = [place for place in places if modality in place.files]
        hashed = [(place, facts[place.files[modality]].pixels.get(modality)) for place in held]
        kept = [(place, found.perceptual_hash) for place, found in hashed if found and found.perceptual_hash]
        if len(kept) < 2:
            continue
        hashes = np.frombuffer(b"".join(one for _, one in kept), np.uint8).reshape(-1, BYTES)
        parts = np.array([place.part for place, _ in kept])
        for row, other, bits in _near(hashes, parts):
            path, like = kept[row][0].files[modality], kept[other][0].files[modality]
            if facts[path].sha256 != facts[like].sha256:
                where = f"{kept[row][0].part} and {kept[other][0].part}; {bits} of 120 bits differ"
                yield Finding("near-duplicate", path, f"looks like {like} ({where})")


def _near(hashes: NDArray[np.uint8], parts: NDArray[np.str_]) -> list[tuple[int, int, int]]:
    """Return each row once, with its nearest earlier row of another part and the number of bits that differ."""
    best: dict[int, tuple[int, int]] = {}
    words = hashes.view(np.uint16)
    for column in range(words.shape[1]):
        order = np.argsort(words[:, column], kind="stable")
        edges = np.flatnonzero(np.diff(words[order, column])) + 1
        for members in np.split(order, edges):
            for window in _windows(members):
                _compare(window, hashes, parts, best)
    return [(row, other, bits) for row, (bits, other) in sorted(best.items())]


def _windows(members: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(0, max(len(members) - 1, 0), _CROWD):
        yield members[start : start + _CROWD]


def _compare(
    members: NDArray[np.intp], hashes: NDArray[np.uint8], parts: NDArray[np.str_], best: dict[int, tuple[int, int]]
) -> None:
    if len(members) < 2 or (parts[members] == parts[members[0]]).all():
        return
    chosen = hashes[members]
    distance = _ONES[chosen[:, None] ^ chosen[None]].sum(axis=2, dtype=np.int64)
    later, earlier = np.nonzero(
        (distance <= NEAR) & (parts[members][:, None] != parts[members][None]) & (members[:, None] > members[None])
    )
    for row, other in zip(later, earlier, strict=True):
        found = (int(distance[row, other]), int(members[other]))
        best[int(members[row])] = min(found, best.get(int(members[row]), found))


_ONES = np.array([bin(value).count("1") for value in range(256)], np.uint8)
"""Bits set in each byte."""
