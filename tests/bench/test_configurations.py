"""Equal budgets: up to eight configurations of each method, one validator that chooses, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from sfda_kit.bench.card import Card
from sfda_kit.bench.card import runs_of as card_runs
from sfda_kit.bench.cells import Cell, Resolver, expand
from sfda_kit.bench.suite import Suite, checked_suite, load_suite
from sfda_kit.config.digest import digest
from sfda_kit.config.models import RunConfig
from sfda_kit.errors import UserError
from sfda_kit.leaderboard.frames import read_board
from sfda_kit.submissions.suite import check_suite

SUITE: dict[str, Any] = {
    "name": "tiny",
    "version": 1,
    "title": "for tests",
    "tasks": {"depth": {}},
    "models": ["test_resnet"],
    "seeds": [0, 1],
    "chosen_by": "infomax",
    "methods": {
        "source-only": {},
        "bound": {
            "method": "oracle",
            "configurations": {"fast": {"adapt": {"lr": 0.1}}, "long": {"adapt": {"epochs": 30}}},
        },
    },
}


def suite(**changes: Any) -> Suite:
    return checked_suite({**SUITE, **changes}, "suite").expanded()


def of_bound(**configurations: Any) -> dict[str, Any]:
    return {"methods": {"bound": {"method": "oracle", "configurations": configurations}}}


def cells(**changes: Any) -> list[Cell]:
    return expand(suite(**changes))


def test_cells_are_configuration_by_seed_and_the_method_as_it_is_comes_first():
    found = cells()
    assert [(cell.row, cell.seed) for cell in found] == [
        *(("source-only", seed) for seed in (0, 1)),
        *((f"bound ({name})", seed) for name in ("plain", "fast", "long") for seed in (0, 1)),
    ]
    assert [(one.config.adapt.lr, one.config.adapt.epochs) for one in found[2::2]] == [
        (0.01, 10),
        (0.1, 10),
        (0.01, 30),
    ]
    labels = [cell.config.tuning.model_dump() for cell in found[2::2] if cell.config.tuning]
    assert labels == [
        {"row": "bound", "configuration": name, "number": number}
        for number, name in enumerate(("plain", "fast", "long"))
    ]
    assert found[0].config.tuning is None
    assert len({cell.config.digest() for cell in found}) == len(found)


def test_a_suite_whose_methods_have_one_configuration_runs_the_cells_of_before():
    without = {**SUITE, "methods": ["source-only", "oracle"]}
    del without["chosen_by"]
    before = [cell.config.digest() for cell in expand(checked_suite(without, "suite"))]
    assert [cell.config.digest() for cell in cells(methods=["source-only", "oracle"])] == before
    assert "tuning" not in expand(checked_suite(without, "suite"))[0].config.model_dump()


def test_the_validator_is_recorded_by_all_cells_with_its_options():
    chosen_by = {"name": "snd", "options": {"temperature": 0.1}}
    assert {json.dumps(cell.config.adapt.validator.model_dump()) for cell in cells(chosen_by=chosen_by)} == {
        json.dumps(chosen_by)
    }


def test_a_preset_says_how_to_adapt_and_not_which_data_network_or_source_model(monkeypatch: pytest.MonkeyPatch):
    settings = {
        "model": {"backbone": "resnet50.tv_in1k", "image_size": 224},
        "source": {"epochs": 100, "momentum": 0.5},
    }
    monkeypatch.setattr(
        "sfda_kit.config.loading._defaults",
        lambda preset, _: {**settings, "adapt": {"epochs": 77}} if preset == "pretrained" else {},
    )
    plain, preset = (cell.config for cell in cells(**of_bound(published={"preset": "pretrained"}), seeds=[0]))
    assert (plain.adapt.epochs, preset.adapt.epochs, preset.preset) == (10, 77, "pretrained")
    for section in ("dataset", "model", "source", "compute"):
        assert getattr(preset, section) == getattr(plain, section)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            of_bound(**{f"try {number}": {} for number in range(8)}),
            "bound has 9 configurations, with the method as it is",
        ),
        (of_bound(**{f"try {number}": {} for number in range(9)}), "at most 8: leave out 2 of them"),
        (of_bound(plain={"adapt": {"lr": 0.1}}), "'plain' is the method as it is"),
        (of_bound(deep={"model": {"backbone": "resnet50"}}), "'model' does not belong here"),
        (of_bound(other={"method": "shot"}), "'method' does not belong here"),
        (of_bound(fast=0.1), "expected NAME: SETTINGS"),
        (of_bound(typo={"adapt": {"rate": 0.1}}), r"bound \(typo\), depth, test_resnet: [^$]*adapt.rate"),
        (of_bound(fast={"adapt": {"validator": "bnm"}}), "the configuration 'fast' names adapt.validator"),
        (of_bound(fast={"adapt": {"select": "bnm"}}), "bnm selects the epoch .* infomax chooses the configuration"),
        ({"chosen_by": None}, "which validator chooses among `configurations`"),
        ({"chosen_by": "oracle"}, "'oracle' needs target labels"),
        ({"chosen_by": "heldout_accuracy"}, "'heldout_accuracy' needs target labels"),
        ({"chosen_by": "infomaks"}, "Unknown validator 'infomaks'. Did you mean 'infomax'"),
        ({"grid": {"base": {"method": "oracle"}, "factors": {"adapt.lr": [0.1, 0.2]}}}, "leave `chosen_by`"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], says: str):
    with pytest.raises(UserError, match=says):
        cells(**changes)


def test_eight_configurations_are_allowed_and_the_validator_may_select_the_epoch_too():
    found = cells(**of_bound(**{f"rate {number}": {"adapt": {"lr": number}} for number in range(1, 8)}), seeds=[0])
    assert len(found) == 8
    (*_, both) = cells(**of_bound(selected={"adapt": {"select": "infomax"}}))
    assert both.config.adapt.select == both.config.adapt.validator


def test_a_card_of_a_configuration_reproduces_its_cell():
    cell = cells()[-1]
    config = {key: value for key, value in cell.config.model_dump(mode="json").items() if key not in ("method", "seed")}
    told = {
        "name": "bound",
        "kind": "measured",
        "task": "rooms",
        "method": "oracle",
        "config": config,
        "seeds": [1],
        "metric": "heldout_accuracy",
        "expected": {"mean": 50, "low": 40, "high": 60},
        "source": {"text": "a test"},
    }
    (run,) = card_runs(Card.model_validate(told))
    assert run.config.tuning and run.config.digest() == cell.config.digest()


def runs_of(found: list[Cell]) -> dict[str, RunConfig]:
    return {f"{cell.row}, {cell.seed}": cell.config for cell in found}


def test_an_archive_must_hold_all_configurations_as_the_suite_has_them():
    found = cells()
    all_cells = [cell.config for cell in found]
    report = check_suite(runs_of(found), all_cells)
    assert not report.strangers and not report.missing
    part = runs_of([cell for cell in found if cell.configuration != "long"])
    names = [one.partition(", rooms")[0] for one in check_suite(part, all_cells).missing]
    assert names == ["oracle (long)", "oracle (long)"]
    relabelled = found[-1].config.model_copy(update={"tuning": found[2].config.tuning})
    assert set(check_suite({**part, "x": relabelled}, all_cells).strangers) == {"x"}


def test_a_method_that_the_suite_lacks_brings_configurations_of_its_own():
    all_cells = [cell.config for cell in cells()]
    own = runs_of(cells(methods={"probe": {"configurations": {"mine": {"adapt": {"lr": 0.7}}}}}))
    report = check_suite(own, all_cells)
    assert not report.strangers and not report.missing
    first = next(iter(own))
    report = check_suite({name: config for name, config in own.items() if name != first}, all_cells)
    assert [one.partition(", rooms")[0] for one in report.missing] == ["probe (plain)"]
    elsewhere = {
        name: config.model_copy(update={"model": config.model.model_copy(update={"image_size": 32})})
        for name, config in own.items()
    }
    assert set(check_suite(elsewhere, all_cells).strangers) == set(own)
    other = runs_of(cells(methods={"probe": {}}, chosen_by="bnm"))
    assert set(check_suite(other, all_cells).strangers) == set(other)
    config = own["probe (mine), 1"]
    own["probe (mine), 1"] = config.model_copy(update={"adapt": config.adapt.model_copy(update={"lr": 0.6})})
    reasons = check_suite(own, all_cells).strangers
    assert set(reasons) == {"probe (mine), 0", "probe (mine), 1"}
    assert "'mine' has not the same settings for all seeds" in reasons["probe (mine), 0"]


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
def test_a_suite_end_to_end(sfda_kit: Callable[..., Result], suite_file: Callable[..., Path]):
    methods = {
        "source-only": {},
        "shot": {
            "method": "shot-im",
            "configurations": {"slow": {"adapt": {"lr": 1e-4}}, "explodes": {"adapt": {"lr": 1e30}}},
        },
    }
    path = suite_file(methods=methods, chosen_by="infomax")
    assert sfda_kit("bench", path).exit_code == 1
    status = sfda_kit("bench", "status", path).output
    assert "shot (explodes), 1 of its cells: The loss term" in status and "3 done, 1 failed" in status
    board = sfda_kit("leaderboard", "show", "runs/tiny", "--format", "markdown").output
    assert "no scored result of the configuration explodes for seed 0" in board
    methods["shot"]["configurations"].pop("explodes")
    path = suite_file(methods=methods, chosen_by="infomax")
    assert "0 to run" in sfda_kit("bench", path).output
    for folder in Path("runs/tiny").glob("*"):
        if folder.is_dir() and (folder / "record.json").exists() and "explodes" in (folder / "record.json").read_text():
            (folder / "record.json").unlink()
    table = read_board("runs/tiny", configurations=True).set_index("method")
    assert list(table.index[:2]) == ["shot", "shot, oracle-tuned"] and table.loc["shot", "configurations"] == 2
    records = [json.loads(one.read_text()) for one in Path("runs/tiny").glob("*/record.json")]
    tuned = {one["config"]["tuning"]["configuration"]: one for one in records if "tuning" in one["config"]}
    scores = {name: one["signals"]["validators"]["infomax"] for name, one in tuned.items()}
    best = max(("plain", "slow"), key=scores.__getitem__)
    assert table.loc["shot", "heldout_accuracy_mean"] == tuned[best]["metrics"]["heldout_accuracy"]
    packed = sfda_kit("leaderboard", "pack", "runs/tiny", "--out", "all.zip", "--suite", path)
    assert packed.exit_code == 0, packed.output


@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-socket", "sfda-kit-tgkt", "sfda-kit-neighbors")
def test_the_shipped_suite_gives_all_methods_equally_many_different_configurations():
    found = [cell for cell in expand(load_suite("equal-budgets")) if cell.seed == 0]
    resolver = Resolver()
    resolved = [resolver(cell) for cell in found]
    assert not [one.reason for one in resolved if one.reason]
    number = {method: sum(cell.method == method for cell in found) for method in dict.fromkeys(c.method for c in found)}
    assert number == {"source-only": 1, "shot": 6, "socket": 6, "tgkt": 6, "nrc": 6}
    left_out = ("tuning", "preset")
    told = [
        digest([{k: v for k, v in one.identity["config"].items() if k not in left_out}, one.identity["recipe"]])
        for one in resolved
    ]
    assert len(set(told)) == len(told)
    assert len({one.stages[0] for one in resolved}) == 1, "not one source model for all"


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
@pytest.mark.needs_plugin("sfda-kit-socket")
def test_the_shipped_suite_runs_on_the_smallest_rooms(sfda_kit: Callable[..., Result], tmp_path: Path):
    shipped = load_suite("equal-budgets")
    told = shipped.model_dump(exclude={"grid"}) | {
        "methods": {"socket": {"configurations": dict(list(shipped.methods["socket"]["configurations"].items())[:2])}},
        "models": ["test_resnet"],
        "seeds": [0],
        "settings": {
            "dataset": {"options": {"scenes": 0.03}, "minimum_images": 1},
            "model": {"image_size": 32, "bottleneck": 8},
            "source": {"epochs": 1, "batch_size": 16, "floor": 0},
            "adapt": {"epochs": 1, "batch_size": 16, "steps_per_epoch": 1},
            "compute": {"pictures": False},
        },
    }
    path = tmp_path / "smallest.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(told))))
    result = sfda_kit("bench", path)
    assert result.exit_code == 0 and "3 done" in result.output, result.output
    table = read_board("runs/equal-budgets").set_index("method")
    assert table.loc["socket", "configurations"] == 3 and table.loc["socket", "seeds"] == 0
    assert table.loc["socket, oracle-tuned", "heldout_accuracy_mean"] >= table.loc["socket", "heldout_accuracy_mean"]
