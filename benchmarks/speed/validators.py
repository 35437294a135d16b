"""Milliseconds that each validator and the monitor add to an epoch, on one thread, by number of target images.

    python benchmarks/speed/validators.py [--repeats 3] [--out benchmarks/speed/validators.json]

Random banks of 256 features; processor time, which other programs disturb less. Validators that need a pass over
augmented images cost that pass, and are not in the table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

from sfda_kit.adaptation.feature_bank import FeatureBank
from sfda_kit.evaluate.monitor import Monitor
from sfda_kit.plugins.building import build
from sfda_kit.plugins.discovery import registry
from sfda_kit.versions import versions

SIZES = ((1000, 12), (5000, 12), (5000, 65), (20000, 65))
"""Images and classes."""


def bank(images: int, classes: int, seed: int) -> FeatureBank:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(images, 256, generator=generator)
    return FeatureBank(features, 3 * torch.randn(images, classes, generator=generator))


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(1000 * (time.process_time() - start))
    return round(min(found), 1)


def measure(images: int, classes: int, repeats: int) -> dict[str, float]:
    """Each call gets a bank of its own, because a bank keeps its softmax."""
    model, source = bank(images, classes, 0), bank(images, classes, 1)
    monitor = Monitor({"source-only": source}, "infomax")

    def fresh() -> FeatureBank:
        return FeatureBank(model.features, model.logits)

    found = {
        "monitor": milliseconds(lambda: monitor.alarms({**monitor.diagnostics(fresh()), "validators": {}}, []), repeats)
    }
    for component in registry().of_kind("validator"):
        validator = build(component)
        if not validator.reads:
            found[component.name] = milliseconds(lambda score=validator: score(fresh(), source), repeats)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        f"{images} images, {classes} classes": measure(images, classes, given.repeats) for images, classes in SIZES
    }
    given.out.write_text(json.dumps({"milliseconds": found, "versions": versions()}, indent=2) + "\n")
    Console().print_json(data=found)


if __name__ == "__main__":
    main()
