"""Messages for validation errors of pydantic, with one line per problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sfda_kit.errors import brief, did_you_mean

MOST_LISTED = 20
"""The largest number of problems that one message lists."""


def explain(error: ValidationError, what: str, model: type[BaseModel] | None = None) -> str:
    """Return one line per problem, with the path of the key and what was expected. ``model`` gives the known keys."""
    lines = []
    problems = error.errors()
    for problem in problems[:MOST_LISTED]:
        where = brief(".".join(str(part) for part in problem["loc"]) or what, 200, quoted=False)
        reason = problem["msg"].removeprefix("Value error, ")
        if not isinstance(given := problem.get("input"), Mapping):  # a whole section would only lengthen the message
            reason += f" (got {brief(repr(given), quoted=False)})"
        if model and problem["type"] == "extra_forbidden":
            reason = f"there is no such key. {_nearest_key(model, [str(part) for part in problem['loc']])}"
        lines.append(f"  {where}: {reason}")
    if further := problems[MOST_LISTED:]:
        lines.append(f"  and {len(further)} further problems")
    return f"The {what} is not valid:\n" + "\n".join(lines)


def _nearest_key(model: type[BaseModel], path: Sequence[str]) -> str:
    """Return a sentence that names the keys of the section closest to the last of ``path``."""
    section: Any = model
    for part in path[:-1]:
        annotation = section.model_fields[part].annotation
        section = next(kind for kind in (*get_args(annotation), annotation) if hasattr(kind, "model_fields"))
    return did_you_mean(path[-1], section.model_fields)
