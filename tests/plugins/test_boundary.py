"""What careless parts return or raise is refused with kind, part, owner, version, what came and what was expected."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sfda_kit.adaptation.checked_labels import checked_labels
from sfda_kit.adaptation.checked_terms import CheckedTerm
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.checked_dataset import checked_index, checked_pixels
from sfda_kit.data.views import ImageView
from sfda_kit.errors import PartError, UserError
from sfda_kit.evaluate.scoring import _score
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import build_part
from sfda_kit.plugins.modalities import modality
from sfda_kit.runs.checked_epochs import checked_epochs
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import SIDE, small_network
from sfda_kit.testing.signals import small_bank, small_step_signals

from ..conftest import last_json
from .conftest import Installer

CODE = """
import dataclasses
import numpy as np
import torch
import sfda_kit


class Value:
    def __init__(self, code: str = ""):
        super().__init__()
        self.code = code
    def value(self, **names):
        return eval(self.code, {"torch": torch, "np": np, "sfda_kit": sfda_kit, "turn": self.turn, **names})
    def turn(self, *values):
        self.calls = getattr(self, "calls", -1) + 1
        return float(values[self.calls])

class Term(Value, sfda_kit.Aligner):
    reads = ()
    def __call__(self, signals):
        return self.value(signals=signals)

class Translator(Value, sfda_kit.Bridge):
    trained = False
    def forward(self, images):
        return self.value(images=images)

class Labels(Value, sfda_kit.PseudoLabeler):
    def __call__(self, bank):
        return self.value(bank=bank, best=bank.predictions, ones=torch.ones(len(bank.logits)))

class Score(Value, sfda_kit.Validator):
    def __call__(self, bank, source_bank):
        return self.value(bank=bank)

class Channels(Value, sfda_kit.Encoding):
    def __call__(self, images, modality):
        return self.value(images=images.expand(-1, 3, -1, -1))

class Loop(Value, sfda_kit.Method):
    def adapt(self, context):
        bank = sfda_kit.fill_bank(sfda_kit.AdaptedModel(context.input_bridge, context.network), context.target)
        state = sfda_kit.EpochState("loop", 1, 1, context.network, bank)
        return self.value(state=state, bank=bank, context=context, replace=dataclasses.replace)

class Scenes(sfda_kit.Dataset):
    summary, modalities = "scenes", ("rgb", "depth")
    def change(self, **names):
        return eval(self.config.options["code"], {"np": np, **names})
    @property
    def is_read(self):
        return "pixels" in self.config.options["code"]
    def index(self):
        numbers = np.arange(4)
        names = [f"scene {row}" for row in range(4)]
        index = sfda_kit.Index(names, numbers * 0, numbers % 2, numbers, numbers * 0 - 1, ("cam",), ("cat", "dog"))
        return index if self.is_read else dataclasses.replace(index, **self.change(numbers=numbers))
    def splits(self): return {}
    def fingerprint(self): return "4"
    def read(self, rows, modality, size):
        shape = (len(rows), size, size, 3) if modality == "rgb" else (len(rows), size, size)
        pixels = np.full(shape, 200, np.uint8 if modality == "rgb" else np.uint16)
        return self.change(pixels=pixels, rgb=True) if self.is_read else pixels

"""
HOOK = """
@sfda_kit.hookimpl
def sfda_kit_register_{kind}():
    return [sfda_kit.Component("careless", "careless_plugin:{part}", "a part")]
