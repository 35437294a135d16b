"""How much the toolkit adds to the bare passes: one adaptation epoch against a loop that does nothing else.

For each method, in one process and in turn, the median of several epochs of

* the method as `sfda-kit run` trains it: augmentation, signals, loss terms, pseudo-labels, finiteness check,
  progress events, feature bank, checkpoint;
* a bare loop with the same forward and backward passes over batches that lie ready in memory, one optimiser
  step a batch, and one inference pass over the same images.

    python benchmarks/speed/bare_loop.py [--repeats 5] [--out benchmarks/speed/bare_loop.json]

Images are random (their content does not change the time), 900 target images and 600 TI pairs of 64 pixels,
backbone resnet10t, batch 64.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sfda_kit import AdaptationContext, Recipe
from sfda_kit.adaptation.recipe_method import PhaseTraining, RecipeMethod
from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.models import AdaptConfig, ModelConfig
from sfda_kit.data.views import ImageView, Normalisation, PairView, TargetView
from sfda_kit.events import silent
from sfda_kit.models.network import build_network, frozen_copy, frozen_running_statistics
from sfda_kit.plugins.building import build
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.modalities import modality
from sfda_kit.versions import versions

METHODS = ("shot-im", "shot", "socket", "tgkt")
TARGETS, PAIRS, SIZE, BATCH = 900, 600, 64, 64


def views() -> tuple[TargetView, PairView]:
    rng = np.random.default_rng(0)
    rest = (ChannelCopy(), SIZE, Normalisation((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))

    def depth(count: int) -> np.ndarray:
        return rng.integers(500, 4000, (count, 72, 72)).astype(np.uint16)

    colours = rng.integers(0, 256, (PAIRS, 72, 72, 3)).astype(np.uint8)
    pairs = PairView(ImageView(colours, modality("rgb"), *rest), ImageView(depth(PAIRS), modality("depth"), *rest))
    return TargetView(depth(TARGETS), modality("depth"), *rest), pairs


def context(name: str, folder: Path, epochs: int) -> AdaptationContext:
    recipe: Recipe = registry().get("method", name).load()
    torch.manual_seed(0)
    network = build_network(ModelConfig(), classes=12)
    bridges = {role: build(registry().get("bridge", part.name)).eval() for role, part in recipe.bridges().items()}
    target, pairs = views()
    return AdaptationContext(
        recipe=recipe,
        config=AdaptConfig(epochs=epochs, batch_size=BATCH),
        seed=0,
        target=target,
        pairs=pairs,
        source_network=frozen_copy(network),
        network=copy.deepcopy(network),
        input_bridge=bridges["input"],
        teacher_bridge=bridges.get("teacher"),
        checkpoint_dir=folder,
        listener=silent,
    )


def product_epochs(given: AdaptationContext) -> Iterator[float]:
    """Seconds of each epoch, from one yielded state to the next."""
    states = RecipeMethod().adapt(given)
    start = time.perf_counter()
    for _ in states:
        yield time.perf_counter() - start
        start = time.perf_counter()


def bare_epochs(given: AdaptationContext) -> Iterator[float]:
    """Seconds of each epoch of the bare loop."""
    phase = given.recipe.phases[0]
    training = PhaseTraining(given, phase, torch.nn.Identity())  # type: ignore[arg-type]  # for its optimiser alone
    optimizer = training._optimizer()
    rows = torch.arange(BATCH)
    target = [given.target.batch(rows) for _ in range(TARGETS // BATCH)]
    ti_target = [given.pairs.target.batch(rows) for _ in target]
    ti_source = [given.pairs.source.batch(rows) for _ in target]
    everything = [given.target.batch(part) for part in torch.arange(TARGETS).split(256)]
    step = bare_step(given, set(phase.aligners))
    while True:
        start = time.perf_counter()
        given.network.eval()
        with torch.inference_mode():
            for images in everything:
                given.network(images)
        given.network.train()
        for batch in zip(target, ti_target, ti_source, strict=True):
            optimizer.zero_grad(set_to_none=True)
            step(*batch).backward()
            optimizer.step()
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


def measure(name: str, repeats: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        product = product_epochs(context(name, Path(folder), repeats + 1))
        bare = bare_epochs(context(name, Path(folder), repeats + 1))
        pairs = [(next(product), next(bare)) for _ in range(repeats + 1)][1:]  # the first warms up
    ratios = [a / b for a, b in pairs]
    return {
        "product_s": statistics.median(a for a, _ in pairs),
        "bare_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    results = {name: measure(name, arguments.repeats) for name in METHODS}
    table = Table("method", "epoch (s)", "bare (s)", "ratio", "range")
    for name, row in results.items():
        spread = f"{row['ratio_min']:.3f} to {row['ratio_max']:.3f}"
        table.add_row(name, f"{row['product_s']:.2f}", f"{row['bare_s']:.2f}", f"{row['ratio']:.3f}", spread)
    Console().print(table)
    setting = {"threads": torch.get_num_threads(), "cpus": os.cpu_count(), "repeats": arguments.repeats}
    arguments.out.write_text(
        json.dumps({"setting": setting, "versions": versions(), "methods": results}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
