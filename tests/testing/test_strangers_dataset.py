"""A stranger's data set passes its suite, and gets what the documented members bring."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.copies import copies_of
from sfda_kit.errors import PartError
from sfda_kit.testing import DatasetConformance

from .shots import Shots, write_shots


class TestShots(DatasetConformance):
    name = "shots"

    @pytest.fixture(autouse=True)
    def installed(self, install) -> None:
        install("shots_plugin", DECLARED)

    def make(self, folder: Path) -> Path:
        return write_shots(folder)


DECLARED = f"""
import sfda_kit
@sfda_kit.hookimpl
def sfda_kit_register_dataset():
    return [sfda_kit.Component("shots", "{Shots.__module__}:Shots", "cups, jugs and pans")]
"""
ROWS = {"source": np.array([4]), "target-train": np.array([0, 2]), "target-test": np.array([1, 3]), "ti": np.array([5])}


def opened(kind: type[Shots], folder: Path) -> Shots:
    return kind(DatasetConfig(name="shots", root=write_shots(folder)))


def test_copies_of_held_out_images_are_found(tmp_path: Path):
    dataset = opened(Shots, tmp_path / "shots")
    assert copies_of(dataset, ROWS, "rgb", "depth") == {}
    names = dataset.image_files(np.arange(6), "depth").files
    shutil.copy(dataset.root / names[2], dataset.root / names[3])
    found = copies_of(dataset, ROWS, "rgb", "depth")
    assert list(found) == [3] and f"the same as {names[2]} (target-train)" in found[3]


def test_no_copies_are_looked_for_in_a_set_in_one_file(tmp_path: Path):
    packed = type("Packed", (Shots,), {"in_one_file": True, "image_files": None})
    assert copies_of(opened(packed, tmp_path / "shots"), ROWS, "rgb", "depth") == {}


def test_image_files_that_are_not_one_for_each_row_are_refused(tmp_path: Path):
    def first_only(self, rows, modality):
        return Shots.image_files(self, rows[:1], modality)

    short = type("Short", (Shots,), {"image_files": first_only})
    with pytest.raises(PartError, match="1 image files for 2 rows; expected one for each row"):
        copies_of(opened(short, tmp_path / "shots"), ROWS, "rgb", "depth")


def test_groups_are_named_by_number_where_the_set_has_no_names(tmp_path: Path):
    assert opened(Shots, tmp_path / "shots").group_name(4) == "number 4"
