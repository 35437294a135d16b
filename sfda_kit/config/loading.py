"""Loading of the settings of a user into one validated configuration."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sfda_kit.config.explain import explain
from sfda_kit.config.merging import merge, merge_settings
from sfda_kit.config.method_files import is_method_file, method_from, read_method
from sfda_kit.config.models import RunConfig
from sfda_kit.config.part_names import with_part_names
from sfda_kit.config.presets import PRESETS, load_preset
from sfda_kit.config.renamed import with_present_names
from sfda_kit.config.tracks import names_of_data
from sfda_kit.errors import RenamedWarning, UserError, did_you_mean
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.modalities import is_modality, modality

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component

_LOGGER = logging.getLogger(__name__)


def _starts_pretrained(data: Mapping[str, Any]) -> bool:
    model, source = data.get("model"), data.get("source")
    if isinstance(model, Mapping) and (model.get("pretrained") or model.get("backbone_weights")):
        return True
    card = source.get("card") if isinstance(source, Mapping) else None
    cards = [one for one in (card if isinstance(card, (list, tuple)) else [card]) if isinstance(one, (str, Path))]
    if not cards:
        return False
    from sfda_kit.source.source_card import load_card

    return any(load_card(Path(one)).model.begins_trained for one in cards)


def _with_method(data: Mapping[str, Any]) -> tuple[dict[str, Any], Component | None]:
    """Return the settings with the name of their method, and its declaration; a file's recipe joins the settings."""
    method = data.get("method")
    if isinstance(method, Mapping) or is_method_file(method):
        found = method_from(method) if isinstance(method, Mapping) else read_method(Path(str(method)))
        recipe = found.recipe.model_dump(mode="json")
        return {**data, "method": found.name, "file_recipe": recipe}, found
    if not isinstance(method, str):
        return dict(data), None
    name = registry().canonical("method", method)
    return {**data, "method": name}, registry().components.get(("method", name))


def _defaults(preset: str, component: Component | None) -> dict[str, Any]:
    """Return the settings of the preset and of the method. What the method says gives way to its own preset."""
    general = PRESETS.get(preset, PRESETS["pretrained"])
    defaults = merge(general, component.settings if component else {})
    if preset in PRESETS:
        return defaults
    if component is None:
        raise UserError(f"There is no preset {preset!r}. {did_you_mean(preset, PRESETS)}")
    return merge_settings(defaults, load_preset(component, preset).settings)


def default_encoding(dataset: Any) -> dict[str, Any]:
    """Return the encoding of the target's modality and unit as a setting, empty where it is the general default."""
    values = dataset if isinstance(dataset, Mapping) else {}
    name = str(values.get("target", "")).partition("@")[0]
    encoding = modality(name).default_encoding(str(values.get("unit") or "")) if is_modality(name) else "copy"
    return {} if encoding == "copy" else {"encoding": encoding}


def _with_weights(defaults: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return ``defaults`` without what gives way to the weights that the user's ``model`` names.

    These choose the backbone where the user names none. A ``pretrained`` of the preset means other weights.
    """
    given = model.get("backbone_weights") if isinstance(model, Mapping) else None
    if not given:
        return defaults
    own = {key: value for key, value in defaults.get("model", {}).items() if key != "pretrained"}
    if not model.get("backbone"):
        from sfda_kit.source.backbone_weights import stated_architecture

        own["backbone"] = stated_architecture(str(given))
    return {**defaults, "model": own}


def load_config(data: Mapping[str, Any]) -> RunConfig:
    """Validate ``data`` over the defaults of preset and method. Raises ``UserError`` naming every wrong key and value.

    The default preset depends on whether the model, or that of a source card, is pretrained. A preset of the method
    says nothing about the model where a source card holds it. Weights that the user names choose the backbone where the
    user names none. The alias of a part is replaced by its name, so that both
    are the same run. Where nobody names an encoding, it is that of the target's modality. Keys by an older name work,
    with a ``RenamedWarning``. ``method`` may be the path of a file (``config/method_files.py``), or what such a file
    holds.
    """
    data, renamed = with_present_names(data)
    for text in renamed:
        warnings.warn(text, RenamedWarning, stacklevel=2)
    preset = str(data.get("preset") or ("pretrained" if _starts_pretrained(data) else "scratch"))
    data, component = _with_method(data)
    defaults = _defaults(preset, component)
    source = data.get("source")
    if isinstance(source, Mapping) and source.get("card"):
        defaults.pop("model", None)
    else:
        defaults = _with_weights(defaults, data.get("model"))
    _LOGGER.debug("the preset is %s", preset)
    merged = merge_settings({**defaults, "preset": preset}, with_part_names(data))
    try:
        config = RunConfig.model_validate(default_encoding(merged.get("dataset")) | merged)
    except ValidationError as error:
        raise UserError(explain(error, "configuration", RunConfig)) from None
    return _with_tuning_of_file(config, component)


def _with_tuning_of_file(config: RunConfig, component: Component | None) -> RunConfig:
    """Declare settings as tuned where the file of the method says that it was tuned on the data of this run.

    A record holds the recipe of a file and not its declaration, so the run must say it.
    """
    if config.file_recipe is None or component is None:
        return config
    if not names_of_data(config.model_dump(mode="json")) & set(component.tuned_on):
        return config
    return config.model_copy(update={"tuned_with_labels": True})
