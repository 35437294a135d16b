"""A damaged file of a run is told, set aside, and the run is made again bit for bit; all other runs go on."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sfda_kit.checksums import CHECKSUMS
from sfda_kit.results.journal import Journal
from sfda_kit.submissions.pack import pack
from sfda_kit.training.checkpoint import Checkpoint

from .test_resume import outcome, run_dir

DAMAGED = [
    *("record.json", "history.json", "predictions.parquet", "config.yaml", CHECKSUMS),
    *("model/model.safetensors", "model/card.json"),
]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.slow
def test_a_finished_run_with_a_damaged_file_is_made_again(sfda_kit, on_pairs, tmp_path):
    arguments = ("run", "--method", "source-only", *on_pairs, "--resume", "--json")
    folder = run_dir(sfda_kit(*arguments))
    whole, files = outcome(folder), sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert "already finished" in sfda_kit(*arguments).stderr
    for number, name in enumerate(DAMAGED):
        (flip, truncate)[number % 2](folder / name)
        again = sfda_kit(*arguments)
        assert again.exit_code == 0 and run_dir(again) == folder, again.output
        assert f"{name} of {folder} is damaged: it is set aside, and the run is made again" in again.stderr
        assert (folder / f"{name}.damaged").exists() and outcome(folder) == whole
        assert "already finished" in sfda_kit(*arguments).stderr
    assert [path for path in files if not (folder / path).exists()] == []
    (folder / CHECKSUMS).unlink()  # a run of an earlier version
    assert "already finished" in sfda_kit(*arguments).stderr


@pytest.mark.slow
def test_a_changed_model_neither_predicts_nor_is_exported(sfda_kit, on_pairs, pairs_root):
    folder = run_dir(sfda_kit("run", "--method", "source-only", *on_pairs, "--json"))
    images = pairs_root / "cam" / "depth" / "bar"
    assert sfda_kit("predict", "--run", folder, images).exit_code == 0
    card = folder / "model" / "card.json"
    card.write_text(card.read_text().replace('"bar"', '"car"'))
    for command in (("predict", "--run", folder, images), ("export", "--run", folder / "model")):
        result = sfda_kit(*command)
        assert result.exit_code == 2 and "card.json is damaged" in str(result.exception)


@pytest.fixture
def runs(sfda_kit, on_pairs) -> list[Path]:
    """The folders of two finished runs."""
    made = [sfda_kit("run", "--method", "source-only", *on_pairs, "--seed", str(seed), "--json") for seed in (0, 1)]
    return [run_dir(result) for result in made]


@pytest.mark.slow
def test_a_damaged_run_is_told_and_the_others_are_packed_and_queried(sfda_kit, runs, tmp_path):
    first, second = runs
    kept = shutil.copytree(first, tmp_path / "kept")
    for name, view in (("record.json", "runs"), ("history.json", "history"), ("predictions.parquet", "predictions")):
        for damage in (truncate, lambda path: path.write_bytes(b"")):
            damage(first / name)
            packed = pack([Path("runs")], tmp_path / "out.zip", {})
            assert len(packed.findings.runs) == 1 and len(packed.damaged) == 1 and str(first) in packed.damaged[0]
            query = sfda_kit("results", "query", f"select distinct run_id from {view}", "--format", "csv")
            assert query.exit_code == 0 and query.stdout.split() == ["run_id", second.name]
            assert str(first / name) in query.stderr
            shutil.copy(kept / name, first / name)
    for content in (b"", b"\xe9", b"\0", b"- a"):
        (first / "config.yaml").write_bytes(content)
        assert str(first) in pack([Path("runs")], tmp_path / "out.zip", {}).damaged[0]
    shutil.copy(kept / "config.yaml", first / "config.yaml")
    flip(first / "predictions.parquet")
    query = sfda_kit("results", "query", "select distinct run_id from predictions", "--format", "csv")
    assert query.stdout.split() == ["run_id", second.name] and "left out" in query.stderr


@pytest.mark.slow
def test_a_figure_without_a_name_is_told_and_left_out(sfda_kit, runs):
    first, second = runs
    record = json.loads((first / "record.json").read_text())
    record["metrics"][""] = 1.0
    (first / "record.json").write_text(json.dumps(record, indent=2))
    query = sfda_kit("results", "query", "select run_id from runs", "--format", "csv")
    assert query.stdout.split() == ["run_id", second.name] and "empty name" in query.stderr
    packed = pack([Path("runs")], Path("out.zip"), {})
    assert len(packed.findings.runs) == 1 and str(first) in packed.damaged[0]


def stop_after(monkeypatch: pytest.MonkeyPatch, rows: int) -> Any:
    record = Journal.epoch

    def stopped(self: Journal, *given: object) -> None:
        record(self, *given)
        if len(self.history) == rows:
            raise KeyboardInterrupt

    return monkeypatch.setattr(Journal, "epoch", stopped)


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [("adapt.pt",), ("adapt.pt", "adapt.previous.pt"), ("kept.state",), ()])
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_an_unfinished_run_goes_on_from_what_is_whole(sfda_kit, on_pairs, monkeypatch, damaged):
    """Checkpoints of the run; without any, its history is damaged."""
    flags = ("--epochs", "4", "--select", "entropy", "--resume", "--json")
    arguments = ("run", "--method", "shot-im", *on_pairs, *flags)
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        assert sfda_kit(*arguments).exit_code != 0
    (folder,) = Path("runs").iterdir()
    for name in damaged:
        flip(folder / "checkpoints" / name)
    if not damaged:
        truncate(folder / "history.json")
    again = sfda_kit(*arguments)
    assert run_dir(again) == folder and "damaged" in again.stderr and "set aside" in again.stderr
    assert ("continuing after epoch 2" in again.stderr) == (damaged == ("adapt.pt",))
    assert outcome(folder) == outcome(run_dir(sfda_kit(*arguments, "--runs-dir", "undisturbed")))
    assert not list(folder.glob("checkpoints*"))


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_folder_removed_under_way_and_a_full_disk_are_messages(sfda_kit, on_pairs, monkeypatch):
    arguments = ("run", "--method", "shot-im", *on_pairs, "--resume", "--json")
    save = Checkpoint.save

    def removed(self: Checkpoint, *given: Any) -> None:
        save(self, *given)
        if self.path.name == "adapt.pt":
            shutil.rmtree("runs")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", removed)
        result = sfda_kit(*arguments)
    assert result.exit_code == 2 and "was removed during the run" in str(result.exception)
    assert not list(Path().glob("runs/*"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    with monkeypatch.context() as patch:
        patch.setattr("sfda_kit.runs.run.save_adapted", full)
        result = sfda_kit(*arguments)
    told = json.loads(result.stdout.splitlines()[-1])["error"]
    assert result.exit_code == 2 and told.startswith("Cannot write somewhere: the disk is full") and "--resume" in told
