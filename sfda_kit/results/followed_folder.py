"""The run folder as all processes but the first see it: they know what it holds, and write nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sfda_kit.config.digest import digest
from sfda_kit.errors import UserError
from sfda_kit.events import Event
from sfda_kit.processes import group
from sfda_kit.results.record import Record
from sfda_kit.results.store import RunFolder


@dataclass(frozen=True)
class FollowedFolder(RunFolder):
    """A followed folder belongs to process 0. ``rows`` is the history that process 0 has read from it."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def history(self) -> list[dict[str, Any]]:
        """Return one row for each epoch that was finished when the run began or went on."""
        return list(self.rows)

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Leave it to process 0."""

    def write_record(self, record: Record) -> None:
        """Leave it to process 0."""

    def begin_again(self, damaged: Sequence[str], identity: Mapping[str, Any]) -> None:
        """Leave it to process 0."""

    def write_config(self, identity: Mapping[str, Any]) -> None:
        """Leave it to process 0."""

    def check_there(self) -> None:
        """Leave it to process 0."""

    def log(self, event: Event) -> None:
        """Leave it to process 0."""

    def remove_checkpoints(self) -> None:
        """Leave it to process 0."""

    def remove_if_unused(self) -> None:
        """Leave it to process 0."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Leave it to process 0."""
        yield


def refuse_another_run(key: str, identity: Mapping[str, Any]) -> None:
    """Raise ``UserError`` unless ``identity`` has the digest ``key``, that of the run that process 0 works on."""
    if digest(identity) != key:
        raise UserError(
            f"Process {group().rank} would work on another run than process 0: its data, source card, parts or "
            "versions differ. All computers need the same of each."
        )
