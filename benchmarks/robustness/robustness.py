"""What the product does when it is killed, when its files are damaged, and when its input is hostile.

    python benchmarks/robustness/robustness.py [--quick] [--out DIR]

Kills a run of a few seconds before its writes and at random moments, and continues it; damages files that a run keeps;
gives hostile arguments and files to every command; reads changed settings, cards, lists, weights and archives. Writes
`robustness.md` and `robustness.json` to DIR (beside this script), and ends with 1 where anything was lost, corrupt,
different without a word, a traceback, or too slow. `--quick` takes a minute.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from crowding import fill_disks, run_twice
from damage import damage_finished, damage_unfinished
from fuzzers import fuzz, fuzzers
from hostile import give_hostile_inputs
from kills import kill_runs
from outcomes import Outcomes

from sfda_kit.submissions.pack import pack

FULL = {"kills": 250, "disks": 20, "twice": 20, "damage": 120, "hostile": 600, "fuzz": 200_000}
QUICK = {"kills": 3, "disks": 0, "twice": 1, "damage": 6, "hostile": 40, "fuzz": 1500}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    out = given.out.absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        # the quick part must not depend on how busy the machine is
        outcomes = measure(Path(folder), QUICK if given.quick else FULL, Outcomes(longest=120 if given.quick else 10))
    outcomes.write(out)
    print(outcomes.table())
    sys.exit(outcomes.failed)


def measure(folder: Path, tries: dict[str, int], outcomes: Outcomes) -> Outcomes:
    """Do everything in ``folder``, and return ``outcomes``."""
    torch.set_num_threads(1)  # a forked process must not inherit threads
    os.environ["NO_COLOR"] = "1"
    expected = kill_runs(outcomes, folder, tries["kills"])
    fill_disks(outcomes, folder, expected, tries["disks"])
    run_twice(outcomes, folder, expected, tries["twice"])
    damage_unfinished(outcomes, folder, expected, tries["damage"])
    damage_finished(outcomes, folder, expected, tries["damage"] // 3)
    finished = folder / "undisturbed"
    source = next((finished / "cache" / "stages" / "source").glob("*/card.json")).parent
    shutil.copytree(source, finished / "card")
    pack([finished / "runs"], folder / "archive.zip", {})
    fuzz(outcomes, fuzzers(finished, (folder / "archive.zip").read_bytes()), tries["fuzz"], folder)
    give_hostile_inputs(outcomes, folder, tries["hostile"])
    return outcomes


if __name__ == "__main__":
    main()
