"""What a part may know beyond the source model and unlabelled target images, by name; the track of a row is made of it.

Nothing of the source model is among it: the running statistics of its BatchNorm layers lie in its weights, and the
weights with which it began are its own beginning.
"""

from __future__ import annotations

from collections.abc import Iterable

INFORMATION: dict[str, str] = {
    "pairs": "TI pairs",
    "statistics": "statistics of the source data beyond the weights of the source model",
    "prior": "how frequent the classes are in the target",
    "ti-labels": "names or labels of the TI classes",
    "views": "several encodings or views of an image at test time",
    "models": "pretrained models or source models beside the one source model",
}
"""What a part may declare in ``Component.uses``."""

TUNED = "tuned"
OF_THE_CORE: dict[str, str] = {
    TUNED: "settings that were chosen with labels of this data",
    "target-labels": "target labels",
    "other-halves": "the other halves of the target images",
}
"""What no part of a plugin declares: it follows from ``tuned_on``, or belongs to controls of the core."""

EXPLAINED = INFORMATION | OF_THE_CORE
"""All names with their meanings, in the order in which a track lists them."""


def in_order(found: Iterable[str]) -> tuple[str, ...]:
    """Return the known names among ``found``, each once, in the order of ``EXPLAINED``."""
    names = set(found)
    return tuple(name for name in EXPLAINED if name in names)
