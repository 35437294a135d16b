"""A run killed at any moment and resumed ends exactly as one that was never stopped."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sfda_kit.config.loading import load_config
from sfda_kit.errors import UserError
from sfda_kit.results.abandoned import remove_abandoned
from sfda_kit.results.journal import Journal
from sfda_kit.results.store import RunFolder, open_run

from ..conftest import TR
from ..folders import write_card


def outcome(run_dir: Path) -> tuple[dict, str, list]:
    record = json.loads((run_dir / "record.json").read_text())
    predictions = hashlib.sha256((run_dir / "predictions.parquet").read_bytes()).hexdigest()
    history = json.loads((run_dir / "history.json").read_text())
    rows = [(row["phase"], row["epoch"], row["metrics"], row["signals"]) for row in history]  # all but wall times
    return record["metrics"], predictions, rows


@pytest.fixture
def finish(sfda_kit, monkeypatch):
    """Run to the end in this process, in a folder with a cache of its own; the run folder."""

    def run(arguments: list[str], home: Path) -> Path:
        monkeypatch.chdir(home)
        monkeypatch.setenv("SFDA_KIT_CACHE", str(home / "cache"))
        done = sfda_kit("run", *arguments, "--resume", "--json")
        assert done.exit_code == 0, done.exception
        return home / run_dir(done)

    return run


def kill_when(arguments: list[str], home: Path, condition) -> bool:
    """Start the run and SIGKILL it as soon as ``condition()`` holds; whether it was still running."""
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "SFDA_KIT_CACHE": str(home / "cache")}
    command = [sys.executable, "-m", "sfda_kit", "run", *arguments, "--resume", "--json"]
    process = subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not condition(home):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_killed_in_every_stage_and_resumed_is_the_same_run(finish, on_pairs, tmp_path):
    arguments = ["--method", "tgkt", *on_pairs, "--epochs", "3", "--set", "compute.threads=1", "--no-pictures"]
    undisturbed = outcome(finish(arguments, make(tmp_path / "undisturbed")))
    assert all("churn" in signals for *_, signals in undisturbed[2])
    moments = {
        "source": lambda home: any(home.glob("cache/stages/source/*.partial/checkpoint.pt")),
        "bridge": lambda home: any(home.glob("cache/stages/bridge/*.partial/checkpoint.pt")),
        "before the first epoch": lambda home: any(home.glob("runs/*/config.yaml")),
        "first epoch saved": lambda home: any(home.glob("runs/*/checkpoints/adapt.pt")),
        "history written": lambda home: any(home.glob("runs/*/history.json")),
    }
    home = make(tmp_path / "killed")
    killed = [kill_when(arguments, home, condition) for condition in moments.values()]
    assert all(killed), dict(zip(moments, killed, strict=True))
    assert outcome(finish(arguments, home)) == undisturbed
    assert len(list((home / "runs").iterdir())) == 1
    assert not list(home.glob("runs/*/checkpoints"))


def make(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture
def shot(sfda_kit, on_pairs):
    """A quick run of shot under --resume; returns the whole result."""
    return lambda *more: sfda_kit("run", "--method", "shot", *on_pairs, "--resume", "--json", *more)


def run_dir(result) -> Path:
    return Path(json.loads(result.stdout.splitlines()[-1])["run_dir"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "epochs"),
    [("shot", 2), ("shot-plus-plus", 2), ("nrc", 2), ("cowa-jmds", 2), ("plue", 2), ("tent", 1), ("oracle", 4)],
)
@pytest.mark.needs_plugin(of="method")
def test_killed_after_the_last_epoch_the_result_is_still_written(sfda_kit, on_pairs, monkeypatch, method, epochs):
    from sfda_kit.results import figures

    def broken(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    arguments = ("run", "--method", method, *on_pairs, "--resume", "--json")
    with monkeypatch.context() as patch:
        patch.setattr(figures, "draw_curves", broken)
        stopped = sfda_kit(*arguments)
    assert stopped.exit_code == 2 and "disk is full" in json.loads(stopped.stdout.splitlines()[-1])["error"]
    result = sfda_kit(*arguments)
    assert json.loads(result.stdout.splitlines()[-1])["status"] == "ok"
    assert f"continuing after epoch {epochs}" in result.stderr
    assert outcome(run_dir(result)) == outcome(run_dir(sfda_kit(*arguments, "--runs-dir", "undisturbed")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("nrc", ()),
        ("aad", ()),
        ("cowa-jmds", ()),
        ("plue", ()),
        ("shot-plus-plus", ()),
        ("tent", ("--set", "recipe.options.passes=2")),
    ],
)
@pytest.mark.needs_plugin(of="method")
def test_stopped_between_epochs_the_memory_of_the_target_continues(sfda_kit, on_pairs, monkeypatch, method, more):
    """What a method remembers of each image is part of the checkpoint, so the second epoch is the same."""
    arguments = ("run", "--method", method, *on_pairs, *more, "--resume", "--json")
    record = Journal.epoch

    def stopped(self: Journal, *given: object) -> None:
        record(self, *given)
        if len(self.history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "epoch", stopped)
        assert sfda_kit(*arguments).exit_code != 0
    (left,) = Path("runs").iterdir()
    resumed = sfda_kit(*arguments)
    assert run_dir(resumed) == left and "continuing after epoch 1" in resumed.stderr
    assert outcome(left) == outcome(run_dir(sfda_kit(*arguments, "--runs-dir", "undisturbed")))


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_killed_before_the_checkpoints_were_removed_a_finished_run_is_reported(shot, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "remove_checkpoints", killed)
        stopped = shot()
        assert stopped.exit_code != 0 and "epochs of" in stopped.stderr
    (left,) = Path("runs").glob("*/checkpoints")
    result = shot()
    assert "already finished" in result.stderr and "epochs of" not in result.stderr
    assert not left.exists() and run_dir(result) == left.parent


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_another_card_at_the_same_path_is_another_run(shot, tmp_path):
    write_card(tmp_path / "card")
    with_card = ("--source-card", str(tmp_path / "card"), "--tr-classes", ",".join(TR))
    first = run_dir(shot(*with_card))
    assert run_dir(shot(*with_card)) == first
    write_card(tmp_path / "card", seed=1)
    assert run_dir(shot(*with_card)) != first


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_data_changed_on_the_disk_is_another_run(shot, pairs_root, tmp_path):
    own = shutil.copytree(pairs_root, tmp_path / "pairs")
    first = run_dir(shot("--data-root", str(own)))
    assert run_dir(shot("--data-root", str(own))) == first
    next(own.glob("cam/depth/bar/*.png")).write_bytes(next(own.glob("cam/depth/disc/*.png")).read_bytes())
    assert run_dir(shot("--data-root", str(own))) != first


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_mistake_found_late_leaves_no_folder_behind(sfda_kit, on_pairs):
    result = sfda_kit("run", "--method", "tgkt", *on_pairs, "--set", "dataset.ti_classes=[]")
    assert result.exit_code == 2 and "--ti-classes" in str(result.exception)
    assert not list(Path("runs").iterdir())


def test_a_full_disk_leaves_no_empty_folder_behind(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sfda_kit.files.os.fsync", full)
    with pytest.raises(UserError, match="disk is full"):
        open_run(tmp_path, "shot", {"config": {}}, resume=False)
    assert not list(tmp_path.iterdir())


def test_folders_in_which_a_killed_process_computed_nothing_do_not_stay_for_ever(tmp_path):
    folders = {seed: open_run(tmp_path, "shot", {"seed": seed}, resume=False) for seed in range(5)}
    (folders[1].path / "history.json").write_text("[]")
    (folders[2].path / "notes.txt").write_text("mine")
    (folders[3].path / ".config.yaml.x1.tmp").write_text("half")
    (folders[3].path / "config.yaml").unlink()
    own = tmp_path / "mine"
    own.mkdir()
    (own / "config.yaml").touch()
    for path in (own, *(folders[seed].path for seed in range(4))):
        os.utime(path, (0, 0))
    with folders[0].locked():
        os.utime(folders[0].path, (0, 0))
        remove_abandoned(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert {seed for seed, folder in folders.items() if folder.run_id in left} == {0, 1, 2, 4} and "mine" in left
    os.utime(folders[0].path, (0, 0))
    remove_abandoned(tmp_path)
    assert not folders[0].path.exists() and folders[4].path.exists()


def test_a_different_configuration_is_a_different_run():
    assert load_config({"method": "shot", "seed": 1}).digest() != load_config({"method": "shot"}).digest()
