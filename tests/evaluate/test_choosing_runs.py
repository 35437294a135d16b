"""Whole runs of a method that collapses: told, stopped, taken back; and epochs chosen without labels."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sfda_kit import AdaptationContext, Aligner, Component, EpochState, Method, Recipe, Validator
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.data.task import Task
from sfda_kit.evaluate import scoring
from sfda_kit.inference.adapted_model import load_model
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import registry
from sfda_kit.results.journal import Journal
from sfda_kit.runs.best_checkpoint import BestCheckpoint
from sfda_kit.training.checkpoint import Checkpoint

from ..conftest import last_json

EPOCHS = 4


class Sinking(Method):
    """Target statistics and biases that spread the predictions, then moved a little each epoch.

    From epoch ``at`` on, unless the rate is bearable, everything is class 0.
    """

    def __init__(self, at: int = 3, bearable: float = 0.006) -> None:
        self.at, self.bearable = at, bearable

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        path = context.checkpoint_dir / "sinking.pt"
        model = AdaptedModel(context.input_bridge, context.network.eval())
        bias: Any = context.network.classifier.bias
        done, epochs = 0, context.config.epochs
        if path.exists():
            saved = torch.load(path, weights_only=True)
            model.load_state_dict(saved["model"])
            done = saved["done"]

        def state(epoch: int) -> EpochState:
            return EpochState(
                "sink", epoch, epochs, model, fill_bank(model, context.target), {"rate": context.config.lr}
            )

        for epoch in range(done + 1, epochs + 1):
            with torch.no_grad():
                if epoch == 1:
                    self.spread(context, model)
                bias[epoch % len(bias)] += 0.1 * fill_bank(model, context.target).logits.std()
                if epoch >= self.at and context.config.lr > self.bearable:
                    bias[0] += 500
            yield state(epoch)
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save({"model": model.state_dict(), "done": epoch}, path)
        if done == epochs:
            yield state(epochs)

    @staticmethod
    def spread(context: AdaptationContext, model: AdaptedModel) -> None:
        context.network.train()
        model(context.target.batch(torch.arange(len(context.target))))
        context.network.eval()
        bias: Any = context.network.classifier.bias
        bias -= fill_bank(model, context.target).logits.mean(dim=0)


class Drifting(Sinking):
    """As above, with the core's checkpoints and steps of the size of the rate."""

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        model = AdaptedModel(context.input_bridge, context.network.eval())
        bias: Any = context.network.classifier.bias
        optimizer, checkpoint = torch.optim.SGD([bias], lr=1.0), Checkpoint(context.checkpoint_dir / "drifting.pt")
        for epoch in range(checkpoint.load({"model": model}, optimizer, context.listener) + 1, EPOCHS + 1):
            with torch.no_grad():
                if epoch == 1:
                    self.spread(context, model)
                bias[epoch % len(bias)] += 10 * context.config.lr * fill_bank(model, context.target).logits.std()
                bias[0] += 500 * (epoch >= self.at and context.config.lr > self.bearable)
            yield EpochState("sink", epoch, EPOCHS, model, fill_bank(model, context.target))
            checkpoint.save(epoch, {"model": model}, optimizer)


class OneClass(Aligner):
    """A loss term that asks for class 0."""

    def __call__(self, signals: Any) -> torch.Tensor:
        return -signals.target_logits.log_softmax(dim=1)[:, 0].mean()


class Broken(Validator):
    def __call__(self, bank: Any, source_bank: Any) -> float:
        raise ZeroDivisionError("no images of that kind")


