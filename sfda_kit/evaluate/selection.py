"""The epoch that a validator chooses, and the loss of accuracy against the best epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sfda_kit.results.record import EpochScores, OracleEpoch, Selection

Row = Mapping[str, Any]
"""One row of a run's history."""

RANKED_BY = "heldout_accuracy"
"""The metric of regret, which is given in points of percent."""


class EpochCandidate(NamedTuple):
    """A candidate holds what a choice may use of an epoch: no metric, so no label."""

    phase: str
    epoch: int
    score: float | None
    collapsed: bool


def candidate(row: Row, validator: str) -> EpochCandidate:
    """Return the candidate of an epoch of any phase; each has a complete model, and a later phase may be worse."""
    signals = row["signals"]
    score = signals.get("validators", {}).get(validator)
    return EpochCandidate(row["phase"], row["epoch"], score, "collapse" in signals.get("alarms", {}))


def better(new: EpochCandidate, best: EpochCandidate | None) -> bool:
    """Return whether ``new``, a later epoch, replaces ``best``; of equal scores the earlier epoch stays."""
    if new.collapsed or new.score is None:
        return False
    return best is None or best.score is None or new.score > best.score


def choose(candidates: Sequence[EpochCandidate], guarded: bool = True) -> EpochCandidate | None:
    """Return the epoch of the highest score, without collapsed epochs if ``guarded``; None where there is none."""
    best: EpochCandidate | None = None
    for new in candidates:
        if better(new if guarded else new._replace(collapsed=False), best):
            best = new
    return best


def vetoed(candidates: Sequence[EpochCandidate], chosen: EpochCandidate | None) -> list[EpochCandidate]:
    """Return the collapsed epochs that would have been preferred to ``chosen``."""
    return [c for c in candidates if c.collapsed and better(c._replace(collapsed=False), chosen)]


def describe_selection(history: Sequence[Row], validator: str, result: tuple[str, int], applied: bool) -> Selection:
    """Return the record of the choice among the epochs of ``history``; ``result``: phase and epoch of the run's model.
    The last epoch counts as chosen where every epoch is excluded."""
    candidates = [candidate(row, validator) for row in history]
    chosen = choose(candidates)
    at = len(history) - 1 if chosen is None else candidates.index(chosen)
    oracle = _oracle(history)
    metrics = dict(history[at]["metrics"])
    return Selection(
        validator=validator,
        applied=applied,
        chosen_phase=candidates[at].phase,
        chosen_epoch=candidates[at].epoch,
        result_phase=result[0],
        result_epoch=result[1],
        vetoed=[EpochScores(phase=c.phase, epoch=c.epoch, score=c.score) for c in vetoed(candidates, chosen)],
        last=dict(history[-1]["metrics"]),
        chosen=metrics,
        oracle=oracle,
        regret=None if oracle is None else oracle.metrics[RANKED_BY] - metrics[RANKED_BY],
    )


def _oracle(history: Sequence[Row]) -> OracleEpoch | None:
    rows = [row for row in history if RANKED_BY in row["metrics"]]
    if not rows:
        return None
    best = max(rows, key=lambda row: row["metrics"][RANKED_BY])
    return OracleEpoch(phase=best["phase"], epoch=best["epoch"], metrics=dict(best["metrics"]))
