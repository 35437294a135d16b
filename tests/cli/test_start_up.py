"""What a command imports: a mistake is told, and a finished run is found, before anything heavy is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.option_names import _written_options, check_written_options

pytestmark = pytest.mark.slow

HEAVY = ("torch", "timm", "torchvision", "sklearn", "scipy", "pandas")
MISTAKES = {
    "run --method sho": "Unknown method 'sho'",
    "run --method nowhere.yaml": "Cannot read the recipe nowhere.yaml",
    "run --method source-only --dataset roms": "Unknown dataset 'roms'",
    "run --method source-only --select infoma": "Unknown validator 'infoma'",
    "run --method source-only --encoding jett": "Unknown encoding 'jett'",
    "run --method source-only --bridge unt": "Unknown bridge 'unt'",
    "run --method source-only --labeler centroi": "Unknown labeler 'centroi'",
    "run --method source-only --aligner infomx=1": "Unknown aligner 'infomx'",
    "run --method source-only --preset nope": "has no preset 'nope'",
    "run --method source-only --tracker nope": "Unknown tracker 'nope'",
    "run --method source-only --encoding jet --set encoding.options.foo=1": "has no option 'foo'",
    "run --method source-only --source-card nowhere": "There is no source card at nowhere",
    "adapt --method source-only --target-dir nowhere --encoding jett": "Unknown encoding 'jett'",
    "source train --dataset roms": "Unknown dataset 'roms'",
    "source show nowhere": "There is no source card at nowhere",
    "predict image.png --run nowhere": "nowhere holds no adapted model",
    "export --run nowhere": "nowhere holds no adapted model",
    "bench status romms": "There is no suite 'romms'",
    "reproduce nope": "There is no card 'nope'",
}


def answers(*commands: list[str]) -> list[tuple[str, list[str]]]:
    """What each command prints or raises in a process of its own, and the heavy packages that are loaded by then."""
    program = f"""
import json, sys
from typer.testing import CliRunner
from sfda_kit.cli.app import app
for command in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, command)
    print(json.dumps([result.output + str(result.exception), [name for name in {HEAVY} if name in sys.modules]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_mistakes_are_told_before_anything_heavy_is_imported():
    for (command, said), (output, loaded) in zip(MISTAKES.items(), answers(*map(str.split, MISTAKES)), strict=True):
        assert said in output and loaded == [], (command, output, loaded)


def test_a_finished_run_is_found_and_read_without_torch(sfda_kit, on_pairs, pairs_root: Path, private_home: Path):
    run = ["run", "--method", "source-only", *on_pairs, "--resume"]
    assert sfda_kit(*run).exit_code == 0
    (folder,) = (private_home / "runs").iterdir()
    (card,) = (private_home / "cache" / "stages" / "source").glob("*/card.json")
    found, shown = answers(run, ["source", "show", str(card)])
    assert "this run had already finished" in found[0] and str(folder.name) in found[0] and found[1] == []
    assert "(match the card)" in shown[0] and shown[1] == []
    image = next(pairs_root.glob("cam/depth/bar/*.png"))
    ((predicted, loaded),) = answers(["predict", str(image), "--run", str(folder)])
    assert f"{image},bar" in predicted or f"{image}," in predicted
    assert not {"sklearn", "scipy", "pandas"} & set(loaded)


def test_a_damaged_finished_run_is_made_again(sfda_kit, on_pairs, private_home: Path):
    run = ["run", "--method", "source-only", *on_pairs, "--resume"]
    assert sfda_kit(*run).exit_code == 0
    (folder,) = (private_home / "runs").iterdir()
    (folder / "model" / "model.safetensors").write_bytes(b"damaged")
    again = sfda_kit(*run)
    assert again.exit_code == 0 and "is set aside, and the run is made again" in again.output


def test_weights_that_are_not_those_of_the_card_are_refused_without_torch(sfda_kit, on_pairs, private_home: Path):
    assert sfda_kit("source", "train", *without(on_pairs, "--epochs", "--batch-size", "--bridge-epochs")).exit_code == 0
    (card,) = (private_home / "cache" / "stages" / "source").glob("*/card.json")
    copy = Path(shutil.copytree(card.parent, private_home / "copy"))
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    ((output, loaded),) = answers(["source", "show", str(copy)])
    assert "are not those of the card" in output and loaded == []


def without(flags: list[str], *names: str) -> list[str]:
    pairs = zip(flags[::2], flags[1::2], strict=True)
    return [text for flag, value in pairs if flag not in names for text in (flag, value)]


@pytest.mark.parametrize("part", registry().components.values(), ids=str)
def test_options_that_are_read_from_the_text_are_those_of_the_class(part: Component):
    import inspect

    if (written := _written_options(part)) is not None:
        assert written == list(inspect.signature(part.load()).parameters)


def test_a_class_that_leaves_its_options_open_is_not_judged_by_its_text(tmp_path: Path, monkeypatch):
    (tmp_path / "open_parts.py").write_text(
        "class Any:\n    def __init__(self, **more): ...\n"
        "class Made:\n    def __new__(cls, size): ...\n    def __init__(self): ...\n"
        "class Inherits(Any): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("Any", "Made", "Inherits", "Missing"):
        check_written_options(Component(name, f"open_parts:{name}", "", kind="bridge"), {"foo": 1})
