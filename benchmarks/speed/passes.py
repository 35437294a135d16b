"""What a pass costs by batch size and precision: why a CPU infers 32 images at a time, and what `auto` precision is.

    python benchmarks/speed/passes.py [--threads 1] [--out benchmarks/speed/passes.json]

Random images and weights, which do not change the time. For each network and size:

* inference: milliseconds an image and MiB of peak memory beyond the network, for batches of 16 to 256, each in a
  process of its own, because a peak never falls;
* training (forward and backward pass) and inference in fp32 and bf16: the median ratio of five pairs taken in turn.

Times are those of the processor, so that other programs disturb them little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from peak_memory import forget_peak, peak_mib
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from sfda_kit.config.models import ComputeConfig, ModelConfig
from sfda_kit.device import autocast, choose_device, fastest_precision
from sfda_kit.models.network import build_network
from sfda_kit.versions import versions

NETWORKS = {
    "resnet10t": (64, 64),
    "resnet18": (224, 32),
    "tf_efficientnet_lite0": (96, 64),
    "vit_tiny_patch16_224": (224, 16),
}
"""Side of the images, and the batch of training."""
BATCHES = (16, 32, 64, 128, 256)
REPEATS = 5


def made(name: str, count: int, threads: int) -> tuple[nn.Module, Tensor]:
    choose_device(ComputeConfig(device="cpu", threads=threads))
    side = NETWORKS[name][0]
    images = torch.randn(count, 3, side, side).contiguous(memory_format=torch.channels_last)
    return build_network(ModelConfig(backbone=name, image_size=side), 12), images


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def inference(name: str, batch: int, threads: int) -> dict[str, float]:
    network, images = made(name, batch, threads)
    network.eval()
    forget_peak()
    before = peak_mib()
    with torch.inference_mode():
        network(images)
        passes = max(2, 256 // batch)
        took = seconds(lambda: [network(images) for _ in range(passes)])
    return {"ms_an_image": round(1000 * took / passes / batch, 2), "peak_mib": peak_mib() - before}


def precisions(name: str, threads: int) -> dict[str, float | str]:
    network, images = made(name, NETWORKS[name][1], threads)
    contexts = {kind: autocast(ComputeConfig(precision=kind), torch.device("cpu")) for kind in ("fp32", "bf16")}

    def trained(kind: str) -> None:
        with contexts[kind]():
            loss = network(images).logits.square().mean()
        loss.backward()

    def inferred(kind: str) -> None:
        with contexts[kind](), torch.inference_mode():
            network(images)

    found: dict[str, float | str] = {"auto": fastest_precision(torch.device("cpu"), network)}
    for title, work in (("training", trained), ("inference", inferred)):
        network.train(title == "training")
        pairs = [[seconds(partial(work, kind)) for kind in contexts] for _ in range(REPEATS + 1)][1:]
        found[f"{title}_fp32_s"] = round(statistics.median(pair[0] for pair in pairs), 3)
        found[f"{title}_bf16_s"] = round(statistics.median(pair[1] for pair in pairs), 3)
        found[f"{title}_ratio"] = round(statistics.median(pair[1] / pair[0] for pair in pairs), 2)
    return found


def alone(*words: object) -> dict[str, float]:
    call = [sys.executable, __file__, *map(str, words)]
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=2, help="measure this network and batch here and print JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    if given.one:
        print(json.dumps(inference(given.one[0], int(given.one[1]), given.threads)))
        return
    found = {}
    for name in NETWORKS:
        batches = {batch: alone("--one", name, batch, "--threads", given.threads) for batch in BATCHES}
        found[name] = {"inference": batches, "precision": precisions(name, given.threads)}
    setting = {"threads": given.threads, "cpu": torch.backends.cpu.get_cpu_capability()}
    given.out.write_text(json.dumps({"setting": setting, "versions": versions(), "networks": found}, indent=2) + "\n")
    show(found)


def show(found: dict[str, dict[str, dict]]) -> None:  # type: ignore[type-arg]
    table = Table("network", *(f"batch {batch}" for batch in BATCHES), "bf16 / fp32 training", "inference", "auto")
    for name, parts in found.items():
        cells = [f"{one['ms_an_image']} ms, {one['peak_mib']} MiB" for one in parts["inference"].values()]
        told = parts["precision"]
        table.add_row(name, *cells, f"{told['training_ratio']}", f"{told['inference_ratio']}", str(told["auto"]))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
