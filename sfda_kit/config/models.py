"""The configuration of one run: pydantic models that refuse unknown keys."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from sfda_kit.config.digest import digest
from sfda_kit.config.renamed import with_present_names
from sfda_kit.config.stress import StressConfig, checked_stress
from sfda_kit.errors import RenamedWarning
from sfda_kit.interfaces.recipe import PartConfig, Recipe
from sfda_kit.interfaces.strict_model import DigestStableModel, StrictModel
from sfda_kit.plugins.modalities import modality, modality_names


class _Strict(StrictModel):
    model_config = ConfigDict(validate_default=True)


Augmentation = Literal["crop-flip", "strong", "eager-crop-flip", "eager-strong"]
"""The crops of training images: at whole pixels, or 50 to 100 % of the area; ``eager``: one by one by torchvision."""

SHARES: tuple[float, float, float] = (0.45, 0.30, 0.25)
"""The shares of source, target-train and target-test in a split by groups."""

OF_A_FILE = "file:"
"""What the name of a method begins with whose recipe was read from a file. No plugin can be called so."""

MOST_CONFIGURATIONS = 8
"""The most configurations of a method in a suite: equally many tries for every method."""

DEPTH_UNITS = ("mm", "m", "sun-rgbd-bits")

SUBSAMPLING = ("ti_pairs", "target_images")
"""The settings of ``DatasetConfig`` that leave images out. They are recorded only where they are given."""

Pairs = Literal["matched", "shuffled", "shuffled-within-class"]
"""How the halves of TI pairs are put together: as they were taken, or as a control in another order."""

PROTOCOL = ("protocol", "folds", "fold", "ti_groups")
"""The settings of ``DatasetConfig`` that say how images are split, beside the shares; stored where given."""


class DatasetConfig(DigestStableModel, _Strict):
    """The data set of a run, its sensors, and the roles of its classes.

    ``source`` and ``target`` are ``modality@domain``. Only ``split_seed`` decides how groups are split into parts, not
    the ``seed`` of the run. ``shares``: those of source, target training and target test images, where the data set has
    no official parts. A relevant class with fewer than ``minimum_images`` in a part is left out; with 0 only the source
    needs images of it. ``unit``: what the files hold (``mm``, ``centikelvin``, ``12-bit``), a unit of a modality in
    use, or one for each sensor (``mm,centikelvin``). ``ti_pairs`` and ``target_images`` (training images of the target;
    the test images stay) ask for fewer images than there are, for studies: see ``data/subsample.py``.

    ``fold``: take the parts from a fold file instead of ``split_seed`` and ``shares`` (``data/fold_file.py``): a
    shipped one that ``folds`` names, else ``folds.json`` at the root. ``ti_groups``: TI pairs come from all
    ``training`` groups (those that are not held out), or from those of ``target-train`` alone, so that no room of the
    source is among them.

    ``protocol``: ``grouped`` puts no group into two parts. ``paper`` is that of published tables: the target images are
    the other halves of the source images, adapted on and scored (transductive), and nothing is held out.

    ``pairs``: ``shuffled`` gives each target half of a TI pair the source half of another pair, and
    ``shuffled-within-class`` that of another pair of its class (``data/shuffled_pairs.py``). Such runs are controls.
    ``stress``: what is made worse on purpose; such runs are another task.
    """

    _later_keys: ClassVar[tuple[str, ...]] = (*SUBSAMPLING, "shares", "unit", *PROTOCOL, "pairs", "stress")

    name: str = "rooms"
    root: Path | None = None
    source: str = "rgb@kv1"
    target: str = "depth@kv1"
    split: str | None = None
    tr_classes: tuple[str, ...] | None = None
    ti_classes: tuple[str, ...] | None = None
    split_seed: int = 0
    group_pattern: str | None = None
    unit: str | None = None
    skip_bad: bool = False
    minimum_images: int = Field(default=5, ge=0)
    ti_pairs: int | None = Field(default=None, ge=0)
    target_images: int | None = Field(default=None, ge=2)
    shares: tuple[float, float, float] = SHARES
    protocol: Literal["grouped", "paper"] = "grouped"
    folds: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    fold: int | None = Field(default=None, ge=0)
    ti_groups: Literal["training", "target-train"] = "training"
    pairs: Pairs = "matched"
    stress: StressConfig | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _older_names(cls, value: Any) -> Any:
        return with_present_names({"dataset": value})[0]["dataset"]

    @model_validator(mode="after")
    def _one_way_to_split(self) -> DatasetConfig:
        if self.folds is not None and self.fold is None:
            raise ValueError("folds are named without a fold. Say which one, for example dataset.fold=0 (--fold 0)")
        if self.fold is not None and self.shares != SHARES:
            raise ValueError("shares have no effect where a fold says the parts. Leave one of the two out")
        if self.protocol == "paper" and (self.fold is not None or self.ti_groups != "training"):
            raise ValueError("the protocol paper takes all images of the classes: it has no fold and no ti_groups")
        return self

    @model_serializer(mode="wrap")
    def _unit_by_its_older_name(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Store units of depth as ``depth_unit``, as all older configurations have it: it keeps their digests."""
        data = super()._without_later_defaults(handler)
        unit = data.pop("unit", None)
        is_depth = unit is None or unit in DEPTH_UNITS
        return data | ({"depth_unit": unit} if is_depth else {"depth_unit": None, "unit": unit})

    @property
    def depth_unit(self) -> str | None:
        """``unit`` by its older name."""
        warnings.warn("depth_unit is called unit now", RenamedWarning, stacklevel=2)
        return self.unit

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, value: str | None) -> str | None:
        units = dict.fromkeys(unit for name in modality_names() for unit in modality(name).units)
        if value is not None and not set(value.split(",")) <= set(units):
            raise ValueError(f"expected one of {', '.join(units)}")
        return value

    @field_validator("shares", mode="before")
    @classmethod
    def _parts_of_a_whole(cls, value: Any) -> Any:
        """Turn ``45,30,25`` and ``[45, 30, 25]`` into shares of 1."""
        try:
            shares = [float(one) for one in (value.split(",") if isinstance(value, str) else value)]
        except (TypeError, ValueError):
            shares = []
        if len(shares) != len(SHARES) or not all(0 < one < math.inf for one in shares):
            raise ValueError("expected three numbers above 0: the shares of source, target-train and target-test")
        return shares if abs(sum(shares) - 1) < 1e-9 else [one / sum(shares) for one in shares]

    @field_validator("stress")
    @classmethod
    def _stress_that_counts(cls, value: StressConfig | None, told: ValidationInfo) -> StressConfig | None:
        return checked_stress(value, told.data.get("pairs"))

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


