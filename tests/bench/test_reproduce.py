"""``sfda-kit reproduce``: cards, runs, verdict, and what differs from the card."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scipy import stats

from sfda_kit.bench.card import Card, load_reproduction_card, runs_of, shipped_cards
from sfda_kit.bench.reproduce import flatten, judge
from sfda_kit.plugins.discovery import registry
from sfda_kit.results.record import Record, read_record

from ..conftest import TI, TR, last_json

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "make_cards.py"


def tiny(**changes) -> dict:
    """A card of a run on the small paired folder, as YAML data."""
    card = {
        "name": "tiny",
        "kind": "measured",
        "task": "shapes, RGB to depth",
        "method": "source-only",
        "config": {
            "dataset": {
                "name": "paired-folder",
                "source": "rgb@cam",
                "target": "depth@cam",
                "tr_classes": list(TR),
                "ti_classes": list(TI),
            },
            "model": {"backbone": "test_resnet", "image_size": 32},
            "source": {"epochs": 1, "floor": 0.0},
        },
        "seeds": [0, 1],
        "metric": "heldout_accuracy",
        "expected": {"mean": 50.0, "low": 0.0, "high": 100.0},
        "source": {"text": "a test"},
    }
    return card | changes


def write(card: dict) -> str:
    path = Path(f"{card['name']}.yaml")
    path.write_text(yaml.safe_dump(card))
    return str(path)


def refusal(result) -> str:
    assert result.exit_code == 2, result.output
    return str(result.exception)


@pytest.fixture
def reproduce(sfda_kit, pairs_root):
    def call(card: dict, *arguments: str):
        return sfda_kit("reproduce", write(card), "--data-root", str(pairs_root), *arguments)

    return call


def test_inside_and_outside_the_band_without_running_twice(reproduce):
    result = reproduce(tiny(), "--json")
    inside = last_json(result)
    assert result.exit_code == 0 and inside["verdict"] == "inside"
    records = [json.loads((Path(run["run_dir"]) / "record.json").read_text()) for run in inside["runs"]]
    accuracies = [record["metrics"]["heldout_accuracy"] for record in records]
    assert [record["seed"] for record in records] == [0, 1]
    assert inside["mean"] == pytest.approx(sum(accuracies) / 2)
    assert inside["by_seed"] == {"0": pytest.approx(accuracies[0]), "1": pytest.approx(accuracies[1])}
    assert inside["differences"] == []
    wrong = {"mean": 100.5, "low": 100.1, "high": 101.0}
    result = reproduce(tiny(expected=wrong), "--json")
    outside = last_json(result)
    assert result.exit_code == 1 and outside["verdict"] == "outside"
    assert outside["runs"] == inside["runs"]
    shown = reproduce(tiny(expected=wrong))
    assert "run 2 of 2" in shown.stdout and "verdict: outside the band" in shown.stdout
    assert "from 100.10 to 101.00 (a test)" in shown.stdout
    assert "nothing that the card knows of differs" in shown.stdout


def test_bad_files_may_be_left_out(reproduce):
    card = Card.model_validate(tiny())
    assert not any(run.config.dataset.skip_bad for run in runs_of(card, Path("data")))
    assert all(run.config.dataset.skip_bad for run in runs_of(card, Path("data"), skip_bad=True))
    once = tiny(seeds=[0])
    told = last_json(reproduce(once, "--skip-bad", "--json"))
    record = json.loads((Path(told["runs"][0]["run_dir"]) / "record.json").read_text())
    assert record["config"]["dataset"]["skip_bad"] is True


def test_what_differs_from_the_card_is_told_and_decides_nothing(reproduce):
    changes = {
        "versions": {"torch": "1.0", "sfda-kit-nowhere": "3.2"},
        "source_weights": {1: "0123"},
        "data_fingerprint": "other",
        "recipe": {"input_bridge": {"name": "unet"}},
    }
    result = reproduce(tiny(**changes), "--json")
    told = {row["what"]: row for row in last_json(result)["differences"]}
    assert result.exit_code == 0
    assert told["version of torch"]["card"] == "1.0" and told["version of torch"]["here"].startswith("2.")
    assert told["version of sfda-kit-nowhere"]["here"] == "not installed"
    assert told["source weights, seed 1"]["card"] == "0123" and "source weights, seed 0" not in told
    assert told["data"]["card"] == "other"
    assert (told["recipe.input_bridge.name"]["card"], told["recipe.input_bridge.name"]["here"]) == ("unet", "copy")
    shown = reproduce(tiny(**changes)).stdout
    assert "differs from the card" in shown and "recipe.input_bridge.name" in shown


def record_of(accuracy: float, seed: int) -> Record:
    metrics = {"heldout_accuracy": accuracy}
    return Record(run_id="r", status="ok", method="shot", run_dir="runs/r", seed=seed, metrics=metrics)


@pytest.mark.parametrize(("high", "inside"), [(52.5, True), (52.4, False)])
def test_a_card_of_several_tasks_compares_the_mean_over_tasks_and_seeds(high, inside):
    tasks = [{"dataset": {"split_seed": 3}}, {"dataset": {"target": "nir@cam"}}]
    card = Card.model_validate(tiny(tasks=tasks, expected={"mean": 50, "low": 40, "high": high}))
    runs = runs_of(card, Path("data"))
    assert [(run.task, run.seed) for run in runs] == [
        (f"paired-folder, rgb@cam -> {target}", seed) for target in ("depth@cam", "nir@cam") for seed in (0, 1)
    ]
    assert [run.config.dataset.split_seed for run in runs] == [3, 3, 0, 0]
    assert {str(run.config.dataset.root) for run in runs} == {"data"}
    done = [(run, record_of(value, run.seed)) for run, value in zip(runs, (30.0, 40.0, 60.0, 80.0), strict=True)]
    verdict = judge(card, done)
    assert verdict.by_seed == [45.0, 60.0] and verdict.mean == 52.5
    assert verdict.inside is inside


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sedes": [0]}, "sedes: there is no such key. Did you mean 'seeds'?"),
        ({"expected": {"mean": 50, "low": 60, "high": 70}}, "expected low <= mean <= high"),
        ({"expected": {"mean": 50, "low": 40, "hihg": 70}}, "Did you mean 'high'?"),
        ({"metric": "accuracy"}, "heldout_accuracy"),
        ({"seeds": [1, 1]}, "a seed stands here twice"),
        ({"seeds": []}, "seeds"),
        ({"folds": [2, 2]}, "a fold stands here twice"),
        ({"folds": [0, 1], "source_weights": {0: "a"}}, "belong to one seed"),
        ({"config": {"seed": 3}}, "'seed' does not belong here"),
        ({"config": {"modle": {}}}, "The card 'tiny', task 1: The configuration is not valid:\n  modle"),
        ({"tasks": [{}, {}], "data_fingerprint": "x"}, "belong to one task"),
        pytest.param({"method": "shto"}, "'shot'", marks=pytest.mark.needs_plugin("sfda-kit-shot")),
    ],
)
def test_a_wrong_card_is_refused_before_any_work(reproduce, changes, said):
    assert said in refusal(reproduce(tiny(**changes)))
    assert not Path("runs").exists()


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_other_mistakes(sfda_kit, reproduce):
    assert "Did you mean 'shot-office-home'" in refusal(sfda_kit("reproduce", "shot-offic-home"))
    assert "--list" in refusal(sfda_kit("reproduce"))
    assert "--data-root" in refusal(sfda_kit("reproduce", "shot-office-home"))
    result = reproduce(tiny(method="shto"), "--json")
    assert last_json(result)["verdict"] is None and "'shot'" in last_json(result)["error"]


def test_a_run_that_fails_is_no_verdict(reproduce):
    card = tiny()
    card["config"]["source"]["floor"] = 100.0
    result = reproduce(card, "--json")
    assert result.exit_code == 1
    assert last_json(result)["verdict"] is None and "floor" in last_json(result)["error"]


@pytest.mark.needs_plugin(*(f"sfda-kit-{name}" for name in ("neighbors", "shot", "socket", "tgkt", "tta")))
def test_shipped_cards_are_listed_marked_and_complete(sfda_kit, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    listed = sfda_kit("reproduce", "--list").stdout
    assert shipped_cards()
    for name in shipped_cards():
        card = load_reproduction_card(name)
        assert card.name == name and name in listed
        assert card.method in registry().names("method")
        runs = runs_of(card, Path("data"))
        assert {run.config.dataset.name for run in runs} <= set(registry().names("dataset"))
        if card.kind == "published":
            assert card.source.link.startswith("https://") and "never measured" in card.notes
            assert not card.versions and not card.source_weights


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_published_cards_start_from_imagenet_with_the_settings_of_the_paper():
    pairs = {"office-31": 6, "office-home": 12, "visda-c": 1}
    for split, number in pairs.items():
        runs = runs_of(load_reproduction_card(f"shot-{split}"), Path("data"))
        assert len({(run.config.dataset.source, run.config.dataset.target) for run in runs}) == number
        for run in runs:
            config = run.config
            assert config.model.pretrained and config.preset == config.dataset.split == split
            assert (config.adapt.epochs, config.adapt.batch_size, config.adapt.backbone_lr_factor) == (15, 64, 0.1)
            assert config.adapt.lr == config.source.lr == (1e-3 if split == "visda-c" else 1e-2)


def test_cards_made_from_records_hold_here_and_know_what_made_them(sfda_kit, reproduce, pairs_root):
    for seed in (0, 1, 2):
        card = tiny(seeds=[seed], name="one")
        assert reproduce(card).exit_code == 0
    command = [sys.executable, str(SCRIPT), "runs", "--out", "cards"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = Path("cards").glob("*.yaml")
    card = load_reproduction_card(str(path))
    records = [json.loads(path.read_text()) for path in sorted(Path("runs").glob("*/record.json"))]
    values = [record["metrics"]["heldout_accuracy"] for record in records]
    half = stats.t.ppf(0.975, 2) * stats.tstd(values) * (2 / 3) ** 0.5
    mean = sum(values) / 3
    assert card.expected.mean == pytest.approx(mean, abs=0.01)
    assert card.expected.low == pytest.approx(max(mean - max(half, 1.0), 0.0), abs=0.01)
    assert card.expected.high == pytest.approx(min(mean + max(half, 1.0), 100.0), abs=0.01)
    assert set(card.source_weights) == {0, 1, 2} and card.kind == "measured"
    assert str(pairs_root) not in path.read_text()
    result = sfda_kit("reproduce", str(path), "--data-root", str(pairs_root), "--json")
    verdict = last_json(result)
    assert result.exit_code == 0 and verdict["verdict"] == "inside" and verdict["differences"] == []
    assert len(list(Path("runs").iterdir())) == 3, "finished runs are not run again"


def test_a_card_over_folds_is_made_of_the_committed_records_and_compares_each_fold():
    records = SCRIPT.parent / "results" / "nir-scenes" / "records"
    command = [sys.executable, str(SCRIPT), str(records), "--out", ".", "--metric", "heldout_mean_class_accuracy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    card = load_reproduction_card("adabn-nirscene-tiles-v1-rgb-camera1-nir-camera1.yaml")
    found = [read_record(path.parent) for path in records.glob("adabn-*/record.json")]
    by_fold = {record.config["dataset"]["fold"]: record for record in found}
    runs = runs_of(card)
    assert [(run.fold, run.config.dataset.fold, run.seed) for run in runs] == [(f, f, 0) for f in (0, 1, 2, 3)]
    verdict = judge(card, [(run, by_fold[run.fold]) for run in runs])
    assert verdict.inside and verdict.differences == ()
    assert verdict.mean == pytest.approx(card.expected.mean, abs=0.01)
    assert card.expected.high - card.expected.mean == pytest.approx(1.0, abs=0.01)
    other = by_fold[2].model_copy(update={"source": {"weights_sha256": "x"}})
    changed = judge(card, [(run, other if run.fold == 2 else by_fold[run.fold]) for run in runs])
    assert [one.what for one in changed.differences] == ["source weights, fold 2"]


def test_the_card_of_the_page_is_one(private_home):
    page = (SCRIPT.parents[1] / "docs" / "reproduce.md").read_text()
    Path("page.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    runs = runs_of(load_reproduction_card("page.yaml"))
    assert [run.task for run in runs[::3]] == ["rooms, rgb@kv1 -> depth@kv1", "rooms, rgb@kv1 -> depth@xtion"]


def test_keys_of_settings_are_spelt_as_set_spells_them():
    recipe = {"phases": [{"name": "adapt", "aligners": {"infomax": {"weight": 1.0}}}], "bridge": {}, "list": [1]}
    assert flatten(recipe, "recipe") == {
        "recipe.phases.adapt.name": "adapt",
        "recipe.phases.adapt.aligners.infomax.weight": 1.0,
        "recipe.bridge": {},
        "recipe.list": [1],
    }
