"""What happens in a run, told to whoever listens: the terminal, the event log, trackers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["run", "stage", "step", "epoch", "notice", "done"]


@dataclass(frozen=True)
class Event:
    """``stage``: source, bridge or a phase's name; ``data``: plain numbers and text only.

    ``stage`` carries epochs and steps; ``step`` epoch, step and terms; ``epoch`` epoch and figures.
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