class ModelConfig(DigestStableModel, _Strict):
    """The network: any timm backbone, a bottleneck of ``bottleneck`` features (0: none) and a linear classifier.

    ``backbone`` may also be ``package.module:function``, a function that returns a torch module. Then ``classifier``
    names its last linear layer (None: it is found), and ``feature_maps`` a layer that returns maps (B, C, h, w), which
    some bridges compare.

    With ``pretrained`` the backbone begins with the weights that timm has for it. ``backbone_weights`` names others:
    an installed set of weights, a file, a folder, or ``hf-hub:OWNER/NAME`` (``source/backbone_weights.py``).
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("classifier", "feature_maps", "backbone_weights")

    backbone: str = "resnet10t"
    pretrained: bool = False
    backbone_weights: str | None = None
    bottleneck: int = Field(default=256, ge=0, le=65_536)
    image_size: int = Field(default=64, ge=8, le=1024)
    classifier: str | None = None
    feature_maps: str | None = None

    @field_validator("backbone_weights", mode="before")
    @classmethod
    def _path_as_text(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("is empty; name a set of weights, a file or a folder, or leave it out")
        return str(value) if isinstance(value, Path) else value

    @model_validator(mode="after")
    def _one_beginning(self) -> ModelConfig:
        if self.pretrained and self.backbone_weights:
            raise ValueError(
                "pretrained (--pretrained) asks for timm's own weights, and backbone_weights (--backbone-weights) for "
                f"{self.backbone_weights}; give one of them"
            )
        return self

    @property
    def begins_trained(self) -> bool:
        """Whether the backbone begins with weights from elsewhere, those of timm or others."""
        return self.pretrained or self.backbone_weights is not None


class SourceConfig(DigestStableModel, _Strict):
    """The training of the source model.

    ``epochs`` None: as many optimiser steps as ``steps``, and at least ``FEWEST_PASSES`` passes over the images (see
    ``source/source_training.py``). Unless the schedule is ``one-cycle``, it ends early when ``patience`` evaluations on
    held-out groups, all in its second half, bring no better accuracy and the training loss falls no more. With
    ``epochs`` it is exactly so many.

    ``checkpoint``: the weights that are the result, those at the ``best`` held-out accuracy (a tie goes to the later
    ones) or the ``last``. None: the best of a training that is counted in steps, the last of one counted in epochs.
    ``freeze_backbone``: the backbone keeps all weights and BatchNorm statistics that it begins with, and works in
    evaluation mode. With ``backbone_lr_factor`` 0 its weights stay, and its statistics still follow the source images.
    ``momentum`` of SGD, with Nesterov unless it is 0. ``drop_last``: leave out the incomplete last batch of a pass.
    ``held_out``: share of the images, in whole groups. ``floor``: least source accuracy in percent (None: twice
    chance). ``card``: a source model to use instead, or several to mix (``models/mixture.py``).
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("checkpoint", "momentum", "drop_last", "freeze_backbone")

    epochs: int | None = Field(default=None, ge=1)
    steps: int = Field(default=1500, ge=1)
    patience: int = Field(default=5, ge=1)
    checkpoint: Literal["best", "last"] | None = None
    batch_size: int = Field(default=32, ge=2)
    drop_last: bool = True
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["one-cycle", "inverse", "constant"] = "one-cycle"
    lr: float = Field(default=3e-3, gt=0)
    backbone_lr_factor: float = Field(default=1.0, ge=0)
    freeze_backbone: bool = False
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    augmentation: Augmentation = "crop-flip"
    color_jitter: float = Field(default=0.4, ge=0, le=1)
    held_out: float = Field(default=0.1, gt=0, lt=0.5)
    floor: float | None = Field(default=None, ge=0, le=100)
    card: Path | tuple[Path, ...] | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what plays no part beside ``epochs``, which all older configurations give."""
        data = super()._without_later_defaults(handler)
        return {key: value for key, value in data.items() if self.epochs is None or key not in ("steps", "patience")}

    @property
    def keeps_best(self) -> bool:
        """Whether the weights at the best held-out accuracy are the result."""
        return self.epochs is None if self.checkpoint is None else self.checkpoint == "best"

    @field_validator("card", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        """Turn a list of one card into that card, and a list of several into a tuple."""
        if not isinstance(value, (list, tuple)):
            return value
        if not value:
            raise ValueError("expected a card, or several")
        return value[0] if len(value) == 1 else tuple(value)

    @property
    def cards(self) -> tuple[Path, ...]:
        """The given source cards, empty where the source model is trained."""
        if self.card is None:
            return ()
        return self.card if isinstance(self.card, tuple) else (self.card,)


class BridgeStageConfig(_Strict):
    """The training of a bridge. ``epochs`` None: as many as the main phase times ``epochs_factor``."""

    epochs: int | None = Field(default=None, ge=1)
    epochs_factor: float = Field(default=1.5, gt=0)
    batch_size: int = Field(default=32, ge=2)
    lr: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)


class AdaptConfig(DigestStableModel, _Strict):
    """The adaptation loop, with the optimiser of SHOT: SGD, with Nesterov momentum unless ``momentum`` is 0.

    The preset ``pretrained`` gives the backbone a tenth of the rate of the bottleneck, to protect ImageNet features. A
    backbone trained from scratch has none to protect and learns at the full rate. ``classifier_lr_factor``: factor on
    the rate of the classifier, in phases that train it. ``mixing_lr_factor``: factor on the rate of the weights that
    mix several source models; 0 keeps them equal. ``schedule`` of the rate, see ``training/schedules.py``.

    ``steps_per_epoch`` of the phases of a recipe: a number, ``pass`` for one pass over the target images, or ``auto``:
    a pass, but at least ``loop.FEWEST_STEPS`` steps (our choice; without it few images hardly adapt a model: see the
    study target-images). ``drop_last``: leave out the incomplete last batch of a pass; a batch of one image is left out
    in any case, because BatchNorm has no variance over it.

    ``select``: the validator that selects the epoch of the result, or ``last``. ``validator``: the one whose choice is
    reported when nothing is selected. ``validators``: expensive ones that score every epoch too (``all``: every
    installed one). ``on_collapse``: what happens when predicted classes collapse. ``evaluate``: whether the held-out
    images are read after ``every`` epoch, which the oracle epoch and the regret need, or once, for the result
    (``last``). ``evaluation_batch_size``: the most images of a pass without gradients; a CPU takes 32 at a time.

    ``accumulate``: in how many parts the passes of a step of a recipe are made; their gradients are added. It takes the
    memory of one part. Terms over a whole batch, and BatchNorm, see one part at a time, so this changes the result.

    ``initial_weights``: what backbone and bottleneck of the adapting network begin with. ``random`` is a control that
    shows what trained features bring; the classifier and what teaches stay those of the source model.
    """

    _later_keys: ClassVar[tuple[str, ...]] = (
        "mixing_lr_factor",
        "steps_per_epoch",
        "classifier_lr_factor",
        "schedule",
        "drop_last",
        "evaluate",
        "accumulate",
        "initial_weights",
    )

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
    classifier_lr_factor: float = Field(default=1.0, ge=0)
    schedule: Literal["inverse", "constant", "cosine"] = "inverse"
    drop_last: bool = True
    evaluate: Literal["every", "last"] = "every"
    accumulate: int = Field(default=1, ge=1)
    initial_weights: Literal["source", "random"] = "source"

    @field_validator("steps_per_epoch", mode="before")
    @classmethod
    def _number_or_word(cls, value: Any) -> Any:
        # pydantic would give one message for each member of the union
        if value in ("auto", "pass") or (isinstance(value, int) and value >= 1):
            return value
        raise ValueError("expected auto, pass or a whole number from 1")

    @field_validator("validators", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class ComputeConfig(DigestStableModel, _Strict):
    """How a run is made. ``device`` auto: the accelerator if any; ``threads`` None: the default of torch.

    ``precision`` of the passes; losses, statistics and banks are float32 in any case. ``auto`` becomes ``bf16`` or
    ``fp32`` before the run begins. ``pictures``: whether images of the data and diagrams are kept in the run folder.
    ``deterministic``: use only operations of torch that always give the same numbers; one that does not stops the run.
    ``checkpoint_activations``: backward passes compute the values inside each block of a backbone again instead of
    holding them. That takes less memory and more time, and gives the same weights.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("pictures", "deterministic", "checkpoint_activations")

    device: str = "auto"
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32"
    threads: int | None = Field(default=None, ge=1)
    pictures: bool = True
    deterministic: bool = False
    checkpoint_activations: bool = False


