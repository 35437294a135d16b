"""What the door promises, as text: each public name with its signature, fields, methods and properties.

``public_names.txt`` is the promise as it is committed. Renew it after a change that is meant::

    python tests/door/public_names.py
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ForwardRef

from pydantic import BaseModel

import sfda_kit

COMMITTED = Path(__file__).with_suffix(".txt")


class Source(str):
    """An annotation as it stands in the source, which a signature shows without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def in_source(annotation: Any) -> Any:
    text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation
    return Source(text) if isinstance(text, str) else text


def everywhere(default: Any) -> Any:
    """A default that is shown alike on every system and in every process."""
    if inspect.isfunction(default):
        return Source(default.__name__)
    return Source(repr(str(default))) if isinstance(default, Path) else default


def signature(function: Any) -> str:
    found = inspect.signature(function)
    parameters = [
        p.replace(annotation=in_source(p.annotation), default=everywhere(p.default)) for p in found.parameters.values()
    ]
    return str(found.replace(parameters=parameters, return_annotation=in_source(found.return_annotation)))


def described(name: str, value: Any) -> Iterator[str]:
    """One line for a function, and for a class one more for each of its members that is not private."""
    if inspect.isfunction(value):
        yield f"def {name}{signature(value)}"
    elif isinstance(value, type):
        bases = [base.__name__ for base in value.__bases__ if base is not object and not base.__name__.startswith("_")]
        yield f"class {name}({', '.join(bases)})"
        yield from sorted(f"    {line}" for line in members(value))
    else:
        yield f"{name}: {type(value).__name__}"


def members(kind: type) -> Iterator[str]:
    """What this package defines for a class; what torch and pydantic add is theirs."""
    seen: set[str] = set()
    for base in kind.__mro__:
        own = base.__module__.startswith("sfda_kit")
        for name, value in {**dict.fromkeys(inspect.get_annotations(base)), **vars(base)}.items() if own else ():
            if name in seen or (name.startswith("_") and name not in ("__init__", "__call__", "__new__")):
                continue
            seen.add(name)
            yield from member(kind, base, name, value)


def member(kind: type, base: type, name: str, value: Any) -> Iterator[str]:
    """A line for a method, a property, or a field unless ``__init__`` has told of it."""
    function = getattr(value, "__func__", value)
    told = is_dataclass(base) or issubclass(base, tuple)
    if inspect.isfunction(function):
        wrapper = f"{type(value).__name__} " if isinstance(value, (classmethod, staticmethod)) else ""
        abstract = "abstract " if name in getattr(kind, "__abstractmethods__", ()) else ""
        yield f"{abstract}{wrapper}def {name}{signature(function)}"
    elif isinstance(value, (property, cached_property)):
        getter = value.fget if isinstance(value, property) else value.func
        yield f"property {name}: {in_source(inspect.signature(getter).return_annotation)}"
    elif name in inspect.get_annotations(base) and not told:
        yield f"{name}: {in_source(inspect.get_annotations(base)[name])}{default(kind, name)}"


def default(kind: type, name: str) -> str:
    if issubclass(kind, BaseModel):
        field = kind.model_fields[name]
        value = ... if field.is_required() else field.get_default(call_default_factory=True)
    else:
        value = getattr(kind, name, ...)
    shown = f"{type(value).__name__}(...)" if isinstance(value, BaseModel) else repr(value)
    return "" if value is ... else f" = {shown}"


def promise() -> str:
    """The whole text, by name."""
    lines = (line for name in sorted(sfda_kit.__all__) for line in described(name, getattr(sfda_kit, name)))
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    COMMITTED.write_text(promise(), encoding="utf-8")
