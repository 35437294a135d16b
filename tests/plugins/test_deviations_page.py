"""The page of deviations is what the shipped parts declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfda_kit.plugins.deviations import deviations_table
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.registry import Registry
from sfda_kit.plugins.shipped import SHIPPED

PAGE = Path(__file__).parents[2] / "docs" / "deviations.md"


@pytest.mark.needs_plugin(*sorted(set(SHIPPED.values())))
def test_the_page_is_the_declarations() -> None:
    shipped = [part for part in registry().components.values() if part.owner.startswith("sfda-kit")]
    table = deviations_table(Registry.of(shipped))
    remedy = "write the output of `sfda-kit plugins deviations` into docs/deviations.md"
    assert PAGE.read_text(encoding="utf-8").endswith(f"\n\n{table}"), remedy


def test_every_row_is_complete() -> None:
    for part in registry().components.values():
        for told in part.deviations:
            assert all((told.of, told.theirs, told.ours, told.why, told.effect)), part.name
