"""Milliseconds of a search for nearest neighbours in a memory of N images, by torch and by faiss, on one thread.

    python benchmarks/speed/neighbours.py [--repeats 15] [--out benchmarks/speed/neighbours.json]

Random unit features, D = 256, 3 neighbours each: what one step of AaD asks for its batch of 64, and NRC once more for
the neighbours of those (192). Both searches are exact; the two take turns in one process, and processor time is
counted, which other programs disturb less. ``product`` is the matrix product alone, the bulk of an exact search.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import torch
import torch.nn.functional as F
from rich.console import Console
from sfda_kit_neighbors.nearest import neighbour_search

from sfda_kit.versions import versions

SIZES, QUERIES = (1_000, 10_000, 50_000), (64, 192)
WIDTH, NEIGHBOURS = 256, 3


def milliseconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def measure(images: int, queries: int, repeats: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(images)
    features = F.normalize(torch.randn(images, WIDTH, generator=generator), dim=1)
    own = torch.randperm(images, generator=generator)[:queries]
    searches = {name: neighbour_search(name, "benchmark") for name in ("torch", "faiss")}

    def found(name: str) -> torch.Tensor:
        return searches[name](features[own], features, NEIGHBOURS, own)

    works: dict[str, Callable[[], object]] = {name: lambda name=name: found(name) for name in searches}
    works["product"] = lambda: features[own] @ features.T
    turns = [{name: milliseconds(work) for name, work in works.items()} for _ in range(repeats + 1)][1:]
    ratios = sorted(turn["faiss"] / turn["torch"] for turn in turns)
    return {
        **{f"{name}_ms": round(statistics.median(turn[name] for turn in turns), 2) for name in works},
        "faiss_over_torch": round(statistics.median(ratios), 2),
        "ratio_min": round(ratios[0], 2),
        "ratio_max": round(ratios[-1], 2),
        "same_rows": float((found("torch") == found("faiss")).float().mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {f"{n} images, {q} queries": measure(n, q, given.repeats) for n in SIZES for q in QUERIES}
    made_with = {
        **versions(),
        "faiss": faiss.__version__,
        "blas": torch.__config__.show().partition("BLAS_INFO=")[2][:3],
    }
    given.out.write_text(json.dumps({"searches": found, "versions": made_with}, indent=2) + "\n")
    Console().print_json(data=found)


if __name__ == "__main__":
    main()