class TuningConfig(_Strict):
    """Which of a method's configurations a run is, in a suite where every method may have equally many of them.

    ``row``: the name of the method in the suite. ``configuration``: that of the configuration. ``number``: its place
    in the suite's list, from 0. Of equal scores the configuration with the lower number is chosen.
    """

    row: str = Field(min_length=1)
    configuration: str = Field(min_length=1)
    number: int = Field(ge=0, lt=MOST_CONFIGURATIONS)


class RunConfig(DigestStableModel, _Strict):
    """Everything that decides the result of a run. ``recipe`` holds overrides for the recipe of the method.

    ``preset``: the name of the defaults, ``scratch``, ``pretrained`` or a preset of the method. ``file_recipe``: the
    recipe of a method that was read from a file and is called ``file:NAME``, so that the run needs the file no more.
    ``tuning``: which of a method's configurations this is. A suite gives it, and the board reads it.
    ``tuned_with_labels``: a person says that settings were chosen with target labels of this data. It changes no
    number. The board ranks the run among those that are ``tuned``.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("file_recipe", "tuning", "tuned_with_labels")

    method: str
    seed: int = Field(default=0, ge=0, lt=2**31)
    preset: str = "scratch"
    dataset: DatasetConfig = DatasetConfig()
    encoding: PartConfig = PartConfig(name="copy")
    model: ModelConfig = ModelConfig()
    source: SourceConfig = SourceConfig()
    bridge_training: BridgeStageConfig = BridgeStageConfig()
    adapt: AdaptConfig = AdaptConfig()
    compute: ComputeConfig = ComputeConfig()
    recipe: dict[str, Any] = Field(default_factory=dict)
    file_recipe: Recipe | None = None
    tuning: TuningConfig | None = None
    tuned_with_labels: bool = False

    @model_validator(mode="after")
    def _method_with_its_recipe(self) -> RunConfig:
        if self.method.startswith(OF_A_FILE) and self.file_recipe is None:
            raise ValueError(f"the method {self.method!r} is a recipe in a file; give the file: --method FILE.yaml")
        if self.file_recipe is not None and not self.method.startswith(OF_A_FILE):
            raise ValueError(f"file_recipe is for a method called {OF_A_FILE}NAME, and this is {self.method!r}")
        return self

    @model_validator(mode="after")
    def _paper_takes_the_last_epoch(self) -> RunConfig:
        adapt = self.adapt
        if self.dataset.protocol == "paper" and (adapt.select.name != "last" or adapt.on_collapse != "warn"):
            raise ValueError(
                "the protocol paper scores the last epoch: set adapt.select to last and adapt.on_collapse to warn"
            )
        return self

    def digest(self) -> str:
        """Return a hex digest of all values, which identifies an unfinished run."""
        return digest(self.model_dump(mode="json"))
