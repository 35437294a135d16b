"""Processor time and peak memory of all that handles the whole target set, by its number of images.

    python benchmarks/speed/scale.py [--images 10000 100000 1000000] [--runs 10000 100000] [--out .../scale.json]

Two tables, one row written after the other, so that a stopped measurement keeps what it has; rows that are in the file
are not measured again.

* parts: synthetic features, D = 256, K = 20. Each row is a fork of this process that makes the bank and then does one
  thing with it, on one thread. ``cpu_s`` is the processor time of that thing alone, and the memory is the peak of the
  process, bank included.
* runs: ``sfda-kit run`` with the method shot for one epoch on pairs of 32 px with the smallest backbone, from shards
  that ``sfda-kit data make-shards`` wrote before. The source model is trained for one epoch in the run, and 25 % of the
  pairs are target images to adapt to.

``anonymous`` is memory of the process itself (RssAnon), ``mapped`` are pages of files (RssFile and RssShmem), which the
system takes back when it needs room. Both are read from ``/proc`` every few milliseconds. A row that would take longer
than ``MOST_SECONDS`` is not measured: it says how long it would take, after the rows before.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from scale_data import write_images
from torch import Tensor, nn

from sfda_kit import FeatureBank, TargetMemory, fill_bank, row_blocks, zero_rows
from sfda_kit.evaluate.monitor import Monitor
from sfda_kit.models.network import NetworkOutput
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.versions import versions

WIDTH, CLASSES = 256, 20
MOST_SECONDS = 100
FORK = multiprocessing.get_context("fork")
LABELERS = ("centroid", "one-round-centroid", "entropy-split", "jmds")
BATCH = 64
ROOMS = r"^room\d+"
TASK = (
    *("--source", "rgb@camera", "--target", "depth@camera", "--ti-classes", "class_5"),
    *("--tr-classes", "class_0,class_1,class_2,class_3,class_4", "--source-floor", "0"),
    *("--method", "shot", "--epochs", "1", "--source-epochs", "1", "--backbone", "test_resnet", "--image-size", "32"),
    *("--no-pictures", "--evaluate", "last"),
)
GROWS_WITH_SQUARE = ("knn-agreement", "snd")


class Synthetic(nn.Module):
    """A view and a model in one: row i has features and logits drawn from i, around the centre of a class."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.images = images
        self.centres = torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return self.images

    def batch(self, rows: Tensor) -> Tensor:
        noise = torch.randn(len(rows), WIDTH, generator=torch.Generator().manual_seed(int(rows[0])))
        return 2 * noise + self.centres[rows % CLASSES]

    def forward(self, features: Tensor) -> NetworkOutput:
        return NetworkOutput(features, features @ self.centres.T / 16)


def works(images: int) -> dict[str, Callable[[], Callable[[], object]]]:
    """Each part prepares what it needs and returns what is timed."""
    synthetic = Synthetic(images)

    def labeler(name: str) -> Callable[[], object]:
        bank, part = fill_bank(synthetic, synthetic), build_part("labeler", name)
        return lambda: part(bank)

    def validator(name: str) -> Callable[[], object]:
        bank, part = fill_bank(synthetic, synthetic), build_part("validator", name)
        source = FeatureBank(bank.features, bank.logits)
        return lambda: part(bank, source)

    def monitor() -> Callable[[], object]:
        bank = fill_bank(synthetic, synthetic)
        source = FeatureBank(bank.features, bank.logits)
        found = Monitor({"source-only": source}, "infomax")
        return lambda: found.diagnostics(bank)

    def memory_fill() -> Callable[[], object]:
        bank, memory = fill_bank(synthetic, synthetic), TargetMemory(images, WIDTH, CLASSES)
        return lambda: memory.fill(bank)

    found: dict[str, Callable[[], Callable[[], object]]] = {
        "bank": lambda: lambda: fill_bank(synthetic, synthetic),
        "monitor": monitor,
        "memory": memory_fill,
        f"neighbours of {BATCH} images, a step": lambda: _neighbours(synthetic),
    }
    found |= {name: lambda name=name: labeler(name) for name in LABELERS}  # type: ignore[misc]
    scored = [part.name for part in registry().of_kind("validator") if not build_part("validator", part.name).reads]
    return found | {name: lambda name=name: validator(name) for name in scored}  # type: ignore[misc]


