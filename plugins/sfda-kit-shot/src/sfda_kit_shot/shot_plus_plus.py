"""SHOT++: SHOT with relative rotation, then labeling transfer.

Paper: Liang, Hu, Wang, He, Feng, "Source Data-absent Unsupervised Domain Adaptation through Hypothesis Transfer and
Labeling Transfer", TPAMI 2021, https://arxiv.org/abs/2012.07297

Phase ``rotation-head``: the head of ``relative-rotation`` learns alone, on the source network in evaluation mode.

Phase ``adapt`` (hypothesis transfer, sections 3.2 and 3.3): L = L_IM + 0.3 CE(y^, p) + 0.6 L_rot, where the first two
are SHOT's (``shot.py``) and L_rot is ``relative-rotation``, whose head goes on learning.

Phase ``labeling-transfer`` (section 3.4): the entropy of the adapted network's predictions divides each class
(``entropy-split``). Then backbone and bottleneck go on with a new classifier, and all three learn by ``mixmatch`` from
the easy part with those predictions as labels, and from the hard part without labels.

Defaults: the weights are those of the authors' own commands for Office, Office-Home and VisDA-C (for digits 0.1 and
0.2). The first two phases last ``--epochs``, as theirs do; how long the last one is depends on the data set there (the
presets have it), and here it lasts ``--epochs`` too. Deviations stand in the declaration.
"""

from __future__ import annotations

from sfda_kit import Recipe

PAPER = "https://arxiv.org/abs/2012.07297"

SHOT_PLUS_PLUS = Recipe.model_validate(
    {
        "summary": "SHOT with relative rotation, then MixMatch from its confident to its uncertain predictions",
        "paper": PAPER,
        "phases": [
            {
                "name": "rotation-head",
                "train": "none",
                "aligners": {"relative-rotation": 1.0},
            },
            {
                "name": "adapt",
                "aligners": {"infomax": 1.0, "relative-rotation": 0.6},
                "labeler": {"name": "centroid", "weight": 0.3, "options": {"rounds": 2, "metric": "cosine"}},
            },
            {
                "name": "labeling-transfer",
                "train": "backbone+bottleneck+classifier",
                "new_classifier": True,
                "aligners": {"mixmatch": 1.0},
                "labeler": {"name": "entropy-split", "weight": 0.0},
            },
        ],
    }
)
