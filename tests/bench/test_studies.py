"""The studies that come with the project: every file is a grid that expands, with parts that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfda_kit.bench.ablation import check_study
from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import load_suite, read_suite

FILES = sorted((Path(__file__).parents[2] / "benchmarks" / "studies").glob("*.yaml"))


def test_there_are_studies():
    assert len(FILES) >= 12


@pytest.mark.needs_plugin("sfda-kit-bridged", "sfda-kit-shot", "sfda-kit-socket", "sfda-kit-tgkt")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_expands_to_cells_with_parts_that_exist(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SFDA_KIT_NYU_DIR", str(tmp_path))
    study = read_suite(str(path))
    crops = path.stem.endswith("-crops")
    assert study.name == path.stem and study.grid is not None
    assert study.seeds == tuple(range(5 if crops or path.stem == "precision" else 3))
    check_study(study)
    cells = expand(load_suite(str(path)))
    variants = study.grid.variants(study.settings)
    assert len(cells) == len(study.tasks) * len(study.seeds) * (len(variants) + len(study.methods))
    assert {cell.config.dataset.name for cell in cells} == {"paired-folder" if crops else "rooms"}
    assert len({cell.config.digest() for cell in cells}) == len(cells)
