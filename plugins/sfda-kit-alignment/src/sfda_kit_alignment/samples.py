"""The check that terms which compare two samples share."""

from __future__ import annotations

from torch import Tensor

from sfda_kit import UserError


def two_pairs(source: Tensor, target: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Return both samples (n, D), the source's without gradient; raise ``UserError`` where there is only one pair."""
    if len(target) < 2:
        raise UserError(
            f"{name} compares distributions and needs at least 2 TI pairs in a batch, got {len(target)}. Give more "
            f"pairs or a larger --batch-size, or remove the term (--aligner {name}=0)."
        )
    return source.detach(), target
