"""Declarations of parts: text that is listed at no cost, and imported when the part is first used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from sfda_kit.errors import UserError

LONGEST_SUMMARY = 80
"""The most characters of a part's summary, so that it fits in a row of a table."""


@dataclass(frozen=True)
class Deviation:
    """A deviation is one point where a part differs from its paper or from its authors' code.

    ``of``: the equation, section or function; ``theirs`` and ``ours``: what each computes; ``why``: the reason;
    ``effect``: what it changes, with a figure where one was measured.
    """

    of: str
    theirs: str
    ours: str
    why: str
    effect: str


@dataclass(frozen=True)
class Component:
    """A component declares one part. ``target`` is ``package.module:Attribute``, imported on first use.

    ``name``: lower-case words and digits with ``-`` between them; ``summary``: one line of at most 80 characters. The
    module that declares parts imports no torch, because every command loads it.

    ``paper``: link or citation; ``alias``: a second name for users; ``settings``: what a method sets in the
    configuration unless the user sets it (``{"adapt": {"epochs": 20}}``); ``requires``: modules beyond the requirements
    of the plugin; ``extra``: the extra of the owner that installs them. The core fills in ``kind``, ``owner`` and
    ``version``, and where others declare the same name, it turns ``name`` into ``owner:name``.

    ``presets``: ``package:folder`` with one YAML file for each named preset of a method (``config/presets.py``);
    ``deviations``: where the part differs from its paper or from its authors' code; ``functions``: the functions of
    tensors behind the part, which the owner's package exports for other people's training loops, the loss last.

    ``uses``: what the part reads with any of its options beyond the source model and unlabelled target images, by the
    names of ``plugins/information.py``, and ``()`` for nothing: ``("pairs",)``, or ``("pairs if model.bottleneck=0",)``
    with the dotted key of a setting. It makes the track of a row on a leaderboard. Where an aligner, a bridge or a
    method with a loop of its own does not say it (None), the track is unknown. ``tuned_on``: data sets, or named splits
    or folds of them, with whose target labels the part or its defaults were chosen.

    ``caveats`` of a data set: what a reader must know beside its numbers, as short sentences, by the name of a split or
    of folds, and by ``""`` for all of its data.
    """

    name: str
    target: str
    summary: str
    paper: str = ""
    alias: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    requires: tuple[str, ...] = ()
    extra: str = ""
    presets: str = ""
    deviations: tuple[Deviation, ...] = ()
    functions: tuple[str, ...] = ()
    uses: tuple[str, ...] | None = None
    tuned_on: tuple[str, ...] = ()
    caveats: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    kind: str = ""
    owner: str = ""
    version: str = ""

    def __str__(self) -> str:
        owner = f"{self.owner} {self.version}".strip()
        return f"{self.kind} {self.name!r}" + (f" of {owner}" if owner else "")

    @property
    def declared_name(self) -> str:
        """The name that the owner gave, without ``owner:``."""
        return self.name.rpartition(":")[2]

    @property
    def package(self) -> str:
        """The top package of the target, which exports ``functions``."""
        return self.target.partition(".")[0].partition(":")[0]

    def load(self) -> Any:
        """Import the declared class or recipe. Raises ``UserError`` where it cannot be imported."""
        for module in self.requires:
            try:
                _imported(module)
            except ImportError as error:
                remedy = f"Install it with: pip install '{self.owner}[{self.extra}]'" if self.extra else "Install it"
                raise UserError(f"The {self} needs the package {module!r}: {error}. {remedy} and try again.") from error
        module_name, _, attribute = self.target.partition(":")
        try:
            return getattr(_imported(module_name), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"The {self} declares {self.target!r}, which cannot be imported: {error}. "
                f"Report this to the authors of {self.owner}."
            ) from error


def _imported(module: str) -> Any:
    with redirect_stdout(sys.stderr):  # stdout belongs to results, which other programs may read
        return import_module(module)
