"""Trackers: they hear a run, decide nothing, and cost nothing when they fail."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from sfda_kit import Job, Tracker
from sfda_kit.bench.cell import decode, encode, execute
from sfda_kit.cli import flags, options
from sfda_kit.errors import UserError
from sfda_kit.events import Event
from sfda_kit.plugins.building import build
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.results.tracking import find_trackers, tracked
from sfda_kit.testing import TrackerConformance
from sfda_kit.testing.conformance_tracker import run_events, small_record
from sfda_kit.training.loop import train_stage as real_train

from ..conftest import last_json

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "trackers.md"


class Recorder(Tracker):
    """Writes what it is told to a file in the run folder."""

    def event(self, event: Event) -> None:
        with (self.run_dir / "told.jsonl").open("a") as file:
            file.write(json.dumps({"kind": event.kind, "stage": event.stage, "data": event.data}) + "\n")

    def finish(self, summary) -> None:
        (self.run_dir / "told.json").write_text(json.dumps({"described": self.described, "summary": summary}))


class Meddler(Tracker):
    """Changes whatever it is handed, then fails."""

    def __init__(self, run_dir, described) -> None:
        described["config"]["seed"] = 99
        super().__init__(run_dir, described)

    def event(self, event: Event) -> None:
        for value in event.data.values():
            if isinstance(value, dict):
                value.clear()
        if event.kind == "epoch":
            raise ConnectionError("the server is gone")


class Leaves(Tracker):
    def __init__(self, run_dir, described) -> None:
        sys.exit("no key")

    def event(self, event: Event) -> None: ...


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trackers above, as a plugin's."""
    for name, part in (("recorder", Recorder), ("meddler", Meddler), ("leaves", Leaves)):
        monkeypatch.setitem(sys.modules, f"of_{name}", type(sys)(f"of_{name}"))
        sys.modules[f"of_{name}"].Part = part
        component = Component(name, f"of_{name}:Part", "for tests", kind="tracker", owner="stranger")
        monkeypatch.setitem(registry().components, ("tracker", name), component)


def told(run_dir: str | Path) -> list[dict]:
    return [json.loads(line) for line in (Path(run_dir) / "told.jsonl").read_text().splitlines()]


def without_times(text: str) -> list[dict]:
    return [{key: value for key, value in json.loads(line).items() if key != "time"} for line in text.splitlines()]


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_tracker_hears_the_run_and_its_summary(parts, sfda_kit, on_pairs):
    summary = last_json(sfda_kit("run", "--method", "shot", *on_pairs, "--tracker", "recorder", "--json"))
    events = told(summary["run_dir"])
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "run" and kinds[-1] == "done"
    epochs = [event["data"]["epoch"] for event in events if (event["kind"], event["stage"]) == ("epoch", "adapt")]
    assert epochs == [1, 2]
    assert {event["stage"] for event in events if event["kind"] == "step"} == {"source", "adapt"}
    end = json.loads((Path(summary["run_dir"]) / "told.json").read_text())
    assert end["summary"] == summary
    assert set(end["described"]) == {"run_id", "method", "seed", "task", "config", "recipe"}
    assert end["described"]["run_id"] == summary["run_id"]


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_tracker_is_no_part_of_what_a_run_is_and_a_failing_one_costs_nothing(parts, sfda_kit, on_pairs):
    run = ["run", "--method", "shot", *on_pairs, "--json"]
    plain = last_json(sfda_kit(*run, "--runs-dir", "plain"))
    names = [word for name in ("meddler", "leaves", "recorder") for word in ("--tracker", name)]
    result = sfda_kit(*run, *names)
    followed = last_json(result)
    assert followed["metrics"] == plain["metrics"]
    records = [json.loads((Path(run["run_dir"]) / "record.json").read_text()) for run in (plain, followed)]
    assert records[0]["config"] == records[1]["config"] and records[0]["signals"] == records[1]["signals"]
    assert result.stderr.count("the server is gone") == 1
    assert "the tracker 'leaves' failed and is left out of the rest of this run (SystemExit: no key)" in result.stderr
    assert [event for event in told(followed["run_dir"]) if event["kind"] == "done"]
    assert last_json(sfda_kit(*run, "--resume"))["run_id"] == followed["run_id"]


