"""Building of a board from records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sfda_kit.config.digest import digest
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.leaderboard.board import RANKING_METRICS, Board, TaskTable
from sfda_kit.leaderboard.comparable import (
    BoardCandidate,
    Reference,
    compared_versions,
    find_reference,
    mark_predictions,
    mark_seeds,
    mark_track,
    mark_versions,
    most_shared,
    spell_seeds,
    table_seeds,
    with_source_counts,
)
from sfda_kit.leaderboard.entries import Entry, TableKey, by_table, describe
from sfda_kit.leaderboard.fold_table import by_fold, folds_of_repetition, join, rank_folds
from sfda_kit.leaderboard.label_worth import with_label_worth
from sfda_kit.leaderboard.overall import build_overall
from sfda_kit.leaderboard.pretraining import with_pretraining
from sfda_kit.leaderboard.ranking import rank
from sfda_kit.leaderboard.rows import build_rows, slug, source_accuracy
from sfda_kit.leaderboard.scores import PredictionReader
from sfda_kit.leaderboard.shuffled import compare_shuffled, compare_shuffled_folds, shuffled_notices
from sfda_kit.leaderboard.tracks import Rankings, comparisons, gains, rank_tracks, track_notices
from sfda_kit.leaderboard.tuned import with_choices, with_counts
from sfda_kit.leaderboard.variants import MethodVariant, find_variants, settings_that_vary
from sfda_kit.results.collection import StoredRun


def build_board(runs: Sequence[StoredRun], metric: str | None = None, configurations: bool = False) -> Board:
    """Return the leaderboard of ``runs``, ranked by ``metric``; it depends on their records and predictions alone.
    The order of ``runs`` makes no difference. Raises ``UserError`` for a metric that a board cannot be ranked by.

    Without ``metric`` the held-out mean over classes ranks where a table has folds or the protocol ``paper``, else
    held-out accuracy, by which boards were ranked before there were folds. Where nothing is held out, the transductive
    metric takes the place of the held-out one. ``configurations``: show all configurations of methods that have
    several, beside the row of the method.
    """
    if metric is not None and metric not in RANKING_METRICS:
        raise UserError(f"A board cannot be ranked by {metric!r}. {did_you_mean(metric, RANKING_METRICS)}")
    runs_of = by_table(runs)
    leading = metric or _leading(runs_of)
    choices = with_choices(runs_of, lambda key: _of_protocol(key, leading), configurations)
    found, metric = choices.entries, leading
    variants = find_variants(found)
    tables, rankings = [], {}
    only_paper = all(key.is_paper for key in found)
    for key, entries in found.items():
        table, found_rankings = _table(key, entries, variants, _of_protocol(key, metric))
        tables.append(with_counts(table, choices.notices[key]))
        # no mean is taken over tables of two protocols, or over tasks that were made worse on purpose
        if key.is_paper == only_paper and not key.stress:
            rankings[table.id] = found_rankings
    metric = tables[0].metric if tables and only_paper else metric
    overall, note = build_overall(tables, rankings)
    return Board(
        metric, with_pretraining(tables, found.values()), overall, note, len(runs), settings_that_vary(found, variants)
    )


def _leading(found: Mapping[TableKey, Sequence[Entry]]) -> str:
    later = any(key.is_paper or by_fold(entries) for key, entries in found.items())
    return "heldout_mean_class_accuracy" if later else "heldout_accuracy"


def _of_protocol(key: TableKey, metric: str) -> str:
    return metric.replace("heldout", "transductive") if key.is_paper else metric


def _table(
    key: TableKey, entries: Sequence[Entry], variants: Mapping[int, MethodVariant], metric: str
) -> tuple[TaskTable, Rankings]:
    if folds := by_fold(entries):
        return _fold_table(key, folds, variants, metric)
    reference = find_reference(entries, variants)
    candidates, notices = _candidates(entries, variants, reference)
    seeds = table_seeds(candidates)
    candidates = [mark_track(mark_versions(mark_seeds(one, seeds), reference)) for one in candidates]
    candidates, groups = _scored(candidates, metric, key.follows)
    compared = [candidate for candidate in candidates if candidate.compared]
    rankings = rank_tracks(compared, lambda one: one.track, lambda own: rank(own, seeds))
    shuffled = compare_shuffled(candidates)
    table = TaskTable(
        id=slug(key),
        metric=metric,
        task=describe(key, entries, reference.fingerprint),
        network=key.network,
        rows=with_label_worth(build_rows(candidates, seeds, metric, rankings, shuffled), candidates, metric),
        comparisons=comparisons(rankings),
        seeds=seeds,
        groups=groups,
        source_weights={seed: reference.weights.get(seed, "") for seed in seeds},
        source_accuracy=source_accuracy(candidates, seeds),
        versions=reference.versions,
        notices=(
            *notices,
            *_extra_seeds(candidates, seeds),
            *track_notices(rankings),
            *shuffled_notices(candidates, shuffled, gains(rankings)),
        ),
    )
    return table, rankings


def _fold_table(
    key: TableKey, folds: Mapping[int, Sequence[Entry]], variants: Mapping[int, MethodVariant], metric: str
) -> tuple[TaskTable, Rankings]:
    """Return the table of runs on several ``folds``: rows are marked fold by fold, and compared over all folds."""
    entries = [entry for own in folds.values() for entry in own]
    done = [entry for entry in entries if entry.record.status == "ok"]
    shared = dict(most_shared(done, compared_versions, lambda entry: variants[id(entry)].label) or ())
    references = {fold: replace(find_reference(own, variants), versions=shared) for fold, own in folds.items()}
    found: dict[int, list[BoardCandidate]] = {}
    notices: list[str] = []
    for fold, own in folds.items():
        found[fold], said = _candidates(own, variants, references[fold])
        notices += [f"Fold {fold}: {one}" for one in said]
    seeds = table_seeds([candidate for own in found.values() for candidate in own])
    groups = 0
    for fold, candidates in found.items():
        marked = [mark_track(mark_versions(mark_seeds(one, seeds), references[fold])) for one in candidates]
        found[fold], held_out = _scored(marked, metric, follows=False)
        groups += held_out
    rows = join(found)
    dealt = folds_of_repetition(entries)
    compared = [row for row in rows if row.whole.compared]
    rankings = rank_tracks(compared, lambda one: one.whole.track, lambda own: rank_folds(own, seeds, dealt))
    candidates = [row.whole for row in rows]
    shuffled = compare_shuffled_folds(rows, dealt)
    fingerprints = [reference.fingerprint for reference in references.values()]
    table = TaskTable(
        id=slug(key),
        metric=metric,
        task=replace(describe(key, folds[min(folds)], fingerprints[0]), fingerprint=digest(fingerprints)),
        network=key.network,
        rows=with_label_worth(build_rows(candidates, seeds, metric, rankings, shuffled), candidates, metric),
        comparisons=comparisons(rankings),
        seeds=seeds,
        groups=groups * dealt // max(dealt, len(folds)),  # each group is held out once in a repetition
        source_weights={},
        source_accuracy=source_accuracy(candidates, seeds),
        versions=shared,
        notices=(
            *notices,
            *track_notices(rankings),
            *shuffled_notices(candidates, shuffled, gains(rankings)),
        ),
        folds=tuple(folds),
    )
    return table, rankings


def _candidates(
    entries: Sequence[Entry], variants: Mapping[int, MethodVariant], reference: Reference
) -> tuple[list[BoardCandidate], list[str]]:
    """Group runs by variant, data revision and source weights, with one run per seed; return notices too."""
    grouped: dict[MethodVariant, dict[tuple[str, str], list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        if entry.record.status == "ok":
            departure = reference.departure(entry)
            revision = entry.fingerprint if departure == "data" else ""
            grouped[variants[id(entry)]][departure or "", revision].append(entry)
    for entry in entries:  # Runs without a result come last, because they join the other runs of their variant.
        if entry.record.status != "ok":
            own = grouped[variants[id(entry)]]
            own[min(own, default=("", ""))].append(entry)
    candidates, notices = [], []
    for variant in sorted(grouped):
        for (kind, _), group in sorted(grouped[variant].items()):
            chosen, said = _one_a_seed(variant, group)
            candidate = BoardCandidate(variant, group[0].kind, chosen)
            candidates.append(_departed(candidate, kind))
            notices += said
    return candidates, notices


def _departed(candidate: BoardCandidate, kind: str) -> BoardCandidate:
    departed = candidate
    if kind == "data":
        departed = candidate.marked("data", spell_seeds(candidate.ended_well))
    if kind == "weights":
        departed = candidate.marked("weights", spell_seeds(candidate.ended_well))
    if candidate.kind == "control":
        control = departed.marked("control")
        return control.marked("oracle") if any(entry.record.oracle for entry in candidate.entries) else control
    if candidate.kind == "configuration":
        return departed.marked("configuration")
    is_oracle = candidate.kind == "oracle-tuned" or (candidate.kind == "oracle" and not kind)
    return departed.marked("oracle") if is_oracle else departed


def _one_a_seed(variant: MethodVariant, entries: Sequence[Entry]) -> tuple[tuple[Entry, ...], list[str]]:
    """Choose for each seed the newest run that ended well, else the newest; say so where a seed has several runs."""
    by_seed: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_seed[entry.record.seed].append(entry)
    chosen = [max(group, key=lambda entry: (entry.record.status == "ok", entry.age)) for group in by_seed.values()]
    chosen.sort(key=lambda entry: entry.record.seed)
    several = [seed for seed, group in by_seed.items() if len(group) > 1]
    if not several:
        return tuple(chosen), []
    which = "the newest that ended well counts"
    return tuple(chosen), [f"{variant.label}: more than one record for {spell_seeds(several)}; {which}."]


def _scored(candidates: Sequence[BoardCandidate], metric: str, follows: bool) -> tuple[list[BoardCandidate], int]:
    """Return the candidates with counts and marks, and the number of groups of the images that most runs share.

    ``follows``: each seed has images of its own; the number is then that of the seed with the fewest groups.
    """
    reader = PredictionReader(metric)
    with_counts = [
        replace(
            candidate, scored={entry.record.seed: entry.read(reader) for entry in candidate.of_seeds(candidate.counted)}
        )
        for candidate in candidates
    ]
    if reader.of_areas:
        with_counts = with_source_counts(with_counts)
    counts: dict[int, dict[tuple[str, int], int]] = defaultdict(lambda: defaultdict(int))
    for candidate in with_counts:
        for seed, scored in (candidate.scored or {}).items():
            if scored is not None:
                found = scored.images.key, scored.images.total.shape[0]
                counts[seed if follows else 0][found] += not candidate.marks
    shared = {seed: max((count, found) for found, count in own.items())[1] for seed, own in counts.items()}
    seeds = {seed for candidate in with_counts for seed in candidate.counted}
    images = {seed: shared[at][0] for seed in seeds if (at := seed if follows else 0) in shared}
    marked = [mark_predictions(candidate, metric, images) for candidate in with_counts]
    return marked, min((groups for _, groups in shared.values()), default=0)


def _extra_seeds(candidates: Sequence[BoardCandidate], seeds: Sequence[int]) -> list[str]:
    return [
        f"{candidate.variant.label}: {spell_seeds(extra)} not counted, the table compares {spell_seeds(seeds)}."
        for candidate in candidates
        if (extra := set(candidate.ended_well) - set(candidate.counted))
    ]
