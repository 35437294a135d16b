"""The configuration of one run: pydantic models, unknown keys refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from sfda_kit.errors import UserError, nearest
from sfda_kit.interfaces.recipe import PartConfig
from sfda_kit.merging import merge, merge_settings


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Augmentation = Literal["crop-flip", "strong", "eager-crop-flip", "eager-strong"]
"""How training images are cropped: whole pixels, or 50 to 100 % of the area; ``eager``: by torchvision, one by one."""

FEWER = ("ti_pairs", "target_images")
"""Settings of ``DatasetConfig`` that leave images out; they are recorded where they were given."""


class DatasetConfig(_Strict):
    """Which scenes, which sensors, and which classes play which role.

    ``source`` and ``target`` are ``modality@domain``. ``split_seed`` alone decides how groups are
    dealt to parts; the run's ``seed`` never does. ``minimum_images`` of a relevant class in each part, else it is
    left out; 0: only the source needs images of it. ``ti_pairs`` and ``target_images`` (training images of the
    target; the test images stay) ask for fewer than there are, for studies: see ``data/fewer.py``.
    """

    name: str = "rooms"
    root: Path | None = None
    source: str = "rgb@kv1"
    target: str = "depth@kv1"
    split: str | None = None
    tr_classes: tuple[str, ...] | None = None
    ti_classes: tuple[str, ...] | None = None
    split_seed: int = 0
    group_pattern: str | None = None
    depth_unit: Literal["mm", "m", "sun-rgbd-bits"] | None = None
    skip_bad: bool = False
    minimum_images: int = Field(default=5, ge=0)
    ti_pairs: int | None = Field(default=None, ge=0)
    target_images: int | None = Field(default=None, ge=2)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("ti_pairs", "target_images", mode="before")
    @classmethod
    def _all_by_name(cls, value: Any) -> Any:
        return None if value == "all" else value

    @field_validator("ti_pairs")
    @classmethod
    def _no_single_pair(cls, value: int | None) -> int | None:
        if value == 1:
            raise ValueError("0 or at least 2: batch normalisation has no variance over one image")
        return value

    @model_serializer(mode="wrap")
    def _told_only_if_asked(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A task that asks for all images keeps the digest it had before one could ask for fewer."""
        told: dict[str, Any] = handler(self)
        return {key: value for key, value in told.items() if value is not None or key not in FEWER}


class ModelConfig(_Strict):
    """Any timm backbone, a bottleneck of ``bottleneck`` features (0: none) and a linear classifier."""

    backbone: str = "resnet10t"
    pretrained: bool = False
    bottleneck: int = Field(default=256, ge=0)
    image_size: int = Field(default=64, ge=8, le=1024)


class SourceConfig(_Strict):
    """Training of the source model. ``floor``: least source accuracy in percent (None: 2x chance).

    ``card``: a source model to take instead, or several to mix (``models/mixture.py``).
    """

    epochs: int = Field(default=14, ge=1)
    batch_size: int = Field(default=64, ge=2)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["one-cycle", "inverse"] = "one-cycle"
    lr: float = Field(default=3e-3, gt=0)
    backbone_lr_factor: float = Field(default=1.0, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    augmentation: Augmentation = "crop-flip"
    color_jitter: float = Field(default=0.4, ge=0, le=1)
    held_out: float = Field(default=0.1, gt=0, lt=0.5)
    floor: float | None = Field(default=None, ge=0, le=100)
    card: Path | tuple[Path, ...] | None = None

    @field_validator("card", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        """One card in a list is one card; several are a tuple."""
        if not isinstance(value, (list, tuple)):
            return value
        if not value:
            raise ValueError("expected a card, or several")
        return value[0] if len(value) == 1 else tuple(value)

    @property
    def cards(self) -> tuple[Path, ...]:
        """The source cards given, none where the source model is trained."""
        if self.card is None:
            return ()
        return self.card if isinstance(self.card, tuple) else (self.card,)


class BridgeStageConfig(_Strict):
    """Training of a bridge. ``epochs`` None: as many as the main phase times ``epochs_factor``."""

    epochs: int | None = Field(default=None, ge=1)
    epochs_factor: float = Field(default=1.5, gt=0)
    batch_size: int = Field(default=32, ge=2)
    lr: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)


class AdaptConfig(_Strict):
    """The adaptation loop: SHOT's optimiser.

    Its rate for the backbone, a tenth of the bottleneck's, protects ImageNet features and belongs to the
    preset ``pretrained``; a backbone trained from scratch has none to protect and learns at the full rate.
    ``mixing_lr_factor`` is for the weights that mix several source models; 0 keeps them equal.
    ``steps_per_epoch`` of a recipe's phases: a number, ``pass`` for one pass over the target images, or ``auto``:
    a pass, and more where it has fewer than ``loop.FEWEST_STEPS`` steps (ours; images too few for that are
    otherwise hardly adapted to, see the study target-images).

    ``select``: the validator whose epoch becomes the result, or ``last``. ``validator``: the one whose choice
    is told when nothing is selected. ``validators``: scored at every epoch although they are expensive
    (``all``: every installed one). ``on_collapse``: what happens when predicted classes collapse.
    """

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=64, ge=2)
    lr: float = Field(default=1e-2, gt=0)
    backbone_lr_factor: float = Field(default=1.0, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-3, ge=0)
    augmentation: Augmentation = "crop-flip"
    evaluation_batch_size: int = Field(default=256, ge=1)
    select: PartConfig = PartConfig(name="last")
    validator: PartConfig = PartConfig(name="infomax")
    validators: tuple[str, ...] = ()
    on_collapse: Literal["warn", "stop", "rollback"] = "warn"
    mixing_lr_factor: float = Field(default=10.0, ge=0)
    steps_per_epoch: int | Literal["auto", "pass"] = "auto"

    @model_serializer(mode="wrap")
    def _later_keys_told_only_if_changed(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run keeps the digest it had before these settings existed."""
        told: dict[str, Any] = handler(self)
        later = {key: type(self).model_fields[key].default for key in ("mixing_lr_factor", "steps_per_epoch")}
        return {key: value for key, value in told.items() if key not in later or value != later[key]}

    @field_validator("steps_per_epoch", mode="before")
    @classmethod
    def _number_or_word(cls, value: Any) -> Any:
        # one sentence where pydantic would tell what is wrong with each member of the union
        if value in ("auto", "pass") or (isinstance(value, int) and value >= 1):
            return value
        raise ValueError("expected auto, pass or a whole number from 1")

    @field_validator("validators", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class ComputeConfig(_Strict):
    """Where it runs. ``device`` auto: the accelerator if there is one; ``threads`` None: torch's choice."""

    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    threads: int | None = Field(default=None, ge=1)


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "scratch": {"source": {}, "adapt": {}},
    "pretrained": {
        "source": {
            "epochs": 20,
            "batch_size": 32,
            "optimizer": "sgd",
            "schedule": "inverse",
            "lr": 1e-2,
            "backbone_lr_factor": 0.1,
            "weight_decay": 1e-3,
            "augmentation": "crop-flip",
            "color_jitter": 0.0,
        },
        "adapt": {"epochs": 15, "backbone_lr_factor": 0.1},
    },
}
"""Named defaults: ``pretrained`` is SHOT's recipe for ImageNet weights (methods page), ``scratch`` ours."""


