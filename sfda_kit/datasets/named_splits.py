"""Named splits: YAML files that say which classes are relevant. Users can add their own.

A file holds a mapping ``splits``: name -> ``about``, ``tr``, ``ti``, and where needed ``ti_domains`` and ``merge``. The
first split of a data set is its default.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from sfda_kit.config.yaml import parse_yaml
from sfda_kit.errors import UserError
from sfda_kit.files import read_text
from sfda_kit.interfaces.dataset import Split
from sfda_kit.interfaces.strict_model import StrictModel


class Largest(StrictModel):
    """This rule takes the ``largest`` classes on the disk by number of samples, and breaks ties by name."""

    largest: int = Field(ge=2)


class Drawn(StrictModel):
    """This rule draws ``random`` of the classes on the disk: the first by SHA-256 of "SEED CLASS"."""

    random: int = Field(ge=2)
    seed: int = 0


class NamedSplit(StrictModel):
    """One entry of a file. ``merge``: class on the disk -> class it counts as; ``ti: rest``: all other classes.

    ``tr: shared`` takes all classes (a loader may narrow them to those that source and target share).
    """

    about: str = ""
    tr: tuple[str, ...] | Largest | Drawn | Literal["shared"]
    ti: tuple[str, ...] | Literal["rest"] = ()
    ti_domains: Literal["target", "all"] = "target"
    merge: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> NamedSplit:
        named = [*(self.tr if isinstance(self.tr, tuple) else ()), *(self.ti if isinstance(self.ti, tuple) else ())]
        if twice := sorted(name for name, count in Counter(named).items() if count > 1):
            raise ValueError(f"named twice in tr and ti: {', '.join(twice)}")
        if merged := sorted(set(named) & set(self.merge)):
            raise ValueError(f"merged into other classes, so no class of its own: {', '.join(merged)}")
        return self

    def resolve(self, classes: Sequence[str], counts: Mapping[str, int]) -> Split:
        """Return the split over the ``classes`` on the disk; ``counts`` gives the number of samples of each."""
        relevant = self._relevant(classes, counts)
        irrelevant = tuple(name for name in classes if name not in relevant) if self.ti == "rest" else self.ti
        return Split(relevant, irrelevant, self.ti_domains)

    def _relevant(self, classes: Sequence[str], counts: Mapping[str, int]) -> tuple[str, ...]:
        if isinstance(self.tr, Largest):
            return tuple(sorted(sorted(classes, key=lambda name: (-counts[name], name))[: self.tr.largest]))
        if isinstance(self.tr, Drawn):
            seed = self.tr.seed
            drawn = sorted(classes, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest())
            return tuple(sorted(drawn[: self.tr.random]))
        return tuple(classes) if self.tr == "shared" else self.tr


class _File(StrictModel):
    splits: dict[str, NamedSplit] = Field(min_length=1)


def shipped_splits(dataset: str) -> dict[str, NamedSplit]:
    """Return the splits that come with the kit, from ``sfda_kit/datasets/splits/<dataset>.yaml``."""
    text = (resources.files("sfda_kit.datasets") / "splits" / f"{dataset}.yaml").read_text(encoding="utf-8")
    return _File.model_validate(parse_yaml(text)).splits


def all_splits(dataset: str, own: Path | None) -> dict[str, NamedSplit]:
    """Return shipped splits, then those of the user's file ``own``. Raises ``UserError`` when it cannot be used."""
    splits = shipped_splits(dataset)
    added = read_splits(own) if own else {}
    if taken := sorted(set(splits) & set(added)):
        raise UserError(f"{own}: {', '.join(taken)} of {dataset} exist already. Give yours other names.")
    return {**splits, **added}


def read_splits(path: Path) -> dict[str, NamedSplit]:
    """Return the splits of a user's file. Raises ``UserError`` that names the file, the key and what was expected."""
    path = path.expanduser().absolute()
    try:
        return _File.model_validate(parse_yaml(read_text(path))).splits
    except OSError as error:
        raise UserError(f"dataset.options.splits {path} cannot be read ({error}). Check the path.") from None
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise UserError(
            f"{path} holds no splits that can be used:\n" + "\n".join(lines) + "\nExpected: "
            "splits: {my-split: {tr: [class, class], ti: [class]}} (ti may be: rest)."
        ) from None
    except ValueError as error:
        raise UserError(f"{path} cannot be used: {error}. Mend it.") from None
