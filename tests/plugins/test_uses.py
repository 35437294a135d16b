"""What parts declare to use: every shipped one says it, and a wrong declaration is refused."""

from __future__ import annotations

from typing import Any

import pytest

from sfda_kit.config.tracks import uses_of
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.declarations import declared_parts
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.hookspecs import hookimpl
from sfda_kit.plugins.plugin import DeclarationError
from sfda_kit.plugins.shipped import SHIPPED

OWN = {*SHIPPED.values(), "sfda-kit"}


def declaring(**fields: Any) -> Any:
    class Module:
        @staticmethod
        @hookimpl
        def sfda_kit_register_aligner() -> list[Component]:
            return [Component("term", "a:b", "a term", **fields)]

    return Module


def test_every_shipped_part_says_what_it_uses() -> None:
    kinds = ("bridge", "aligner", "labeler", "method", "encoding", "validator")
    parts = [part for part in registry().components.values() if part.owner in OWN and part.kind in kinds]
    assert len(parts) > 30
    assert [str(part) for part in parts if uses_of(part, {}) is None] == []


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"uses": ("pair",)}, "uses 'pair'. Did you mean 'pairs'"),
        ({"uses": "pairs"}, "uses is a text; expected a tuple"),
        ({"uses": ("target-labels",)}, "uses 'target-labels'"),
        ({"tuned_on": "rooms"}, "tuned_on is a text; expected a tuple"),
    ],
)
def test_a_wrong_declaration_is_refused(fields: dict[str, Any], error: str) -> None:
    with pytest.raises(DeclarationError, match=error):
        declared_parts(declaring(**fields), "stranger", "1")


def test_a_use_may_depend_on_a_setting() -> None:
    (part,) = declared_parts(declaring(uses=("pairs if model.bottleneck=0", "prior")), "stranger", "1")
    assert uses_of(part, {"model": {"bottleneck": 0}}) == ("pairs", "prior")
    assert uses_of(part, {"model": {"bottleneck": 256}}) == uses_of(part, {}) == ("prior",)
