"""What is known of a part, as data: its options, what it reads, its presets and, of a method, its recipe."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from sfda_kit.config.presets import load_preset, preset_names
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.interfaces.weights import BackboneWeights
from sfda_kit.plugins.building import load_or_reason
from sfda_kit.plugins.component import Component

GIVEN = {"dataset": ("config",), "executor": ("workers",), "tracker": ("run_dir", "described")}
"""The arguments of ``__init__`` that the core gives, by kind."""
KEYS = {
    "aligner": "recipe.aligners.{name}.options",
    "bridge": "recipe.bridge.options",
    "labeler": "recipe.labeler.options",
    "method": "recipe.options",
    "dataset": "dataset.options",
    "encoding": "encoding.options",
    "validator": "adapt.select.options",
}
"""Where in the configuration the options of a part stand, by kind."""
_TEXT = ("name", "owner", "version", "summary", "alias", "paper", "target", "extra")


def describe_part(part: Component) -> dict[str, Any]:
    """Return what ``sfda-kit plugins show --json`` prints. ``error`` says why the part cannot be imported, else ""."""
    described: dict[str, Any] = {"kind": part.kind} | {key: getattr(part, key) for key in _TEXT}
    target, error = load_or_reason(part)
    described |= {"package": part.package, "functions": list(part.functions)}
    described |= {"requires": list(part.requires), "settings": dict(part.settings), "error": error}
    recipe = target if isinstance(target, Recipe) else getattr(target, "recipe", None)
    described |= {
        "doc": (inspect.getdoc(target) or "") if inspect.isclass(target) else "",
        "options_key": KEYS.get(part.kind, "").format(name=part.name),
        "options": list(_options(target, part.kind)) if inspect.isclass(target) else [],
        "reads": list(getattr(target, "reads", ())),
        "uses": None if part.uses is None else list(part.uses),
        "tuned_on": list(part.tuned_on),
        "caveats": {name: list(told) for name, told in part.caveats.items()},
        "weights": _weights(target) if isinstance(target, BackboneWeights) else None,
        "recipe": recipe.model_dump(mode="json") if isinstance(recipe, Recipe) else None,
        "presets": [{"name": n, **load_preset(part, n).model_dump(mode="json")} for n in preset_names(part)],
        "deviations": [asdict(deviation) for deviation in part.deviations],
    }
    return described


def _weights(weights: BackboneWeights) -> dict[str, Any]:
    """Return what is known of a set of weights, without a look at its file."""
    keys = ("architecture", "sha256", "mean", "std", "licence", "source")
    return {key: getattr(weights, key) for key in keys}


def _options(target: type, kind: str) -> Iterator[dict[str, Any]]:
    """Yield name, type, default and documentation of each option; a data set tells them in ``options_model``."""
    model = getattr(target, "options_model", None)
    if kind == "dataset":
        if inspect.isclass(model) and issubclass(model, BaseModel):
            yield from _fields(model)
        return
    docs = (inspect.getdoc(target), inspect.getdoc(inspect.getattr_static(target, "__init__")))
    told = "\n\n".join(filter(None, docs))
    for name, one in inspect.signature(target).parameters.items():
        if name in GIVEN.get(kind, ()) or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            continue
        required = one.default is one.empty
        default = None if required else _plain(one.default)
        yield _option(name, one.annotation, required, default, _about(name, told))


def _fields(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    told = inspect.getdoc(model) or ""
    for name, field in model.model_fields.items():
        default = None if field.is_required() else _plain(field.get_default(call_default_factory=True))
        yield _option(name, field.annotation, field.is_required(), default, field.description or _about(name, told))


def _option(name: str, annotation: Any, required: bool, default: Any, doc: str) -> dict[str, Any]:
    unknown = annotation is inspect.Parameter.empty
    written = annotation if isinstance(annotation, str) else "" if unknown else inspect.formatannotation(annotation)
    return {"name": name, "type": written, "required": required, "default": default, "doc": doc}


def _about(name: str, text: str) -> str:
    """Return what a docstring says of an option: its line ``name: ...``, else the sentences with ````name````."""
    if line := re.search(rf"^[ \t]*:?(?:param )?{name}(?: *\([^)\n]*\))?: *(\S.*)$", text, re.MULTILINE):
        return line[1].strip()
    sentences = [one for one in re.split(r"(?<=\.)\s+|;\s+(?![^()]*\))|\n\s*\n", text) if f"``{name}``" in one]
    return " ".join(" ".join(sentences).split()).replace("``", "`")


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON holds it, and its ``repr`` where JSON has no such value."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    return repr(value)