def test_notices_of_failed_trackers_are_in_the_log(parts, tmp_path):
    heard: list[Event] = []
    names = ["meddler", "recorder", "recorder"]
    tell = tracked(find_trackers(names), tmp_path, small_record(tmp_path), heard.append)
    events = run_events(epochs=2)
    for event in events:
        tell(event)
    assert [event for event in heard if event in events] == events
    (notice,) = [event for event in heard if event not in events]
    assert notice.kind == "notice" and "'meddler' failed" in notice.data["text"]
    assert len(told(tmp_path)) == len(events)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_adapt_takes_trackers_too(parts, sfda_kit, private_home):
    from ..folders import write_card, write_folders

    write_folders(private_home)
    write_card(private_home / "card")
    what = ["--source-card", "card", "--target-dir", "target", "--method", "shot"]
    quick = ["--epochs", "1", "--batch-size", "8", "--tracker", "recorder", "--json"]
    summary = last_json(sfda_kit("adapt", *what, *quick))
    (epoch,) = [event for event in told(summary["run_dir"]) if event["kind"] == "epoch"]
    assert "agreement_with_source" in epoch["data"]["figures"]


def test_a_cell_of_a_benchmark_passes_its_trackers_on(parts, on_pairs, tmp_path):
    pairs = dict(zip(on_pairs[::2], on_pairs[1::2], strict=True))
    given = {key: value for name, value in pairs.items() if (key := name[2:].replace("-", "_")) in options.SETTINGS}
    config = flags.configuration({"method": "source-only", **given}).model_dump(mode="json")
    job = Job("key", "name", config, tmp_path / "runs", trackers=("recorder",))
    assert decode(encode(job)) == job
    execute(job)
    (run_dir,) = (tmp_path / "runs").iterdir()
    assert told(run_dir)[-1]["kind"] == "done"


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_an_unknown_tracker_stops_before_any_work(sfda_kit, on_pairs):
    result = sfda_kit("run", "--method", "shot", *on_pairs, "--tracker", "tensorbord")
    assert result.exit_code == 2
    assert "Unknown tracker 'tensorbord'. Did you mean 'tensorboard'?" in str(result.exception)
    assert not Path("runs").exists() and not Path("cache").exists()


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=re.escape("pip install 'sfda-kit[tensorboard]'")):
        find_trackers(["tensorboard"])


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_run_that_computed_nothing_leaves_no_folder_with_a_tracker(sfda_kit, on_pairs, monkeypatch):
    def refuse(self) -> None:
        raise UserError("bad images")

    monkeypatch.setattr("sfda_kit.data.open_views.ViewOpener.read_target", refuse)
    result = sfda_kit("run", "--method", "shot", *on_pairs, "--tracker", "tensorboard")
    assert "bad images" in str(result.exception)
    assert not list(Path("runs").iterdir())


def scalars(run_dir: str | Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stored = EventAccumulator(str(Path(run_dir) / "tensorboard"), size_guidance={"scalars": 0})
    stored.Reload()
    found = {tag: [(event.step, event.value) for event in stored.Scalars(tag)] for tag in stored.Tags()["scalars"]}
    return {tag: rows for tag, rows in found.items() if not tag.startswith("final/")}


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_tensorboard_holds_figures_and_a_resumed_run_has_no_epoch_twice(sfda_kit, on_pairs, monkeypatch):
    longer = ["--epochs", "3", "--batch-size", "8"]
    run = ["run", "--method", "shot", *on_pairs, *longer, "--tracker", "tensorboard", "--json"]
    whole = last_json(sfda_kit(*run, "--runs-dir", "whole"))

    def dies_in_the_second_epoch(stage, checkpoint, listener):
        for done in real_train(stage, checkpoint, listener):
            yield done
            if stage.name == "adapt" and done == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sfda_kit.adaptation.recipe_method.train_stage", dies_in_the_second_epoch)
        assert sfda_kit(*run).exit_code != 0
    resumed = last_json(sfda_kit(*run, "--resume"))
    written, again = scalars(whole["run_dir"]), scalars(resumed["run_dir"])
    adapt = {tag: rows for tag, rows in written.items() if tag.startswith("adapt/")}
    assert adapt == {tag: rows for tag, rows in again.items() if tag.startswith("adapt/")}
    history = json.loads((Path(whole["run_dir"]) / "history.json").read_text())
    expected = [(row["epoch"], pytest.approx(row["metrics"]["heldout_accuracy"])) for row in history]
    assert adapt["adapt/heldout_accuracy"] == expected
    assert {"adapt/loss/infomax", "adapt/entropy", "adapt/source_agreement", "adapt/churn"} <= set(adapt)
    steps = [step for step, _ in adapt["adapt/loss/infomax"]]
    assert steps == list(range(len(steps))) and len(steps) > 3


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_tensorboard_holds_histograms_settings_and_pictures(sfda_kit, on_pairs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = sfda_kit("run", "--method", "shot", *on_pairs, "--tracker", "tensorboard", "--json")
    run_dir = Path(last_json(run)["run_dir"])
    stored = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"histograms": 0})
    stored.Reload()
    tags = stored.Tags()
    assert {"config/text_summary", "_hparams_/session_start_info"} <= {*tags["tensors"], *stored.summary_metadata}
    assert "pictures/curves" in tags["images"] and "final/heldout_accuracy" in tags["scalars"]
    last = stored.Histograms("adapt/predicted classes")[-1].histogram_value
    counts = json.loads((run_dir / "record.json").read_text())["signals"]["histogram"]
    assert [count for count in last.bucket if count] == [count for count in counts if count]


