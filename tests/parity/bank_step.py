"""A step of a method that compares images with a bank of all of them, made from the arrays of a case."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from numpy.typing import NDArray

from sfda_kit import TargetMemory

from .golden import tensor


def bank_step(data: Mapping[str, NDArray[Any]], double: bool) -> Any:
    """Return the signals of the step, its memory renewed, and the ``logits`` that take the gradient."""
    features, answers = (tensor(data[f"in_bank_{key}"], double) for key in ("features", "probabilities"))
    memory = TargetMemory(*features.shape, answers.shape[1]).to(features)
    memory.features.copy_(features)
    memory.probabilities.copy_(answers)
    logits, rows = tensor(data["in_logits"], double, needs_gradient=True), torch.from_numpy(data["in_rows"])
    predictions = logits.softmax(dim=1)
    memory.write(rows, tensor(data["in_features"], double), predictions)
    return SimpleNamespace(memory=memory, target_rows=rows, target_probabilities=predictions, logits=logits)
