"""Tables and lists of what parts declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tables import table

from sfda_kit import Recipe
from sfda_kit.config.presets import load_preset, preset_names
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.hookspecs import KINDS, PREFIX
from sfda_kit.results.citations import part_entry

PLURALS = {"modality": "modalities", "weights": "named sets of weights"}


def method_facts(name: str) -> str:
    """Return what the declaration and the recipe of a method say."""
    part = registry().get("method", name)
    recipe = _recipe(part)
    rows = [["command", f"`sfda-kit run --method {name}`"], ["what it does", part.summary]]
    rows += [["also called", f"`{part.alias}`"]] if part.alias else []
    rows += [["paper", f"<{part.paper}>"]] if part.paper else []
    rows.append(["package", _package(part)])
    if recipe:
        rows += [["input bridge", f"`{recipe.input_bridge.name}`"]]
        rows += [["teacher bridge", f"`{recipe.teacher_bridge.name}`"]] if recipe.teacher_bridge else []
        rows += [[f"phase `{phase.name}`", _phase(phase)] for phase in recipe.phases]
    rows += (
        [["settings", ", ".join(f"`{key}={value}`" for key, value in _flat(part.settings))]] if part.settings else []
    )
    rows += [["presets", ", ".join(f"`{preset}`" for preset in preset_names(part)) or "none of its own"]]
    return table(["property", "value"], rows, left=2)


def method_deviations(name: str) -> str:
    """Return where a method and the parts of its recipe differ from their papers."""
    method = registry().get("method", name)
    rows = [
        [f"`{part.name}`", *(_cell(getattr(one, key)) for key in ("of", "theirs", "ours", "why", "effect"))]
        for part in (method, *_parts(_recipe(method)))
        for one in part.deviations
    ]
    if not rows:
        return "No deviation is declared."
    return table(["part", "what", "paper or authors' code", "sfda-kit", "why", "what it changes"], rows, left=6)


def method_presets(name: str) -> str:
    """Return the presets of a method with their origin."""
    part = registry().get("method", name)
    presets = [(preset, load_preset(part, preset)) for preset in preset_names(part)]
    rows = [[f"`{preset}`", _cell(told.summary), _cell(told.origin)] for preset, told in presets]
    return table(["preset", "what it sets", "read from"], rows, left=3)


def bibtex(name: str) -> str:
    """Return the BibTeX entries of a method and of the parts of its recipe."""
    method = registry().get("method", name)
    entries = dict.fromkeys(filter(None, (part_entry(part) for part in (method, *_parts(_recipe(method))))))
    return "```bibtex\n" + "\n\n".join(entries) + "\n```\n"


def parts(kind: str) -> str:
    """Return all parts of one kind."""
    rows = [[f"`{part.name}`", _cell(part.summary), _package(part)] for part in registry().of_kind(kind)]
    return table(["name", "what it is", "package"], rows, left=3)


def hooks() -> str:
    """Return the hooks with the parts that are declared through each."""
    rows = [
        [f"`{PREFIX}{kind}`", PLURALS.get(kind, f"{kind}s"), ", ".join(f"`{name}`" for name in registry().names(kind))]
        for kind in KINDS
    ]
    return table(["hook", "declares", "parts in the shipped packages"], rows, left=3)


def _recipe(part: Component) -> Recipe | None:
    loaded = part.load()
    recipe = loaded if isinstance(loaded, Recipe) else getattr(loaded, "recipe", None)
    return recipe if isinstance(recipe, Recipe) else None


def _parts(recipe: Recipe | None) -> Iterator[Component]:
    if recipe is None:
        return
    used = [("bridge", bridge.name) for bridge in recipe.bridges().values()]
    for phase in recipe.phases:
        used += [("aligner", name) for name in phase.aligners]
        used += [("labeler", phase.labeler.name)] if phase.labeler else []
    for kind, name in dict.fromkeys(used):
        yield registry().get(kind, name)


def _phase(phase: Any) -> str:
    terms = [f"{term.weight:g} `{name}`" for name, term in phase.aligners.items()]
    labels = phase.labeler
    terms += (
        [f"{labels.weight:g} cross-entropy on the labels of `{labels.name}`"] if labels and labels.is_weighted else []
    )
    terms += [f"labels of `{labels.name}`"] if labels and not labels.is_weighted else []
    return f"{' + '.join(terms)}; trains {phase.train}; length {phase.length:g}"


def _flat(settings: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        at = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict):
            yield from _flat(value, at)
        else:
            yield at, value


def _package(part: Component) -> str:
    return "the core" if part.owner == "sfda-kit" else f"`{part.owner}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def number_of_methods() -> str:
    """Return how many methods are in the shipped packages."""
    return str(len(registry().names("method")))
