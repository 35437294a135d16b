"""The library does what the commands do: a run, an adaptation without labels, predictions, a card and a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import sfda_kit

from ..conftest import TI, TR
from ..folders import SIDE, write_card, write_folders


@pytest.fixture
def settings(pairs_root: Path, tmp_path: Path) -> dict[str, object]:
    write_card(tmp_path / "card")
    data = {"name": "paired-folder", "root": pairs_root, "source": "rgb@cam", "target": "depth@cam"}
    return {
        "method": "shot",
        "dataset": {**data, "tr_classes": TR, "ti_classes": TI},
        "source": {"card": tmp_path / "card"},
        "adapt": {"epochs": 1, "batch_size": 16},
    }


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_run_is_recorded_and_found_again(settings, tmp_path: Path):
    config = sfda_kit.load_config(settings)
    record = sfda_kit.run(config, tmp_path / "runs")
    assert record.status == "ok" and 0 <= record.metrics["heldout_accuracy"] <= 100
    again = sfda_kit.run(config, tmp_path / "runs", resume=True)
    assert again.run_id == record.run_id and len(list((tmp_path / "runs").glob("shot-*"))) == 1
    model, card = sfda_kit.load_model(Path(record.run_dir))
    assert model(torch.zeros(2, 3, SIDE, SIDE)).logits.shape == (2, len(TR)) and card.source.classes == TR


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_folders_without_labels_are_adapted_to_and_predicted(tmp_path: Path):
    write_card(tmp_path / "card")
    write_folders(tmp_path)
    settings = {"method": "shot", "source": {"card": tmp_path / "card"}, "adapt": {"epochs": 1, "batch_size": 8}}
    folders = sfda_kit.ImageFolders(tmp_path / "target", None, "depth")
    record = sfda_kit.adapt_folders(sfda_kit.load_config(settings), folders, tmp_path / "runs")
    assert record.status == "ok" and record.metrics == {}
    assert set(record.signals["models"]) == {"source-only", "adapted"}
    found = list(sfda_kit.predict(Path(record.run_dir), [tmp_path / "target"], device="cpu"))
    assert len(found) == 6 * len(TR) and {one.label for one in found} <= set(TR)


def test_a_card_is_read_without_its_weights(tmp_path: Path):
    written = write_card(tmp_path / "card", accuracy=75.0)
    (tmp_path / "card" / "model.safetensors").unlink()
    assert sfda_kit.load_card(tmp_path / "card") == written


def test_mistakes_are_user_errors(tmp_path: Path):
    with pytest.raises(sfda_kit.UserError, match=r"adapt\.epoch.*Did you mean 'epochs'"):
        sfda_kit.load_config({"method": "source-only", "adapt": {"epoch": 1}})
    with pytest.raises(sfda_kit.UserError, match="holds no adapted model"):
        sfda_kit.predict(tmp_path, [])
