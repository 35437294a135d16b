"""``sfda-kit plugins check``, ``list`` and ``show``: what they find, say and print as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import installation
from sfda_kit.plugins.faults import all_faults

from ..plugins.conftest import registering
from ..testing.shots import Shots, write_shots

pytestmark = pytest.mark.slow

TERMS = """
import sfda_kit

SFDA_KIT_INTERFACE = "1.0"

class Good(sfda_kit.Aligner):
    \"\"\"The norm of the features.

    Options ``power`` of the norm; ``others`` are none.
    \"\"\"

    reads = ("pseudo_labels",)

    def __init__(self, power: float = 1.0):
        self.power = power

    def __call__(self, signals):
        return signals.target_features.norm(dim=1).mean() ** self.power

class PerImage(Good):
    def __call__(self, signals):
        print("computing")
        return signals.target_features.norm(dim=1)

METHOD = sfda_kit.Recipe(summary="one term", aligners={"good": 0.5}, labeler="centroid", teacher_bridge="copy")

@sfda_kit.hookimpl
def sfda_kit_register_aligner():
    return [sfda_kit.Component("good", "terms_plugin:Good", "a good term", paper="arXiv 1", uses=()),
            sfda_kit.Component("per-image", "terms_plugin:PerImage", "a term that is no scalar", uses=())]

@sfda_kit.hookimpl
def sfda_kit_register_method():
    return [sfda_kit.Component("one-term", "terms_plugin:METHOD", "one term", alias="the-best", settings={"seed": 3})]
