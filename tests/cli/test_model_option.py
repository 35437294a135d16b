"""``--model package.module:function``: a network of the user's own, on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfda_kit.models import module_factories

from ..conftest import last_json

pytestmark = [pytest.mark.slow, pytest.mark.needs_plugin("sfda-kit-shot")]
NETWORK = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, 3, bias=False)

    def forward(self, images):
        return self.fc(self.stem(images).mean(dim=(2, 3)))

def build():
    torch.manual_seed(0)
    return Mine()
"""


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """A folder of a user with ``my_networks.py``, as the command line finds it; it is forgotten afterwards."""
    before = dict(module_factories._trusted)
    (tmp_path / "my_networks.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("my_networks", None)
    module_factories._trusted.clear()
    module_factories._trusted.update(before)


def test_the_command_line_takes_a_function_that_makes_the_module(networks, sfda_kit):
    (networks / "depth").mkdir()
    for row, image in enumerate(np.random.default_rng(0).integers(500, 4000, (8, 40, 40), dtype=np.uint16)):
        Image.fromarray(image).save(networks / f"depth/{row}.png")
    described = ("--classes", "cup,pen,box", "--image-size", "32", "--mean", "0,0,0", "--std", "1,1,1")
    card = sfda_kit("source", "import", "--model", "my_networks:build", *described).stdout.strip()
    adapt = ("adapt", "--method", "shot", "--source-card", card, "--target-dir", "depth", "--epochs", "1", "--json")
    module_factories._trusted.clear()
    refused = sfda_kit(*adapt, "--batch-size", "4")
    assert refused.exit_code == 2 and "--model my_networks:build" in str(refused.exception)
    ran = sfda_kit(*adapt, "--batch-size", "4", "--model", "my_networks:build")
    folder = json.loads(ran.stdout.splitlines()[-1])["run_dir"]
    module_factories._trusted.clear()
    assert "--model my_networks:build" in str(sfda_kit("predict", "depth", "--run", folder).exception)
    lines = sfda_kit("predict", "depth", "--run", folder, "--model", "my_networks:build").stdout.splitlines()
    assert len(lines) == 9


def test_a_source_model_is_trained_on_a_module(networks, sfda_kit, on_pairs):
    words = [*on_pairs, "--backbone", "my_networks:build", "--set", "model.bottleneck=8", "--json"]
    ran = sfda_kit("run", "--method", "shot", *words)
    assert ran.exit_code == 0, ran.exception
    summary = last_json(ran)
    assert summary["status"] == "ok"
    record = json.loads((Path(summary["run_dir"]) / "record.json").read_text())
    assert record["source"]["model"]["backbone"] == "my_networks:build"


def test_a_file_alone_runs_no_function(networks, sfda_kit):
    (networks / "mine.yaml").write_text("method: shot\nmodel: {backbone: 'my_networks:build'}\n")
    refused = sfda_kit("run", "--config", "mine.yaml")
    assert refused.exit_code == 2 and "not run on the word of a file" in str(refused.exception)
    assert "my_networks" not in sys.modules
    (networks / "suite.yaml").write_text(
        "name: own\nversion: 1\ntitle: own\nmethods: [shot]\nseeds: [0]\n"
        "tasks: {one: {dataset: {source: rgb@kv1, target: depth@kv1}}}\nmodels: ['my_networks:build']\n"
    )
    refused = sfda_kit("bench", "run", "suite.yaml", "--runs-dir", "runs")
    assert refused.exit_code and "not run on the word of a file" in refused.output + str(refused.exception)
    assert "my_networks" not in sys.modules
