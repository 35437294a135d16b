"""Seconds until `sfda-kit --help` and `plugins list` have answered, beyond an empty interpreter.

    python benchmarks/speed/startup.py [--repeats 15] [--out benchmarks/speed/startup.json]

The commands are run in turn, each in a process of its own; medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from sfda_kit.versions import versions

COMMANDS = {
    "empty interpreter": ["-c", "pass"],
    "sfda-kit --help": ["-m", "sfda_kit", "--help"],
    "sfda-kit plugins list": ["-m", "sfda_kit", "plugins", "list"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(arguments.repeats + 1):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    medians = {name: round(statistics.median(values[1:]), 4) for name, values in times.items()}
    empty = medians["empty interpreter"]
    for name, value in medians.items():
        Console().print(f"{name}: {value:.3f} s, {value - empty:.3f} s beyond an empty interpreter")
    found = {"repeats": arguments.repeats, "median_s": medians, "versions": versions()}
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
