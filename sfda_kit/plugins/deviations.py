"""The table of deviations, made from what the parts declare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sfda_kit.plugins.hookspecs import KINDS

if TYPE_CHECKING:
    from sfda_kit.plugins.registry import Registry

COLUMNS = ("part", "what", "paper or authors' code", "sfda-kit", "why", "what it changes")


def deviations_table(registry: Registry) -> str:
    """Return a Markdown table with one row for each deviation, methods first; parts are sorted by name."""
    lines = [_row(COLUMNS), _row(["---"] * len(COLUMNS))]
    for kind in sorted(KINDS, key=lambda kind: kind != "method"):
        for part in registry.of_kind(kind):
            lines += [
                _row([f"`{part.name}`", told.of, told.theirs, told.ours, told.why, told.effect])
                for told in part.deviations
            ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
