"""What plugin authors test against: conformance suites to inherit, small networks and signals to feed them.

A plugin's test is a subclass::

    from sfda_kit.testing import AlignerConformance

    class TestMyTerm(AlignerConformance):
        name = "my-term"

Fixtures (``sfda_network``, ``sfda_step_signals``, ``sfda_bridge_signals``, ``sfda_bank``, ``sfda_cache``)
come with the installed pytest plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfda_kit.testing.conformance_aligner import AlignerConformance
    from sfda_kit.testing.conformance_bridge import BridgeConformance
    from sfda_kit.testing.conformance_encoding import EncodingConformance
    from sfda_kit.testing.conformance_executor import ExecutorConformance
    from sfda_kit.testing.conformance_labeler import LabelerConformance
    from sfda_kit.testing.conformance_method import MethodConformance
    from sfda_kit.testing.conformance_recipe import RecipeConformance
    from sfda_kit.testing.conformance_tracker import TrackerConformance
    from sfda_kit.testing.conformance_validator import ValidatorConformance

__all__ = [
    "AlignerConformance",
    "BridgeConformance",
    "EncodingConformance",
    "ExecutorConformance",
    "LabelerConformance",
    "MethodConformance",
    "RecipeConformance",
    "TrackerConformance",
    "ValidatorConformance",
]


def __getattr__(name: str) -> Any:
    # Late, because the suites need torch and every pytest session imports this package.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    kind = name.removesuffix("Conformance").lower()
    return getattr(import_module(f"sfda_kit.testing.conformance_{kind}"), name)
