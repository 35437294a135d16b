"""Studies: suites made from a grid, and the effect of each part computed from their finished cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from sfda_kit.bench.cells import ResolvedCell, expand
from sfda_kit.bench.grid import Grid, GridVariant, identity
from sfda_kit.bench.suite import Suite, checked_suite
from sfda_kit.config.digest import digest
from sfda_kit.config.loading import load_config
from sfda_kit.config.merging import merge_settings
from sfda_kit.config.models import OF_A_FILE
from sfda_kit.errors import UserError
from sfda_kit.files import atomic
from sfda_kit.leaderboard import comparable
from sfda_kit.leaderboard.comparable import BoardCandidate
from sfda_kit.leaderboard.effects import Ablation, Block, Factors, GridRow, draw_cells, main_effects
from sfda_kit.leaderboard.entries import Entry, split_follows
from sfda_kit.leaderboard.ranking import limits
from sfda_kit.leaderboard.rows import build_row
from sfda_kit.leaderboard.scores import PredictionReader, Scored
from sfda_kit.leaderboard.statistics import Draws, over_tasks, resamples_for
from sfda_kit.leaderboard.variants import MethodVariant as Label
from sfda_kit.results.collection import StoredRun

STUDY_FILE = "study.yaml"


def make_study(
    file: Suite | None,
    fixed: Mapping[str, Any],
    factors: Mapping[str, Any],
    seeds: Sequence[int] = (),
    one_at_a_time: bool = False,
    name: str | None = None,
    root: Path | None = None,
) -> Suite:
    """Return a suite with a grid, that of ``file`` or a new one, with more settings, factors and seeds.

    ``fixed``: settings of every variant, which win over those of ``file``; ``factors``: as ``Grid`` takes them.
    Raises ``UserError`` on a file without a grid, on an empty grid and on everything that ``Grid`` refuses.
    """
    if file is not None and file.grid is None:
        raise UserError(
            f"The suite {file.name!r} has no grid, so there is nothing to vary. Add `grid: {{factors: ...}}`, or run "
            f"it with `sfda-kit bench`."
        )
    grid = file.grid.model_dump() if file and file.grid else {"base": {}, "factors": {}}
    if not grid["factors"] and not factors:
        raise UserError(
            "The grid is empty: nothing is varied. Give a part or a weight several values, for example "
            "--bridge copy,unet, --aligner bn-stats=0,0.5 or --set adapt.lr=0.01,0.02."
        )
    grid["base"] = merge_settings(grid["base"], fixed)
    grid["factors"] = {**grid["factors"], **factors}
    if one_at_a_time:
        grid["design"] = "one-at-a-time"
    suite = file.model_dump(exclude_defaults=True) if file else _bare(grid["base"], seeds)
    told = {"seeds": tuple(seeds), "name": name, "data_root": str(root.absolute()) if root else None}
    changes = {"grid": grid, **{key: value for key, value in told.items() if value}}
    return checked_suite(suite | changes, f"study {suite['name']}")


def _bare(base: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, Any]:
    """Return a suite of one task and one network, those of ``base``."""
    config = load_config({"method": "methods", **base})
    method = config.method.removeprefix(OF_A_FILE)
    backbone = config.model.backbone
    if config.source.cards:
        from sfda_kit.source.source_cards import load_joint_card

        backbone = load_joint_card(config.source.cards).model.backbone
    return {
        "name": f"ablate-{method}",
        "version": 1,
        "title": f"ablation of {method}",
        "tasks": {f"{config.dataset.name}, {config.dataset.source} to {config.dataset.target}": {}},
        "models": {backbone: {}},
        "seeds": tuple(seeds) or (0, 1, 2),
    }


def check_study(suite: Suite, root: Path | None = None) -> None:
    """Raise ``UserError`` on a variant with an unknown part or setting, before any work.

    Parts that exist and do not fit together are no error here: such a cell becomes a row with its reason.
    """
    for cell in expand(suite.expanded(), root):
        try:
            identity(cell.config.model_dump())
        except UserError as error:
            raise UserError(f"The study {suite.name!r}, {cell.method}: {error}") from None


def keep_study(suite: Suite, runs_dir: Path) -> Path:
    """Write the study beside its runs, in a file that ``--config`` reads, and return its path."""
    path = runs_dir / STUDY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as work:
        told = suite.model_dump(mode="json", exclude_defaults=True)
        work.write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def build_ablation(suite: Suite, cells: Sequence[ResolvedCell], runs_dir: Path, metric: str) -> Ablation:
    """Return rows, effects and notices from the finished runs in ``runs_dir``; ``cells``: of ``suite.expanded()``."""
    grid = _grid(suite)
    variants = grid.variants(suite.settings)
    factors = grid.levels(variants)
    parts = []
    for task, model in product(suite.tasks, suite.models):
        own = [cell for cell in cells if (cell.cell.task, cell.cell.model) == (task, model)]
        if not own:
            continue  # no method of the study runs with this model
        parts.append(_Part(f"{task}; {model}", task, variants, factors, own, runs_dir, metric))
    blocks = [part.block for part in parts]
    if len(blocks) > 1:
        blocks.append(_over_all(parts, variants, factors))
    one_at_a_time = grid.design != "full"
    return Ablation(suite.name, suite.title, metric, factors, one_at_a_time, tuple(blocks))


def _grid(suite: Suite) -> Grid:
    if suite.grid is None:
        raise UserError(f"The suite {suite.name!r} has no grid, so there is nothing to vary.")
    return suite.grid


class _Part:
    """A part holds the results of the grid on one task and network."""

    def __init__(
        self,
        title: str,
        task: str,
        variants: Sequence[GridVariant],
        factors: Factors,
        cells: Sequence[ResolvedCell],
        runs_dir: Path,
        metric: str,
    ) -> None:
        self.task, self.variants = task, {variant.name: variant.levels for variant in variants}
        candidates = _candidates(cells, runs_dir)
        self.seeds = comparable.table_seeds(candidates)
        known = {id(entry): one.variant for one in candidates for entry in one.entries}
        reference = comparable.find_reference([entry for one in candidates for entry in one.entries], known)
        reader = PredictionReader(metric)
        marked = [comparable.mark_versions(comparable.mark_seeds(one, self.seeds), reference) for one in candidates]
        self.candidates = [_scored(one, reader, metric) for one in marked]
        self.draws, self.there = self._draw(factors)
        self.block = self._block(title, factors)

    def _draw(self, factors: Factors) -> tuple[Draws | None, list[str]]:
        """Return the draws of the variants that may be compared, and the names of these variants."""
        usable = [one for one in self.candidates if one.variant.label in self.variants and _usable(one)]
        scored = [[_of(one, seed) for seed in self.seeds] for one in usable]
        if not scored or not self.seeds:
            return None, []
        effects = sum(len(levels) - 1 for levels in factors.values())
        return draw_cells(scored, self.seeds, resamples_for(effects)), [one.variant.label for one in usable]

    def _block(self, title: str, factors: Factors) -> Block:
        rows = tuple(
            GridRow(one.variant.label, self.variants.get(one.variant.label, {}), build_row(one, {}))
            for one in self.candidates
        )
        notices = [*_differing_weights(self.candidates)]
        if self.draws is None:
            return Block(title, rows, (), self.seeds, 0, any(r.row.synthetic for r in rows), tuple(notices))
        levels = [self.variants[name] for name in self.there]
        effects = main_effects(self.draws, levels, list(self.variants.values()), factors)
        entries = [entry for one in self.candidates for entry in one.of_seeds(self.seeds)]
        notices += limits(2, self.draws, split_follows(entries))
        synthetic = any(row.row.synthetic for row in rows)
        return Block(title, rows, tuple(effects), self.seeds, self.draws.groups, synthetic, tuple(notices))


def _over_all(parts: Sequence[_Part], variants: Sequence[GridVariant], factors: Factors) -> Block:
    """Return the effects as means over tasks, for the variants that have a result in each."""
    title = f"mean over {len(parts)} tasks and networks"
    synthetic = any(part.block.synthetic for part in parts)
    shared = [v for v in variants if all(v.name in part.there for part in parts)]
    if not shared:
        return Block(title, (), (), (), 0, synthetic, ("No variant has a result everywhere.",))
    draws = over_tasks([_columns(part, shared) for part in parts], [part.task for part in parts])
    planned = [variant.levels for variant in variants]
    effects = main_effects(draws, [variant.levels for variant in shared], planned, factors)
    seeds = max((part.seeds for part in parts), key=len)
    return Block(title, (), tuple(effects), seeds, draws.groups, synthetic, ())


def _columns(part: _Part, shared: Sequence[GridVariant]) -> Draws:
    assert part.draws is not None, "a variant with a result has draws"
    columns = [part.there.index(variant.name) for variant in shared]
    return replace(part.draws, estimate=part.draws.estimate[columns], values=part.draws.values[:, columns])


def _candidates(cells: Sequence[ResolvedCell], runs_dir: Path) -> list[BoardCandidate]:
    """Return a candidate for each method, in the order of the suite; it has no entry before a cell has a record."""
    entries: dict[str, list[Entry]] = {cell.cell.method: [] for cell in cells}
    for cell in cells:
        folder, record = cell.folder(runs_dir), cell.record(runs_dir)
        if folder and record:
            entries[cell.cell.method].append(Entry(StoredRun(folder.path, record)))
    found = []
    for name, own in entries.items():
        own.sort(key=lambda entry: entry.record.seed)
        kind = own[0].kind if own else "method"
        candidate = BoardCandidate(Label(name, name, ()), kind, tuple(own))
        found.append(candidate.marked("oracle") if kind == "oracle" else candidate)
    return found


def _scored(candidate: BoardCandidate, reader: PredictionReader, metric: str) -> BoardCandidate:
    """Add the counts of predictions, and marks where they are unusable, contradict the record or use other images."""
    scored = {entry.record.seed: entry.read(reader) for entry in candidate.of_seeds(candidate.counted)}
    first = next((one.images.key for one in scored.values() if one), "")
    follows = split_follows(candidate.of_seeds(candidate.counted))
    images = {seed: one.images.key if follows and one else first for seed, one in scored.items()}
    return comparable.mark_predictions(replace(candidate, scored=scored), metric, images)


def _usable(candidate: BoardCandidate) -> bool:
    return bool(candidate.counted) and all(mark.kind == "failed" for mark in candidate.marks)


def _of(candidate: BoardCandidate, seed: int) -> Scored:
    found = (candidate.scored or {})[seed]
    assert found is not None, "a row without predictions is not compared"
    return found


def _differing_weights(candidates: Sequence[BoardCandidate]) -> list[str]:
    """Return a notice where one source training gave several models: such cells differ in more than their parts."""
    weights: dict[str, set[str]] = defaultdict(set)
    for entry in (entry for one in candidates for entry in one.entries if entry.record.status == "ok"):
        config, task = entry.record.config, entry.record.task
        dataset = {key: value for key, value in config["dataset"].items() if key in ("options", "split_seed", "fold")}
        told = [config.get(section) for section in ("source", "model", "preset")]
        told += [config["compute"].get("precision"), dataset, task.get("classes"), task.get("source")]
        weights[digest([*told, entry.record.seed])].add(entry.weights)
    if any(len(found) > 1 for found in weights.values()):
        return ["Cells of one seed began with different source models although they were trained alike."]
    return []
