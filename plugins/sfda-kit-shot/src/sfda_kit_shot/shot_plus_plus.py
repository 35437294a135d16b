"""SHOT++: SHOT with relative rotation, then labeling transfer.

Paper: Liang, Hu, Wang, He, Feng, "Source Data-absent Unsupervised Domain Adaptation through Hypothesis Transfer and
Labeling Transfer", TPAMI 2021, https://arxiv.org/abs/2012.07297

Phase ``adapt`` (hypothesis transfer, sections 3.2 and 3.3): L = L_IM + 0.3 CE(y^, p) + 0.6 L_rot, where the first two
are SHOT's (``shot.py``) and L_rot is ``relative-rotation``.

Phase ``labeling-transfer`` (section 3.4): the entropy of the predictions divides each class (``entropy-split``).
``mixmatch`` learns from the easy part with its predictions as labels, and from the hard part without labels.

Defaults: the weights are those of the authors' own commands for Office, Office-Home and VisDA-C (for digits 0.1 and
0.2). Both phases last ``--epochs`` [ours].

Deviations: labeling transfer goes on from the adapted network with its classifier frozen, as in every phase here [ours:
which network the authors begin it with is not known to us]. Its split and labels are those of the network that the
first phase ends with. A few images, which the first epoch's last batch leaves out, get theirs an epoch later. The
deviations of the parts are in ``rotation.py``, ``entropy_split.py`` and ``mixmatch.py``.
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
                "name": "adapt",
                "aligners": {"infomax": 1.0, "relative-rotation": 0.6},
                "labeler": {"name": "centroid", "weight": 0.3, "options": {"rounds": 2, "metric": "cosine"}},
            },
            {
                "name": "labeling-transfer",
                "aligners": {"mixmatch": 1.0},
                "labeler": {"name": "entropy-split", "weight": 0.0},
            },
        ],
    }
)
