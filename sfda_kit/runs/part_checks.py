"""Checks of the names and options of parts that need neither torch nor the parts themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfda_kit.config.method_files import method_of
from sfda_kit.config.part_names import with_part_names
from sfda_kit.config.tracks import track_of
from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.option_names import check_written_options

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.interfaces.recipe import Recipe
    from sfda_kit.runs.plan import MethodPlan

NO_PART = ("none", "last", "all")
"""The words that stand in the place of the name of a part."""


def check_names(config: RunConfig) -> None:
    """Raise ``UserError`` for the method, or for a part that the configuration names, unless it is installed."""
    check_written_options(method_of(config), config.recipe.get("options"))
    with_part_names(config.model_dump(), _checked_name)
    check_written_options(registry().get("encoding", config.encoding.name), config.encoding.options)
    for chosen in (config.adapt.select, config.adapt.validator):
        if chosen.name not in NO_PART:
            check_written_options(registry().get("validator", chosen.name), chosen.options)


def check_reads_pairs(plan: MethodPlan) -> None:
    """Raise ``UserError`` where pairs are to be shuffled for a method that reads none: it would control nothing."""
    config = plan.config
    if config.dataset.pairs == "matched":
        return
    recipe = plan.recipe.model_dump(mode="json")
    track = track_of(plan.component.name, recipe, config.model_dump(mode="json"), {})
    if track is not None and "pairs" not in track:
        raise UserError(
            f"The method {plan.component.name!r} reads no TI pairs, so --pairs {config.dataset.pairs} changes nothing. "
            "Leave --pairs out, or choose a method that reads pairs."
        )


def _checked_name(kind: str, name: str) -> str:
    if name not in NO_PART and kind != "weights":  # those may also be a file, and ``weights_of`` looks for them
        registry().get(kind, name)
    return name


def check_options(recipe: Recipe) -> None:
    """Raise ``UserError`` for a part of ``recipe`` that is not installed, or for an option that it does not take."""
    for bridge in recipe.bridges().values():
        check_written_options(registry().get("bridge", bridge.name), bridge.options)
    for phase in recipe.phases:
        for name, aligner in phase.aligners.items():
            check_written_options(registry().get("aligner", name), aligner.options)
        if phase.labeler:
            check_written_options(registry().get("labeler", phase.labeler.name), phase.labeler.options)
