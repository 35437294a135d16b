"""Keyword arguments of the library that stand for one setting each, by the names of the command line's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfda_kit.config.merging import merge_settings
from sfda_kit.config.models import RunConfig
from sfda_kit.errors import UserError, did_you_mean

KEYWORDS = {
    "epochs": "adapt.epochs",
    "batch_size": "adapt.batch_size",
    "select": "adapt.select.name",
    "on_collapse": "adapt.on_collapse",
    "bridge_epochs": "bridge_training.epochs",
    "bridge": "recipe.bridge",
    "input_bridge": "recipe.input_bridge",
    "teacher_bridge": "recipe.teacher_bridge",
    "labeler": "recipe.labeler",
    "aligner": "recipe.aligners",
    "device": "compute.device",
}


def settings_of(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``keywords`` as settings for ``load_config``. Raises ``UserError`` for one that does not exist.

    A keyword is one of ``KEYWORDS`` or a key of the configuration itself, such as ``seed=1`` or ``adapt={"lr": 0.01}``.
    """
    settings: dict[str, Any] = {}
    known = [*KEYWORDS, *RunConfig.model_fields]
    for name, value in keywords.items():
        if name not in known:
            raise UserError(f"There is no setting {name!r}. {did_you_mean(name, known)}")
        for key in reversed(KEYWORDS.get(name, name).split(".")):
            value = {key: value}  # noqa: PLW2901
        settings = merge_settings(settings, value)
    return settings
