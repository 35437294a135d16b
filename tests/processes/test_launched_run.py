"""A run in two processes of torchrun: killed, resumed, and the same as a run in one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

pytestmark = [pytest.mark.slow, pytest.mark.needs_plugin("sfda-kit-socket")]

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"]


def launch(launcher: list[str], arguments: list[str]) -> subprocess.Popen[str]:
    command = [*launcher, "-m", "sfda_kit", "run", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def other_than_first(launcher: int) -> int | None:
    """The process number of rank 1 below ``launcher``."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            about = (folder / "environ").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == launcher and b"RANK=1" in about:
            return int(folder.name)
    return None


def assert_same_run(found: Path, expected: Path) -> None:
    """The same answers and pseudo-label churn, and weights to the last digits of single precision."""
    answers = [pd.read_parquet(run / "predictions.parquet") for run in (found, expected)]
    probabilities = [one.select_dtypes("number").to_numpy(float) for one in answers]
    np.testing.assert_allclose(*probabilities, atol=5e-3)
    churn = [
        [row["signals"]["churn"] for row in json.loads((run / "history.json").read_text())] for run in (found, expected)
    ]
    assert churn[0] == churn[1]
    weights = [load_file(run / "model" / "model.safetensors") for run in (found, expected)]
    for name, known in weights[1].items():
        np.testing.assert_allclose(
            weights[0][name], known, atol=2e-3 * max(1.0, float(np.abs(known).max())), err_msg=name
        )


@pytest.fixture
def arguments(on_pairs: list[str], sfda_kit: Callable[..., Any]) -> list[str]:
    """A run whose source model is in the cache, and of which one process has made the folder ``one``."""
    given = ["--method", "socket", *on_pairs, "--epochs", "3", "--batch-size", "17", "--set", "adapt.lr=1e-4"]
    given += ["--set", "compute.pictures=false", "--device", "cpu"]
    done = sfda_kit("run", *given, "--runs-dir", "one")
    assert done.exit_code == 0, done.output
    return given


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for a process in /proc")
def test_a_killed_process_ends_all_and_the_run_goes_on_in_two_or_in_one(
    arguments: list[str], sfda_kit: Callable[..., Any]
) -> None:
    killed = launch(TORCHRUN, [*arguments, "--runs-dir", "two"])
    while killed.poll() is None and not list(Path("two").glob("*/checkpoints/adapt.pt")):
        time.sleep(0.01)
    pid = other_than_first(killed.pid)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    assert killed.returncode != 0
    shutil.copytree("two", "resumed-by-one")

    assert sfda_kit("run", *arguments, "--runs-dir", "resumed-by-one", "--resume").exit_code == 0
    resumed = launch(TORCHRUN, [*arguments, "--runs-dir", "two", "--resume", "--json"])
    output, errors = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, errors
    (told,) = [json.loads(line) for line in output.splitlines() if line.startswith("{")]  # one process speaks
    assert errors.count("continuing after epoch") == 1
    record = json.loads((Path(told["run_dir"]) / "record.json").read_text())
    assert record["cost"]["processes"] == 2
    (one,), (two,), (by_one,) = (list(Path(name).iterdir()) for name in ("one", "two", "resumed-by-one"))
    assert one.name[:-24] == two.name[:-24]  # the same identity
    assert_same_run(two, one)
    assert_same_run(by_one, one)


def test_accelerate_starts_a_run_as_torchrun_does(arguments: list[str]) -> None:
    pytest.importorskip("accelerate")
    started = launch(ACCELERATE, [*arguments, "--runs-dir", "two"])
    _, errors = started.communicate(timeout=300)
    assert started.returncode == 0, errors
    (one,), (two,) = (list(Path(name).iterdir()) for name in ("one", "two"))
    assert_same_run(two, one)