def _neighbours(synthetic: Synthetic) -> Callable[[], object]:
    from sfda_kit_neighbors.nearest import nearest_rows

    unit = zero_rows((synthetic.images, WIDTH))
    for block in row_blocks(synthetic.images):
        unit[block] = F.normalize(synthetic.batch(torch.arange(block.start, block.stop)), dim=1)
    rows = torch.randperm(synthetic.images)[:BATCH]
    return lambda: nearest_rows(unit[rows], unit, 3, rows)


def measure(images: int, part: str, out: Connection) -> None:
    """Do one part in this process, and send its processor time."""
    work = works(images)[part]()
    start = time.process_time()
    work()
    out.send({"cpu_s": time.process_time() - start})


def watched_part(images: int, part: str) -> dict[str, Any]:
    """Do a part in a fork of this process, whose libraries are loaded already."""
    into, out = FORK.Pipe(duplex=False)
    child = FORK.Process(target=measure, args=(images, part, out))
    child.start()
    peaks = _peaks(child.pid or 0, child.is_alive)
    if not into.poll():
        raise SystemExit(f"{part} with {images:,} images gave no result (exit code {child.exitcode})")
    return {**into.recv(), **peaks}


def watched(command: list[str], **environment: str) -> dict[str, Any]:
    """Run a command; return its processor time and its peaks of memory in MiB."""
    before = os.times()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    peaks = _peaks(child.pid, lambda: child.poll() is None)
    if child.returncode:
        raise SystemExit(f"{command} ended with {child.returncode}")
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return {"cpu_s": round(used, 1), **peaks}


def _peaks(process: int, is_running: Callable[[], bool]) -> dict[str, int]:
    peaks = {"anonymous_mib": 0, "mapped_mib": 0}
    while is_running():
        for name, now in _resident(process).items():
            peaks[name] = max(peaks[name], now // 1024)
        time.sleep(0.004)
    return peaks


def _resident(process: int) -> dict[str, int]:
    """Return KiB of the process by kind; none where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    sizes = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    if not sizes:
        return {}
    return {"anonymous_mib": int(sizes["RssAnon"]), "mapped_mib": int(sizes["RssFile"]) + int(sizes["RssShmem"])}


def whole_run(images: int, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Write pairs of images, make shards of them by the command, and run on the shards."""
    cli = [sys.executable, "-m", "sfda_kit"]
    files, shards = folder / "files", folder / "shards"
    write_images(files, images)
    making = ["data", "make-shards", "paired-folder", str(shards), "--data-root", str(files), "--group-pattern", ROOMS]
    run = ["run", "--dataset", "webdataset", "--data-root", str(shards), *TASK, "--runs-dir", str(folder / "runs")]
    for name, words in (("make-shards", making), ("run", run)):
        yield name, watched([*cli, *words], SFDA_KIT_CACHE=str(folder / "cache"), OMP_NUM_THREADS="1")


def seconds_ahead(told: dict[str, Any], images: int, part: str) -> float:
    """Return how long a part would take, from the largest row before, 0 where there is none."""
    before = [(int(count), rows[part]["cpu_s"]) for count, rows in told.items() if int(count) < images and part in rows]
    if not before:
        return 0.0
    count, seconds = max(before)
    return float(seconds * (images / count) ** (2 if part in GROWS_WITH_SQUARE else 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--runs", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    told: dict[str, Any] = {"parts": {}, "runs": {}}
    if given.out.exists():
        told = json.loads(given.out.read_text())

    def keep(kind: str, images: int, name: str, row: dict[str, Any]) -> None:
        told[kind].setdefault(str(images), {})[name] = row
        given.out.write_text(json.dumps({**told, "versions": versions()}, indent=2) + "\n")
        Console().print(f"{images:>9,} {name}: {row}")

    for images in given.images:
        for part in works(images):
            if part in told["parts"].get(str(images), {}):
                continue
            ahead = seconds_ahead(told["parts"], images, part)
            row = {"cpu_s": ahead, "estimated": True} if ahead > MOST_SECONDS else watched_part(images, part)
            row["cpu_s"] = round(row["cpu_s"], 4)
            keep("parts", images, part, row | {"us_per_image": round(1e6 * row["cpu_s"] / images, 2)})
    for images in given.runs:
        if str(images) not in told["runs"]:
            with tempfile.TemporaryDirectory() as folder:
                for name, row in whole_run(images, Path(folder)):
                    keep("runs", images, name, row)


if __name__ == "__main__":
    main()
