"""Images a second: the decode-once cache against torchvision's ImageFolder, and against augmentation alone.

    python benchmarks/speed/loading.py [--images 1500] [--epochs 7] [--out benchmarks/speed/loading.json]

Synthetic JPEGs of 640 x 480 pixels, resized to 256, cropped to 224 at random, mirrored at random, normalised. In one
process and in turn, on all cores; the best of several epochs, since others may use the machine:

* plain: `ImageFolder` with `DataLoader` (one worker a core) and the same transforms, which decodes in every epoch;
* first epoch: the kit fills its cache, then delivers an epoch;
* later epoch: the kit maps its cache;
* eager: the same, but cropped and mirrored one image at a time by torchvision (`adapt.augmentation=eager-crop-flip`);
* augmentation alone: the same crops, mirroring and normalisation of decoded images that lie in memory.

Targets: a later epoch at least 5 times as fast as plain and at most 1.2 times augmentation alone; the first epoch at
most 1.2 times plain.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.data.decode_cache import ImageFiles
from sfda_kit.data.views import GeometryKind, ImageView, Normalisation, stored_size
from sfda_kit.plugins.modalities import modality
from sfda_kit.versions import versions

SIZE, BATCH = 224, 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TARGETS = {"plain / later": 5.0, "first / plain": 1.2, "later / augmentation": 1.2}


def write_images(root: Path, count: int) -> list[str]:
    """JPEGs with edges and grain, so that they are as large as photographs of that size (about 100 kB)."""
    rng = np.random.default_rng(0)
    names = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (15, 20, 3), dtype=np.uint8)).resize((640, 480), Image.BICUBIC)
        grain = rng.integers(-12, 13, (480, 640, 1))
        names.append(f"{number % 10}/{number:06d}.jpg")
        path = root / names[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return names


def plain_loader(root: Path) -> torch.utils.data.DataLoader:
    from torchvision import datasets, transforms

    steps = [
        transforms.Resize((stored_size(SIZE), stored_size(SIZE))),
        transforms.RandomCrop(SIZE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    data = datasets.ImageFolder(str(root), transforms.Compose(steps))
    return torch.utils.data.DataLoader(data, BATCH, shuffle=True, num_workers=os.cpu_count() or 1)


def view_of(pixels: np.ndarray) -> ImageView:
    return ImageView(pixels, modality("rgb"), ChannelCopy(), SIZE, Normalisation(MEAN, STD))


def kit_batches(
    view: ImageView, generator: torch.Generator, kind: GeometryKind = "crop-flip"
) -> Iterator[torch.Tensor]:
    for rows in torch.randperm(len(view), generator=generator).split(BATCH):
        yield view.batch(rows, view.draw_geometry(len(rows), kind, generator))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def consume(batches: Iterator[object]) -> None:
    for _ in batches:
        pass


def measure(root: Path, names: list[str], epochs: int) -> dict[str, list[float]]:
    generator = torch.Generator().manual_seed(0)
    files = ImageFiles(root, names, "rgb", "mm")
    times: dict[str, list[float]] = {name: [] for name in ("plain", "first", "later", "eager", "augmentation")}
    loader = plain_loader(root)
    consume(iter(loader))  # files into the page cache, for both
    for epoch in range(epochs):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["SFDA_KIT_CACHE"] = cache
            times["plain"].append(seconds(lambda: consume(iter(loader))))

            def first() -> None:
                consume(kit_batches(view_of(files.load(stored_size(SIZE))), generator))

            times["first"].append(seconds(first))
            view = view_of(files.load(stored_size(SIZE)))
            consume(kit_batches(view, generator))
            times["later"].append(seconds(lambda view=view: consume(kit_batches(view, generator))))
            times["eager"].append(seconds(lambda view=view: consume(kit_batches(view, generator, "eager-crop-flip"))))
            ready = view_of(np.array(view._pixels))
            consume(kit_batches(ready, generator))
            times["augmentation"].append(seconds(lambda ready=ready: consume(kit_batches(ready, generator))))
            del view
        Console().print({name: round(found[epoch], 2) for name, found in times.items()})
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        times = measure(root, write_images(root, arguments.images), arguments.epochs)
    best = {name: min(found) for name, found in times.items()}
    ratios = {name: best[name.split(" / ")[0]] / best[name.split(" / ")[1]] for name in TARGETS}
    for name, found in best.items():
        Console().print(f"{name}: {arguments.images / found:.0f} images/s")
    for name, ratio in ratios.items():
        met = ratio >= TARGETS[name] if name == "plain / later" else ratio <= TARGETS[name]
        Console().print(f"{name}: {ratio:.2f} (target {TARGETS[name]}: {'met' if met else 'MISSED'})")
    found = {
        "setting": {
            "images": arguments.images,
            "epochs": arguments.epochs,
            "batch": BATCH,
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
        },
        "seconds": {name: [round(value, 3) for value in values] for name, values in times.items()},
        "images_per_second": {name: round(arguments.images / value, 1) for name, value in best.items()},
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "targets": TARGETS,
        "versions": versions(),
    }
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
