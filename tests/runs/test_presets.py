"""Presets of methods: what they set, what wins over them, and what the command line says of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from sfda_kit import Component, Deviation, Recipe
from sfda_kit.config.loading import load_config
from sfda_kit.errors import UserError
from sfda_kit.plugins.deviations import deviations_table
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.registry import Registry

HOME = """
summary: Office-Home, as published
origin: "https://example.org @ 1234567, train.py"
settings:
  model: {backbone: resnet18, pretrained: true, image_size: 96}
  source: {epochs: 7}
  adapt: {lr: 0.001, epochs: 40, weight_decay: 5.0e-4, schedule: constant, drop_last: false}
  recipe: {aligners: {infomax: 2}}
notes: |
  The authors choose the epoch by target labels.
"""
DEVIATION = Deviation("equation 4", "a sum | all", "a mean", "batch size", "nothing at 64")


@pytest.fixture(autouse=True)
def method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "stranger_presets" / "presets" / "published"
    folder.mkdir(parents=True)
    (folder.parents[1] / "__init__.py").write_text("")
    (folder / "office-home.yaml").write_text(HOME)
    (folder / "broken.yaml").write_text("summary: x\norigin: y\nsetings: {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stranger_presets", raising=False)
    part = Component(
        "published",
        "a_stranger:METHOD",
        "a method",
        settings={"adapt": {"lr": 0.5, "momentum": 0.0}},
        presets="stranger_presets:presets/published",
        deviations=(DEVIATION,),
        kind="method",
        owner="a-stranger",
    )
    monkeypatch.setitem(registry().components, ("method", "published"), part)
    load = Component.load
    recipe = Recipe.model_validate({"aligners": {"infomax": 1.0}})
    monkeypatch.setattr(Component, "load", lambda self: recipe if self.name == "published" else load(self))


def test_a_preset_lies_over_the_methods_settings_and_under_the_users():
    config = load_config({"method": "published", "preset": "office-home", "adapt": {"lr": 0.25}})
    assert config.preset == "office-home"
    assert config.adapt.lr == 0.25 and config.adapt.epochs == 40 and config.adapt.weight_decay == 5e-4
    assert config.adapt.momentum == 0.0  # the method's, which the preset leaves alone
    assert config.adapt.backbone_lr_factor == 0.1  # that of the preset pretrained
    assert config.model.backbone == "resnet18" and config.source.epochs == 7
    assert load_config({"method": "published"}).adapt.lr == 0.5


def test_users_changes_of_the_recipe_add_to_the_presets():
    config = load_config({"method": "published", "preset": "office-home", "recipe": {"aligners": {"entropy": 1}}})
    assert {name: term["weight"] for name, term in config.recipe["aligners"].items()} == {"infomax": 2, "entropy": 1}


def test_an_unknown_preset_is_named_with_those_that_exist():
    with pytest.raises(UserError, match=r"no preset 'office-hom'.*office-home"):
        load_config({"method": "published", "preset": "office-hom"})
    with pytest.raises(UserError, match="no preset 'office-home'"):
        load_config({"method": "source-only", "preset": "office-home"})


def test_a_damaged_preset_names_itself_and_its_owner():
    with pytest.raises(UserError, match=r"(?s)'broken'.*a-stranger.*setings.*settings"):
        load_config({"method": "published", "preset": "broken"})


def test_show_tells_presets_and_deviations(sfda_kit: Any, tmp_path: Path):
    (tmp_path / "stranger_presets/presets/published/broken.yaml").unlink()
    shown = sfda_kit("plugins", "show", "published").stdout
    for text in ("published", "a-stranger", "preset office-home: Office-Home, as published", "target labels"):
        assert text in shown
    for text in ("equation 4", "a sum | all", "a mean", "batch size", "nothing at 64"):
        assert text in shown


def test_show_of_an_unknown_part_is_a_users_mistake(sfda_kit: Any):
    result = sfda_kit("plugins", "show", "publisht")
    assert result.exit_code == 2 and "Did you mean 'published'" in str(result.exception)


def test_the_table_has_one_row_for_each_deviation():
    method = Component("m", "a:b", "m", deviations=(DEVIATION, DEVIATION), kind="method", owner="owner")
    found = Registry.of([method, Component("a", "a:b", "a", deviations=(DEVIATION,), kind="aligner", owner="owner")])
    lines = deviations_table(found).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| `m`", "| `m`", "| `a`"]
    assert "a sum \\| all" in lines[2]
