"""How much the toolkit adds to the bare passes: one adaptation epoch against a loop that does nothing else.

For each method, in one process and in turn, the median of several epochs of

* the method as `sfda-kit run` trains it: augmentation, signals, loss terms, pseudo-labels, finiteness check,
  progress events, feature bank, checkpoint;
* a bare loop with the same forward and backward passes over batches that lie ready in memory, one optimiser
  step a batch, and one inference pass over the same images, in the batches that are fastest.

Held-out images, agreement on pairs and validators are no part of either; `--profile` of a run tells what they take.

    python benchmarks/speed/bare_loop.py [--repeats 5] [--setting NAME ...] [--method NAME ...] [--out FILE]

Images are random (their content does not change the time). A setting is a network, its image size, the batch, the
numbers of target images and TI pairs, and a precision. `peak_mib` is the peak memory of a process that does only the
epochs of the product, and of one that does only the bare epochs.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peak_memory import forget_peak, peak_mib
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sfda_kit import AdaptationContext, Recipe
from sfda_kit.adaptation.recipe_method import PhaseTraining, RecipeMethod
from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.models import AdaptConfig, ComputeConfig, ModelConfig
from sfda_kit.data.views import ImageView, Normalisation, PairView, TargetView, stored_size
from sfda_kit.device import CPU_BATCH, autocast, choose_device
from sfda_kit.events import silent
from sfda_kit.models.network import build_network, frozen_copy, frozen_running_statistics
from sfda_kit.plugins.building import build
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.modalities import modality
from sfda_kit.versions import versions

METHODS = ("shot-im", "shot", "socket", "tgkt")


@dataclass(frozen=True)
class Setting:
    """What a measurement works on."""

    backbone: str
    size: int
    batch: int
    targets: int
    pairs: int
    precision: str = "fp32"


SETTINGS = {
    "resnet10t-64": Setting("resnet10t", 64, 64, 900, 600),
    "lite0-96": Setting("tf_efficientnet_lite0", 96, 64, 448, 448),
    "resnet18-224": Setting("resnet18", 224, 32, 160, 160),
    "resnet10t-64-bf16": Setting("resnet10t", 64, 64, 900, 600, "bf16"),
    "resnet18-224-bf16": Setting("resnet18", 224, 32, 160, 160, "bf16"),
}


def views(setting: Setting) -> tuple[TargetView, PairView]:
    rng = np.random.default_rng(0)
    rest = (ChannelCopy(), setting.size, Normalisation((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))
    side = stored_size(setting.size)

    def depth(count: int) -> np.ndarray:
        return rng.integers(500, 4000, (count, side, side)).astype(np.uint16)

    colours = rng.integers(0, 256, (setting.pairs, side, side, 3)).astype(np.uint8)
    halves = ImageView(colours, modality("rgb"), *rest), ImageView(depth(setting.pairs), modality("depth"), *rest)
    return TargetView(depth(setting.targets), modality("depth"), *rest), PairView(*halves)


def context(
    name: str,
    setting: Setting,
    folder: Path,
    epochs: int,
    device: str = "cpu",
    made: tuple[TargetView, PairView] | None = None,
) -> AdaptationContext:
    """What the method is handed. ``made``: the views that it works on, by default random pixels in memory."""
    compute = ComputeConfig(device=device, precision=setting.precision)
    chosen = choose_device(compute)
    recipe: Recipe = registry().get("method", name).load()
    torch.manual_seed(0)
    network = build_network(ModelConfig(backbone=setting.backbone, image_size=setting.size), classes=12).to(chosen)
    parts = recipe.bridges().items()
    bridges = {role: build(registry().get("bridge", part.name)).eval().to(chosen) for role, part in parts}
    target, pairs = made or views(setting)
    return AdaptationContext(
        recipe=recipe,
        config=AdaptConfig(epochs=epochs, batch_size=setting.batch, steps_per_epoch="pass"),
        seed=0,
        target=target,
        pairs=pairs,
        source_network=frozen_copy(network),
        network=copy.deepcopy(network),
        input_bridge=bridges["input"],
        teacher_bridge=bridges.get("teacher"),
        checkpoint_dir=folder,
        listener=silent,
        autocast=autocast(compute, chosen),
    )


def product_epochs(given: AdaptationContext) -> Iterator[float]:
    """Seconds of each epoch, from one yielded state to the next."""
    states = RecipeMethod().adapt(given)
    start = time.perf_counter()
    for _ in states:
        wait(given)
        yield time.perf_counter() - start
        start = time.perf_counter()


def wait(given: AdaptationContext) -> None:
    """Wait until an accelerator has done what it was asked for."""
    if given.target.device.type != "cpu":
        torch.accelerator.synchronize()


def bare_epochs(given: AdaptationContext, setting: Setting) -> Iterator[float]:
    """Seconds of each epoch of the bare loop."""
    phase = given.recipe.phases[0]
    training = PhaseTraining(given, phase, torch.nn.Identity())  # type: ignore[arg-type]  # for its optimiser alone
    optimizer = training._optimizer()
    rows = torch.arange(setting.batch)
    target = [given.target.batch(rows) for _ in range(setting.targets // setting.batch)]
    ti_target = [given.pairs.target.batch(rows) for _ in target]
    ti_source = [given.pairs.source.batch(rows) for _ in target]
    most = CPU_BATCH if given.target.device.type == "cpu" else given.config.evaluation_batch_size
    everything = [given.target.batch(part) for part in torch.arange(setting.targets).split(most)]
    step = bare_step(given, set(phase.aligners))
    while True:
        start = time.perf_counter()
        given.network.eval()
        with torch.inference_mode(), given.autocast():
            for images in everything:
                given.network(images)
        given.network.train()
        for batch in zip(target, ti_target, ti_source, strict=True):
            optimizer.zero_grad(set_to_none=True)
            with given.autocast():
                loss = step(*batch)
            loss.backward()
            optimizer.step()
        wait(given)
        yield time.perf_counter() - start


def bare_step(given: AdaptationContext, terms: set[str]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The same passes as the method's terms ask for; losses are plain means."""

    def step(target: Tensor, ti_target: Tensor, ti_source: Tensor) -> Tensor:
        output = given.network(target)
        loss = output.logits.square().mean()
        if "ti-features" in terms:
            with torch.no_grad():
                given.source_network(ti_source)
            with frozen_running_statistics(given.network):
                loss = loss + given.network(ti_target).features.square().mean()
        if "distill" in terms:
            with torch.no_grad():
                given.source_network(given.teacher_bridge(target))
        return loss

    return step


