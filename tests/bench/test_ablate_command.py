"""``sfda-kit ablate`` as a user calls it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from sfda_kit.cli.ablate import levels

Call = Callable[..., Result]


def lines(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_grid_runs_once_and_says_what_each_part_earns(sfda_kit: Call, on_pairs: list[str]) -> None:
    grid = ["--method", "shot", "--aligner", "infomax=0,1", "--labeler", "centroid,none", "--seeds", "0"]
    result = sfda_kit("ablate", *grid, *on_pairs, "--workers", "2")
    assert result.exit_code == 1, result.output  # with neither term a cell cannot run
    told = " ".join(result.output.split())
    assert "4 cells: 1 skipped, 3 missing; 3 to run in runs/ablate-shot" in told
    assert "what each part earns" in told and "held out, both factors" in told
    assert "has no loss term left" in told and "One seed: seeds are not resampled" in told
    folder = Path("runs/ablate-shot")
    effects = {line["factor"]: line for line in lines(folder / "effects.csv")}
    assert {name: (line["averaged"], line["planned"]) for name, line in effects.items()} == {
        "labeler": ("1", "2"),
        "infomax": ("1", "2"),
    }
    cells = {line["variant"]: line for line in lines(folder / "cells.csv")}
    score = {name: float(line["heldout_accuracy_mean"]) for name, line in cells.items() if line["seeds"]}
    recorded = [json.loads(path.read_text()) for path in folder.glob("*/record.json")]
    accuracies = [record["metrics"]["heldout_accuracy"] for record in recorded if record["status"] == "ok"]
    assert sorted(score.values()) == pytest.approx(sorted(accuracies))
    labeler = score["labeler=none, infomax=1"] - score["labeler=centroid, infomax=1"]
    infomax = score["labeler=centroid, infomax=1"] - score["labeler=centroid, infomax=0"]
    for name, expected in (("labeler", labeler), ("infomax", infomax)):
        assert float(effects[name]["difference"]) == pytest.approx(expected)
        assert float(effects[name]["low"]) <= expected <= float(effects[name]["high"])
    assert float(cells["labeler=none, infomax=1"]["trained_parameters"]) > 0
    page = (folder / "ablation.md").read_text()
    assert "![Effects of each part in points](ablation.png)" in page and "| trained |" in page
    assert (folder / "ablation.png").read_bytes()[:4] == b"\x89PNG"

    again = sfda_kit("ablate", "--config", folder / "study.yaml")
    assert "0 to run" in again.output
    assert (folder / "ablation.md").read_text() == page
    assert "3 done, 1 skipped" in sfda_kit("bench", "status", folder / "study.yaml").output


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_settings_vary_by_several_values_and_hold_by_one(sfda_kit: Call, on_pairs: list[str]) -> None:
    grid = ["--method", "shot", "--set", "adapt.lr=0.01,0.02", "--labeler", "none", "--set", "adapt.momentum=0.8"]
    flags = [*grid, *on_pairs, "--seeds", "0", "--one-at-a-time", "--name", "star", "--report-only"]
    result = sfda_kit("ablate", *flags)
    assert result.exit_code == 0, result.output
    cells = lines(Path("runs/star/cells.csv"))
    assert [(line["labeler"], line["adapt.lr"]) for line in cells] == [
        ("own", "0.01"),
        ("none", "0.01"),
        ("own", "0.02"),
    ]
    told = " ".join(result.output.split())
    assert "Each factor was varied by itself" in told and "Interactions are not shown" in told
    assert "both factors" not in told


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_study_without_runs_reports_what_is_missing(sfda_kit: Call, on_pairs: list[str]) -> None:
    result = sfda_kit("ablate", "--method", "shot", "--labeler", "centroid,none", *on_pairs, "--report-only")
    assert result.exit_code == 0
    assert "missing" in result.output and "No effect can be told yet" in result.output
    assert not Path("runs/ablate-shot/ablation.png").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        pytest.param(
            ["--method", "tgkt", "--bridge", "copi,unet"],
            "bridge=copi: Unknown bridge 'copi'. Did you mean 'copy'",
            marks=pytest.mark.needs_plugin("sfda-kit-tgkt"),
        ),
        (["--method", "tgkt"], "The grid is empty: nothing is varied. Give a part or a weight several values"),
        (["--method", "tgkt", "--bridge", "copy"], "the factor 'bridge' has one level (copy)"),
        (["--bridge", "copy,unet"], "which method? Put `method: NAME` into `base` (--method NAME)"),
        (["--method", "tgkt", "--aligner", "bn-stats=0,x"], "--aligner 'bn-stats=0,x': expected NAME=W1,W2"),
        (["--method", "tgkt", "--seeds", "a"], "--seeds 'a': expected whole numbers"),
        (["--method", "tgkt", "--bridge", "copy,unet", "--metric", "f1"], "--metric 'f1': expected heldout_accuracy"),
        (["--config", "rooms-mini"], "The suite 'rooms-mini' has no grid, so there is nothing to vary"),
        (["--config", "nope.yaml"], "There is no suite 'nope.yaml'"),
        pytest.param(
            ["--method", "shot", "--labeler", "none,centroid", "--executor", "lokal"],
            "Unknown executor 'lokal'",
            marks=pytest.mark.needs_plugin("sfda-kit-shot"),
        ),
    ],
)
def test_a_mistake_is_told_before_any_work(sfda_kit: Call, flags: list[str], said: str) -> None:
    result = sfda_kit("ablate", *flags)
    assert result.exit_code == 2
    assert said in str(result.exception)
    assert not list(Path().glob("runs/*/*/record.json"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b", ["a", "b"]),
        ("a", ["a"]),
        ("[a,b],[c]", ["[a,b]", "[c]"]),
        ("{name: unet, options: {width: 8}},copy", ["{name: unet, options: {width: 8}}", "copy"]),
        ("'a,b',c", ["'a,b'", "c"]),
        (" a , ,b", ["a", "b"]),
        ("", []),
    ],
)
def test_commas_inside_brackets_and_quotes_do_not_part(text: str, found: list[str]) -> None:
    assert levels(text) == found
