"""Comparison of each method with its controls whose TI pairs are shuffled: is its gain one of the pairs?

Both rows start from the same source models, so the difference of their gains is the difference of their scores. It is
paired by seed and image, or by fold, like every other comparison of a table. The gain of a control over its source
models is the part of the gain that needs no pairing. Over folds, Holm's correction joins all methods minus controls,
and all controls minus source models; with seeds alone each comparison stands for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sfda_kit.leaderboard.board import BoardRow, Comparison
from sfda_kit.leaderboard.comparable import BoardCandidate, spell_seeds
from sfda_kit.leaderboard.entries import SOURCE_ONLY
from sfda_kit.leaderboard.fold_statistics import compare_folds, corrected_together, draw_folds
from sfda_kit.leaderboard.fold_table import FoldRow, fold_counts
from sfda_kit.leaderboard.ranking import source_counts
from sfda_kit.leaderboard.scores import Scored
from sfda_kit.leaderboard.statistics import RESAMPLES, compare, draw_scored
from sfda_kit.leaderboard.variants import matched_counterpart

VERSUS = {"minus shuffled pairs": ", shuffled pairs", "minus shuffled within class": ", shuffled pairs within class"}
"""The heads of the columns that compare a row with its controls, with the end of the control's label."""


def against(row: BoardRow, head: str) -> Comparison | None:
    """Return the comparison of ``row`` with its control that stands in the column ``head`` of ``VERSUS``."""
    return next((one for one in row.versus_shuffled if one.second.endswith(VERSUS[head])), None)


def compare_shuffled(candidates: Sequence[BoardCandidate]) -> tuple[Comparison, ...]:
    """Return each method minus its shuffled control, and the control minus its source models, on the seeds of both.

    Marked rows are not compared.
    """
    found: list[Comparison] = []
    for matched, control in _couples(candidates):
        both = (matched, control)
        seeds = sorted(set(matched.counted) & set(control.counted))
        scored = [[_scored(one, seed) for seed in seeds] for one in both]
        if not seeds or [one.images.key for one in scored[0]] != [one.images.key for one in scored[1]]:
            continue
        images = [one.images for one in scored[0]]
        sources = source_counts(scored)
        draws = draw_scored([[one.correct for one in row] for row in scored] + sources, images, seeds, RESAMPLES)
        for pair in _pairs(bool(sources)):
            found += compare(draws, _labels(both), [pair])
    return tuple(found)


def compare_shuffled_folds(rows: Sequence[FoldRow], folds: int) -> tuple[Comparison, ...]:
    """Return what ``compare_shuffled`` does, over folds; a row that lacks a fold or a seed is not compared."""
    by_variant = {id(row.whole): row for row in rows}
    found: list[Comparison] = []
    for matched, control in _couples([row.whole for row in rows]):
        both = [by_variant[id(one)] for one in (matched, control)]
        if set(both[0].by_fold) != set(both[1].by_fold) or matched.counted != control.counted:
            continue
        scored = [
            [[_scored(row.by_fold[fold], seed) for seed in matched.counted] for row in both]
            for fold in sorted(both[0].by_fold)
        ]
        known = all(map(source_counts, scored))
        draws = draw_folds([fold_counts(own, with_source=known) for own in scored], matched.counted, folds, RESAMPLES)
        for pair in _pairs(known):
            found += compare_folds(draws, _labels([row.whole for row in both]), [pair])
    of_methods = [one for one in found if one.second != SOURCE_ONLY]
    of_controls = [one for one in found if one.second == SOURCE_ONLY]
    return corrected_together(of_methods) + corrected_together(of_controls)


def shuffled_notices(
    candidates: Sequence[BoardCandidate], found: Sequence[Comparison], gains: Mapping[str, Comparison]
) -> list[str]:
    """Return a sentence for each method without a gain of pairs, and for each control without a comparable method.

    A gain of pairs is a difference to the control by a method that is better than its source models. ``gains``: methods
    minus source models.
    """
    said = []
    for one in found:
        if one.second == SOURCE_ONLY:
            continue
        gain = gains.get(one.first)
        if not _is_better(one):
            said.append(
                f"No gain of pairs is shown: {one.first} is not clearly better than with {_pairs_of(one.second)} "
                f"({_told(one)})."
            )
        elif gain is not None and not _is_better(gain):
            said.append(
                f"No gain of pairs is shown: {one.first} is better than with {_pairs_of(one.second)}, but not clearly "
                f"better than the source model ({_told(gain)})."
            )
    compared = {one.second for one in found}
    for candidate in candidates:
        if matched_counterpart(candidate.variant) and candidate.variant.label not in compared and candidate.counted:
            seeds = spell_seeds(candidate.counted)
            said.append(f"{candidate.variant.label}, {seeds}: there is no comparable row with matched pairs.")
    return said


def _is_better(one: Comparison) -> bool:
    return one.low > 0 and (one.different or not one.folds)


def _told(one: Comparison) -> str:
    doubt = f", p {one.adjusted:.2f}" if one.only_uncorrected and one.folds else ""
    return f"difference {one.difference:.1f} [{one.low:.1f}, {one.high:.1f}]{doubt}"


def _labels(both: Sequence[BoardCandidate]) -> list[str]:
    """Return the names of the columns of draws: a method, its control, and the source models of both."""
    return [*(one.variant.label for one in both), SOURCE_ONLY, SOURCE_ONLY]


def _pairs(with_source: bool) -> list[tuple[int, int]]:
    """Return the columns that are compared."""
    return [(0, 1), (1, 3)] if with_source else [(0, 1)]


def _pairs_of(label: str) -> str:
    return label.rpartition(", ")[2]


def _couples(candidates: Sequence[BoardCandidate]) -> Iterator[tuple[BoardCandidate, BoardCandidate]]:
    """Yield each method and its shuffled control, both without a mark that forbids comparing them."""
    by_variant = {(one.variant.method, one.variant.settings): one for one in candidates if one.compared}
    for control in candidates:
        matched = by_variant.get(matched_counterpart(control.variant) or ("", ()))
        sound = all(mark.kind in ("control", "failed") for mark in control.marks)
        if matched is not None and control.counted and sound:
            yield matched, control


def _scored(candidate: BoardCandidate, seed: int) -> Scored:
    found = (candidate.scored or {})[seed]
    assert found is not None, "a row without predictions has a mark"
    return found
