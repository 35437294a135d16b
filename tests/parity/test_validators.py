"""The validators SND and BNM against the numbers that their authors' code gives."""

from __future__ import annotations

import math

import pytest
import torch

from sfda_kit import FeatureBank
from sfda_kit.plugins.discovery import build_part

from .golden import cases, close, load


def score(validator: str, logits: torch.Tensor) -> float:
    bank = FeatureBank(torch.zeros(len(logits), 1, dtype=logits.dtype), logits)
    return float(build_part("validator", validator)(bank, bank))


@pytest.mark.parametrize("name", cases("snd"))
def test_soft_neighbourhood_density(name: str) -> None:
    case = load("snd", name)
    logits = torch.from_numpy(case["in_logits"])
    close([score("snd", logits.double())], case["out_score_f64"][None], double=True)
    close([score("snd", logits)], case["out_score"][None], double=False)


@pytest.mark.parametrize("name", cases("bnm"))
def test_nuclear_norm_up_to_its_normalisation(name: str) -> None:
    case = load("bnm", name)
    logits = torch.from_numpy(case["in_logits"]).double()
    images, least = len(logits), min(logits.shape)
    found = score("bnm", logits) * math.sqrt(images * least)
    close([found / least], case["out_mean_singular_value_f64"][None], double=True)
    close([found / images], case["out_norm_over_batch_f64"][None], double=True)
