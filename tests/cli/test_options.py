"""Each option stands once; its path, and how it is read, decide where it goes in the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import typer
from pydantic import BaseModel
from typer.testing import CliRunner

from sfda_kit.cli import ablate, adapt, options, source
from sfda_kit.cli.flags import configuration, settings_of
from sfda_kit.cli.groups import OptionGroup, Setting, parameters, takes_options
from sfda_kit.config.models import RunConfig
from sfda_kit.interfaces.recipe import Phase, Recipe

GIVEN: dict[str, Any] = {
    "method": "shot",
    "preset": "pretrained",
    "data_root": Path("here"),
    "tr_classes": "a, b,",
    "ti_classes": "c",
    "split_seed": 7,
    "shares": "50,30,20",
    "pairs": "shuffled",
    "unit": "m",
    "skip_bad": True,
    "no_pictures": True,
    "source_floor": 12.5,
    "pretrained": True,
    "image_size": 48,
    "source_card": [Path("card"), Path("other")],
    "source_epochs": 7,
    "epochs": 7,
    "batch_size": 7,
    "seed": 7,
    "bridge_epochs": 7,
    "on_collapse": "stop",
    "evaluate": "last",
    "precision": "bf16",
    "deterministic": True,
    "checkpoint_activations": True,
    "accumulate": 7,
    "fold": 1,
    "protocol": "paper",
    "backbone_weights": "lite0",
    "aligner": ["infomax", "bn-stats=0.5"],
}
"""What a user may give; every other option takes a name."""
READ = {
    "no_pictures": False,
    "shares": (0.5, 0.3, 0.2),
    "tr_classes": ("a", "b"),
    "ti_classes": ("c",),
    "source_card": (Path("card"), Path("other")),
    "aligner": {"infomax": {"weight": 1.0}, "bn-stats": {"weight": 0.5}},
}
"""What the configuration makes of it, where it is another value."""
TOGETHER: dict[str, dict[str, Any]] = {"folds": {"fold": 0}}
"""What must be given beside an option."""
OFFERED = {
    "run": options.RunOptions,
    "adapt": adapt.AdaptOptions,
    "ablate": ablate.AblateOptions,
    "source train": source.TrainOptions,
}


def names(command: str) -> set[str]:
    return set(parameters(OFFERED[command]))


def reached(path: str) -> bool:
    """Whether the models, or a recipe, have such a key."""
    model: type[BaseModel] = RunConfig
    *parts, last = path.split(".")
    for part in parts:
        if part == "recipe":
            return last in {*Recipe.model_fields, *Phase.model_fields, "bridge"}
        model = type(model.model_fields[part].default)
    return last in model.model_fields


@pytest.mark.parametrize("command", OFFERED)
def test_every_setting_of_a_command_is_a_key_of_the_configuration(command: str) -> None:
    described = {name: get_args(one.annotation)[1] for name, one in parameters(OFFERED[command]).items()}
    paths = {name: one.path for name, one in described.items() if isinstance(one, Setting)}
    assert len(paths) > 10 and paths.items() <= {name: one.path for name, one in options.SETTINGS.items()}.items()
    assert all(map(reached, paths.values()))
    assert not reached("adapt.lrr") and not reached("recipe.lr")


@pytest.mark.parametrize("name", options.SETTINGS)
def test_what_is_given_is_found_at_the_path_of_the_option(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfda_kit.config.loading._starts_pretrained", lambda _: False)
    value = GIVEN.get(name, "some-name")
    found: Any = configuration({"method": "shot", name: value, **TOGETHER.get(name, {})})
    for key in options.SETTINGS[name].path.split("."):
        found = found[key] if isinstance(found, dict) else getattr(found, key)
    expected = {"name": value} if options.SETTINGS[name].path.startswith("recipe.") else value
    assert found == READ.get(name, expected)


def test_what_is_not_given_is_no_setting() -> None:
    assert settings_of({"seed": None, "skip_bad": False, "aligner": [], "epochs": 0}) == {"adapt": {"epochs": 0}}


def test_each_command_offers_what_it_can_use() -> None:
    of_runs = {"runs_dir", "resume", "tracker", "profile", "json", "memory"}
    own = {"target_dir", "ti_dir", "modality", "model"}
    assert set(options.SETTINGS) | of_runs | {"config", "set_"} == names("run")
    assert names("adapt") - names("run") == own
    assert names("run") - names("adapt") == {
        *("dataset", "data_root", "source", "target", "split", "tr_classes", "ti_classes", "split_seed"),
        *("shares", "pairs", "group_pattern", "backbone", "pretrained", "image_size", "source_epochs", "evaluate"),
        *("memory", "backbone_weights", "fold", "folds", "protocol"),
    }
    assert names("run") - names("ablate") == {
        "seed",
        "select",
        "on_collapse",
        "no_pictures",
        "resume",
        "json",
        "profile",
        "memory",
    }
    assert names("source train") - names("run") == {"out"}
    assert {"method", "source_card", "epochs", "labeler"} & names("source train") == set()


class Colour(OptionGroup):
    panel = "Colours"
    hue: Annotated[str | None, Setting("paint.hue", "Hue.", "red")]
    dark: Annotated[bool, typer.Option("--dark", help="Darker.")] = False


class Size(OptionGroup):
    panel = "Sizes"
    width: Annotated[int, typer.Option(help="Width.")] = 3
    height: Annotated[int | None, typer.Option(help="Height.")]


class Both(Colour, Size):
    without = ("height",)
    dark: Annotated[bool, typer.Option("--dark", help="By night.")] = True
    hue: Annotated[str | None, typer.Option(help="Hue of both.")]


def test_a_group_words_options_anew_in_their_place_and_leaves_some_out() -> None:
    found = parameters(Both)
    assert list(found) == ["hue", "dark", "width"]
    described = {name: get_args(one.annotation)[1] for name, one in found.items()}
    assert [one.rich_help_panel for one in described.values()] == ["Colours", "Colours", "Sizes"]
    assert described["hue"].help == "Hue of both." and found["dark"].default is True
    original = get_args(parameters(Colour)["hue"].annotation)[1]
    assert original.help.startswith("Hue.") and original.of_value("blue") == {"paint": {"hue": "blue"}}


def test_a_command_gets_what_was_chosen() -> None:
    seen: list[Both] = []

    def paint(chosen: Both) -> None:
        seen.append(chosen)

    app = typer.Typer()
    app.command()(takes_options(paint))
    assert CliRunner().invoke(app, ["--hue", "blue"]).exit_code == 0
    assert vars(seen[0]) == {"hue": "blue", "dark": True, "width": 3}
    assert CliRunner().invoke(app, ["--height", "4"]).exit_code == 2
