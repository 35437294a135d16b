"""Named defaults of the settings: which optimiser, rate and length a source model and its adaptation get."""

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
"""Named defaults: ``pretrained`` is SHOT's recipe for ImageNet weights (methods page), ``scratch`` ours."""