"""


@pytest.fixture
def terms(install) -> None:
    install("terms_plugin", TERMS)


def test_a_part_that_honours_its_contract_passes(terms: None, sfda_kit):
    result = sfda_kit("plugins", "check", "good", "--set", "power=2")
    assert result.exit_code == 0
    assert "aligner good, from terms_plugin 1.2" in result.stdout
    assert "pass  returns a finite scalar: The loss is 0-d and finite." in result.stdout and "FAIL" not in result.stdout


def test_a_distribution_is_checked_part_by_part_and_fails_with_a_sentence(terms: None, sfda_kit):
    result = sfda_kit("plugins", "check", "terms-plugin", "--kind", "aligner")
    assert result.exit_code == 1
    said = "FAIL  returns a finite scalar: the loss is torch.float32 (12,); expected a 0-d tensor"
    assert said in result.stdout and "of 10 checks failed" in result.stdout
    assert "FAIL" not in result.stdout.partition("aligner per-image")[0]


def test_the_card_as_json_is_all_of_stdout(terms: None, sfda_kit):
    result = sfda_kit("plugins", "check", "per-image", "--json")
    told = json.loads(result.stdout)
    (part,) = told["parts"]
    assert result.exit_code == 1 and not told["passed"] and not part["passed"] and part["skipped"] == ""
    assert [part[key] for key in ("kind", "name", "owner", "version")] == [
        "aligner",
        "per-image",
        "terms_plugin",
        "1.2",
    ]
    checks = {one["name"]: one for one in part["checks"]}
    assert checks["declaration_says_what_it_is"]["passed"]
    assert checks["returns_a_finite_scalar"]["sentence"].endswith("expected a 0-d tensor")


def test_what_a_check_raises_names_the_line(install, sfda_kit):
    install("terms_plugin", TERMS.replace("signals.target_features", "signals.no_such_signal", 1))
    result = sfda_kit("plugins", "check", "good")
    assert "AttributeError" in result.stdout and "(terms_plugin, line 18); expected no error" in result.stdout


def test_a_target_that_cannot_be_imported_is_one_failed_check(install, sfda_kit, tmp_path: Path):
    install("lost_plugin", registering("lost", "lost_plugin:Nowhere"))
    result = sfda_kit("plugins", "check", "lost")
    assert result.exit_code == 1
    assert "FAIL  can be imported: The aligner 'lost' of lost_plugin 1.2 declares" in result.stdout
    install("odd_plugin", registering("odd", "odd_plugin_parts:Term"))
    (tmp_path / "odd_plugin_parts.py").write_text("raise ValueError('no such moon')")
    for command in ("check", "show"):
        said = sfda_kit("plugins", command, "odd").stdout
        assert "cannot be imported: ValueError: no such moon (odd_plugin_parts, line 1)" in said


def test_a_data_set_is_checked_where_data_root_says(install, sfda_kit, tmp_path: Path):
    install("shots_plugin", registering("shots", f"{Shots.__module__}:Shots", "dataset"))
    without = sfda_kit("plugins", "check", "shots")
    assert without.exit_code == 0 and "skip  it needs a small data set (--data-root): " in without.stdout
    root = write_shots(tmp_path / "shots")
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    options = ["--data-root", root, "--set", "dataset.source=rgb@cam", "--set", "dataset.target=depth@cam"]
    result = sfda_kit("plugins", "check", "shots", *options)
    assert result.exit_code == 0 and "pass  reads pixels of each modality" in result.stdout, result.stdout
    assert {path: path.read_bytes() for path in root.rglob("*.png")} == before
    refused = sfda_kit("plugins", "check", "shots", *options, "--set", "dataset.options.size=2")
    assert refused.exit_code == 1 and "it raised UserError: shots has no options, got size" in refused.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--kind", "aligner"], "are for one part"),
        (["check", "terms-plugin", "--set", "power=2"], "--set is for one part, and these are aligner good"),
        (["check", "good", "--data-root", "."], "are for a data set, and here is aligner good"),
        (["check", "rooms", "--set", "dataset=3"], "expected dataset.KEY=VALUE"),
        (["check", "rooms", "--set", "dataset.sauce=rgb@kv1"], "there is no such key. Did you mean 'source'"),
        (["check", "goood"], "No part is called 'goood'. Did you mean 'good'"),
        (["check", "the-besst"], "Did you mean 'the-best'"),
        (["check", "good", "--kind", "alinger"], "Unknown kind 'alinger'. Did you mean 'aligner'"),
        (["show", "good", "--kind", "bridge"], "'good' is an aligner, not a bridge"),
        (["show", "nobody:good"], "is part of nobody, which is not installed"),
    ],
)
def test_wrong_commands_say_what_is_right(terms: None, sfda_kit, arguments: list[str], says: str):
    result = sfda_kit("plugins", *arguments)
    assert result.exit_code == 2 and isinstance(result.exception, UserError) and says in str(result.exception)


def test_a_package_that_could_not_be_loaded_is_not_checked(install, sfda_kit):
    install("broken_plugin", "raise ValueError('half installed')")
    result = sfda_kit("plugins", "check", "broken_plugin")
    assert result.exit_code == 2 and "half installed" in str(result.exception)


def test_without_assertions_nothing_is_checked():
    command = [sys.executable, "-O", "-m", "sfda_kit", "plugins", "check", "infomax"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "started with -O" in done.stderr


def test_faults_of_the_whole_installation_are_found(install, sfda_kit):
    component = "sfda_kit.Component({!r}, {!r}, {!r}{})"
    target = "sfda_kit.builtin.aligners:InfoMax"
    install("chatty_plugin", "print('hello from chatty')\nSFDA_KIT_INTERFACE = '1.0'\n" + registering("twin"))
    install("heavy_plugin", "import sys\nsys.modules.setdefault('timm', sys)\n" + registering("twin"))
    install("hook_plugin", registering("x").replace("register_aligner", "register_alinger"))
    install("old_plugin", registering("old"), requires="numpy>=99,<100")
    install("lost_plugin", registering("lost", "lost_plugin:Nowhere"))
    install("dead_plugin", registering("dead", "dead_plugin.gone:Term"))
    install("wordy_plugin", registering("wordy").replace("'a part'", f"{'word ' * 20!r}"))
    needy = component.format("needy", target, "a part", ", requires=('no_such_module',), extra='needs'")
    plain = component.format("needy", target, "a part", "")
    install("needy_plugin", registering("needy").replace(plain, needy))
    found = {(fault.code, fault.owner): fault for fault in all_faults(installation()) if "_plugin" in fault.owner}
    errors = {key for key, fault in found.items() if fault.is_error}
    assert errors == {
        ("one-name-twice", "heavy_plugin"),
        ("heavy-import", "heavy_plugin"),
        ("failed-to-load", "hook_plugin"),
        ("unmet-requirement", "old_plugin"),
        ("dead-target", "lost_plugin"),
        ("dead-target", "dead_plugin"),
        ("long-summary", "wordy_plugin"),
    }
    notices = {key for key in found if key not in errors and key[0] != "slow"}
    silent = {"heavy_plugin", "old_plugin", "lost_plugin", "dead_plugin", "wordy_plugin", "needy_plugin"}
    assert notices == {
        ("prints", "chatty_plugin"),
        ("missing-package", "needy_plugin"),
        *(("no-interface-version", owner) for owner in silent),
    }
    assert "Did you mean 'sfda_kit_register_aligner'" in found["failed-to-load", "hook_plugin"].text
    assert "requires numpy" in found["unmet-requirement", "old_plugin"].text
    assert "hello from chatty" in found["prints", "chatty_plugin"].text
    assert found["missing-package", "needy_plugin"].remedy == "pip install 'needy_plugin[needs]'"
    result = sfda_kit("plugins", "check")
    assert result.exit_code == 1 and "FAIL    heavy import: heavy_plugin imports timm" in result.stdout
    told = json.loads(sfda_kit("plugins", "check", "--json").stdout)
    assert not told["passed"] and {fault["code"] for fault in told["faults"]} >= {key[0] for key in found}


def test_show_tells_options_and_recipe(terms: None, sfda_kit):
    shown = sfda_kit("plugins", "show", "good").stdout
    assert "paper: arXiv 1" in shown and "reads: pseudo_labels" in shown
    assert "options (--set recipe.aligners.good.options.NAME=VALUE):" in shown
    assert "\n  The norm of the features.\n" in shown
    assert "  power: float = 1.0  Options `power` of the norm\n" in shown
    shown = sfda_kit("plugins", "show", "the-best").stdout
    assert "method one-term (also called the-best)" in shown and "sets seed: 3" in shown
    assert "teacher bridge: copy" in shown and "  aligner 0.5 x good" in shown and "  labeler 0.3 x centroid" in shown


def test_show_and_list_as_json(terms: None, install, sfda_kit):
    (good,) = json.loads(sfda_kit("plugins", "show", "good", "--json").stdout)
    assert good["reads"] == ["pseudo_labels"] and good["error"] == "" and good["recipe"] is None
    (option,) = good["options"]
    assert {**option, "doc": ""} == {"name": "power", "type": "float", "required": False, "default": 1.0, "doc": ""}
    (method,) = json.loads(sfda_kit("plugins", "show", "one-term", "--json").stdout)
    assert method["recipe"]["phases"][0]["aligners"]["good"]["weight"] == 0.5 and method["options"] == []
    install("broken_plugin", "raise ValueError('half installed')")
    told = json.loads(sfda_kit("plugins", "list", "--json", "--kind", "aligner").stdout)
    assert {part["name"] for part in told["parts"]} >= {"infomax", "good", "per-image"}
    assert {
        "name": "broken_plugin",
        "version": "1.2",
        "error": "ValueError: half installed (broken_plugin, line 1)",
    } in (told["plugins"])
    assert ("failed-to-load", "broken_plugin") in {(fault["code"], fault["owner"]) for fault in told["faults"]}


def test_show_says_what_it_knows_of_a_part_that_cannot_be_imported(install, sfda_kit):
    install("lost_plugin", registering("lost", "lost_plugin:Nowhere"))
    shown = sfda_kit("plugins", "show", "lost").stdout
    assert "aligner lost, from lost_plugin 1.2: a part" in shown and "cannot be used here: The aligner 'lost'" in shown
