"""A small context for methods, on random images held in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfda_kit.builtin.bridges import Copy
from sfda_kit.config.models import AdaptConfig
from sfda_kit.events import silent
from sfda_kit.interfaces.method import AdaptationContext
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.models.network import frozen_copy
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_pairs, small_target


def small_context(folder: Path, **given: Any) -> AdaptationContext:
    """Return a context whose network starts as a copy of the source network; ``given`` replaces any field.

    ``folder`` is where the method keeps its checkpoints.
    """
    network = given.pop("network", None) or small_network()
    values: dict[str, Any] = {
        "recipe": Recipe(),
        "config": AdaptConfig(epochs=2, batch_size=4, evaluation_batch_size=6, steps_per_epoch="pass"),
        "seed": 0,
        "target": small_target(),
        "pairs": small_pairs(),
        "source_network": frozen_copy(network),
        "network": network,
        "input_bridge": Copy(),
        "teacher_bridge": None,
        "checkpoint_dir": folder,
        "listener": silent,
    }
    return AdaptationContext(**(values | given))