@pytest.fixture(autouse=True)
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin package with a method and a loss term that collapse, as if it were installed."""
    module = types.ModuleType("a_stranger")
    module.Sinking, module.OneClass, module.Broken = Sinking, OneClass, Broken  # type: ignore[attr-defined]
    module.Drifting = Drifting  # type: ignore[attr-defined]
    module.TERM = Recipe.model_validate({"aligners": {"one-class": 1.0}})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_stranger", module)
    for kind, name, target in (
        ("method", "sinking", "Sinking"),
        ("method", "drifting", "Drifting"),
        ("method", "one-class", "TERM"),
        ("aligner", "one-class", "OneClass"),
    ):
        part = Component(name, f"a_stranger:{target}", "collapses", kind=kind, owner="a-stranger")
        monkeypatch.setitem(registry().components, (kind, name), part)


class Ran:
    """A finished run."""

    def __init__(self, result: Any) -> None:
        self.output = result.stdout + result.stderr
        self.summary = last_json(result)
        self.folder = Path(self.summary["run_dir"])
        self.record = json.loads((self.folder / "record.json").read_text())
        self.history = json.loads((self.folder / "history.json").read_text())
        self.selection, self.monitor = self.record["selection"], self.record["monitor"]

    def outcome(self) -> tuple[Any, ...]:
        """All that two equal runs share."""
        rows = [{key: value for key, value in row.items() if key != "wall_s"} for row in self.history]
        weights = self.record_of_model()["weights_sha256"]
        predictions = (self.folder / "predictions.parquet").read_bytes()
        return rows, self.record["metrics"], self.selection, self.monitor, self.record["signals"], weights, predictions

    def record_of_model(self) -> dict[str, Any]:
        return json.loads((self.folder / "model" / "card.json").read_text())  # type: ignore[no-any-return]

    def epochs(self) -> list[int]:
        return [row["epoch"] for row in self.history]

    def result(self) -> tuple[str, int]:
        return self.selection["result_phase"], self.selection["result_epoch"]


@pytest.fixture
def sink(sfda_kit, on_pairs) -> Callable[..., Ran]:
    def run(*more: str, method: str = "sinking") -> Ran:
        arguments = ["--method", method, *on_pairs, "--epochs", str(EPOCHS), "--json", *more]
        return Ran(sfda_kit("run", *arguments))

    return run


def best_of(rows: list[dict[str, Any]], validator: str) -> int:
    return 1 + int(np.argmax([row["signals"]["validators"][validator] for row in rows]))


@pytest.mark.slow
def test_a_collapse_is_told_once_and_recorded_at_every_epoch(sink):
    ran = sink()
    assert ran.epochs() == [1, 2, 3, 4] and ran.result() == ("sink", 4)
    told = [(alarm["epoch"], alarm["name"]) for alarm in ran.monitor["alarms"] if alarm["name"] == "collapse"]
    assert told == [(3, "collapse"), (4, "collapse")]
    assert ran.output.count("notice: collapse, sink epoch 3: predictions have collapsed to 1.0") == 1
    assert "collapse, sink epoch 4" not in ran.output
    assert not ran.monitor["stopped"] and ran.monitor["on_collapse"] == "warn"
    assert ran.record["signals"] == ran.history[-1]["signals"]


@pytest.mark.slow
def test_snd_would_pick_the_collapsed_epoch_and_is_vetoed(sink):
    ran = sink("--select", "snd")
    scores = [row["signals"]["validators"]["snd"] for row in ran.history]
    images = ran.record["task"]["images"]["target-train"]
    assert int(np.argmax(scores)) == 2 and scores[2] == pytest.approx(-np.log(1 / (images - 1) + 1e-5))
    assert [epoch["epoch"] for epoch in ran.selection["vetoed"]] == [3, 4]
    assert ran.selection["chosen_epoch"] == best_of(ran.history[:2], "snd")
    assert ran.result() == ("sink", ran.selection["chosen_epoch"]) and ran.selection["applied"]


@pytest.mark.slow
def test_model_metrics_and_predictions_are_those_of_the_chosen_epoch(sink):
    ran = sink("--select", "source-drift")
    chosen = best_of(ran.history[:2], "source-drift")  # the others have collapsed
    assert ran.selection["chosen_epoch"] == chosen
    row = ran.history[chosen - 1]
    assert {name: ran.record["metrics"][name] for name in row["metrics"]} == row["metrics"] == ran.selection["chosen"]
    assert ran.record["signals"] == row["signals"]
    assert ran.selection["last"] == ran.history[-1]["metrics"] != row["metrics"]
    model, card = load_model(ran.folder)
    assert card.epochs == chosen
    assert float(model.state_dict()["network.classifier.bias"][0]) < 100
    table = pq.read_table(ran.folder / "predictions.parquet").to_pydict()
    classes = ran.record["task"]["classes"]
    rows = [k for k, part in enumerate(table["part"]) if part == "transductive"]
    assert (
        np.bincount([classes.index(table["prediction"][k]) for k in rows], minlength=4).tolist()
        == (row["signals"]["histogram"])
    )
    best = max(ran.history, key=lambda row: row["metrics"]["heldout_accuracy"])
    oracle = ran.selection["oracle"]
    assert oracle["epoch"] == best["epoch"] and oracle["made_with_labels"] is True
    regret = best["metrics"]["heldout_accuracy"] - row["metrics"]["heldout_accuracy"]
    assert ran.selection["regret"] == regret


@pytest.mark.slow
def test_choosing_is_told_and_changes_nothing_unless_it_is_asked_for(sink):
    told, applied = sink("--set", "adapt.validator=source-drift"), sink("--select", "source-drift")
    assert told.selection["validator"] == "source-drift"
    assert told.selection["chosen_epoch"] == applied.selection["chosen_epoch"] == applied.result()[1] < 3
    assert not told.selection["applied"] and told.result() == ("sink", 4)
    assert told.record["metrics"]["heldout_accuracy"] == told.history[-1]["metrics"]["heldout_accuracy"]
    assert [row["signals"] for row in told.history] == [row["signals"] for row in applied.history]
    assert (
        sink("--select", "last", "--set", "adapt.validator=source-drift").record["config_digest"]
        == (told.record["config_digest"])
    )


@pytest.mark.slow
def test_stop_ends_after_the_epoch_and_keeps_the_last_healthy_state(sink):
    ran = sink("--on-collapse", "stop")
    assert ran.epochs() == [1, 2, 3] and ran.result() == ("sink", 2) and ran.monitor["stopped"]
    assert ran.record["metrics"]["heldout_accuracy"] == ran.history[1]["metrics"]["heldout_accuracy"]
    assert ran.record["signals"]["histogram"] == ran.history[1]["signals"]["histogram"]
    assert "stopped after sink epoch 3; the run keeps its state: that of sink epoch 2" in ran.output


@pytest.mark.slow
def test_stop_without_a_healthy_epoch_says_so(sink):
    ran = sink("--on-collapse", "stop", "--set", "recipe.options.at=1")
    assert ran.epochs() == [1] and ran.result() == ("sink", 1)
    assert "no epoch was healthy" in ran.output


@pytest.mark.slow
def test_rollback_takes_the_epoch_back_and_goes_on_with_half_the_rate(sink):
    calm, ran = sink("--set", "recipe.options.bearable=1"), sink("--on-collapse", "rollback")
    assert ran.epochs() == [1, 2, 3, 4] and ran.result() == ("sink", 4) and not ran.monitor["stopped"]
    assert [row["signals"]["rate"] for row in ran.history] == [0.01, 0.01, 0.005, 0.005]
    (rollback,) = ran.monitor["rollbacks"]
    assert (rollback["epoch"], rollback["lr_factor"]) == (3, 0.5)
    assert [row["metrics"] for row in ran.history] == [row["metrics"] for row in calm.history]
    assert "rolled back to before sink epoch 3; learning rate times 0.5" in ran.output


@pytest.mark.slow
def test_rollback_gives_up_after_three(sink):
    ran = sink("--on-collapse", "rollback", "--set", "recipe.options.bearable=0")
    assert [rollback["lr_factor"] for rollback in ran.monitor["rollbacks"]] == [0.5, 0.25, 0.125]
    assert ran.monitor["stopped"] and ran.epochs() == [1, 2, 3] and ran.result() == ("sink", 2)


@pytest.mark.slow
def test_a_term_that_collapses_the_one_loop_is_rolled_back_to_its_checkpoint(sink):
    fast = ("--set", "adapt.lr=0.2")
    warned = sink(*fast, method="one-class")
    collapsed = [a["epoch"] for a in warned.monitor["alarms"] if a["name"] == "collapse"]
    assert collapsed, "the term was meant to collapse the network"
    ran = sink("--on-collapse", "rollback", *fast, method="one-class")
    assert ran.monitor["rollbacks"][0]["epoch"] == collapsed[0]
    factors = [rollback["lr_factor"] for rollback in ran.monitor["rollbacks"]]
    assert factors == [0.5, 0.25, 0.125][: len(factors)]
    healthy = [row["epoch"] for row in ran.history if "collapse" not in row["signals"]["alarms"]]
    assert ran.result() == ("adapt", healthy[-1] if healthy else ran.epochs()[-1])
    untouched = [row["metrics"] for row in warned.history[: collapsed[0] - 1]]
    assert [row["metrics"] for row in ran.history[: collapsed[0] - 1]] == untouched


def stopping(original: Callable[..., None], count: int) -> Callable[..., None]:
    """``original``, and Ctrl-C at its ``count``-th call."""
    calls = []

    def stopped(*arguments: Any) -> None:
        original(*arguments)
        calls.append(1)
        if len(calls) == count:
            raise KeyboardInterrupt

    return stopped


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "owner", "name", "count"),
    [
        (("--select", "infomax"), Journal, "epoch", 1),
        (("--select", "infomax"), Journal, "epoch", 4),
        (("--select", "source-drift"), BestCheckpoint, "save", 1),
        (("--on-collapse", "stop"), Journal, "epoch", 3),
        (("--on-collapse", "rollback"), Journal, "epoch", 3),
        (("--on-collapse", "rollback"), BestCheckpoint, "save", 3),
    ],
)
def test_killed_and_resumed_is_the_same_run(sink, sfda_kit, on_pairs, monkeypatch, flags, owner, name, count):
    undisturbed = sink(*flags, "--runs-dir", "undisturbed").outcome()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopping(getattr(owner, name), count))
        stopped = sfda_kit("run", "--method", "sinking", *on_pairs, "--epochs", str(EPOCHS), *flags)
        assert stopped.exit_code != 0
    ran = sink(*flags, "--resume")
    assert len(list(Path("runs").iterdir())) == 1
    assert ran.outcome() == undisturbed
    assert not (ran.folder / "checkpoints").exists()


@pytest.mark.slow
def test_killed_after_a_rollback_it_goes_on_with_the_lower_rate(sink, sfda_kit, on_pairs, monkeypatch):
    from sfda_kit.runs import adaptation_driver as watch

    undisturbed = sink("--on-collapse", "rollback", "--runs-dir", "undisturbed").outcome()
    with monkeypatch.context() as patch:
        patch.setattr(watch, "write_sealed", stopping(watch.write_sealed, 1))
        arguments = ["--method", "sinking", *on_pairs, "--epochs", str(EPOCHS), "--on-collapse", "rollback"]
        assert sfda_kit("run", *arguments).exit_code != 0
    assert sink("--on-collapse", "rollback", "--resume").outcome() == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("damaged", ["drifting.pt", "rollbacks.json"])
def test_an_epoch_from_before_a_rollback_is_never_trained_again_with_the_lower_rate(
    sink, sfda_kit, on_pairs, monkeypatch, damaged
):
    flags = ("--on-collapse", "rollback")
    undisturbed = sink(*flags, "--runs-dir", "undisturbed", method="drifting")
    assert len(undisturbed.monitor["rollbacks"]) == 1
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "epoch", stopping(Journal.epoch, 4))  # epoch 3 for the second time
        arguments = ["--method", "drifting", *on_pairs, "--epochs", str(EPOCHS), *flags]
        assert sfda_kit("run", *arguments).exit_code != 0
    (file,) = Path("runs").glob(f"*/checkpoints/{damaged}")
    file.write_bytes(file.read_bytes()[:-1])
    resumed = sink(*flags, "--resume", method="drifting")
    assert "adaptation begins again" in resumed.output
    assert resumed.outcome() == undisturbed.outcome()


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_trained_method_is_resumed_exactly_with_a_choice(sink, sfda_kit, on_pairs, monkeypatch):
    flags = ("--select", "source-agreement", "--set", "adapt.validators=all", "--epochs", "3")
    undisturbed = sink(*flags, "--runs-dir", "undisturbed", method="shot").outcome()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "epoch", stopping(Journal.epoch, 2))
        assert sfda_kit("run", "--method", "shot", *on_pairs, *flags).exit_code != 0
    assert sink(*flags, "--resume", method="shot").outcome() == undisturbed


@pytest.mark.slow
def test_labels_change_no_choice(sink, monkeypatch):
    """With every label of the target wrong, the same epoch is chosen and the same model is the result."""
    before = sink("--select", "infomax")
    true_labels = Task.labels

    def wrong(self: Task, part: str) -> Any:
        labels = true_labels(self, part)
        return labels if part == "source" else (labels + 1) % len(self.classes)

    monkeypatch.setattr(Task, "labels", wrong)
    after = sink("--select", "infomax")
    assert after.result() == before.result()
    assert after.record_of_model() == before.record_of_model()
    assert [row["signals"] for row in after.history] == [row["signals"] for row in before.history]
    assert after.record["metrics"] != before.record["metrics"]


CHEAP = {"balance", "bnm", "entropy", "infomax", "pair-agreement", "source-agreement", "source-drift"}


@pytest.mark.slow
def test_every_epoch_has_the_cheap_scores_and_expensive_ones_on_request(sink, monkeypatch):
    default, every = sink("--epochs", "1"), sink("--epochs", "1", "--set", "adapt.validators=all")
    scores = [ran.history[0]["signals"]["validators"] for ran in (default, every)]
    assert set(scores[0]) >= CHEAP | {"snd", "knn-agreement"} and "augmentation-consistency" not in scores[0]
    assert set(scores[1]) == set(registry().names("validator"))
    assert 0 <= scores[1]["augmentation-consistency"] <= 1
    assert {name: scores[1][name] for name in scores[0]} == scores[0]
    monkeypatch.setattr(scoring, "PAIRWISE_IMAGES", 10)
    assert "snd" not in sink("--epochs", "1").history[0]["signals"]["validators"]
    assert "snd" in sink("--epochs", "1", "--select", "snd").history[0]["signals"]["validators"]


@pytest.mark.slow
def test_pairs_are_read_where_there_are_some(sink, sfda_kit, on_pairs):
    """The share of an epoch is that of its model, by hand; the reference is the source model's own."""
    ran = sink("--epochs", "1")
    signals = ran.history[0]["signals"]
    assert 0 <= signals["pair_agreement"] == signals["validators"]["pair-agreement"] <= 1
    without = ("--epochs", "1", "--set", "dataset.ti_classes=[]", "--set", "adapt.validators=all")
    signals = sink(*without).history[0]["signals"]
    assert "pair_agreement" not in signals and "pair-agreement" not in signals["validators"]
    result = sfda_kit("run", "--method", "sinking", *on_pairs, *without, "--select", "pair-agreement")
    assert result.exit_code == 2 and "reads TI pairs and the task has none" in str(result.exception)


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_watching_changes_no_training(sink):
    plain, watched = sink(method="shot"), sink("--set", "adapt.validators=all", method="shot")
    assert plain.record_of_model()["weights_sha256"] == watched.record_of_model()["weights_sha256"]


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Component("broken", "a_stranger:Broken", "raises", kind="validator", owner="a-stranger")
    monkeypatch.setitem(registry().components, ("validator", "broken"), part)


