"""The check that terms which compare two samples share."""

from __future__ import annotations

from torch import Tensor

from sfda_kit import UserError


def require_two_rows(source: Tensor, target: Tensor, function: str, term: str) -> None:
    """Raise ``UserError`` where a sample (n, D) has less than two rows; ``term`` is the aligner of ``function``."""
    rows = min(len(source), len(target))
    if rows < 2:
        raise UserError(
            f"{function} compares distributions and needs at least 2 TI pairs in a batch, got {rows}. Give more "
            f"pairs or a larger --batch-size, or remove the term (--aligner {term}=0)."
        )
