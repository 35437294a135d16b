"""Entropy, divergence and information maximisation, shared by aligners, bridges and validators."""

from __future__ import annotations

import warnings

import torch.nn.functional as F
from torch import Tensor

from sfda_kit.adaptation.row_blocks import by_row_blocks
from sfda_kit.adaptation.shapes import check_shapes
from sfda_kit.errors import RenamedWarning, UserError

EPSILON = 1e-5
"""The number added inside the logarithm, as in SHOT."""


def entropy(probabilities: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Return the entropy in nats over the last dimension: (..., K) -> (...)."""
    return -(probabilities * (probabilities + epsilon).log()).sum(dim=-1)


def information_maximisation(probabilities: Tensor, diversity: float = 1.0, epsilon: float = EPSILON) -> Tensor:
    """Return mean_i H(p_i) - diversity * H(mean_i p_i) in nats, 0-d, for softmax outputs (B, K).

    Each prediction is to be confident and all together diverse. With ``diversity`` 1 the value is at least -log K.
    Raises ``UserError`` for another shape. Source: Liang et al., "Do We Really Need to Access the Source Data?", ICML
    2020 (https://arxiv.org/abs/2002.08546), equation 4.
    """
    check_shapes("information_maximisation", probabilities=(probabilities, "B K"))
    spread = entropy(probabilities.mean(dim=0), epsilon)
    certainty = by_row_blocks(lambda rows: entropy(rows, epsilon), probabilities).mean()
    return certainty - diversity * spread


def distillation_loss(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return T^2 mean_i KL(softmax(teacher_i / T) || softmax(student_i / T)) >= 0 in nats, 0-d, from logits (B, K).

    No gradient reaches the teacher. The factor T^2 keeps the size of the gradient. Raises ``UserError`` for other
    shapes and unless ``temperature`` T is greater than 0. Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in
    a Neural Network" (https://arxiv.org/abs/1503.02531), section 2.1.
    """
    check_shapes("distillation_loss", teacher_logits=(teacher_logits, "B K"), student_logits=(student_logits, "B K"))
    positive_temperature(temperature, "distillation_loss")
    wanted = (teacher_logits.detach() / temperature).log_softmax(dim=1)
    found = (student_logits / temperature).log_softmax(dim=1)
    return F.kl_div(found, wanted, reduction="batchmean", log_target=True) * temperature**2


def softened_divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """Return ``distillation_loss``, which is the new name of this function."""
    warnings.warn("softened_divergence is called distillation_loss now", RenamedWarning, stacklevel=2)
    return distillation_loss(teacher, student, temperature)


def positive_temperature(temperature: float, name: str) -> float:
    """Return ``temperature``; raise ``UserError`` that names the part ``name`` unless it is greater than 0."""
    if temperature <= 0:
        raise UserError(f"{name}: temperature is {temperature}, expected a number greater than 0.")
    return temperature