@pytest.mark.slow
def test_a_validator_that_fails_costs_only_itself_unless_it_was_asked_for(sink, sfda_kit, on_pairs, monkeypatch):
    broken(monkeypatch)
    ran = sink()
    assert ran.output.count("the validator 'broken' of a-stranger failed and is left out") == 1
    assert all("broken" not in row["signals"]["validators"] for row in ran.history)
    result = sfda_kit("run", "--method", "sinking", *on_pairs, "--select", "broken")
    expected = "The validator 'broken' of a-stranger failed: ZeroDivisionError: no images of that kind"
    assert result.exit_code == 2 and str(result.exception).startswith(expected)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--select", "sdn"), "'snd'"),
        (("--set", "adapt.validator=sdn"), "'snd'"),
        (("--set", "adapt.validators=[sdn]"), "'snd'"),
        (("--select", "snd", "--set", "adapt.select.options.temprature=1"), "'temperature'"),
        (("--on-collapse", "stopp"), "'stop'"),
    ],
)
def test_a_wrong_name_stops_before_any_work(sfda_kit, on_pairs, flags, said):
    result = sfda_kit("run", "--method", "sinking", *on_pairs, *flags)
    assert result.exit_code == 2 and said in str(result.exception)
    assert not Path("runs").exists()


@pytest.mark.slow
def test_options_of_the_validator_reach_it(sink):
    scores = [
        sink("--epochs", "1", "--select", "snd", *more).history[0]["signals"]["validators"]["snd"]
        for more in ((), ("--set", "adapt.select.options.temperature=1000"))
    ]
    assert scores[0] < scores[1]


@pytest.mark.slow
def test_the_terminal_tells_what_was_chosen_and_what_was_left_out(sfda_kit, on_pairs):
    arguments = ["--method", "sinking", *on_pairs, "--epochs", str(EPOCHS), "--select", "snd"]
    shown = sfda_kit("run", *arguments).stdout
    (record,) = [json.loads(path.read_text()) for path in Path("runs").glob("*/record.json")]
    selection = record["selection"]
    chosen = f"sink {selection['chosen_epoch']}"
    last, kept = (selection[key]["heldout_accuracy"] for key in ("last", "chosen"))
    told = f"plain accuracy, held out, last epoch: {last:.1f}; chosen by snd ({chosen}): {kept:.1f}"
    assert f"{told}; best (sink " in shown
    assert "known by labels alone" in shown
    assert f"the result is {chosen}" in shown
    assert "snd scores these collapsed epochs higher; they are left out: sink 3, sink 4" in shown
