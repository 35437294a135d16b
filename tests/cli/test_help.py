"""The help of the commands that run something: panels, examples, and defaults that are true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from sfda_kit.cli.app import app
from sfda_kit.cli.options import SETTINGS
from sfda_kit.config.models import RunConfig
from sfda_kit.config.presets import PRESETS
from sfda_kit.plugins.hookspecs import KINDS

pytestmark = pytest.mark.slow

COMMANDS = ("run", "adapt", "ablate", "source train")
PANELS = ["What to run", "Data", "Model", "Training", "Parts", "Output"]
IN_WORDS = {
    "folds": "folds.json at --data-root",
    "preset": "by model",
    "split": "by data set",
    "tr_classes": "from --split",
    "ti_classes": "from --split",
    "unit": "the data set's own, else mm",
    "source_epochs": "by source.steps",
    "source_floor": "twice chance",
    "bridge_epochs": f"{RunConfig(method='m').bridge_training.epochs_factor} times --epochs",
    "bridge": "by method",
    "input_bridge": "by method",
    "teacher_bridge": "by method",
    "labeler": "by method",
    "aligner": "by method",
}
"""Defaults that a run works out."""
WITHOUT = {
    "no_pictures",
    "method",
    "data_root",
    "group_pattern",
    "skip_bad",
    "pretrained",
    "backbone_weights",
    "fold",
    "source_card",
    "deterministic",
    "checkpoint_activations",
}
"""Options without a default, and switches, which are off."""


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lines of the help of a command on a terminal of ``width`` columns."""

    def shown(command: str, width: int = 100) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", width)
        result = CliRunner().invoke(app, [*command.split(), "--help"])
        assert result.exit_code == 0
        return result.stdout.strip().splitlines()

    return shown


def command_named(words: list[str]) -> tuple[Any, list[str]]:
    """The command that ``words`` call, and the words that it is given."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_the_help_of_run_has_at_most_90_lines(lines: Any) -> None:
    assert len(lines("run")) <= 90


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [80, 100])
def test_panels_stand_in_one_order_and_each_option_in_one_of_them(lines: Any, command: str, width: int) -> None:
    shown = lines(command, width)
    titles = [found[1] for line in shown if (found := re.match(r"╭─ (.+?) ─+╮", line))]
    assert titles == [panel for panel in PANELS if panel in titles]
    assert len(titles) >= 5 and max(map(len, shown)) <= width
    options = [found[1] for line in shown if (found := re.match(r"│ (--[\w-]+)", line))]
    offered = [option for one in command_named(command.split())[0].params for option in one.opts]
    assert sorted(options) == sorted([*offered, "--help"])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [80, 100])
def test_each_example_is_one_line_and_a_command_that_parses(lines: Any, command: str, width: int) -> None:
    shown = [line.strip() for line in lines(command, width)]
    examples = shown[shown.index("Examples:") + 1 :]
    assert len(examples) in (2, 3)
    for example in examples:
        assert example.startswith(f"sfda-kit {command} ")
        called, words = command_named(shlex.split(example)[1:])
        assert called.make_context(called.name, words).params


def at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value[key] if isinstance(value, dict) else getattr(value, key)
    return value


def default_of(path: str) -> str:
    """``10; pretrained: 15``: what the models say, and the preset for pretrained networks where it differs."""
    configs = [RunConfig(method="m", preset=preset, **PRESETS[preset]) for preset in ("scratch", "pretrained")]
    scratch, pretrained = (at(config, path) for config in configs)
    if isinstance(scratch, tuple):  # as it is typed
        return ",".join(map(str, scratch))
    return f"{scratch}" if scratch == pretrained else f"{scratch}; pretrained: {pretrained}"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_default_in_the_help_is_that_of_models_and_presets(name: str) -> None:
    setting = SETTINGS[name]
    told = re.findall(r"\[default: (.+?)\]", setting.help or "")
    if name in IN_WORDS:
        assert told == [IN_WORDS[name]]
        assert setting.path.startswith("recipe.") or default_of(setting.path) in (
            "None",
            "scratch; pretrained: pretrained",
        )
    elif name in WITHOUT:
        assert not told
        assert (
            name == "method"
            or default_of(setting.path) == ("True" if name.startswith("no_") else "False")
            or (default_of(setting.path) == "None")
        )
    else:
        assert told == [default_of(setting.path)]


def test_no_default_that_is_shown_is_one_that_a_method_changes() -> None:
    from sfda_kit.plugins.discovery import registry

    methods = registry().of_kind(KINDS[KINDS.index("method")])
    changed = {f"{part}.{key}" for one in methods for part, keys in one.settings.items() for key in keys}
    assert changed and not changed & {setting.path for setting in SETTINGS.values()}


def test_help_needs_neither_torch_nor_the_models_of_the_configuration() -> None:
    code = (
        "import sys\nfrom sfda_kit.cli.app import app\nfrom typer.testing import CliRunner\n"
        f"for command in {COMMANDS}:\n"
        "    assert CliRunner().invoke(app, [*command.split(), '--help']).exit_code == 0\n"
        "print([name for name in ('torch', 'yaml', 'sfda_kit.config.models') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
