"""What a suite says of its cells beside settings: seeds of a method, methods of a network, the split, the precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sfda_kit.bench.ablation import make_study
from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import Suite, checked_suite
from sfda_kit.config.models import RunConfig
from sfda_kit.errors import UserError
from sfda_kit.submissions.suite import check_suite

SUITE: dict[str, Any] = {
    "name": "tiny",
    "version": 1,
    "title": "for tests",
    "tasks": {"depth": {}},
    "methods": ["source-only", "oracle"],
    "models": ["test_resnet"],
    "seeds": [0, 1],
}


def suite(**changes: Any) -> Suite:
    return checked_suite({**SUITE, **changes}, "suite").expanded()


def cells(**changes: Any) -> list[RunConfig]:
    return [cell.config for cell in expand(suite(**changes))]


def test_a_method_may_have_seeds_of_its_own_and_a_model_methods():
    wanted = suite(
        methods={"source-only": {"seeds": [0, 1, 2]}, "shallow": {"method": "oracle", "adapt": {"epochs": 2}}},
        models={"test_resnet": {}, "test_vit": {"methods": ["shallow"], "model": {"image_size": 96}}},
    )
    found = [(cell.method, cell.model, cell.seed) for cell in expand(wanted)]
    assert found == [
        *(("source-only", "test_resnet", seed) for seed in (0, 1, 2)),
        *(("shallow", model, seed) for model in ("test_resnet", "test_vit") for seed in (0, 1)),
    ]
    chosen = [(cell.method, cell.model, cell.seed) for cell in expand(wanted.only([], [], [2]))]
    assert chosen == [("source-only", "test_resnet", 2), ("shallow", "test_resnet", 2), ("shallow", "test_vit", 2)]
    assert [cell.method for cell in expand(wanted.only([], [], [7]))] == ["shallow", "shallow"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"methods": {"oracle": {"seeds": 3}}}, "oracle: seeds is 3; expected a list of whole numbers from 0"),
        ({"methods": {"oracle": {"seeds": [1, 1]}}}, "each once"),
        ({"methods": {"oracle": {"seeds": [True]}}}, "whole numbers"),
        ({"models": {"test_resnet": {"methods": ["orakel"]}}}, "no method 'orakel'. Did you mean 'oracle'"),
        ({"models": {"test_resnet": {"methods": "oracle"}}}, "expected a list of names"),
        ({"split_seed": "seeds"}, "split_seed"),
        ({"precision": "auto"}, "precision"),
    ],
)
def test_wrong_words_are_refused(changes: dict[str, Any], says: str):
    with pytest.raises(UserError, match=says):
        suite(**changes)


def test_the_split_follows_the_seed_and_all_cells_share_a_precision():
    found = cells(split_seed="seed", precision="bf16", seeds=[3, 5])
    assert [(one.seed, one.dataset.split_seed, one.compute.precision) for one in found] == 2 * [
        (3, 3, "bf16"),
        (5, 5, "bf16"),
    ]
    assert {one.dataset.split_seed for one in cells(split_seed=4)} == {4}
    assert cells() == cells(precision="fp32")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"split_seed": "seed", "settings": {"dataset": {"split_seed": 9}}},
            "settings has split_seed 9, and 'the suite' has 'seed'",
        ),
        ({"split_seed": 1, "tasks": {"depth": {"dataset": {"split_seed": 2}}}}, "the task 'depth' has split_seed 2"),
        (
            {"precision": "bf16", "methods": {"oracle": {"compute": {"precision": "fp32"}}}},
            "the method 'oracle' has precision 'fp32', and 'the suite' has 'bf16'",
        ),
        (
            {"settings": {"model": {"backbone": "resnet18"}}},
            "settings has backbone 'resnet18', and 'test_resnet' has 'test_resnet'",
        ),
        (
            {
                "tasks": {"depth": {"model": {"backbone_weights": "a"}}},
                "models": {"m": {"model": {"backbone_weights": "b"}}},
            },
            "the task 'depth' has backbone_weights 'a', and 'm' has 'b'",
        ),
    ],
)
def test_contradictions_are_errors(changes: dict[str, Any], says: str):
    with pytest.raises(UserError, match=says):
        cells(**changes)


def test_the_network_in_the_settings_is_the_model_where_none_is_listed():
    without = {key: value for key, value in SUITE.items() if key != "models"}
    assert [cell.model for cell in expand(checked_suite(without, "suite"))][:1] == ["resnet10t"]
    told = {**without, "settings": {"model": {"backbone": "test_vit", "image_size": 96}}}
    found = expand(checked_suite(told, "suite"))
    assert {(cell.model, cell.config.model.backbone, cell.config.model.image_size) for cell in found} == {
        ("test_vit", "test_vit", 96)
    }


def test_a_model_may_begin_with_named_weights(tmp_path: Path):
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "config.json").write_text('{"architecture": "test_efficientnet"}')
    weights = {"model": {"backbone_weights": str(tmp_path / "timm")}}
    (first, *_) = cells(models={"ours": weights})
    assert (first.model.backbone, first.preset) == ("test_efficientnet", "pretrained")
    without = {key: value for key, value in SUITE.items() if key != "models"}
    (first, *_) = [cell.config for cell in expand(checked_suite({**without, "settings": weights}, "suite"))]
    assert first.model.backbone == "test_efficientnet"


def test_missing_cells_follow_the_seeds_of_each_method_and_bf16_is_no_cell_of_fp32():
    whole = cells(methods={"source-only": {}, "oracle": {"seeds": [0]}, "shot": {"seeds": [0, 1]}})
    oracle = {"a": next(one for one in whole if one.method == "oracle")}
    assert check_suite(oracle, whole).missing == []
    mine = {"b": whole[0].model_copy(update={"method": "mine"})}
    assert [name[-6:] for name in check_suite(mine, whole).missing] == ["seed 1"]
    half = {"c": cells(precision="bf16")[0]}
    assert "compute.precision" in check_suite(half, whole).strangers["c"]
    assert check_suite(half, cells(precision="bf16")).strangers == {}


def test_a_study_keeps_what_a_suite_says():
    grid = {"base": {"method": "oracle"}, "factors": {"adapt.lr": [1, 2]}}
    study = make_study(checked_suite({**SUITE, "split_seed": "seed", "grid": grid}, "suite"), {}, {})
    assert yaml.safe_load(yaml.safe_dump(study.model_dump(mode="json", exclude_defaults=True)))["split_seed"] == "seed"
