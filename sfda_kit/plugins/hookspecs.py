"""Every hook a plugin may implement: each returns declarations, none of them imports torch.

A plugin is any package with an entry point in the group ``sfda_kit``. Its module implements one or
more of these with ``@sfda_kit.hookimpl`` and returns a list of ``sfda_kit.Component``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfda_kit.plugins.registry import Component

hookspec = pluggy.HookspecMarker("sfda_kit")
hookimpl = pluggy.HookimplMarker("sfda_kit")

PREFIX = "sfda_kit_register_"


@hookspec
def sfda_kit_register_bridge() -> Sequence[Component]:  # type: ignore[empty-body]
    """Translators from target images to source-like ones (``sfda_kit.Bridge``)."""


@hookspec
def sfda_kit_register_aligner() -> Sequence[Component]:  # type: ignore[empty-body]
    """Loss terms of the adaptation (``sfda_kit.Aligner``)."""


@hookspec
def sfda_kit_register_labeler() -> Sequence[Component]:  # type: ignore[empty-body]
    """Pseudo-labelers over the feature bank (``sfda_kit.PseudoLabeler``)."""


@hookspec
def sfda_kit_register_method() -> Sequence[Component]:  # type: ignore[empty-body]
    """Recipes (``sfda_kit.Recipe``) and methods with a loop of their own (``sfda_kit.Method``)."""


@hookspec
def sfda_kit_register_dataset() -> Sequence[Component]:  # type: ignore[empty-body]
    """Data sets (``sfda_kit.Dataset``)."""


@hookspec
def sfda_kit_register_encoding() -> Sequence[Component]:  # type: ignore[empty-body]
    """Maps from sensor units to three channels (``sfda_kit.Encoding``)."""


@hookspec
def sfda_kit_register_validator() -> Sequence[Component]:  # type: ignore[empty-body]
    """Label-free scores of a model (``sfda_kit.Validator``)."""


@hookspec
def sfda_kit_register_executor() -> Sequence[Component]:  # type: ignore[empty-body]
    """Places where the cells of a benchmark run (``sfda_kit.Executor``)."""


@hookspec
def sfda_kit_register_tracker() -> Sequence[Component]:  # type: ignore[empty-body]
    """Where a run's figures are sent while it goes on (``sfda_kit.Tracker``)."""
