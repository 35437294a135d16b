"""What a part may know beyond the source model and unlabelled target images, by name; the track of a row is made of it.

Nothing of the source model is among it: the running statistics of its BatchNorm layers lie in its weights, and the
weights with which it began are its own beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

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


_USE = re.compile(r"([a-z-]+)(?: if ([\w.-]+)=(\S+))?")


class Use(NamedTuple):
    """What a part declares to use: ``pairs``, or with a condition on a setting, ``pairs if model.bottleneck=0``."""

    name: str
    key: str = ""
    value: str = ""


def parse_use(text: str) -> Use:
    """Return the parts of one entry of ``Component.uses``; an entry of another form has its text as the name."""
    found = _USE.fullmatch(text)
    return Use(found[1], found[2] or "", found[3] or "") if found else Use(text)


def in_order(found: Iterable[str]) -> tuple[str, ...]:
    """Return the known names among ``found``, each once, in the order of ``EXPLAINED``."""
    names = set(found)
    return tuple(name for name in EXPLAINED if name in names)