class TestTensorBoard(TrackerConformance):
    name = "tensorboard"


def snippet(first_line: str) -> str:
    """The fenced block of the page that begins with ``first_line``."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return next(text for text in blocks if text.startswith(first_line))


def install(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The plugin of the page, as a module with its declaration."""
    (folder / f"sfda_{name}.py").write_text(snippet(f"# sfda_{name}.py"))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, f"sfda_{name}", raising=False)
    (declared,) = __import__(f"sfda_{name}").sfda_kit_register_tracker()
    component = Component(**{**vars(declared), "kind": "tracker", "owner": "the page"})
    monkeypatch.setitem(registry().components, ("tracker", name), component)


class OfThePage(TrackerConformance):
    """A snippet; its listing is that of the page's own module."""

    def test_listing_imports_no_torch(self) -> None:
        pytest.skip("a snippet is not installed")


class TestMLflowOfThePage(OfThePage):
    name = "mlflow"

    @pytest.fixture(autouse=True)
    def store(self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
        pytest.importorskip("mlflow")
        folder = tmp_path_factory.mktemp("mlflow")
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # the package without a database has no other store
        monkeypatch.setenv("MLFLOW_TRACKING_URI", (folder / "store").as_uri())
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        install("mlflow", monkeypatch, folder)
        return folder

    def test_figures_arrive_and_a_resumed_run_is_the_same_one(self, tmp_path: Path) -> None:
        from mlflow import MlflowClient

        for _ in range(2):
            tracker = build(self.component(), run_dir=tmp_path, described=small_record(tmp_path).model_dump())
            for event in run_events(epochs=2):
                tracker.event(event)
            tracker.finish(small_record(tmp_path).summary())
        (run,) = MlflowClient().search_runs(["0"])
        assert run.data.metrics == {"adapt/heldout_accuracy": 50.0, "adapt/transductive_accuracy": 52.0}
        assert run.info.status == "FINISHED" and run.data.tags["method"] == "shot"


class TestWandBOfThePage(OfThePage):
    name = "wandb"

    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
        pytest.importorskip("wandb")
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
        install("wandb", monkeypatch, tmp_path_factory.mktemp("wandb"))

    def test_figures_arrive_and_files_lie_in_the_run_folder(self, tmp_path: Path) -> None:
        tracker = self.tracker(tmp_path)
        for event in run_events(epochs=2):
            tracker.event(event)
        assert tracker.run.summary["adapt/heldout_accuracy"] == 50.0
        assert tracker.run.summary["adapt/epoch"] == 2
        tracker.finish(small_record(tmp_path).summary())
        assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_the_plugins_of_the_page_stay_short(name):
    """Counted as a reader would: lines of the class and what it imports, without blank ones and the hook."""
    code = snippet(f"# sfda_{name}.py")
    compile(code, name, "exec")
    before_the_hook = code.split("@sfda_kit.hookimpl")[0]
    assert len([line for line in before_the_hook.splitlines() if line.strip() and not line.startswith("#")]) <= 18
