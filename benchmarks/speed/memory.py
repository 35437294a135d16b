"""Bytes that each record of a data set costs while a run holds it, from 1,000 to 100,000 records.

    python benchmarks/speed/memory.py [--records 1000 10000 100000] [--out benchmarks/speed/memory.json]

Records of `paired-folder` (two files each, names of a usual length, groups by a pattern) whose folders are listed from
memory, so that no disk is asked. Told apart, by `tracemalloc` in a process of its own for each number:

* index: what the data set keeps once its samples are known;
* task: what the roles of rows add;
* pixels: what a view of mapped pixels adds, and reading one batch of it.

Targets: index at most 300 bytes a record; task and view at most a few integers a record, and pixels nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from rich.console import Console

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.shared_map import open_mapped
from sfda_kit.data.task import build_task
from sfda_kit.data.views import ImageView
from sfda_kit.datasets import paired_folder
from sfda_kit.plugins.modalities import modality
from sfda_kit.versions import versions

TARGET = 300
CLASSES = [f"class_{number:02d}" for number in range(20)]
SIDE = 8


class Listing:
    """Stands for ``list_folder``: a tree of ``count`` pairs that exists in no file system."""

    def __init__(self, root: Path, count: int) -> None:
        self.root, self.count = root, count

    def __call__(self, folder: Path) -> object:
        parts = folder.relative_to(self.root).parts
        folders: list[str] = [["camera"], ["depth", "rgb"], CLASSES, []][len(parts)]
        files: list[str] = []
        if len(parts) == 3:
            suffix = "jpg" if parts[1] == "rgb" else "png"
            first = CLASSES.index(parts[2])
            files = [f"room{n // 40:05d}_frame{n:07d}.{suffix}" for n in range(first, self.count, len(CLASSES))]
        return type("Found", (), {"folders": folders, "files": files})()


def held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def measure(count: int) -> dict[str, int]:
    """Bytes held after each step, beyond the step before."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        config = DatasetConfig(
            name="paired-folder",
            root=root,
            source="rgb@camera",
            target="depth@camera",
            tr_classes=tuple(CLASSES[:15]),
            ti_classes=tuple(CLASSES[15:]),
            group_pattern=r"^room\d+",
        )
        pixels = np.lib.format.open_memmap(root / "p.npy", "w+", np.uint8, (count, SIDE, SIDE, 3))
        del pixels
        with mock.patch.object(paired_folder, "list_folder", Listing(root, count)):
            tracemalloc.start()
            start = held()
            dataset = paired_folder.PairedFolder(config)
            dataset.index()
            indexed = held()
            task = build_task(dataset, config)
            tasked = held()
        mapped = open_mapped(root / "p.npy")
        view = ImageView(mapped, modality("rgb"), ChannelCopy(), SIDE)
        view.batch(torch.arange(64))
        viewed = held()
        del task
        return {"index": indexed - start, "task": tasked - indexed, "pixels": viewed - tasked}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, nargs="+", default=[1000, 10000, 100000])
    parser.add_argument("--one", type=int, help="measure this number here and print JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    found = {}
    for count in arguments.records:
        call = [sys.executable, __file__, "--one", str(count)]
        found[count] = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
        each = {name: round(value / count, 1) for name, value in found[count].items()}
        Console().print(f"{count} records, bytes a record: {each}")
    largest = max(found)
    growth = {name: round(found[largest][name] / largest, 1) for name in found[largest]}
    Console().print(f"index: {growth['index']} (target {TARGET}: {'met' if growth['index'] <= TARGET else 'MISSED'})")
    told = {"bytes": found, "bytes_per_record": growth, "target": {"index": TARGET}, "versions": versions()}
    arguments.out.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
