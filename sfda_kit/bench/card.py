"""Reproduction cards: a published or measured number, how to reproduce it, and the band it should fall in."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sfda_kit.config.explain import explain
from sfda_kit.config.loading import load_config
from sfda_kit.config.merging import merge_settings
from sfda_kit.config.models import RunConfig
from sfda_kit.config.yaml import read_yaml
from sfda_kit.errors import UserError, did_you_mean

Metric = Literal[
    "transductive_accuracy",
    "transductive_mean_class_accuracy",
    "heldout_accuracy",
    "heldout_mean_class_accuracy",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expected(_Strict):
    """Values are in percent. A mean over tasks, folds and seeds from ``low`` to ``high`` reproduces the number."""

    mean: float
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Expected:
        if not self.low <= self.mean <= self.high:
            raise ValueError("expected low <= mean <= high")
        return self


class Origin(_Strict):
    """An origin names the source that states the number."""

    text: str
    link: str = ""


class Card(_Strict):
    """A card describes a number and the runs that reproduce it.

    ``kind``: ``measured`` with this toolkit, or ``published`` in a paper and never measured with it. ``config``:
    settings of a run without method and seed. ``tasks``: settings of each task, merged over ``config``; the number is
    the mean over tasks. ``folds``: those of the fold file of the data; the number is the mean over them. ``recipe``,
    ``versions``, ``source_weights`` (hash by seed) and ``data_fingerprint`` describe the runs behind the number, as far
    as known; the verdict lists where they differ, but does not depend on them. With folds, ``source_weights`` has a
    hash for each fold, and ``data_fingerprint`` is a digest of those of all folds.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    kind: Literal["published", "measured"]
    task: str
    method: str
    config: dict[str, Any] = {}
    tasks: tuple[dict[str, Any], ...] = Field(default=({},), min_length=1)
    folds: tuple[Annotated[int, Field(ge=0)], ...] = ()
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    metric: Metric
    expected: Expected
    source: Origin
    versions: dict[str, str] = {}
    recipe: dict[str, Any] | None = None
    source_weights: dict[int, str] = {}
    data_fingerprint: str | None = None
    notes: str = ""

    @field_validator("config")
    @classmethod
    def _without_seed(cls, config: dict[str, Any]) -> dict[str, Any]:
        for key in ("method", "seed"):
            if key in config:
                raise ValueError(f"{key!r} does not belong here: a card has keys `method` and `seeds` of its own")
        return config

    @model_validator(mode="after")
    def _one_task(self) -> Card:
        if len(self.tasks) > 1 and (self.source_weights or self.data_fingerprint):
            raise ValueError("source_weights and data_fingerprint belong to one task, and this card has several")
        if len(self.seeds) > 1 and self.folds and self.source_weights:
            raise ValueError("source_weights of folds belong to one seed, and this card has several")
        for what, found in {"seed": self.seeds, "fold": self.folds}.items():
            if len(set(found)) < len(found):
                raise ValueError(f"a {what} stands here twice")
        return self


class CardRun(NamedTuple):
    """A card run is one run of a card: one task, or one fold of it, with one seed."""

    task: str
    seed: int
    config: RunConfig
    fold: int | None = None


def shipped_cards() -> dict[str, Path]:
    """Return the files of the cards that come with the toolkit, by name."""
    folder = Path(str(files("sfda_kit.bench"))) / "cards"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_reproduction_card(name_or_path: str) -> Card:
    """Load a shipped card by name, or a YAML file. Raises ``UserError`` naming every wrong key."""
    shipped = shipped_cards()
    path = shipped.get(name_or_path, Path(name_or_path))
    if not path.is_file():
        hint = did_you_mean(name_or_path, shipped)
        raise UserError(f"There is no card {name_or_path!r}: it is neither a file nor a shipped card. {hint}")
    try:
        return Card.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(explain(error, f"card {path}", Card)) from None


def runs_of(card: Card, root: Path | None = None, skip_bad: bool = False) -> list[CardRun]:
    """Return every run of the card, seeds innermost. Raises ``UserError`` on invalid settings."""
    here: dict[str, Any] = {"root": str(root)} if root is not None else {}
    here |= {"skip_bad": True} if skip_bad else {}
    return [
        _run(card, number, fold, seed, here)
        for number in range(len(card.tasks))
        for fold in card.folds or (None,)
        for seed in card.seeds
    ]


def _run(card: Card, number: int, fold: int | None, seed: int, here: Mapping[str, Any]) -> CardRun:
    """Return one run of the card; ``here``: settings of the data set that depend on this disk, not on the card."""
    here = here if fold is None else {**here, "fold": fold}
    settings: Mapping[str, Any] = merge_settings(merge_settings(card.config, card.tasks[number]), {"dataset": here})
    try:
        config = load_config(merge_settings(settings, {"method": card.method, "seed": seed}))
    except UserError as error:
        raise UserError(f"The card {card.name!r}, task {number + 1}: {error}") from None
    dataset = config.dataset
    where = "" if fold is None else f", fold {fold}"
    return CardRun(f"{dataset.name}, {dataset.source} -> {dataset.target}{where}", seed, config, fold)
