"""Building of parts from their declarations and the options of the user."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from sfda_kit.errors import PartError, UserError
from sfda_kit.plugins.boundary import call, explained, mark
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.option_names import refuse_unknown


def load_or_reason(component: Component) -> tuple[Any, str]:
    """Return the target of a component and "", or None and why it cannot be imported, whatever its module raises."""
    try:
        return component.load(), ""
    except UserError as error:
        return None, str(error)
    except (Exception, SystemExit) as error:
        return None, f"The {component} cannot be imported: {explained(error, component.target)}."


def build(component: Component, options: Mapping[str, Any] | None = None, **given: Any) -> Any:
    """Instantiate the class of a component with ``given`` (from the core) and ``options`` (from the user).

    Raises ``UserError`` naming the options that the class accepts where one is unknown, and ``PartError`` where the
    class fails.
    """
    part = component.load()
    options = dict(options or {})
    if not callable(part):
        raise PartError(f"The {component} is {component.target!r}, which is a {type(part).__name__}; expected a class.")
    parameters = inspect.signature(part).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        refuse_unknown(component, options, (name for name in parameters if name not in given))
    with redirect_stdout(sys.stderr):
        built = call(component, part, **given, **options)
    mark(built, component)
    return built
