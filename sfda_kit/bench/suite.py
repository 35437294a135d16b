"""A suite: tasks x methods x models x seeds, as a YAML file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from sfda_kit.bench.configurations import check_chooser, check_configurations, has_configurations
from sfda_kit.bench.grid import Grid
from sfda_kit.bench.layers import NETWORK
from sfda_kit.bench.method_files import with_contents
from sfda_kit.bench.stress import StressFactor, with_stress
from sfda_kit.config.explain import explain
from sfda_kit.config.merging import merge_settings
from sfda_kit.config.method_files import is_method_file
from sfda_kit.config.yaml import read_yaml
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.recipe import PartConfig
from sfda_kit.paths import expanded


def _named(value: Any) -> Any:
    """Turn ``[a, b]`` into ``{a: {}, b: {}}``; a mapping stays a mapping."""
    if isinstance(value, Mapping):
        return {str(name): settings or {} for name, settings in value.items()}
    if not isinstance(value, list):
        return value
    if len(set(map(str, value))) < len(value):
        raise ValueError("a name stands here twice; give variants names of their own: {NAME: settings}")
    return {str(name): {} for name in value}


def _with_models(data: Any) -> Any:
    """Let the network in the settings be the only model of a suite that lists none."""
    settings = data.get("settings") if isinstance(data, Mapping) else None
    told = settings.get("model") if isinstance(settings, Mapping) else None
    if not isinstance(told, Mapping) or data.get("models") is not None:
        return data
    named = {key: told[key] for key in NETWORK if told.get(key)}
    return {**data, "models": {str(next(iter(named.values()))): {"model": named}}} if named else data


def _lists(entries: Mapping[str, Mapping[str, Any]], key: str, what: str, fits: Callable[[Any], bool]) -> None:
    """Raise ``ValueError`` where an entry has ``key``, and it is no list of distinct values that ``fits`` takes."""
    for name, found in ((name, settings[key]) for name, settings in entries.items() if key in settings):
        if not (isinstance(found, (list, tuple)) and found and all(map(fits, found)) and len(set(found)) == len(found)):
            raise ValueError(f"{name}: {key} is {found!r}; expected a list of {what}, each once")


Fold = Annotated[int, Field(ge=0)]

Named = Annotated[dict[str, dict[str, Any]], BeforeValidator(_named), Field(min_length=1)]
"""Settings by name; YAML may also give a plain list of names."""


class Suite(BaseModel):
    """A suite says which cells to run. All settings are those of ``sfda-kit run`` (``RunConfig``).

    ``tasks``: settings by the task's name; ``methods`` among them says which methods run on it, else all. ``methods``:
    names of methods, or a name for the row and settings with a key ``method``, which may be a file beside the suite;
    its ``seeds`` replace those of the suite. ``models``: names of timm backbones, or a name and settings; ``methods``
    among them says which methods run with it, else all. A model is the backbone that it is called, unless its settings
    name ``model.backbone`` or ``model.backbone_weights``.
    ``settings``: those of every cell; those of its task, model and method win, the later over the earlier
    (``bench/layers.py``). ``split_seed``: that of all cells, or ``seed``: each seed has a split of its own.
    ``precision``: that of all cells. ``folds``: each cell runs on the folds 0 to N - 1, or on the listed ones, of the
    fold file of its data (``dataset.folds``), with each seed. ``data_root`` may contain environment variables.
    ``version`` changes whenever a result may change. ``grid``: parts and weights to vary (``bench/grid.py``).
    ``expanded`` adds its variants to ``methods``, which may be left out where there is a grid. ``chosen_by``: the
    validator that chooses among the ``configurations`` of each method (``bench/configurations.py``). All cells record
    its score. ``stress``: factors that are each varied alone from the tasks (``bench/stress.py``); ``expanded`` adds
    their levels to ``tasks``.
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
    split_seed: int | Literal["seed"] | None = None
    precision: Literal["fp32", "bf16", "fp16"] | None = None
    folds: Annotated[int, Field(ge=1)] | Annotated[tuple[Fold, ...], Field(min_length=1)] | None = None
    settings: dict[str, Any] = {}
    data_root: str | None = None
    timeout_minutes: float | None = Field(default=None, gt=0)
    grid: Grid | None = None
    chosen_by: PartConfig | None = None
    stress: dict[str, StressFactor] = {}

    @model_validator(mode="before")
    @classmethod
    def _models_of_settings(cls, data: Any) -> Any:
        return _with_models(data)

    @field_validator("methods")
    @classmethod
    def _keys_of_methods(cls, methods: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        _lists(methods, "seeds", "whole numbers from 0", lambda one: type(one) is int and one >= 0)
        check_configurations(methods)
        return methods

    @field_validator("models", "tasks")
    @classmethod
    def _methods_of_places(cls, places: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        _lists(places, "methods", "names of the suite's methods", lambda one: isinstance(one, str))
        return places

    @model_validator(mode="after")
    def _has_methods(self) -> Suite:
        if not self.methods and self.grid is None:
            raise ValueError("a suite needs `methods`, or a `grid` of parts and weights")
        if self.stress and self.grid:
            raise ValueError("a suite has a `grid` or a `stress`, not both: make two suites of it")
        if self.folds and self.grid:
            raise ValueError("a grid is compared on one split: leave `folds` out, or set dataset.fold in `settings`")
        if self.folds and self.split_seed is not None:
            raise ValueError("folds are the splits of all cells: leave `split_seed` out")
        return self

    @model_validator(mode="after")
    def _one_validator_chooses(self) -> Suite:
        check_chooser(self.chosen_by)
        several = has_configurations(self.methods)
        if several and self.chosen_by is None:
            raise ValueError("which validator chooses among `configurations`? Say it at the top: `chosen_by: infomax`")
        if self.grid and (several or self.chosen_by):
            raise ValueError("a grid compares its variants as they are: leave `chosen_by` and `configurations` out")
        return self

    def expanded(self) -> Suite:
        """Add the grid's variants to the methods, and the levels of the stress to the tasks.

        Raises ``UserError`` on an empty grid, a name used twice, and where a model or a task names a method that the
        suite does not have.
        """
        if self.stress:
            found = with_stress(self.tasks, self.stress)
            return self.model_copy(update={"tasks": found})._with_known_methods()
        if self.grid is None:
            return self._with_known_methods()
        variants = {variant.name: variant.settings for variant in self.grid.variants(self.settings)}
        if twice := sorted(set(variants) & set(self.methods)):
            raise UserError(f"The suite {self.name!r} has a method {twice[0]!r} and a variant of that name.")
        return self.model_copy(update={"methods": {**self.methods, **variants}})._with_known_methods()

    def _with_known_methods(self) -> Suite:
        for what, places in (("model", self.models), ("task", self.tasks)):
            for place, settings in places.items():
                for name in settings.get("methods", ()):
                    if name not in self.methods:
                        hint = did_you_mean(name, self.methods)
                        raise UserError(
                            f"The suite {self.name!r}, {what} {place!r}: there is no method {name!r}. {hint}"
                        )
        return self

    @property
    def fold_numbers(self) -> tuple[int, ...]:
        """The folds of the cells, none where the suite has no folds."""
        return tuple(range(self.folds)) if isinstance(self.folds, int) else self.folds or ()

    def only(
        self, tasks: Iterable[str], methods: Iterable[str], seeds: Iterable[int], folds: Iterable[int] = ()
    ) -> Suite:
        """Choose tasks, methods, seeds and folds (none: all). Raises ``UserError`` on an unknown task, method or fold.

        A method with seeds of its own keeps those of them that are chosen, and is left out where none is.
        """
        wanted = tuple(seeds)
        kept = _chosen("method", self.methods, methods)
        if wanted:
            own = {name: [seed for seed in one.get("seeds", wanted) if seed in wanted] for name, one in kept.items()}
            kept = {n: {**one, "seeds": own[n]} if "seeds" in one else one for n, one in kept.items() if own[n]}
        chosen = {"tasks": _chosen("task", self.tasks, tasks), "methods": kept, "seeds": wanted or self.seeds}
        if chosen_folds := tuple(folds):
            chosen["folds"] = tuple(
                map(int, _chosen("fold", {str(f): f for f in self.fold_numbers}, map(str, chosen_folds)))
            )
        return self.model_copy(update=chosen)

    def changed(self, settings: Mapping[str, Any]) -> Suite:
        """Return a suite of another name, ``NAME-changed``, in which ``settings`` win over all others in every cell.

        Without ``settings`` it is this suite. A network among them gives its name to the suite's only model. Raises
        ``UserError`` on a key by which a suite tells its cells apart.
        """
        if not settings:
            return self
        if own := next((key for key in ("method", "seed", "seeds") if key in settings), None):
            raise UserError(f"--set {own}: a suite says this of each cell. Choose cells by --method and --seed.")
        methods = {name: merge_settings(told, settings) for name, told in self.methods.items()}
        for told in methods.values():
            several = told.get("configurations", {})
            told["configurations"] = {name: merge_settings(one, settings) for name, one in several.items()}
        models = self._models_called_as(settings)
        return self.model_copy(update={"name": f"{self.name}-changed", "methods": methods, "models": models})

    def _models_called_as(self, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the models; where ``settings`` name another network, the model has its name, not that of the old."""
        told = settings.get("model")
        name = next((told[key] for key in NETWORK if told.get(key)), None) if isinstance(told, Mapping) else None
        if name is None:
            return self.models
        if len(self.models) > 1:
            raise UserError(
                f"--set model: the suite {self.name!r} compares the networks {', '.join(self.models)}, and this would "
                "make them one. Copy the suite's file and change its `models`."
            )
        return {str(name): merge_settings(own, {"model": told}) for own in self.models.values()}


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
    return checked_suite(read_yaml(path), f"suite {path}", path.parent)


def checked_suite(data: Mapping[str, Any], what: str, folder: Path = Path()) -> Suite:
    """Return ``data`` as a suite. Raises ``UserError`` naming every wrong key of ``what``.

    A method that is a file in ``folder`` is read now, so that the suite needs the file no more.
    """
    try:
        return with_files(Suite.model_validate(data), folder)
    except ValidationError as error:
        raise UserError(explain(error, what, Suite)) from None


def with_files(suite: Suite, folder: Path) -> Suite:
    """Return ``suite`` with the content of each method's file in ``folder`` in the place of its path."""
    by_path = {name: {"method": name} for name in suite.methods if is_method_file(name)}
    methods = {name: by_path.get(name, {}) | settings for name, settings in suite.methods.items()}
    grid = suite.grid.with_files(folder) if suite.grid else None
    return suite.model_copy(update={"methods": dict(with_contents(methods, folder).values()), "grid": grid})


def data_root(suite: Suite, given: Path | None) -> Path | None:
    """Return the folder of the data: ``given``, else the suite's. Raises ``UserError`` where a variable is not set."""
    if given is not None or suite.data_root is None:
        return given
    root = expanded(suite.data_root)
    if root is None:
        raise UserError(
            f"The suite {suite.name!r} looks for its data at {suite.data_root}, and that variable is not set. "
            "Set it, or name the folder: --data-root DIR"
        )
    return Path(root)