"""
KINDS = {
    "aligner": "Term",
    "bridge": "Translator",
    "labeler": "Labels",
    "validator": "Score",
    "encoding": "Channels",
    "method": "Loop",
    "dataset": "Scenes",
}


@pytest.fixture(autouse=True)
def careless(install: Installer) -> None:
    hooks = [HOOK.format(kind=kind, part=part) for kind, part in KINDS.items()]
    install("careless_plugin", CODE + "".join(hooks))


def use(kind: str, code: str, folder: Path) -> Any:
    """Let the core call the part of a kind, which returns what ``code`` is."""
    if kind == "dataset":
        dataset = build_part(kind, "careless", config=DatasetConfig(name="careless", options={"code": code}))
        return checked_index(dataset), checked_pixels(dataset, np.arange(4), "rgb" if "rgb" in code else "depth", 8)
    part = build_part(kind, "careless", {"code": code})
    calls: dict[str, Callable[[], Any]] = {
        "aligner": lambda: CheckedTerm(part, part)(small_step_signals()),
        "bridge": lambda: AdaptedModel(part, small_network())(torch.zeros(4, 3, SIDE, SIDE)),
        "labeler": lambda: checked_labels(part, small_bank()),
        "validator": lambda: _score(part, small_bank(), small_bank()),
        "encoding": lambda: ImageView(np.full((4, 8, 8), 500, np.uint16), modality("depth"), part, 8).batch(
            torch.arange(4)
        ),
        "method": lambda: list(checked_epochs(part, small_context(folder))),
    }
    return calls[kind]()


WRONG = [
    ("bridge", "images[:, :, ::2, ::2]", "returned torch.float32 (4, 3, 8, 8)", "shape of its input, (4, 3, 16, 16)"),
    ("bridge", "images[:, :1]", "returned torch.float32 (4, 1, 16, 16)", "(4, 3, 16, 16)"),
    ("bridge", "images.long()", "returned torch.int64 (4, 3, 16, 16)", "floating point"),
    ("bridge", "(images, images)", "returned a tuple", "floating point"),
    (
        "aligner",
        "signals.target_logits.mean(1)",
        "returned a loss that is torch.float32 (12,)",
        "a scalar (0-d tensor)",
    ),
    ("aligner", "1.0", "returned a loss that is a float", "a scalar"),
    ("aligner", "signals.target_logits.mean().detach()", "returned a loss without a gradient", "from the signals"),
    ("aligner", "signals.target_logits.mean() * float('nan')", "returned a loss of nan in the first step", "finite"),
    ("aligner", "signals.target_logits @ torch.ones(5, 5)", "failed: RuntimeError: mat1 and mat2 shapes", ""),
    ("aligner", "signals.memory", "failed: RuntimeError: an aligner that reads memory declares reads", ""),
    ("labeler", "best", "returned torch.int64 (40,)", "PseudoLabels"),
    ("labeler", "sfda_kit.PseudoLabels(best.int(), ones)", "labels torch.int32 (40,)", "torch.int64 (40,)"),
    ("labeler", "sfda_kit.PseudoLabels(best[1:], ones)", "labels torch.int64 (39,)", "torch.int64 (40,)"),
    ("labeler", "sfda_kit.PseudoLabels(best + 1, ones)", "labels from 1 to 3", "0 to 2"),
    ("labeler", "sfda_kit.PseudoLabels(best, ones.long())", "weights torch.int64 (40,)", "floating point (40,)"),
    ("labeler", "sfda_kit.PseudoLabels(best, -ones)", "weights below 0", "at least 0"),
    ("validator", "None", "returned None", "a finite number"),
    ("validator", "1 / 0", "failed: ZeroDivisionError: division by zero", ""),
    ("encoding", "images[:, :1]", "returned torch.float32 (4, 1, 8, 8)", "floating point (4, 3, 8, 8)"),
    ("encoding", "images * 255", "returned values from 128 to 128", "values in [0, 1]"),
    ("encoding", "images * float('nan')", "returned values from nan to nan", "values in [0, 1]"),
    ("method", "None", "returned None", "an iterator over the epochs"),
    ("method", "1 / 0", "failed: ZeroDivisionError", ""),
    ("method", "[]", "returned no epoch", "at least one EpochState"),
    ("method", "[context.network]", "returned a Network", "an EpochState"),
    (
        "method",
        "[replace(state, bank=sfda_kit.FeatureBank(bank.features[1:], bank.logits))]",
        "(11, 6)",
        "12",
    ),
    ("method", "[replace(state, diagnostics={'size': state.bank.logits.mean()})]", "the figure 'size'", "a number"),
    ("dataset", "{'names': ['a', 'b', 'a', 'c']}", "an index whose names have 'a' 2 times", "each once"),
    ("dataset", "{'label': numbers}", "an index whose label goes from 0 to 3", "0 to 1"),
    ("dataset", "{'label': numbers % 2 * 1.0}", "an index whose label is float64 (4,)", "integers (4,)"),
    ("dataset", "{'group': numbers[:2]}", "an index whose group is int64 (2,)", "integers (4,)"),
    ("dataset", "pixels / 255 * rgb", "rgb pixels float64 (4, 8, 8, 3)", "uint8 (4, 8, 8, 3)"),
    ("dataset", "pixels[:, ::2]", "depth pixels uint16 (4, 4, 8)", "uint16 (4, 8, 8)"),
    ("dataset", "(pixels / 255).round().astype('uint8') if rgb else 0", "rgb pixels of at most 1", "from 0 to 255"),
    ("dataset", "pixels // 100", "depth pixels of at most 2 in its first images", "millimetres"),
]


@pytest.mark.parametrize(("kind", "code", "came", "expected"), WRONG)
def test_what_a_part_returns_or_raises_is_refused(tmp_path: Path, kind: str, code: str, came: str, expected: str):
    with pytest.raises(PartError) as raised:
        use(kind, code, tmp_path)
    told = str(raised.value)
    assert told.startswith(f"The {kind} 'careless' of careless_plugin 1.2 ") and "\n" not in told and len(told) < 700
    assert came in told and expected in told
    assert "Choose another part, or report this to the authors of careless_plugin." in told
    assert "failed" not in came or re.search(r" \(careless_plugin, line \d+\)\.", told)


RIGHT = [
    ("bridge", "images * 2"),
    ("aligner", "signals.target_logits.mean()"),
    ("labeler", "sfda_kit.PseudoLabels(best, ones * 0)"),
    ("validator", "torch.tensor(0.5)"),
    ("encoding", "images.clamp(0, 1)"),
    ("method", "[state]"),
    ("dataset", "{}"),
    ("dataset", "pixels if rgb else 0"),
]


@pytest.mark.parametrize(("kind", "code"), RIGHT)
def test_what_is_right_passes(tmp_path: Path, kind: str, code: str):
    use(kind, code, tmp_path)


def test_an_expected_error_and_a_lack_of_memory_or_space_stay_what_they_are(tmp_path: Path, monkeypatch):
    for raised in ("sfda_kit.DataError('gone')", "MemoryError('full')", "OSError(28, 'no space')"):
        with pytest.raises((UserError, MemoryError, OSError)) as found:
            use("validator", f"(_ for _ in ()).throw({raised})", tmp_path)
        assert not isinstance(found.value, PartError)
    monkeypatch.setenv("SFDA_KIT_STRICT_PLUGINS", "1")
    with pytest.raises(ZeroDivisionError):
        use("validator", "1 / 0", tmp_path)


def test_a_loss_is_looked_at_once_an_epoch_and_always_in_strict_mode(monkeypatch: pytest.MonkeyPatch):
    part = build_part("aligner", "careless", {"code": "signals.target_logits.mean().detach()"})
    signals = small_step_signals()
    term = CheckedTerm(part, lambda signals: signals.target_logits.mean())
    term(signals)
    term.function = part
    term(signals)
    object.__setattr__(signals._images.inputs, "epoch", 1)
    with pytest.raises(PartError, match="without a gradient"):
        term(signals)
    monkeypatch.setenv("SFDA_KIT_STRICT_PLUGINS", "1")
    strict = CheckedTerm(part, lambda signals: signals.target_logits.mean())
    strict(signals)
    strict.function = part
    with pytest.raises(PartError, match="without a gradient"):
        strict(signals)


@pytest.mark.parametrize(
    ("reads", "said"),
    [("('memry',)", "reads 'memry', which does not exist. Did you mean 'memory'"), ("'memory'", "a tuple of names")],
)
def test_a_misspelt_reads_is_said_before_any_work(install: Installer, sfda_kit, on_pairs, reads: str, said: str):
    code = CODE.replace("    reads = ()", f"    reads = {reads}") + HOOK.format(kind="aligner", part="Term")
    install("reading_plugin", code.replace("careless_plugin", "reading_plugin"))
    name = "reading-plugin:careless"
    result = sfda_kit("run", "--method", "shot", *on_pairs, "--aligner", f"{name}=1")
    assert result.exit_code == 2 and said in str(result.exception)
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_run_with_a_bridge_of_half_size_ends_in_one_sentence(sfda_kit, on_pairs):
    bridge = ("--input-bridge", "careless", "--set", "recipe.input_bridge.options.code=images[:, :, ::2, ::2]")
    result = sfda_kit("run", "--method", "shot-im", *on_pairs, *bridge, "--json")
    assert result.exit_code == 2
    assert str(result.exception).startswith("The bridge 'careless' of careless_plugin 1.2 returned torch.float32 (")
    (record,) = [json.loads(path.read_text()) for path in Path("runs").glob("*/record.json")]
    assert record["status"] == "failed" and record["error"] == str(result.exception)


@pytest.mark.slow
def test_an_epoch_without_a_finite_score_is_never_chosen_and_none_at_all_is_an_error(sfda_kit, on_pairs):
    def run(code: str) -> Any:
        select = ("--select", "careless", "--set", f"adapt.select.options.code={code}", "--set", "adapt.lr=1e-6")
        return sfda_kit("run", "--method", "shot-im", *on_pairs, "--epochs", "3", *select, "--json")

    result = run("float('nan')")
    assert result.exit_code == 2
    assert "The validator 'careless' of careless_plugin 1.2 returned no finite score in any" in str(result.exception)
    assert "gave no finite score; such an epoch is never chosen" in result.stderr
    summary = last_json(run("turn('nan', 0.2, 0.1)"))
    selection = json.loads((Path(summary["run_dir"]) / "record.json").read_text())["selection"]
    assert (selection["applied"], selection["chosen_epoch"], selection["result_epoch"]) == (True, 2, 2)