def measure(name: str, setting: Setting, repeats: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        product = product_epochs(context(name, setting, Path(folder), repeats + 1))
        bare = bare_epochs(context(name, setting, Path(folder), repeats + 1), setting)
        pairs = [(next(product), next(bare)) for _ in range(repeats + 1)][1:]  # the first warms up
    ratios = [a / b for a, b in pairs]
    return {
        "product_s": statistics.median(a for a, _ in pairs),
        "bare_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def peak(name: str, title: str, which: str) -> None:
    """Do two epochs of the product or of the bare loop, and print the peak memory of this process in MiB."""
    forget_peak()
    setting = SETTINGS[title]
    with tempfile.TemporaryDirectory() as folder:
        given = context(name, setting, Path(folder), 2)
        epochs = product_epochs(given) if which == "product" else bare_epochs(given, setting)
        for _ in range(2):
            next(epochs)
    print(peak_mib())


def peaks(name: str, title: str) -> dict[str, int]:
    call = [sys.executable, __file__, "--peak", name, title]
    return {
        which: int(subprocess.run([*call, which], check=True, capture_output=True, text=True).stdout)
        for which in ("product", "bare")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--setting", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--peak", nargs=3, help="measure the memory of METHOD SETTING product|bare here")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    if given.peak:
        peak(*given.peak)
        return
    about = {"threads": torch.get_num_threads(), "cpus": os.cpu_count(), "repeats": given.repeats}
    settings = {title: asdict(SETTINGS[title]) for title in given.setting}
    results: dict[str, dict[str, dict[str, Any]]] = {}
    told = {"about": about, "versions": versions(), "settings": settings, "results": results}
    table = Table("setting", "method", "epoch (s)", "bare (s)", "ratio", "range", "MiB", "bare MiB")
    for title in given.setting:
        for name in given.method:
            row = measure(name, SETTINGS[title], given.repeats) | {"peak_mib": peaks(name, title)}
            results.setdefault(title, {})[name] = row
            spread = f"{row['ratio_min']:.3f} to {row['ratio_max']:.3f}"
            times = (f"{row['product_s']:.2f}", f"{row['bare_s']:.2f}", f"{row['ratio']:.3f}", spread)
            table.add_row(title, name, *times, *map(str, row["peak_mib"].values()))
            given.out.write_text(json.dumps(told, indent=2) + "\n")  # a run that is stopped keeps what it has
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
