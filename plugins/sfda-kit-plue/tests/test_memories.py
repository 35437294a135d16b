"""What bank, queue and history remember, against lists and dictionaries."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_plue.memories import AnswerBank, KeyQueue, LabelHistory
from torch import Tensor

from sfda_kit.testing.signals import small_bank

seeds = st.integers(0, 2**31 - 1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def started_queue(size: int = 5) -> KeyQueue:
    queue = KeyQueue(4)
    queue.start(size, 9, generator())
    return queue


def started_history(epochs: int = 3, images: int = 7, classes: int = 3) -> LabelHistory:
    history = LabelHistory(epochs)
    history.start(images, classes, generator())
    return history


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 8), max_size=6), seeds)
def test_the_oldest_keys_make_room(counts: list[int], seed: int) -> None:
    """Also where a batch is larger than the queue."""
    queue, random = started_queue(), generator(seed)
    expected, place = list(zip(queue.keys.tolist(), queue.rows.tolist(), strict=True)), 0
    for count in counts:
        keys, rows = torch.randn(count, 4, generator=random), torch.randint(9, (count,), generator=random)
        queue.write(keys, rows)
        for entry in zip(keys.tolist(), rows.tolist(), strict=True):
            expected[place] = entry
            place = (place + 1) % 5
    assert list(zip(queue.keys.tolist(), queue.rows.tolist(), strict=True)) == expected
    assert int(queue.place) == place


def test_a_queue_begins_with_unit_keys_of_random_images() -> None:
    queue = started_queue(200)
    assert queue.keys.norm(dim=1).tolist() == pytest.approx(200 * [1.0])
    assert set(queue.rows.tolist()) == set(range(9))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 7), max_size=6), seeds)
def test_the_bank_is_written_in_order(counts: list[int], seed: int) -> None:
    answers, bank, random = small_bank(images=9), AnswerBank(), generator(seed)
    rows = torch.randperm(9, generator=random)[:5]
    bank.fill(answers, rows)
    expected, place = [(answers.features[i], answers.probabilities[i]) for i in rows], 0
    for count in counts:
        features = torch.randn(count, 6, generator=random)
        probabilities = torch.randn(count, 3, generator=random).softmax(1)
        bank.write(features, probabilities)
        for i in range(count):
            expected[place] = features[i], probabilities[i]
            place = (place + 1) % 5
    assert torch.equal(bank.features, torch.stack([f for f, _ in expected]))
    assert torch.equal(bank.probabilities, torch.stack([p for _, p in expected]))
    assert bank.place == place


def test_a_new_bank_is_written_from_its_first_place() -> None:
    bank = AnswerBank()
    for _ in range(2):
        bank.fill(small_bank(images=5), torch.arange(5))
        bank.write(torch.zeros(3, 6), torch.ones(3, 3))
    assert bank.place == 3 and not bank.features[:3].any() and bank.features[3:].any()


def test_the_answers_that_fill_a_bank_are_not_changed_by_it() -> None:
    answers, bank = small_bank(images=5), AnswerBank()
    before = answers.features.clone()
    bank.fill(answers, torch.arange(5))
    bank.write(torch.zeros(5, 6), torch.ones(5, 3))
    assert torch.equal(answers.features, before)


def test_no_bank_is_in_a_checkpoint() -> None:
    assert not AnswerBank().state_dict()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.integers(1, 4), seeds)
def test_images_differ_whose_labels_were_never_the_same(epochs: int, length: int, seed: int) -> None:
    history, random = started_history(length), generator(seed)
    told, slot = [{i: int(history.labels[i, t]) for i in range(7)} for t in range(length)], 0
    for epoch in range(epochs):
        for rows in torch.randperm(7, generator=random).split(3):
            labels = torch.randint(3, (len(rows),), generator=random)
            history.record(rows, labels, epoch)
            told[slot].update(zip(rows.tolist(), labels.tolist(), strict=True))
            slot = epoch % length
    found = history.differ(torch.arange(7), torch.tensor([6, 2, 0]))
    expected = [[all(column[i] != column[j] for column in told) for j in (6, 2, 0)] for i in range(7)]
    assert found.tolist() == expected


def test_no_image_differs_from_itself_and_difference_is_mutual() -> None:
    found = started_history().differ(torch.arange(7), torch.arange(7))
    assert torch.equal(found, found.T) and not found.diagonal().any() and found.any()


def test_the_first_batch_of_an_epoch_writes_to_the_column_before() -> None:
    history = started_history(2)
    for epoch in (0, 1):
        for rows in (torch.tensor([0]), torch.tensor([1])):
            history.record(rows, torch.tensor([7 + epoch]), epoch)
    assert history.labels[0, 0] == 8 and history.labels[1].tolist() == [7, 8]


@pytest.mark.parametrize("saved", [started_queue(), started_history()])
def test_a_memory_of_any_size_is_loaded_into_a_new_one(saved: torch.nn.Module) -> None:
    fresh = KeyQueue(4) if isinstance(saved, KeyQueue) else LabelHistory(3)
    fresh.load_state_dict(saved.state_dict())
    for (name, mine), (_, its) in zip(fresh.named_buffers(), saved.named_buffers(), strict=True):
        assert torch.equal(mine, its), name
    if isinstance(fresh, KeyQueue):
        fresh.write(torch.zeros(1, 4), torch.tensor([0]))
        assert not torch.equal(_keys(fresh), _keys(saved))  # it is a copy


def _keys(queue: torch.nn.Module) -> Tensor:
    found: Tensor = queue.state_dict()["keys"]
    return found
