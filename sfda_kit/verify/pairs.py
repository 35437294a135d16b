"""Check of both halves of a pair together: whether one is turned against the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sfda_kit.datasets.folder_dataset import SceneRow
from sfda_kit.verify.file_checks import FileFacts
from sfda_kit.verify.findings import Finding
from sfda_kit.verify.headers import Header

_ROUND = 1.15
"""A picture with a smaller ratio of its sides does not show which way up it is."""


def turned_pairs(rows: Sequence[SceneRow], facts: Mapping[str, FileFacts]) -> Iterator[Finding]:
    """Yield pairs of which one half lies across the other, and rotation tags, which no loader applies."""
    for row in rows:
        paths = list(dict.fromkeys(row.files.values()))
        headers = {path: facts[path].header for path in paths}
        known = {path: header for path, header in headers.items() if header is not None}
        tagged = [path for path, header in known.items() if header.orientation != 1]
        if across := _across(known):
            first, second = across
            tag = f"; {tagged[0]} has a rotation tag, which is not applied" if tagged else ""
            yield Finding("halves-turned", first, f"lies across its other half {second}{tag}")
        elif tagged:
            alone = " and its other half has none" if 0 < len(tagged) < len(known) else ""
            number = known[tagged[0]].orientation
            yield Finding("rotation-tag", tagged[0], f"has a rotation tag (EXIF {number}){alone}; it is not applied")


def _across(headers: Mapping[str, Header]) -> tuple[str, str] | None:
    """Return an upright and a wide picture of one pair, None where the pair does not have both."""
    lying = [path for path, one in headers.items() if one.width > _ROUND * one.height]
    standing = [path for path, one in headers.items() if one.height > _ROUND * one.width]
    return (standing[0], lying[0]) if lying and standing else None
