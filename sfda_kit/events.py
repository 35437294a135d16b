"""What happens in a run, told to whoever listens: the terminal, the event log, trackers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["run", "reading", "stage", "step", "epoch", "notice", "done"]


@dataclass(frozen=True)
class Event:
    """``stage``: source, bridge or a phase's name; ``data``: plain numbers and text only.

    ``reading`` carries what, done and total of a slow data set; ``stage`` epochs and steps; ``step``
    epoch, step and terms; ``epoch`` epoch, figures and, of an adapted state, signals; ``done`` status and
    summary.
    """

    kind: Kind
    stage: str = ""
    data: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """A listener that ignores everything."""
    del event


def to_all(*listeners: Listener) -> Listener:
    """One listener that tells several, in order."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


def reading_progress(listener: Listener) -> Callable[[str, int, int], None]:
    """A ``Dataset.progress`` that tells ``listener``."""
    return lambda what, done, total: listener(Event("reading", data={"what": what, "done": done, "total": total}))
