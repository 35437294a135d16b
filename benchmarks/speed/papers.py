"""How many images the methods of the papers' suites pass through their backbones, and the GPU hours that follow.

    python benchmarks/speed/papers.py [--out benchmarks/speed/papers.json]

Each method runs with its parts and batch of the suite ``rgb-nir`` on a synthetic twin, with a tiny network. A hook
counts the images that pass through a backbone, with and without gradients. Runs of other lengths tell what one step
passes, what an epoch passes beside its steps for each target image and each pair, and what one step of the bridge
passes. The steps and epochs of the suites give the passes of whole runs. Rows that share a bridge train it once.

The hours are these passes for the images of the real sets, at a throughput that is assumed for ResNet-50 at 224 px.
Decoding, labelers and the networks of the bridges themselves are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from timm.models.resnet import ResNet
from torch import Tensor, nn

from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import load_suite
from sfda_kit.config.merging import merge
from sfda_kit.config.models import RunConfig
from sfda_kit.config.yaml import read_yaml
from sfda_kit.datasets.twins import make_twin
from sfda_kit.events import silent
from sfda_kit.runs.labelled import run
from sfda_kit.versions import versions

WITHOUT, WITH = 2000.0, 2000.0 / 3
"""The assumed images a second that one GPU passes through ResNet-50 at 224 px, without and with gradients."""
IMAGES, PAIRS = 64, 45
"""Target images and TI pairs of the small runs. A sum of few passes over both tells how many over each."""
BRIDGE_STEPS = 10
"""The steps of an epoch of the bridge in the small runs."""
SMALL: dict[str, Any] = {
    "model": {"backbone": "test_resnet", "backbone_weights": None, "image_size": 32},
    "source": {"epochs": 1, "floor": 0},
    "adapt": {"epochs": 1, "steps_per_epoch": 1},
    "bridge_training": {"epochs": 1},
    "compute": {"device": "cpu", "pictures": False},
    "dataset": {"target_images": IMAGES, "ti_pairs": PAIRS},
}
SENSORS = {"kv1": 1256, "kv2": 2243, "realsense": 723, "xtion": 2516}
CATEGORIES = {
    **{"country": 52, "field": 51, "forest": 53, "indoor": 56, "mountain": 55},
    **{"oldbuilding": 51, "street": 50, "urban": 58, "water": 51},
}
DIML_FRAMES, DIML_SCENES = 1609 + 503, 18
SPLITS = Path(__file__).parents[2] / "sfda_kit" / "datasets" / "splits" / "rgb-nir.yaml"


def counted(config: RunConfig, runs: Path) -> tuple[int, int]:
    """Return how many images of a run passed through a backbone, without and with gradients."""
    found: Counter[bool] = Counter()

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if isinstance(module, ResNet):
            found[isinstance(output, Tensor) and output.requires_grad] += len(inputs[0])

    handle = torch.nn.modules.module.register_module_forward_hook(count)
    try:
        run(config, runs, listener=silent)
    finally:
        handle.remove()
    return found[False], found[True]


def passes(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Return the passes of each row: [without gradients, with gradients] by what they are in proportion to.

    ``step``: each target image of a step; ``epoch images``, ``epoch pairs``: each target image and each pair of an
    epoch, beside its steps; ``once images``, ``once pairs``: those of a run; ``bridge``: each image of its steps.
    """
    make_twin("rgb-nir", folder / "twin", per_class=16)
    suite = load_suite("rgb-nir").only(["random6-seed0"], [], [0])

    def count(method: str, **changes: Any) -> NDArray[Any]:
        (cell,) = expand(suite.changed(merge(SMALL, changes)).only([], [method], []), folder / "twin")
        return np.array(counted(cell.config, folder / "runs"))

    found = {}
    count("source-only")  # the source model of all
    for method in suite.methods:
        first, again = count(method), count(method)  # what the first trains, the second finds in the cache
        step = count(method, adapt={"steps_per_epoch": 2}) - again
        epoch = count(method, adapt={"epochs": 2}) - again - step
        longer = count(method, bridge_training={"epochs": 2}) - first if (first != again).any() else 0 * first
        batch = expand(suite.only([], [method], []), folder / "twin")[0].config.adapt.batch_size
        found[method] = {
            "step": list(step / batch),
            **dict(zip(("epoch images", "epoch pairs"), _over_both(epoch), strict=True)),
            **dict(zip(("once images", "once pairs"), _over_both(again - step - epoch), strict=True)),
            "bridge": list(longer / BRIDGE_STEPS / 32),
        }
    return found


