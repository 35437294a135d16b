"""What the product does when it is killed, when its files are damaged, and when its input is hostile.

    python benchmarks/robustness/robustness.py [KIND ...] [--quick] [--kills N] [--out DIR]

Kills a run of a few seconds before its writes and at random moments, and continues it; damages files that a run keeps;
gives hostile arguments and files to every command; reads changed settings, cards, lists, weights and archives. Writes
`robustness.md` and `robustness.json` to DIR (beside this script), and ends with 1 where anything was lost, corrupt,
different without a word, a traceback, or too slow. `--quick` takes a minute. KIND is one of `kills`, `damage`, `fuzz`
and `hostile`; the others stay in the table as they were.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from crowding import fill_disks, run_twice
from damage import damage_finished, damage_unfinished
from fuzzers import fuzz, fuzzers
from hostile import give_hostile_inputs
from kills import kill_runs, undisturbed
from outcomes import Outcomes
from small_run import SETTINGS, result_of

from sfda_kit.submissions.pack import pack

KINDS = ("kills", "damage", "fuzz", "hostile")
FULL = {"kills": 250, "disks": 12, "twice": 12, "damage": 105, "hostile": 520, "fuzz": 200_000}
QUICK = {"kills": 2, "disks": 0, "twice": 1, "damage": 3, "hostile": 10, "fuzz": 800}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kills", type=int, help=f"number of kills (default: {FULL['kills']}, quick {QUICK['kills']})")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    if unknown := set(given.kinds) - set(KINDS):
        parser.error(f"there is no kind {', '.join(unknown)}; known: {', '.join(KINDS)}")
    out = given.out.absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        # the quick part must not depend on how busy the machine is
        outcomes = Outcomes(longest=120 if given.quick else 10)
        tries = QUICK if given.quick else FULL
        SETTINGS["compute"]["pictures"] = not given.quick  # drawing takes most of the time of a run as small as this
        measure(Path(folder), given.kinds or KINDS, tries | ({"kills": given.kills} if given.kills else {}), outcomes)
    outcomes.write(out)
    print(outcomes.table())
    sys.exit(outcomes.failed)


def measure(folder: Path, kinds: Sequence[str], tries: dict[str, int], outcomes: Outcomes) -> None:
    """Do all of ``kinds`` in ``folder``, and count what becomes of it."""
    torch.set_num_threads(1)  # a forked process must not inherit threads
    os.environ["NO_COLOR"] = "1"
    finished = undisturbed(folder)
    expected = result_of(finished / "runs")
    if "kills" in kinds:
        kill_runs(outcomes, folder, expected, tries["kills"])
        fill_disks(outcomes, folder, expected, tries["disks"])
        run_twice(outcomes, folder, expected, tries["twice"])
    if "damage" in kinds:
        damage_unfinished(outcomes, folder, expected, tries["damage"])
        damage_finished(outcomes, folder, expected, tries["damage"] // 3)
    if "fuzz" in kinds:
        source = next((finished / "cache" / "stages" / "source").glob("*/card.json")).parent
        shutil.copytree(source, finished / "card")
        pack([finished / "runs"], folder / "archive.zip", {})
        fuzz(outcomes, fuzzers(finished, (folder / "archive.zip").read_bytes()), tries["fuzz"], folder)
    if "hostile" in kinds:
        give_hostile_inputs(outcomes, folder, tries["hostile"])


if __name__ == "__main__":
    main()
