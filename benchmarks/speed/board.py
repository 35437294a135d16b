"""Seconds to read N made-up run folders, to build the leaderboard and its site from them, and to use that.

    python benchmarks/speed/board.py [--records 10000] [--folder DIR] [--out benchmarks/speed/board.json]

The folders hold what the board reads: record.json, history.json and a small predictions.parquet. They are kept
under ``--folder`` and written only where they are missing; without it they are written anew and removed.
Sorting and filtering are timed on the site's table of all runs in headless Chromium, from the event to the next
picture on the screen; they are left out where there is no browser.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from sfda_kit.leaderboard import build_board
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.site.build import build_site
from sfda_kit.metrics import accuracy, mean_class_accuracy
from sfda_kit.results.collection import load_runs
from sfda_kit.versions import versions

METHODS = ("shot", "shot-im", "socket", "tgmb", "tgkt", "nrc", "aad", "tent", "source-only", "oracle")
SEEDS = 5
CLASSES = [f"class {number}" for number in range(10)]
IMAGES, GROUPS = 200, 40
PARTS = ("transductive", "heldout")

USES = {
    "sort by a number, by a text": ("th:nth-child(6) .dt-column-order, th:nth-child(3) .dt-column-order", None),
    "type into the filter": ("input[type=search]", ["t", "tg", "tgkt", "tgkt s3", ""]),
    "choose a method": ("select", ["shot", "tgkt", ""]),
}
"""What is clicked, or given a value after the other, by what it is called."""

UNTIL_SHOWN = """async ([selector, values]) => {
    const shown = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    const fields = [...document.querySelectorAll(selector)];
    const acts = values === null ? fields.map((field) => () => field.click()) : values.map((value) => () => {
        fields[0].value = value;
        fields[0].dispatchEvent(new Event(fields[0].tagName === "SELECT" ? "change" : "input"));
    });
    const times = [];
    for (const act of acts) {
        const start = performance.now();
        act();
        await shown();
        times.push(Math.round(performance.now() - start));
    }
    return times;
}"""

T = TypeVar("T")


def write_runs(folder: Path, records: int) -> None:
    """Methods x tasks x seeds until there are ``records``: a folder each, the same whenever it is written."""
    cells = product(range(-(-records // (len(METHODS) * SEEDS))), enumerate(METHODS), range(SEEDS))
    for number, (task, (place, method), seed) in enumerate(cells):
        if number == records:
            break
        run = folder / f"{method}-{task:04d}-s{seed}"
        if not (run / "record.json").exists():
            run.mkdir(parents=True, exist_ok=True)
            write_run(run, task, method, place, seed)


def write_run(run: Path, task: int, method: str, place: int, seed: int) -> None:
    """One run folder; the method's place in the list decides how good it is."""
    correct = np.random.default_rng([task, place, seed]).random((len(PARTS), IMAGES)) < 0.3 + 0.06 * place
    labels = np.random.default_rng(task).integers(0, len(CLASSES), (len(PARTS), IMAGES))
    predicted = np.where(correct, labels, (labels + 1) % len(CLASSES))
    tables, metrics = [], {}
    for part, truth, answer in zip(PARTS, labels, predicted, strict=True):
        tables.append(predictions(part, truth, answer))
        metrics[f"{part}_accuracy"] = accuracy(answer, truth)
        metrics[f"{part}_mean_class_accuracy"] = mean_class_accuracy(answer, truth)
        metrics[f"{part}_calibration_error"] = 5.0 + place
    pq.write_table(pa.concat_tables(tables), run / "predictions.parquet")
    history = [{"phase": "adapt", "epoch": e, "metrics": metrics, "signals": signals(), "wall_s": e} for e in range(10)]
    (run / "history.json").write_text(json.dumps(history))
    (run / "record.json").write_text(json.dumps(record(run.name, task, method, seed, metrics)))


def predictions(part: str, labels: np.ndarray, answers: np.ndarray) -> pa.Table:
    """What a run stores for one part."""
    names = pa.array(CLASSES)
    return pa.table(
        {
            "part": pa.array([part] * IMAGES),
            "name": pa.array([f"{part}-{number:05d}" for number in range(IMAGES)]),
            "group": pa.array(np.arange(IMAGES) % GROUPS),
            "label": names.take(pa.array(labels)),
            "prediction": names.take(pa.array(answers)),
            "source_only_prediction": names.take(pa.array((labels + (np.arange(IMAGES) % 3)) % len(CLASSES))),
            "probabilities": pa.array([[0.1] * len(CLASSES)] * IMAGES, pa.list_(pa.float32())),
        }
    )


