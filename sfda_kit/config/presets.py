"""Named defaults of the settings: optimiser, rate and length of source training and adaptation."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "scratch": {"source": {}, "adapt": {}},
    "pretrained": {
        "source": {"lr": 1e-3, "backbone_lr_factor": 0.3, "color_jitter": 0.0},
        "adapt": {"epochs": 15, "backbone_lr_factor": 0.1},
    },
}
"""``pretrained`` adapts as SHOT does from ImageNet weights and trains source models gently; ``scratch`` is our own."""
