"""Loss terms whose weight or options change while a phase goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sfda_kit.plugins.discovery import build_part

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adaptation.step_signals import StepSignals
    from sfda_kit.interfaces.aligner import Aligner
    from sfda_kit.interfaces.recipe import AlignerConfig, WeightChange


class Form(NamedTuple):
    """The form that a term has after a share of the phase's steps, until the next form begins."""

    after: float
    weight: float
    term: Callable[[StepSignals], Tensor]


class ChangingTerm:
    """A changing term returns its weighted loss in the form of the present step."""

    def __init__(self, forms: Sequence[Form]) -> None:
        self.forms = forms

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return the weighted loss, 0-d."""
        share = (signals.step + 1) / signals.steps
        form = next(form for form in reversed(self.forms) if share > form.after)
        return form.weight * form.term(signals)


def term_forms(weight: float, changes: Sequence[WeightChange], terms: Sequence[Callable[..., Tensor]]) -> list[Form]:
    """Return the forms of a term; ``terms``: what is computed at the beginning, and after each of its ``changes``."""
    forms = [Form(0.0, weight, terms[0])]
    for change, term in zip(changes, terms[1:], strict=True):
        forms.append(Form(change.after, forms[-1].weight if change.weight is None else change.weight, term))
    return forms


def changed_aligners(name: str, config: AlignerConfig, first: Aligner) -> list[Aligner]:
    """Return ``first`` and, for each change, the aligner after it, which is a new one where options change."""
    aligners, options = [first], config.options
    for change in config.changes:
        options = options | change.options
        aligners.append(build_part("aligner", name, options) if change.options else aligners[-1])
    return aligners
