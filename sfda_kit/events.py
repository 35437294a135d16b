"""The events of a run, which listeners receive: the terminal, the event log and trackers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["run", "reading", "stage", "step", "epoch", "notice", "done"]


@dataclass(frozen=True)
class Event:
    """An event of a run. ``stage``: source, bridge or the name of a phase; ``data``: only plain numbers and text.

    The keys of ``data`` by kind: ``reading``: what, done and total of a slow data set; ``stage``: epochs, steps, done;
    ``step``: epoch, step, terms; ``epoch``: epoch, figures, and signals of an adapted state; ``done``: status, summary.
    """

    kind: Kind
    stage: str = ""
    data: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore ``event``."""
    del event


def to_all(*listeners: Listener) -> Listener:
    """Return one listener that passes each event to several, in order."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


def reading_progress(listener: Listener) -> Callable[[str, int, int], None]:
    """Return a function for ``Dataset.progress`` that sends events to ``listener``."""
    return lambda what, done, total: listener(Event("reading", data={"what": what, "done": done, "total": total}))
