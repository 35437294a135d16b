"""The suites of the papers' experiments: what all their cells share, and a small run of one on a synthetic twin."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from typer.testing import Result

from sfda_kit.bench.cells import Cell, expand
from sfda_kit.bench.placing import stage_keys
from sfda_kit.bench.suite import load_suite
from sfda_kit.config.models import RunConfig
from sfda_kit.datasets.twins import make_twin
from sfda_kit.errors import UserError
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.scaffold.sample_weights import ARCHITECTURE, sample_weights
from sfda_kit.submissions.suite import check_suite, suite_cells
from sfda_kit.submissions.verify import Rules, verify

pytestmark = pytest.mark.needs_plugin("sfda-kit-neighbors", "sfda-kit-shot", "sfda-kit-socket", "sfda-kit-tgkt")

PAPERS = {"sun-rgbd": 16, "diml": 4, "rgb-nir": 3}
"""The suites, with the number of their tasks."""
SMALL = {
    "model.backbone": "test_resnet",
    "model.backbone_weights": "null",
    "model.image_size": "32",
    "source.epochs": "1",
    "source.floor": "0",
    "adapt.epochs": "1",
    "adapt.steps_per_epoch": "1",
    "bridge_training.epochs": "1",
    "bridge_training.batch_size": "8",
    "dataset.ti_pairs": "8",
    "compute.pictures": "false",
}
CHANGES = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
Call = Callable[..., Result]


@cache
def cells(name: str) -> list[Cell]:
    return expand(load_suite(name), Path("/data"))


@pytest.mark.parametrize("name", PAPERS)
def test_all_methods_of_a_seed_start_from_one_source_model_in_the_protocol_of_the_papers(name: str):
    models = defaultdict(set)
    for cell in cells(name):
        dataset, model = cell.config.dataset, cell.config.model
        models[dataset.source, dataset.split, cell.seed].add(stage_keys(cell.config, Recipe())[0])
        assert (dataset.protocol, model.image_size, model.pretrained) == ("paper", 224, False)
    assert {len(keys) for keys in models.values()} == {1}
    sources = 4 if name == "sun-rgbd" else PAPERS[name]
    assert len(models) == 3 * sources


@pytest.mark.parametrize("name", PAPERS)
def test_methods_have_the_settings_of_their_authors(name: str):
    of = {cell.method: cell.config for cell in cells(name)}
    assert len(of) * PAPERS[name] * 3 == len(cells(name))
    assert of["socket-official"].preset == name
    assert {of[method].preset for method in ("shot", "nrc", "aad", "cowa-jmds")} == {"office-home"}
    as_socket = of["socket-official"].adapt
    for method in ("socket", "tgmb-paper", "tgkt-paper", "tgmb", "tgkt"):
        assert of[method].adapt == as_socket, method
    assert of["nrc"].adapt.epochs == 40 and of["shot"].adapt.batch_size == 64


def test_runs_are_those_of_the_suite_wherever_the_file_of_the_weights_lay(monkeypatch: pytest.MonkeyPatch):
    """As ``leaderboard verify`` compares them, on a computer that has no such file and no such variable."""
    monkeypatch.delenv("SFDA_KIT_WEIGHTS_DIR", raising=False)
    wanted = suite_cells("rgb-nir")

    def with_weights(config: RunConfig, path: str) -> RunConfig:
        return config.model_copy(update={"model": config.model.model_copy(update={"backbone_weights": path})})

    report = check_suite({str(k): with_weights(one, "resnet50-0676ba61.pth") for k, one in enumerate(wanted)}, wanted)
    assert not report.strangers and not report.missing
    other = check_suite({"a": with_weights(wanted[0], "/home/person/mine.pth")}, wanted)
    assert other.strangers["a"].endswith("model.backbone_weights")


def test_an_unset_variable_of_the_weights_stops_the_command(sfda_kit: Call, monkeypatch, tmp_path: Path):
    monkeypatch.delenv("SFDA_KIT_WEIGHTS_DIR", raising=False)
    result = sfda_kit("bench", "status", "rgb-nir", "--data-root", tmp_path)
    assert result.exit_code == 2
    assert "$SFDA_KIT_WEIGHTS_DIR/resnet50-0676ba61.pth, and that variable is not set" in str(result.exception)


def test_a_folder_without_the_weights_stops_the_command(sfda_kit: Call, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("SFDA_KIT_WEIGHTS_DIR", str(tmp_path))
    result = sfda_kit("bench", "rgb-nir", "--data-root", tmp_path, "--runs-dir", tmp_path / "runs")
    assert result.exit_code == 2
    assert f"There are no weights at {tmp_path / 'resnet50-0676ba61.pth'}" in str(result.exception)
    assert not (tmp_path / "runs").exists()


def test_another_network_is_called_by_its_own_name():
    other = load_suite("rgb-nir").changed({"model": {"backbone": "resnet10t", "backbone_weights": None}})
    assert {(cell.model, cell.config.model.backbone) for cell in expand(other, Path("/data"))} == {("resnet10t",) * 2}
    with pytest.raises(UserError, match="compares the networks lite0, resnet10t, and this would make them one"):
        load_suite("nyu-objects").changed({"model": {"backbone": "resnet18"}})


def test_a_changed_suite_is_another_suite():
    suite = load_suite("rgb-nir")
    assert suite.changed({}) is suite
    small = suite.changed({"adapt": {"epochs": 1}, "model": {"image_size": 32}})
    assert (small.name, suite.name) == ("rgb-nir-changed", "rgb-nir")
    changed = expand(small, Path("/data"))
    assert {(cell.config.adapt.epochs, cell.config.model.image_size) for cell in changed} == {(1, 32)}
    report = check_suite({"a": changed[0].config}, [cell.config for cell in cells("rgb-nir")])
    assert "adapt.epochs, model.image_size" in report.strangers["a"]
    for key in ("method", "seed", "seeds"):
        with pytest.raises(UserError, match=f"--set {key}: .*Choose cells by --method and --seed"):
            suite.changed({key: 3})
    with pytest.raises(UserError, match="Did you mean 'epochs'"):
        expand(suite.changed({"adapt": {"epoch": 1}}), Path("/data"))


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
def test_runs_from_weights_of_a_variable_are_handed_in(sfda_kit: Call, suite_file, monkeypatch, tmp_path: Path):
    file = tmp_path / "weights" / "mine.safetensors"
    file.parent.mkdir()
    file.write_bytes(sample_weights())
    monkeypatch.setenv("MY_WEIGHTS", str(file.parent))
    model = {"backbone": ARCHITECTURE, "backbone_weights": "$MY_WEIGHTS/mine.safetensors"}
    suite = suite_file(methods=["source-only"], models={"tiny": {"model": model}})
    assert sfda_kit("bench", suite, "--workers", "1").exit_code == 0
    (path,) = Path("runs/tiny").glob("*/record.json")
    identity = (path.parent / "config.yaml").read_text()
    assert str(file.parent) not in identity + path.read_text()
    assert hashlib.sha256(sample_weights()).hexdigest() in identity
    packed = sfda_kit("leaderboard", "pack", path.parent, "--suite", suite, "--out", tmp_path / "mine.zip")
    assert packed.exit_code == 0, packed.exception
    monkeypatch.delenv("MY_WEIGHTS")
    findings = verify((tmp_path / "mine.zip").read_bytes(), Rules(suite=str(suite)))
    assert findings.accepted and findings.checked["suite"] == 1, findings


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
def test_a_twin_of_sun_rgbd_is_run_to_its_board(sfda_kit: Call, tmp_path: Path):
    make_twin("sun-rgbd", tmp_path / "twin", per_class=2)
    only = ("--task", "kv1 to xtion", "--seed", "0")
    command = ("bench", "sun-rgbd", *CHANGES, "--data-root", tmp_path / "twin")
    done = sfda_kit(*command, *only, "--workers", "1")
    assert done.exit_code == 0, done.output
    runs = Path("runs/sun-rgbd-changed")
    records = [json.loads(path.read_text()) for path in runs.glob("*/record.json")]
    assert len(records) == len(load_suite("sun-rgbd").methods)
    assert {record["task"]["protocol"] for record in records} == {"paper"}
    assert len({record["source"]["weights_sha256"] for record in records}) == 1
    assert not any("heldout" in name for record in records for name in record["metrics"])
    assert "Its runs cannot be handed in as runs of sun-rgbd" in " ".join(done.output.split())
    refused = sfda_kit("leaderboard", "pack", runs, "--suite", "sun-rgbd", "--out", tmp_path / "mine.zip")
    assert refused.exit_code == 2 and "no cell of the suite has its settings" in str(refused.exception)
    assert not (tmp_path / "mine.zip").exists()
    shown = sfda_kit("leaderboard", "show", runs, "--format", "markdown")
    assert shown.exit_code == 0 and "Nothing is held out" in shown.output
    assert "tgkt (recipe.teacher\\_bridge=fcbnconv" in shown.output
