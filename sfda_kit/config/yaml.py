"""Reading of settings in YAML: whole files and the values of ``--set``. Text that is hostile ends with one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sfda_kit.config.merging import merge_settings
from sfda_kit.errors import UserError, brief
from sfda_kit.files import read_text

MAX_VALUES = 50_000
"""The largest number of values, with those that aliases repeat."""
MAX_DEPTH = 32
MAX_DIGITS = 40
_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fast):
    """Reads plain data, and refuses what YAML otherwise takes without a word: a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {brief(twice)} stands twice in one mapping", node.start_mark
            )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    if len(node.value) > MAX_DIGITS:
        raise yaml.constructor.ConstructorError(
            None, None, f"a number has more than {MAX_DIGITS} digits", node.start_mark
        )
    number: int = loader.construct_yaml_int(node)
    return number


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def parse_yaml(text: str, *, aliases: bool = True, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value of ``text``. Raises ``ValueError`` with one sentence that says what is wrong, and where.

    Refused are names of types, keys that stand twice, and what is too large (``MAX_VALUES``, ``max_depth``,
    ``MAX_DIGITS``); ``aliases`` False refuses anchors and aliases too.
    """
    try:
        _check_events(text, aliases, max_depth)
    except yaml.YAMLError as error:
        raise ValueError(_told(error)) from None
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(_told(error)) from None
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"it holds a value that cannot be read: {brief(str(error), quoted=False)}") from None


def _told(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"it is not valid YAML: {brief(reason, quoted=False)}{where}"


def _check_events(text: str, aliases: bool, max_depth: int) -> None:
    """Refuse what would unpack to a huge or deep value before anything is built. Sizes count what aliases repeat."""
    open_nodes: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    count = 0
    for event in yaml.parse(text, Loader=_Fast):
        anchor: str | None = getattr(event, "anchor", None)
        if anchor and not aliases:
            raise ValueError("it has anchors or aliases")
        if tag := getattr(event, "tag", None):
            raise ValueError(f"it names a type, {brief(tag)}; write plain values")
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            if anchor not in sizes:
                raise ValueError(f"the alias {brief(anchor)} names nothing that ended before it")
            before, count = count, count + sizes[anchor]
            anchor = None
        elif isinstance(event, yaml.NodeEvent):
            before, count = count, count + 1
        else:
            continue
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((anchor, before))
        elif anchor:
            sizes[anchor] = count - before
        if count > MAX_VALUES:
            raise ValueError(f"it holds more than {MAX_VALUES} values")
        if len(open_nodes) > max_depth:
            raise ValueError(f"it is nested too deeply: more than {max_depth} levels")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping from ``path``. Raises ``UserError`` if it is missing, broken, too large or not a mapping."""
    try:
        data = parse_yaml(read_text(path))
    except OSError as error:
        raise UserError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"{path} cannot be used: {error}.") from None
    if data is not None and not isinstance(data, dict):
        raise UserError(f"{path} must hold a mapping of keys to values, got {type(data).__name__}.")
    return data or {}


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn ``["adapt.lr=0.1"]`` into ``{"adapt": {"lr": 0.1}}``. Values are YAML. Raises ``UserError`` if invalid."""
    data: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            raise UserError(f"--set {brief(text)}: expected KEY=VALUE, for example --set adapt.lr=0.001")
        try:
            nested: Any = parse_yaml(value)
        except ValueError as error:
            raise UserError(f"--set {brief(text)}: the value cannot be used: {error}.") from None
        keys = path.strip().split(".")
        if len(keys) > MAX_DEPTH:
            raise UserError(f"--set {brief(text)}: the key has more than {MAX_DEPTH} parts.")
        for key in reversed(keys):
            nested = {key: nested}
        data = merge_settings(data, nested)
    return data
