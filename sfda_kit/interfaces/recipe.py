"""Recipes: methods as data, with one or two bridges and phases of weighted terms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from sfda_kit.interfaces.strict_model import DigestStableModel, StrictModel

Scope = Literal["backbone+bottleneck", "backbone+bottleneck+classifier", "backbone", "bottleneck", "batch-norm", "none"]


class PartConfig(StrictModel):
    """A part config holds the name and the options of a part; ``"unet"`` alone means ``{name: unet}``."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class BridgeConfig(PartConfig):
    """A bridge config names a bridge; ``objective`` overrides weights of its default objective (0 removes a term)."""

    objective: dict[str, float] = Field(default_factory=dict)


class WeightChange(StrictModel):
    """A change of a term's weight. It holds in the steps k of the phase's T (k from 1) with k / T > ``after``."""

    after: float = Field(ge=0, lt=1)
    weight: float | None = Field(default=None, ge=0)


class TermChange(WeightChange):
    """A change of a term's weight, of some of its options, or of both; the rest stays as it was before."""

    options: dict[str, Any] = Field(default_factory=dict)


def _in_order(changes: Sequence[WeightChange]) -> Any:
    if any(late.after <= early.after for early, late in pairwise(changes)):
        raise ValueError("the changes must be in order: each 'after' greater than the one before")
    return changes


class LabelerConfig(DigestStableModel, PartConfig):
    """A labeler and the weight of its cross-entropy; at 0 it runs only where an aligner reads ``pseudo_labels``.

    ``changes`` of the weight while the phase goes on, for a warm-up without labels.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("changes",)

    weight: float = Field(default=0.3, ge=0)
    changes: Annotated[tuple[WeightChange, ...], AfterValidator(_in_order)] = ()

    @property
    def is_weighted(self) -> bool:
        """Whether the cross-entropy has a weight above 0 in any step."""
        return bool(self.weight or any(change.weight for change in self.changes))


class AlignerConfig(DigestStableModel):
    """An aligner config holds the weight and options of one loss term; a bare number is its weight, 0 removes it.

    ``changes`` of weight and options while the phase goes on. A term of weight 0 that has changes is still computed.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("changes",)

    weight: float = Field(ge=0)
    options: dict[str, Any] = Field(default_factory=dict)
    changes: Annotated[tuple[TermChange, ...], AfterValidator(_in_order)] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_weight(cls, value: Any) -> Any:
        return {"weight": value} if isinstance(value, (int, float, str)) else value  # YAML reads 1e-3 as text


class Phase(DigestStableModel):
    """A phase is one part of the training with its terms, labels and scope.

    ``length`` is relative to ``--epochs`` (1 = the main phase). ``train`` names what is updated, running statistics
    included; all else stays in evaluation mode. SHOT's source hypothesis keeps the classifier as it is, others train it
    (``backbone+bottleneck+classifier``). With ``none`` only the aligners' own modules learn. An aligner that an earlier
    phase had too goes on with its own module. ``new_classifier``: the phase begins with a classifier of random weights.

    ``bank_view``: the images that the labeler labels, and that fill the memory before the first step: with the test
    transform, or ``augmented`` as in training.

    With ``train_bridge`` the recipe's bridge (the teacher bridge where it has one, else the input bridge) is not
    trained beforehand; it starts untrained and learns by its objective in the steps of this phase. The network's terms
    also train an input bridge. They never train a teacher bridge, because the teacher's answers carry no gradient.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("train_bridge", "new_classifier", "bank_view")

    name: str = "adapt"
    aligners: dict[str, AlignerConfig] = Field(default_factory=dict)
    labeler: LabelerConfig | None = None
    train: Scope = "backbone+bottleneck"
    length: float = Field(default=1.0, gt=0)
    train_bridge: bool = False
    new_classifier: bool = False
    bank_view: Literal["test", "augmented"] = "test"

    def epochs(self, main: int) -> int:
        """Return how many epochs the phase has where the main phase has ``main``."""
        return max(1, round(main * self.length))

    @field_validator("labeler", mode="before")
    @classmethod
    def _none_by_name(cls, value: Any) -> Any:
        return None if value == "none" else value


class Recipe(StrictModel):
    """A recipe is a method as data. Without phases the source model predicts through the input bridge as it is.

    The keys of a phase may be written at the top level when there is only one::

        Recipe(teacher_bridge="unet", aligners={"distill": 1.0}, labeler="centroid")

    ``options`` go to a ``Method`` with a loop of its own; a recipe that is data alone has none.

    A recipe that is declared has a ``summary`` and holds plain values, so that it is the same when it is read back from
    JSON. Weights of an ``objective`` belong to terms of the bridge. Each phase gives a finite loss and a gradient.
    """

    summary: str = ""
    paper: str = ""
    input_bridge: BridgeConfig = BridgeConfig(name="copy")
    teacher_bridge: BridgeConfig | None = None
    phases: tuple[Phase, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _single_phase(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        inline = {k: v for k, v in value.items() if k in Phase.model_fields}
        if not inline:
            return value
        if value.get("phases"):
            raise ValueError(f"give {', '.join(sorted(inline))} inside the phases, not beside them")
        outer = {k: v for k, v in value.items() if k not in inline and k != "phases"}
        return {**outer, "phases": (inline,)}

    @model_validator(mode="after")
    def _distinct_phases(self) -> Recipe:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError(f"phase names must differ, got {names}")
        return self

    def bridges(self) -> dict[str, BridgeConfig]:
        """Return the configs of the bridges in use, by role."""
        roles = {"input": self.input_bridge}
        return roles | ({"teacher": self.teacher_bridge} if self.teacher_bridge else {})

    @property
    def joint_bridge(self) -> str | None:
        """The role of the bridge that phases train beside the network; None where bridges are trained beforehand."""
        if not any(phase.train_bridge for phase in self.phases):
            return None
        return "teacher" if self.teacher_bridge else "input"
