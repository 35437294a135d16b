"""A recorded recipe as readable lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfda_kit.leaderboard.site.wording import plain


def recipe_lines(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parts and phases of ``recipe`` by name; a value that is not in a recipe's form is shown as it is."""
    lines = [(str(key).replace("_", " "), _part(value)) for key, value in recipe.items() if key != "phases"]
    phases = recipe.get("phases")
    for number, phase in enumerate(phases if isinstance(phases, list) else [], start=1):
        lines += _phase(number, phase) if isinstance(phase, Mapping) else [(f"phase {number}", plain(phase))]
    return lines


def _phase(number: int, phase: Mapping[str, Any]) -> list[tuple[str, str]]:
    aligners = phase.get("aligners")
    terms = aligners if isinstance(aligners, Mapping) else {}
    shown = {
        "aligners": ", ".join(f"{name} {_part(term)}" for name, term in terms.items()),
        "labeler": _part(phase.get("labeler")),
        **{key: _part(value) for key, value in phase.items() if key not in ("name", "aligners", "labeler")},
    }
    prefix = f"phase {number}, {plain(phase.get('name'))}"
    return [(f"{prefix}: {key}", value) for key, value in shown.items() if value]


def _part(value: Any) -> str:
    """Return text such as ``unet``, ``centroid, weight 0.3`` or ``weight 1``."""
    if not isinstance(value, Mapping):
        return "" if value is None else plain(value)
    name = [str(value["name"])] if value.get("name") else []
    others = [f"{key} {plain(entry)}" for key, entry in value.items() if key != "name" and entry not in (None, {}, [])]
    return ", ".join([*name, *others])