class RunConfig(_Strict):
    """Everything that decides a result. ``recipe`` holds overrides merged into the method's recipe."""

    method: str
    seed: int = Field(default=0, ge=0, lt=2**31)
    preset: Literal["scratch", "pretrained"] = "scratch"
    dataset: DatasetConfig = DatasetConfig()
    encoding: PartConfig = PartConfig(name="copy")
    model: ModelConfig = ModelConfig()
    source: SourceConfig = SourceConfig()
    bridge_training: BridgeStageConfig = BridgeStageConfig()
    adapt: AdaptConfig = AdaptConfig()
    compute: ComputeConfig = ComputeConfig()
    recipe: dict[str, Any] = Field(default_factory=dict)

    def digest(self) -> str:
        """Hex digest of all values, for matching an unfinished run."""
        return digest(self.model_dump(mode="json"))


def digest(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _starts_pretrained(data: Mapping[str, Any]) -> bool:
    model, source = data.get("model"), data.get("source")
    if isinstance(model, Mapping) and model.get("pretrained"):
        return True
    card = source.get("card") if isinstance(source, Mapping) else None
    cards = [one for one in (card if isinstance(card, (list, tuple)) else [card]) if isinstance(one, (str, Path))]
    if not cards:
        return False
    from sfda_kit.models.card import read_card

    return any(read_card(Path(one)).model.pretrained for one in cards)


def load_config(data: Mapping[str, Any]) -> RunConfig:
    """Validate ``data`` over the defaults of preset and method; ``UserError`` names every wrong key and value.

    Unless it is named, the preset follows from the model: pretrained or not, a source card's included. A method's
    alias becomes its name, so that both are the same run.
    """
    from sfda_kit.plugins import registry

    preset = data.get("preset") or ("pretrained" if _starts_pretrained(data) else "scratch")
    defaults: Mapping[str, Any] = PRESETS.get(str(preset), {})
    if isinstance(method := data.get("method"), str):
        name = registry().canonical("method", method)
        data = {**data, "method": name}
        if component := registry().components.get(("method", name)):
            defaults = merge(defaults, component.settings)
    try:
        return RunConfig.model_validate(merge({**defaults, "preset": preset}, data))
    except ValidationError as error:
        raise UserError(explain(error, "configuration", RunConfig)) from None


def explain(error: ValidationError, what: str, model: type[BaseModel] | None = None) -> str:
    """One line a problem, with the path of the key and what was expected; ``model`` knows the keys."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or what
        reason = problem["msg"].removeprefix("Value error, ")
        if not isinstance(given := problem.get("input"), Mapping):  # a whole section says less than the message
            reason += f" (got {given!r})"
        if model and problem["type"] == "extra_forbidden":
            reason = f"there is no such key. {_nearest_key(model, [str(part) for part in problem['loc']])}"
        lines.append(f"  {where}: {reason}")
    return f"The {what} is not valid:\n" + "\n".join(lines)


def _nearest_key(model: type[BaseModel], path: Sequence[str]) -> str:
    """Sentence naming the keys closest to the last of ``path``, among those of its section."""
    section: Any = model
    for part in path[:-1]:
        annotation = section.model_fields[part].annotation
        section = next(kind for kind in (*get_args(annotation), annotation) if hasattr(kind, "model_fields"))
    return nearest(path[-1], section.model_fields)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping from ``path``; ``UserError`` when it is missing, broken or not a mapping."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if data is not None and not isinstance(data, dict):
        raise UserError(f"{path} must hold a mapping of keys to values, got {type(data).__name__}.")
    return data or {}


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """``["adapt.lr=0.1"]`` -> ``{"adapt": {"lr": 0.1}}``; values are read as YAML."""
    data: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            raise UserError(f"--set {text!r}: expected KEY=VALUE, for example --set adapt.lr=0.001")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--set {text!r}: the value is not valid YAML: {error}") from None
        for key in reversed(path.strip().split(".")):
            nested = {key: nested}
        data = merge_settings(data, nested)
    return data
