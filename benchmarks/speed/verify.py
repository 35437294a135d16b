"""Files a second of `sfda-kit data verify`, quick and deep, beside what decoding alone costs on the same cores.

    python benchmarks/speed/verify.py [--files 20000] [--repeats 3] [--out benchmarks/speed/verify.json]

A tree of pairs (JPEG and 16-bit PNG, 640 x 480) is written from a few rendered scenes with noise of their own.
The bound is the loader's own reader over the same files, in as many plain processes as there are cores, each
with its share; `deep` also hashes, compares and takes statistics. Each figure is the median of the repeats,
taken in turn; the page cache is warm in all of them.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from sfda_kit.config.models import DatasetConfig
from sfda_kit.datasets.twins.scenes import SOLIDS, shoot
from sfda_kit.verify.dataset import Request, verify
from sfda_kit.versions import versions

WIDTH, HEIGHT = 640, 480
READ = """
import sys
from pathlib import Path
from sfda_kit.data.images import read_image
for line in Path(sys.argv[1]).read_text().splitlines():
    read_image(Path(line), "depth" if "/depth/" in line else "rgb")
"""


def write_tree(root: Path, pairs: int) -> None:
    """``pairs`` scenes in twelve classes; no two files are alike."""
    rng = np.random.default_rng(0)
    bases = []
    for kind, solid in enumerate(SOLIDS[:12]):
        seen = shoot(solid, "kv2", [0, kind], ("rgb", "depth"))
        rgb = Image.fromarray(seen["rgb"]).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        depth = np.asarray(Image.fromarray(seen["depth"]).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST))
        bases.append((solid, np.asarray(rgb).astype(np.int16), depth))
    for solid, _, _ in bases:
        for modality in ("rgb", "depth"):
            (root / "cam" / modality / solid).mkdir(parents=True)
    lines = ["stem,group"]
    for number in range(pairs):
        solid, rgb, depth = bases[number % len(bases)]
        lit = rgb + rng.integers(-60, 60, (HEIGHT // 20, WIDTH // 20, 3)).repeat(20, 0).repeat(20, 1)
        moved = rng.integers(0, 900, (HEIGHT // 20, WIDTH // 20)).repeat(20, 0).repeat(20, 1)
        measured = np.where(depth > 0, depth + moved, 0)
        name = f"{number:06d}"
        Image.fromarray(lit.clip(0, 255).astype(np.uint8)).save(root / f"cam/rgb/{solid}/{name}.jpg", quality=90)
        Image.fromarray(measured.astype(np.uint16)).save(root / f"cam/depth/{solid}/{name}.png", compress_level=1)
        lines.append(f"{name},room{number % 997}")
    (root / "groups.csv").write_text("\n".join(lines) + "\n")


def seconds_of_verify(root: Path, deep: bool, manifest: Path) -> float:
    manifest.unlink(missing_ok=True)
    config = DatasetConfig(name="paired-folder", root=root)
    start = time.perf_counter()
    report = verify(Request(config, deep=deep, manifest=manifest))
    if report.errors:
        raise SystemExit(f"the tree is not clean: {report.as_dict()['findings'][:3]}")
    return time.perf_counter() - start


def seconds_of_decoding(files: list[Path], folder: Path) -> float:
    """The bound: the same reader and nothing else, one process a core."""
    cores = os.cpu_count() or 1
    shares = []
    for core in range(cores):
        share = folder / f"share{core}.txt"
        share.write_text("\n".join(map(str, files[core::cores])))
        shares.append(share)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        list(
            pool.map(
                lambda share: subprocess.run([sys.executable, "-c", READ, share], check=True, env=environment), shares
            )
        )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root = folder / "data"
        write_tree(root, arguments.files // 2)
        files = sorted((root / "cam").rglob("*.*g"))
        times: dict[str, list[float]] = {"quick": [], "deep": [], "decoding alone": []}
        for _ in range(arguments.repeats):
            times["quick"].append(seconds_of_verify(root, False, folder / "manifest.json"))
            times["decoding alone"].append(seconds_of_decoding(files, folder))
            times["deep"].append(seconds_of_verify(root, True, folder / "manifest.json"))
        megabytes = sum(path.stat().st_size for path in files) / 1e6
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        Console().print(f"{name}: {value:.2f} s, {len(files) / value:,.0f} files a second")
    found = {
        "files": len(files),
        "megabytes": round(megabytes, 1),
        "pixels": [WIDTH, HEIGHT],
        "cores": os.cpu_count(),
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "repeats": arguments.repeats,
        "median_s": {name: round(value, 3) for name, value in medians.items()},
        "files_per_second": {name: round(len(files) / value) for name, value in medians.items()},
        "deep_over_bound": round(medians["deep"] / medians["decoding alone"], 3),
        "versions": versions(),
    }
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
