"""The SHOT recipes honour the contract and hold the paper's terms."""

from __future__ import annotations

import torch.nn.functional as F
from sfda_kit_shot.shot import SHOT, SHOT_IM

from sfda_kit import build_part, information_maximisation
from sfda_kit.testing import RecipeConformance
from sfda_kit.testing.conformance_recipe import phase_loss
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_step_signals


class TestShotIm(RecipeConformance):
    name = "shot-im"


class TestShot(RecipeConformance):
    name = "shot"


def test_shot_im_is_information_maximisation_alone() -> None:
    (phase,) = SHOT_IM.phases
    assert {name: aligner.weight for name, aligner in phase.aligners.items()} == {"infomax": 1.0}
    assert phase.labeler is None


def test_shot_adds_two_rounds_of_cosine_labels_at_three_tenths() -> None:
    (phase,) = SHOT.phases
    assert phase.labeler is not None
    assert (phase.labeler.name, phase.labeler.weight) == ("centroid", 0.3)
    assert phase.labeler.options == {"rounds": 2, "metric": "cosine"}
    assert phase.train == "backbone+bottleneck"


def test_loss_is_the_papers() -> None:
    signals = small_step_signals(network=small_network())
    labels = F.cross_entropy(signals.target_logits, signals.pseudo_labels)
    expected = information_maximisation(signals.target_probabilities) + 0.3 * labels
    found = phase_loss(SHOT.phases[0], small_network(), {"input": build_part("bridge", "copy")})
    assert found.item() == expected.item()
