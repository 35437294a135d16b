"""What the backbones of a board began with, told in each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sfda_kit.leaderboard.board import AdaptedNetwork, TaskTable
from sfda_kit.leaderboard.entries import Entry


def with_pretraining(tables: Sequence[TaskTable], entries: Iterable[Sequence[Entry]]) -> tuple[TaskTable, ...]:
    """Return ``tables`` with the pretraining of each row; nothing is told where all backbones began from scratch.

    ``entries``: those of each table, in the same order.
    """
    if not any(table.network.pretrained or table.network.weights for table in tables):
        return tuple(tables)
    found = [(table, pretraining(table.network, own)) for table, own in zip(tables, entries, strict=True)]
    return tuple(replace(t, rows=tuple(replace(row, pretraining=told) for row in t.rows)) for t, told in found)


def pretraining(network: AdaptedNetwork, entries: Sequence[Entry]) -> str:
    """Return ``none``, ``timm's``, or the name of the weights with the beginning of the hash of their file."""
    if network.weights:
        hashes = sorted({entry.initial_weights[:8] for entry in entries if entry.initial_weights})
        return " ".join([network.weights, *hashes])
    return "timm's" if network.pretrained else "none"
