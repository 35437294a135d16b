"""The boundary between the core and parts: a part that fails or returns something else is named with its owner."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from sfda_kit.errors import PartError, SfdaKitError, brief
from sfda_kit.plugins.component import Component

T = TypeVar("T")

STRICT = "SFDA_KIT_STRICT_PLUGINS"
"""The variable that, set to 1, turns every problem of a plugin into an error, and checks every step."""
LONGEST = 300
"""The most characters of a part's own message that an error repeats."""
_MARK = "_sfda_kit_component"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def is_strict() -> bool:
    """Return whether ``SFDA_KIT_STRICT_PLUGINS=1`` is set."""
    return os.environ.get(STRICT) == "1"


def mark(part: Any, component: Component) -> None:
    """Let a built part remember its declaration, so that an error can name it."""
    with suppress(AttributeError, TypeError):  # a class with __slots__ stays without
        object.__setattr__(part, _MARK, component)


def component_of(part: Any) -> Component | None:
    """Return the declaration of a built part; None where it was not built from one."""
    return part if isinstance(part, Component) else getattr(part, _MARK, None)


def call(part: Any, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call a function of ``part`` (a built part, or its declaration). What it raises becomes a ``PartError``.

    Expected errors pass, as do a lack of memory or disk space, and what a part that was not built by its declaration
    raises. Under ``SFDA_KIT_STRICT_PLUGINS=1`` everything passes, so that an author sees the traceback.
    """
    try:
        return function(*arguments, **named)
    except Exception as error:
        component = component_of(part)
        if component is None or _passes(error):
            raise
        why = explained(error, component.target)
        raise PartError(
            f"The {component} failed: {why}. {_remedy(component)} {STRICT}=1 shows the traceback."
        ) from error


def _passes(error: Exception) -> bool:
    no_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    no_space = isinstance(error, OSError) and error.errno in _FULL
    return isinstance(error, SfdaKitError) or no_memory or no_space or is_strict()


def explained(error: BaseException, module: str) -> str:
    """Return an exception as one line, with the last place in the package of ``module`` that it came through."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return brief(text, LONGEST, quoted=False) + _place(error, module.partition(":")[0].partition(".")[0])


def _place(error: BaseException, package: str) -> str:
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] == package:
            place = f" ({module}, line {line})"  # no path, because records repeat it
    return place


def refuse(part: Any, came: str, expected: str) -> NoReturn:
    """Raise ``PartError``: ``part`` returned ``came`` where its contract has ``expected``."""
    component = component_of(part)
    name = str(component or f"part {type(part).__name__!r}")
    raise PartError(
        f"The {name} returned {brief(came, LONGEST, quoted=False)}; expected {expected}. {_remedy(component)}"
    )


def _remedy(component: Component | None) -> str:
    authors = f"the authors of {component.owner}" if component and component.owner else "its authors"
    return f"Choose another part, or report this to {authors}."
