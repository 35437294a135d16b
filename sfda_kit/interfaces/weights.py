"""The contract of a named set of backbone weights: where its tensors lie, and how its network sees images."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Triple = tuple[float, float, float]


def same_name(name: str) -> str:
    """Return ``name``: the tensors of the file are called as timm calls them."""
    return name


@dataclass(frozen=True)
class BackboneWeights:
    """A named set of weights for one backbone of timm, which a package brings, so that no network is needed.

    ``architecture``: the name of the backbone in timm. ``file``: a function that returns the path of the tensors, which
    are safetensors or a state dict that torch reads without running code. ``sha256``: 64 hex digits, the SHA-256 of
    that file; another file is refused. ``mean`` and ``std``: the input normalisation of the training, (3,), for values
    in [0, 1]. ``licence``: that of the weights, as an SPDX name where there is one. ``source``: who trained them, on
    which data, or a link that says so.

    ``rename`` returns timm's name for the name of a tensor in the file, and None for one that is left out on purpose.
    The classifier of the weights may keep its name in timm: it is left out in any case, and the user is told.

    Example::

        RETINA = BackboneWeights(
            "resnet18", lambda: Path(__file__).with_name("retina.safetensors"), "9f86d081...",
            mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), licence="CC-BY-4.0", source="trained on our own fundus images",
        )
    """

    architecture: str
    file: Callable[[], Path] = field(repr=False)
    sha256: str
    mean: Triple
    std: Triple
    licence: str
    source: str
    rename: Callable[[str], str | None] = field(default=same_name, repr=False)

    def __post_init__(self) -> None:
        """Raise ``ValueError`` where the values cannot be those of a set of weights."""
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 is {self.sha256!r}; expected the 64 hex digits of the file's SHA-256")
        if len(self.mean) != 3 or not all(0 <= value <= 1 for value in self.mean):
            raise ValueError(f"mean is {self.mean}; expected three numbers for values in [0, 1]")
        if len(self.std) != 3 or not all(0 < value <= 1 for value in self.std):
            raise ValueError(f"std is {self.std}; expected three numbers above 0 for values in [0, 1]")
        if not (self.architecture and self.licence and self.source):
            raise ValueError("a set of weights names its architecture, its licence and its source")
