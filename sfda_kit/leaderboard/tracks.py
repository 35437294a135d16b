"""Rows by track: those that used the same information are ranked together, and with no other row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from sfda_kit.leaderboard.board import BoardRow, Comparison, Track, spell_track
from sfda_kit.leaderboard.ranking import Ranking
from sfda_kit.plugins.information import EXPLAINED

T = TypeVar("T")

Rankings = Mapping[Track, Ranking]
"""The ranking of each track of a table."""


def rank_tracks(
    rows: Iterable[T], track: Callable[[T], Track | None], rank: Callable[[list[T]], Ranking | None]
) -> Rankings:
    """Return what ``rank`` gives for the rows of each track, in the order of tracks; unknown tracks are left out."""
    found: dict[Track, list[T]] = defaultdict(list)
    for row in rows:
        if (own := track(row)) is not None:
            found[own].append(row)
    ranked = {own: rank(found[own]) for own in sorted(found, key=place)}
    return {own: ranking for own, ranking in ranked.items() if ranking is not None}


def place(track: Track) -> tuple[int, ...]:
    """Return a sort key: tracks that use less come first."""
    return len(track), *map(list(EXPLAINED).index, track)


def comparisons(rankings: Rankings) -> tuple[Comparison, ...]:
    """Return the comparisons of all tracks."""
    return tuple(one for ranking in rankings.values() for one in ranking.comparisons)


def gains(rankings: Rankings) -> dict[str, Comparison]:
    """Return each ranked row minus its source models, by label."""
    return {label: one for ranking in rankings.values() for label, one in ranking.versus_source.items()}


def track_notices(rankings: Rankings) -> Iterator[str]:
    """Yield the notices of all rankings. One of a single track among several begins with its name."""
    said: dict[str, list[Track]] = defaultdict(list)
    for track, ranking in rankings.items():
        for notice in ranking.notices:
            said[notice].append(track)
    for notice, tracks in said.items():
        alone = len(tracks) == 1 < len(rankings)
        yield f"Track {spell_track(tracks[0])}: {notice}" if alone else notice


def explained(rows: Iterable[BoardRow]) -> str:
    """Return a sentence that says what the names of the tracks of ``rows`` mean."""
    names = {name for row in rows for name in row.track or ()}
    plain = {name for name, meaning in EXPLAINED.items() if meaning == name.replace("-", " ")}
    told = "; ".join(f"{name}: {meaning}" for name, meaning in EXPLAINED.items() if name in names - plain)
    begun = "Track: what a row used beside source model and unlabelled target images. Rows rank within their track"
    return f"{begun}. {told[:1].upper()}{told[1:]}." if told else f"{begun}."
