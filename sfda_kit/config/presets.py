"""Named defaults of the settings: two for every method, and what the authors of a method published as their own.

The preset of a method is a YAML file of the package that ships it, ``presets/METHOD/NAME.yaml``, with the keys
``summary``, ``origin`` (where the authors say it), ``settings`` (over those of ``pretrained``), ``notes`` (what the
published run does and this preset does not), and ``tuned_on`` (data sets or named splits of them, with whose labels its
authors chose the settings).
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from sfda_kit.config.explain import explain
from sfda_kit.config.yaml import read_yaml
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.strict_model import StrictModel

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "scratch": {"source": {}, "adapt": {}},
    "pretrained": {
        "source": {"steps": 600, "lr": 1e-3, "backbone_lr_factor": 0.3, "color_jitter": 0.0},
        "adapt": {"epochs": 15, "backbone_lr_factor": 0.1},
    },
}
"""``pretrained`` adapts as SHOT does from ImageNet weights, and trains source models gently; ``scratch`` is our own."""


class Preset(StrictModel):
    """A preset of a method holds the settings of a published run."""

    summary: str
    origin: str
    settings: dict[str, Any] = Field(default_factory=dict)
    notes: str = ""
    tuned_on: tuple[str, ...] = ()


def preset_names(component: Component) -> list[str]:
    """Return the names of a method's own presets, sorted."""
    folder = _folder(component)
    return sorted(file.stem for file in folder.glob("*.yaml")) if folder else []


def load_preset(component: Component, name: str) -> Preset:
    """Return a preset of a method. Raises ``UserError`` where there is none of this name, or where it is not valid."""
    names, folder = preset_names(component), _folder(component)
    if folder is None or name not in names:
        hint = did_you_mean(name, [*PRESETS, *names])
        raise UserError(f"The method {component.name!r} has no preset {name!r}. {hint}")
    try:
        return Preset.model_validate(read_yaml(folder / f"{name}.yaml"))
    except ValidationError as error:
        raise UserError(explain(error, f"preset {name!r} of {component.name!r} ({component.owner})", Preset)) from None


def _folder(component: Component) -> Path | None:
    if not component.presets:
        return None
    package, _, folder = component.presets.partition(":")
    return Path(str(files(package))) / folder
