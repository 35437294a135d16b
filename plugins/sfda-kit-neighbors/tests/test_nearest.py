"""Neighbours against a full sort, whatever the size of the blocks."""

from __future__ import annotations

import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_neighbors.aad import Attraction
from sfda_kit_neighbors.nearest import check_count, nearest_rows, neighbour_search, positive_count
from sfda_kit_neighbors.nrc import ReciprocalNeighbors

from sfda_kit import UserError


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(2, 40), st.integers(1, 200))
def test_blocks_of_any_size_find_what_a_full_sort_finds(seed: int, images: int, cells: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = F.normalize(torch.randn(images, 5, generator=generator, dtype=torch.float64), dim=1)
    own = torch.randint(images, (7,), generator=generator)
    count = int(torch.randint(1, images, (), generator=generator))
    found = nearest_rows(features[own], features, count, own, cells)
    for query, row in enumerate(own.tolist()):
        similar = {other: float(features[row] @ features[other]) for other in range(images) if other != row}
        expected = sorted(similar, key=lambda other: -similar[other])[:count]
        assert found[query].tolist() == expected


def test_an_image_is_not_its_own_neighbour_even_among_copies() -> None:
    features = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), dim=1)
    rows = torch.arange(4)
    found = nearest_rows(features, features, 1, rows)[:, 0]
    assert found.tolist()[:2] == [1, 0]
    assert not (found == rows).any()


def test_autocast_leaves_the_search_exact() -> None:
    features = F.normalize(1 + 1e-4 * torch.randn(50, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    rows = torch.arange(50)
    expected = nearest_rows(features, features, 3, rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest_rows(features, features, 3, rows), expected)


def test_more_neighbours_than_images_is_a_users_mistake() -> None:
    check_count(2, 3, "attraction.options.neighbors")
    with pytest.raises(UserError, match=r"neighbors is 3, and with 3 target images each has only 2.*neighbors=1"):
        check_count(3, 3, "attraction.options.neighbors")


def test_a_search_that_is_not_there_is_named() -> None:
    assert neighbour_search("torch", "attraction") is nearest_rows
    with pytest.raises(UserError, match=r"attraction: there is no search 'fais'.*faiss"):
        Attraction(search="fais")


def test_faiss_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)  # what makes an import fail
    for part, name in ((Attraction, "attraction"), (ReciprocalNeighbors, "reciprocal-neighbors")):
        with pytest.raises(UserError, match=rf"{name}: the search 'faiss' needs.*'sfda-kit-neighbors\[faiss\]'"):
            part(search="faiss")


def test_a_count_below_the_least_is_refused() -> None:
    with pytest.raises(UserError, match="neighbors is 0, expected a whole number of at least 1"):
        positive_count(0, "attraction: neighbors")
