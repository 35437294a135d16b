"""SHOT: source hypothesis transfer.

Paper: Liang, Hu, Feng, "Do We Really Need to Access the Source Data? Source Hypothesis Transfer for Unsupervised Domain
Adaptation", ICML 2020, https://arxiv.org/abs/2002.08546

Equation: L = L_IM + 0.3 CE(y^, p) with L_IM = mean_i H(p_i) - H(mean_i p_i), where y^ are pseudo-labels from class
centroids (two rounds, cosine), renewed at the start of every epoch. SHOT-IM is L_IM alone.

Defaults: the classifier is frozen, backbone and bottleneck adapt; SGD with Nesterov momentum 0.9 and weight decay 1e-3,
the rate (1 + 10 k / T)^-0.75 times the base rate in step k of T, the backbone at a tenth of the bottleneck's rate
(preset ``pretrained`` and the presets of the data sets), batch 64.

With several source cards the recipes adapt a mixture of their models, as DECISION does
(https://arxiv.org/abs/2104.01845); formulas and deviations are in ``sfda_kit/models/mixture.py``.

Deviations stand in the declaration.
"""

from __future__ import annotations

from sfda_kit import Recipe

PAPER = "https://arxiv.org/abs/2002.08546"

SHOT_IM = Recipe.model_validate(
    {
        "summary": "information maximisation with a frozen classifier",
        "paper": PAPER,
        "aligners": {"infomax": 1.0},
    }
)

SHOT = Recipe.model_validate(
    {
        "summary": "information maximisation and centroid pseudo-labels with a frozen classifier",
        "paper": PAPER,
        "aligners": {"infomax": 1.0},
        "labeler": {"name": "centroid", "weight": 0.3, "options": {"rounds": 2, "metric": "cosine"}},
    }
)
