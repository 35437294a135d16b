"""The registry of named parts, which plugins declare as text and which are imported on first use."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from sfda_kit.errors import UserError, did_you_mean

KINDS = (
    "bridge",
    "aligner",
    "labeler",
    "method",
    "dataset",
    "modality",
    "encoding",
    "validator",
    "executor",
    "tracker",
)

_PARTS = {
    "sfda-kit-shot": "shot-im shot shot-plus-plus relative-rotation mixmatch entropy-split",
    "sfda-kit-socket": "socket socket-official bn-stats one-round-centroid",
    "sfda-kit-tgkt": "tgkt tgkt-joint tgmb tgmb-paper affine fcbnconv unet vqgan distill",
    "sfda-kit-tta": "adabn tent t3a",
    "sfda-kit-neighbors": "nrc aad cowa-jmds reciprocal-neighbors diversity attraction dispersion weighted-mixup jmds",
    "sfda-kit-plue": "plue guided-labels",
    "sfda-kit-alignment": "ti-predictions ti-mmd ti-coral ti-adversarial",
    "sfda-kit-bridged": "bridged recommended",
    "sfda-kit-ray": "ray",
    "sfda-kit-slurm": "slurm",
}
SHIPPED = {part: package for package, parts in _PARTS.items() for part in parts.split()}
"""The parts of our own plugin packages, so that an error can say which package to install."""


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

    ``paper``: link or citation; ``alias``: a second name for users; ``settings``: what a method sets in the
    configuration unless the user sets it (``{"adapt": {"epochs": 20}}``); ``requires``: modules beyond the requirements
    of the plugin; ``extra``: the extra of the owner that installs them. The core fills in ``kind`` and ``owner``.

    ``presets``: ``package:folder`` with one YAML file for each named preset of a method (``config/presets.py``);
    ``deviations``: where the part differs from its paper or from its authors' code.
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
    kind: str = ""
    owner: str = ""

    def load(self) -> Any:
        """Import the declared class or recipe. Raises ``UserError`` where it cannot be imported."""
        for module in self.requires:
            try:
                import_module(module)
            except ImportError as error:
                remedy = f"Install it with: pip install '{self.owner}[{self.extra}]'" if self.extra else "Install it"
                raise UserError(
                    f"{self.kind} {self.name!r} of {self.owner} needs the package {module!r}: "
                    f"{error}. {remedy} and try again."
                ) from error
        module_name, _, attribute = self.target.partition(":")
        try:
            return getattr(import_module(module_name), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"{self.kind} {self.name!r} of {self.owner} declares {self.target!r}, which cannot be "
                f"imported: {error}. Report this to the authors of {self.owner}."
            ) from error


@dataclass
class Registry:
    """A registry holds all declared parts by kind and name. A name that two parts claim belongs to neither."""

    components: dict[tuple[str, str], Component] = field(default_factory=dict)
    conflicts: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    claims: dict[tuple[str, str], Component] = field(default_factory=dict)

    def add(self, kind: str, component: Component, owner: str) -> None:
        """Register ``component`` of ``owner`` and its alias. A conflict is remembered, and neither part wins."""
        component = replace(component, kind=kind, owner=owner)
        for name in filter(None, (component.name, component.alias)):
            self._claim((kind, name), component)
        self.components.setdefault((kind, component.name), component)

    def _claim(self, key: tuple[str, str], component: Component) -> None:
        first = self.claims.setdefault(key, component)
        if first is not component:
            self.conflicts[key] = (*self.conflicts.get(key, (first.owner,)), component.owner)

    def canonical(self, kind: str, name: str) -> str:
        """Return the name for which ``name`` is an alias. Any other name is returned unchanged."""
        claimed = self.claims.get((kind, name))
        return claimed.name if claimed and (kind, name) not in self.conflicts else name

    def names(self, kind: str) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted(name for k, name in self.components if k == kind)

    def of_kind(self, kind: str) -> list[Component]:
        """Return the components of one kind, sorted by name."""
        return [self.components[kind, name] for name in self.names(kind)]

    def get(self, kind: str, name: str) -> Component:
        """Return the component called ``name``. Raises ``UserError`` with conflicting owners or the nearest names."""
        if owners := self.conflicts.get((kind, name)):
            named = " and ".join(owners)
            raise UserError(f"The {kind} {name!r} is claimed by {named}. Uninstall one of them (pip uninstall ...).")
        found = self.components.get((kind, self.canonical(kind, name)))
        if found is None:
            raise UserError(self._unknown(kind, name))
        return found

    def _unknown(self, kind: str, name: str) -> str:
        if package := SHIPPED.get(name):
            return (
                f"The {kind} {name!r} is part of {package}, which is not installed. "
                f"Install it with: pip install {package} (from a checkout: pip install ./plugins/{package})"
            )
        hint = did_you_mean(name, self.names(kind))
        return f"Unknown {kind} {name!r}. {hint} `sfda-kit plugins list` shows what is installed."


def build(component: Component, options: Mapping[str, Any] | None = None, **given: Any) -> Any:
    """Instantiate the class of a component with ``given`` (from the core) and ``options`` (from the user).

    Raises ``UserError`` naming the options that the class accepts where one is unknown.
    """
    part = component.load()
    options = dict(options or {})
    parameters = inspect.signature(part).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    accepted = [n for n in parameters if n not in given]
    for option in options:
        if not open_ended and option not in accepted:
            raise UserError(
                f"The {component.kind} {component.name!r} has no option {option!r}. {did_you_mean(option, accepted)}"
            )
    return part(**given, **options)
