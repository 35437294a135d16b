"""SOCKET: source-free cross-modal knowledge transfer.

Paper: Ahmed, Lohit, Peng, Jones, Roy-Chowdhury, "Cross-Modal Knowledge Transfer Without Task-Relevant Source Data",
ECCV 2022, https://arxiv.org/abs/2209.04027

Equation: L = L_IM + 0.3 L_PL + 0.5 L_BN + 0.5 L_TI. L_IM and L_PL are SHOT's, L_BN is ``bn-stats``, and

    L_TI = ||F_s(a) - F_t(b)||_F   over a batch of TI pairs (a: source modality, b: target modality).

``socket`` (ours) keeps the weights and makes the terms independent of depth, width and batch size: L_BN is relative and
averaged over layers, L_TI is divided by the square root of the batch size; pseudo-labels are SHOT's two-round cosine
ones. ``socket-official`` is what the authors' code computes: the plain sums, L_BN times a trained factor that fades,
and one round of Euclidean centroids of augmented images.

With several source cards both adapt a mixture of their models with learned weights (``sfda_kit/models/mixture.py``).
Deviations stand in the declaration.
"""

from __future__ import annotations

from sfda_kit import Recipe

PAPER = "https://arxiv.org/abs/2209.04027"

SOCKET = Recipe.model_validate(
    {
        "summary": "SHOT, source BatchNorm statistics and features of TI pairs, terms free of scale",
        "paper": PAPER,
        "aligners": {
            "infomax": 1.0,
            "bn-stats": {"weight": 0.5, "options": {"reduction": "mean"}},
            "ti-features": {"weight": 0.5, "options": {"reduction": "rms"}},
        },
        "labeler": {"name": "centroid", "weight": 0.3},
    }
)

SOCKET_OFFICIAL = Recipe.model_validate(
    {
        "summary": "SHOT, source BatchNorm statistics and features of TI pairs, as the authors' code has them",
        "paper": PAPER,
        "aligners": {
            "infomax": 1.0,
            "bn-stats": {"weight": 0.5, "options": {"reduction": "sum", "fading": True}},
            "ti-features": {"weight": 0.5, "options": {"reduction": "frobenius"}},
        },
        "labeler": {"name": "one-round-centroid", "weight": 0.3},
        "bank_view": "augmented",
    }
)
