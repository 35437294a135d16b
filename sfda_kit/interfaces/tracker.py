"""The contract of a tracker: another place to watch a run's figures while the run goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfda_kit.events import Event


class Tracker(ABC):
    """A tracker follows one run. A tracker that raises is left out of the rest of the run, with a notice.

    Required: ``event(event)``, which gets everything that happens (``sfda_kit.Event``; figures come with kind
    ``epoch``, loss terms with kind ``step``). Optional: ``finish(summary)``, which gets the JSON summary at the end.
    ``described`` holds run_id, method, seed, task, config and recipe.

    Others get the same events and the same summary, so a tracker does not change them. It ignores an event whose kind
    it does not know. The metrics of a failed run are None. When a run is resumed, a new tracker follows it; the last
    epoch may come again.

    Example::

        class Print(Tracker):
            def event(self, event):
                if event.kind == "epoch":
                    print(event.stage, event.data["epoch"], event.data["figures"])
    """

    def __init__(self, run_dir: Path, described: Mapping[str, Any]) -> None:
        self.run_dir, self.described = run_dir, described

    @abstractmethod
    def event(self, event: Event) -> None:
        """Receive one event."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Receive the end of the run; ``summary`` is that of ``sfda-kit run --json``."""
        del summary
