"""Changes of a recipe from a file, from flags and from ``--set`` add up; none erases another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sfda_kit import Recipe
from sfda_kit.cli.flags import configuration
from sfda_kit.errors import UserError
from sfda_kit.interfaces.recipe import AlignerConfig, BridgeConfig, LabelerConfig, Phase
from sfda_kit.runs.recipe_changes import apply_overrides, main_phase

TAUGHT = Recipe.model_validate(
    {
        "teacher_bridge": {"name": "unet", "objective": {"infomax": 0.5}},
        "aligners": {"distill": 1.0, "bn-stats": {"weight": 0.5, "options": {"reduction": "sum"}}},
        "labeler": {"name": "centroid", "weight": 0.7, "options": {"rounds": 1}},
    }
)
PLAIN = Recipe.model_validate({"aligners": {"infomax": 1.0}})
TWO = Recipe.model_validate(
    {
        "phases": [
            {"name": "pairs", "aligners": {"ti-features": 1.0}, "length": 0.5},
            {"name": "target", "aligners": {"infomax": 1.0}},
        ]
    }
)


def changed(recipe: Recipe, *sets: str, file: Any = None, aligners: tuple[str, ...] = (), **flags: str) -> Recipe:
    """``recipe`` as a user changes it."""
    path = None
    if file is not None:
        path = Path("changes.yaml")
        path.write_text(yaml.safe_dump({"recipe": file}))
    config = configuration({"method": "m", "aligner": list(aligners), **flags}, path, sets)
    return apply_overrides(recipe, config.recipe, "m")


def phase(*arguments: Any, **given: Any) -> Phase:
    return changed(*arguments, **given).phases[-1]


@pytest.mark.needs_plugin("sfda-kit-socket", "sfda-kit-tgkt")
def test_weight_and_options_of_an_aligner_add_up_wherever_they_are_given():
    option, whole = "recipe.aligners.bn-stats.options.reduction=mean", {"reduction": "mean"}
    expected = AlignerConfig(weight=0.1, options=whole)
    assert phase(TAUGHT, option, aligners=("bn-stats=0.1",)).aligners["bn-stats"] == expected
    assert phase(PLAIN, option, aligners=("bn-stats=0.1",)).aligners["bn-stats"] == expected
    assert phase(TAUGHT, "recipe.aligners.bn-stats=0.1", option).aligners["bn-stats"] == expected
    file = {"aligners": {"bn-stats": {"options": whole}}}
    assert phase(TAUGHT, file=file, aligners=("bn-stats=0.1",)).aligners["bn-stats"] == expected
    assert phase(TAUGHT, option).aligners["bn-stats"] == AlignerConfig(weight=0.5, options=whole)
    assert phase(TAUGHT, aligners=("bn-stats=0.1",)).aligners["bn-stats"].options == {"reduction": "sum"}


def test_later_sources_win():
    file = {"aligners": {"infomax": 0.1}, "labeler": "centroid", "train": "backbone"}
    assert phase(PLAIN, file=file).aligners["infomax"].weight == 0.1
    assert phase(PLAIN, file=file, aligners=("infomax=0.2",)).aligners["infomax"].weight == 0.2
    assert phase(PLAIN, "recipe.aligners.infomax=0.3", file=file, aligners=("infomax=0.2",)).aligners[
        "infomax"
    ] == AlignerConfig(weight=0.3)
    assert phase(PLAIN, file=file, labeler="none").labeler is None
    assert phase(PLAIN, "recipe.train=bottleneck", file=file).train == "bottleneck"


def test_a_labeler_keeps_its_place_and_loses_options_of_another():
    assert phase(PLAIN, "recipe.labeler.weight=0.1", labeler="centroid").labeler == LabelerConfig(
        name="centroid", weight=0.1
    )
    assert phase(TAUGHT, labeler="centroid").labeler == TAUGHT.phases[0].labeler
    assert phase(TAUGHT, labeler="other").labeler == LabelerConfig(name="other", weight=0.7)
    assert phase(TAUGHT, "recipe.labeler=null").labeler is None
    assert phase(TAUGHT, labeler="none").labeler is None
    assert phase(PLAIN, "recipe.labeler.options.rounds=3", "recipe.labeler=centroid").labeler == LabelerConfig(
        name="centroid", options={"rounds": 3}
    )


def test_a_bridge_by_flag_and_its_options_by_set():
    narrow = {"width": 8}
    assert changed(PLAIN, "recipe.bridge.options.width=8", bridge="unet").input_bridge == BridgeConfig(
        name="unet", options=narrow
    )
    assert changed(TAUGHT, "recipe.teacher_bridge.options.width=8", bridge="affine").teacher_bridge == BridgeConfig(
        name="affine", options=narrow
    )
    assert changed(TAUGHT, "recipe.bridge.options.width=8").teacher_bridge == BridgeConfig(
        name="unet", options=narrow, objective={"infomax": 0.5}
    )
    both = changed(TAUGHT, bridge="affine", input_bridge="fcbnconv")
    assert (both.input_bridge.name, both.teacher_bridge and both.teacher_bridge.name) == ("fcbnconv", "affine")
    assert changed(TAUGHT, teacher_bridge="none").teacher_bridge is None
    assert changed(TAUGHT, input_bridge="none").input_bridge.name == "copy"


def test_changes_reach_the_main_phase_and_by_name_the_others():
    both = changed(
        TWO,
        "recipe.phases.pairs.aligners.infomax=0.2",
        "recipe.phases.pairs.length=2",
        "recipe.phases.target.train=backbone",
        aligners=("ti-features=0.3",),
        labeler="centroid",
    )
    first, main = both.phases
    assert {name: term.weight for name, term in first.aligners.items()} == {"ti-features": 1.0, "infomax": 0.2}
    assert first.length == 2 and first.labeler is None
    assert {name: term.weight for name, term in main.aligners.items()} == {"infomax": 1.0, "ti-features": 0.3}
    assert main.train == "backbone" and main.labeler and main.length == 1
    assert main_phase(TWO, "m") == "target"
    assert list(changed(TWO, aligners=("infomax=0", "ti-features=1")).phases[1].aligners) == ["ti-features"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("recipe.aligners=3",), "recipe.aligners is 3; expected values by key"),
        (("recipe.labeler=3",), "recipe.labeler is 3"),
        (("recipe.phases=[a]",), r"recipe.phases is \['a'\]"),
        (("recipe.phases.pairs=3",), "recipe.phases.pairs is 3"),
        (("recipe.phases.target2.length=3",), "no phase 'target2'.*target"),
        (("recipe.aligner.infomax=3",), "no key 'aligner'.*aligners"),
        (("recipe.aligners.infomx=0",), "Unknown aligner 'infomx'.*infomax"),
        pytest.param(
            ("recipe.aligners.bn-stats.options.reduction=sum",),
            "aligners.bn-stats.weight: Field required",
            marks=pytest.mark.needs_plugin("sfda-kit-socket"),
        ),
        (("recipe.aligners.infomax=-1",), "greater than or equal to 0"),
    ],
)
def test_a_mistake_says_where_it_is(settings: tuple[str, ...], message: str):
    with pytest.raises(UserError, match=message):
        changed(TWO, *settings)
