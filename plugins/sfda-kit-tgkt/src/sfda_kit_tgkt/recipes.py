"""TGMB and TGKT as recipes.

Paper: Zhu, Chen, Wang, "Source-Free Cross-Modal Knowledge Transfer by Unleashing the Potential of Task-Irrelevant
Data", https://arxiv.org/abs/2401.05014 (IEEE TIP 34, 2025). TGMB: task-irrelevant data-guided modality bridging. TGKT:
task-irrelevant data-guided knowledge transfer.

* ``tgmb``: a bridge T brings target images into the source model's input space; the source model predicts, unchanged:
  argmax p_s(T(x)). Nothing is adapted after the bridge.
* ``tgmb-paper``: the same with the bridge and objective that the paper describes: ``fcbnconv``, without ``features``.
* ``tgkt``: the target model starts from the source model and learns from it through the bridge, with L = L_KL + L_f +
  0.3 L_self: ``distill`` on target images, ``ti-features`` on TI pairs (mean squared error of bottleneck features),
  cross-entropy on centroid pseudo-labels of its own predictions. It sees target images as they are, so it is used
  without a bridge.
* ``tgkt-joint``: bridge and target model learn in the same steps, L = L_TGKT + L_TGMB, in one backward pass. The bridge
  starts untrained, as that of ``tgkt`` does. What it teaches is detached, so L_TGMB alone trains it and L_TGKT alone
  trains the target model. This is the end-to-end variant that the paper's reviewers asked for; the paper has two
  stages. The bridge has the optimiser of its own stage (AdamW), but the batch size, the number of steps and the
  schedule of the rates are those of the phase.

The weights 1, 1 and 0.3 and the default bridge ``unet`` are ours: the paper's values are not known to us.
"""

from __future__ import annotations

from sfda_kit import Recipe

PAPER = "https://arxiv.org/abs/2401.05014"

TGMB = Recipe.model_validate(
    {
        "summary": "a bridge to source-like images; the source model predicts as it is",
        "paper": PAPER,
        "input_bridge": "unet",
    }
)

TGMB_PAPER = Recipe.model_validate(
    {
        "summary": "TGMB with the bridge and the objective the paper describes",
        "paper": PAPER,
        "input_bridge": {"name": "fcbnconv", "objective": {"features": 0.0}},
    }
)

TGKT = Recipe.model_validate(
    {
        "summary": "a target model taught by the source model through a bridge",
        "paper": PAPER,
        "teacher_bridge": "unet",
        "aligners": {"distill": 1.0, "ti-features": 1.0},
        "labeler": {"name": "centroid", "weight": 0.3},
    }
)

TGKT_JOINT = Recipe.model_validate(
    {
        "summary": "TGKT with the bridge trained in the same steps as the target model",
        "paper": PAPER,
        "teacher_bridge": "unet",
        "aligners": {"distill": 1.0, "ti-features": 1.0},
        "labeler": {"name": "centroid", "weight": 0.3},
        "train_bridge": True,
    }
)
