"""Messages for validation errors of pydantic, with one line per problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sfda_kit.errors import brief, did_you_mean

MOST_LISTED = 20
"""The largest number of problems that one message lists."""


def explain(error: ValidationError, what: str, model: type[BaseModel] | None = None) -> str:
    """Return one line per problem, with the path of the key and what was expected. ``model`` gives the known keys."""
    return listed(what, [(dotted(place) or what, reason) for place, reason in reasons(error, model)])


def reasons(error: ValidationError, model: type[BaseModel] | None = None) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the place of each wrong value and what was expected. ``model`` gives the known keys."""
    for problem in error.errors():
        reason = problem["msg"].removeprefix("Value error, ")
        if not isinstance(given := problem.get("input"), Mapping):  # a whole section would only lengthen the message
            reason += f" (got {brief(repr(given), quoted=False)})"
        if model and problem["type"] == "extra_forbidden":
            reason = f"there is no such key. {_nearest_key(model, [str(part) for part in problem['loc']])}"
        yield problem["loc"], reason


def dotted(place: Sequence[Any]) -> str:
    """Return a place as one name: ``("adapt", "lr")`` becomes ``adapt.lr``."""
    return brief(".".join(str(part) for part in place), 200, quoted=False)


def listed(what: str, problems: Sequence[tuple[str, str]]) -> str:
    """Return the message for ``problems`` of ``what``: where each one is, and what it is."""
    lines = [f"  {where}: {reason}" for where, reason in problems[:MOST_LISTED]]
    if further := problems[MOST_LISTED:]:
        lines.append(f"  and {len(further)} further problems")
    return f"The {what} is not valid:\n" + "\n".join(lines)


def _nearest_key(model: type[BaseModel], path: Sequence[str]) -> str:
    """Return a sentence that names the keys of the section closest to the last of ``path``."""
    section = model
    for part in path[:-1]:
        if field := section.model_fields.get(part):  # else it is a position, or a name that a user chose
            section = next(_models(field.annotation), section)
    return did_you_mean(path[-1], section.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
