"""An adaptation epoch on a GPU beside the bare passes, with the images read from the cache of decoded files.

    python benchmarks/speed/gpu.py [--repeats 5] [--small] [--processes N] [--out benchmarks/speed/gpu.json]

ResNet-50 at 224 px in bf16, for SHOT, SOCKET and TGKT:

* `loading`: images a second that a view delivers to the device, cropped, mirrored, encoded and normalised. It decodes
  the files once (`first`), then maps the cache (`later`);
* `results`: an epoch of the method as `sfda-kit run` trains it, with the same views, against a loop of the same passes
  over batches that lie ready on the device (see `bare_loop.py`). `images_s` counts target images;
* `processes`: the method alone in one process for each of two GPUs (nccl), where there are two, in images a second.

The epochs of the first turn are left out, because they tune and allocate. `--small` is a tiny setting in fp32 that
shows on any computer that the command works. Its numbers mean nothing. Without a GPU the CPU is measured.
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
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bare_loop import Setting, bare_epochs, context, product_epochs
from loading import write_images
from PIL import Image
from rich.console import Console
from rich.table import Table

from sfda_kit import processes
from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.models import ComputeConfig
from sfda_kit.data.decode_cache import ImageFiles
from sfda_kit.data.views import ImageView, Normalisation, PairView, TargetView, stored_size
from sfda_kit.device import choose_device
from sfda_kit.plugins.modalities import modality
from sfda_kit.versions import versions

METHODS = ("shot", "socket", "tgkt")
SETTINGS = {
    "full": Setting("resnet50", 224, 64, 2048, 2048, "bf16"),
    "small": Setting("test_resnet", 32, 8, 24, 24),
}
NORMALISATION = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def write_depths(root: Path, count: int) -> list[str]:
    """PNGs of 640 x 480 pixels in millimetres: a slope with steps and a little grain."""
    rng = np.random.default_rng(1)
    names = [f"{number:06d}.png" for number in range(count)]
    for name in names:
        steps = np.kron(rng.integers(500, 4000, (12, 16)), np.ones((40, 40), dtype=int))
        Image.fromarray((steps + rng.integers(0, 40, (480, 640))).astype(np.uint16)).save(root / name)
    return names


def files(root: Path, setting: Setting) -> dict[str, ImageFiles]:
    """The files of both sensors, the target images first."""
    for kind in ("rgb", "depth"):
        (root / kind).mkdir()
    colours = write_images(root / "rgb", setting.pairs)
    depths = write_depths(root / "depth", setting.targets + setting.pairs)
    return {
        "rgb": ImageFiles(root / "rgb", colours, "rgb", "mm"),
        "depth": ImageFiles(root / "depth", depths, "depth", "mm"),
    }


def opened(found: dict[str, ImageFiles], setting: Setting, device: torch.device) -> tuple[TargetView, PairView]:
    """The views of the cached files on ``device``."""
    rest = (ChannelCopy(), setting.size, NORMALISATION, device)
    side, at = stored_size(setting.size), setting.targets
    depths, colours = found["depth"].load(side), found["rgb"].load(side)
    halves = ImageView(colours, modality("rgb"), *rest), ImageView(depths[at:], modality("depth"), *rest)
    return TargetView(depths[:at], modality("depth"), *rest), PairView(*halves)


def loading(found: dict[str, ImageFiles], setting: Setting, device: torch.device, repeats: int) -> dict[str, float]:
    """Images a second of all files of both sensors when they are decoded, and of target images from the cache."""
    start = time.perf_counter()
    target, _ = opened(found, setting, device)
    decoded = time.perf_counter() - start
    generator = torch.Generator().manual_seed(0)

    def epoch() -> float:
        start = time.perf_counter()
        for rows in torch.randperm(len(target), generator=generator).split(setting.batch):
            target.batch(rows, target.draw_geometry(len(rows), "crop-flip", generator))
        if device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter() - start

    epoch()
    later = statistics.median(epoch() for _ in range(repeats))
    return {"first": (setting.targets + 2 * setting.pairs) / decoded, "later": setting.targets / later}


def measure(name: str, setting: Setting, device: torch.device, repeats: int, made: Any) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        given = [context(name, setting, Path(folder), repeats + 1, str(device), made()) for _ in range(2)]
        product, bare = product_epochs(given[0]), bare_epochs(given[1], setting)
        pairs = [(next(product), next(bare)) for _ in range(repeats + 1)][1:]
    ratios = [a / b for a, b in pairs]
    seconds = {"product": statistics.median(a for a, _ in pairs), "bare": statistics.median(b for _, b in pairs)}
    told = {f"{which}_s": value for which, value in seconds.items()}
    told |= {f"{which}_images_s": setting.targets / value for which, value in seconds.items()}
    return told | {"ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}


def member(name: str, title: str, data: Path, repeats: int) -> None:
    """One of several processes of a method; the first prints the images a second that all make together."""
    setting, kind = SETTINGS[title], "cuda" if torch.cuda.is_available() else "cpu"
    found = {part: ImageFiles(data / part, names_of(data / part), part, "mm") for part in ("rgb", "depth")}
    with tempfile.TemporaryDirectory() as folder, processes.joined():
        made = processes.first_before_others(lambda: opened(found, setting, choose_device(ComputeConfig(device=kind))))
        epochs = product_epochs(context(name, setting, Path(folder), repeats + 1, kind, made))
        seconds = [next(epochs) for _ in range(repeats + 1)][1:]
        if processes.is_first():
            print(json.dumps(setting.targets / statistics.median(seconds)))


def names_of(root: Path) -> list[str]:
    """The files below ``root`` in the order in which they were written."""
    return sorted((str(path.relative_to(root)) for path in root.rglob("*.*")), key=lambda name: Path(name).name)


def together(count: int, title: str, data: Path, repeats: int) -> dict[str, float]:
    """Images a second of each method in ``count`` processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", __file__]
    found = {}
    for name in METHODS:
        call = [*launcher, "--member", name, title, str(data), str(repeats)]
        done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
        found[name] = float(json.loads(done.stdout.splitlines()[-1]))
    return found


