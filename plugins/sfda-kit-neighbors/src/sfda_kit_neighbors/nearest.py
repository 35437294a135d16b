"""Exact nearest neighbours in the memory of target features, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sfda_kit import UserError, did_you_mean, without_autocast

NeighbourSearch = Callable[[Tensor, Tensor, int, Tensor], Tensor]
"""A search has the arguments and the result of ``nearest_rows``."""

CELLS = 2**24
"""The number of similarities in memory at once (64 MiB in single precision)."""


@torch.no_grad()
def nearest_rows(queries: Tensor, features: Tensor, count: int, own_rows: Tensor, cells: int = CELLS) -> Tensor:
    """Return the rows of the ``count`` most similar features of each query, most similar first, int64 (Q, count).

    ``queries`` (Q, D) and ``features`` (N, D) have unit length; similarity is their cosine. ``own_rows`` (Q,): the row
    of each query itself, which is never its own neighbour. The features are compared in blocks of at most ``cells``
    similarities, and nothing is approximated. ``count`` must be less than N (see ``check_count``).
    """
    block = max(1, cells // max(1, len(queries)))
    best = queries.new_empty(len(queries), 0)
    rows = own_rows.new_empty(len(queries), 0)
    # In 16 bits hundreds of near features would be equal, so the product stays in full precision under autocast.
    with without_autocast(queries.device):
        for start in range(0, len(features), block):
            similarity = queries @ features[start : start + block].T
            candidates = torch.arange(start, start + similarity.shape[1], device=queries.device)
            similarity.masked_fill_(candidates == own_rows[:, None], -torch.inf)
            # The best of a block join those found so far: the table of all similarities is never copied.
            inside, found = similarity.topk(min(count, similarity.shape[1]), dim=1)
            best, rows = torch.cat([best, inside], dim=1), torch.cat([rows, found + start], dim=1)
            best, chosen = best.topk(min(count, best.shape[1]), dim=1)
            rows = rows.gather(1, chosen)
    return rows


def neighbour_search(name: str, part: str = "neighbour_search") -> NeighbourSearch:
    """Return the search that ``part`` asks for: ``torch`` is ``nearest_rows``, ``faiss`` gives the same result.

    Raises ``UserError`` for another name, and where faiss is asked for and not installed.
    """
    if name == "torch":
        return nearest_rows
    if name != "faiss":
        raise UserError(f"{part}: there is no search {name!r}. {did_you_mean(name, ('torch', 'faiss'))}")
    from sfda_kit_neighbors.faiss_search import nearest_rows_by_faiss, require_faiss

    require_faiss(part)
    return nearest_rows_by_faiss


def check_count(count: int, images: int, option: str) -> None:
    """Raise ``UserError`` when there are not ``count`` neighbours; ``option``: where a run sets the count."""
    positive_count(count, option)
    if count >= images:
        raise UserError(
            f"{option} is {count}, and with {images} target images each has only {images - 1} neighbours. "
            f"Give more images, or fewer neighbours: --set recipe.aligners.{option}=1"
        )


def positive_count(count: int, option: str, least: int = 1) -> int:
    """Return ``count``; raise ``UserError`` where it is below ``least``."""
    if count < least:
        raise UserError(f"{option} is {count!r}, expected a whole number of at least {least}.")
    return count
