"""The contracts: one short class each. Import them from here; torch is loaded only with ``Bridge``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfda_kit.interfaces.aligner import Aligner
from sfda_kit.interfaces.dataset import Dataset, Index, Split
from sfda_kit.interfaces.encoding import Encoding
from sfda_kit.interfaces.executor import Executor, Job, Outcome
from sfda_kit.interfaces.method import AdaptationContext, EpochState, Method
from sfda_kit.interfaces.pseudo_labeler import PseudoLabeler, PseudoLabels
from sfda_kit.interfaces.recipe import Phase, Recipe
from sfda_kit.interfaces.tracker import Tracker
from sfda_kit.interfaces.validator import Validator

if TYPE_CHECKING:
    from sfda_kit.interfaces.bridge import Bridge, BridgeObjective

__all__ = [
    "AdaptationContext",
    "Aligner",
    "Bridge",
    "BridgeObjective",
    "Dataset",
    "Encoding",
    "EpochState",
    "Executor",
    "Index",
    "Job",
    "Method",
    "Outcome",
    "Phase",
    "PseudoLabeler",
    "PseudoLabels",
    "Recipe",
    "Split",
    "Tracker",
    "Validator",
]


def __getattr__(name: str) -> Any:
    if name in ("Bridge", "BridgeObjective"):
        from sfda_kit.interfaces import bridge

        return getattr(bridge, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
