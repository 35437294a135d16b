"""Whether runs are of a suite: its protocol, all its cells, and which version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import Suite
from sfda_kit.config.models import RunConfig
from sfda_kit.errors import UserError
from sfda_kit.submissions.pack import pack
from sfda_kit.submissions.suite import check_suite, protocol, suite_cells

from .conftest import ROOMS, TINY
from .hostile import Files

SUITE = {
    "name": "tiny",
    "version": 3,
    "title": "for tests",
    "tasks": {"depth": {}},
    "methods": ["source-only", "oracle"],
    "models": {"test_resnet": {"model": TINY}},
    "seeds": [0, 1],
    "settings": {
        "dataset": {"name": "rooms", "options": ROOMS, "minimum_images": 1},
        "source": {"epochs": 2, "batch_size": 16, "floor": 0},
    },
}


def cells(**changes: object) -> list[RunConfig]:
    return [cell.config for cell in expand(Suite.model_validate({**SUITE, **changes}))]


def changed(config: RunConfig, section: str, **values: object) -> RunConfig:
    part = getattr(config, section).model_copy(update=values)
    return config.model_copy(update={section: part})


def test_all_cells():
    found = {str(k): config for k, config in enumerate(cells())}
    report = check_suite(found, cells())
    assert not report.strangers and not report.missing


def test_device_and_folder_of_the_data_are_not_compared():
    first, *rest = cells()
    moved = changed(changed(first, "dataset", root=Path("/elsewhere")), "compute", device="cuda")
    report = check_suite({"a": moved}, [first, *rest])
    assert not report.strangers
    assert protocol(moved) == protocol(first) != protocol(changed(first, "adapt", lr=1.0))
    assert protocol(changed(first, "compute", precision="bf16")) != protocol(first)


def test_who_says_that_settings_were_tuned_hands_in_the_same_cell():
    tuned = cells()[0].model_copy(update={"tuned_with_labels": True})
    assert check_suite({"one": tuned}, cells()).strangers == {}


def test_a_stranger_is_named_with_what_differs():
    first, *rest = cells()
    report = check_suite({"a": changed(first, "source", epochs=99)}, [first, *rest])
    assert report.strangers == {"a": "no cell of the suite has its settings; closest but for source.epochs"}


def test_missing_cells_are_those_of_the_methods_that_are_there():
    found = {str(k): config for k, config in enumerate(cells()) if config.method == "oracle" and config.seed == 0}
    report = check_suite(found, cells())
    assert report.missing == ["oracle, rooms rgb@kv1 -> depth@kv1, test_resnet, seed 1"]


def test_a_new_method_under_the_protocol_of_the_suite():
    mine = [config.model_copy(update={"method": "mine"}) for config in cells() if config.method == "oracle"]
    report = check_suite({"a": mine[0]}, cells())
    assert not report.strangers and [name.split(",")[0] for name in report.missing] == ["mine"]


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(SUITE))
    return path


def test_packed_and_checked_as_one_of_a_suite(
    runs: dict[str, Path], suite_file: Path, check: Callable[..., tuple[int, str]], tmp_path: Path
):
    data = pack(list(runs.values()), tmp_path / "a.zip", {"suite": str(suite_file)}).path.read_bytes()
    code, output = check(data, "--suite", suite_file)
    assert code == 0 and "2 cells of the suite have no run" in output
    code, output = check(data)
    assert code == 0 and "There is no suite 'tiny'" in output  # a stranger's word opens no file
    suite_file.write_text(yaml.safe_dump({**SUITE, "version": 4}))
    code, output = check(data, "--suite", suite_file)
    assert code == 1 and "of the suite tiny version 3; here it is tiny version 4" in output
    suite_file.write_text(yaml.safe_dump({**SUITE, "settings": {**SUITE["settings"], "adapt": {"lr": 0.5}}}))
    code, output = check(data, "--suite", suite_file)
    assert code == 1 and "closest but for adapt.lr" in output


def test_an_archive_of_no_suite(files: Files, suite_file: Path, check: Callable[..., tuple[int, str]]):
    code, output = check(files, "--suite", suite_file)
    assert code == 1 and "it is not packed as one of the suite" in output


def test_runs_that_are_not_of_the_suite_are_not_packed(runs: dict[str, Path], tmp_path: Path):
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump({**SUITE, "seeds": [7]}))
    with pytest.raises(UserError, match="no cell of the suite has its settings; closest but for seed"):
        pack(list(runs.values()), tmp_path / "a.zip", {"suite": str(path)})


def test_a_suite_that_is_not_there():
    with pytest.raises(UserError, match="no suite"):
        suite_cells("none")