def hardware(device: torch.device) -> dict[str, Any]:
    """The device and the libraries that decide its speed."""
    about: dict[str, Any] = {"device": device.type, "cpus": os.cpu_count(), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        about |= {
            "gpu": torch.cuda.get_device_name(device),
            "gpus": torch.cuda.device_count(),
            "memory_gib": round(torch.cuda.get_device_properties(device).total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "nccl": ".".join(map(str, torch.cuda.nccl.version())),
            "cudnn_tf32": torch.backends.cudnn.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
        }
    return about


def run(title: str, repeats: int, count: int, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    setting, device = SETTINGS[title], choose_device(ComputeConfig())
    told: dict[str, Any] = {"about": hardware(device) | {"repeats": repeats}, "versions": versions()}
    told |= {"setting": asdict(setting), "results": {}}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SFDA_KIT_CACHE"] = str(Path(folder) / "cache")
        data = Path(folder) / "data"
        data.mkdir()
        found = files(data, setting)
        told["loading"] = loading(found, setting, device, repeats)
        for name in METHODS:
            told["results"][name] = measure(name, setting, device, repeats, lambda: opened(found, setting, device))
            keep(told)  # a run that is stopped keeps what it has
        if count > 1:
            told["processes"] = {"count": count, "images_s": together(count, title, data, repeats)}
            keep(told)
    return told


def show(told: dict[str, Any]) -> None:
    table = Table("method", "epoch (s)", "bare (s)", "images/s", "ratio", "range", "images/s, processes")
    for name, row in told["results"].items():
        shared = told.get("processes", {}).get("images_s", {}).get(name)
        times = (f"{row['product_s']:.2f}", f"{row['bare_s']:.2f}", f"{row['product_images_s']:,.0f}")
        spread = f"{row['ratio_min']:.3f} to {row['ratio_max']:.3f}"
        table.add_row(name, *times, f"{row['ratio']:.3f}", spread, f"{shared:,.0f}" if shared else "")
    Console(width=110).print(table, {name: round(value) for name, value in told["loading"].items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a tiny setting, to see that the command works")
    parser.add_argument("--processes", type=int, default=min(2, torch.cuda.device_count()), help="that share a run")
    parser.add_argument("--member", nargs=4, metavar=("METHOD", "SETTING", "DATA", "REPEATS"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    if given.member:
        name, title, data, repeats = given.member
        member(name, title, Path(data), int(repeats))
        return

    def keep(told: dict[str, Any]) -> None:
        given.out.write_text(json.dumps(told, indent=2) + "\n")

    show(run("small" if given.small else "full", given.repeats, given.processes, keep))


if __name__ == "__main__":
    main()
