"""What activation checkpointing and gradient accumulation save of memory and cost of processor time.

    python benchmarks/speed/activations.py [--out benchmarks/speed/activations.json]

Each row is a process of its own that makes two epochs of SOCKET, with two steps each, as `sfda-kit run` trains it:
plain, with `--checkpoint-activations`, with `--accumulate 4`, and with both. Times are of the processor, and of the
second epoch, with its pass for the feature bank. Images are random.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch
from bare_loop import Setting, context
from peak_memory import forget_peak, peak_mib
from rich.console import Console
from rich.table import Table

from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.models.recomputed import recompute_activations
from sfda_kit.versions import versions

SETTING = Setting("resnet18", 224, 32, 64, 64)
ROWS = {"plain": (False, 1), "checkpointed": (True, 1), "accumulated": (False, 4), "both": (True, 4)}


def measure(row: str) -> dict[str, float]:
    recomputes, parts = ROWS[row]
    forget_peak()
    with tempfile.TemporaryDirectory() as folder:
        given = context("socket", SETTING, Path(folder), 2)
        given.config = given.config.model_copy(update={"accumulate": parts})
        if recomputes:
            recompute_activations(given.network)
        states = RecipeMethod().adapt(given)
        next(states)
        start = time.process_time()
        next(states)
        return {"peak_mib": peak_mib(), "epoch_cpu_s": round(time.process_time() - start, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", choices=ROWS, help="measure this row here and print JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    if given.row:
        print(json.dumps(measure(given.row)))
        return
    told = {"versions": versions(), "threads": torch.get_num_threads(), "setting": asdict(SETTING), "rows": {}}
    table = Table("row", "MiB", "epoch, processor s")
    for row in ROWS:
        call = [sys.executable, __file__, "--row", row]
        told["rows"][row] = found = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
        table.add_row(row, f"{found['peak_mib']:,}", f"{found['epoch_cpu_s']:.1f}")
        given.out.write_text(json.dumps(told, indent=2) + "\n")  # a run that is stopped keeps what it has
    Console().print(table)


if __name__ == "__main__":
    main()
