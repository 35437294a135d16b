"""Two processes with one thread each, against one process with two threads: images per second of an adaptation epoch.

Both do the same epochs of SOCKET (`sfda-kit run` trains them so): the same images, batches, steps and feature bank.
They take turns, epoch by epoch, while the other waits. So what else the computer does meets both alike.

    python benchmarks/speed/processes.py [--repeats 7] [--setting NAME ...] [--out benchmarks/speed/processes.json]

`ratio` is the median over turns of the time of the one process, divided by that of the two: above 1, two processes are
quicker. `cpu_ratio` is the same of the processor time, summed over processes. `images_s` counts target images. Threads
wait passively: where other programs use the computer too, threads that spin would slow the one process down.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from bare_loop import Setting, context, product_epochs
from rich.console import Console
from rich.table import Table

from sfda_kit import processes
from sfda_kit.versions import versions

METHOD = "socket"
CORES = 2
SETTINGS = {
    "resnet10t-64": Setting("resnet10t", 64, 64, 448, 448),
    "resnet18-224": Setting("resnet18", 224, 32, 64, 64),
}
"""Few steps an epoch, so that turns are short and what else the computer does meets both."""


def member(title: str, repeats: int) -> None:
    """One process: an epoch for each line of standard input, and its seconds as a line of JSON."""
    place = os.environ.get("MEET")
    store = torch.distributed.FileStore(place, CORES) if place else None
    with tempfile.TemporaryDirectory() as folder, processes.joined(store):
        epochs = product_epochs(context(METHOD, SETTINGS[title], Path(folder), repeats + 1))
        for _ in sys.stdin:
            cpu = time.process_time()
            seconds = next(epochs)
            told = {"wall_s": seconds, "cpu_s": time.process_time() - cpu}
            print(json.dumps(told), flush=True)


def started(title: str, repeats: int, count: int, folder: str) -> list[subprocess.Popen[str]]:
    found = []
    for rank in range(count):
        given = {**os.environ, "OMP_NUM_THREADS": str(CORES // count), "OMP_WAIT_POLICY": "passive"}
        if count > 1:
            given |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
            given["MEET"] = str(Path(folder) / f"{title}-meet")
        command = [sys.executable, __file__, "--member", title, str(repeats)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        found.append(subprocess.Popen(command, env=given, **pipes))
    return found


def turn(members: list[subprocess.Popen[str]]) -> dict[str, float]:
    """Let the processes do one epoch together."""
    for one in members:
        one.stdin.write("go\n")
        one.stdin.flush()
    told = [json.loads(one.stdout.readline()) for one in members]
    return {"wall_s": max(one["wall_s"] for one in told), "cpu_s": sum(one["cpu_s"] for one in told)}


def measure(title: str, repeats: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        one, two = (started(title, repeats, count, folder) for count in (1, CORES))
        try:
            pairs = [(turn(one), turn(two)) for _ in range(repeats + 1)][1:]  # the first warms up
        finally:
            for process in (*one, *two):
                process.stdin.close()
                process.wait()
    walls = [a["wall_s"] / b["wall_s"] for a, b in pairs]
    images = SETTINGS[title].targets
    return {
        "one_process_images_s": images / statistics.median(a["wall_s"] for a, _ in pairs),
        "two_processes_images_s": images / statistics.median(b["wall_s"] for _, b in pairs),
        "ratio": statistics.median(walls),
        "ratio_min": min(walls),
        "ratio_max": max(walls),
        "cpu_ratio": statistics.median(a["cpu_s"] / b["cpu_s"] for a, b in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--setting", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--member", nargs=2, help="be one process of SETTING for REPEATS epochs")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    if given.member:
        member(given.member[0], int(given.member[1]))
        return
    results: dict[str, Any] = {}
    told = {
        "about": {"method": METHOD, "cores": os.cpu_count(), "repeats": given.repeats},
        "versions": versions(),
        "settings": {title: asdict(SETTINGS[title]) for title in given.setting},
        "results": results,
    }
    table = Table("setting", "1 process, 2 threads (images/s)", "2 processes, 1 thread", "ratio", "range", "CPU ratio")
    for title in given.setting:
        row = results[title] = measure(title, given.repeats)
        spread = f"{row['ratio_min']:.3f} to {row['ratio_max']:.3f}"
        speeds = (f"{row['one_process_images_s']:.1f}", f"{row['two_processes_images_s']:.1f}")
        table.add_row(title, *speeds, f"{row['ratio']:.3f}", spread, f"{row['cpu_ratio']:.3f}")
        given.out.write_text(json.dumps(told, indent=2) + "\n")  # a run that is stopped keeps what it has
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
