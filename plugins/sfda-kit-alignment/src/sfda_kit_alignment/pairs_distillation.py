"""pairs-distillation: the source model on source halves teaches the adapting one on target halves, and nothing else.

Papers: Gupta, Hoffman, Malik, "Cross Modal Distillation for Supervision Transfer", CVPR 2016
(https://arxiv.org/abs/1507.00448), equation 1; Peng, Wu, Ernst, "Zero-Shot Deep Domain Adaptation", ECCV 2018
(https://arxiv.org/abs/1707.01922), step 1, which does the same with task-irrelevant pairs.

Equation: with bottleneck features f and predictions p of the frozen source network (s) and the adapting one (t) on the
halves a_i and b_i of a pair, over a batch of B pairs and D features,

    L = 1 / (B D) sum_i |f_s(a_i) - f_t(b_i)|^2 + 1 / B sum_i KL(p_s(a_i) || p_t(b_i))

It is a base line: no target image is looked at. What it lacks to a method shows what target images bring.
"""

from __future__ import annotations

from sfda_kit import Recipe

PAPER = "https://arxiv.org/abs/1507.00448"

PAIRS_DISTILLATION = Recipe.model_validate(
    {
        "summary": "the source model teaches on TI pairs alone",
        "paper": PAPER,
        "aligners": {"ti-features": 1.0, "ti-predictions": 1.0},
    }
)
