"""The choice of an epoch from label-free scores, and the state that is kept for it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit import EpochState
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.builtin.bridges import Copy
from sfda_kit.checksums import DamagedFileError
from sfda_kit.errors import RunError
from sfda_kit.evaluate.selection import EpochCandidate, better, choose, describe_selection, vetoed
from sfda_kit.models.network import AdaptedModel
from sfda_kit.results.record import Record
from sfda_kit.runs.best_checkpoint import BestCheckpoint
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_target


def of(*scores: float | None, collapsed: tuple[int, ...] = ()) -> list[EpochCandidate]:
    return [EpochCandidate("adapt", k, score, k in collapsed) for k, score in enumerate(scores, start=1)]


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        (of(1.0, 3.0, 2.0), 2),
        (of(1.0, 3.0, 3.0), 2),  # the earlier of equals
        (of(1.0, 3.0, 2.0, collapsed=(2,)), 3),
        (of(None, -5.0), 2),
        (of(None, None), None),
        (of(1.0, 2.0, collapsed=(1, 2)), None),
    ],
)
def test_the_choice_by_hand(candidates, expected):
    chosen = choose(candidates)
    assert (chosen and chosen.epoch) == expected


def test_vetoed_are_the_collapsed_ones_that_would_have_won():
    candidates = of(5.0, 1.0, 3.0, 2.0, 0.5, collapsed=(1, 4, 5))
    chosen = choose(candidates)
    assert chosen is not None and chosen.epoch == 3
    assert [c.epoch for c in vetoed(candidates, chosen)] == [1]
    assert choose(candidates, guarded=False).epoch == 1
    assert [c.epoch for c in vetoed(of(1.0, 2.0, collapsed=(1, 2)), None)] == [1, 2]


@given(st.lists(st.tuples(st.floats(-9, 9), st.booleans()), max_size=12))
def test_one_at_a_time_gives_the_same_as_all_at_once(found):
    """A run decides epoch by epoch what to keep; the record is told from the whole history."""
    candidates = [EpochCandidate("adapt", k, *values) for k, values in enumerate(found)]
    kept = None
    for new in candidates:
        if better(new, kept):
            kept = new
    assert kept == choose(candidates)
    healthy = [c for c in candidates if not c.collapsed]
    assert (kept is None) == (not healthy)
    assert kept is None or kept.score == max(c.score for c in healthy)


def row(epoch: int, accuracy: float | None, score: float, phase: str = "adapt", collapsed: bool = False) -> dict:
    metrics = {} if accuracy is None else {"heldout_accuracy": accuracy}
    alarms = {"collapse": "..."} if collapsed else {}
    return {
        "phase": phase,
        "epoch": epoch,
        "metrics": metrics,
        "signals": {"validators": {"v": score}, "alarms": alarms},
    }


def test_the_record_tells_last_chosen_and_oracle_with_the_regret():
    history = [row(1, 70.0, 3.0, "first"), row(1, 50.0, 9.0, collapsed=True), row(2, 80.0, 2.0), row(3, 60.0, 1.0)]
    found = describe_selection(history, "v", ("adapt", 3), applied=False)
    assert (found.chosen_phase, found.chosen_epoch) == ("first", 1)  # epochs of every phase count
    assert (found.result_phase, found.result_epoch) == ("adapt", 3)
    assert [(c.phase, c.epoch, c.score) for c in found.vetoed] == [("adapt", 1, 9.0)]
    assert found.last == {"heldout_accuracy": 60.0} and found.chosen == {"heldout_accuracy": 70.0}
    assert found.oracle is not None and found.oracle.made_with_labels
    assert (found.oracle.epoch, found.oracle.metrics) == (2, {"heldout_accuracy": 80.0})
    assert found.regret == 10.0


def test_without_labels_there_is_no_oracle_and_no_regret():
    found = describe_selection([row(1, None, 1.0), row(2, None, 2.0)], "v", ("adapt", 2), applied=True)
    assert found.chosen_epoch == 2 and found.oracle is None and found.regret is None


def test_where_the_guard_leaves_nothing_the_last_epoch_counts():
    history = [row(1, 9.0, 1.0, collapsed=True), row(2, 8.0, 2.0, collapsed=True)]
    found = describe_selection(history, "v", ("adapt", 2), applied=True)
    assert found.chosen_epoch == 2 and [c.epoch for c in found.vetoed] == [1, 2] and found.regret == 1.0


def test_a_record_from_before_has_none_and_a_new_one_survives_json():
    old = Record.model_validate({"run_id": "r", "status": "ok", "method": "m", "run_dir": "d"})
    assert old.selection is None and old.monitor is None
    selection = describe_selection([row(1, 70.0, 3.0)], "v", ("adapt", 1), applied=False)
    new = old.model_copy(update={"selection": selection})
    assert Record.model_validate_json(new.model_dump_json()) == new


def a_state(epoch: int, seed: int) -> EpochState:
    model = AdaptedModel(Copy(), small_network(seed))
    return EpochState("adapt", epoch, 3, model, fill_bank(model, small_target()), {"churn": 0.5})


def test_the_kept_state_comes_back_bit_for_bit(tmp_path):
    kept = BestCheckpoint(tmp_path / "kept.state")
    best, last = a_state(1, seed=0), a_state(3, seed=1)
    assert kept.epoch is None and kept.restore(last) is last
    weights = {name: value.clone() for name, value in best.model.state_dict().items()}
    kept.save(best, 0.1 + 0.2)
    assert kept.epoch == BestCheckpoint(kept.path).epoch == ("adapt", 1, 3, 0.1 + 0.2)
    restored = kept.restore(last)
    assert restored.epoch == 1 and restored.diagnostics == {}
    assert torch.equal(restored.bank.logits, best.bank.logits)
    assert torch.equal(restored.bank.features, best.bank.features)
    assert all(torch.equal(value, weights[name]) for name, value in restored.model.state_dict().items())
    assert torch.equal(fill_bank(restored.model, small_target()).logits, best.bank.logits)
    kept.save(a_state(2, seed=2), None)
    assert BestCheckpoint(kept.path).epoch == ("adapt", 2, 3, None)


def test_a_kept_state_that_is_damaged_while_the_run_goes_on_is_not_used(tmp_path):
    kept = BestCheckpoint(tmp_path / "kept.state")
    kept.save(a_state(1, seed=0), 0.3)
    content = bytearray(kept.path.read_bytes())
    content[len(content) // 2] ^= 1
    kept.path.write_bytes(content)
    with pytest.raises(DamagedFileError):
        _ = BestCheckpoint(kept.path).epoch
    with pytest.raises(RunError, match=r"is damaged.*--resume"):
        kept.restore(a_state(3, seed=1))
