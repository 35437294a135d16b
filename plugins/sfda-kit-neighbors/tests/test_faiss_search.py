"""faiss finds what the search by torch finds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_neighbors.aad import Attraction
from sfda_kit_neighbors.nearest import nearest_rows, neighbour_search
from sfda_kit_neighbors.nrc import ReciprocalNeighbors
from torch import Tensor

from sfda_kit import TargetMemory

pytest.importorskip("faiss", reason="needs faiss: pip install 'sfda-kit-neighbors[faiss]'")
by_faiss = neighbour_search("faiss", "attraction")


def similarities(features: Tensor, own: Tensor, found: Tensor) -> Tensor:
    return (features[own][:, None] * features[found]).sum(dim=2)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(2, 300), st.integers(1, 40))
def test_neighbours_as_near_as_those_of_torch(seed: int, images: int, queries: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = F.normalize(torch.randn(images, 5, generator=generator), dim=1)
    own = torch.randint(images, (queries,), generator=generator)
    count = int(torch.randint(1, images, (), generator=generator))
    found, expected = (search(features[own], features, count, own) for search in (by_faiss, nearest_rows))
    assert found.dtype == torch.int64 and found.shape == (queries, count)
    assert not (found == own[:, None]).any()
    near, wanted = (similarities(features, own, rows) for rows in (found, expected))
    torch.testing.assert_close(near, wanted, atol=1e-6, rtol=0)  # rounding may make two swap places


@pytest.mark.parametrize("images", [1000, 5000])
def test_the_same_rows_where_features_are_apart(images: int) -> None:
    features = F.normalize(torch.randn(images, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    own = torch.arange(0, images, 7)
    expected = nearest_rows(features[own], features, 3, own)
    assert torch.equal(by_faiss(features[own], features, 3, own), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 4), st.integers(1, 6))
def test_among_copies_an_image_is_not_its_own_neighbour(seed: int, kinds: int, copies: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    distinct = F.normalize(torch.randn(kinds + 1, 5, generator=generator), dim=1)
    features = distinct.repeat_interleave(copies, dim=0)[torch.randperm(copies * (kinds + 1), generator=generator)]
    own = torch.arange(len(features))
    for count in range(1, len(features)):
        found, expected = (search(features, features, count, own) for search in (by_faiss, nearest_rows))
        assert not (found == own[:, None]).any()
        assert all(len(set(row)) == count for row in found.tolist())
        near, wanted = (similarities(features, own, rows) for rows in (found, expected))
        torch.testing.assert_close(near, wanted, atol=1e-6, rtol=0)


def test_the_memory_is_not_changed_and_gives_no_gradient() -> None:
    features = F.normalize(torch.randn(20, 4, requires_grad=True), dim=1)
    before = features.detach().clone()
    found = by_faiss(features[:5], features, 3, torch.arange(5))
    assert torch.equal(features.detach(), before) and not found.requires_grad


def step(images: int = 60, batch: int = 8, classes: int = 4) -> Any:
    generator = torch.Generator().manual_seed(0)
    memory = TargetMemory(images, 16, classes)
    answers = torch.randn(images, classes, generator=generator).softmax(1)
    memory.write(torch.arange(images), torch.randn(images, 16, generator=generator), answers)
    rows = torch.randperm(images, generator=generator)[:batch]
    return SimpleNamespace(memory=memory, target_rows=rows, target_probabilities=memory.probabilities[rows].clone())


@pytest.mark.parametrize("part", [Attraction, ReciprocalNeighbors])
def test_a_term_is_the_same_by_either_search(part: Any) -> None:
    signals = step()
    assert part(search="faiss")(signals).item() == part(search="torch")(signals).item()
