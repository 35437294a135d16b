"""Loading of the settings of a user into one validated configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sfda_kit.config.explain import explain
from sfda_kit.config.merging import merge
from sfda_kit.config.models import RunConfig
from sfda_kit.config.presets import PRESETS
from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import registry


def _starts_pretrained(data: Mapping[str, Any]) -> bool:
    model, source = data.get("model"), data.get("source")
    if isinstance(model, Mapping) and model.get("pretrained"):
        return True
    card = source.get("card") if isinstance(source, Mapping) else None
    cards = [one for one in (card if isinstance(card, (list, tuple)) else [card]) if isinstance(one, (str, Path))]
    if not cards:
        return False
    from sfda_kit.source.source_card import load_card

    return any(load_card(Path(one)).model.pretrained for one in cards)


def load_config(data: Mapping[str, Any]) -> RunConfig:
    """Validate ``data`` over the defaults of preset and method. Raises ``UserError`` naming every wrong key and value.

    The default preset depends on whether the model, or that of a source card, is pretrained. The alias of a method is
    replaced by its name, so that both are the same run.
    """
    preset = data.get("preset") or ("pretrained" if _starts_pretrained(data) else "scratch")
    defaults: Mapping[str, Any] = PRESETS.get(str(preset), {})
    if isinstance(method := data.get("method"), str):
        name = registry().canonical("method", method)
        data = {**data, "method": name}
        if component := registry().components.get(("method", name)):
            defaults = merge(defaults, component.settings)
    try:
        return RunConfig.model_validate(merge({**defaults, "preset": preset}, data))
    except ValidationError as error:
        raise UserError(explain(error, "configuration", RunConfig)) from None
