"""A disk that is full, and two processes that want the same run and the same cache."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path
from typing import Any

from child import FAILED, REFUSED, ended, in_child
from kills import SECONDS, continued, emptied, work
from outcomes import Outcomes, timed
from small_run import result_of


def fill_disks(outcomes: Outcomes, folder: Path, expected: dict[str, Any], tries: int) -> None:
    """Run on ``tries`` disks that are too small; then give them room, and continue. Needs the right to mount."""
    with timed(outcomes, "full disks"):
        for number in range(tries):
            place = emptied(folder / "full")
            size = f"{200 + number * 9000 // tries}k"
            mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
            if subprocess.run(mount, capture_output=True, check=False).returncode:
                print("full disks are left out: this user may not mount")
                return
            try:
                done = ended(in_child(lambda: work(place), folder / "log"), folder / "log", SECONDS)  # noqa: B023
                said = {REFUSED: "refused", FAILED: "traceback", 0: "taken"}.get(done.code, "hang")
                outcomes.add("disk of a few MB", said, f"{size}: {done.text}")
                subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True)
                continued(outcomes, "the same with room", place, expected, folder / "log", size)
            finally:
                subprocess.run(["umount", str(place)], check=True)


def run_twice(outcomes: Outcomes, folder: Path, expected: dict[str, Any], tries: int, seed: int = 0) -> None:
    """Start the same run in two processes: one or both end well with the same result, the other says who is at work."""
    rng = random.Random(seed)
    with timed(outcomes, "two processes"):
        for _ in range(tries):
            place = emptied(folder / "twice")
            logs = [folder / "log", folder / "other log"]
            first = in_child(lambda: work(place), logs[0])  # noqa: B023
            time.sleep(rng.uniform(0, 4))
            second = in_child(lambda: work(place), logs[1])  # noqa: B023
            codes = [ended(pid, log, SECONDS).code for pid, log in zip((first, second), logs, strict=True)]
            text = "".join(log.read_text(errors="replace") for log in logs)
            if not set(codes) <= {0, REFUSED} or 0 not in codes:
                outcomes.add("two processes, one run", "traceback" if FAILED in codes else "lost", text)
            else:
                same = result_of(place / "runs") == expected
                outcomes.add("two processes, one run", "same" if same else "corrupt", text)
