"""CPU seconds until a command has answered: mistakes, a finished run, one prediction, lists and help.

    python benchmarks/speed/startup.py [--before CHECKOUT] [--repeats 5] [--out benchmarks/speed/startup.json]

Each command runs in a process of its own with one thread, and its user and system time are counted. With ``--before``,
another checkout (``git worktree add``) answers the same commands, in turn with this one. Medians; a table in Markdown
is written beside the JSON file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from sfda_kit.versions import versions

HERE = Path(__file__).parents[2]
RUN = ["run", "--method", "shot-im", "--backbone", "test_resnet", "--image-size", "32", "--source-floor", "0"]
RUN += ["--epochs", "1", "--source-epochs", "1", "--runs-dir", "RUNS", "--resume"]
COMMANDS = {
    "`--help`": ["--help"],
    "`plugins list`": ["plugins", "list"],
    "`run`, wrong method": ["run", "--method", "sho"],
    "`run`, wrong option of a part": ["run", "--method", "shot", "--set", "recipe.labeler.options.foo=1"],
    "`run --resume` of a finished run": RUN,
    "`source show`": ["source", "show", "CARD"],
    "`predict`, wrong run folder": ["predict", "IMAGE", "--run", "no-such-folder"],
    "`predict` of one image": ["predict", "IMAGE", "--run", "RUN"],
}


class Checkout:
    """A checkout of the toolkit, with a small finished run of its own on synthetic images."""

    def __init__(self, folder: Path, room: Path) -> None:
        paths = [folder, *sorted(folder.glob("plugins/*/src"))]
        self.room = room
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "SFDA_KIT_CACHE": str(room / "cache"),
            "OMP_NUM_THREADS": "1",
        }
        self.places = {"RUNS": str(room / "runs"), "IMAGE": str(room / "image.png")}
        depth = np.linspace(500, 4000, 64 * 64).reshape(64, 64).astype(np.uint16)
        room.mkdir()
        Image.fromarray(depth).save(room / "image.png")
        self.seconds(RUN)
        self.places["RUN"] = str(next((room / "runs").glob("*")))
        self.places["CARD"] = str(next((room / "cache" / "stages" / "source").glob("*/card.json")).parent)

    def seconds(self, arguments: list[str]) -> float:
        """Run a command and return its CPU seconds."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "sfda_kit", *(self.places.get(word, word) for word in arguments)]
        subprocess.run(command, check=False, capture_output=True, env=self.environment, cwd=self.room)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    folders = {"before": arguments.before, "after": HERE} if arguments.before else {"after": HERE}
    with tempfile.TemporaryDirectory() as room:
        checkouts = {name: Checkout(folder.resolve(), Path(room) / name) for name, folder in folders.items()}
        times: dict[str, dict[str, list[float]]] = {name: {when: [] for when in checkouts} for name in COMMANDS}
        for _ in range(arguments.repeats):
            for name, command in COMMANDS.items():
                for when, checkout in checkouts.items():
                    times[name][when].append(checkout.seconds(command))
    medians = {
        name: {when: round(statistics.median(values), 2) for when, values in found.items()}
        for name, found in times.items()
    }
    found = {"repeats": arguments.repeats, "median_cpu_s": medians, "versions": versions()}
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    table = in_markdown(medians, arguments.repeats)
    arguments.out.with_suffix(".md").write_text(table)
    Console().print(table, markup=False)


def in_markdown(medians: dict[str, dict[str, float]], repeats: int) -> str:
    heads = list(next(iter(medians.values())))
    lines = [["command", *heads], ["---", *("---:" for _ in heads)]]
    lines += [[name, *(f"{found[when]:.2f}" for when in heads)] for name, found in medians.items()]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return (
        f"CPU seconds until a command has answered (`benchmarks/speed/startup.py`), medians of {repeats}.\n\n{text}\n"
    )


if __name__ == "__main__":
    main()
