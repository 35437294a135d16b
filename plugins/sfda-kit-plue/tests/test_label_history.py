"""What the label history remembers, against a list of dictionaries."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_plue.label_history import LabelHistory

IMAGES, BATCH = 7, 3


def epochs(history: LabelHistory, count: int, seed: int, classes: int = 3) -> list[dict[int, int]]:
    """Label all images but the last of each shuffled epoch; what each image was last called, by epoch."""
    generator = torch.Generator().manual_seed(seed)
    told = [{i: int(y) for i, y in enumerate(history.past[:, 0])}]
    for _ in range(count):
        order = torch.randperm(IMAGES, generator=generator)[: IMAGES // BATCH * BATCH]
        told.append(dict(told[-1]))
        for rows in order.split(BATCH):
            labels = torch.randint(classes, (BATCH,), generator=generator)
            history.record(rows, labels)
            told[-1].update(zip(rows.tolist(), labels.tolist(), strict=True))
    return told


def started(length: int = 3) -> LabelHistory:
    history = LabelHistory(length)
    history.start(torch.tensor([0, 0, 1, 1, 2, 2, 2]))
    return history


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(1, 4), st.integers(0, 2**31 - 1))
def test_images_agree_that_had_one_label_in_a_past_epoch(count: int, length: int, seed: int) -> None:
    history = started(length)
    told = epochs(history, count, seed)
    past = told[:-1] if count else told  # the epoch that goes on is not past
    rows, others = torch.arange(IMAGES), torch.tensor([6, 2, 0])
    found = history.agree(rows, others)
    for i in range(IMAGES):
        for n, j in enumerate(others.tolist()):
            assert bool(found[i, n]) == any(labels[i] == labels[j] for labels in past[-length:])


def test_agreement_is_mutual_and_every_image_agrees_with_itself() -> None:
    history, rows = started(), torch.arange(IMAGES)
    epochs(history, 4, 0)
    found = history.agree(rows, rows)
    assert torch.equal(found, found.T) and found.diagonal().all() and not found.all()


def test_labels_of_the_epoch_that_goes_on_do_not_count() -> None:
    history = started()
    history.record(torch.tensor([0, 2]), torch.tensor([2, 2]))
    assert not history.agree(torch.tensor([0]), torch.tensor([2])).any()
    history.record(torch.tensor([0, 1]), torch.tensor([1, 1]))  # 0 comes again: the next epoch
    assert history.agree(torch.tensor([0]), torch.tensor([2])).all()


def test_an_unknown_past_agrees_with_nothing() -> None:
    history = LabelHistory(4)
    history.start(torch.tensor([0, 1]))
    assert history.past.tolist() == [[0, -1, -1, -1], [1, -1, -1, -1]]
    assert history.agree(torch.tensor([0]), torch.tensor([1])).tolist() == [[False]]


def test_a_history_of_any_size_is_loaded_into_a_new_one() -> None:
    saved, fresh = started(), LabelHistory(3)
    epochs(saved, 2, 0)
    assert not fresh.is_started
    fresh.load_state_dict(saved.state_dict())
    assert fresh.is_started
    assert torch.equal(fresh.past, saved.past) and torch.equal(fresh.current, saved.current)
    fresh.record(torch.tensor([0]), torch.tensor([1]))
    assert not torch.equal(fresh.current, saved.current)  # it is a copy
