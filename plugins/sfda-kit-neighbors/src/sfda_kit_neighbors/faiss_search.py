"""Nearest neighbours by faiss, an optional package, with the same result as the search by torch.

Johnson, Douze, Jegou, "Billion-scale similarity search with GPUs" (https://arxiv.org/abs/1702.08734). The search is
faiss's exhaustive one (that of its ``IndexFlatIP``), so it is exact as well. No index is kept: the memory changes in
every step, and copying it into an index would cost more than the search.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import torch

from sfda_kit import UserError

if TYPE_CHECKING:
    from torch import Tensor


def require_faiss(part: str) -> None:
    """Raise ``UserError`` unless faiss can be imported; ``part``: the part that asks for it."""
    try:
        import_module("faiss")
    except ImportError as error:
        raise UserError(
            f"{part}: the search 'faiss' needs the package faiss ({error}). Install it with: "
            "pip install 'sfda-kit-neighbors[faiss]', or leave the option out: the search by torch finds the same."
        ) from None


@torch.no_grad()
def nearest_rows_by_faiss(queries: Tensor, features: Tensor, count: int, own_rows: Tensor) -> Tensor:
    """Do what ``nearest_rows`` does, on the CPU in single precision; the rows are on the device of ``own_rows``.

    Where several features are equally near and only some of them fit in, faiss chooses among them.
    """
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())  # faiss has a thread count of its own
    query_array, feature_array = (values.cpu().float().numpy() for values in (queries, features))
    _, found = faiss.knn(query_array, feature_array, count + 1, metric=faiss.METRIC_INNER_PRODUCT)
    rows = torch.from_numpy(found).to(own_rows.device)
    return _without(rows, own_rows)


def _without(rows: Tensor, own_rows: Tensor) -> Tensor:
    """Drop each query's own row from ``rows`` (Q, K + 1), or the last row where its own is not among them: (Q, K)."""
    is_own = rows == own_rows[:, None]
    # A stable sort of booleans moves what is to be dropped to the end and keeps the order of the rest.
    order = is_own.to(torch.uint8).argsort(dim=1, stable=True)
    return rows.gather(1, order[:, :-1])
