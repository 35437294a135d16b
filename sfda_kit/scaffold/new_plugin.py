"""What a new plugin will be: its names, checked before anything is written, and the commands that use it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

import sfda_kit
from sfda_kit.config.method_files import FileMethod, is_method_file, read_method
from sfda_kit.config.method_text import written_recipe
from sfda_kit.errors import UserError, brief
from sfda_kit.plugins.core_requirement import CORE
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.shipped import SHIPPED
from sfda_kit.scaffold.kinds import IN_RECIPE, NEED_PHASE, PART_KINDS

LONGEST = 30
"""The largest number of characters of a name, so that no line of the written code has to be wrapped."""
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PART = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MEANS_ELSE = ("none", "last", "all")
"""Words that options take instead of the name of a part."""


@dataclass(frozen=True)
class NewPart:
    """A part to write. ``module``: its module and that of its test; ``attribute``: its class, recipe or modality.

    ``given``: what a file says of a method, which becomes its recipe in place of the example.
    """

    kind: str
    name: str
    given: FileMethod | None = field(default=None, compare=False)

    @property
    def summary(self) -> str:
        """One line that says what the part is."""
        return self.given.summary if self.given else PART_KINDS[self.kind].summary

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe of the file, as plain values."""
        assert self.given is not None, "only a method that a file describes has a recipe already"
        return {"summary": self.summary, **written_recipe(self.given.recipe)}

    @property
    def module(self) -> str:
        """The module, which names the kind because two kinds may have parts of one name."""
        return f"{self.name.replace('-', '_')}_{self.kind}"

    @property
    def class_name(self) -> str:
        """The name in capitals and small letters, such as ``MarginAligner``."""
        return "".join(word.capitalize() for word in self.module.split("_"))

    @property
    def attribute(self) -> str:
        """What the declaration points to: a class, or a constant where the part is data."""
        return self.kind.upper() if self.kind in ("method", "modality", "weights") else self.class_name


@dataclass(frozen=True)
class NewPlugin:
    """A plugin to write: ``name`` of its distribution, and its parts. ``author``: for the licence."""

    name: str
    parts: tuple[NewPart, ...]
    author: str

    @property
    def entry_point(self) -> str:
        """The name as package indexes write it."""
        return canonicalize_name(self.name)

    @property
    def package(self) -> str:
        """The package that is imported."""
        return self.entry_point.replace("-", "_")

    def of_kind(self, kind: str) -> list[NewPart]:
        """Return the parts of one kind."""
        return [part for part in self.parts if part.kind == kind]

    def uses(self) -> Iterator[str]:
        """Yield the commands that use the first part of each kind: one run with all that it can take, then the rest."""
        first = {kind: parts[0].name for kind in PART_KINDS if (parts := self.of_kind(kind))}
        named = IN_RECIPE if "method" in first else ()
        flags = [PART_KINDS[kind].flag.format(name) for kind, name in first.items() if kind not in named]
        if any(flags):
            method = [] if "method" in first else ["--method", "shot" if set(first) & NEED_PHASE else "source-only"]
            yield " ".join(["sfda-kit run", *method, *filter(None, flags)])
        yield from (PART_KINDS[kind].command.format(name) for kind, name in first.items() if PART_KINDS[kind].command)


def new_plugin(name: str, parts: Mapping[str, Sequence[str]], author: str | None = None) -> NewPlugin:
    """Return the plugin ``name`` with parts by kind; a method may be the file of one.

    Raises ``UserError`` where a name cannot be had, and where a file is not valid.
    """
    plugin = NewPlugin(
        name,
        tuple(_new_part(kind, part) for kind, names in parts.items() for part in names),
        f"the authors of {name}" if author is None else author,
    )
    _check_distribution(plugin)
    if not (plugin.author.strip() and plugin.author.isprintable()):
        raise UserError(f"The author {brief(plugin.author)} cannot be written; expected one line of text.")
    if not plugin.parts:
        told = f"such as --aligner margin --method margin. The kinds are {', '.join(PART_KINDS)}."
        raise UserError(f"Say which parts {name} has, {told}")
    for number, part in enumerate(plugin.parts):
        _check_part(part)
        if part in plugin.parts[:number]:
            raise UserError(f"The {part.kind} {part.name!r} is given twice; give each {part.kind} a name of its own.")
    return plugin


def _new_part(kind: str, name: str) -> NewPart:
    if kind != "method" or not is_method_file(name):
        return NewPart(kind, name)
    given = read_method(Path(name))
    return NewPart(kind, given.declared_name, given)


def _check_distribution(plugin: NewPlugin) -> None:
    name, package = plugin.name, plugin.package
    if not _DISTRIBUTION.fullmatch(name) or len(name) > LONGEST:
        raise UserError(
            f"{brief(name)} cannot be the name of a distribution: expected at most {LONGEST} letters, digits, dots, "
            "_ and -, with a letter or a digit at both ends, such as my-sfda."
        )
    if not package.isidentifier() or keyword.iskeyword(package):
        raise UserError(f"Python cannot import a package called {package!r}; choose a name such as my-{name}.")
    if canonicalize_name(name) in (CORE, *SHIPPED.values()):
        raise UserError(f"{name} is a package of sfda-kit itself; choose another name.")
    if (found := find_spec(package)) and found.origin:
        raise UserError(f"Python finds another package {package!r} here ({found.origin}); choose another name.")


def _check_part(part: NewPart) -> None:
    kind, name = part.kind, part.name
    if not _PART.fullmatch(name) or len(name) > LONGEST:
        raise UserError(
            f"The {kind} cannot be called {brief(name)}: expected at most {LONGEST} small letters and digits, "
            "a letter first, words joined by -, such as my-part."
        )
    if name in _MEANS_ELSE:
        raise UserError(f"No part can be called {name!r}, because options give this word a meaning of its own.")
    if owner := _shipped_owner(kind, name):
        raise UserError(f"The {kind} {name!r} is a part of {owner}, which always keeps the name; choose another one.")
    if part.class_name in dir(sfda_kit):
        raise UserError(f"The {kind} {name!r} would be a class {part.class_name}, which sfda-kit has; choose another.")


def _shipped_owner(kind: str, name: str) -> str | None:
    found = registry().components.get((kind, registry().canonical(kind, name)))
    return found.owner if found and found.owner == CORE else SHIPPED.get((kind, name))