def _over_both(total: NDArray[Any]) -> list[list[float]]:
    """Return how often all target images and all pairs passed, from the number of images that did."""
    pairs = [next(n for n in range(IMAGES) if (one - n * PAIRS) % IMAGES == 0) for one in total]
    return [[(one - n * PAIRS) / IMAGES for one, n in zip(total, pairs, strict=True)], pairs]


def of_a_run(one: dict[str, list[float]], config: RunConfig, target: float, pairs: float) -> NDArray[Any]:
    """Return the passes of a whole run, without gradients and with them."""
    each = {name: np.array(both) for name, both in one.items()}
    epochs = config.adapt.epochs * (each["step"].any() or each["epoch images"].any())
    steps_of_bridge = config.bridge_training.epochs_factor * config.adapt.epochs * max(target, pairs)
    main = each["step"] * target + each["epoch images"] * target + each["epoch pairs"] * pairs
    learned = np.array([1, config.source.epochs or 1])  # what learns outside of steps is the oracle: as a source model
    once = learned * each["once images"] * target + each["once pairs"] * pairs
    return np.asarray(epochs * main + once + steps_of_bridge * each["bridge"])


def tasks() -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return the numbers of source images, target images and pairs of each task of each suite."""
    pairs = 10295 - sum(SENSORS.values())
    third = DIML_FRAMES * 6 / DIML_SCENES
    found: dict[str, dict[str, tuple[float, float, float]]] = {
        "sun-rgbd": {f"{a} to {b}": (SENSORS[a], SENSORS[b], pairs) for a in SENSORS for b in SENSORS},
        "diml": dict.fromkeys(load_suite("diml").tasks, (third, third, DIML_FRAMES - third)),
        "rgb-nir": {},
    }
    splits = read_yaml(SPLITS)["splits"]
    for name, cell in {cell.task: cell for cell in expand(load_suite("rgb-nir"), Path("/data"))}.items():
        images = sum(CATEGORIES[one] for one in splits[str(cell.config.dataset.split)]["tr"])
        found["rgb-nir"][name] = (images, images, sum(CATEGORIES.values()) - images)
    return found


def hours(both: NDArray[Any]) -> float:
    return float(both[0] / WITHOUT + both[1] / WITH) / 3600


def hours_of(name: str, sizes: dict[str, tuple[float, float, float]], found: dict[str, Any]) -> dict[str, float]:
    """Return the GPU hours of each row of the suite ``name``, over its tasks and seeds, and of its source models."""
    suite = load_suite(name)
    settings, seeds = suite.settings["source"], len(suite.seeds)
    configs = {cell.method: cell.config for cell in expand(suite, Path("/data"))}
    told = {
        method: seeds * sum(hours(of_a_run(found[method], config, t, p)) for _, t, p in sizes.values())
        for method, config in configs.items()
    }
    sources = {task.partition(" to ")[0]: source for task, (source, _, _) in sizes.items()}
    seen = seeds * settings["epochs"] * sum(sources.values())
    return told | {"source models": hours(np.array([settings["held_out"], 1 - settings["held_out"]]) * seen)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("papers.json"))
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SFDA_KIT_CACHE"] = f"{folder}/cache"
        found = passes(Path(folder))
    out.write_text(json.dumps(report(found), indent=1) + "\n")


def report(found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Show the hours that follow from the passes ``found``, and return all that is kept."""
    told = {name: hours_of(name, sizes, found) for name, sizes in tasks().items()}
    table = Table("row", *(f"{name}, hours" for name in told))
    for row in next(iter(told.values())):
        table.add_row(row, *(f"{one[row]:.2f}" for one in told.values()))
    Console().print(table)
    return {
        "what": "passes through the backbone [without gradients, with them]; hours of a GPU, estimated",
        "images_per_second": {"without_gradients": WITHOUT, "with_gradients": WITH},
        "passes": {name: {of: [round(n, 2) for n in both] for of, both in one.items()} for name, one in found.items()},
        "hours": {name: {row: round(n, 3) for row, n in one.items()} for name, one in told.items()},
        "total_hours": {name: round(sum(one.values()), 1) for name, one in told.items()},
        "versions": versions(),
    }


if __name__ == "__main__":
    main()
