"""Loss terms whose weight or options change while a phase goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sfda_kit.plugins.discovery import build_part

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adaptation.step_signals import StepSignals
    from sfda_kit.interfaces.aligner import Aligner
    from sfda_kit.interfaces.recipe import AlignerConfig, LabelerConfig


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


def aligner_forms(name: str, config: AlignerConfig, first: Aligner) -> list[Form]:
    """Return the forms of an aligner: ``first`` at the beginning, a new one where options change."""
    forms, options, aligner = [Form(0.0, config.weight, first)], config.options, first
    for change in config.changes:
        if change.options:
            options = options | change.options
            aligner = build_part("aligner", name, options)
        weight = forms[-1].weight if change.weight is None else change.weight
        forms.append(Form(change.after, weight, aligner))
    return forms


def label_forms(config: LabelerConfig, term: Callable[[StepSignals], Tensor]) -> list[Form]:
    """Return the forms of the cross-entropy on pseudo-labels."""
    forms = [Form(0.0, config.weight, term)]
    for change in config.changes:
        forms.append(Form(change.after, forms[-1].weight if change.weight is None else change.weight, term))
    return forms
