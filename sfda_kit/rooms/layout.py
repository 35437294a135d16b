"""The scenes that exist: options, counts, labels and seeds. Nothing is rendered here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.dataset import PARTS
from sfda_kit.interfaces.strict_model import StrictModel
from sfda_kit.rooms.sensors import HEIGHT, SENSORS, WIDTH
from sfda_kit.rooms.shapes import CLASSES, TI_SHAPES, TR_SHAPES

GENERATOR_VERSION = "1.0"
"""The version of the generator. Raise it, and note it in the change log, when a pixel or a label changes."""

DOMAINS = tuple(SENSORS)
COUNTS = {"source": 2400, "target-train": 900, "target-test": 600, "ti": 600}
MODALITY_CODES = {"rgb": 1, "depth": 2, "nir": 3}


class View(NamedTuple):
    """A view is the scenes of one part in one modality of one sensor."""

    domain: str
    part: str
    modality: str


class RoomsOptions(StrictModel):
    """The options of a user. Any value other than the default makes another benchmark.

    ``imbalance``: ratio of the most to the least frequent class in both target parts (1 = balanced); ``clutter``: mean
    amount of other pieces and of occlusion, relative to the default; ``scenes``: factor on the scenes of every part.
    """

    imbalance: float = Field(default=1.0, ge=1.0, le=100.0)
    clutter: float = Field(default=1.0, ge=0.0, le=4.0)
    scenes: float = Field(default=1.0, gt=0.0, le=20.0)


def parse_options(options: dict[str, Any]) -> RoomsOptions:
    """Validate ``options``. Raises ``UserError`` naming the key that is wrong."""
    known = list(RoomsOptions.model_fields)
    for key in options:
        if key not in known:
            raise UserError(f"Dataset 'rooms' has no option {key!r}. {did_you_mean(key, known)}")
    try:
        return RoomsOptions(**options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(item) for item in first["loc"])
        raise UserError(f"Dataset 'rooms', option {where!r}: {first['msg']}.") from error


@dataclass(frozen=True)
class Layout:
    """A layout determines all scenes of a benchmark. ``seed`` fixes every random choice."""

    options: RoomsOptions
    seed: int

    def labels(self, domain: str, part: str) -> NDArray[np.int16]:
        """Return the class codes (N,) of the scenes of a part, in their order."""
        classes = tuple(TI_SHAPES if part == "ti" else TR_SHAPES)
        total = max(len(classes), round(COUNTS[part] * self.options.scenes))
        rng = np.random.default_rng([self.seed, DOMAINS.index(domain), PARTS.index(part)])
        counts = _counts(total, len(classes), self._imbalance(part))
        # The order of frequency depends only on the seed, so it is the same in all domains and target parts.
        order = np.random.default_rng([self.seed, len(classes)]).permutation(len(classes))
        codes = np.array([CLASSES.index(classes[k]) for k in order], dtype=np.int16)
        return rng.permutation(np.repeat(codes, counts))

    def scene_seed(self, domain: str, part: str, number: int) -> list[int]:
        """Return the seed of a scene. It depends on the place in the benchmark, not on the order of rendering."""
        return [self.seed, DOMAINS.index(domain), PARTS.index(part), number]

    def fingerprint(self) -> str:
        """Return the SHA-256 over everything that fixes labels and pixels."""
        facts = {
            "generator": GENERATOR_VERSION,
            "options": self.options.model_dump(),
            "seed": self.seed,
            "counts": COUNTS,
            "classes": CLASSES,
            "size": (WIDTH, HEIGHT),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _imbalance(self, part: str) -> float:
        return self.options.imbalance if part.startswith("target") else 1.0


def _counts(total: int, classes: int, imbalance: float) -> NDArray[np.int64]:
    """Return scenes per class, falling geometrically by ``imbalance`` in all; at least one, with the sum ``total``."""
    shares = imbalance ** -(np.arange(classes) / max(classes - 1, 1))
    exact = shares / shares.sum() * total
    counts: NDArray[np.int64] = np.maximum(np.floor(exact), 1).astype(np.int64)
    for k in np.argsort(counts - exact, kind="stable")[: max(total - int(counts.sum()), 0)]:
        counts[k] += 1
    return counts
