"""Loss terms of parts, whose results are checked before they are added up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from sfda_kit.plugins.boundary import call, is_strict, refuse
from sfda_kit.plugins.tensors import described

SCALAR = "a scalar (0-d tensor)"


class CheckedTerm:
    """A checked term is a function of a part (an aligner, or a bridge for its objective) from signals to a loss.

    It raises ``PartError`` where the function fails or returns no 0-d tensor; in the first step of each epoch, and in
    every step under ``SFDA_KIT_STRICT_PLUGINS=1``, where the loss has no gradient; and in the first step of a phase
    where it is not finite. Later the weights may be the reason, so the training loop looks at that.
    """

    def __init__(self, part: Any, function: Callable[[Any], Tensor]) -> None:
        self.part, self.function = part, function
        self._is_strict, self._checked_epoch = is_strict(), -1

    def __call__(self, signals: Any) -> Tensor:
        """Return the unweighted loss, 0-d."""
        loss = call(self.part, self.function, signals)
        if not isinstance(loss, Tensor) or loss.ndim:
            refuse(self.part, f"a loss that is {described(loss)}", SCALAR)
        if self._is_strict or signals.epoch != self._checked_epoch:
            self._checked_epoch = signals.epoch
            self._check_values(loss, is_first=signals.step == 0)
        return loss

    def _check_values(self, loss: Tensor, is_first: bool) -> None:
        if not loss.requires_grad:
            refuse(self.part, "a loss without a gradient", f"{SCALAR} computed from the signals, so that it trains")
        if is_first and not loss.is_meta and not loss.isfinite():
            refuse(self.part, f"a loss of {loss.item()} in the first step", "a finite one")
