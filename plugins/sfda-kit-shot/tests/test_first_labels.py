"""An image keeps the label it had when it was first seen."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_shot.first_labels import FirstLabels


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=6), st.integers(0, 2**31 - 1))
def test_what_comes_first_stays(batches: list[set[int]], seed: int) -> None:
    generator, kept = torch.Generator().manual_seed(seed), FirstLabels()
    told: dict[int, tuple[int, bool]] = {}
    for batch in batches:
        rows = sorted(batch, key=lambda row: (row * 7) % 10)
        labels = torch.randint(5, (len(rows),), generator=generator)
        is_labelled = torch.rand(len(rows), generator=generator) < 0.5
        found = kept(torch.tensor(rows), labels, is_labelled)
        for i, row in enumerate(rows):
            told.setdefault(row, (int(labels[i]), bool(is_labelled[i])))
            assert (int(found[0][i]), bool(found[1][i])) == told[row]


def test_saved_labels_are_loaded_into_a_new_one() -> None:
    kept, fresh = FirstLabels(), FirstLabels()
    kept(torch.tensor([4, 1]), torch.tensor([2, 0]), torch.tensor([True, False]))
    fresh.load_state_dict(kept.state_dict())
    labels, is_labelled = fresh(torch.tensor([1, 4, 6]), torch.tensor([9, 9, 9]), torch.tensor([True, False, True]))
    assert labels.tolist() == [0, 2, 9] and is_labelled.tolist() == [False, True, True]
    assert len(kept.labels) == 5  # the one it was loaded from is as it was


def test_it_has_nothing_to_train() -> None:
    assert list(FirstLabels().parameters()) == []
