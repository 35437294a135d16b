"""The study of what source models know: where both sensors see the same, it must find what the run found."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from ..conftest import FAST, TI, TR, last_json, load_study


@pytest.fixture
def study() -> ModuleType:
    return load_study("source_knowledge")


@pytest.fixture
def grey_root(pairs_root, tmp_path) -> Path:
    """The small data set with grey pictures: near-infrared says what RGB says."""
    root: Path = tmp_path / "grey"
    for path in (pairs_root / "cam" / "rgb").rglob("*.png"):
        grey = np.array(Image.open(path).convert("L"))
        for modality, pixels in (("rgb", np.stack([grey] * 3, axis=2)), ("nir", grey)):
            made = root / "cam" / modality / path.parent.name / path.name
            made.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(made)
    (root / "groups.csv").write_text((pairs_root / "groups.csv").read_text())
    return root


@pytest.mark.slow
def test_equal_halves_give_the_accuracy_of_the_run(study, grey_root, sfda_kit, tmp_path):
    data = ["--dataset", "paired-folder", "--data-root", grey_root, "--source", "rgb@cam", "--target", "nir@cam"]
    classes = ["--tr-classes", ",".join(TR), "--ti-classes", ",".join(TI), "--source-floor", "0"]
    ran = sfda_kit("run", "--method", "source-only", *data, *classes, *FAST, "--json")
    assert ran.exit_code == 0
    metrics = last_json(ran)["metrics"]
    study.main(["runs", "--out", str(tmp_path / "told")])
    rows = list(csv.DictReader((tmp_path / "told" / "source_knowledge.csv").open()))
    assert len(rows) == 1
    assert float(rows[0]["accuracy"]) == pytest.approx(metrics["heldout_accuracy"], abs=0.01)
    assert float(rows[0]["mean_class_accuracy"]) == pytest.approx(metrics["heldout_mean_class_accuracy"], abs=0.01)
    assert "| 1 |" in (tmp_path / "told" / "source_knowledge.md").read_text()


def test_folders_without_a_source_model_are_refused(study, tmp_path):
    with pytest.raises(SystemExit, match="no finished source-only run"):
        study.main([str(tmp_path)])
