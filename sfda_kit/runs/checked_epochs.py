"""The epochs of a method, which are checked as they come from it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from sfda_kit.adaptation.row_blocks import all_finite
from sfda_kit.interfaces.method import EpochState
from sfda_kit.plugins.boundary import call, refuse
from sfda_kit.plugins.tensors import described

if TYPE_CHECKING:
    from sfda_kit.interfaces.method import AdaptationContext, Method

_END = object()


def checked_epochs(method: Method, context: AdaptationContext) -> Generator[EpochState, None, None]:
    """Yield the states of ``method.adapt(context)``. Closing this closes the method's own generator.

    Raises ``PartError`` where the method fails, yields nothing, or yields something else than its contract says.
    """
    adapted = call(method, method.adapt, context)
    if not isinstance(adapted, Iterable):
        refuse(method, described(adapted), "an iterator over the epochs (adapt yields them)")
    epochs, came = iter(adapted), 0
    try:
        while (state := call(method, next, epochs, _END)) is not _END:
            _check(method, state, context)
            came += 1
            yield state
    finally:
        if close := getattr(epochs, "close", None):
            close()
    if not came:
        refuse(method, "no epoch", "at least one EpochState from adapt")


def _check(method: Method, state: object, context: AdaptationContext) -> None:
    if not isinstance(state, EpochState):
        refuse(method, described(state), "an EpochState for each epoch")
    images, classes = len(context.target), context.network.class_count
    if state.bank.logits.shape != (images, classes) or len(state.bank.features) != images:
        bank = f"features {described(state.bank.features)} and logits {described(state.bank.logits)}"
        refuse(method, f"a bank with {bank}", f"({images}, D) and ({images}, {classes}), a row for each target image")
    if not all_finite(state.bank.logits):
        refuse(method, "a bank whose logits are not finite", "finite ones")
    for name, value in state.diagnostics.items():
        if not isinstance(value, (int, float)):
            refuse(method, f"the figure {name!r} as {described(value)}", "a number")
