"""Stress of a suite: factors that are each varied alone from the plain tasks, as tasks of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from sfda_kit.config.merging import merge_settings
from sfda_kit.config.models import RunConfig
from sfda_kit.errors import did_you_mean

if TYPE_CHECKING:
    from sfda_kit.bench.cells import ResolvedCell
    from sfda_kit.bench.suite import Suite


def _labelled(value: Any) -> Any:
    """Turn ``[2, 4]`` into ``{"2": 2, "4": 4}``, and the keys of a mapping into text."""
    if isinstance(value, list):
        return {str(one): one for one in value}
    return {str(label): one for label, one in value.items()} if isinstance(value, Mapping) else value


class StressFactor(BaseModel):
    """A stress factor is one setting in growing severity.

    ``setting``: the dotted key of a setting of ``sfda-kit run``; ``levels``: its values by the labels that are shown,
    from the least to the most severe; a plain list is labelled by its values. ``plain``: the label of the task as it
    is. ``methods``: those that the factor can change (none: all of the suite); the others would repeat their plain run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    setting: str
    levels: Annotated[dict[str, Any], BeforeValidator(_labelled), Field(min_length=1)]
    plain: str = "plain"
    methods: tuple[str, ...] = ()

    @field_validator("setting")
    @classmethod
    def _of_a_run(cls, value: str) -> str:
        if (section := value.partition(".")[0]) not in RunConfig.model_fields:
            raise ValueError(f"there is no setting {value!r}. {did_you_mean(section, RunConfig.model_fields)}")
        return value

    @model_validator(mode="after")
    def _plain_is_no_level(self) -> StressFactor:
        if self.plain in self.levels:
            raise ValueError(f"the level {self.plain!r} is also the label of the plain task; rename one of them")
        return self

    def settings(self, level: str) -> dict[str, Any]:
        """Return the settings of a level."""
        keys = reversed(self.setting.split("."))
        found: dict[str, Any] = reduce(lambda inner, key: {key: inner}, keys, self.levels[level])
        return found


class StressedTask(NamedTuple):
    """A stressed task is one level of one factor on a plain task of the suite."""

    name: str
    plain: str
    factor: str
    level: str


def stressed_tasks(tasks: Sequence[str], factors: Mapping[str, StressFactor]) -> Iterator[StressedTask]:
    """Yield each level of each factor on each of the plain ``tasks``."""
    for task in tasks:
        for name, factor in factors.items():
            for level in factor.levels:
                yield StressedTask(f"{task}, {name} {level}", task, name, level)


def with_stress(tasks: Mapping[str, Mapping[str, Any]], factors: Mapping[str, StressFactor]) -> dict[str, Any]:
    """Return the settings of the plain ``tasks`` and of all that the ``factors`` make of them, by name."""
    found = {name: dict(settings) for name, settings in tasks.items()}
    for one in stressed_tasks(list(tasks), factors):
        factor, told = factors[one.factor], tasks[one.plain].get("methods")
        changed = [method for method in factor.methods if method in (told or factor.methods)]
        only = {"methods": changed} if changed else {}
        found[one.name] = merge_settings(tasks[one.plain], factor.settings(one.level)) | only
    return found


def without_too_much(suite: Suite, cells: Sequence[ResolvedCell]) -> tuple[list[ResolvedCell], list[str]]:
    """Return ``cells`` without levels that ask for more images than the data have, and a sentence for each level."""
    if not suite.stress:
        return list(cells), []
    said = {f"{one.cell.task}: left out. {one.reason}": None for one in cells if one.asks_too_much}
    return [one for one in cells if not one.asks_too_much], list(said)
