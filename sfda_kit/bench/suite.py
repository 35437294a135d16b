"""A suite: tasks x methods x models x seeds, as a YAML file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sfda_kit.bench.grid import Grid
from sfda_kit.config.explain import explain
from sfda_kit.config.yaml import read_yaml
from sfda_kit.errors import UserError, did_you_mean


def _named(value: Any) -> Any:
    """Turn ``[a, b]`` into ``{a: {}, b: {}}``; a mapping stays a mapping."""
    if isinstance(value, Mapping):
        return {str(name): settings or {} for name, settings in value.items()}
    if not isinstance(value, list):
        return value
    if len(set(map(str, value))) < len(value):
        raise ValueError("a name stands here twice; give variants names of their own: {NAME: settings}")
    return {str(name): {} for name in value}


Named = Annotated[dict[str, dict[str, Any]], BeforeValidator(_named), Field(min_length=1)]
"""Settings by name; YAML may also give a plain list of names."""


class Suite(BaseModel):
    """A suite says which cells to run. All settings are those of ``sfda-kit run`` (``RunConfig``).

    ``tasks``: settings by the task's name. ``methods``: names of methods, or a name for the row and settings with a key
    ``method``. ``models``: names of timm backbones, or a name and settings. ``settings``: those of every cell; those of
    its task, model and method win, the later over the earlier. ``data_root`` may contain environment variables.
    ``folds``: each cell runs on the folds 0 to N - 1 of the fold file of its data (``dataset.folds``), with each seed.
    ``version`` changes whenever a result may change. ``grid``: parts and weights to vary (``bench/grid.py``).
    ``expanded`` adds its variants to ``methods``, which may be left out where there is a grid.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: int = Field(ge=1)
    title: str
    notes: str = ""
    tasks: Named
    methods: Named = {}
    models: Named = {"resnet10t": {}}
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2), min_length=1)
    folds: int | None = Field(default=None, ge=1)
    settings: dict[str, Any] = {}
    data_root: str | None = None
    timeout_minutes: float | None = Field(default=None, gt=0)
    grid: Grid | None = None

    @model_validator(mode="after")
    def _has_methods(self) -> Suite:
        if not self.methods and self.grid is None:
            raise ValueError("a suite needs `methods`, or a `grid` of parts and weights")
        if self.folds and self.grid:
            raise ValueError("a grid is compared on one split: leave `folds` out, or set dataset.fold in `settings`")
        return self

    def expanded(self) -> Suite:
        """Add the grid's variants to the methods. Raises ``UserError`` on an empty grid or a name used twice."""
        if self.grid is None:
            return self
        variants = {variant.name: variant.settings for variant in self.grid.variants(self.settings)}
        if twice := sorted(set(variants) & set(self.methods)):
            raise UserError(f"The suite {self.name!r} has a method {twice[0]!r} and a variant of that name.")
        return self.model_copy(update={"methods": {**self.methods, **variants}})

    def only(self, tasks: Iterable[str], methods: Iterable[str], seeds: Iterable[int]) -> Suite:
        """Choose tasks, methods and seeds (none: all). Raises ``UserError`` on an unknown task or method."""
        chosen = {
            "tasks": _chosen("task", self.tasks, tasks),
            "methods": _chosen("method", self.methods, methods),
            "seeds": tuple(seeds) or self.seeds,
        }
        return self.model_copy(update=chosen)


def _chosen(what: str, known: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Any]:
    names = list(wanted)
    for name in names:
        if name not in known:
            raise UserError(f"The suite has no {what} {name!r}. {did_you_mean(name, known)}")
    return {name: settings for name, settings in known.items() if not names or name in names}


def shipped_suites() -> dict[str, Path]:
    """Return the files of the suites that come with the toolkit, by name."""
    folder = Path(str(files("sfda_kit.bench"))) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_suite(name_or_path: str) -> Suite:
    """Load a shipped suite or a YAML file and expand its grid. Raises ``UserError`` naming every wrong key."""
    return read_suite(name_or_path).expanded()


def read_suite(name_or_path: str) -> Suite:
    """Read a suite without expanding its grid. Raises ``UserError`` naming every wrong key."""
    shipped = shipped_suites()
    path = shipped.get(name_or_path, Path(name_or_path))
    if not path.exists():
        hint = did_you_mean(name_or_path, shipped)
        raise UserError(f"There is no suite {name_or_path!r}: it is neither a file nor a shipped suite. {hint}")
    return checked_suite(read_yaml(path), f"suite {path}")


def checked_suite(data: Mapping[str, Any], what: str) -> Suite:
    """Return ``data`` as a suite. Raises ``UserError`` naming every wrong key of ``what``."""
    try:
        return Suite.model_validate(data)
    except ValidationError as error:
        raise UserError(explain(error, what, Suite)) from None


def data_root(suite: Suite, given: Path | None) -> Path | None:
    """Return the folder of the data: ``given``, else the suite's. Raises ``UserError`` where a variable is not set."""
    if given is not None or suite.data_root is None:
        return given
    root = os.path.expandvars(suite.data_root)
    if "$" in root:
        raise UserError(
            f"The suite {suite.name!r} looks for its data at {suite.data_root}, and that variable is not set. "
            "Set it, or name the folder: --data-root DIR"
        )
    return Path(root)
