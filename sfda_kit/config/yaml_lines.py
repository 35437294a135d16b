"""The line of a value in a YAML text, so that a message about a value can name it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import yaml

Place = Sequence[Any]
"""The keys and positions that lead to a value."""
LineOf = Callable[[Place], int | None]
"""A function from a place to its line, counted from 1; None where the line is not known."""


def lines_of(text: str) -> LineOf:
    """Return the function for ``text``, which ``parse_yaml`` has accepted.

    A place that the text does not spell out, such as a value that is missing, has the line of what stands around it.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)

    def line(place: Place) -> int | None:
        mark, node = None, root
        for step in place:
            found = _below(node, step)
            if found is None:
                break
            mark, node = found
        return None if mark is None else mark.line + 1

    return line


def _below(node: yaml.Node | None, step: Any) -> tuple[Any, yaml.Node] | None:
    """Return the mark and the value of an entry of a mapping or sequence; ``<<`` brings in the entries of another."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark, node.value[step]
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if key.value == str(step):
            return key.start_mark, value
    merged = (value for key, value in node.value if key.value == "<<")
    each = (one for value in merged for one in (value.value if isinstance(value, yaml.SequenceNode) else [value]))
    return next((found for one in each if (found := _below(one, step))), None)
