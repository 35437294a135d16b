"""``sfda-kit adapt`` as a practitioner calls it: folders of images, no label anywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sfda_kit.training.loop import train_stage as real_train

from ..conftest import TR, last_json
from ..folders import save, write_card, write_folders


@pytest.fixture(scope="session")
def folders_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("folders")
    write_folders(root)
    write_card(root / "card")
    return root


@pytest.fixture
def here(private_home: Path, folders_template: Path) -> Path:
    """The current folder holds ``target``, ``ti`` and ``card``."""
    shutil.copytree(folders_template, private_home, dirs_exist_ok=True)
    return private_home


@pytest.fixture
def adapt(sfda_kit, here):
    quick = ["--epochs", "2", "--batch-size", "8", "--bridge-epochs", "1"]

    def call(*arguments: str, method: str = "tgkt", ti: bool = True):
        given = ["--source-card", "card", "--target-dir", "target", "--method", method]
        return sfda_kit("adapt", *given, *(["--ti-dir", "ti"] if ti else []), *quick, *arguments)

    return call


def record_of(summary: dict) -> dict:
    return json.loads((Path(summary["run_dir"]) / "record.json").read_text())


def refusal(result) -> str:
    assert result.exit_code == 2
    return str(result.exception)


@pytest.mark.slow
@pytest.mark.pictures
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_tgkt_adapts_to_a_folder_and_reports_without_labels(adapt):
    result = adapt("--json")
    summary = last_json(result)
    folder = Path(summary["run_dir"])
    assert summary["status"] == "ok"
    assert set(summary["metrics"].values()) == {None}
    assert all(value > 0 for value in summary["cost"].values())
    for name in ("curves.png", "pairs.png"):
        assert (folder / "pictures" / name).stat().st_size > 1000
    for name in ("config.yaml", "events.jsonl", "history.json", "model/model.safetensors"):
        assert (folder / name).is_file(), name
    record = record_of(summary)
    assert record["metrics"] == {} and record["baselines"] == {}
    assert record["task"]["images"] == {"target-train": 24, "ti": 16}
    models = record["signals"]["models"]
    assert set(models) == {"source-only", "bridge", "adapted"}
    for entry in models.values():
        assert sum(entry["histogram"]) == 24
        assert 0 <= entry["entropy"] <= np.log(len(TR)) + 1e-6
        assert {"entropy", "infomax", "balance", "source-agreement"} <= set(entry["validators"])
    assert models["source-only"]["source_agreement"] == models["bridge"]["bridge_agreement"] == 1.0
    assert "agrees with the bridge" in result.stderr and "validator infomax" in result.stderr


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_predictions_name_every_image_and_agree_with_the_report(adapt, here):
    summary = last_json(adapt("--json"))
    table = pq.read_table(Path(summary["run_dir"]) / "predictions.parquet").to_pydict()
    assert table["name"] == sorted(p.relative_to("target").as_posix() for p in Path("target").rglob("*.png"))
    counts = [table["prediction"].count(name) for name in TR]
    assert counts == record_of(summary)["signals"]["models"]["adapted"]["histogram"]
    assert table["probability"] == pytest.approx([max(row) for row in table["probabilities"]])


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_method_without_pairs_needs_no_ti_dir(adapt):
    summary = last_json(adapt("--json", method="shot", ti=False))
    assert summary["status"] == "ok"
    assert set(record_of(summary)["signals"]["models"]) == {"source-only", "adapted"}
    assert not (Path(summary["run_dir"]) / "pictures" / "pairs.png").exists()


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_resume_reports_a_finished_run_and_a_new_call_is_a_new_run(adapt):
    first = last_json(adapt("--json", method="shot"))
    assert last_json(adapt("--json", "--resume", method="shot")) == first
    assert last_json(adapt("--json", method="shot"))["run_id"] != first["run_id"]


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_an_interrupted_run_resumes_to_the_same_result(adapt, monkeypatch):
    whole = last_json(adapt("--json", "--runs-dir", "whole"))

    def dies_in_the_second_epoch(stage, checkpoint, listener):
        for done in real_train(stage, checkpoint, listener):
            if stage.name == "adapt" and done == 2:
                raise KeyboardInterrupt
            yield done

    with monkeypatch.context() as patched:
        patched.setattr("sfda_kit.adaptation.recipe_method.train_stage", dies_in_the_second_epoch)
        assert adapt("--json").exit_code != 0
    resumed = last_json(adapt("--json", "--resume"))
    assert len(list(Path("runs").iterdir())) == 1
    tables = [pq.read_table(Path(run["run_dir"]) / "predictions.parquet") for run in (whole, resumed)]
    assert tables[0].equals(tables[1])
    assert record_of(whole)["signals"]["models"] == record_of(resumed)["signals"]["models"]


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_an_epoch_is_chosen_without_labels_and_is_the_model(adapt, monkeypatch):
    monkeypatch.setattr("sfda_kit.evaluate.monitor.is_collapsed", lambda *_: False)  # random weights know few classes
    summary = last_json(adapt("--json", "--select", "source-drift", "--set", "adapt.lr=0.1", method="shot"))
    record, folder = record_of(summary), Path(summary["run_dir"])
    history = json.loads((folder / "history.json").read_text())
    scores = [row["signals"]["validators"]["source-drift"] for row in history]
    selection = record["selection"]
    assert selection["result_epoch"] == selection["chosen_epoch"] == 1 + int(np.argmax(scores)) == 1
    assert selection["oracle"] is None and selection["regret"] is None and selection["chosen"] == {}
    row = history[selection["chosen_epoch"] - 1]
    models = record["signals"]["models"]["adapted"]
    assert models["histogram"] == row["signals"]["histogram"]
    assert models["validators"]["source-drift"] == scores[selection["chosen_epoch"] - 1]
    assert json.loads((folder / "model" / "card.json").read_text())["epochs"] == selection["chosen_epoch"]


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_the_bridge_is_trained_again_when_pixels_change_and_not_when_the_folder_moves(adapt, here):
    def bridges() -> int:
        stages = here / "cache" / "stages" / "bridge"
        return len([path for path in stages.iterdir() if path.is_dir()])

    adapt(method="tgmb")
    shutil.copytree(here / "target", here / "elsewhere")
    assert adapt("--target-dir", "elsewhere", method="tgmb").exit_code == 0
    assert bridges() == 1
    changed = next((here / "target").rglob("*.png"))
    save(changed, np.full((40, 40), 1500, dtype=np.uint16))
    adapt(method="tgmb")
    assert bridges() == 2


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_unreadable_images_are_listed_or_left_out(adapt, here):
    (here / "target" / "bar" / "broken.png").write_bytes(b"not a picture")
    (here / "ti" / "rgb" / "lonely.png").write_bytes((here / "ti" / "rgb" / "stripe-0.png").read_bytes())
    assert "broken.png" in refusal(adapt(method="shot"))
    result = adapt("--skip-bad", "--json", method="shot")
    notices = " ".join(record_of(last_json(result))["notices"])
    assert "broken.png" in notices and "lonely.png" in notices


@pytest.mark.parametrize(
    ("arguments", "method", "said"),
    [
        (("--source-card", "nowhere"), "shot", "There is no source card at nowhere"),
        (("--target-dir", "nowhere"), "shot", "--target-dir"),
        (("--ti-dir", "target"), "shot", "target/rgb"),
        (("--modality", "depht"), "shot", "'depth'"),
        (("--modality", "rgb"), "shot", "holds one channel of uint16"),
        ((), "oracle", "trains on target labels"),
        ((), "tgtk", "'tgkt'"),
        (("--encoding", "jett"), "shot", "'jet'"),
        (("--set", "dataset.tr_classes=[a,b]"), "shot", "dataset.tr_classes means nothing for a folder"),
        (("--set", "model.image_size=64"), "shot", "the source card card holds a network with 32"),
        (("--depth-unit", "cm"), "shot", "sun-rgbd-bits"),
    ],
)
@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-tgkt")
def test_bad_input_gets_a_message_and_leaves_no_run(adapt, arguments, method, said):
    assert said in refusal(adapt(*arguments, method=method))
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-tgkt")
def test_a_bridge_without_pairs_and_a_missing_card_say_what_to_give(adapt, sfda_kit):
    assert "--ti-dir" in refusal(adapt(ti=False))
    assert "--source-card DIR" in refusal(sfda_kit("adapt", "--method", "shot", "--target-dir", "target"))
    assert "--method NAME" in refusal(sfda_kit("adapt", "--target-dir", "target"))
    assert "--target-dir DIR" in refusal(sfda_kit("adapt", "--method", "shot", "--source-card", "card"))


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_failure_prints_the_json_object_with_its_error(adapt):
    result = adapt("--target-dir", "nowhere", "--json", method="shot")
    assert result.exit_code == 2
    summary = last_json(result)
    assert summary["status"] == "failed" and "nowhere" in summary["error"]


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_source_model_near_chance_stops_the_run(adapt, here):
    write_card(here / "weak", accuracy=26.0)
    result = adapt("--source-card", "weak", method="shot")
    assert result.exit_code == 1 and "nothing to transfer" in str(result.exception)
    assert adapt("--source-card", "weak", "--source-floor", "0", method="shot").exit_code == 0
