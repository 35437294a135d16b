"""What became of each fault, counted by kind, and the table of it."""

from __future__ import annotations

import json
import platform
import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sfda_kit.errors import SfdaKitError
from sfda_kit.results.redaction import without_folders
from sfda_kit.versions import versions

BAD = ("lost", "corrupt", "silent", "traceback", "hang")
"""Finished work is gone; what is left on disk is wrong; another result without a word; an unexpected error; slow."""


class Hang(BaseException):
    """The work took too long."""


class Outcomes:
    """Outcomes are counts by kind of fault; of each bad kind a few examples are kept.

    ``longest``: the number of seconds after which reading an input counts as a hang.
    """

    def __init__(self, longest: int = 10) -> None:
        self.longest = longest
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.examples: dict[str, list[str]] = defaultdict(list)
        self.seconds: Counter[str] = Counter()

    def add(self, fault: str, outcome: str, example: str = "") -> None:
        """Count one try; ``outcome`` is one of ``BAD``, or a word such as ``refused`` or ``same``."""
        self.counts[fault][outcome] += 1
        if outcome in BAD and len(self.examples[f"{fault}: {outcome}"]) < 5:
            # a traceback names folders of this computer, which are nobody's business
            self.examples[f"{fault}: {outcome}"].append(without_folders(example)[-1500:])

    @property
    def failed(self) -> bool:
        """Whether any try ended badly."""
        return any(counts[bad] for counts in self.counts.values() for bad in BAD)

    def write(self, folder: Path) -> None:
        """Write ``robustness.md`` and ``robustness.json`` to ``folder``. Faults that were not tried stay there."""
        file = folder / "robustness.json"
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"outcomes": {}, "seconds": {}}
        for name, counts in before["outcomes"].items():
            if name not in self.counts:
                self.counts[name] = Counter(counts)
        about = {"versions": versions(), "python": platform.python_version()}
        seconds = {**before["seconds"], **self.seconds}
        facts = {**about, "seconds": seconds, "outcomes": self.counts, "examples": self.examples}
        file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        (folder / "robustness.md").write_text(self.table(), encoding="utf-8")

    def table(self) -> str:
        """Return the table as Markdown."""
        lines = ["| fault | tries | " + " | ".join(BAD) + " | else |", "| --- " * (len(BAD) + 3) + "|"]
        for fault, counts in self.counts.items():
            rest = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if name not in BAD)
            cells = [fault, f"{counts.total():,}", *(f"{counts[bad]:,}" for bad in BAD), rest]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"


def judged(work: Callable[[], Any], longest: int) -> tuple[str, str]:
    """Return ``taken``, ``refused`` (an expected error), ``traceback`` or ``hang`` (too many seconds), and a text."""
    try:
        with _limited(longest):
            work()
    except SfdaKitError as error:
        return "refused", str(error)
    except Hang:
        return "hang", traceback.format_exc()
    except Exception:
        return "traceback", traceback.format_exc()
    return "taken", ""


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def timed(outcomes: Outcomes, name: str) -> Iterator[None]:
    """Add the seconds that the block takes."""
    began = time.monotonic()
    yield
    outcomes.seconds[name] += round(time.monotonic() - began, 1)
