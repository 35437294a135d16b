"""Checks that a record agrees with itself: run, configuration, task, source model, method, digest, dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from sfda_kit.config.digest import digest
from sfda_kit.config.tracks import track_of
from sfda_kit.errors import UserError
from sfda_kit.results.record import Record
from sfda_kit.submissions.findings import shown

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component
    from sfda_kit.submissions.schema import Facts

CORE = "sfda-kit"
FIRST_YEAR = 2020
HELD_OUT = (
    *(f"heldout_{score}" for score in ("accuracy", "mean_class_accuracy", "calibration_error")),
    "source_only_heldout_accuracy",
)
"""The scores that every record of a task with held-out images has."""

LABELLED = ("sfda_kit.evaluate.oracle:", "sfda_kit.evaluate.probe:")
"""The modules of the methods that receive target labels. The methods themselves would import torch."""


def wrong_identity(record: Record, folder: str) -> Iterator[str]:
    """Yield what is wrong in a record's run id, status, digest and dates; the record may be of a failed run."""
    if record.format != 1:
        yield f"its format is {record.format}; this version reads format 1"
    if record.run_id != folder:
        yield f"its run_id is {shown(record.run_id)!r}, but it lies in {folder}"
    if record.run_dir != record.run_id:
        yield "its run_dir is not the run id: pack the run again, so that no path of a disk is published"
    if record.status == "ok" and record.error:
        yield "its status is ok, yet it has an error"
    configured = {"config": record.config, "recipe": record.recipe}
    if (record.config_digest or record.status == "ok") and record.config_digest != digest(configured):
        yield f"its config_digest is not that of its configuration and recipe, {digest(configured)}"
    if record.status != "ok" and (record.metrics or record.baselines):
        yield f"its status is {record.status}, yet it has scores"
    yield from _wrong_dates(record)


def _wrong_dates(record: Record) -> Iterator[str]:
    times = []
    for name in ("started", "finished"):
        text = getattr(record, name)
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            yield f"{name} is {shown(text, 40)!r}, not a time with its zone (2026-01-31T12:00:00+00:00)"
            continue
        if time.year < FIRST_YEAR or time > datetime.now(timezone.utc) + timedelta(days=1):
            yield f"{name} is {shown(text, 40)}: too long ago or in the future"
        times.append(time)
    if len(times) == 2 and times[1] < times[0]:
        yield "it finished before it started"


def wrong_facts(facts: Facts) -> Iterator[str]:
    """Yield what in the record of a finished run contradicts its configuration."""
    record, config, task = facts.record, facts.config, facts.task
    pairs = {
        "seed": (record.seed, config.seed),
        "method": (record.method, config.method),
        "task.dataset": (task.dataset, config.dataset.name),
        "task.split_seed": (task.split_seed, config.dataset.split_seed),
        "task.folds": (task.folds.fold if task.folds else None, config.dataset.fold),
        "task.protocol": (task.protocol, config.dataset.protocol),
        "task.ti_groups": (task.ti_groups, config.dataset.ti_groups),
        "task.encoding": (task.encoding, config.encoding),
        "source.classes": (record.source["classes"], list(task.classes)),
        "source.modality": (record.source["modality"], task.source.partition("@")[0]),
        "source.model": (record.source["model"], config.model.model_dump(mode="json")),
        "source.accuracy": (record.source.get("accuracy"), record.metrics.get("source_accuracy")),
    }
    for name, (stated, expected) in pairs.items():
        if stated != expected:
            yield f"its {name} is {shown(stated)}, elsewhere in the record it is {shown(expected)}"
    yield from _wrong_weights(facts)
    yield from _wrong_track(record)
    for role in ("source", "target"):
        asked, used = getattr(config.dataset, role), getattr(task, role)
        if used != asked and not used.startswith(f"{asked}@"):
            yield f"its task.{role} is {shown(used)}, the configuration asks for {shown(asked)}"
    if len({*task.classes, *task.ti_classes}) < len(task.classes) + len(task.ti_classes):
        yield "a class is there twice, or is both task-relevant and task-irrelevant"
    held_out = task.protocol == "grouped"
    if not task.images.target_train or bool(task.images.target_test) != held_out:
        yield "a part of its task has no images, so it has no score, or images that its protocol does not hold out"
    every = {"metrics": facts.metrics, **{f"baselines.{name}": one for name, one in facts.baselines.items()}}
    for where, scores in every.items():
        stated = {name for name, value in scores.model_dump(exclude_none=True).items() if "heldout" in name}
        if held_out and not {name for name in HELD_OUT if name in type(scores).model_fields} <= stated:
            yield f"its {where} lack a held-out score"
        if stated and not held_out:
            yield f"its {where} have held-out scores, and the protocol {task.protocol} holds nothing out"
    if config.dataset.root is not None or any(card.name != str(card) for card in config.source.cards):
        yield "its configuration names a place on a disk: pack the run again"


