"""Suite files: what they expand to, and what is said of a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sfda_kit.bench.cells import Resolver, expand
from sfda_kit.bench.configurations import configurations_of
from sfda_kit.bench.suite import data_root, load_suite, shipped_suites
from sfda_kit.errors import UserError

Write = Callable[..., Path]


def test_cells_are_the_product_with_methods_outermost_and_seeds_innermost(suite_file: Write) -> None:
    suite = load_suite(str(suite_file(seeds=[3, 1], models=["test_resnet", "test_vit"])))
    places = [(cell.method, cell.model, cell.seed) for cell in expand(suite)]
    inner = [("test_resnet", 3), ("test_resnet", 1), ("test_vit", 3), ("test_vit", 1)]
    assert places == [(method, *rest) for method in ("source-only", "shot-im") for rest in inner]


def test_a_methods_settings_win_over_the_models_and_the_tasks_and_the_suites(suite_file: Write) -> None:
    methods = {"long": {"method": "shot", "adapt": {"epochs": 7}, "recipe": {"aligners": {"infomax": 0.5}}}}
    suite = load_suite(str(suite_file(methods=methods, models={"small": {"model": {"backbone": "test_resnet"}}})))
    config = expand(suite)[0].config
    assert (config.method, config.adapt.epochs, config.adapt.batch_size) == ("shot", 7, 16)
    assert (config.model.backbone, config.model.image_size) == ("test_resnet", 32)
    assert config.recipe["aligners"] == {"infomax": {"weight": 0.5}}


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_cell_is_known_by_what_decides_its_run(suite_file: Write) -> None:
    variants = {
        "a": {"method": "shot"},
        "same": {"method": "shot"},
        "its own setting": {"method": "shot", "recipe": {"train": "backbone+bottleneck"}},
        "another rate": {"method": "shot", "adapt": {"lr": 0.02}},
        "another term": {"method": "shot", "recipe": {"labeler": "none"}},
    }
    cells = expand(load_suite(str(suite_file(methods=variants, seeds=[0, 1]))))
    resolver = Resolver()
    first, second = ([resolver(cell).key for cell in cells if cell.seed == seed] for seed in (0, 1))
    for keys in (first, second):
        assert keys[0] == keys[1] == keys[2]
    assert len({*first, *second}) == 6
    configured = [resolver(cell).identity["config"] for cell in cells if cell.method in ("a", "its own setting")]
    assert configured[:2] == configured[2:], "a run found again is a run of the suite when it is handed in, too"


def test_cells_that_cannot_run_are_told_apart_by_what_they_ask_for(suite_file: Write) -> None:
    variants = {part: {"method": "shot", "recipe": {"labeler": part}} for part in ("nonesuch", "neither")}
    cells = [Resolver()(cell) for cell in expand(load_suite(str(suite_file(methods=variants, seeds=[0]))))]
    assert all(cell.reason for cell in cells) and cells[0].key != cells[1].key


def test_changed_data_make_other_cells(suite_file: Write, pairs_root: Path, tmp_path: Path) -> None:
    cell = expand(load_suite(str(suite_file())))[0]
    before = Resolver()(cell).key
    extra = pairs_root / "cam" / "rgb" / "disc" / "one-more.png"
    depth = pairs_root / "cam" / "depth" / "disc" / "one-more.png"
    try:
        extra.write_bytes((pairs_root / "cam" / "rgb" / "disc" / "disc00.png").read_bytes())
        depth.write_bytes((pairs_root / "cam" / "depth" / "disc" / "disc00.png").read_bytes())
        assert Resolver()(cell).key != before
    finally:
        extra.unlink()
        depth.unlink()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": ["shot"]}, "Did you mean 'methods'"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"methods": ["shot", "shot"]}, "stands here twice"),
        ({"methods": {}}, "methods"),
        ({"name": "Not a name"}, "name"),
        ({"settings": {"adapt": {"epoch": 3}}}, "Did you mean 'epochs'"),
        ({"timeout_minutes": 0}, "timeout_minutes"),
    ],
)
def test_a_wrong_suite_is_refused_with_the_key(suite_file: Write, changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        expand(load_suite(str(suite_file(**changes))))


def test_an_unknown_suite_names_the_shipped_ones() -> None:
    with pytest.raises(UserError, match=r"neither a file nor a shipped suite. Did you mean 'rooms-mini'"):
        load_suite("rooms-min")


def test_the_part_of_a_suite_must_exist(suite_file: Write) -> None:
    suite = load_suite(str(suite_file(seeds=[0, 1])))
    part = suite.only(["to depth"], ["shot-im"], [1])
    assert [(cell.method, cell.seed) for cell in expand(part)] == [("shot-im", 1)]
    with pytest.raises(UserError, match=r"no method 'shot'. Did you mean 'shot-im'"):
        suite.only([], ["shot"], [])


def test_a_data_root_of_an_unset_variable_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SFDA_KIT_NYU_DIR", raising=False)
    suite = load_suite("nyu-objects")
    with pytest.raises(UserError, match=r"that variable is not set. Set it, or name the folder: --data-root DIR"):
        data_root(suite, None)
    assert data_root(suite, Path("/given")) == Path("/given")
    monkeypatch.setenv("SFDA_KIT_NYU_DIR", "/pictures")
    assert data_root(suite, None) == Path("/pictures/nyuv2-objects")


@pytest.mark.parametrize("name", sorted(shipped_suites()))
def test_every_shipped_suite_expands(name: str) -> None:
    suite = load_suite(name)
    cells = expand(suite, Path("/data"))
    assert suite.name == name
    counts = {name: len(configurations_of(settings)) for name, settings in suite.methods.items()}
    by_place = [
        {*task.get("methods", suite.methods)} & {*model.get("methods", suite.methods)}
        for task in suite.tasks.values()
        for model in suite.models.values()
    ]
    rows = sum(counts[name] for names in by_place for name in names)
    assert len(cells) == rows * len(suite.seeds) * max(1, len(suite.fold_numbers))


def test_single_folds_of_a_suite_can_be_chosen(suite_file: Write) -> None:
    suite = load_suite(str(suite_file(seeds=[0], folds=4)))
    assert {cell.config.dataset.fold for cell in expand(suite)} == {0, 1, 2, 3}
    assert {cell.config.dataset.fold for cell in expand(suite.only([], [], [], [2]))} == {2}
    assert load_suite(str(suite_file(folds=[0, 3]))).fold_numbers == (0, 3)
    with pytest.raises(UserError, match=r"The suite has no fold '4'"):
        suite.only([], [], [], [4])
