"""The results of an ablation as plain text: tables of effects and cells, and the sentences under them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sfda_kit.leaderboard.board import METRICS
from sfda_kit.leaderboard.effects import Ablation, Block, Effect, GridRow
from sfda_kit.leaderboard.render.words import interval, letters, plain, row_notes, score, spread

COSTS = (("s", "wall_s"), ("MiB", "peak_memory_mb"), ("trained", "trained_parameters"))
"""Head and key of each cost column."""


class TextTable(NamedTuple):
    """A text table has cells of text; the first ``left`` columns are left-aligned."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int


class Section(NamedTuple):
    """A section is one block of an ablation as text."""

    title: str
    tables: tuple[TextTable, ...]
    sentences: tuple[str, ...]


def sections(found: Ablation) -> list[Section]:
    """Return a section for every block: its effects, a two-way table for two factors, all cells, and sentences."""
    return [_section(found, block) for block in found.blocks]


def _section(found: Ablation, block: Block) -> Section:
    tables = [_effects(block.effects)] if block.effects else []
    if len(found.factors) == 2 and block.rows and not found.one_at_a_time:
        tables.append(_two_way(found, block))
    if block.rows:
        tables.append(_cells(found, block))
    synthetic = " (synthetic images)" if block.synthetic else ""
    return Section(plain(block.title) + synthetic, tuple(tables), tuple(_sentences(block)))


def _effects(effects: Sequence[Effect]) -> TextTable:
    heads = ("factor", "level", "minus", "points [95 %]", "adjusted p", "differs", "mean over")
    return TextTable("what each part earns", heads, tuple(map(_effect, effects)), 3)


def _effect(effect: Effect) -> tuple[str, ...]:
    compared = effect.comparison
    averaged = str(effect.averaged)
    return (
        plain(effect.factor),
        plain(effect.level),
        plain(effect.baseline),
        interval(compared),
        f"{compared.adjusted:.3f}",
        "yes" if compared.different else "no",
        averaged if effect.averaged == effect.planned else f"{averaged} of {effect.planned}",
    )


def _two_way(found: Ablation, block: Block) -> TextTable:
    """Return a table of mean and deviation of each cell; rows are the first factor, columns the second."""
    (down, levels_down), (across, levels_across) = found.factors.items()
    at = {(row.levels[down], row.levels[across]): row for row in block.rows if row.levels}
    rows = []
    for level in levels_down:
        cells = [at.get((level, other)) for other in levels_across]
        rows.append((plain(level), *(score(cell.row, found.metric) if cell else "" for cell in cells)))
    heads = (f"{plain(down)} \\ {plain(across)}", *map(plain, levels_across))
    return TextTable(f"{METRICS[found.metric]}, both factors", heads, tuple(rows), 1)


def _cells(found: Ablation, block: Block) -> TextTable:
    other = _other(found.metric)
    heads = (*map(plain, found.factors), METRICS[found.metric], METRICS[other], "seeds", *(head for head, _ in COSTS))
    rows = tuple(_cell(found, row, other) for row in block.rows)
    return TextTable("all cells", heads, rows, len(found.factors))


def _cell(found: Ablation, cell: GridRow, other: str) -> tuple[str, ...]:
    names = [plain(cell.levels[factor]) for factor in found.factors] if cell.levels else [plain(cell.name)]
    names += [""] * (len(found.factors) - len(names))
    names[-1] += f" ({letters(cell.row)})" if cell.row.marks else ""
    value = score(cell.row, found.metric) or "missing"
    costs = [cell.row.cost.get(key) for _, key in COSTS]
    shown = ["" if cost is None else f"{cost:,.0f}" for cost in costs]
    return (*names, value, spread(cell.row.metrics.get(other)), str(len(cell.row.seeds)), *shown)


def _other(metric: str) -> str:
    """Return the name of the same measure on the other part of the target images."""
    part, _, measure = metric.partition("_")
    return f"{'transductive' if part == 'heldout' else 'heldout'}_{measure}"


def _sentences(block: Block) -> Iterator[str]:
    yield from row_notes([cell.row for cell in block.rows])
    if not block.effects:
        yield "No effect can be told yet: no two cells that differ in one factor alone have a result."
    yield from map(plain, block.notices)
    if block.seeds:
        groups = f"; {block.groups} groups of images" if block.groups else ""
        yield f"Seeds {', '.join(map(str, block.seeds))}{groups}."


def explanation(found: Ablation) -> list[str]:
    """Return the sentences, once for an ablation, that explain how to read the tables."""
    design = (
        "Each factor was varied by itself round the recipe's own settings."
        if found.one_at_a_time
        else "An effect is a mean over all settings of the other factors."
    )
    interactions = "" if len(found.factors) <= 2 and not found.one_at_a_time else " Interactions are not shown."
    return [
        f"Points of accuracy in percent ({METRICS[found.metric]}). {design}{interactions}",
        "Intervals: 95 %, paired by seed and, where the images are the same, by image; not corrected. p: adjusted "
        "for the false discovery rate over the effects of a table; differs: p below 0.05. Costs are medians of one "
        "run; its time includes training what was not in the cache (source model, bridge).",
        "Effects are measured with target labels: they explain a method; a level picked by them is picked by labels.",
    ]
