"""``sfda-kit predict`` and ``sfda-kit export`` on the model of a run."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sfda_kit.inference.adapted_card import AdaptedCard
from sfda_kit.inference.adapted_model import load_model, save_adapted
from sfda_kit.interfaces.recipe import BridgeConfig
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import build_part
from sfda_kit.source.source_models import load_source_model

from ..conftest import TR
from ..folders import SIDE, write_card, write_folders


def write_run(folder: Path, bridge: str = "copy", unit: str | None = "mm") -> Path:
    """The model of a run whose network is that of a random source card."""
    write_card(folder / "card")
    network, source = load_source_model(folder / "card")
    torch.manual_seed(1)
    model = AdaptedModel(build_part("bridge", bridge), network).eval()
    card = AdaptedCard(
        method="tgkt",
        source=source,
        input_bridge=BridgeConfig(name=bridge),
        encoding="jet",
        modality="depth",
        unit=unit,
    )
    save_adapted(model, card, folder / "run" / "model")
    return folder / "run"


@pytest.fixture(scope="session")
def run_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    write_folders(folder)
    return write_run(folder).parent


@pytest.fixture
def here(private_home: Path, run_template: Path) -> Path:
    shutil.copytree(run_template, private_home, dirs_exist_ok=True)
    return private_home


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def refusal(result) -> str:
    assert result.exit_code == 2
    return str(result.exception)


def test_a_folder_becomes_csv_with_one_row_an_image(sfda_kit, here):
    result = sfda_kit("predict", "--run", "run", "target")
    rows = rows_of(result.stdout)
    assert sorted(row["path"] for row in rows) == sorted(p.as_posix() for p in Path("target").rglob("*.png"))
    assert {row["class"] for row in rows} <= set(TR)
    assert all(1 / len(TR) <= float(row["probability"]) <= 1 for row in rows)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_predictions_are_those_that_the_run_recorded(sfda_kit, here):
    import pyarrow.parquet as pq

    flags = "--source-card card --target-dir target --method shot --epochs 1 --batch-size 8 --encoding jet --json"
    summary = json.loads(sfda_kit("adapt", *flags.split()).stdout.splitlines()[-1])
    recorded = pq.read_table(Path(summary["run_dir"]) / "predictions.parquet").to_pydict()
    rows = rows_of(sfda_kit("predict", "--run", summary["run_dir"], "target", "--batch-size", "5").stdout)
    by_name = {row["path"].removeprefix("target/"): row for row in rows}
    assert [by_name[name]["class"] for name in recorded["name"]] == recorded["prediction"]
    said = [float(by_name[name]["probability"]) for name in recorded["name"]]
    assert said == pytest.approx(recorded["probability"], abs=1e-5)


def test_json_and_a_file_hold_the_same_as_stdout(sfda_kit, here):
    rows = rows_of(sfda_kit("predict", "--run", "run", "target/bar", "target/disc/0.png").stdout)
    result = sfda_kit(
        "predict", "--run", "run", "target/bar", "target/disc/0.png", "--format", "json", "--out", "p.json"
    )
    assert result.stdout == ""
    objects = json.loads(Path("p.json").read_text())
    assert [(o["path"], o["class"]) for o in objects] == [(r["path"], r["class"]) for r in rows]
    assert [o["probability"] for o in objects] == pytest.approx([float(r["probability"]) for r in rows], abs=1e-6)


def test_metres_and_millimetres_of_one_scene_predict_alike(sfda_kit, here):
    millimetres = np.asarray(Image.open("target/ring/0.png"))
    np.save("metres.npy", millimetres.astype(np.float32) / 1000)
    first = rows_of(sfda_kit("predict", "--run", "run", "target/ring/0.png").stdout)[0]
    asked = sfda_kit("predict", "--run", "run", "metres.npy", "--depth-unit", "m")
    second = rows_of(asked.stdout)[0]
    assert "notice: --depth-unit is called --unit now" in asked.stderr
    assert first["class"] == second["class"]
    assert float(first["probability"]) == pytest.approx(float(second["probability"]), abs=1e-4)


def test_an_unreadable_image_stops_or_is_reported(sfda_kit, here):
    Path("target/bar/broken.png").write_bytes(b"nonsense")
    assert "target/bar/broken.png" in refusal(sfda_kit("predict", "--run", "run", "target/bar"))
    result = sfda_kit("predict", "--run", "run", "target/bar", "--skip-bad")
    assert result.exit_code == 0
    assert len(rows_of(result.stdout)) == 6
    assert "skipped: target/bar/broken.png" in result.stderr


def test_an_unknown_depth_unit_is_assumed_aloud(sfda_kit, tmp_path, here):
    run = write_run(tmp_path, unit=None)
    assert "read as millimetres" in sfda_kit("predict", "--run", run, "target/bar").stderr
    assert sfda_kit("predict", "--run", run, "target/bar", "--unit", "mm").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--run", "nowhere", "target"), "nowhere holds no adapted model"),
        (("--run", "run", "nothing.png"), "nothing.png"),
        (("--run", "run", "empty"), "empty holds no image"),
        (("--run", "run", "notes.txt"), "has a format that is not read"),
        (("--run", "run", "ti/rgb/bar-0.png"), "ti/rgb/bar-0.png"),
        (("--run", "run", "target", "--format", "xml"), "expected csv or json"),
        (("--run", "run", "target", "--unit", "cm"), "expected mm or m"),
        (("--run", "run", "nothing.png", "--skip-bad"), "None of the 1 images"),
        (("--run", "run", "target", "--out", "notes.txt/p.csv"), "choose another folder with --out"),
    ],
)
def test_bad_input_of_predict_gets_a_message(sfda_kit, here, arguments, said):
    Path("empty").mkdir()
    Path("notes.txt").write_text("hello")
    assert said in refusal(sfda_kit("predict", *arguments))


def test_weights_of_another_model_are_refused(sfda_kit, here):
    weights = Path("run/model/model.safetensors")
    tensors = load_file(weights)
    tensors["network.classifier.bias"][0] += 1e-3
    save_file(tensors, weights)
    assert "have been changed" in refusal(sfda_kit("predict", "--run", "run", "target"))


def test_a_card_with_classes_in_another_order_is_refused(sfda_kit, here):
    card = Path("run/model/card.json")
    told = json.loads(card.read_text())
    told["source"]["classes"].reverse()
    card.write_text(json.dumps(told))
    assert "checksum does not fit" in refusal(sfda_kit("predict", "--run", "run", "target"))


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


def logits_of(run: Path, batch: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return load_model(run)[0](batch).logits.numpy()


def test_safetensors_hold_plain_weights_and_say_how_to_feed_them(sfda_kit, here):
    result = sfda_kit("export", "--run", "run", "--format", "safetensors")
    path = Path(result.stdout.strip())
    assert path == Path("run/export/model.safetensors")
    with safe_open(path, "pt") as file:
        said, names = file.metadata(), set(file.keys())
    assert json.loads(said["classes"]) == list(TR)
    assert json.loads(said["mean"]) == [0.5, 0.5, 0.5]
    assert json.loads(said["input_size"]) == SIDE
    assert json.loads(said["encoding"])["name"] == "jet"
    assert said["depth_unit"] == "mm" and said["backbone"] == "test_resnet"
    assert "network.classifier.weight" in names and not any("parametrizations" in name for name in names)


@pytest.mark.parametrize("bridge", ["copy", "unet"])
@pytest.mark.needs_plugin(of="bridge")
def test_onnx_computes_what_torch_computes_for_any_batch(sfda_kit, tmp_path, bridge):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = write_run(tmp_path, bridge)
    out = tmp_path / "model.onnx"
    assert sfda_kit("export", "--run", run, "--format", "onnx", "--out", out).exit_code == 0
    session = onnxruntime.InferenceSession(out)
    assert [entry.name for entry in session.get_inputs()] == ["images"]
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(TR)
    for count in (1, 7):
        batch = images(count)
        logits, probabilities = session.run(["logits", "probabilities"], {"images": batch.numpy()})
        expected = logits_of(run, batch)
        assert np.abs(logits - expected).max() < 1e-4
        assert np.abs(probabilities - torch.tensor(expected).softmax(1).numpy()).max() < 1e-5


def test_onnx_without_its_packages_says_what_to_install(sfda_kit, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "pip install 'sfda-kit[onnx]'" in refusal(sfda_kit("export", "--run", "run", "--format", "onnx"))


def test_bad_input_of_export_gets_a_message(sfda_kit, here):
    assert "expected safetensors or onnx" in refusal(sfda_kit("export", "--run", "run", "--format", "tflite"))
    assert "holds no adapted model" in refusal(sfda_kit("export", "--run", "nowhere"))
