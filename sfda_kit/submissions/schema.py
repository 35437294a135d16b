"""Models with keys, types and ranges for the parts of a record that the record keeps as plain data."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, PlainValidator, StringConstraints, TypeAdapter, ValidationError

from sfda_kit.config.models import RunConfig
from sfda_kit.interfaces.recipe import PartConfig, Recipe
from sfda_kit.interfaces.strict_model import StrictModel
from sfda_kit.results.record import Record
from sfda_kit.submissions.findings import shown

Checked = TypeVar("Checked")
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**8)]
ShortName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,60}$")]


class Scores(StrictModel):
    """Scores are values in percent. Records of older versions have no ``auroc``, and those of the protocol ``paper``
    nothing that is held out; ``checks.py`` tells where a held-out score is missing."""

    transductive_accuracy: Percent
    transductive_mean_class_accuracy: Percent
    transductive_calibration_error: Percent
    heldout_accuracy: Percent | None = None
    heldout_mean_class_accuracy: Percent | None = None
    heldout_calibration_error: Percent | None = None
    transductive_auroc: Percent | None = None
    heldout_auroc: Percent | None = None


class FinalScores(Scores):
    """Final scores are ``Record.metrics`` of a finished run."""

    source_only_heldout_accuracy: Percent | None = None
    source_accuracy: Percent | None = None


class ImageCounts(StrictModel):
    """Counts of the images in each part of a task."""

    source: Count
    target_train: Count = Field(alias="target-train")
    target_test: Count = Field(alias="target-test")
    ti: Count


class FoldFacts(StrictModel):
    """Fold facts say which fold of which file a run was made on; ``sha256`` is that of the file's content."""

    fold: Count
    folds: Annotated[int, Field(ge=2, le=1000)]
    repeats: Annotated[int, Field(ge=1, le=1000)]
    name: ShortName
    version: Count
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class TaskFacts(StrictModel):
    """Task facts are ``Record.task`` of a run with evaluation. The last three stand there only where they apply."""

    dataset: ShortName
    source: ShortName
    target: ShortName
    classes: Annotated[tuple[ShortName, ...], Field(min_length=2, max_length=1000)]
    ti_classes: Annotated[tuple[ShortName, ...], Field(max_length=1000)]
    images: ImageCounts
    split_seed: int
    encoding: PartConfig
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    folds: FoldFacts | None = None
    protocol: Literal["grouped", "paper"] = "grouped"
    ti_groups: Literal["training", "target-train"] = "training"


class HistoryRow(StrictModel):
    """A row is one epoch of ``history.json``."""

    phase: ShortName
    epoch: Annotated[int, Field(ge=0, le=10**6)]
    metrics: Scores
    signals: dict[Key, Any]
    wall_s: Amount


def _spelt_out(kind: type[BaseModel], value: Any) -> BaseModel:
    """Return ``value`` as ``kind``; raise ``ValueError`` unless it has the model's values and types (no short forms).

    pydantic's strict mode cannot do this: it refuses JSON arrays behind a validator that accepts short forms.
    """
    found = kind.model_validate(value)
    if not _is_within(value, found.model_dump(mode="json")):
        raise ValueError("a value has another type than the toolkit writes")
    return found


def _is_within(given: Any, full: Any) -> bool:
    """Return whether ``full`` has every value of ``given``, with its type."""
    if isinstance(given, dict) and isinstance(full, dict):
        return all(key in full and _is_within(value, full[key]) for key, value in given.items())
    if isinstance(given, list) and isinstance(full, list):
        return len(given) == len(full) and all(map(_is_within, given, full))
    kinds = (int, float) if isinstance(full, float) else type(full)
    return isinstance(given, kinds) and not (isinstance(given, bool) ^ isinstance(full, bool)) and bool(given == full)


SpeltRecipe = Annotated[Any, PlainValidator(partial(_spelt_out, Recipe))]
SpeltConfig = Annotated[Any, PlainValidator(partial(_spelt_out, RunConfig))]
"""A configuration without short forms, which a person may write but a record never holds."""


History = Annotated[list[HistoryRow], Field(max_length=20_000)]
"""The rows of ``history.json``."""


class Facts(StrictModel):
    """Facts are the checked parts of one record; ``record`` itself holds the rest."""

    record: Record
    task: TaskFacts
    config: RunConfig
    recipe: Recipe
    metrics: FinalScores
    baselines: dict[Literal["source-only", "bridge"], Scores]


def check_facts(record: Record) -> Facts:
    """Return the checked parts of a finished run's record. Raises ``ValueError`` with a line for each wrong key."""
    from sfda_kit.source.source_card import SourceCard

    problems: list[str] = []

    def part(kind: Any, name: str) -> Any:
        try:
            return validated(kind, getattr(record, name), name)
        except ValueError as error:
            problems.append(str(error))

    found = {
        "task": part(TaskFacts, "task"),
        "config": part(SpeltConfig, "config"),
        "recipe": part(SpeltRecipe, "recipe"),
        "metrics": part(FinalScores, "metrics"),
        "baselines": part(dict[Literal["source-only", "bridge"], Scores], "baselines"),
    }
    part(SourceCard, "source")
    part(dict[Key, Amount], "cost")
    part(dict[Key, Any], "signals")
    part(dict[ShortName, ShortName], "versions")
    if problems:
        raise ValueError("\n".join(problems))
    return Facts.model_construct(record=record, **found)


def validated(kind: type[Checked], value: Any, what: str) -> Checked:
    """Return ``value`` (JSON data) as ``kind`` without type conversion. Raises ``ValueError`` naming the wrong keys."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise ValueError("\n".join(_explained(error, what))) from None


def _explained(error: ValidationError, what: str) -> list[str]:
    lines = []
    for problem in error.errors(include_input=False, include_url=False)[:20]:
        where = ".".join(shown(part, 60) for part in (what, *problem["loc"]))
        unknown = problem["type"] == "extra_forbidden"
        lines.append(f"{where}: {'there is no such key' if unknown else problem['msg']}")
    return lines
