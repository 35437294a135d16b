"""Named defaults of the settings: optimiser, rate and length of source training and adaptation."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "scratch": {"source": {}, "adapt": {}},
    "pretrained": {
        "source": {
            "epochs": 20,
            "batch_size": 32,
            "optimizer": "sgd",
            "schedule": "inverse",
            "lr": 1e-2,
            "backbone_lr_factor": 0.1,
            "weight_decay": 1e-3,
            "augmentation": "crop-flip",
            "color_jitter": 0.0,
        },
        "adapt": {"epochs": 15, "backbone_lr_factor": 0.1},
    },
}
"""``pretrained`` is the recipe of SHOT for ImageNet weights (see the methods page); ``scratch`` is our own."""
