"""What a run takes is told beforehand, and a run that runs out of memory says which batch fits."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import Result

from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.bench.process import _end_of
from sfda_kit.config.loading import load_config
from sfda_kit.errors import RunError
from sfda_kit.files import is_out_of_memory
from sfda_kit.results.record import read_record
from sfda_kit.runs import memory
from sfda_kit.runs.memory import MemoryProbe, StageMemory, probe_of
from sfda_kit.runs.plan import plan_run

from ..conftest import last_json

Call = Callable[..., Result]
PROBE = MemoryProbe({}, "adaptation", batch=64, classes=3, source="rgb", target="depth", has_pairs=True)


def test_errors_of_python_and_torch_that_mean_memory() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**50)
    assert is_out_of_memory(raised.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def fits_up_to(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Let batches up to ``most`` fit, with 100 MiB and 10 MiB an image."""
    tried: list[int] = []

    def peak(probe: MemoryProbe) -> float | None:
        tried.append(probe.batch)
        return 100.0 + 10 * probe.batch if probe.batch <= most else None

    monkeypatch.setattr(MemoryProbe, "peak", peak)
    return tried


def test_halves_are_tried_until_one_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = fits_up_to(monkeypatch, 10)
    assert PROBE.largest() == 8
    assert tried == [32, 16, 8]


def test_where_not_even_two_images_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = fits_up_to(monkeypatch, 1)
    assert PROBE.largest() is None
    assert tried == [32, 16, 8, 4, 2]


def test_the_largest_batch_follows_from_two_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    fits_up_to(monkeypatch, 1000)
    assert memory._measured(PROBE, free=2100.0, images=5.0) == StageMemory("adaptation", 64, 740.0, 5.0, 200)


def test_the_largest_batch_where_the_given_one_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fits_up_to(monkeypatch, 50)
    assert memory._measured(PROBE, free=600.0, images=0.0) == StageMemory("adaptation", 64, None, 0.0, 50)


def test_a_killed_cell_is_told_so() -> None:
    assert "as a system does where memory runs out" in _end_of(-signal.SIGKILL)
    assert _end_of(7) == "its process ended with exit code 7"


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_run_out_of_memory_names_the_batch_that_fits_and_goes_on(
    sfda_kit: Call, on_pairs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["run", *on_pairs, "--method", "shot", "--runs-dir", str(tmp_path)]
    adapt = RecipeMethod.adapt

    def failing(self: RecipeMethod, context: Any) -> Iterator[Any]:
        epochs = adapt(self, context)
        yield next(epochs)
        next(epochs)  # the first epoch is saved, and the second is lost
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(RecipeMethod, "adapt", failing)
    tried = fits_up_to(monkeypatch, 5)
    failed = sfda_kit(*command)
    assert failed.exit_code == 1
    expected = (
        "There is not enough memory for 16 images in a step of the stage 'adapt', and 4 fit: give --batch-size 4, or"
    )
    assert isinstance(failed.exception, RunError)  # which prints one message
    assert str(failed.exception).startswith(expected)
    assert tried == [8, 4]
    (folder,) = (path.parent for path in tmp_path.glob("*/record.json"))
    record = read_record(folder)
    assert record is not None
    assert record.status == "failed"
    assert record.error.startswith(expected)

    monkeypatch.setattr(RecipeMethod, "adapt", adapt)
    again = last_json(sfda_kit(*command, "--resume", "--json"))
    assert again["status"] == "ok"
    assert Path(again["run_dir"]) == folder


LIMITED = """
import resource
import sfda_kit.runs.labelled_run
from sfda_kit.cli.app import main

size = next(line for line in open("/proc/self/status") if line.startswith("VmSize"))
limit = int(size.split()[1]) * 1024 + 700 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main()
"""


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is set by what Linux tells")
def test_a_real_limit_of_memory_ends_in_one_sentence(on_pairs: list[str], tmp_path: Path) -> None:
    large = [
        "--method",
        "shot",
        "--backbone",
        "resnet10t",
        "--image-size",
        "256",
        "--source-epochs",
        "1",
        "--runs-dir",
        str(tmp_path),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LIMITED, "run", *on_pairs, *large]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    told = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1, told
    assert "There is not enough memory for 32 images in a step of the stage 'source', and " in told
    assert " fit: give --set source.batch_size=" in told
    assert "Traceback" not in told


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_memory_of_a_run_is_told_and_nothing_is_kept(
    sfda_kit: Call, on_pairs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 1100 * 2**20)
    fits_up_to(monkeypatch, 20)
    asked = ["run", *on_pairs, "--method", "shot", "--runs-dir", str(tmp_path / "runs"), "--memory"]
    told = sfda_kit(*asked, "--json")
    assert told.exit_code == 0, told.output
    stages = json.loads(told.output.strip().splitlines()[-1])["stages"]
    assert [(one["stage"], one["batch"], one["peak"], one["largest"]) for one in stages] == [
        ("source", 32, None, 31),
        ("adaptation", 16, 260.0, 100),
        ("passes", 32, None, 31),
    ]
    images = [one["images"] for one in stages]
    assert 0 < images[2] < images[1] and images[0] > 0
    shown = " ".join(sfda_kit(*asked).output.split())
    assert "source 32 does not fit 0 31 source.batch_size" in shown
    assert "adaptation 16 260 0 100 adapt.batch_size" in shown
    assert "free for a process on this cpu" in shown
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
@pytest.mark.parametrize("stage", ["source", "bridge", "adaptation", "passes"])
def test_the_first_steps_of_each_stage_are_made(stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """In this process, which takes less time than one of its own."""
    from sfda_kit.runs import memory_probe

    model = {"backbone": "test_resnet", "image_size": 32, "bottleneck": 8}
    plan = plan_run(load_config({"method": "tgkt", "model": model, "adapt": {"batch_size": 4}}))
    task = {"source": "rgb@kv1", "target": "depth@kv1", "classes": ["a", "b"], "images": {"ti": 5}}
    probe = probe_of(plan, task, stage)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asdict(probe)) + "\n"))
    monkeypatch.setattr(memory_probe, "end_with_parent", lambda: None)
    memory_probe.main()
    assert float(capsys.readouterr().out) > 100


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 2**24])
def test_a_process_of_its_own_measures_or_runs_out(limit: int) -> None:
    plan = plan_run(load_config({"method": "source-only", "model": {"backbone": "test_resnet", "image_size": 32}}))
    task = {"source": "rgb@kv1", "target": "depth@kv1", "classes": ["a", "b"], "images": {}}
    peak = probe_of(plan, task, "passes", limit).peak()
    assert peak is None if limit else peak is not None and peak > 100


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-socket", "sfda-kit-tgkt")
@pytest.mark.parametrize("method", ["socket", "tgkt"])
def test_a_run_with_checkpointed_activations_ends_with_the_same_numbers(
    method: str, sfda_kit: Call, on_pairs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ["--method", method, "--source-epochs", "1", "--epochs", "1", "--bridge-epochs", "1", "--json"]
    found = []
    for more in ([], ["--checkpoint-activations"]):
        monkeypatch.setenv("SFDA_KIT_CACHE", str(tmp_path / f"cache{len(more)}"))  # so that all stages are made again
        told = last_json(sfda_kit("run", *on_pairs, *short, "--runs-dir", str(tmp_path / "runs"), *more))
        found.append(told["metrics"])
    assert found[0] == found[1]
