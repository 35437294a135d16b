"""The committed records give the committed board, and there is a card for each of its rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from sfda_kit.leaderboard.site.folder import MARK, made_with

ROOT = Path(__file__).parents[2]
MINI = ROOT / "benchmarks" / "results" / "rooms-mini"
RECORDS = [json.loads(path.read_text()) for path in sorted(MINI.glob("records/*/record.json"))]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_suite_is_complete():
    from sfda_kit.bench.cells import expand
    from sfda_kit.bench.suite import load_suite

    cells = {(cell.config.method, cell.seed) for cell in expand(load_suite("rooms-mini"))}
    assert {(record["method"], record["seed"]) for record in RECORDS} == cells
    assert len(RECORDS) == len(cells) and {record["status"] for record in RECORDS} == {"ok"}


def test_the_board_is_made_again_byte_by_byte(sfda_kit: Callable[..., Result], tmp_path: Path):
    committed, here = json.loads((MINI / "board" / MARK).read_text())["made_with"], made_with()
    if committed != here:
        other = {name: f"{committed[name]} -> {here[name]}" for name in here if committed[name] != here[name]}
        pytest.skip(f"the committed board was made with other versions: {other}")
    sfda_kit("leaderboard", "build", MINI / "records", "--out", tmp_path / "board")
    assert files(tmp_path / "board") == files(MINI / "board")


def test_every_row_has_a_card():
    cards = [yaml.safe_load(path.read_text()) for path in (ROOT / "sfda_kit/bench/cards").glob("*-rooms-*.yaml")]
    expected = {card["method"]: card["expected"]["mean"] for card in cards}
    for method in {record["method"] for record in RECORDS}:
        scores = [record["metrics"]["heldout_accuracy"] for record in RECORDS if record["method"] == method]
        assert expected[method] == pytest.approx(sum(scores) / len(scores), abs=0.01)
