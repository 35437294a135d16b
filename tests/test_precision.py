"""Under bfloat16 the layers compute in 16 bits, the answers and the losses do not."""

from __future__ import annotations

import pytest
import torch

from sfda_kit import Aligner
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.testing.conformance_aligner import with_own_module
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_step_signals

NAMES = [part.name for part in registry().of_kind("aligner")]
OPTIONS = {"guided-labels": {"temperature": 1.0}}
"""Its default of 0.07 multiplies what the layers round by 14."""


@pytest.mark.parametrize("name", NAMES)
def test_losses_under_autocast_are_close_to_those_in_single_precision(name: str):
    aligner = fresh(name)
    exact = aligner(small_step_signals(reads=aligner.reads))
    aligner = fresh(name)  # one that remembers steps would be one step further
    with torch.autocast("cpu", dtype=torch.bfloat16):
        signals = small_step_signals(reads=aligner.reads)
        loss = aligner(signals)
        answers = (signals.target_logits, signals.target_features, signals.teacher_logits, signals.ti_target_features)
    assert loss.dtype is torch.float32 and {answer.dtype for answer in answers} == {torch.float32}
    torch.testing.assert_close(loss, exact, rtol=0.02, atol=0.01)


def fresh(name: str) -> Aligner:
    aligner: Aligner = build_part("aligner", name, OPTIONS.get(name))
    with_own_module(aligner, small_network())
    return aligner
