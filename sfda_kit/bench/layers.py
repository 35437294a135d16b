"""The settings of one cell of a suite: its layers, which of them wins, and which contradictions are errors.

The settings of the suite lie lowest, then those of the task, the network and the method. A later layer wins, with these
exceptions, where two different answers would make a table that says something else than its rows:

* the network is the model's. A suite or a task that names another ``backbone`` or other ``backbone_weights`` is wrong;
* ``folds``, ``split_seed`` and ``precision`` of the suite hold for all cells. No layer may name another value;
* ``chosen_by`` of the suite is the reported validator of all cells. No layer may name one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from sfda_kit.bench.configurations import configurations_of
from sfda_kit.config.merging import merge_settings
from sfda_kit.errors import UserError

if TYPE_CHECKING:
    from sfda_kit.bench.suite import Suite

NETWORK = ("backbone", "backbone_weights")
"""The settings of ``model`` that say which network it is."""


class CellPlace(NamedTuple):
    """The place of a cell in its suite. ``configuration``: empty where the method has no other than itself."""

    method: str
    configuration: str
    task: str
    model: str
    fold: int | None
    seed: int


def cell_settings(suite: Suite, common: Mapping[str, Any], place: CellPlace) -> Any:
    """Return the settings of one cell. ``common``: those of the suite, with the data of this disk.

    Raises ``UserError`` where two layers contradict each other in what only one of them may say.
    """
    method, configuration, task, model, fold, seed = place
    network = merge_settings(own_network(model, suite.models[model]), without(suite.models[model], "methods"))
    layers = {
        "settings": common,
        f"the task {task!r}": without(suite.tasks[task], "methods"),
        f"the model {model!r}": network,
        f"the method {method!r}": {"method": method, **without(suite.methods[method], "seeds", "configurations")},
        f"the configuration {configuration!r}": suite.methods[method].get("configurations", {}).get(configuration, {}),
    }
    for where in ("settings", f"the task {task!r}"):
        for key in NETWORK:
            _refuse(suite, (where, _value(layers[where], "model", key)), (model, _value(network, "model", key)), key)
    fixed = _fixed(suite, fold, seed)
    told = (("dataset", "split_seed", suite.split_seed), ("dataset", "fold", fold))
    for section, key, value in (*told, ("compute", "precision", suite.precision)):
        for where, layer in layers.items():
            _refuse(suite, (where, _value(layer, section, key)), ("the suite", value), key)
    for where, layer in layers.items():
        if suite.chosen_by and _value(layer, "adapt", "validator"):
            raise UserError(f"{where} names adapt.validator, which chosen_by says for all cells. Leave it out.")
    settings: dict[str, Any] = {}
    for layer in (*layers.values(), fixed, {"seed": seed}):
        settings = merge_settings(settings, layer)
    return settings


def own_network(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the name of a model stands for: it is the backbone where its settings name none."""
    told = settings.get("model")
    names = isinstance(told, Mapping) and any(told.get(key) for key in NETWORK)
    return {} if names else {"model": {"backbone": name}}


def without(settings: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return ``settings`` without keys that are the suite's and no settings of a run."""
    return {name: value for name, value in settings.items() if name not in keys}


def places(suite: Suite) -> Iterator[CellPlace]:
    """Yield the place of each cell, methods and their configurations outermost and seeds innermost."""
    folds = suite.fold_numbers or (None,)
    for method, settings in suite.methods.items():
        seeds = settings.get("seeds", suite.seeds)
        found = [
            (task, model)
            for (task, told), (model, network) in product(suite.tasks.items(), suite.models.items())
            if all(method in place.get("methods", (method,)) for place in (told, network))
        ]
        for configuration in configurations_of(settings):
            for task, model in found:
                yield from (CellPlace(method, configuration, task, model, f, s) for f in folds for s in seeds)


def _fixed(suite: Suite, fold: int | None, seed: int) -> dict[str, Any]:
    fixed: dict[str, Any] = {} if fold is None else {"dataset": {"fold": fold}}
    if suite.split_seed is not None:
        fixed["dataset"] = {"split_seed": seed if suite.split_seed == "seed" else suite.split_seed}
    if suite.precision is not None:
        fixed["compute"] = {"precision": suite.precision}
    if suite.chosen_by is not None:
        fixed["adapt"] = {"validator": suite.chosen_by.model_dump()}
    return fixed


def _value(layer: Mapping[str, Any], section: str, key: str) -> Any:
    values = layer.get(section)
    return values.get(key) if isinstance(values, Mapping) else None


def _refuse(suite: Suite, one: tuple[str, Any], other: tuple[str, Any], key: str) -> None:
    """Raise ``UserError`` where both name a value of ``key``, and not the same."""
    if None not in (one[1], other[1]) and one[1] != other[1]:
        raise UserError(
            f"{one[0]} has {key} {one[1]!r}, and {other[0]!r} has {other[1]!r}. Name it in one place: networks under "
            f"`models`, and folds, split_seed and precision at the top of the suite {suite.name!r} or in its settings."
        )
