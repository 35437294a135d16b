"""On a computer without the plugin of a run, ``predict`` and ``export`` name the package and version to install."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sfda_kit.errors import UserError
from sfda_kit.files import write_json
from sfda_kit.inference.adapted_model import AdaptedCard, load_model
from sfda_kit.inference.predictor import Predictor
from sfda_kit.interfaces.recipe import BridgeConfig, PartConfig
from sfda_kit.source.sealed_card import sealed

from .test_predict_export import here, run_template  # noqa: F401  (fixtures)

PARTS = [["bridge", "sfda-kit-haze", "haze", "0f"], ["encoding", "sfda-kit-haze", "fog", "0f"]]
WANTED = "pip install sfda-kit-haze==0.2.0"


@pytest.fixture
def run(here: Path) -> Path:  # noqa: F811
    """A run whose input bridge and encoding came from a package that is not installed here."""
    folder = here / "run"
    (folder / "config.yaml").write_text(yaml.safe_dump({"config": {}, "recipe": {}, "parts": PARTS}))
    (folder / "record.json").write_text(json.dumps({"versions": {"sfda-kit-haze": "0.2.0"}}))
    return folder


def change_card(run: Path, **changes: object) -> None:
    file = run / "model" / "card.json"
    card = AdaptedCard.model_validate_json(file.read_bytes())
    write_json(file, sealed(card.model_copy(update=changes)).model_dump(mode="json"))


@pytest.mark.parametrize("command", [("predict", "pictures"), ("export",)])
def test_the_package_of_a_missing_bridge_is_named(run: Path, sfda_kit, command: tuple[str, ...]):
    change_card(run, input_bridge=BridgeConfig(name="haze"))
    result = sfda_kit(*command, "--run", run)
    assert result.exit_code == 2
    said = str(result.exception)
    assert "needs the bridge 'haze' of sfda-kit-haze 0.2.0, which is not installed here" in said and WANTED in said


def test_the_package_of_a_missing_encoding_is_named_from_the_folder_of_the_model_too(run: Path):
    change_card(run, encoding=PartConfig(name="fog"))
    for folder in (run, run / "model"):
        with pytest.raises(UserError, match=f"encoding 'fog' of sfda-kit-haze 0.2.0.*{WANTED}"):
            Predictor.of_run(folder, None, "cpu")
    assert load_model(run)[1].encoding.name == "fog"  # export needs the name alone


def test_a_package_without_that_part_is_said_to_be_another_version(run: Path, install):
    change_card(run, input_bridge=BridgeConfig(name="haze"))
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("sfda-kit-haze", "haze-plugin"))
    declared = "import sfda_kit\n@sfda_kit.hookimpl\ndef sfda_kit_register_bridge():\n    return []\n"
    install("haze_plugin", declared)
    with pytest.raises(UserError, match=r"haze_plugin 1.2, which is installed here, has no such part"):
        load_model(run)
    install("haze_plugin2", "raise ValueError('half installed')")
    (run / "config.yaml").write_text(text.replace("sfda-kit-haze", "haze_plugin2"))
    with pytest.raises(UserError, match=r"could not be loaded here: haze_plugin2 1\.2 .ValueError: half installed"):
        load_model(run)


@pytest.mark.parametrize("damage", ["config.yaml", "record.json"])
def test_a_run_without_what_is_needed_says_what_is_known(run: Path, damage: str):
    change_card(run, input_bridge=BridgeConfig(name="haze"))
    (run / damage).write_text("[")
    with pytest.raises(UserError) as raised:
        load_model(run)
    if damage == "config.yaml":
        assert "Unknown bridge 'haze'" in str(raised.value)
    else:
        assert str(raised.value).endswith("pip install sfda-kit-haze")
