"""Methods of suites and studies that are files: found beside the suite, kept in the study, named as they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sfda_kit import Recipe
from sfda_kit.bench.ablation import check_study, keep_study, make_study
from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import load_suite, read_suite
from sfda_kit.errors import UserError
from sfda_kit.runs.plan import plan_method

Write = Callable[..., Path]
MINE = "name: {}\nsettings: {{adapt: {{epochs: 9, lr: 0.5}}}}\naligners: {{infomax: {}}}\n"


@pytest.fixture
def write(suite_file: Write) -> Write:
    """A suite with two methods in files below its folder, which is not the working folder."""

    def with_files(**changes: Any) -> Path:
        path = suite_file(**{"methods": ["recipes/one.yaml", "source-only"], **changes})
        (path.parent / "recipes").mkdir()
        (path.parent / "recipes/one.yaml").write_text(MINE.format("one", 1))
        (path.parent / "recipes/two.yml").write_text(MINE.format("two", 0.5))
        return path

    return with_files


def test_a_method_of_a_suite_is_a_file_beside_it_and_is_called_as_the_file_says(write: Write):
    suite = load_suite(str(write()))
    assert list(suite.methods) == ["file:one", "source-only"]
    config = expand(suite)[0].config
    assert config.method == "file:one" and config.file_recipe == Recipe.model_validate({"aligners": {"infomax": 1}})
    assert config.adapt.lr == 0.5, "the file sets it"
    assert config.adapt.epochs == 2, "the suite sets it"
    assert expand(suite)[1].config.file_recipe is None


def test_a_variant_of_a_file_has_the_name_and_the_settings_of_the_suite(write: Write):
    variants = {"strong": {"method": "recipes/one.yaml", "recipe": {"aligners": {"infomax": 2}}}, "recipes/two.yml": {}}
    suite = load_suite(str(write(methods=variants)))
    assert list(suite.methods) == ["strong", "file:two"]
    first, second = (plan_method(cell.config).identity() for cell in expand(suite))
    assert first["recipe"]["phases"][0]["aligners"]["infomax"]["weight"] == 2
    assert (first["config"]["method"], second["config"]["method"]) == ("file:one", "file:two")


def test_two_files_with_one_name_are_refused(write: Write):
    path = write(methods=["recipes/one.yaml", "recipes/two.yml"])
    (path.parent / "recipes/two.yml").write_text(MINE.format("one", 1))
    with pytest.raises(UserError, match=r"are called file:one\. Give each method a name of its own"):
        load_suite(str(path))


def test_a_mistake_in_a_file_names_the_file(write: Write):
    path = write()
    (path.parent / "recipes/one.yaml").write_text("name: one\naligners: {infomx: 1}")
    with pytest.raises(UserError, match=r"recipes/one.yaml is not valid:\n  line 2, aligners.infomx: Unknown aligner"):
        load_suite(str(path))


def test_a_study_varies_files_and_what_is_kept_of_it_needs_them_no_more(write: Write):
    factors = {"method": ["recipes/one.yaml", "source-only"], "adapt.lr": [0.1, 0.2]}
    grid = {"factors": factors, "exclude": [{"method": "recipes/one.yaml", "adapt.lr": 0.2}]}
    path = write(methods=["source-only"], grid=grid)
    study = make_study(read_suite(str(path)), {}, {})
    check_study(study)
    cells = expand(study.expanded())
    assert [cell.method for cell in cells] == [
        "source-only",
        "method=file:one, adapt.lr=0.1",
        "method=source-only, adapt.lr=0.1",
        "method=source-only, adapt.lr=0.2",
    ]
    kept = keep_study(study, Path("kept"))
    (path.parent / "recipes/one.yaml").unlink()
    assert expand(load_suite(str(kept))) == cells


def test_levels_that_are_files_replace_the_method_of_the_grid_whole(write: Write):
    grid = {"base": {"method": "recipes/one.yaml"}, "factors": {"method": ["recipes/two.yml", "recipes/one.yaml"]}}
    _, first, second = expand(load_suite(str(write(methods=["source-only"], grid=grid))))
    assert first.config.file_recipe == Recipe.model_validate({"aligners": {"infomax": 0.5}})
    assert second.config.file_recipe == Recipe.model_validate({"aligners": {"infomax": 1}})


def test_a_study_of_one_file_from_the_command_line_is_called_after_it():
    Path("one.yaml").write_text(MINE.format("one", 1))
    study = make_study(None, {"method": "one.yaml"}, {"aligners.infomax": [0.5, 1]}, seeds=(0,))
    assert study.name == "ablate-one"
    first, second = expand(study.expanded())
    assert (first.method, second.method) == ("infomax=0.5", "infomax=1")
    assert first.config.method == second.config.method == "file:one"