def signals() -> dict[str, Any]:
    """What is known of an epoch without labels."""
    return {"histogram": [20] * len(CLASSES), "entropy": 0.5, "source_agreement": 0.5}


def record(run_id: str, task: int, method: str, seed: int, metrics: dict[str, float]) -> dict[str, Any]:
    """A record with the sections of a real one."""
    target = f"depth@camera{task:04d}"
    model = {"backbone": "resnet10t", "pretrained": False, "bottleneck": 256, "image_size": 64}
    dataset = {"name": "made-up", "root": None, "source": "rgb@a", "target": target, "split_seed": 0, "options": {}}
    return {
        "run_id": run_id,
        "status": "ok",
        "method": method,
        "run_dir": run_id,
        "oracle": method == "oracle",
        "synthetic": True,
        "seed": seed,
        "task": {
            "dataset": "made-up",
            "source": "rgb@a",
            "target": target,
            "classes": CLASSES,
            "ti_classes": ["other"],
            "images": {"target-train": IMAGES, "target-test": IMAGES},
            "split_seed": 0,
            "encoding": {"name": "copy", "options": {}},
            "fingerprint": f"{task:016x}",
        },
        "metrics": metrics | {"source_accuracy": 90.0},
        "baselines": {"source-only": metrics},
        "signals": signals(),
        "cost": {"trained_parameters": 5e6, "wall_s": 60.0 + seed, "peak_memory_mb": 1500.0},
        "source": {"model": model, "weights_sha256": f"{seed:064x}", "accuracy": 90.0},
        "config": {
            "method": method,
            "seed": seed,
            "preset": "scratch",
            "dataset": dataset,
            "encoding": {"name": "copy", "options": {}},
            "model": model,
            "source": {"epochs": 14, "batch_size": 64, "lr": 0.003, "card": None},
            "bridge_training": {"epochs": None, "batch_size": 32, "lr": 0.002},
            "adapt": {"epochs": 10, "batch_size": 64, "lr": 0.01, "momentum": 0.9},
            "compute": {"device": "auto", "precision": "fp32", "threads": None},
            "recipe": {},
        },
        "recipe": {"input_bridge": {"name": "copy"}, "phases": [{"name": "adapt", "aligners": {"infomax": 1.0}}]},
        "versions": {"sfda-kit": "0.1.0", "torch": "2.15.0"},
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
    }


def timed(work: Callable[[], T]) -> tuple[dict[str, float], T]:
    """Seconds of ``work`` by the clock and of the processor (with child processes); its result."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    result = work()
    return {"wall": round(time.perf_counter() - wall, 2), "cpu": round(sum(os.times()[:4]) - cpu, 2)}, result


def measure(folder: Path, records: int, site: Path) -> dict[str, dict[str, float]]:
    """Seconds by step."""
    seconds = {}
    seconds["write the run folders"], _ = timed(lambda: write_runs(folder, records))
    seconds["load_runs"], runs = timed(lambda: load_runs([folder]))
    seconds["build_board"], board = timed(lambda: build_board(runs))
    seconds["markdown"], _ = timed(lambda: markdown(board))
    seconds["build_site"], _ = timed(lambda: build_site(board, runs, site))
    return seconds


def use(page: Path) -> dict[str, list[int]] | None:
    """Milliseconds of loading, sorting and filtering the table on ``page``; None without a browser."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        loaded, _ = timed(lambda: tab.goto(page.as_uri()))
        found = {name: tab.evaluate(UNTIL_SHOWN, [selector, values]) for name, (selector, values) in USES.items()}
        browser.close()
    return {"load": [round(1000 * loaded["wall"])], **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        site = Path(temporary) / "site"
        seconds = measure(arguments.folder or Path(temporary) / "runs", arguments.records, site)
        milliseconds = use(site / "runs.html")
    for name, value in seconds.items():
        Console().print(f"{name}: {value['wall']:.2f} s, {value['cpu']:.2f} s of processor time")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    for name, times in (milliseconds or {}).items():
        Console().print(f"{name}: {', '.join(map(str, times))} ms")
    found = {
        "records": arguments.records,
        "seconds": seconds,
        "in_the_browser_ms": milliseconds,
        "peak_memory_mb": round(peak),
        "versions": versions(),
    }
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
