"""The hooks that a plugin may implement. Each returns declarations and imports no torch.

A plugin is any package with an entry point in the group ``sfda_kit``. Its module implements one or more of these hooks
with ``@sfda_kit.hookimpl``; each returns a list of ``sfda_kit.Component``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfda_kit.plugins.component import Component

hookspec = pluggy.HookspecMarker("sfda_kit")
hookimpl = pluggy.HookimplMarker("sfda_kit")

PREFIX = "sfda_kit_register_"


@hookspec
def sfda_kit_register_bridge() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare bridges, which translate target images into source-like images (``sfda_kit.Bridge``)."""


@hookspec
def sfda_kit_register_aligner() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare aligners, the loss terms of the adaptation (``sfda_kit.Aligner``)."""


@hookspec
def sfda_kit_register_labeler() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare pseudo-labelers, which label the rows of the feature bank (``sfda_kit.PseudoLabeler``)."""


@hookspec
def sfda_kit_register_method() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare recipes (``sfda_kit.Recipe``) and methods with their own loop (``sfda_kit.Method``)."""


@hookspec
def sfda_kit_register_dataset() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare data sets (``sfda_kit.Dataset``)."""


@hookspec
def sfda_kit_register_modality() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare modalities, what sensors measure and how files hold it (``sfda_kit.Modality``)."""


@hookspec
def sfda_kit_register_encoding() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare encodings, which map sensor units to three channels (``sfda_kit.Encoding``)."""


@hookspec
def sfda_kit_register_validator() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare validators, which score a model without labels (``sfda_kit.Validator``)."""


@hookspec
def sfda_kit_register_executor() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare executors, which run the cells of a benchmark (``sfda_kit.Executor``)."""


@hookspec
def sfda_kit_register_tracker() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare trackers, which receive the figures of a run while it goes on (``sfda_kit.Tracker``)."""


@hookspec
def sfda_kit_register_weights() -> Sequence[Component]:  # type: ignore[empty-body]
    """Declare named sets of weights, with which a backbone begins (``sfda_kit.BackboneWeights``)."""


KINDS = tuple(name.removeprefix(PREFIX) for name in list(globals()) if name.startswith(PREFIX))
"""The kinds of parts, one for each hook, in the order in which they are listed. Another hook makes another kind."""
