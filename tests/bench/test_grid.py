"""Grids: which variants they make, and what is said of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from sfda_kit.bench.ablation import check_study, make_study
from sfda_kit.bench.cells import expand
from sfda_kit.bench.grid import BASE, OWN, Grid, label
from sfda_kit.bench.suite import Suite, checked_suite
from sfda_kit.errors import UserError

TGKT = {"method": "tgkt"}


def suite(**grid: Any) -> Suite:
    data = {"name": "tiny", "version": 1, "title": "t", "tasks": {"to depth": {}}, "grid": {"base": TGKT, **grid}}
    return checked_suite(data, "suite")


def names(made: Suite) -> list[str]:
    return list(made.expanded().methods)


def test_the_full_design_has_every_combination_in_order():
    made = suite(factors={"bridge": ["copy", "unet"], "recipe.labeler": ["none", "centroid"]})
    assert names(made) == [f"bridge={b}, labeler={x}" for b in ("copy", "unet") for x in ("none", "centroid")]
    config = expand(made.expanded())[0].config
    assert (config.method, config.recipe) == ("tgkt", {"bridge": {"name": "copy"}, "labeler": None})


def test_the_three_forms_of_a_factor_say_the_same():
    wanted = [{"adapt": {"lr": 0.01}}, {"adapt": {"lr": 0.02}}]
    forms: list[dict[str, Any]] = [
        {"adapt.lr": [0.01, 0.02]},
        {"rate": {"adapt.lr": [0.01, 0.02]}},
        {"rate": {0.01: wanted[0], "0.02": wanted[1]}},
    ]
    for factors in forms:
        grid = Grid.model_validate({"base": TGKT, "factors": factors})
        (levels,) = grid.factors.values()
        assert levels == {"0.01": wanted[0], "0.02": wanted[1]}


def test_short_names_reach_the_recipe():
    factors = {
        "aligners.bn-stats": [0, 0.1],
        "train": ["bottleneck", "batch-norm"],
        "bridge.objective.features": [0, 1],
    }
    grid = Grid.model_validate({"base": TGKT, "factors": factors})
    assert grid.factors["bn-stats"]["0.1"] == {"recipe": {"aligners": {"bn-stats": 0.1}}}
    assert grid.factors["train"]["bottleneck"] == {"recipe": {"train": "bottleneck"}}
    assert grid.factors["bridge.objective.features"]["0"] == {"recipe": {"bridge": {"objective": {"features": 0}}}}


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_one_at_a_time_varies_each_factor_round_the_recipes_own_setting():
    factors = {"bridge": ["copy", "unet"], "labeler": ["none"], "distill": {"aligners.distill": [0.5, 1]}}
    made = suite(factors=factors, design="one-at-a-time")
    assert names(made) == [BASE, "bridge=copy", "labeler=none", "distill=0.5"]
    assert made.grid is not None
    variants = made.grid.variants({})
    assert variants[0].levels == {"bridge": "unet", "labeler": OWN, "distill": "1"}
    assert variants[1].levels == {"bridge": "copy", "labeler": OWN, "distill": "1"}
    assert made.grid.levels(variants) == {
        "bridge": ("unet", "copy"),
        "labeler": (OWN, "none"),
        "distill": ("1", "0.5"),
    }


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_bridges_default_weight_is_its_own_setting():
    made = suite(factors={"L_IM": {"bridge.objective.infomax": [0, 0.3]}}, design="one-at-a-time")
    assert names(made) == [BASE, "L_IM=0"]


def test_excluded_combinations_are_left_out():
    factors = {"bridge": ["copy", "unet"], "labeler": ["none", "centroid"]}
    made = suite(factors=factors, exclude=[{"bridge": "copy", "labeler": "none"}])
    assert "bridge=copy, labeler=none" not in names(made) and len(names(made)) == 3
    assert len(names(suite(factors=factors, exclude=[{"bridge": "copy"}]))) == 2


def test_the_method_can_be_a_factor_and_references_stand_beside_the_grid():
    data = {"name": "x", "version": 1, "title": "t", "tasks": {"a": {}}, "methods": ["source-only"], "seeds": [0]}
    made = checked_suite({**data, "grid": {"factors": {"method": ["shot", "socket"]}}}, "suite").expanded()
    assert [cell.config.method for cell in expand(made)] == ["source-only", "shot", "socket"]


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"factors": {}}, "grid.factors"),
        ({"factors": {"bridge": ["copy"]}}, r"'bridge' has one level \(copy\), so there is nothing to compare it with"),
        ({"factors": {"bridge": []}}, "'bridge' has no level: the grid is empty"),
        ({"factors": {"bridge": ["copy", "copy"]}}, "'bridge' has the level copy twice"),
        ({"factors": {"bridge": "copy"}}, r"'bridge' is 'copy'; expected a list of values"),
        ({"factors": {"brige": ["a", "b"]}}, "no setting 'brige' to vary. Did you mean 'bridge'"),
        ({"factors": {"bridge": ["copy", "unet"], "recipe.bridge": ["a", "b"]}}, "a factor stands here twice"),
        ({"factors": {"bridge": ["copy", "unet"]}, "base": {}}, "which method"),
        ({"factors": {"method": ["shot", "tgkt"]}, "base": {}, "design": "one-at-a-time"}, "which method"),
        ({"factors": {"bridge": ["copy", "unet"]}, "exclude": [{"brige": "a"}]}, "no factor 'brige'"),
        ({"factors": {"bridge": ["copy", "unet"]}, "exclude": [{"bridge": "cop"}]}, "no level 'cop'. Did you mean"),
        ({"factors": {"bridge": ["copy", "unet"]}, "exclude": [{"bridge": "copy"}]}, "grid is empty: `exclude`"),
        pytest.param(
            {"factors": {"labeler": ["centroid"]}, "design": "one-at-a-time"},
            "no level beside the recipe's own",
            marks=pytest.mark.needs_plugin("sfda-kit-tgkt"),
        ),
        (
            {"factors": {"bridge": ["copy", "unet"]}, "desing": 1},
            "grid.desing: there is no such key. Did you mean .design",
        ),
    ],
)
def test_a_wrong_grid_is_refused_with_the_reason(grid: dict[str, Any], said: str):
    with pytest.raises(UserError, match=said):
        suite(**grid).expanded()


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ({"bridge": ["copy", "unett"]}, "bridge=unett: Unknown bridge 'unett'. Did you mean 'unet'"),
        ({"labeler": ["none", "centroids"]}, "labeler=centroids: Unknown labeler 'centroids'"),
        ({"aligners.bn-stat": [0, 1]}, "bn-stat=0: Unknown aligner 'bn-stat'"),
        ({"method": ["shot", "shto"]}, "method=shto: Unknown method 'shto'"),
        ({"adapt.rate": [1, 2]}, "adapt.rate=1.*\n.*adapt.rate: there is no such key"),
        ({"recipe.trian": ["bottleneck", "backbone"]}, "A recipe has no key 'trian'. Did you mean 'train'"),
    ],
)
@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-socket", "sfda-kit-tgkt")
def test_an_unknown_part_or_setting_is_refused_before_any_work(factors: dict[str, Any], said: str):
    with pytest.raises(UserError, match=said):
        check_study(make_study(None, TGKT, factors))


def test_a_study_needs_something_to_vary():
    with pytest.raises(UserError, match="The grid is empty: nothing is varied"):
        make_study(None, TGKT, {})
    plain = checked_suite({"name": "x", "version": 1, "title": "t", "tasks": {"a": {}}, "methods": ["shot"]}, "suite")
    with pytest.raises(UserError, match="'x' has no grid, so there is nothing to vary"):
        make_study(plain, {}, {"bridge": ["copy", "unet"]})


def test_a_variant_named_like_a_method_is_refused():
    made = suite(factors={"bridge": ["copy", "unet"]})
    with pytest.raises(UserError, match="has a method 'bridge=copy' and a variant of that name"):
        made.model_copy(update={"methods": {"bridge=copy": {}}}).expanded()


def test_flags_win_over_a_files_settings_and_add_factors():
    file = suite(factors={"bridge": ["copy", "unet"]})
    made = make_study(file, {"adapt": {"epochs": 3}}, {"labeler": ["none", "centroid"]}, seeds=[5])
    cells = expand(made.expanded())
    assert len(cells) == 4 and {cell.seed for cell in cells} == {5}
    assert {cell.config.adapt.epochs for cell in cells} == {3}


@pytest.mark.parametrize(
    ("value", "text"),
    [("unet", "unet"), (None, "none"), ([], "none"), (["a", "b"], "a+b"), (0.1, "0.1"), (1, "1"), (True, "true")],
)
def test_levels_have_short_names(value: Any, text: str):
    assert label(value) == text