def _wrong_track(record: Record) -> Iterator[str]:
    """Yield what the parts of the recipe use, as they are declared here, and the stated track leaves out."""
    found = track_of(record.method, record.recipe, record.config, record.task) or ()
    if record.track is not None and (missing := [name for name in found if name not in record.track]):
        yield f"its track leaves out {', '.join(missing)}, which the parts of its recipe use"


def _wrong_weights(facts: Facts) -> Iterator[str]:
    """Yield what is wrong with the weights that the backbone began with; those of an installed set have its hash."""
    from sfda_kit.interfaces.weights import BackboneWeights
    from sfda_kit.plugins.building import load_or_reason
    from sfda_kit.plugins.discovery import registry

    name, begun = facts.config.model.backbone_weights, facts.record.source.get("initial_weights", {})
    if begun.get("name") != name:
        yield f"its source.initial_weights are {shown(begun.get('name'))}, the configuration has {shown(name)}"
    part = registry().components.get(("weights", name or ""))
    known = load_or_reason(part)[0] if part else None
    if isinstance(known, BackboneWeights) and begun.get("sha256") != known.sha256:
        yield f"its weights {shown(name)} have another hash than those of {part.owner if part else ''} here"


def wrong_method(facts: Facts, third_party: Mapping[str, str]) -> Iterator[str]:
    """Yield a method that is neither the project's own nor stated as another's, and a wrong mark of target labels."""
    from sfda_kit.plugins.discovery import registry

    name, record = facts.record.method, facts.record
    component = registry().components.get(("method", name))
    if is_own(name):
        if name in third_party:
            yield f"the method {name!r} is the project's own, yet it is stated to be {third_party[name]}'s"
        labelled = component is not None and is_labelled(component)
        if record.oracle != labelled:
            marked = "is marked oracle" if record.oracle else "is not marked oracle"
            yield f"the method {name!r} {'uses' if labelled else 'uses no'} target labels, but the record {marked}"
        return
    if name not in third_party and facts.config.file_recipe is None:
        yield (
            f"the method {shown(name)!r} is not known here, and the manifest does not say whose it is: "
            "pack where its plugin is installed"
        )
    if record.oracle:
        yield f"only the core's oracle may use target labels, but {shown(name)!r} is marked oracle"


def is_own(method: str) -> bool:
    """Return whether a method of this name belongs to the project, installed here or not."""
    from sfda_kit.plugins.discovery import registry
    from sfda_kit.plugins.shipped import SHIPPED

    component = registry().components.get(("method", method))
    return ("method", method) in SHIPPED or (component is not None and component.owner == CORE)


def is_labelled(component: Component) -> bool:
    """Return whether a method of the core receives target labels: only some in ``evaluate`` do."""
    return component.owner == CORE and component.target.startswith(LABELLED)


def wrong_recipe(facts: Facts) -> tuple[str, str]:
    """Return (problem, notice): the recipe must be the method's with the configuration's changes.

    The two are compared only where the same version of the method's package is installed.
    """
    from sfda_kit.config.method_files import method_of
    from sfda_kit.plugins.discovery import installation
    from sfda_kit.runs.plan import recipe_of

    found, name = installation(), facts.record.method
    in_a_file = facts.config.file_recipe is not None
    component = method_of(facts.config) if in_a_file else found.registry.components.get(("method", name))
    versions = {plugin.owner: plugin.version for plugin in found.plugins}
    if component is None:
        return "", f"the method {shown(name)!r} is not installed here: its recipe was not compared"
    if not in_a_file and facts.record.versions.get(component.owner) != versions.get(component.owner):
        return "", f"it was made with another version of {component.owner}: its recipe was not compared"
    try:
        expected = recipe_of(component, facts.config)
    except UserError as error:
        return f"its changes of the recipe do not fit the method {shown(name)!r}: {error}", ""
    if _compared(expected) != _compared(facts.recipe):
        return f"its recipe is not that of {shown(name)!r} with the changes of its configuration", ""
    return "", ""


def _compared(recipe: object) -> object:
    return recipe.model_dump(mode="json", exclude={"summary", "paper"})  # type: ignore[attr-defined]
