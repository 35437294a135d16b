"""``bridged``, alias ``recommended``: the network adapts behind a bridge, on TI pairs first, then on target images.

This is our own composition of published terms; it has no paper:

* input bridge ``unet``, trained by TGMB's objective (Zhu, Chen, Wang, https://arxiv.org/abs/2401.05014): the network
  gets source-like images from the first step;
* phase ``pairs``, half as long as ``--epochs``: L = L_f + L_p + 0.05 L_IM. L_f (``ti-features``) is the distance of
  features, and L_p (``ti-predictions``) the divergence of predictions, between the frozen source network on the source
  half of a TI pair and the adapting network on the target half. Both use no target images, so a source model that knows
  little of the sensor cannot mislead them. Only target images move BatchNorm's statistics, hence the small L_IM;
* phase ``adapt``: L = L_IM + 0.3 CE(y^, p) + L_f + L_p: SHOT (https://arxiv.org/abs/2002.08546) with pairs as anchors.

Both phases and the bridge see random resized crops, the same ones for both halves of a pair: the method sets
``adapt.augmentation`` to ``strong`` unless the user says otherwise. All weights are 1, or those of the papers.

L_IM assumes that all classes are equally frequent. Where they are not, plain accuracy may fall while the mean over
classes rises. ``--aligner infomax=0.1`` gives it less weight.
"""

from __future__ import annotations

from sfda_kit import Recipe

PAIRS = {"ti-features": 1.0, "ti-predictions": 1.0}

BRIDGED = Recipe.model_validate(
    {
        "summary": "a bridge, TI pairs first, then target images",
        "input_bridge": "unet",
        "phases": [
            {"name": "pairs", "aligners": {**PAIRS, "infomax": 0.05}, "length": 0.5},
            {
                "name": "adapt",
                "aligners": {"infomax": 1.0, **PAIRS},
                "labeler": {"name": "centroid", "weight": 0.3},
            },
        ],
    }
)
