"""The events of a run, which listeners receive: the terminal, the event log and trackers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
_LOGGER = logging.getLogger("sfda_kit")
_LOGGER.addHandler(logging.NullHandler())
_EVENTS = logging.getLogger("sfda_kit.events")


def logged(event: Event) -> None:
    """Log stages, epochs and notices to ``sfda_kit.events`` at the level INFO: nothing is shown unless it is asked."""
    if event.kind == "notice":
        _EVENTS.info("%s", event.data["text"])
    elif event.kind in ("stage", "epoch"):
        _EVENTS.info("%s %s: %s", event.kind, event.stage, event.data)


def silent(event: Event) -> None:
    """Ignore ``event``."""
    del event


def say(text: str) -> None:
    """Tell ``text`` where no listener is at hand: that of ``hearing`` gets it as a notice, else it is logged."""
    _LOGGER.warning(text)


@contextmanager
def hearing(listener: Listener) -> Iterator[None]:
    """Pass on what is said meanwhile, by any thread, to ``listener``, which hears it in place of the log."""

    def heard(record: logging.LogRecord) -> bool:
        listener(Event("notice", data={"text": record.getMessage()}))
        return False

    _LOGGER.addFilter(heard)  # A filter of a logger sees what is said to it, and not what modules log below it.
    try:
        yield
    finally:
        _LOGGER.removeFilter(heard)


def to_all(*listeners: Listener) -> Listener:
    """Return one listener that passes each event to several, in order."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


def reading_progress(listener: Listener) -> Callable[[str, int, int], None]:
    """Return a function for ``Dataset.progress`` that sends events to ``listener``."""
    return lambda what, done, total: listener(Event("reading", data={"what": what, "done": done, "total": total}))
