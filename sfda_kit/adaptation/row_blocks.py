"""Work on all target images a block of rows at a time, so that nothing but the result grows with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce

import torch
from torch import Tensor

from sfda_kit.scratch import LARGE_BYTES, scratch_memory

BLOCK_ROWS = 2**14
"""The rows of a block: 16 MiB of 256 features. A smaller set is one block, so its results are those without blocks."""
LEAST_WIDTH = 256
"""The width that a narrower table counts with: that of usual features. So all tables of one set are mapped or none."""


def row_blocks(rows: int) -> Iterator[slice]:
    """Yield slices of at most ``BLOCK_ROWS`` rows that cover all ``rows`` in order; one empty slice where there are
    none."""
    for start in range(0, max(rows, 1), BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, rows))


def by_row_blocks(work: Callable[..., Tensor], *tables: Tensor) -> Tensor:
    """Return ``work(*tables)`` for a function that treats each row alone, computed block by block.

    ``tables`` have N rows each, and so has the result. Every value is the same as without blocks.
    """
    rows = len(tables[0])
    if rows <= BLOCK_ROWS:
        return work(*tables)
    found: Tensor | None = None
    for block in row_blocks(rows):
        part = work(*(table[block] for table in tables))
        if found is None:
            found = zero_rows((rows, *part.shape[1:]), part.device, part.dtype)
        found[block] = part
    assert found is not None, "there is at least one block"
    return found


def sum_over_row_blocks(work: Callable[[slice], Tensor], rows: int) -> Tensor:
    """Return the sum of ``work(block)`` over the blocks of ``rows`` rows; of a single block it is that block's value.

    With several blocks the last digits may differ from those of one sum over all rows.
    """
    return reduce(torch.add, (work(block) for block in row_blocks(rows)))


def zero_rows(shape: tuple[int, ...], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    """Return zeros of ``shape`` (N, ...). A large table on the CPU lies in a file that is mapped into memory.

    Large is a table of more than ``LARGE_BYTES``, where a narrow one counts with ``LEAST_WIDTH`` columns. A vector (N,)
    is never large. The file is gone with the tensor. Raises ``UserError`` where the disk has no room for it.
    """
    rows, width = shape[0], torch.Size(shape[1:]).numel()
    counted = rows * max(width, LEAST_WIDTH) * dtype.itemsize
    if torch.device(device).type != "cpu" or len(shape) < 2 or counted <= LARGE_BYTES:
        return torch.zeros(shape, device=device, dtype=dtype)
    memory = scratch_memory(rows * width * dtype.itemsize)
    return torch.frombuffer(memory, dtype=dtype, count=rows * width).view(shape)


def all_finite(table: Tensor) -> bool:
    """Return whether all values of ``table`` (N, ...) are finite."""
    return all(bool(table[block].isfinite().all()) for block in row_blocks(len(table)))
