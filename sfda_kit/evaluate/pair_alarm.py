"""The evidence for the alarm ``pair-disagreement``, from shares of TI pairs alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

PATIENCE = 2
"""The number of consecutive epochs in which evidence must stand: the first steps of a healthy run shake a model."""
ERRORS = 2.0
"""The least fall of the agreement in standard errors of the difference: the usual two (``alarms_per_epoch.csv`` of the
committed results counts what it catches and what it costs)."""


def disagreement_stands(agreements: Sequence[float | None], reference: float, pairs: int) -> bool:
    """Return whether the last ``PATIENCE`` of the epochs' ``agreements`` all fell clearly below ``reference``.

    Agreements are shares in [0, 1] of ``pairs`` TI pairs, None where they were not read. Clearly is by more than
    ``ERRORS`` standard errors of the difference of two such shares, so that few pairs need a greater fall.
    """
    recent = agreements[-PATIENCE:]
    return len(recent) == PATIENCE and all(one is not None and _fell(one, reference, pairs) for one in recent)


def _fell(agreement: float, reference: float, pairs: int) -> bool:
    variance = agreement * (1 - agreement) + reference * (1 - reference)
    return agreement < reference - ERRORS * math.sqrt(variance / pairs)
