"""The committed records give the committed board, and there is a card for each of its rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import load_suite
from sfda_kit.leaderboard.site.folder import MARK, made_with

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
MINI = RESULTS / "rooms-mini"
REAL = ("nyu-objects", "nir-scenes")
BOARDS = ("rooms-mini", *REAL)
RECORDS = [json.loads(path.read_text()) for path in sorted(MINI.glob("records/*/record.json"))]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def committed(suite: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (RESULTS / suite).glob("records/*/record.json")]


def test_rooms_mini_is_complete():
    records = committed("rooms-mini")
    cells = {(cell.config.method, cell.seed) for cell in expand(load_suite("rooms-mini"))}
    assert {(record["method"], record["seed"]) for record in records} == cells
    assert len(records) == len(cells) and {record["status"] for record in records} == {"ok"}


def of_cell(config: dict[str, Any]) -> tuple[str, ...]:
    """What tells the cells of a suite of real pictures apart, but for the fold."""
    told = (config["method"], config["dataset"].get("pairs"), config["adapt"].get("initial_weights"))
    return (*map(str, told), config["model"]["backbone"], json.dumps(config["recipe"], sort_keys=True))


@pytest.mark.parametrize("name", REAL)
def test_rows_of_real_pictures_are_cells_of_their_suite_and_have_all_folds(name: str, monkeypatch: pytest.MonkeyPatch):
    for variable in ("SFDA_KIT_NYU_DIR", "SFDA_KIT_NIR_DIR"):
        monkeypatch.setenv(variable, "anywhere")
    suite = load_suite(name)
    cells = {of_cell(cell.config.model_dump(mode="json")) for cell in expand(suite)}
    records = committed(name)
    folds = Counter(of_cell(record["config"]) for record in records)
    assert folds and set(folds) <= cells and set(folds.values()) == {len(suite.fold_numbers)}
    assert {record["status"] for record in records} == {"ok"}


@pytest.mark.parametrize("name", REAL)
def test_no_real_picture_is_published(name: str):
    """These sets carry no licence to publish their images."""
    pictures = (".png", ".jpg", ".jpeg", ".webp")
    assert [path for path in (RESULTS / name).rglob("*") if path.suffix in pictures] == []


@pytest.mark.parametrize("suite", BOARDS)
@pytest.mark.needs_plugin(*(f"sfda-kit-{name}" for name in ("bridged", "neighbors", "shot", "socket", "tgkt", "tta")))
def test_the_board_is_made_again_byte_by_byte(suite: str, sfda_kit: Callable[..., Result], tmp_path: Path):
    folder = RESULTS / suite
    committed, here = json.loads((folder / "board" / MARK).read_text())["made_with"], made_with()
    committed["sfda-kit"] = here["sfda-kit"]  # a later release of ours makes the same pages
    if committed != here:
        other = {name: f"{committed[name]} -> {here[name]}" for name in here if committed[name] != here[name]}
        pytest.skip(f"the committed board was made with other versions: {other}")
    sfda_kit("leaderboard", "build", folder / "records", "--out", tmp_path / "board")
    built, expected = files(tmp_path / "board"), files(folder / "board")
    assert json.loads(built.pop(MARK))["made_with"] == here and expected.pop(MARK)
    assert built == expected


def test_every_row_has_a_card():
    cards = [yaml.safe_load(path.read_text()) for path in (ROOT / "sfda_kit/bench/cards").glob("*-rooms-*.yaml")]
    expected = {card["method"]: card["expected"]["mean"] for card in cards}
    for method in {record["method"] for record in RECORDS}:
        scores = [record["metrics"]["heldout_accuracy"] for record in RECORDS if record["method"] == method]
        assert expected[method] == pytest.approx(sum(scores) / len(scores), abs=0.01)
